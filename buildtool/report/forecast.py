"""A forecast of a build: one line for each job that will or may run, and one sentence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from buildtool.report.paint import Paint
from buildtool.text import printable

WORDS = ("will run", "may run", "fresh")


class Foreseen(NamedTuple):
    """One job of a forecast."""

    name: str
    task: str
    word: str  # one of WORDS
    reasons: tuple[str, ...]


def render_forecast(jobs: Sequence[Foreseen], paint: Paint, *, verbose: bool = False) -> list[str]:
    """The lines; fresh jobs only if `verbose`."""
    lines = []
    for job in jobs:
        if job.word == "fresh" and not verbose:
            continue
        word = f"{job.word:<8}"
        painted = {"will run": paint.yellow, "may run": paint.cyan, "fresh": paint.green}[job.word](word)
        more = f" and {len(job.reasons) - 1} more" if len(job.reasons) > 1 else ""
        lines.append(f"{painted}  {printable(job.name)}  ({printable(job.reasons[0])}{more})")
    return [*lines, forecast_sentence(jobs)]


def forecast_sentence(jobs: Sequence[Foreseen]) -> str:
    """`3 will run, 2 may run, 985 fresh`."""
    counts = Counter(job.word for job in jobs)
    return ", ".join(f"{counts[word]} {word}" for word in WORDS if counts[word]) or "nothing to do"
