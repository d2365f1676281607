"""One project, opened: its Taskfile expanded over its files, with what the state remembers. Runs nothing.

Everything that looks (`list`, `why`, `status`, a dry run) and `build` itself start from here.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from buildtool.check import Checker
from buildtool.errors import BtError, raise_all
from buildtool.expand.expander import Expander
from buildtool.expand.functions import Functions
from buildtool.expand.render import Renderer, override
from buildtool.expand.targets import Wanted, cycle_error, missing_files, wanted
from buildtool.expand.tasks import ready_tasks
from buildtool.expand.variables import Variables
from buildtool.files import Disk
from buildtool.graph import Job, JobId, Kind
from buildtool.meaning import Meanings
from buildtool.state.store import StateReader
from buildtool.taskfile.specs import Taskfile, TaskSpec


@dataclass(frozen=True, slots=True)
class Request:
    """What the command line asks of any command that opens a project."""

    targets: tuple[str, ...] = ()
    folder: str = ""  # where it was typed, relative to the project root
    given: Mapping[str, Any] | None = None  # --set
    args: tuple[str, ...] = ()  # behind `--`
    rehash: bool = False
    executor: str | None = None  # -e: instead of what the Taskfile says


class Remembered:
    """Values from outside the project as the last build saw them: nothing is run to get them."""

    def __init__(self, reader: StateReader) -> None:
        self._reader = reader

    def shell_variable(self, name: str, text: str) -> str | None:
        """What the command of `vars.NAME.sh` printed last."""
        return self._reader.value(f"{name}: {text}")

    def command(self, text: str) -> str | None:
        """What a tracked command printed last."""
        return self._reader.value(f"track.cmd: {text}")

    def filtered(self, text: str, where: str) -> str | None:  # noqa: ARG002  those who look run nothing
        """A digest of what a filter makes of a file: not known here."""
        return None

    def variable(self, name: str) -> str | None:
        """An environment variable of this process."""
        return os.environ.get(name)


class Project:
    """A Taskfile with its graph. `outside` gives the values that commands print."""

    def __init__(
        self, taskfile: Taskfile, reader: StateReader, request: Request, outside: Remembered | None = None
    ) -> None:
        self.taskfile, variables_given = override(taskfile, request.given or {})
        self.request = request
        self.reader = reader
        self.outside = outside or Remembered(reader)
        self.owned = reader.owned()
        self.disk = Disk(taskfile.root, reader.stamps(), rehash=request.rehash)
        wrong_names = {name for table, name in taskfile.wrong if table == "vars"}
        self.variables = Variables(
            taskfile.vars, self.disk, self.outside.shell_variable, variables_given, wrong_names
        )
        tasks, errors, wrong = ready_tasks(self.taskfile, self.variables, self.disk)
        self.expander = Expander(tasks, self.disk, self.owned.get)
        self.errors: list[BtError] = errors
        self.wrong = wrong  # tasks with a mistake
        self.renderer = Renderer(self.taskfile, self.expander, self.variables, request.args)
        self.functions = Functions(self.taskfile, self.expander, self.renderer)

    @property
    def graph_jobs(self) -> list[Job]:
        """Every job known so far."""
        return self.expander.graph.jobs

    def want(self, targets: Sequence[str] | None = None, *, keep_going: bool = False) -> Wanted:
        """The jobs that the request asks for. Raises everything that is wrong, all at once.

        With `keep_going`, missing inputs are left to fail the jobs that need them.
        """
        raise_all(self._unique(self.errors))
        words = self.request.targets if targets is None else targets
        found = wanted(self.taskfile, self.expander, words, self.request.folder)
        raise_all(self._unique(self.expander.errors))
        cycle = cycle_error(self.expander, found.roots)
        if cycle is not None:
            raise cycle
        if not keep_going:
            raise_all(missing_files(self.expander))
        return found

    def _unique(self, errors: list[BtError]) -> list[BtError]:
        """The errors without repetitions: one mistake can be met on several ways."""
        return list({(e.summary, e.place): e for e in errors}.values())

    def checker(self, settled: Callable[[JobId], bool], want: Wanted) -> Checker:
        """What judges the jobs of this project."""
        return Checker(
            self.expander,
            self.renderer,
            self.reader,
            self.outside,
            self.functions,
            Meanings(self.disk, self.reader, self.outside.filtered),
            settled,
            asked=want.asked,
            secrets=self.taskfile.settings.secrets,
            salt=self.reader.value("salt") or "",
        )

    def code_problems(self) -> list[BtError]:
        """What is wrong with the tasks, their functions and scripts included."""
        tasks = self.expander.tasks.values()
        coded = [task for task in tasks if task.spec.call is not None or task.spec.script is not None]
        found = [error for task in coded for error in self.functions.problems(task)]
        return self._unique([*self.errors, *found])

    def executor(self, task: TaskSpec) -> str:
        """The name of the executor that a task's functions run on."""
        default = self.taskfile.settings.executor
        return self.request.executor or task.executor or (default.text if default is not None else "local")

    def executor_of(self, job: Job) -> str:
        """Where a job runs: commands are always subprocesses of this machine."""
        spec = self.renderer.task(job).spec
        return "local" if spec.run is not None or job.kind is Kind.GROUP else self.executor(spec)

    def order(self, roots: list[JobId]) -> list[JobId]:
        """The roots and all they wait for, each behind what it waits for."""
        graph = self.expander.graph
        done: dict[JobId, None] = {}
        stack = [(job, False) for job in reversed(roots)]
        entered: set[JobId] = set()
        while stack:
            job, leaving = stack.pop()
            if leaving:
                done[job] = None
            elif job not in entered:
                entered.add(job)
                stack.append((job, True))
                stack += [(p, False) for p in sorted(graph.prerequisites(graph.jobs[job]), reverse=True)]
        return list(done)

    def all_jobs(self) -> Wanted:
        """Every job that can be named, commands and groups included. Raises everything that is wrong."""
        raise_all(self._unique(self.errors))
        everything = Wanted()
        for name in self.expander.tasks:
            everything.roots += self.expander.jobs_of(name)
        self.expander.drain()
        raise_all(self._unique(self.expander.errors))
        everything.asked = {j for j in everything.roots if self.graph_jobs[j].kind is not Kind.RULE}
        return everything
