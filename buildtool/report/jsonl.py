"""One JSON object a line, for programs. Every object has `event` and `time` (seconds since the epoch)."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TextIO

from buildtool.errors import BtError, Problems
from buildtool.report.data import render_json
from buildtool.report.forecast import Cost, Foreseen
from buildtool.report.model import JobReport
from buildtool.report.outlet import Outlet

STATUSES = ("ran", "unchanged", "restored", "fresh", "failed", "skipped")


class JsonLines:
    """Writes events to a text stream as they come."""

    def __init__(self, stream: TextIO) -> None:
        self._outlet = Outlet(stream)
        self.has_remarked = False
        self.is_watched = False

    @property
    def gone(self) -> BtError | None:
        """Why nothing more can be written."""
        return self._outlet.gone

    def planned(self, jobs: int, targets: tuple[str, ...]) -> None:
        """`plan`: how many jobs will be looked at, and for which targets (none: the default)."""
        self._write("plan", jobs=jobs, targets=list(targets))

    def forecast(
        self, jobs: Sequence[Foreseen], targets: tuple[str, ...], costs: Sequence[Cost] = ()
    ) -> None:
        """`plan` of a dry run: every job with its verdict and reasons, and what executors with a price cost."""
        told = [{"job": j.name, "task": j.task, "verdict": j.word, "reasons": list(j.reasons)} for j in jobs]
        more = {"costs": [cost._asdict() for cost in costs]} if costs else {}
        self._write("plan", jobs=len(jobs), targets=list(targets), forecast=told, **more)

    def started(self, job: JobReport) -> None:
        """`started`: which job, and why."""
        self._write("started", **_job(job), reasons=list(job.reasons), executor=job.executor)

    def output(self, job: JobReport, data: bytes) -> None:
        """`output`: what a job printed; bytes that are not UTF-8 come as replacement characters."""
        self._write("output", job=job.name, text=data.decode("utf-8", "replace"))

    def over(self, job: JobReport) -> None:
        """It is told of once it is known how it came out."""

    def finished(self, job: JobReport) -> None:
        """`finished`: how a job came out; a failed one has `error`, and `log` and `command` where there are any."""
        more: dict[str, object] = {}
        if job.failure is not None:
            failure = job.failure
            more["error"] = failure.cause
            if failure.details:
                more["details"] = list(failure.details)
            if failure.log is not None:
                more["log"] = failure.log
            if failure.command is not None:
                more["command"] = failure.command
        self._write(
            "finished",
            **_job(job),
            status=job.status,
            reasons=list(job.reasons),
            seconds=round(job.seconds, 6),
            executor=job.executor,
            **more,
        )

    def warning(self, text: str) -> None:
        """`warning`: something to know."""
        self.has_remarked = True
        self._write("warning", text=text)

    def note(self, text: str) -> None:
        """A remark is told as a warning: programs that do not care can pass it over."""
        self.warning(text)

    def doing(self, text: str) -> None:
        """Programs are told of what has happened."""

    def left(self, seconds: float | None) -> None:
        """They can work that out."""

    def reading(self, path: str, done: int, whole: int) -> None:
        """Nothing has happened yet."""

    def error(self, error: BtError) -> None:
        """`error`: why there was no build, or no end of one; several errors come one by one."""
        if isinstance(error, Problems):
            for one in error.errors:
                self.error(one)
            return
        more: dict[str, object] = {}
        if error.place is not None:
            more["place"] = {name: getattr(error.place, name) for name in ("file", "line", "column")}
        if error.facts:
            more["facts"] = list(error.facts)
        if error.hint is not None:
            more["hint"] = error.hint
        self._write("error", text=error.summary, **more)

    def close(self) -> None:
        """Nothing is drawn."""

    def summary(self, counts: Mapping[str, int], seconds: float, exit_code: int) -> None:
        """`summary`, the last line: jobs by status, and the exit code."""
        by_status = {status: counts.get(status, 0) for status in STATUSES}
        self._write("summary", **by_status, seconds=round(seconds, 6), exit_code=int(exit_code))

    def _write(self, event: str, **values: object) -> None:
        self._outlet.write(render_json({"event": event, "time": time.time(), **values}, None) + "\n")


def _job(job: JobReport) -> dict[str, object]:
    return {
        "job": job.name,
        "task": job.task,
        "wildcards": dict(job.wildcards),
        "outputs": list(job.outputs),
    }
