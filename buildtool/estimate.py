"""How long a build will still take and what it costs, from what its jobs took before.

Knows the order of jobs and their times, not how they run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from buildtool.graph import JobId
from buildtool.plan import Plan, State


def time_left(
    plan: Plan,
    seconds: Callable[[JobId], float | None],
    running: Mapping[JobId, float],
    at_once: float,
) -> float | None:
    """Seconds until all that is wanted is settled; None as long as nobody knows how long any job takes.

    Jobs that wait for others are taken to run, since something before them does; those that are still to be looked at
    are not. What is not known takes what is usual. `running`: for how long jobs have run. `at_once`: see `shortest`.
    """
    known: dict[JobId, float | None] = {}
    for job in plan.unsettled():
        if plan.state(job) is not State.CHECKING:
            whole = seconds(job)
            known[job] = whole if whole is None or job not in running else max(0.0, whole - running[job])
    times = filled(known)
    return None if times is None else shortest(times, plan.waiting_for, at_once)


def filled(known: Mapping[JobId, float | None]) -> dict[JobId, float] | None:
    """The times with what is usual where one is not known; None if none is."""
    told = [time for time in known.values() if time is not None]
    if known and not told:
        return None
    usual = sum(told) / len(told) if told else 0.0
    return {job: usual if time is None else time for job, time in known.items()}


def cost(seconds: Iterable[float | None], price: float) -> float:
    """What jobs cost of which this is known, at so much for an hour of each: as if none waited for others there."""
    return sum(time for time in seconds if time is not None) / 3600 * price


def shortest(
    times: Mapping[JobId, float], waiting_for: Callable[[JobId], Iterable[JobId]], at_once: float
) -> float:
    """In how many seconds these jobs can be done at best, so many of them at a time.

    The greater of two: the longest chain of jobs that wait for each other, and the work of all of them shared by
    those that run at once (Graham's bounds: nothing is faster, and a list in any order takes at most both together).
    """
    return max(_longest(times, waiting_for), sum(times.values()) / max(1.0, at_once))


def _longest(times: Mapping[JobId, float], waiting_for: Callable[[JobId], Iterable[JobId]]) -> float:
    """The length of the longest chain; from its end, in one pass. What waits for each other counts as nothing."""
    before: dict[JobId, list[JobId]] = {}
    waiting: dict[JobId, int] = {}
    for job in times:
        for waiter in waiting_for(job):
            if waiter in times:
                before.setdefault(waiter, []).append(job)
                waiting[job] = waiting.get(job, 0) + 1
    after = dict.fromkeys(times, 0.0)  # the longest chain of those that wait for a job
    pending = [job for job in times if job not in waiting]
    longest = 0.0
    for job in pending:
        whole = times[job] + after[job]
        longest = max(longest, whole)
        for other in before.get(job, ()):
            after[other] = max(after[other], whole)
            waiting[other] -= 1
            if not waiting[other]:
                pending.append(other)
    return longest
