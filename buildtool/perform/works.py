"""What an executor is given of a job: its command or call, where it runs, its variables, what it takes along.

Nothing is changed on the disk.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from buildtool.check import Checker
from buildtool.environment import Environment
from buildtool.executors.protocol import MARK, Call, Remote, Work
from buildtool.failures import log_path
from buildtool.fingerprint import Stale
from buildtool.graph import Form, Job
from buildtool.isolation import Boxes
from buildtool.luggage import Packer
from buildtool.meaning import BYTES
from buildtool.perform.attempt import Attempt
from buildtool.project import Project


class Works:
    """For one build. `run` marks its processes; with `audit`, functions tell what they open."""

    def __init__(
        self, project: Project, checker: Checker, boxes: Boxes, packer: Packer, run: str, *, audit: bool
    ) -> None:
        self._project = project
        self._disk = project.disk
        self._checker = checker
        self._boxes = boxes
        self._packer = packer
        self._run = run
        self._audit = audit
        self._environment = Environment(project.renderer, project.taskfile.settings.pass_env)
        self._given: tuple[Mapping[str, str], Mapping[str, str]] = (
            {},
            {},
        )  # of the last job: without the mark, with it

    def put_together(self, attempt: Attempt, number: int, cpus: str, seconds: float | None) -> None:
        """Note in the attempt what its executor is given, its command as people see it, and its box, if it has one.

        `number` tells it from all other runs of the build. `seconds`: what it will take, if that is known.
        """
        job, renderer = attempt.job, self._project.renderer
        folder, spec = renderer.cwd(job), renderer.task(job).spec
        fetched = self._fetched(attempt)
        call = None if spec.run is not None or fetched else self._call(job, cpus)
        command = renderer.command(job, cpus)
        attempt.command = command or ""
        if command is None and call is None:
            attempt.command = self._project.functions.text(job)
        executor = self._project.away[fetched[0]].executor if fetched else self._project.executor_of(job)
        remote = self._project.taskfile.is_remote(executor)
        attempt.box = (
            self._boxes.take(self._packer.made(job), again=remote) if spec.isolated or remote else None
        )
        disk = attempt.box.disk if attempt.box is not None else self._disk
        environment = self._environment.of(job)
        secret = (environment.get(name) for name in self._project.taskfile.settings.secrets)
        attempt.work = Work(
            number,
            (*renderer.shell(job), attempt.command) if call is None else (),
            disk.absolute(folder).rstrip("/") if folder else disk.root,
            self._marked(environment),
            self._disk.absolute(log_path(job)),
            spec.timeout,
            spec.interactive,
            call,
            executor,
            disk.root if self._audit and not remote else "",
            attempt.alone,
            tuple(os.fsencode(value) for value in secret if value),
            self._luggage(attempt, fetched, seconds) if remote else None,
        )

    def _marked(self, environment: Mapping[str, str]) -> Mapping[str, str]:
        """The environment with the mark of this build; one table for all jobs that share theirs."""
        if environment is not self._given[0]:
            self._given = (environment, {**environment, MARK: self._run})
        return self._given[1]

    def _fetched(self, attempt: Attempt) -> list[str]:
        """The outputs that need only come home from where they were made: nothing else is wrong with the job."""
        verdict = attempt.look.verdict
        if not self._project.away or not isinstance(verdict, Stale):
            return []
        if any(reason.kind != "away" for reason in verdict.reasons):
            return []
        away = [self._project.away.get(reason.name) for reason in verdict.reasons]
        one = len({found.executor if found is not None else None for found in away}) == 1
        return [found.path for found in away if found is not None] if one and None not in away else []

    def _luggage(self, attempt: Attempt, fetched: list[str], seconds: float | None) -> Remote | None:
        """What a job on another machine takes with it."""
        job, box = attempt.job, attempt.box
        if box is None:
            return None
        where = self._disk.absolute(box.path)
        if fetched:
            return self._packer.fetch(job, fetched, where)
        return self._packer.pack(job, attempt.look.items, where, seconds, stays=self._stays_away(job))

    def _stays_away(self, job: Job) -> bool:
        """Whether only jobs that run where this one does read what it makes."""
        executor, graph = self._project.executor_of(job), self._project.expander.graph
        if not self._project.taskfile.leaves_away(executor) or job.id in self._checker.asked:
            return False
        spec = self._project.renderer.task(job).spec
        if spec.hash != BYTES or spec.depfile is not None or job.id in self._project.expander.whole:
            return False
        readers = [graph.consumers.get(file, []) for file in job.output_files()]
        return all(graph.files[file].form is Form.FILE for file in job.output_files()) and all(
            found and all(self._project.executor_of(graph.jobs[reader]) == executor for reader in found)
            for found in readers
        )

    def _call(self, job: Job, cpus: str) -> Call:
        """A function or script with all that it can ask for."""
        functions, task = self._project.functions, self._project.renderer.task(job)
        inputs, outputs = functions.slots(job)
        return Call(
            job.name,
            functions.target(task),
            task.spec.script is not None,
            functions.path(task),
            inputs,
            outputs,
            functions.wildcards(job),
            task.spec.params,
            cpus,
            self._project.renderer.environment(job),
            functions.signatures(task),
        )
