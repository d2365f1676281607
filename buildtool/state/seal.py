"""The seal: a checksum of the state database beside it, there only while the file is at rest.

It is broken before the first write and put back after a clean end. So a seal that is there and does not fit
proves damage, and one that is missing says that the last end was not clean. Does not know what is sealed.
"""

from __future__ import annotations

import contextlib
import os
from enum import Enum

import xxhash

from buildtool.state.directory import overwrite, sync_directory

CHUNK = 1 << 20
CONDEMNED = b"condemned\n"


class Seal(Enum):
    """What the seal says about the file."""

    WHOLE = "whole"
    BROKEN = "broken"  # the file is not as it was left
    ABSENT = "absent"


def look(path: str, seal: str) -> Seal:
    """Compare the file with its seal."""
    try:
        with open(seal, "rb") as file:
            written = file.read(64)
    except FileNotFoundError:
        return Seal.ABSENT
    if written == CONDEMNED:
        return Seal.BROKEN
    if len(written) != 33:  # the disk lost the end of it in a power cut
        return Seal.ABSENT
    return Seal.WHOLE if written == _sum(path) else Seal.BROKEN


def put(path: str, seal: str) -> None:
    """Seal the file as it is; without success there is no seal, which costs a check at the next start."""
    fresh = f"{seal}.new"
    with contextlib.suppress(OSError):
        with overwrite(fresh) as file:
            file.write(_sum(path))
        os.replace(fresh, seal)


def condemn(seal: str) -> None:
    """Put a seal that fits no file."""
    with contextlib.suppress(OSError), overwrite(seal) as file:
        file.write(CONDEMNED)


def take_off(seal: str) -> None:
    """Remove the seal, for good even if the power fails next."""
    try:
        os.unlink(seal)
    except FileNotFoundError:
        return
    sync_directory(os.path.dirname(seal))


def _sum(path: str) -> bytes:
    state = xxhash.xxh3_128()
    with open(path, "rb", buffering=0) as file:
        while chunk := file.read(CHUNK):
            state.update(chunk)
    return state.hexdigest().encode("ascii") + b"\n"
