"""Runs a command that is to end with the process that started it, even if that one is killed.

    python lifeline.py PID COMMAND…

`PID` is the process whose end is the end. Needs nothing but the standard library.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from types import FrameType

_PR_SET_PDEATHSIG = 1
_LOOKS = 0.5  # seconds between two looks where the system tells nothing
_GRACE = 5.0  # seconds between TERM and KILL


def main(parent: int, argv: list[str]) -> int:
    """Run the command; its exit code, or 128 and the signal that ended it."""
    done = threading.Event()

    def end(_number: int, _frame: FrameType | None) -> None:
        done.set()

    signal.signal(signal.SIGTERM, end)
    told = _ask_to_be_told()
    child = subprocess.Popen(argv)

    def wait() -> None:
        child.wait()
        done.set()

    threading.Thread(target=wait, daemon=True).start()
    while not done.wait(None if told and os.getppid() == parent else _LOOKS):
        if os.getppid() != parent:
            break
    if child.poll() is None:
        _end_group(child)
    code = child.wait()
    return code if code >= 0 else 128 - code


def _ask_to_be_told() -> bool:
    """Have the kernel send TERM when the parent dies; whether it can."""
    if sys.platform != "linux":
        return False
    return bool(ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM) == 0)


def _end_group(child: subprocess.Popen[bytes]) -> None:
    """TERM to all of our process group but us, and KILL to those that stay."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.killpg(0, signal.SIGTERM)
    until = time.monotonic() + _GRACE
    while child.poll() is None and time.monotonic() < until:
        time.sleep(0.02)
    if child.poll() is None:
        os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
