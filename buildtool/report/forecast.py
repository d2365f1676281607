"""A forecast of a build: one line for each job that will or may run, and one sentence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from buildtool.report.paint import Paint
from buildtool.text import count, duration, printable
from buildtool.tuples import NamedTuple

WORDS = ("will run", "may run", "restored", "fresh")  # restored: from the cache, instead of a run
MANY = 30  # jobs: more are told by task
LONG = 1.0  # seconds that are worth a word
_LEAST = 0.005  # of a currency that can be told with two digits
REASONS = 3  # that are told of a task


class Foreseen(NamedTuple):
    """One job of a forecast."""

    name: str
    task: str
    word: str  # one of WORDS
    reasons: tuple[str, ...]


class Times(NamedTuple):
    """What the jobs will take, in seconds, as learnt from earlier runs. None: nothing is known."""

    will: float | None  # those that run in any case
    all: float | None  # if those that may run do
    jobs: int  # so many at a time


class Cost(NamedTuple):
    """What the jobs of one executor will cost, as learnt from earlier runs."""

    executor: str
    price: float  # of a worker for an hour
    will: float  # those that run in any case
    all: float  # if those that may run do
    jobs: int  # that will or may run there
    unknown: int  # those of them of which nobody knows how long they take: they are not in the sums


def render_forecast(
    jobs: Sequence[Foreseen],
    paint: Paint,
    times: Times | None = None,
    costs: Sequence[Cost] = (),
    *,
    verbose: bool = False,
) -> list[str]:
    """The lines: one for each job, or where these are many one for each task; fresh jobs only if `verbose`."""
    shown = [job for job in jobs if verbose or job.word != "fresh"]
    if verbose or len(shown) <= MANY:
        lines = [line for job in shown for line in _lines(job, paint)]
    else:
        lines = by_task(jobs, paint)
    ends = [forecast_sentence(jobs), *_taking(times), *map(_costing, costs)]
    return [*lines, *(line for text in ends for line in paint.fold(text, "  "))]


def _lines(job: Foreseen, paint: Paint) -> list[str]:
    word = f"{job.word:<8}"
    painted = _painters(paint)[job.word](word)
    more = f" and {len(job.reasons) - 1} more" if len(job.reasons) > 1 else ""
    return paint.fold(f"{painted}  {printable(job.name)}  ({printable(job.reasons[0])}{more})", " " * 10)


def by_task(jobs: Sequence[Foreseen], paint: Paint) -> list[str]:
    """A table of tasks that have something to do, with how many jobs have which reason."""
    tasks: dict[str, list[Foreseen]] = {}
    for job in jobs:
        tasks.setdefault(job.task, []).append(job)
    words = [word for word in WORDS if word != "restored" or any(job.word == word for job in jobs)]
    rows: list[tuple[str, ...]] = [("task", *words, "because")]
    for task, found in tasks.items():
        counts = Counter(job.word for job in found)
        if counts["fresh"] == len(found):
            continue
        reasons = Counter(job.reasons[0] for job in found if job.word != "fresh")
        rows.append((printable(task), *(str(counts[word]) for word in words), _summed(reasons)))
    widths = [max(len(row[at]) for row in rows) for at in range(len(words) + 1)]
    lines = []
    for row in rows:
        cells = [f"{row[0]:<{widths[0]}}"]
        for at, word in enumerate(words, 1):
            text = f"{row[at]:>{widths[at]}}"
            cells.append(text if row is rows[0] or row[at] == "0" else _painters(paint)[word](text))
        lines += paint.fold("  ".join([*cells, row[-1]]), " " * (sum(widths) + 2 * len(widths)))
    return [paint.dim(lines[0]), *lines[1:]]


def _summed(reasons: Counter[str]) -> str:
    """The most frequent reasons, with how many jobs have each."""
    told = [f"{printable(reason)} ({number})" for reason, number in reasons.most_common(REASONS)]
    more = sum(reasons.values()) - sum(number for _, number in reasons.most_common(REASONS))
    return ", ".join([*told, *([f"others ({more})"] if more else [])])


def _painters(paint: Paint) -> dict[str, Callable[[str], str]]:
    return {"will run": paint.yellow, "may run": paint.cyan, "restored": paint.green, "fresh": paint.green}


def _taking(times: Times | None) -> list[str]:
    """How long it will take, if that is known."""
    if times is None or times.all is None or times.all < LONG:
        return []
    at_once = f"with {count(times.jobs, 'job')} at a time"
    if times.will is None or round(times.will, 1) == round(times.all, 1):
        return [f"about {duration(times.all)} {at_once}, as earlier runs took"]
    return [f"about {duration(times.will)} to {duration(times.all)} {at_once}, as earlier runs took"]


def _costing(cost: Cost) -> str:
    """What it will cost on one executor."""
    where = f"on `{printable(cost.executor)}`"
    if cost.unknown == cost.jobs:
        return f"what it costs {where} is not known: {count(cost.jobs, 'job')} never ran"
    will, whole = f"{cost.will:.2f}", money(cost.all)
    amount = whole if will == whole or cost.all < _LEAST else f"{will} to {whole}"
    if not cost.unknown:
        about = "" if 0 < cost.all < _LEAST else "about "
        return f"{about}{amount} {where}, as earlier runs took"
    return f"at least {amount} {where}, as earlier runs took: {count(cost.unknown, 'job')} never ran"


def money(amount: float) -> str:
    """An amount of whatever currency prices are in."""
    return "less than 0.01" if 0 < amount < _LEAST else f"{amount:.2f}"


def forecast_sentence(jobs: Sequence[Foreseen]) -> str:
    """`3 will run, 2 may run, 985 fresh`."""
    counts = Counter(job.word for job in jobs)
    return ", ".join(f"{counts[word]} {word}" for word in WORDS if counts[word]) or "nothing to do"
