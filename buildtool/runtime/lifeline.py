"""Runs a command that is to end with the process that started it, even if that one is killed, and all below it.

`main(PID, COMMAND)`: `PID` is the process whose end is the end. Needs nothing but the standard library.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from types import FrameType

from buildtool.runtime.children import adopt, end_children
from buildtool.runtime.parent import end_with_parent

_LOOKS = 0.5  # seconds between two looks where the system tells nothing
_GRACE = 4.0  # seconds between TERM and KILL; less than those after which we are killed ourselves


def main(parent: int, argv: list[str]) -> int:
    """Run the command; its exit code, or 128 and the signal that ended it."""
    done = threading.Event()

    def end(_number: int, _frame: FrameType | None) -> None:
        done.set()

    signal.signal(signal.SIGTERM, end)
    told = end_with_parent(signal.SIGTERM)
    adopt()
    child = subprocess.Popen(argv)
    codes: list[int] = []

    def wait() -> None:
        while not codes or sys.platform == "linux":  # those that were adopted are waited for, too
            try:
                pid, status = os.waitpid(-1, 0)
            except ChildProcessError:
                return
            if pid == child.pid:
                codes.append(os.waitstatus_to_exitcode(status))
                done.set()

    waiting = threading.Thread(target=wait, daemon=True)
    waiting.start()
    while not done.wait(None if told and os.getppid() == parent else _LOOKS):
        if os.getppid() != parent:
            break
    if not codes:
        _end_group(codes)
    end_children(now=True)
    waiting.join(_LOOKS)
    if not codes:
        os.killpg(0, signal.SIGKILL)
    return codes[0] if codes[0] >= 0 else 128 - codes[0]


def _end_group(codes: list[int]) -> None:
    """TERM to all of our process group but us, and time for the command to end."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.killpg(0, signal.SIGTERM)
    until = time.monotonic() + _GRACE
    while not codes and time.monotonic() < until:
        time.sleep(0.02)


def start() -> None:
    """`main` of the words on the command line, as a program."""
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
