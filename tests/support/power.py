"""A power cut: of what a build wrote, only that is left which it brought to the disk itself."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

Identity = tuple[int, int]  # device and inode


class Kept(NamedTuple):
    """A file as it was when it was last brought to the disk."""

    size: int
    mtime: int


class Safe(NamedTuple):
    """What is on the disk: files, and by their directories the inodes of those whose names are."""

    files: dict[Identity, Kept]
    names: set[tuple[int, int]]


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


def cut(folder: Path, old: dict[Identity, tuple[Path, Kept]], log: Path, *, names: bool) -> int:
    """Lose what was not brought to the disk; how many files that were. `names`: also where new and moved files are."""
    safe = _safe(old, log)
    lost = 0
    for path in [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]:
        st, known = path.lstat(), safe.files.get(identity(path))
        if known is None or (known.mtime, known.size) != (st.st_mtime_ns, st.st_size):
            os.truncate(path, min(st.st_size, known.size) if known is not None else 0)
            os.utime(path, ns=(st.st_atime_ns, st.st_mtime_ns))
            lost += 1
    return lost + (_lose_names(folder, old, safe) if names else 0)


def _safe(old: dict[Identity, tuple[Path, Kept]], log: Path) -> Safe:
    """What was on the disk before, or was brought there, as `faulty.c` noted it."""
    safe = Safe({who: look for who, (_, look) in old.items()}, set())
    inodes = {path: inode for (_, inode), (path, _) in old.items()}
    safe.names.update((inodes[path.parent], inode) for path, inode in inodes.items() if path.parent in inodes)
    for line in log.read_text().splitlines() if log.exists() else []:
        one, other, size, time = (int(word) for word in line.split())
        if size < 0:
            safe.names.add((one, other))
        else:
            safe.files[one, other] = Kept(size, time)
    return safe


def _lose_names(folder: Path, old: dict[Identity, tuple[Path, Kept]], safe: Safe) -> int:
    """Names that came into a directory which was not brought to the disk after that are not there."""
    unsure = [
        path
        for path in folder.rglob("*")
        if not path.is_dir() and (path.parent.stat().st_ino, path.lstat().st_ino) not in safe.names
    ]
    lost = 0
    for path in [path for path in unsure if identity(path) not in old]:
        path.unlink()
        lost += 1
    for path in [path for path in unsure if path.exists()]:
        origin = old[identity(path)][0]
        if not origin.exists() and origin.parent.is_dir():
            path.rename(origin)
            lost += 1
    return lost
