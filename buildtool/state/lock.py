"""The lock on a project: one writer at a time, by a kernel lock that dies with its process.

What stands in the file tells who holds it and decides nothing. Does not know what the holder does.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import time
from collections.abc import Callable
from typing import Self

from buildtool.errors import LockedError, StateError
from buildtool.state.directory import prepare, shown, unwritable
from buildtool.text import cause_of, duration, printable
from buildtool.tuples import NamedTuple

NAME = "lock"
ATTEMPTS = 5  # a reader that looks who holds the lock gets in the way for some microseconds
PAUSE = 0.005  # seconds
LOOK = 0.05  # seconds between two tries while another `bt` has the lock
NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL}

_held: set[int] = set()  # descriptors that a forked child must not keep alive


class Holder(NamedTuple):
    """The process that holds the lock, as it introduced itself."""

    pid: int
    started: float  # seconds since the epoch: when it got the lock
    host: str
    command: str

    @property
    def age(self) -> float:
        """Seconds since it got the lock; never negative, even if the clock was set back."""
        return max(0.0, time.time() - self.started)


NOBODY_KNOWN = Holder(0, 0.0, "", "bt")  # it has locked and not yet written its name


class Lock:
    """The lock, held until `release` or the end of the process."""

    def __init__(self, descriptor: int, before: bytes, introduction: bytes) -> None:
        self._descriptor = descriptor
        self.before = before  # who had it before, as they wrote of themselves
        self.introduction = introduction  # the same of this one
        _held.add(descriptor)

    def release(self) -> None:
        """Let go; a second call does nothing."""
        if self._descriptor in _held:
            _held.discard(self._descriptor)
            os.close(self._descriptor)
        self._descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.release()


def acquire(
    directory: str,
    command: str,
    wait: bool,
    on_wait: Callable[[Holder], None],
    pause: Callable[[], bool] | None = None,
) -> Lock:
    """Take the lock of the state folder `directory`, which is made if need be.

    If another process has it, `on_wait` is called once and this one sleeps until it is free; a signal handler
    that raises ends the sleep. With `pause`, that is called between two tries instead, and says whether there is to be
    another. With `wait=False`, or when there is none, LockedError.
    """
    prepare(directory)
    path = os.path.join(directory, NAME)
    told = False
    while True:
        descriptor = _open(path)
        try:
            if not _try_often(descriptor, path):
                _tell(_introduction(descriptor), wait, None if told else on_wait)
                told = True
                _wait(descriptor, path, pause)
            if (words := _introduce(descriptor, path, command)) is not None:
                return Lock(descriptor, *words)
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # the folder was deleted and made anew meanwhile: that lock guards nothing


def read_holder(directory: str) -> Holder | None:
    """Who holds the lock at this moment, or None. Changes nothing on the disk and never waits."""
    try:
        descriptor = os.open(os.path.join(directory, NAME), os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _introduction(descriptor)
    except OSError:
        return None
    else:
        return None
    finally:
        os.close(descriptor)


def _open(path: str) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise unwritable(path, error) from error


def _flock(descriptor: int, path: str, how: int) -> bool:
    """Lock; False if it is taken and `how` says not to wait."""
    try:
        fcntl.flock(descriptor, how)
    except BlockingIOError:
        return False
    except OSError as error:
        raise _trouble(path, error) from error
    return True


def _try_often(descriptor: int, path: str) -> bool:
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(PAUSE)
        if _flock(descriptor, path, fcntl.LOCK_EX | fcntl.LOCK_NB):
            return True
    return False


def _wait(descriptor: int, path: str, pause: Callable[[], bool] | None) -> None:
    while not _flock(descriptor, path, fcntl.LOCK_EX | fcntl.LOCK_NB):
        if pause is None:
            # Not in the kernel: a signal that came just before would be seen only once the lock is free.
            time.sleep(LOOK)
        elif not pause():
            raise _locked(_introduction(descriptor))


def _introduce(descriptor: int, path: str, command: str) -> tuple[bytes, bytes] | None:
    """Write who holds the lock; what stood there before, and what does now.

    None if the locked file is not the one any more that others would lock.
    """
    text = json.dumps(Holder(os.getpid(), time.time(), os.uname().nodename, command)._asdict())
    try:
        if not os.path.samestat(os.fstat(descriptor), os.stat(path)):
            return None
        before = os.pread(descriptor, 1 << 20, 0)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, text.encode("ascii"), 0)
    except FileNotFoundError:
        prepare(os.path.dirname(path))
        return None
    except OSError as error:
        raise unwritable(path, error) from error
    return before, text.encode("ascii")


def _introduction(descriptor: int) -> Holder:
    """What the holder wrote about itself; it may need a moment to do so."""
    for _ in range(ATTEMPTS):
        try:
            values = json.loads(os.pread(descriptor, 1 << 20, 0))
            return Holder(
                int(values["pid"]), float(values["started"]), str(values["host"]), str(values["command"])
            )
        except (ValueError, KeyError, TypeError):
            time.sleep(PAUSE)
    return NOBODY_KNOWN


def _tell(holder: Holder, wait: bool, on_wait: Callable[[Holder], None] | None) -> None:
    """Say who is in the way: to `on_wait`, or as LockedError if nobody wants to wait."""
    if not wait:
        raise _locked(holder)
    if on_wait is not None:
        on_wait(holder)


def _locked(holder: Holder) -> LockedError:
    facts: tuple[tuple[str, str], ...] = ()
    if holder.pid:
        here = holder.host == os.uname().nodename
        facts = (
            ("process", str(holder.pid) if here else f"{holder.pid} on {printable(holder.host)}"),
            ("command", printable(holder.command)),
            ("running for", duration(holder.age)),
        )
    return LockedError(
        "another `bt` is at work in this project",
        facts=facts,
        hint="try again when it has ended, or leave out `--no-wait` to wait for it",
    )


def _trouble(path: str, error: OSError) -> StateError:
    if error.errno not in NO_LOCKS:
        return unwritable(path, error)
    return StateError(
        f"the file system of `{shown(path)}` has no locks",
        facts=(("cause", cause_of(error)),),
        hint="move the project to a local disk, or mount this one with locks (NFS: without `nolock`)",
    )


def _forget_after_fork() -> None:
    for descriptor in _held:
        os.close(descriptor)  # closing is not unlocking: the parent keeps the lock
    _held.clear()


os.register_at_fork(after_in_child=_forget_after_fork)
