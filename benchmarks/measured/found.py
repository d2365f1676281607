"""What was found: rows of the table and points of the plots, and the words in which figures are said."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

NONE = "—"


@dataclass
class Row:
    """A line of the table. `reached` is None where there is no goal, or nothing to compare with."""

    part: str
    work: str
    own: str
    beside: str = NONE
    ratio: str = NONE
    goal: str = NONE
    reached: bool | None = None
    least: str = NONE


@dataclass
class Point:
    """A point of a plot."""

    part: str
    plot: str
    tool: str
    jobs: int
    seconds: float
    megabytes: float | None = None


@dataclass
class Found:
    """All that a part found."""

    rows: list[Row] = field(default_factory=list)
    points: list[Point] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Plan:
    """How much is measured."""

    rounds: int
    jobs: int | None = None  # not more than so many
    quick: bool = False
    long: bool = False

    def at_most(self, jobs: int, quick: int | None = None) -> int:
        """A number of jobs, or what the options make of it."""
        wanted = quick if self.quick and quick is not None else jobs
        return wanted if self.jobs is None else min(wanted, self.jobs)

    def sizes(self, *sizes: int) -> list[int]:
        """Those numbers of jobs that are small enough; the limit itself if none is."""
        most = self.at_most(max(sizes), 1000)
        return [size for size in sizes if size <= most] or [most]


def middle(values: Sequence[float]) -> float:
    """The median."""
    return statistics.median(values)


def ratio(own: Sequence[float], other: Sequence[float]) -> float:
    """How many times as long, taken round by round, so that a machine whose speed drifts does not matter."""
    return middle([a / b for a, b in zip(own, other, strict=False)])


def time(seconds: float) -> str:
    """Seconds in words."""
    if seconds < 1:
        return f"{seconds * 1000:.{1 if seconds < 0.01 else 0}f} ms"
    return f"{seconds:.{2 if seconds < 10 else 1 if seconds < 100 else 0}f} s"


def times(number: float) -> str:
    """A ratio in words."""
    return f"{number:.{2 if number < 10 else 0}f} x"


def count(number: int) -> str:
    """A number of jobs in words."""
    return f"{number:,}".replace(",", " ")
