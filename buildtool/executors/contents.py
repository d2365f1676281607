"""Which contents a cluster has, and how a job there gets what it reads: each is sent once.

A content is named by its digest. Machines keep what they were given on their disks; a machine that lacks something gets
it from one that has it. Does not know what jobs do with it.
"""

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import Callable, Iterable
from typing import Any

import xxhash

from buildtool.runtime.remote import CHUNK, INLINE


class ChangedError(Exception):
    """A file is not any more what it was when it was looked at."""


class GoneError(Exception):
    """What machines had, they have not any more."""


class Contents:
    """The contents of one cluster. `read(names, index, worker)` gives a future of a piece that a machine keeps."""

    def __init__(self, client: Any, read: Callable[[list[str], int, str], Any]) -> None:
        self._client = client
        self._read = read
        self._holders: dict[str, set[str]] = {}
        self._other_names: dict[str, str] = {}  # under which it may be kept, too
        self._sizes: dict[str, int] = {}
        self._moving: dict[str, list[Any]] = {}  # futures of the pieces of what is on its way
        self.workers: set[str] = set()
        self.sent = 0  # bytes uploaded

    def names(self, key: str) -> list[str]:
        """The names under which a content may be kept."""
        return [key, *filter(None, [self._other_names.get(key)])]

    def pieces(self, path: str, key: str, size: int | None = None) -> list[Any] | None:
        """Futures of the pieces of a content; None if every machine has it.

        With `size`, only machines have it. Raises `GoneError` if they have not, `ChangedError` or OSError.
        """
        holders = self._holders.get(key, set()) & self.workers
        if self.workers and holders >= self.workers:
            return None
        moving = self._moving.get(key)
        if moving is not None and all(future.status in ("pending", "finished") for future in moving):
            return moving
        if holders:
            holder = min(holders)
            names = self.names(key)
            known = self._sizes.get(key) or size
            count = -(-(os.path.getsize(path) if known is None else known) // CHUNK)
            found = [self._read(names, index, holder) for index in range(count)]
        elif size is not None:
            raise GoneError(path)
        else:
            found = self._send(path, key)
        self._moving[key] = found
        return found

    def _send(self, path: str, key: str) -> list[Any]:
        state = xxhash.xxh3_128()
        found = []
        with open(path, "rb") as file:
            while chunk := file.read(CHUNK):
                state.update(chunk)
                found.append(self._client.scatter(chunk, hash=False, direct=False))
                self.sent += len(chunk)
        if state.hexdigest() != key[1:]:
            raise ChangedError(path)
        return found

    def kept(self, worker: str, names: Iterable[str]) -> None:
        """A machine has these by now."""
        for name in names:
            self._holders.setdefault(name, set()).add(worker)
            self._moving.pop(name, None)

    def made(self, worker: str, key: str, name: str, size: int) -> None:
        """A machine has made this content, and keeps it under that other name."""
        self._other_names[key] = name
        self._sizes[key] = size
        self.kept(worker, [key])

    def forget(self, key: str) -> None:
        """No machine can be trusted to have it."""
        self._holders.pop(key, None)
        self._moving.pop(key, None)


class Carried:
    """Contents for machines of which nothing is known: whatever a job reads travels with it."""

    sent = 0

    def names(self, key: str) -> list[str]:
        """The names under which a content may be kept."""
        return [key]

    def pieces(self, path: str, key: str, size: int | None = None) -> list[Any] | None:  # noqa: ARG002  all is here
        """A content as it is. Raises `ChangedError` or OSError."""
        with open(path, "rb") as file:
            data = file.read()
        if xxhash.xxh3_128_hexdigest(data) != key[1:]:
            raise ChangedError(path)
        return [data]


def inline(path: str, key: str) -> bytes | None:
    """A small file as it is; None for a larger one. Raises `ChangedError` or OSError."""
    with open(path, "rb") as file:
        if os.fstat(file.fileno()).st_size > INLINE:
            return None
        data = file.read()
    if xxhash.xxh3_128_hexdigest(data) != key[1:]:
        raise ChangedError(path)
    return data


def fetch(
    target: str, entry: dict[str, Any], futures: Callable[[int], Any], wait: Callable[[Any], bytes]
) -> str:
    """Write a large output piece by piece, check it, and give its digest. Raises OSError if it came damaged.

    `entry`: as told by `remote`. `futures(index)` asks for a piece, and `wait` gives it; two are asked for at a time.
    """
    theirs, ours = hashlib.blake2b(digest_size=16), xxhash.xxh3_128()
    indices = iter(range(-(-entry["size"] // CHUNK)))
    asked = [futures(index) for index in itertools.islice(indices, 2)]
    with open(target, "wb") as file:
        while asked:
            piece = wait(asked.pop(0))
            asked += [futures(index) for index in itertools.islice(indices, 1)]
            theirs.update(piece)
            ours.update(piece)
            file.write(piece)
    if theirs.hexdigest() != entry["hash"]:
        raise OSError(f"`{entry['path']}` came back damaged")
    os.chmod(target, entry["mode"])
    return ("x" if entry["mode"] & 0o100 else "f") + ours.hexdigest()
