"""Whether a directory lies on a file system that does not tell of changes: those of networks, machines and containers.

Does not know what is watched.
"""

from __future__ import annotations

import os
import re

_SILENT = (
    "nfs",
    "cifs",
    "smb",
    "9p",
    "virtiofs",
    "fuse",
    "vboxsf",
    "afs",
    "ceph",
    "glusterfs",
    "lustre",
    "prl_fs",
)


def silent_kind(directory: str, table: str = "/proc/self/mountinfo") -> str | None:
    """The kind of such a file system, or None; also None where the system has no `table` of what is mounted."""
    try:
        with open(table, encoding="utf-8", errors="surrogateescape") as file:
            lines = file.read().splitlines()
    except OSError:
        return None
    best, found = "", None
    where = os.path.realpath(directory).rstrip("/") + "/"
    for line in lines:
        words, _, rest = line.partition(" - ")
        point = _plain(words.split(" ")[4]).rstrip("/") + "/"
        if where.startswith(point) and len(point) >= len(best):
            best, found = point, rest.split(" ")[0]
    return found if found is not None and found.startswith(_SILENT) else None


def _plain(word: str) -> str:
    """A path as it is: in the table, spaces and the like stand as octal numbers."""
    raw = re.sub(rb"\\([0-7]{3})", lambda found: bytes([int(found[1], 8)]), os.fsencode(word))
    return os.fsdecode(raw)
