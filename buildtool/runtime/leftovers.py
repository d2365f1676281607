"""What a job may have set in its process that would meet the next job: limits, timers, priority, broken streams.

Does not know the job.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import sys
from collections.abc import Callable
from typing import Any

_LIMITS = [getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_")]
_TIMERS = (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)
_STREAMS = ("stdin", "stdout", "stderr")


_known: list[tuple[dict[int, tuple[int, int]], int]] = []  # limits and priority, as they were put back last


def remember(*, only_jobs: bool) -> Callable[[], bool]:
    """What puts all of it back as it is now, and says whether that was possible.

    `only_jobs`: between two jobs nothing else runs in this process, so that what one was put back to meets the next.
    """
    if not (only_jobs and _known):
        _known[:] = [({limit: resource.getrlimit(limit) for limit in _LIMITS}, os.nice(0))]
    limits, nice = _known[0]
    hooks = (sys.gettrace(), sys.getprofile())
    timers = [timer for timer in _TIMERS if not signal.getitimer(timer)[0]]

    def put_back() -> bool:
        for timer in timers:
            signal.setitimer(timer, 0)
        if (sys.gettrace(), sys.getprofile()) != hooks:
            sys.settrace(hooks[0])
            sys.setprofile(hooks[1])
        moved = [limit for limit, values in limits.items() if resource.getrlimit(limit) != values]
        for limit in moved:
            with contextlib.suppress(OSError, ValueError):  # one may lower a limit for good
                resource.setrlimit(limit, limits[limit])
        is_back = os.nice(0) == nice and all(resource.getrlimit(limit) == limits[limit] for limit in moved)
        if not is_back:
            _known.clear()
        return is_back

    return put_back


def mend_streams(*, seekable: bool = True) -> None:
    """Make those standard streams anew that were closed or taken apart; their descriptors are there.

    Unless `seekable`, those for output, too, that were made when their descriptor was a file and is none now.
    """
    for number, name in enumerate(_STREAMS):
        stream = getattr(sys, name)
        if stream is not None and (
            _is_closed(stream) or (number and not seekable and getattr(stream, "seekable", bool)())
        ):
            mode, errors = ("w", "backslashreplace") if number else ("r", None)
            fresh = open(number, mode, 1, encoding="utf-8", errors=errors, closefd=False)  # noqa: SIM115
            setattr(sys, name, fresh)
            if getattr(sys, f"__{name}__") is stream and seekable:
                setattr(sys, f"__{name}__", fresh)


def _is_closed(stream: Any) -> bool:
    try:
        return bool(stream.closed)
    except (ValueError, AttributeError):  # its buffer has been taken
        return True
