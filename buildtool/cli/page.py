"""What the page of `bt graph --format html` shows, collected from a project and from what is known of its builds."""

from __future__ import annotations

import os
import time
from collections import Counter

from buildtool.check import Look
from buildtool.expand.targets import Wanted
from buildtool.failures import log_path, read_tail
from buildtool.fingerprint import Fresh, Maybe, Stale
from buildtool.foresee import Forecast, foresee
from buildtool.graph import Job, JobId, Kind
from buildtool.paths import STATE
from buildtool.project import Project
from buildtool.report.page import PageJob, PageRun, PageTask, render_page
from buildtool.report.reasons import describe
from buildtool.state.lock import read_holder
from buildtool.state.records import JobRecord
from buildtool.text import count, duration, printable, visible

LINES = 20  # of what a job printed
LOGS = 1 << 21  # bytes of them, in all
COMMAND = 4000  # characters of a command that are shown


def page(project: Project) -> str:
    """The page, for the jobs that are asked for."""
    want = project.want(keep_going=True)
    forecast = foresee(project, want, lenient=True)
    with project.reader:
        return Collected(project, want, forecast).render()


class Collected:
    """One project on its way to a page."""

    def __init__(self, project: Project, want: Wanted, forecast: Forecast) -> None:
        self._project = project
        self._forecast = forecast
        self._now = time.time()
        numbers = [n for n in forecast.looks if project.graph_jobs[n].kind is not Kind.GROUP]
        self._at = {number: at for at, number in enumerate(numbers)}
        busy = read_holder(os.path.join(project.taskfile.root, STATE)) is not None
        self._running = {job.key for job in project.reader.running()} if busy else set()
        self._logs = LOGS
        self._masked = project.checker(lambda _: True, want).masked
        names = dict.fromkeys(project.graph_jobs[number].task for number in numbers)
        self._tasks = {name: at for at, name in enumerate(names)}

    def render(self) -> str:
        """The page as text."""
        project = self._project
        jobs = [self._job(project.graph_jobs[number]) for number in self._at]
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self._now))
        title = printable(os.path.basename(project.taskfile.root) or "/")
        return render_page(
            title, f"{count(len(jobs), 'job')}, as of {when}", self._of_tasks(jobs), jobs, self._runs()
        )

    def _of_tasks(self, jobs: list[PageJob]) -> list[PageTask]:
        counts: list[Counter[str]] = [Counter() for _ in self._tasks]
        before: list[set[int]] = [set() for _ in self._tasks]
        for job in jobs:
            counts[job.task][job.state] += 1
            before[job.task] |= {jobs[other].task for other in job.before} - {job.task}
        return [
            PageTask(
                printable(name),
                self._project.expander.tasks[name].spec.desc or "",
                tuple(sorted(before[at])),
                counts[at],
            )
            for name, at in self._tasks.items()
        ]

    def _job(self, job: Job) -> PageJob:
        project, look = self._project, self._forecast.looks[job.id]
        graph, record = project.expander.graph, project.reader.job(job.key)
        state, reason = self._state(job, look, record)
        command = project.renderer.command(job)
        text = command if command is not None else project.functions.text(job)
        return PageJob(
            printable(job.name),
            self._tasks[job.task],
            state,
            printable(reason),
            "\n".join(map(printable, self._masked(text)[:COMMAND].split("\n"))),
            tuple(map(printable, graph.paths(job.input_files()))),
            tuple(map(printable, graph.paths(job.output_files()))),
            tuple(sorted(self._before(job.id, set()))),
            None if record is None else round(record.seconds, 4),
            ""
            if record is None
            else f"{duration(max(0.0, self._now - record.ended))} ago, on {record.executor}",
            self._log(job, failed=state == "failed"),
        )

    def _before(self, job: JobId, seen: set[JobId]) -> set[int]:
        """The positions of what a job waits for; a group stands for what it waits for itself."""
        found = set()
        for other in self._project.expander.graph.prerequisites(self._project.graph_jobs[job]):
            if other in self._at:
                found.add(self._at[other])
            elif other not in seen:
                seen.add(other)
                found |= self._before(other, seen)
        return found

    def _state(self, job: Job, look: Look, record: JobRecord | None) -> tuple[str, str]:
        """A word for the state of a job, and why it is so."""
        match look.verdict:
            case Stale(reasons):
                state, reason = "will", "; ".join(describe(reason) for reason in reasons)
            case Maybe() as maybe:
                state, reason = "may", maybe.conditions[0]
            case Fresh():
                state, reason = "fresh", ""
        if job.key in self._running:
            return "running", reason
        if record is not None and record.status == "failed" and state != "fresh":
            return "failed", reason
        return state, reason

    def _log(self, job: Job, *, failed: bool) -> str:
        """The end of what a job printed: of those that failed, and of others as long as there is room."""
        if self._logs <= 0 and not failed:
            return ""
        lines = read_tail(self._project.disk.absolute(log_path(job)), LINES)
        text = "\n".join(map(visible, lines))
        self._logs -= len(text)
        return text

    def _runs(self) -> list[PageRun]:
        """What ran in the last build in which anything did."""
        reader, keys = (
            self._project.reader,
            {self._project.graph_jobs[n].key: at for n, at in self._at.items()},
        )
        for build in reader.builds(50):
            entries = [e for e in reader.history(build=build.number) if e.key in keys and e.seconds > 0.0]
            if entries:
                break
        else:
            return []
        executors = {e.key: record.executor for e in entries if (record := reader.job(e.key)) is not None}
        return [
            PageRun(keys[e.key], executors.get(e.key, "local"), e.ended - e.seconds, e.seconds)
            for e in entries
        ]
