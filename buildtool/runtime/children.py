"""Processes that a job left behind, ended by the process that ran it.

Knows Linux's /proc alone: elsewhere nothing is found, and nothing is ended.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time

_GRACE = 1.0  # seconds between TERM and KILL
_LINGER = 0.25  # seconds in which they may end by themselves


def end_children(*, now: bool = False) -> int:
    """End all descendants of this process: how many there were. Waits until they are gone, or cannot be ended.

    `now`: kill them at once.
    """
    until = time.monotonic() + (0 if now else _LINGER)
    while (left := _descendants()) and time.monotonic() < until:
        time.sleep(0.01)
    found = len(left)
    for number in (signal.SIGKILL,) if now else (signal.SIGTERM, signal.SIGKILL):
        for pid in left:
            with contextlib.suppress(OSError):
                os.kill(pid, number)
        until = time.monotonic() + _GRACE
        while (left := _descendants()) and time.monotonic() < until:
            time.sleep(0.01)
    return found


def _descendants() -> list[int]:
    """The processes below this one that run; those that have ended and that nobody waited for are none."""
    parents: dict[int, int] = {}
    with contextlib.suppress(OSError):
        for name in os.listdir("/proc"):
            if name.isdigit():
                with contextlib.suppress(OSError), open(f"/proc/{name}/stat", "rb") as file:
                    fields = file.read().rpartition(b")")[2].split()
                    if fields[0] not in {b"Z", b"X"}:
                        parents[int(name)] = int(fields[1])
    found = []
    for pid in parents:
        above = parents.get(pid)
        while above is not None and above != os.getpid():
            above = parents.get(above)
        if above is not None:
            found.append(pid)
    return found
