"""What goes on in a build at this moment.

It is told what happened, and what time it is. Knows neither how it is shown nor builds.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from buildtool.report.model import JobReport
from buildtool.text import visible


@dataclass(slots=True)
class Run:
    """A job that runs."""

    job: JobReport
    began: float
    line: str = ""  # the last one that it printed


@dataclass(slots=True)
class Board:
    """The state of a build, for people. Times are those of one clock, in seconds."""

    total: int = 0  # jobs that are looked at
    began: float = 0.0
    counts: Counter[str] = field(default_factory=Counter)
    runs: dict[str, Run] = field(default_factory=dict)
    left: float | None = None  # seconds until the end, as far as that is known
    left_at: float = 0.0  # when that was worked out
    doing: str = ""  # what the build waits for
    reading: tuple[str, int, int] | None = (
        None  # a large file that is looked at: path, bytes read, bytes in all
    )

    def begin(self, total: int, now: float) -> None:
        """A build begins."""
        self.total, self.began, self.left, self.reading = total, now, None, None
        self.counts.clear()
        self.runs.clear()

    def started(self, job: JobReport, now: float) -> None:
        """A job runs."""
        self.runs[job.name] = Run(job, now)

    def output(self, job: JobReport, data: bytes) -> None:
        """A running job has printed something."""
        run = self.runs.get(job.name)
        lines = [line for line in data.decode("utf-8", "replace").splitlines() if line.strip()]
        if run is not None and lines:
            run.line = visible(lines[-1].strip())

    def time_left(self, now: float) -> float | None:
        """Seconds until the end, as far as that is known."""
        return None if self.left is None else max(0.0, self.left - (now - self.left_at))

    def share(self, now: float) -> float:
        """How much is done, from 0 to 1: of the time if that is known, else of the jobs."""
        left, gone = self.time_left(now), now - self.began
        if left is not None and gone + left > 0:
            return gone / (gone + left)
        return min(1.0, self.counts.total() / self.total) if self.total else 0.0

    def over(self, job: JobReport) -> None:
        """A job does not run any more."""
        self.runs.pop(job.name, None)

    def finished(self, job: JobReport) -> None:
        """A job came out."""
        self.runs.pop(job.name, None)
        self.counts[job.status] += 1
