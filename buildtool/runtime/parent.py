"""A process that ends with the one that started it, however that ends, and not by Ctrl-C. Only Linux can tell it so."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from typing import Protocol

_PR_SET_PDEATHSIG = 1  # of Linux's <sys/prctl.h>
_INIT = 1  # the process that takes in those whose parent has died


class Gate(Protocol):
    """What a process may have to wait at before it takes work."""

    def acquire(self) -> object:
        """Wait until one more may pass."""
        ...


def end_with_parent(number: signal.Signals = signal.SIGKILL) -> bool:
    """Have the kernel send this signal when the thread that started this process ends; whether it can."""
    if sys.platform != "linux":
        return False
    import ctypes  # only who calls this needs it

    with contextlib.suppress(OSError, AttributeError):
        return bool(ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0) == 0)
    return False


def begin_worker(gate: Gate | None = None, parent: int | None = None) -> None:
    """What a worker of a pool does first: it would wait for work for ever, if nobody is left to send it any.

    `parent`: the process that sends it work, if that is the one that has started it.
    """
    end_with(parent)
    if parent is None and _is_left():
        os._exit(1)
    if gate is not None:
        gate.acquire()


def end_with(parent: int | None) -> None:
    """Have this process end with that one, which started it, and leave Ctrl-C to those who started both."""
    end_with_parent()
    if os.getppid() == _INIT or parent not in (None, os.getppid()):
        os._exit(1)  # it has died before this was said
    # A function, since what a process ignores the programs that it starts ignore, too.
    signal.signal(signal.SIGINT, lambda _number, _frame: None)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGINT,))


def _is_left() -> bool:
    """Whether the process that had this one started by another has ended."""
    import multiprocessing  # loaded already in all whom this concerns

    asker = multiprocessing.parent_process()
    return asker is not None and not asker.is_alive()


@contextlib.contextmanager
def shielded() -> Iterator[None]:
    """Who is started inside of this is not interrupted by Ctrl-C until it can cope with that, in `end_with`."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT,))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
