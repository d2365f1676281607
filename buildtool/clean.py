"""Removing what `bt` made: only what it recorded, as long as nobody changed it, and never through a link."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field

from buildtool.errors import DiskError, StateError
from buildtool.files import Disk
from buildtool.state.store import StateReader
from buildtool.text import printable


@dataclass(slots=True)
class Sweep:
    """What can be removed, and what is left alone and why."""

    removable: list[str] = field(default_factory=list)
    kept: list[tuple[str, str]] = field(default_factory=list)  # path, cause


def plan_sweep(disk: Disk, reader: StateReader, paths: Iterable[str], allow: Iterable[str]) -> Sweep:
    """Look which of these recorded outputs may be removed."""
    recorded = recorded_digests(reader)
    roots = [os.path.realpath(disk.root), *(os.path.realpath(folder) for folder in allow)]
    found = Sweep()
    for path in sorted(paths):
        if not disk.exists(path):
            continue
        where = os.path.realpath(os.path.dirname(disk.absolute(path).rstrip("/")))
        if not any(where == root or where.startswith(root.rstrip("/") + "/") for root in roots):
            found.kept.append((path, "a link leads out of the project"))
            continue
        try:
            present = disk.digest(path)
        except StateError as error:
            found.kept.append((path, error.summary))
            continue
        if path not in recorded or present != recorded[path]:
            found.kept.append((path, "it was changed since"))
        else:
            found.removable.append(path)
    return found


def recorded_digests(reader: StateReader) -> dict[str, str]:
    """Every path that `bt` made, with the digest it had then."""
    found = {path: stray.digest for path, stray in reader.strays().items()}
    for key in set(reader.owned().values()):
        record = reader.job(key)
        for made in record.outputs if record is not None else ():
            found[made.path] = made.digest
    return found


def sweep(disk: Disk, found: Sweep) -> None:
    """Remove what can be removed, and the directories that are empty then; what resists counts as kept."""
    for path in list(found.removable):
        try:
            disk.remove(path)
        except DiskError as error:
            found.removable.remove(path)
            found.kept.append((path, error.summary))
        else:
            disk.remove_empty_parents(path)


def kept_lines(found: Sweep) -> list[str]:
    """What is left alone, in words."""
    return [f"kept {printable(path)}: {cause}" for path, cause in found.kept]
