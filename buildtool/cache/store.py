"""The folder `.bt/cache`: contents by their digest, and by key what is made of them.

A file in it is whole or not there, since it is written beside its place and moved. Nothing else is promised: whoever
takes something out looks whether it is what it should be. Only the holder of the lock writes. What was not used for the
longest time goes first. Knows no jobs.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import stat
from collections.abc import Callable, Iterator

from buildtool.cache.entry import MOST, Kept, Part, from_bytes, to_bytes
from buildtool.errors import DiskError
from buildtool.files import Disk
from buildtool.paths import STATE

FOLDER = f"{STATE}/cache"
_CONTENT = re.compile(r"[fx][0-9a-f]{32}").fullmatch
_LEFT = 0.8  # of the size, after something had to go: it is not needed for each new file then
_PIECE = 1 << 30  # bytes copied in one call
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
_OLD = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


class Cache:
    """Keeps outputs below the root of `disk`, `limit` bytes of them; `size`: how many there are, if that is known.

    Trouble with the disk is no reason to fail: then less is kept.
    """

    def __init__(self, disk: Disk, limit: float, size: int | None) -> None:
        self._disk = disk
        self._limit = limit
        self._folder = disk.absolute(FOLDER)
        self.size = size
        self.has_changed = False
        self._sure: set[str] = set()  # folders that are no links, nor are those above them

    def runs(self, key: str) -> list[Kept]:
        """The runs that are kept under a key, the one that was put in last first."""
        try:
            return from_bytes(_read(self._entry(key)))
        except FileNotFoundError:
            return []
        except (OSError, ValueError):
            self.drop(key)
            return []

    def look(self, key: str) -> list[Kept]:
        """As `runs`, of those alone whose contents are all there; nothing is changed."""
        try:
            found = from_bytes(_read(self._entry(key)))
        except (OSError, ValueError):
            return []
        return [run for run in found if all(map(self._is_there, run.parts))]

    def _is_there(self, part: Part) -> bool:
        return (
            not _CONTENT(part.digest) or part.link is not None or os.path.lexists(self._content(part.digest))
        )

    def bring(self, key: str, kept: Kept) -> bool:
        """Put what a run left where it belongs; nothing may be there.

        Whether it is what was kept: if not, nothing is kept any more, and what is there is not to be used, as after an
        OSError or a DiskError.
        """
        for part in sorted(
            kept.parts, key=lambda part: part.link is not None
        ):  # nobody writes through a link
            try:
                self._bring(part)
            except FileNotFoundError:
                self.drop(key)
                return False
            if _CONTENT(part.digest) and self._disk.digest(part.path) != part.digest:
                self.drop(key)
                self._remove(self._content(part.digest))
                return False
        for part in reversed(kept.parts):  # those inside first: one may not be written to afterwards
            if part.path[-1:] == "/" and part.mode:
                with contextlib.suppress(OSError):
                    os.chmod(self._disk.absolute(part.path), part.mode)
        with contextlib.suppress(OSError):
            os.utime(self._entry(key))  # when it was used last
        return True

    def _bring(self, part: Part) -> None:
        where = self._disk.absolute(part.path).rstrip("/")
        if part.link is not None:
            os.makedirs(os.path.dirname(where), exist_ok=True)
            os.symlink(part.link, where)
        elif part.path[-1:] == "/":
            os.makedirs(where, exist_ok=True)
        else:
            if not os.path.isdir(os.path.dirname(where)):
                os.makedirs(os.path.dirname(where))
            _copy(self._content(part.digest), where, part.mode)

    def keep(self, key: str, kept: Kept) -> None:
        """Take over what a run left, which is in its place and not open to anybody."""
        try:
            sizes = {part.digest: self._size(part) for part in kept.parts}
            before = [run for run in self.runs(key) if run.found != kept.found]
            entry = to_bytes([kept, *before][:MOST])
            size = sum(sizes.values()) + len(entry)
            if size > self._limit:
                return
            if self.size is None:
                self.size = kept_size(self._disk)
            if self.size + size > self._limit:
                self._make_room(self._limit * _LEFT - size)
            for part in kept.parts:
                if sizes[part.digest]:
                    self._take(part)
            self._write(self._entry(key), entry)
        except (OSError, DiskError):
            return  # what was taken over by then counts, and goes when it is the oldest

    def _size(self, part: Part) -> int:
        """The bytes that are to be taken for a part: none of a link or a directory, nor if they are there already."""
        if not _CONTENT(part.digest) or os.path.lexists(self._content(part.digest)):
            return 0
        return os.lstat(self._disk.absolute(part.path)).st_size or 1

    def _take(self, part: Part) -> None:
        source = self._disk.absolute(part.path)
        self._put(self._content(part.digest), lambda fresh: _copy(source, fresh, 0o600))

    def _write(self, where: str, data: bytes) -> None:
        def fill(fresh: str) -> None:
            with open(os.open(fresh, _NEW, 0o600), "wb") as file:
                file.write(data)

        self._put(where, fill)

    def _put(self, where: str, fill: Callable[[str], object]) -> None:
        """Make a file of the cache: whole, or not at all. Raises OSError."""
        self._make_folder(os.path.dirname(where))
        fresh = f"{where}.new"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(fresh)
        before = os.lstat(where).st_size if os.path.lexists(where) else 0
        try:
            fill(fresh)
            size = os.lstat(fresh).st_size
            os.rename(fresh, where)
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(fresh)
            raise
        self._grow(size - before)

    def _make_folder(self, where: str) -> None:
        """Make a folder of the cache. OSError if a link stands in its place: what is written there lands elsewhere."""
        if where in self._sure:
            return
        folder = self._disk.absolute(STATE)
        for name in where.removeprefix(f"{folder}/").split("/"):
            folder = f"{folder}/{name}"
            with contextlib.suppress(FileExistsError):
                os.mkdir(folder, 0o700)
            if os.path.islink(folder):
                raise NotADirectoryError(folder)
        self._sure.add(where)

    def _grow(self, size: int) -> None:
        self.has_changed = True
        if self.size is not None:
            self.size += size

    def drop(self, key: str) -> None:
        """Keep nothing under a key."""
        self._remove(self._entry(key))

    def _remove(self, where: str) -> None:
        """Remove a file of the cache, unless its folder is a link."""
        folders = (os.path.dirname(where), os.path.dirname(os.path.dirname(where)), self._folder)
        if not any(map(os.path.islink, folders)):
            with contextlib.suppress(OSError):
                size = os.lstat(where).st_size
                os.unlink(where)
                self._grow(-size)

    def _make_room(self, room: float) -> None:
        """Let go of what was not used for the longest time, until the rest takes no more than so many bytes."""
        entries = sorted(_files(f"{self._folder}/jobs"), key=lambda found: found[1].st_mtime, reverse=True)
        contents = {
            os.path.basename(path): (path, found.st_size) for path, found in _files(f"{self._folder}/files")
        }
        stay: set[str] = set()
        size = 0
        for path, found in entries:
            with contextlib.suppress(OSError, ValueError):
                parts = (part for run in from_bytes(_read(path)) for part in run.parts)
                wanted = {part.digest for part in parts} & contents.keys()
                more = found.st_size + sum(contents[name][1] for name in wanted - stay)
                if size + more <= room:
                    size += more
                    stay |= wanted
                    continue
                room = 0  # all that is older goes, too
            with contextlib.suppress(OSError):
                os.unlink(path)
        for name in contents.keys() - stay:
            with contextlib.suppress(OSError):
                os.unlink(contents[name][0])
        self.size = size
        self.has_changed = True

    def _entry(self, key: str) -> str:
        return f"{self._folder}/jobs/{key[:2]}/{key}"

    def _content(self, digest: str) -> str:
        if not _CONTENT(digest):
            raise FileNotFoundError(digest)  # of no file
        return f"{self._folder}/files/{digest[1:3]}/{digest}"


def _files(folder: str) -> Iterator[tuple[str, os.stat_result]]:
    """Every file below a folder; links are not followed, and nothing is below a link."""
    if os.path.islink(folder):
        return
    for where, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(where, name)
            with contextlib.suppress(OSError):
                yield path, os.lstat(path)


def _read(path: str) -> bytes:
    """What is in a small file. OSError if it is none: a pipe is not waited for."""
    handle = os.open(path, _OLD)
    with open(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise FileNotFoundError(path)
        return file.read()


def _copy(source: str, target: str, mode: int) -> None:
    """Copy a file to where there is none; blocks are shared where the file system can.

    Not a hard link: who edits the one file would change the other.
    """
    old = os.open(source, _OLD)
    try:
        looks = os.fstat(old)
        if not stat.S_ISREG(looks.st_mode):
            raise FileNotFoundError(source)
        new = os.open(target, _NEW, 0o600)
        try:
            _pour(old, new, looks.st_size)
            with contextlib.suppress(OSError):  # some file systems know fewer permissions
                os.fchmod(new, mode)
        finally:
            os.close(new)
    finally:
        os.close(old)


def _pour(old: int, new: int, size: int) -> None:
    done = 0
    if hasattr(os, "copy_file_range"):
        with contextlib.suppress(
            OSError
        ):  # between some file systems it cannot be used: then the rest is copied
            while done < size and (more := os.copy_file_range(old, new, min(_PIECE, size - done))):
                done += more
    if done < size:
        os.lseek(old, done, os.SEEK_SET)
        os.lseek(new, done, os.SEEK_SET)
        with open(old, "rb", closefd=False) as source, open(new, "wb", closefd=False) as target:
            shutil.copyfileobj(source, target, 1 << 20)


def kept_size(disk: Disk) -> int:
    """How many bytes are kept."""
    return sum(found.st_size for _, found in _files(disk.absolute(FOLDER)))


def clear(disk: Disk) -> None:
    """Keep nothing of all that."""
    disk.remove(FOLDER + "/")
