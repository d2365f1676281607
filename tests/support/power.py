"""A power cut: of what a build wrote, only that is left which it brought to the disk itself."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

Identity = tuple[int, int]  # device and inode


class Kept(NamedTuple):
    """A file or directory as it was when it was last brought to the disk."""

    size: int
    mtime: int


def identity(path: Path) -> Identity:
    """Which file it is, whatever its name."""
    st = path.lstat()
    return st.st_dev, st.st_ino


def before(folder: Path) -> dict[Identity, tuple[Path, Kept]]:
    """What there is before a build, all on the disk for long."""
    found = {}
    for path in [folder, *folder.rglob("*")]:
        st = path.lstat()
        found[identity(path)] = (path, Kept(st.st_size, st.st_mtime_ns))
    return found


def synced(log: Path) -> dict[Identity, Kept]:
    """What was brought to the disk since, as `faulty.c` noted it."""
    lines = log.read_text().splitlines() if log.exists() else []
    numbers = [[int(word) for word in line.split()] for line in lines]
    return {(device, inode): Kept(size, mtime) for device, inode, size, mtime in numbers}


def cut(folder: Path, old: dict[Identity, tuple[Path, Kept]], log: Path, *, names: bool) -> int:
    """Lose what was not brought to the disk; how many files that were. `names`: also where new and moved files are."""
    kept = {who: look for who, (_, look) in old.items()} | synced(log)
    lost = 0
    for path in [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]:
        st, known = path.lstat(), kept.get(identity(path))
        if known is None or (known.mtime, known.size) != (st.st_mtime_ns, st.st_size):
            os.truncate(path, min(st.st_size, known.size) if known is not None else 0)
            os.utime(path, ns=(st.st_atime_ns, st.st_mtime_ns))
            lost += 1
    return lost + (_lose_names(folder, old, kept) if names else 0)


def _lose_names(folder: Path, old: dict[Identity, tuple[Path, Kept]], kept: dict[Identity, Kept]) -> int:
    """Files that were made or moved into a directory which was not brought to the disk after that are not there."""
    unsure = {at for at in [folder, *folder.rglob("*")] if at.is_dir() and not at.is_symlink()}
    unsure = {
        at
        for at in unsure
        if (known := kept.get(identity(at))) is None or known.mtime != at.stat().st_mtime_ns
    }
    moved, lost = [], 0
    for path in [path for path in folder.rglob("*") if not path.is_dir() and path.parent in unsure]:
        origin = old.get(identity(path))
        if origin is None:
            path.unlink()
            lost += 1
        elif origin[0] != path:
            moved.append((path, origin[0]))
    for path, origin_path in moved:
        if not origin_path.exists() and origin_path.parent.is_dir():
            path.rename(origin_path)
            lost += 1
    return lost
