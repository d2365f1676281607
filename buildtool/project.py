"""One project, opened: its Taskfile expanded over its files, with what the state remembers. Runs nothing.

Everything that looks (`list`, `why`, `status`, a dry run) and `build` itself start from here.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from buildtool.check import Checker
from buildtool.errors import BtError, raise_all
from buildtool.expand.expander import Expander
from buildtool.expand.functions import Functions
from buildtool.expand.render import Renderer, override
from buildtool.expand.targets import Wanted, cycle_error, missing_files, stood_for, task_cycle, wanted
from buildtool.expand.tasks import Task, ready_tasks
from buildtool.expand.variables import Variables
from buildtool.files import Disk, NotAFileError
from buildtool.graph import Job, JobId, Kind
from buildtool.meaning import Meanings
from buildtool.state.records import Away
from buildtool.state.store import StateReader
from buildtool.taskfile.specs import DECORATED, Taskfile, TaskSpec
from buildtool.tuples import NamedTuple


class Request(NamedTuple):
    """What the command line asks of any command that opens a project."""

    targets: tuple[str, ...] = ()
    folder: str = ""  # where it was typed, relative to the project root
    given: Mapping[str, Any] | None = None  # --set
    args: tuple[str, ...] = ()  # behind `--`
    rehash: bool = False
    executor: str | None = None  # -e: instead of what the Taskfile says
    parallel: bool = True  # not `-j 1`
    where: tuple[str, ...] = ()  # -C and -f, as given
    settings: tuple[str, ...] = ()  # --set, as given
    only: bool = False  # --only


class Remembered:
    """Values from outside the project as the last build saw them: nothing is run to get them.

    Of `secrets`, variables whose values are nobody's business, the state keeps the names alone.
    """

    def __init__(self, reader: StateReader, secrets: tuple[str, ...] = ()) -> None:
        self._reader = reader
        self._secrets = secrets
        self.asked: dict[str, str | None] = {}  # environment variables that were asked for

    def shell_variable(self, name: str, text: str) -> str | None:
        """What the command of `vars.NAME.sh` printed last."""
        return self.unveiled(self._reader.value(f"{name}: {text}"))

    def command(self, text: str) -> str | None:
        """What a tracked command printed last."""
        return self.unveiled(self._reader.value(f"track.cmd: {text}"))

    def filtered(self, text: str, where: str) -> str | None:  # noqa: ARG002  those who look run nothing
        """A digest of what a filter makes of a file: not known here."""
        return None

    def veiled(self, text: str) -> str:
        """The text with the values of secrets replaced by their names, as the state may keep it."""
        for name in self._secrets:
            if value := os.environ.get(name):
                text = text.replace(value, f"\0{name}\0")
        return text

    def unveiled(self, text: str | None) -> str | None:
        """What `veiled` was given, as long as the secrets are the same."""
        if text is None or "\0" not in text:
            return text
        for name in self._secrets:
            text = text.replace(f"\0{name}\0", os.environ.get(name, "***"))
        return text

    def variable(self, name: str) -> str | None:
        """An environment variable of this process."""
        value = self.asked[name] = os.environ.get(name)
        return value


class Project:
    """A Taskfile with its graph. `outside` gives the values that commands print.

    `few`: only a few files will be looked at, those that `recall` names, so that not all that is known is read.
    """

    def __init__(
        self,
        taskfile: Taskfile,
        reader: StateReader,
        request: Request,
        outside: Remembered | None = None,
        *,
        few: bool = False,
    ) -> None:
        self.taskfile, variables_given = override(taskfile, request.given or {})
        self.request = request
        self.reader = reader
        self.outside = outside or Remembered(reader, taskfile.settings.secrets)
        self._few = few
        self._reads: tuple[str, set[str]] | None = None  # what the job read that was asked for last
        self._held: dict[
            str, tuple[bool, dict[str, str] | None]
        ] = {}  # of directories that bt made: whether they are intact, and what in there is a job's if that was noted
        self._owners: dict[str, str | None] = {}  # where few are asked for: those that were
        self.owned = {} if few else reader.owned()
        self.disk = Disk(taskfile.root, {} if few else reader.stamps(), rehash=request.rehash)
        self.disk.allowed = taskfile.settings.allow
        self.disk.durable = taskfile.settings.durable
        self.away = {
            path: away
            for path, away in reader.away().items()
            if self.taskfile.is_remote(away.executor) and not self.disk.exists(path)
        }
        self.disk.away = {path: away.digest for path, away in self.away.items()}
        wrong_names = {name for table, name in taskfile.wrong if table == "vars"}
        self.variables = Variables(
            taskfile.vars, self.disk, self.outside.shell_variable, variables_given, wrong_names
        )
        tasks, errors, wrong = ready_tasks(self.taskfile, self.variables, self.disk)
        self.expander = Expander(tasks, self.disk, self.owner, self._is_changed, self._was_read)
        self.errors: list[BtError] = errors
        self.wrong = wrong  # tasks with a mistake
        self.renderer = Renderer(self.taskfile, self.expander, self.variables, request.args)
        self.functions = Functions(self.taskfile, self.expander, self.renderer)
        self._imports: tuple[str, ...] | None = None
        self._decorated: dict[str, bool] = {}
        self._local: dict[str, str] = {}  # executors of tasks whose jobs all run on this machine

    @property
    def graph_jobs(self) -> list[Job]:
        """Every job known so far."""
        return self.expander.graph.jobs

    @property
    def is_deleting(self) -> bool:
        """Whether orphans go: a build of a part, or with other values, does not tell what is one."""
        is_whole = not self.request.targets and not self.request.given
        return is_whole and self.taskfile.settings.orphans == "delete"

    def owner(self, path: str) -> str | None:
        """The key of the job that made a path, as it was when the project was opened or `recall` was called."""
        if not self._few or path in self.owned:
            return self.owned.get(path)
        if path not in self._owners:
            self._owners[path] = self.reader.owner(path)
        return self._owners[path]

    def _is_changed(self, path: str, made: str) -> bool:
        """Whether somebody wrote to a path since a job made the output that it is or lies in.

        Half of what a job wrote is no person's.
        """
        record = self.reader.job(self.owner(made) or "")
        if record is not None and record.status == "interrupted":
            return False
        if path == made:
            if self._is_intact(path):
                return False
            # Of a directory, that something in it is gone is nobody's work that could be lost.
            return path[-1:] != "/" or any(self._is_changed(inner, made) for inner in self.disk.below(path))
        if made not in self._held:
            self._held[made] = (self._is_intact(made), self.reader.inside(made))
        is_intact, own = self._held[made]
        if own is not None:
            return own.get(path) != self.disk.digest(path)
        # It was not noted what else is in there; what nobody has touched since the job has ended is the job's.
        return not is_intact and self.disk.touched_since(path, record.ended if record is not None else 0.0)

    def _is_intact(self, path: str) -> bool:
        """Whether an output is as its job left it."""
        try:
            return self.disk.digest(path) == self.reader.recorded(path)
        except NotAFileError:
            return False

    def _was_read(self, key: str, path: str) -> bool:
        """Whether a job has read a path when it last ran."""
        if self._reads is None or self._reads[0] != key:
            record = self.reader.job(key)
            items = record.fingerprint.items if record is not None else ()
            self._reads = (key, {item.name for item in items if item.kind in ("input", "need")})
        return path in self._reads[1]

    def disown(self, path: str) -> None:
        """From now on nobody made that path."""
        self.owned.pop(path, None)
        self._owners[path] = None

    def recall(self, files: Iterable[str], outputs: Iterable[str]) -> None:
        """Have at hand what is known of these files, and who made these outputs."""
        self.disk.memory |= self.reader.stamps(path for path in files if path not in self.disk.memory)
        for path in outputs:
            self.owner(path)

    def want(
        self, targets: Sequence[str] | None = None, *, keep_going: bool = False, only: bool = False
    ) -> Wanted:
        """The jobs that the request asks for. Raises everything that is wrong, all at once.

        With `keep_going`, missing inputs are left to fail the jobs that need them; with `only`, those of other
        jobs than the wanted ones do not matter.
        """
        raise_all(self._unique(self.errors))
        self.expander.enumerate_rows()
        words = self.request.targets if targets is None else targets
        found = wanted(self.taskfile, self.expander, words, self.request.folder)
        raise_all(self._unique(self.expander.errors))
        cycle = cycle_error(self.expander, found.roots) or task_cycle(self.expander)
        if cycle is not None:
            raise cycle
        if only:
            raise_all(self.missing_inputs(found.roots))
        elif not keep_going:
            raise_all(missing_files(self.expander))
        return found

    def take_as_is(self, want: Wanted, checker: Checker) -> set[JobId]:
        """With `--only`: take every job but the wanted ones as it is on the disk; those jobs.

        What a wanted job reads is filled in as far as no other wanted one decides about it. The jobs of a wanted
        task that are known only then are wanted, too.
        """
        graph = self.expander.graph
        roots = set(want.roots)
        left: set[JobId] = set()
        entered: set[JobId] = set()
        grown: dict[JobId, tuple[JobId, ...]] = {}
        stack = list(reversed(want.roots))
        while stack:
            job = graph.jobs[stack[-1]]
            before = graph.prerequisites(job)
            waits = [p for p in before if p not in entered]
            entered.add(job.id)
            if waits:
                stack += waits
            elif job.growing and grown.get(job.id) != job.requires and not before & roots:
                grown[job.id] = job.requires
                job = self.grow(job.id)
                if job.id in roots and self.expander.is_late_group(job.id):
                    new = sorted(stood_for(self.expander, job) - roots)
                    want.roots += new
                    want.asked.update(new)
                    roots.update(new)
            else:
                stack.pop()
                if job.id not in roots and job.id not in left:
                    left.add(job.id)
                    record = checker.record(job)
                    made = record.outputs if record is not None else ()
                    self.expander.settle(job.id, tuple(m.path for m in made))
        return left

    def grow(self, job: JobId) -> Job:
        """Fill in what a job reads now that more is known. Raises what is wrong with the jobs that this brings."""
        known = len(self.expander.errors)
        self.expander.grow(job)
        self.expander.drain()
        found = self.expander.errors[known:]
        del self.expander.errors[known:]
        if found:
            raise found[0]
        return self.graph_jobs[job]

    def refuse_commands(self, want: Wanted) -> None:
        """Raise what is wrong with the commands of wanted jobs once values are filled in, before any of them runs."""
        doubtful = {name for name, task in self.expander.tasks.items() if not self.renderer.is_certain(task)}
        if not doubtful:
            return
        errors: list[BtError] = []
        for number in self.expander.graph.closure(want.roots):
            job = self.graph_jobs[number]
            if (
                job.task not in doubtful
                or job.growing
                or any(f in self.expander.missing for f in job.input_files())
            ):
                continue
            try:
                self.renderer.command(job)
            except BtError as error:
                errors.append(error)
        raise_all(self._unique(errors))

    def missing_inputs(self, jobs: Iterable[JobId]) -> list[BtError]:
        """An error for each file that is not there, that nothing makes and that one of these very jobs reads."""
        graph = self.expander.graph
        read = {f for j in jobs for f in (*graph.jobs[j].input_files(), *graph.jobs[j].needs)}
        return missing_files(self.expander, read)

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
            reaches=self.reaches,
        )

    def code_problems(self) -> list[BtError]:
        """What is wrong with the tasks, their functions and scripts included."""
        tasks = self.expander.tasks.values()
        coded = [task for task in tasks if task.spec.call is not None or task.spec.script is not None]
        found = [error for task in coded for error in self.functions.problems(task)]
        custom = [spec for spec in self.taskfile.executors.values() if spec.backend == "custom"]
        factories = [error for spec in custom if (error := self.functions.factory_problem(spec)) is not None]
        return self._unique([*self.errors, *found, *factories])

    def code_changed(self) -> None:
        """Forget what was concluded from the source of functions."""
        self._imports = None
        self._decorated.clear()
        self._local.clear()
        self.functions.look_again()

    def imports(self) -> tuple[str, ...]:
        """The packages from outside that functions and scripts of the project import."""
        if self._imports is None:
            coded = (t for t in self.expander.tasks.values() if t.spec.call or t.spec.script is not None)
            pieces = (piece for task in coded for piece in self.functions.reach(task).pieces)
            self._imports = tuple(sorted({piece.name for piece in pieces if piece.kind == "package"}))
        return self._imports

    def executor(self, task: TaskSpec) -> str:
        """The name of the executor that a task's functions run on."""
        default = self.taskfile.settings.executor
        return self.request.executor or task.executor or (default.text if default is not None else "local")

    def executor_of(self, job: Job) -> str:
        """Where a job runs: commands are subprocesses of this machine, unless it is to run on others."""
        known = self._local.get(job.task)
        if known is not None:
            return known
        spec = self.renderer.task(job).spec
        if job.kind is Kind.GROUP:
            return "local"
        name = self.executor(spec)
        decorated = self._is_for_the_cloud(self.renderer.task(job))
        if decorated:
            return DECORATED
        if self.taskfile.is_remote(name):
            return "local" if self._stays(job) else name
        if decorated is None:
            return name
        known = self._local[job.task] = name if spec.run is None else "local"
        return known

    def _is_for_the_cloud(self, task: Task) -> bool | None:
        """Whether a function has `@coiled.function`, and nothing says that it is to run elsewhere.

        None: its source cannot be read.
        """
        if task.spec.call is None or task.spec.executor is not None or self.request.executor == "local":
            return False
        if not self.request.parallel and self.request.executor is None:
            return False
        found = self._decorated.get(task.spec.call)
        if found is None:
            try:
                found = self.functions.is_for_the_cloud(task)
            except BtError:
                return None  # told elsewhere
            self._decorated[task.spec.call] = found
        return found

    def _stays(self, job: Job) -> bool:
        """Whether a job needs this machine: its terminal, what is here already, or all of the project."""
        spec = self.renderer.task(job).spec
        return (
            spec.interactive
            or spec.serve
            or spec.keep
            or (job.kind is Kind.COMMAND and spec.executor is None)
        )

    def is_remote(self, job: Job) -> bool:
        """Whether a job runs on a machine that does not see this disk."""
        return self.taskfile.is_remote(self.executor_of(job))

    def reaches(self, job: Job, path: str) -> bool:
        """Whether a job finds a file where it runs: here, or on the machines that have it."""
        away = self.away.get(path)
        return away is None or self.disk.exists(path) or self.executor_of(job) == away.executor

    def leave_away(self, outputs: Iterable[Away]) -> None:
        """From now on these are on other machines."""
        for away in outputs:
            self.away[away.path] = away
            self.disk.away[away.path] = away.digest

    def forget_away(self, paths: Iterable[str]) -> list[str]:
        """From now on these are here, or nowhere; those that were away."""
        found = [path for path in paths if self.away.pop(path, None) is not None]
        for path in found:
            del self.disk.away[path]
        return found

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
