"""The graph of a project as one page for a browser, which needs nothing else: no network, no other file.

Does not know how a graph comes about, nor where its jobs run.
"""

from __future__ import annotations

import heapq
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from buildtool.report.data import render_json
from buildtool.tuples import NamedTuple

SLOWEST = 20  # jobs that are listed
_TEMPLATE = Path(__file__).with_name("page.html")


class PageJob(NamedTuple):
    """A job of the page. `before`: the positions of those it waits for."""

    name: str
    task: int
    state: str  # running, failed, will, may or fresh
    reason: str
    command: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    before: tuple[int, ...]
    seconds: float | None = None  # that its last run took
    when: str = ""  # when that was, in words
    log: str = ""  # the end of what it printed


class PageTask(NamedTuple):
    """A task of the page."""

    name: str
    desc: str
    before: tuple[int, ...]  # the positions of those whose outputs it reads
    counts: Mapping[str, int]  # jobs by state


class PageRun(NamedTuple):
    """A run of the last build."""

    job: int
    executor: str
    began: float  # seconds since the epoch
    seconds: float


def render_page(
    title: str, when: str, tasks: Sequence[PageTask], jobs: Sequence[PageJob], runs: Sequence[PageRun]
) -> str:
    """The page. All that comes from a project is data in it: nothing of that is ever read as markup or run."""
    value = {
        "title": title,
        "when": when,
        "tasks": [task._asdict() for task in tasks],
        "jobs": [job._asdict() for job in jobs],
        "timeline": timeline(runs),
        "critical": critical(jobs, {run.job for run in runs}),
        "slowest": heapq.nlargest(SLOWEST, _timed(jobs), key=lambda at: jobs[at].seconds or 0.0),
    }
    text = json.dumps(json.loads(render_json(value, None)), separators=(",", ":"))
    # In a script element of HTML, only `<` can begin anything.
    return _TEMPLATE.read_text(encoding="utf-8").replace("@DATA@", text.replace("<", "\\u003c"))


def _timed(jobs: Sequence[PageJob]) -> list[int]:
    return [at for at, job in enumerate(jobs) if job.seconds is not None]


def timeline(runs: Sequence[PageRun]) -> dict[str, object]:
    """Runs in rows: as few for each executor as are needed so that none lies over another."""
    start = min((run.began for run in runs), default=0.0)
    end = max((run.began + run.seconds for run in runs), default=0.0)
    free: dict[str, list[tuple[float, int]]] = {}  # by executor: when its rows are free
    rows: list[str] = []
    numbers: Counter[str] = Counter()  # by executor: how many rows it has
    placed: list[tuple[int, int, float, float]] = []
    for run in sorted(runs, key=lambda run: (run.executor, run.began)):
        known = free.setdefault(run.executor, [])
        if known and known[0][0] <= run.began:
            row = heapq.heappop(known)[1]
        else:
            row = len(rows)
            numbers[run.executor] += 1
            rows.append(f"{run.executor} {numbers[run.executor]}")
        heapq.heappush(known, (run.began + run.seconds, row))
        placed.append((run.job, row, round(run.began - start, 4), round(run.seconds, 4)))
    return {"rows": rows, "runs": placed, "seconds": round(end - start, 4)}


def critical(jobs: Sequence[PageJob], ran: set[int]) -> list[int]:
    """The chain of jobs that wait for each other and take longest, from its beginning; of those that `ran`, if any."""
    times = [(job.seconds or 0.0) if not ran or at in ran else 0.0 for at, job in enumerate(jobs)]
    waits = [len(set(job.before)) for job in jobs]
    after: list[list[int]] = [[] for _ in jobs]
    for at, job in enumerate(jobs):
        for other in set(job.before):
            after[other].append(at)
    best: list[tuple[float, int]] = [(0.0, -1)] * len(jobs)  # of what comes before: how long, and which
    queue = [at for at, number in enumerate(waits) if not number]
    for at in queue:
        whole = best[at][0] + times[at]
        for other in after[at]:
            best[other] = max(best[other], (whole, at))
            waits[other] -= 1
            if not waits[other]:
                queue.append(other)
    end = max(queue, key=lambda at: best[at][0] + times[at], default=-1)
    path = []
    while end >= 0:
        path.append(end)
        end = best[end][1]
    return [at for at in reversed(path) if times[at] > 0.0]
