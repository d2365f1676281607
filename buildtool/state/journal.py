"""Which jobs may be writing at this moment, in a file that only grows: a line costs a tenth of a transaction.

A line is with the system once it is written, as a commit is: whoever is killed afterwards has left it. It begins a
job; that one is settled is told by the database, in the transaction that says how, and then by the journal for good.
Does not know the database: who reads it says which journal is meant, and what is settled beyond what stands in it.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Collection, Iterable
from typing import Any

from buildtool.errors import StateError
from buildtool.state.directory import sync_directory, unwritable
from buildtool.state.records import Left, Running
from buildtool.state.rows import pack_written, to_json, to_pairs, with_written

FILE = "running"
LARGE = 1 << 20  # bytes; what is not needed any more is left out then
_OLD = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
_BEGUN, _PROCESS, _SETTLED, _MARK = "begun", "process", "settled", "journal"
_COPIED = "copied"  # what a job may write over
_READY = "ready"  # all copies are made, and it may write from now on
_ASIDE = "aside"  # what lies aside is about to go to another place
_TIME = "time"  # what follows was begun then


class Journal:
    """The journal of the process that holds the lock. `mark` tells it from all others.

    `run` marks its processes, and `place` is that of the state: for those who find it without its database. Raises
    `StateError` where it cannot be written: what it was to say does not stand then.
    """

    def __init__(self, directory: str, mark: str, run: str = "", place: str = "") -> None:
        self._path = os.path.join(directory, FILE)
        self._head: list[object] = [_MARK, mark, run, place]
        self._open: dict[str, tuple[int, Running]] = {}  # begun and not settled, by key
        self._last = 0  # number of what was begun last
        self._ending: list[Running] = []  # settled since the database was told so
        self._ended: list[Running] = []  # and what was then: it may not be cleared away yet
        self._size = 0
        self._is_named = False  # on the disk, too, since it was synced
        try:
            self._file = os.open(self._path, _NEW, 0o600)
        except OSError as error:
            raise unwritable(self._path, error) from error
        self._write([self._head])

    def begin(self, jobs: Iterable[Running]) -> None:
        """Note that these jobs may write their outputs from now on."""
        now = round(time.time(), 3)
        lines: list[list[object]] = [[_TIME, now]]
        for job in jobs:
            self._last += 1
            self._open[job.key] = (self._last, job._replace(began=now))
            lines.append(_begun(self._last, job))
        self._write(lines)

    def sync(self) -> None:
        """Wait until it is on the disk, with its name."""
        try:
            os.fsync(self._file)
            if not self._is_named:
                sync_directory(os.path.dirname(self._path))
                self._is_named = True
        except OSError as error:
            raise unwritable(self._path, error) from error

    def set_process(self, key: str, pid: int, stamp: str | None) -> bool:
        """Note which process does a job; whether it was begun here."""
        if key not in self._open:
            return False
        number, job = self._open[key]
        self._open[key] = (number, job._replace(pid=pid, stamp=stamp))
        self._write([[_PROCESS, number, pid, stamp]])
        return True

    def add_copies(self, key: str, copies: tuple[tuple[str, str], ...]) -> None:
        """Note where copies are about to be made of what a job may write over, if it was begun here."""
        if key not in self._open:
            return
        number, job = self._open[key]
        self._open[key] = (number, job._replace(copies=job.copies + copies))
        self._write([[_COPIED, number, copies]])

    def add_aside(self, key: str, places: tuple[tuple[str, str], ...]) -> None:
        """Note that what lies aside is about to go to these places; it stands on the disk then."""
        if key not in self._open:
            return
        number, job = self._open[key]
        self._open[key] = (number, job._replace(aside=job.aside + places))
        self._write([[_ASIDE, number, places]])
        self.sync()

    def set_ready(self, key: str) -> None:
        """Note that a job that waited may write from now on."""
        if key not in self._open:
            return
        number, job = self._open[key]
        self._open[key] = (number, job._replace(waits=False))
        self._write([[_READY, number]])

    def settle(self, key: str) -> int | None:
        """The number of what was begun and now is not any more; it is to be kept, and told with `settled`."""
        found = self._open.pop(key, None)
        if found is None:
            return None
        self._ending.append(found[1])
        return found[0]

    def settled(self, numbers: Collection[int]) -> None:
        """Say of these for good that they are settled; the database has said so already."""
        self._ended, self._ending = self._ending, []
        if self._size > LARGE:
            self._shrink()
        elif numbers:
            self._write([[_SETTLED, *numbers]])

    def running(self) -> list[Running]:
        """The jobs that were begun and are not settled."""
        return [job for _, job in self._open.values()]

    def moved(self) -> list[tuple[str, str]]:
        """(path, place) of the jobs that were settled last."""
        return [pair for job in (*self._ended, *self._ending) for pair in (*job.aside, *job.copies)]

    def close(self, *, remove: bool) -> None:
        """Let go of the file; with `remove` it goes, too."""
        os.close(self._file)
        if remove:
            discard(os.path.dirname(self._path))

    def _write(self, lines: list[list[object]]) -> None:
        # Each line begins with its end: half a line, of a disk that was full, spoils no other.
        data = b"".join(b"\n" + to_json(line).encode("ascii") for line in lines)
        try:
            left = memoryview(data + b"\n")
            self._size += len(left)
            while left:
                left = left[os.write(self._file, left) :]
        except OSError as error:
            raise unwritable(self._path, error) from error

    def _shrink(self) -> None:
        """Put a journal into its place that tells of what is not settled alone."""
        fresh = f"{self._path}.new"
        before = self._file
        try:
            self._file = os.open(fresh, _NEW, 0o600)
        except OSError as error:
            raise unwritable(fresh, error) from error
        self._size = 0
        try:
            lines = [self._head]
            for number, job in self._open.values():
                lines += [[_TIME, job.began], _begun(number, job)]
            if self._last not in {number for number, _ in self._open.values()}:
                lines.append([_SETTLED, self._last])  # so that it is seen to be whole
            self._write(lines)
            if self._is_named:
                os.fsync(self._file)
                self._is_named = False
            os.replace(fresh, self._path)
        except (OSError, StateError) as error:
            os.close(self._file)
            self._file = before  # it tells too much, and nothing wrong
            if isinstance(error, OSError):
                raise unwritable(fresh, error) from error
            raise
        os.close(before)


def _begun(number: int, job: Running) -> list[object]:
    return [_BEGUN, number, job.key, job.task, pack_written(job), job.aside, job.pid, job.stamp]


def look(directory: str, settled: Collection[int] = ()) -> Left | None:
    """What a journal says, and what is settled beyond what stands in it; None if there is none."""
    try:
        with os.fdopen(os.open(os.path.join(directory, FILE), _OLD), "rb") as file:
            data = file.read() or b""
    except OSError:
        return None
    found = _Reading()
    is_torn = not data.endswith(b"\n")
    for line in filter(None, data.split(b"\n")):
        try:
            found.take(*json.loads(line))
        except (ValueError, TypeError, KeyError, IndexError):
            is_torn = True
    is_torn = is_torn or any(number > found.last for number in settled)  # a whole end of it is lost
    found.settle(settled)
    pairs = [pair for job in found.settled for pair in (*job.aside, *job.copies)]
    return Left(
        found.mark, found.run, found.place, (*found.open.values(),), (*pairs,), is_torn or found.mark is None
    )


class _Reading:
    """What the lines of a journal say, taken in one after the other."""

    def __init__(self) -> None:
        self.mark: str | None = None
        self.run = self.place = ""
        self.open: dict[int, Running] = {}  # begun and not settled
        self.settled: list[Running] = []
        self.last = 0  # number that is told of
        self._last: dict[str, int] = {}  # what was begun last, by key: it takes the place of what was before
        self._began: float | None = None

    def take(self, kind: object, *values: Any) -> None:
        """What one line says; ValueError, TypeError or KeyError if it makes no sense."""
        if kind == _MARK:
            self.mark, self.run, self.place = map(str, values)
        elif kind == _TIME:
            (self._began,) = values
        elif kind == _BEGUN:
            number, key, task, written, aside, pid, stamp = values
            job = Running(key, task, (), to_pairs(aside), pid, stamp, self._began)
            job = with_written(job, written)
            self.open.pop(self._last.get(key, 0), None)
            self._last[key] = number
            self.last = max(self.last, number)
            self.open[number] = job
        elif kind == _PROCESS:
            number, pid, stamp = values
            self._change(number, pid=pid, stamp=stamp)
        elif kind == _COPIED:
            number, copies = values
            self._change(number, copies=self.open[number].copies + to_pairs(copies))
        elif kind == _READY:
            (number,) = values
            self._change(number, waits=False)
        elif kind == _ASIDE:
            number, places = values
            self._change(number, aside=self.open[number].aside + to_pairs(places))
        elif kind == _SETTLED:
            self.last = max(self.last, *values)
            self.settle(values)
        else:
            raise ValueError(kind)

    def settle(self, numbers: Iterable[int]) -> None:
        """These are settled."""
        self.settled += [self.open.pop(number) for number in numbers if number in self.open]

    def _change(self, number: int, **values: Any) -> None:
        self.open[number] = self.open[number]._replace(**values)


def read(directory: str, mark: str, settled: Collection[int]) -> list[Running]:
    """What a journal says of jobs that were begun and not settled; nothing if it is another one."""
    left = look(directory, settled)
    return [*left.jobs] if left is not None and left.mark == mark else []


def discard(directory: str) -> None:
    """Remove a journal that nobody needs any more."""
    with contextlib.suppress(OSError):
        os.unlink(os.path.join(directory, FILE))
