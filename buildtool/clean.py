"""Removing what `bt` made: only what it recorded, as long as nobody changed it, and never through a link."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable

from buildtool.errors import DiskError, StateError
from buildtool.files import Disk
from buildtool.state.records import JobRecord, Made
from buildtool.state.store import State, StateReader
from buildtool.text import count, printable


class Sweep:
    """What can be removed, and what is left alone and why."""

    def __init__(self) -> None:
        self.removable: list[str] = []
        self.kept: list[tuple[str, str]] = []  # path, cause
        self.inside: dict[str, dict[str, str]] = {}  # of directories that hold others' files, too, or did
        self.partly: set[str] = set()  # those that stay, since they hold some


def plan_sweep(disk: Disk, reader: StateReader, paths: Iterable[str]) -> Sweep:
    """Look which of these recorded outputs may be removed."""
    recorded, hand = _recorded(reader)
    found = Sweep()
    for path in sorted(paths):
        if not disk.exists(path):
            continue
        if disk.way_out(path) is not None:
            found.kept.append((path, "a link leads out of the project"))
            continue
        try:
            present = disk.digest(path)
        except StateError as error:
            found.kept.append((path, error.summary))
            continue
        own = reader.inside(path) if path.endswith("/") else None
        if path not in recorded or (present != recorded[path] and own is None):
            found.kept.append((path, "it was changed since"))
        elif path in hand:
            found.kept.append((path, "it was accepted, not made"))
        else:
            found.removable.append(path)
            if own is not None:
                found.inside[path] = own
                if any(p not in own for p in disk.below(path)):
                    found.partly.add(path)
    return found


def by_hand(reader: StateReader, record: JobRecord | None) -> set[str]:
    """The outputs in a record that `bt accept` took as right although no job had made them so."""
    if record is None or not record.accepted:
        return set()
    text = reader.value(f"accepted {record.key}")
    return {path for path, _ in record.outputs} if text is None else set(json.loads(text))


def note_by_hand(state: State, key: str, record: JobRecord | None, present: Iterable[Made]) -> None:
    """Keep what `by_hand` is to tell of a job whose present outputs are accepted; `record`: what was known of it."""
    before = by_hand(state, record)
    paths = [path for path, value in present if path in before or state.recorded(path) != value]
    state.set_value(f"accepted {key}", json.dumps(paths))


def _recorded(reader: StateReader) -> tuple[dict[str, str], set[str]]:
    """Every path that `bt` made or accepted, with the digest it had then; and those that it only accepted."""
    found = {path: stray.digest for path, stray in reader.strays().items()}
    hand: set[str] = set()
    for key in set(reader.owned().values()):
        record = reader.job(key)
        hand |= by_hand(reader, record)
        for made in record.outputs if record is not None else ():
            found[made.path] = made.digest
    return found, hand


def sweep(disk: Disk, found: Sweep) -> None:
    """Remove what can be removed, and the directories that are empty then; what resists counts as kept."""
    for path in list(found.removable):
        try:
            if path in found.inside:
                _remove_own(disk, path, found)
            else:
                disk.remove(path)
        except DiskError as error:
            found.removable.remove(path)
            found.kept.append((path, error.summary))
        else:
            disk.remove_empty_parents(path)


def remove_orphans(disk: Disk, state: State, paths: Iterable[str]) -> Sweep:
    """Remove these recorded outputs as far as they are as `bt` made them, and disown them: what went, what stayed."""
    found = plan_sweep(disk, state, paths)
    sweep(disk, found)
    state.forget_stamps(found.removable)
    state.forget_outputs(found.removable)
    return found


def _remove_own(disk: Disk, folder: str, found: Sweep) -> None:
    """Remove what `bt` made in a directory, and the directory itself if nothing else is in it."""
    for path, value in found.inside[folder].items():
        if disk.way_out(path) is None and disk.digest(path) == value:
            disk.remove(path)
            disk.remove_empty_parents(path)
    if disk.exists(folder) and not os.path.islink(disk.absolute(folder[:-1])) and any(disk.below(folder)):
        found.partly.add(folder)
    else:
        disk.remove(folder)


def gone_lines(found: Sweep, verb: str) -> list[str]:
    """What was removed, or would be, in words."""
    return [
        f"{verb} {'what bt made in ' if path in found.partly else ''}{printable(path)}"
        for path in found.removable
    ]


def removed_lines(found: Sweep) -> list[str]:
    """What was removed of orphans, in a sentence each; their number alone where there are many."""
    told = []
    if whole := [path for path in found.removable if path not in found.partly]:
        told.append(f"removed {count(len(whole), 'orphan')}: {some(whole)}")
    if partly := sorted(found.partly):
        they = "it holds" if len(partly) == 1 else "they hold"
        told.append(f"removed what bt made in {some(partly)}: {they} more")
    return told


def some(paths: list[str]) -> str:
    """The first few of some paths."""
    return ", ".join(printable(path) for path in paths[:5]) + (", …" if len(paths) > 5 else "")


def kept_lines(found: Sweep) -> list[str]:
    """What is left alone, in words."""
    return [f"kept {printable(path)}: {cause}" for path, cause in found.kept]
