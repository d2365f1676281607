"""How jobs came out: counted, told of, and put into the history.

Does not know why they came out so, nor what comes next.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable

from buildtool.build.commits import Commits
from buildtool.build.temporary import Temporary
from buildtool.check import Checker, Look
from buildtool.errors import ExitCode
from buildtool.fingerprint import Stale
from buildtool.graph import Job, JobId, Kind
from buildtool.perform.attempt import Attempt
from buildtool.plan import Status
from buildtool.project import Project
from buildtool.report.model import Failure, JobReport, Reporter
from buildtool.report.reasons import describe
from buildtool.state.records import HistoryRecord
from buildtool.text import printable


class Outcomes:
    """Of one build, which has this number."""

    def __init__(
        self,
        project: Project,
        checker: Checker,
        commits: Commits,
        temporary: Temporary,
        reporter: Reporter,
        number: int,
    ) -> None:
        self._project = project
        self._checker = checker
        self._commits = commits
        self._temporary = temporary
        self._reporter = reporter
        self._number = number
        self.counts: Counter[str] = Counter()  # jobs by the value of `Status`
        self.bad: dict[JobId, JobReport] = {}  # what failed, or could not run since others failed
        self.faults: set[ExitCode] = set()  # what the jobs failed of
        self.begun: dict[JobId, Attempt] = {}  # told as started, and not yet how it came out

    def started(self, attempt: Attempt) -> None:
        """Tell that a job runs."""
        self._reporter.started(self._running(attempt))

    def printed(self, attempt: Attempt, data: bytes) -> None:
        """Tell what a job printed."""
        self._reporter.output(self._running(attempt), data)

    def over(self, attempt: Attempt) -> None:
        """Others get the room of a job: so that it is not counted among those that run, if anybody looks."""
        if self._reporter.is_watched:
            self._reporter.over(self._running(attempt))

    def came_out(
        self,
        job: Job,
        look: Look | None,
        status: Status,
        seconds: float = 0.0,
        failure: Failure | None = None,
        notes: Iterable[str] = (),
    ) -> None:
        """Count a job, and tell of it once what it left is written down; but for a group, which stands for others."""
        begun = self.begun.pop(job.id, None)
        if begun is not None and begun.report is not None and begun.job is job and begun.look is look:
            report = begun.report._replace(status=status.value, seconds=seconds, failure=failure)
        else:
            report = self.report(job, look, status, seconds, failure)
        if job.kind is Kind.GROUP and status is not Status.FAILED:
            self._temporary.settle_group(job)
            return
        if status.good and (path := self._checker.circular.get(job.id)) is not None:
            notes = [
                *notes,
                f"it reads {printable(path)}, which is made from what it makes: it counts as it is",
            ]
        self.counts[status.value] += 1
        if not status.good:
            self.bad[job.id] = report
        self._commits.came_out(job.id, report, tuple(notes), self._entry(job, report, failure))
        self._temporary.settle(job, status)

    def leave_out(self, jobs: int) -> None:
        """Count so many jobs that nobody came to."""
        self.counts[Status.SKIPPED.value] += jobs

    def break_off(self, why: str) -> None:
        """Tell of the jobs that were told as started, and will not come out any more."""
        for attempt in self.begun.values():
            self._reporter.finished(
                self.report(attempt.job, attempt.look, Status.SKIPPED, failure=Failure(why))
            )

    def report(
        self,
        job: Job,
        look: Look | None,
        status: Status,
        seconds: float = 0.0,
        failure: Failure | None = None,
    ) -> JobReport:
        """How people are told of a job."""
        verdict = look.verdict if look is not None else None
        reasons = verdict.reasons if isinstance(verdict, Stale) else ()
        return JobReport(
            job.name,
            job.task,
            dict(job.wildcards),
            self._project.expander.graph.paths(job.output_files()),
            status.value,
            tuple(describe(reason) for reason in reasons),
            seconds,
            self._project.executor_of(job),
            job.kind.value,
            failure,
            interactive=self._project.renderer.task(job).spec.interactive,
        )

    def _running(self, attempt: Attempt) -> JobReport:
        """The report of a job that runs: made once, since it is told of several times."""
        if attempt.report is None:
            attempt.report = self.report(attempt.job, attempt.look, Status.RAN)
        return attempt.report

    def _entry(self, job: Job, report: JobReport, failure: Failure | None) -> HistoryRecord | None:
        """What the history is to say of a job."""
        if report.status == Status.FRESH.value:
            return None
        cause = self._checker.masked(failure.cause) if failure is not None else ""
        return HistoryRecord(
            self._number,
            job.key,
            job.name,
            report.status,
            report.reasons,
            report.seconds,
            time.time(),
            cause,
        )
