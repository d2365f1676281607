"""Processes that a job left behind, found and ended by the process that ran it.

Knows Linux's /proc alone: elsewhere nothing is ended.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from typing import Any

_PR_SET_CHILD_SUBREAPER = 36  # of Linux's <sys/prctl.h>
# Where Python and loky keep what watches over shared memory for as long as its process lives.
_TRACKERS = tuple(
    f"{package}.resource_tracker"
    for package in ("multiprocessing", "loky.backend", "joblib.externals.loky.backend")
)
_GRACE = 1.0  # seconds between TERM and KILL
_LINGER = 1.0  # seconds in which they may end by themselves


_adopts: list[bool] = []


def adopt() -> None:
    """From now on, who loses its parent below this process becomes its child: nobody gets away. Linux only."""
    if _adopts or not sys.platform.startswith("linux"):
        return
    _adopts.append(True)
    with contextlib.suppress(ImportError, OSError, AttributeError):
        import ctypes  # 2 ms, once in a process

        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def has_children() -> bool:
    """Whether processes run that this one has started or adopted. Takes the status of those that have ended.

    One system call where there are none: every job is asked this.
    """
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    known = helpers()
    return not known or not known.issuperset(_children())


def helpers() -> set[int]:
    """Processes that are no job's: they live as long as this one, and end with it."""
    found = set()
    for name in _TRACKERS:
        tracker = getattr(sys.modules.get(name), "_resource_tracker", None)
        pid = getattr(tracker, "_pid", None)
        if isinstance(pid, int):
            found.add(pid)
    return found


def stop_forkserver() -> None:
    """End what `multiprocessing` forks from: it has imported code of the job that started it."""
    server: Any = getattr(sys.modules.get("multiprocessing.forkserver"), "_forkserver", None)
    if _is_child(getattr(server, "_forkserver_pid", None)):  # else it may be one of our parent
        with contextlib.suppress(Exception):  # it is Python's own, and not for others to use
            server._stop()  # noqa: SLF001


def _is_child(pid: int | None) -> bool:
    """Whether it is a child of this process. Lists of all in /proc may leave some out while threads end."""
    if pid is None:
        return False
    try:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def _children() -> list[int]:
    """The children of this process; where the system does not tell all of them, one that nobody has is among them."""
    found = []
    for thread in os.listdir("/proc/self/task") if os.path.isdir("/proc/self/task") else ("",):
        try:
            with open(f"/proc/self/task/{thread}/children", "rb") as file:
                found += [int(pid) for pid in file.read().split()]
        except OSError:  # the thread has just ended: another one has its children now
            found.append(0)
    return found


def end_children(*, now: bool = False) -> int:
    """End all descendants of this process: how many there were. Waits until they are gone, or cannot be ended.

    `now`: kill them at once.
    """
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:  # it has none: there is no need to look at all processes
        return 0
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
    found, known = [], helpers()
    for pid in parents:
        above = parents.get(pid)
        while above is not None and above != os.getpid():
            above = parents.get(above)
        if above is not None and pid not in known:
            found.append(pid)
    return found
