"""A process that ends with the one that started it, however that ends. Only Linux can tell it so."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
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


def begin_worker(gate: Gate | None = None) -> None:
    """What a worker of a pool does first: it would wait for work for ever, if nobody is left to send it any."""
    end_with_parent()
    if os.getppid() == _INIT:
        os._exit(1)  # it has died before this was said
    if gate is not None:
        gate.acquire()
