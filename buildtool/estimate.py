"""How long a build will still take, from what its jobs took before.

Knows the order of jobs and their times, not how they run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from buildtool.graph import JobId
from buildtool.plan import Plan, State


def time_left(
    plan: Plan,
    seconds: Callable[[JobId], float | None],
    running: Mapping[JobId, float],
    at_once: float,
) -> float | None:
    """Seconds until all that is wanted is settled; None as long as nobody knows how long any job takes.

    The greater of two: the longest chain of jobs that wait for each other, and the work of all of them shared by
    those that may run `at_once` (Graham's bounds; no order of jobs is better than the greater one, and a good order
    takes less than both together). Jobs that wait for others are taken to run, since something before them does;
    those that are still to be looked at are not. What is not known takes what is usual. `running`: for how long
    jobs have run.
    """
    known: dict[JobId, float | None] = {}
    for job in plan.unsettled():
        if plan.state(job) is not State.CHECKING:
            whole = seconds(job)
            known[job] = whole if whole is None or job not in running else max(0.0, whole - running[job])
    told = [time for time in known.values() if time is not None]
    if known and not told:
        return None
    usual = sum(told) / len(told) if told else 0.0
    times = {job: usual if time is None else time for job, time in known.items()}
    return max(_longest(plan, times), sum(times.values()) / max(1.0, at_once))


def _longest(plan: Plan, times: Mapping[JobId, float]) -> float:
    """The length of the longest chain; from its end, in one pass. What waits for each other counts as nothing."""
    before: dict[JobId, list[JobId]] = {}
    waiting: dict[JobId, int] = {}
    for job in times:
        for waiter in plan.waiting_for(job):
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
