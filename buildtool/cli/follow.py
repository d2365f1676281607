"""`bt status --follow`: a build of another process as it goes on, shown as that build shows itself.

It looks at the state now and then, and does not keep it open: who closes the state tidies up only where nobody else has
it open. Does not know how a build works, and cannot touch it.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from buildtool.cli.context import Context
from buildtool.cli.dry_run import seconds_of, waiters_of
from buildtool.cli.printing import put
from buildtool.errors import BtError, ExitCode
from buildtool.estimate import filled, shortest
from buildtool.failures import SLACK, log_path, read_tail
from buildtool.foresee import foresee
from buildtool.graph import Job, JobId, Kind
from buildtool.naming import target_of
from buildtool.paths import STATE
from buildtool.project import Project, Request
from buildtool.report.live import Live
from buildtool.report.model import Failure, JobReport
from buildtool.report.plain import closing
from buildtool.report.status import under_way
from buildtool.state.lock import Holder, read_holder
from buildtool.state.records import BuildRecord, HistoryRecord, Running
from buildtool.state.store import StateReader
from buildtool.taskfile.specs import Taskfile
from buildtool.text import shell_word

BEAT = 0.5  # seconds between two looks, at least
SHARE = 0.05  # of the time that they may take, at most; and as much for looks at all jobs
RECENT = 20  # builds among which the one that is followed is looked for


def follow(context: Context, taskfile: Taskfile, request: Request) -> int | None:
    """Show the build that is under way until it ends; None if there is none.

    Without targets in `request`, those of the build are meant. Ctrl-C raises `KeyboardInterrupt`.
    """
    directory = os.path.join(taskfile.root, STATE)
    found = _await_build(directory)
    if found is None:
        return None
    holder, build = found
    put([under_way(holder)])
    sys.stdout.flush()
    reporter = Live(sys.stdout, context.paint())
    view = _View(taskfile, request, reporter, build)
    try:
        while True:
            is_held = read_holder(directory) is not None
            with StateReader.open(directory) as reader:
                last = next((b for b in reader.builds(RECENT) if b.number == build.number), None)
                took = view.look(reader)
            if last is None or last.ended is not None or not is_held:
                break
            if reporter.gone is not None:
                return int(reporter.gone.exit_code)
            time.sleep(max(BEAT, took / SHARE))
    finally:
        reporter.close()
    put([_end(last)])
    return int(ExitCode.DONE)


def _await_build(directory: str) -> tuple[Holder, BuildRecord] | None:
    """The build of the process that holds the lock, once it has begun; None if there is none, or it is over."""
    while (holder := read_holder(directory)) is not None:
        with StateReader.open(directory) as reader:
            build = next(iter(reader.builds(1)), None)
        if build is not None and build.started >= holder.started:
            return (holder, build) if build.ended is None else None
        time.sleep(BEAT)
    return None


def _end(build: BuildRecord | None) -> str:
    """How the build came out."""
    if build is None or build.ended is None:
        return "the build was cut short"
    return closing(build.counts, max(0.0, build.ended - build.started), build.exit_code or 0)


@dataclass(slots=True)
class _View:
    """What is known of the build that is followed, and who is told."""

    taskfile: Taskfile
    request: Request
    reporter: Live
    build: BuildRecord
    began: float = 0.0  # when the build began, by the clock of the reporter
    project: Project | None = None  # as it was when all jobs were looked at
    jobs: dict[str, Job] = field(default_factory=dict)  # by key
    seconds: Mapping[JobId, float | None] = field(default_factory=dict)  # of those that may still run
    waiters: Mapping[JobId, list[JobId]] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)  # keys of jobs that were told of, or had ended before
    running: dict[str, Running] = field(default_factory=dict)
    written: dict[str, float] = field(default_factory=dict)  # when jobs printed what is shown of them
    at_once: int = 1
    is_due: bool = False  # jobs have ended since all were looked at
    again_at: float = 0.0  # when that may be done again

    def look(self, reader: StateReader) -> float:
        """Tell what is new; how many seconds that took, beside a look at all jobs."""
        begun = time.monotonic()
        history = reader.history(build=self.build.number)
        running = {job.key: job for job in reader.running()}
        now = time.time()
        first = not self.began
        self.is_due = self.is_due or first or any(entry.key not in self.ended for entry in history)
        if self.is_due and time.monotonic() >= self.again_at:
            self.is_due = False
            before = time.monotonic()
            self._foresee(reader, history, first=first)
            took = time.monotonic() - before
            self.again_at = time.monotonic() + took / SHARE
            begun += took
        for entry in reversed(history):
            if entry.key not in self.ended:
                self._ended(entry, is_news=not first)
        for key, job in running.items():
            if key not in self.running and key not in self.ended:
                self.reporter.started(self._report(key, job.task))
                began = time.monotonic() - max(0.0, now - (job.began or now))
                self.reporter.board.runs[self._name(key)].began = began
        for key in self.running.keys() - running.keys() - self.ended:
            self.reporter.over(self._report(key, self.running[key].task))
        self.running = running
        self._last_words()
        self.reporter.left(self._left(now))
        return time.monotonic() - begun

    def _foresee(self, reader: StateReader, history: Iterable[HistoryRecord], *, first: bool) -> None:
        """Look at all jobs: which are settled without a word, and which are still to come."""
        asked: dict[str, Any] = json.loads(reader.value("asked") or "{}")
        over = {entry.key for entry in history}
        try:
            project = Project(self.taskfile, reader, self._request(asked))
            only, force = bool(asked.get("only")), bool(asked.get("force"))
            forecast = foresee(
                project, project.want(only=only, keep_going=True), force=force, only=only, lenient=True
            )
        except (BtError, OSError):  # files come and go meanwhile: what jobs do is seen all the same
            if first:
                self._begin(0)
            return
        self.project = project
        known = project.graph_jobs
        looked = [known[number] for number in forecast.looks if known[number].kind is not Kind.GROUP]
        self.jobs = {job.key: job for job in looked}
        left = [
            known[number] for number in (*forecast.will(), *forecast.may()) if known[number].key not in over
        ]
        self.seconds = seconds_of(project, left)
        self.waiters = waiters_of(project, self.seconds)
        self.at_once = int(asked.get("jobs", 1))
        if first:
            self._begin(len(self.jobs.keys() | over))
        self.reporter.board.total = len(self.jobs.keys() | over)
        self.reporter.board.counts["fresh"] = len(self.jobs.keys() - over - {job.key for job in left})

    def _begin(self, jobs: int) -> None:
        self.began = time.monotonic() - max(0.0, time.time() - self.build.started)
        self.reporter.planned(jobs, ())
        self.reporter.board.began = self.began

    def _request(self, asked: Mapping[str, Any]) -> Request:
        """What the build was asked for, unless something else is asked for here."""
        if self.request.targets:
            return self.request
        return self.request._replace(
            targets=tuple(asked.get("targets", ())),
            folder=asked.get("folder", ""),
            given=asked.get("given", {}),
            args=tuple(asked.get("args", ())),
        )

    def _ended(self, entry: HistoryRecord, *, is_news: bool) -> None:
        """A job came out; what had done so before anybody looked is only counted."""
        self.ended.add(entry.key)
        job = self.jobs.get(entry.key)
        task = job.task if job is not None else entry.name.partition(" ")[0]
        report = self._report(entry.key, task)._replace(
            name=entry.name, status=entry.status, reasons=entry.reasons, seconds=entry.seconds
        )
        if entry.cause:
            report = report._replace(failure=Failure(entry.cause + self._where_to_look(entry, job)))
        if is_news:
            self.reporter.finished(report)
        else:
            self.reporter.board.finished(report)

    def _where_to_look(self, entry: HistoryRecord, job: Job | None) -> str:
        """How to see what a failed job printed, if it printed anything."""
        if job is None or entry.status != "failed" or self.project is None:
            return ""
        try:
            written = os.stat(os.path.join(self.taskfile.root, log_path(job))).st_mtime
        except OSError:
            return ""
        if written < self.build.started - SLACK:
            return ""  # of an earlier run
        words = ["bt", *self.request.where, "log", target_of(self.project, job, self.request.folder)]
        return f"; `{' '.join(map(shell_word, words))}` shows what it printed"

    def _last_words(self) -> None:
        """What running jobs printed last."""
        for key, running in self.running.items():
            job = self.jobs.get(key)
            if job is None or running.began is None:
                continue
            log = os.path.join(self.taskfile.root, log_path(job))
            try:
                written = os.stat(log).st_mtime
            except OSError:
                continue
            if written < running.began - SLACK or written == self.written.get(key):
                continue  # of an earlier run, or nothing new
            self.written[key] = written
            for line in read_tail(log, 1):
                self.reporter.board.output(self._report(key, job.task), line.encode())

    def _left(self, now: float) -> float | None:
        """How long it will still take, if earlier runs tell."""
        ended = {job.id for key in self.ended if (job := self.jobs.get(key)) is not None}
        known = {number: whole for number, whole in self.seconds.items() if number not in ended}
        for key, running in self.running.items():
            job = self.jobs.get(key)
            whole = known.get(job.id) if job is not None else None
            if job is not None and whole is not None and running.began is not None:
                known[job.id] = max(0.0, whole - (now - running.began))
        times = filled(known)
        return None if times is None else shortest(times, lambda job: self.waiters.get(job, ()), self.at_once)

    def _name(self, key: str) -> str:
        job = self.jobs.get(key)
        return job.name if job is not None else key

    def _report(self, key: str, task: str) -> JobReport:
        return JobReport(self._name(key), task, {}, (), "ran")
