"""Outputs of `temp` tasks: they go once nobody needs them any more.

Does not know when jobs run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from buildtool.check import Checker
from buildtool.clean import by_hand
from buildtool.expand.targets import Wanted
from buildtool.graph import Job, JobId
from buildtool.plan import Status
from buildtool.project import Project
from buildtool.text import printable


class Temporary:
    """Who still needs such outputs, in one build. What is `want`ed itself stays, and so do people's files."""

    def __init__(self, project: Project, checker: Checker, want: Wanted, warn: Callable[[str], None]) -> None:
        self._project = project
        self._checker = checker
        self._want = want
        self._warn = warn
        self._consumers: dict[JobId, set[JobId]] = {}  # of each `temp` job, those that are not settled yet
        self._spent: set[JobId] = set()  # `temp` jobs of which a consumer was settled
        self._ran: set[JobId] = set()  # settled jobs that were not fresh
        self._growing: set[JobId] = set()  # unsettled jobs that may turn out to read anything

    def count(self, jobs: Iterable[JobId]) -> None:
        """Note what these need, as far as it is known."""
        graph = self._project.expander.graph
        for job in jobs:
            (self._growing.add if graph.jobs[job].growing else self._growing.discard)(job)
            for producer in self._makers(graph.jobs[job]):
                if self._project.renderer.task(graph.jobs[producer]).spec.temp:
                    self._consumers.setdefault(producer, set()).add(job)

    def _makers(self, job: Job) -> set[JobId]:
        """The jobs that make what must be there while a job runs."""
        files = self._project.expander.graph.files
        producers = {files[f].producer for f in (*job.input_files(), *job.needs)}
        return {*job.after, *(p for p in producers if p is not None)}

    def settle_group(self, job: Job) -> None:
        """A group is settled, which reads nothing itself."""
        self._growing.discard(job.id)

    def settle(self, job: Job, status: Status) -> None:
        """Remove the outputs whose last consumer is settled well, now that this job is settled."""
        self._growing.discard(job.id)
        if not status.good or not self._consumers:
            return
        if status is not Status.FRESH:
            self._ran.add(job.id)
        for producer in self._makers(job):
            if (consumers := self._consumers.get(producer)) is not None:
                consumers.discard(job.id)
                self._spent.add(producer)
        if self._growing:
            return  # more consumers may turn up
        for producer in [p for p in self._spent if not self._consumers[p]]:
            self._spent.discard(producer)
            if producer not in self._want.asked:
                self._remove(producer)

    def _remove(self, producer: JobId) -> None:
        disk, reader = self._project.disk, self._project.reader
        job = self._project.graph_jobs[producer]
        hand = by_hand(reader, reader.job(job.key))
        for path, value in self._checker.made.get(producer, {}).items():
            if (
                path in hand
                or self._project.expander.is_part_read(path, job.task)
                or not disk.exists(path)
                or disk.digest(path) != value
                or disk.way_out(path) is not None
            ):
                continue
            stranger = self._stranger(path)
            if stranger is None:
                disk.remove(path)
            elif producer in self._ran:
                # It stays as a whole: it would be made again if files of it were missing.
                text = f"`{printable(path)}` is not removed, although it is `temp`"
                self._warn(f"{text}: bt did not make `{printable(stranger)}`")

    def _stranger(self, path: str) -> str | None:
        """The first file in an output directory that `bt` did not make: `keep` had left it there."""
        own = self._project.reader.inside(path) if path[-1:] == "/" else None
        if own is None:
            return None
        return next((p for p in self._project.disk.below(path) if p not in own), None)
