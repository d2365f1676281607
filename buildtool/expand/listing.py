"""Which files on the disk a pattern matches.

Names that begin with a dot are found only where the pattern writes the dot; `**` does not go through links.
"""

from __future__ import annotations

from collections.abc import Iterator

from buildtool.files import Disk
from buildtool.paths import STATE
from buildtool.taskfile.pattern import Part, Pattern, segment_regex


def matches(disk: Disk, pattern: Pattern) -> list[str]:
    """The paths on the disk that the pattern matches, sorted; directories if it ends in `/`, else files."""
    if pattern.is_literal:
        path = pattern.prefix
        wanted = disk.is_directory(path) if pattern.is_directory else disk.exists(path)
        return [path] if wanted else []
    found = _flat(disk, pattern) if pattern.is_flat else _deep(disk, pattern)
    if pattern.is_flat and pattern.levels == 1:
        return sorted(found)  # the one segment that was matched is all that can differ
    return sorted(path for path in found if pattern.match(path) is not None)


def _flat(disk: Disk, pattern: Pattern) -> Iterator[str]:
    """Candidates for a pattern whose depth is known: one directory level for each segment."""
    start = pattern.folder
    segments = pattern.segments()[-pattern.levels :]
    pending = [(start, 0)]
    while pending:
        folder, level = pending.pop()
        last = level == len(segments) - 1
        for name, is_directory in _names(disk, folder, segments[level]):
            if not last:
                if is_directory:
                    pending.append((f"{folder}{name}/", level + 1))
            elif is_directory == pattern.is_directory:
                yield f"{folder}{name}/" if is_directory else folder + name


def _names(disk: Disk, folder: str, parts: tuple[Part, ...]) -> Iterator[tuple[str, bool]]:
    """The names in a folder that one segment of a pattern matches."""
    if all(isinstance(p, str) for p in parts):
        name = "".join(str(p) for p in parts)
        if disk.exists(folder + name):
            yield name, disk.is_directory(folder + name)
        return
    fullmatch = segment_regex(parts).fullmatch
    dotted = isinstance(parts[0], str) and parts[0].startswith(".")
    for name, is_directory, _, _ in disk.entries(folder):
        if (dotted or name[0] != ".") and fullmatch(name):
            yield name, is_directory


def _deep(disk: Disk, pattern: Pattern) -> Iterator[str]:
    """Everything below the literal folder: candidates for a pattern that may cross `/`."""
    pending = [pattern.folder]
    while pending:
        folder = pending.pop()
        for name, is_directory, is_link, _ in disk.entries(folder):
            if name[0] == "." and (name == STATE or not pattern.prefix.startswith(folder + name)):
                continue
            if not is_directory:
                if not pattern.is_directory:
                    yield folder + name
                continue
            if pattern.is_directory:
                yield f"{folder}{name}/"
            if not is_link:
                pending.append(f"{folder}{name}/")
