"""One run of one job: what is done to the disk before it, and what is made of it afterwards.

Does not know when jobs run, nor what depends on them.
"""

from __future__ import annotations

import os
import posixpath
import shutil
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from buildtool.audit import undeclared
from buildtool.check import Checker, Look
from buildtool.clean import inside, note_inside
from buildtool.depfile import parse_depfile
from buildtool.environment import Environment
from buildtool.errors import BtError, DiskError, StateError, TaskfileError
from buildtool.executors.protocol import MARK, Call, Differs, Ended, Remote, Work
from buildtool.failures import Failures, glob_paths, log_path
from buildtool.files import TICK, Disk, NotAFileError
from buildtool.fingerprint import Fingerprint, Item, Stale
from buildtool.graph import Form, Job, JobId
from buildtool.isolation import Box, Boxes
from buildtool.luggage import Packer
from buildtool.meaning import BYTES
from buildtool.paths import canonical, parents
from buildtool.plan import Status
from buildtool.project import Project
from buildtool.recover import ASIDE, keep, kept_place, note_stuck, put_back
from buildtool.report.model import Failure
from buildtool.state.records import Away, JobRecord, Made, Running
from buildtool.state.store import State
from buildtool.text import printable
from buildtool.texts import Texts

if TYPE_CHECKING:
    from buildtool.restoring import Hit, Restorer

_READ = ("input", "need", "found", "track.file")  # kinds of items that are files
_SHOWN = 60  # characters of a path


@dataclass(slots=True)
class Attempt:
    """A job on its way: judged stale, then prepared, then running."""

    job: Job
    look: Look
    tries: int = 0  # runs that failed so far
    repeats: int = 0  # runs that did not count, because an input changed meanwhile
    lost: int = 0  # runs that did not count, because of what happened where they ran
    anew: bool = False  # what it reads has changed, so that it was told to end and will run again
    restarts: int = 0  # how often it was, in this build
    alone: bool = False  # to be run where it can hurt no other job
    hit: Hit | None = None  # what comes back from the cache, so that nothing is run
    must_run: bool = False  # what came back from there was damaged
    work: Work | None = None
    command: str = ""
    aside: list[tuple[str, str]] = field(default_factory=list)
    started: float = 0.0  # seconds since the epoch
    notes: list[str] = field(default_factory=list)
    box: Box | None = None  # where it runs, if it is isolated
    guarded: dict[str, tuple[str | None, str]] = field(
        default_factory=dict
    )  # digest and copy of others' files
    began: int = 0  # how many jobs had run by then
    # With `keep`: digest and copy of people's files among the outputs.
    strangers: dict[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def is_fetch(self) -> bool:
        """Whether nothing is run: outputs come home that stayed where they were made."""
        return self.work is not None and self.work.remote is not None and self.work.remote.fetch

    @property
    def is_precious(self) -> bool:
        """Whether a person's files are moved aside for it, which nobody could make again."""
        return bool(self.aside and (self.look.foreign or self.look.edited))


class Outcome(NamedTuple):
    """What came of an attempt. `again`: it does not count, and must be repeated, after these if any."""

    status: Status
    failure: Failure | None = None
    made: tuple[Made, ...] = ()
    again: bool = False
    requires: frozenset[JobId] = frozenset()


class Performer:
    """Prepares attempts and judges their ends, for one build."""

    def __init__(
        self,
        project: Project,
        state: State,
        checker: Checker,
        build: int,
        run: str,
        warn: Callable[[str], None],
        *,
        audit: bool = False,
        cache: bool = True,
    ) -> None:
        self.project = project
        self._failures = Failures(project, checker.masked)
        self.checker = checker
        self.state = state
        self.disk: Disk = project.disk
        self.build = build
        self._run = run
        self._warn = warn
        self._parts = checker.codes
        self._code = checker.code
        self._meant = checker.meant
        self._audit = audit
        self._packer = Packer(project)
        self.drifts: dict[str, Differs] = {}  # by executor: how its machines differ from this one
        self.number = 0  # of the last run
        self.claims: dict[str, JobId] = {}  # files of glob outputs, with the settled job that made them
        self._active: set[JobId] = set()  # jobs that run
        self._ran = 0  # how many jobs came to a good end
        self._done: dict[JobId, int] = {}  # these jobs, by order
        self._boxes = Boxes(self.disk, build)
        self._restorer = _restorer(project, checker, state) if cache else None
        self._garbage: list[str] = []  # moved aside, and not needed once the state is committed
        self.texts = Texts(self.disk, state, checker.masked)
        self._environment = Environment(project.renderer, project.taskfile.settings.pass_env)

    # -- before ----------------------------------------------------------------------------------------------

    def prepare(self, attempt: Attempt, cpus: str, seconds: float | None = None) -> Running:
        """Decide everything about the next run of a job; nothing is changed on the disk.

        `seconds`: what it will take, if that is known.
        """
        job = attempt.job
        keep = self.project.renderer.task(job).spec.keep
        self.number += 1
        if self._restorer is not None and not (attempt.must_run or job.id in self.checker.forced):
            attempt.hit = self._restorer.find(job, attempt.look.items)
        if attempt.hit is None:
            self._set_work(attempt, cpus, seconds)
        outputs = self._old_outputs(attempt)
        self._refuse_links_out((*self._written(job), *outputs))
        attempt.aside = []
        if not keep:
            there = [path for path in outputs if self.disk.exists(path)]
            attempt.aside = [(p, self._place_aside(n, p)) for n, p in enumerate(there)]
        return Running(job.key, job.task, () if keep else outputs, tuple(attempt.aside))

    def _set_work(self, attempt: Attempt, cpus: str, seconds: float | None) -> None:
        """What is given to the executor."""
        job, renderer = attempt.job, self.project.renderer
        folder, spec = renderer.cwd(job), renderer.task(job).spec
        fetched = self._fetched(attempt)
        call = None if spec.run is not None or fetched else self._call(job, cpus)
        command = renderer.command(job, cpus)
        attempt.command = command if command is not None else self.project.functions.text(job)
        executor = self.project.away[fetched[0]].executor if fetched else self.project.executor_of(job)
        remote = self.project.taskfile.is_remote(executor)
        attempt.box = (
            self._boxes.take(self._packer.made(job), again=remote) if spec.isolated or remote else None
        )
        disk = attempt.box.disk if attempt.box is not None else self.disk
        environment = self._environment.of(job)
        secret = (environment.get(name) for name in self.project.taskfile.settings.secrets)
        attempt.work = Work(
            self.number,
            (*renderer.shell(job), attempt.command) if call is None else (),
            disk.absolute(folder).rstrip("/") if folder else disk.root,
            {**environment, MARK: self._run},
            self.disk.absolute(log_path(job)),
            spec.timeout,
            spec.interactive,
            call,
            executor,
            disk.root if self._audit and not remote else "",
            attempt.alone,
            tuple(os.fsencode(value) for value in secret if value),
            self._luggage(attempt, fetched, seconds) if remote else None,
        )

    def _place_aside(self, number: int, path: str) -> str:
        """Where an old output lies while its job runs: all in one directory, since making many takes long.

        The name shows what it is, should the state be lost.
        """
        return f"{ASIDE}{self.build}/{self.number}.{number} {path.strip('/').replace('/', '%')[-_SHOWN:]}"

    def _fetched(self, attempt: Attempt) -> list[str]:
        """The outputs that need only come home from where they were made: nothing else is wrong with the job."""
        verdict = attempt.look.verdict
        if not self.project.away or not isinstance(verdict, Stale):
            return []
        if any(reason.kind != "away" for reason in verdict.reasons):
            return []
        away = [self.project.away.get(reason.name) for reason in verdict.reasons]
        one = len({found.executor if found is not None else None for found in away}) == 1
        return [found.path for found in away if found is not None] if one and None not in away else []

    def _luggage(self, attempt: Attempt, fetched: list[str], seconds: float | None) -> Remote | None:
        """What a job on another machine takes with it."""
        job, box = attempt.job, attempt.box
        if box is None:
            return None
        where = self.disk.absolute(box.path)
        if fetched:
            return self._packer.fetch(job, fetched, where)
        return self._packer.pack(job, attempt.look.items, where, seconds, stays=self._stays_away(job))

    def _stays_away(self, job: Job) -> bool:
        """Whether only jobs that run where this one does read what it makes."""
        executor, graph = self.project.executor_of(job), self.project.expander.graph
        if not self.project.taskfile.leaves_away(executor) or job.id in self.checker.asked:
            return False
        spec = self.project.renderer.task(job).spec
        if spec.hash != BYTES or spec.depfile is not None or job.id in self.project.expander.whole:
            return False
        readers = [graph.consumers.get(file, []) for file in job.output_files()]
        return all(graph.files[file].form is Form.FILE for file in job.output_files()) and all(
            found and all(self.project.executor_of(graph.jobs[reader]) == executor for reader in found)
            for found in readers
        )

    def _call(self, job: Job, cpus: str) -> Call:
        """A function or script with all that it can ask for."""
        functions, task = self.project.functions, self.project.renderer.task(job)
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
            self.project.renderer.environment(job),
            functions.signatures(task),
        )

    def _old_outputs(self, attempt: Attempt) -> tuple[str, ...]:
        """Every path that the job may write, or wrote when it last ran and that no other job makes now."""
        graph = self.project.expander.graph
        files = [graph.files[f] for f in attempt.job.output_files()]
        found = [file.path for file in files if file.form is not Form.GLOB]
        for file in files:
            if file.form is Form.GLOB:
                found += self._in_the_way(attempt.job, file.path)
        if attempt.look.record is not None:
            owned = self.project.reader.owner
            key = attempt.look.record.key
            declared = {*found}
            before = [path for path, _ in attempt.look.record.outputs if path not in declared]
            found += [p for p in before if owned(p) == key and not self._is_others(attempt.job, p)]
        depfile = self.project.renderer.depfile(attempt.job)
        if depfile is not None:
            found.append(depfile)
        return tuple(dict.fromkeys(found))

    def _is_others(self, job: Job, path: str) -> bool:
        """Whether another job makes a path, be it wanted or not: tasks may have been written anew since."""
        maker = self._maker(path)
        if maker is not None:
            return maker != job.id
        values = dict(job.wildcards)
        return any(
            c.task.name != job.task or any(values.get(name, v) != v for name, v in c.values.items())
            for c in self.project.expander.index.candidates(path)
        )

    def _refuse_links_out(self, outputs: Iterable[str]) -> None:
        """Raise `DiskError` for an output that a link above it leads out of the project."""
        for folder, path in {path[: path.rstrip("/").rfind("/") + 1]: path for path in outputs}.items():
            link = self.disk.way_out(path) if folder else None
            if link is not None:
                raise DiskError(
                    f"a link leads from `{printable(path)}` out of the project: `{printable(link)}`",
                    hint='allow the directory with `allow = ["…"]` in `[bt]`',
                )

    def _written(self, job: Job) -> list[str]:
        """What a job is to write, patterns included."""
        depfile = self.project.renderer.depfile(job)
        paths = self.project.expander.graph.paths(job.output_files())
        return [*paths, depfile] if depfile is not None else [*paths]

    def _in_the_way(self, job: Job, text: str) -> list[str]:
        """The files that a glob output matches now, without what jobs read and what others make."""
        return [path for path in glob_paths(self.disk.root, text) if self._is_own(job, path)]

    def _is_own(self, job: Job, path: str) -> bool:
        """Whether a file that a glob output of the job matches is no source and nobody else's."""
        known = self.project.expander.graph.by_path.get(path)
        return self._maker(path) in (None, job.id) and (known is None or self._maker(path) is not None)

    def _maker(self, path: str) -> JobId | None:
        """The job that makes a path, as far as that is known."""
        known = self.project.expander.graph.by_path.get(path)
        producer = self.project.expander.graph.files[known].producer if known is not None else None
        return producer if producer is not None else self.claims.get(path)

    def _of_others(self, job: Job) -> list[str]:
        """The files that a glob output of the job matches now and that belong to other jobs, or to people."""
        graph = self.project.expander.graph
        texts = [graph.files[f].path for f in job.output_files() if graph.files[f].form is Form.GLOB]
        if not texts:
            return []
        inputs = {*graph.paths(job.input_files()), *graph.paths(job.needs)}
        found = [path for text in texts for path in glob_paths(self.disk.root, text)]
        return [p for p in dict.fromkeys(found) if p not in inputs and not self._is_own(job, p)]

    def _guard(self, attempt: Attempt) -> None:
        """Copy what a glob output of the job might write over although it is not the job's own."""
        attempt.guarded = {}
        run = attempt.work.id if attempt.work is not None else 0
        for number, path in enumerate(self._of_others(attempt.job)):
            place = f"{ASIDE}{self.build}/{run}.guarded.{number}"
            self.disk.copy(path, place)
            attempt.guarded[path] = (self.disk.digest(path), place)

    def _trespass(self, attempt: Attempt) -> str | None:
        """What the job wrote although it is another's, in words; what was there before is put back."""
        cause = None
        for path in dict.fromkeys([*self._of_others(attempt.job), *attempt.guarded]):
            before, place = attempt.guarded.get(path, (None, ""))
            now = self.disk.digest(path)
            maker = self._maker(path)
            made = self.checker.made.get(maker, {}).get(path) if maker is not None else before
            if now in (before, made) or maker in self._active:
                continue
            if (link := self.disk.way_out(path)) is not None:
                cause = cause or f"`{printable(link)}` is a link out of the project"
                if place:
                    self._cannot_go_back(path, attempt.guarded.pop(path)[1], cause)
                continue
            try:
                self.disk.remove(path)
                if place:
                    self.disk.move(place, path)
                    self.disk.forget(path)
            except DiskError as error:
                if place:
                    self._cannot_go_back(path, attempt.guarded.pop(path)[1], error.summary)
            whose = (
                f"`{printable(self.project.graph_jobs[maker].name)}` makes"
                if maker is not None
                else "is a source"
            )
            cause = cause or f"it wrote `{printable(path)}`, which {whose}"
        self._garbage += [place for _, place in attempt.guarded.values()]
        attempt.guarded = {}
        return cause

    def begin(self, attempt: Attempt) -> None:
        """Clear the way for a run that the state knows of: old outputs go aside, folders are made."""
        attempt.started = time.time()
        attempt.began = self._ran
        if self.project.away:
            outputs = self.project.expander.graph.paths(attempt.job.output_files())
            self.state.forget_away(self.project.forget_away(outputs))
        spec = self.project.renderer.task(attempt.job).spec
        for path, place in attempt.aside:
            self.disk.move(path, place, durable=attempt.is_precious)
            self.disk.forget(path)
        if spec.keep:
            self._clear_links_out(attempt)
        for path in self.project.expander.graph.paths(attempt.job.output_files()):
            if "*" not in path and os.path.isdir(os.path.dirname(self.disk.absolute(path))):
                continue  # and so is all that lies above
            self._clear_parents(attempt, path)
            self.disk.make_parents(path if "*" not in path else path.split("*", maxsplit=1)[0])
        depfile = self.project.renderer.depfile(attempt.job)
        if depfile is not None:
            self.disk.make_parents(depfile)
        if attempt.box is not None and (attempt.work is None or attempt.work.remote is None):
            kinds = ("input", "need", "track.file")
            inputs = [i.name for i in attempt.look.items if i.kind in kinds]
            attempt.box.fill(inputs, self._packer.made(attempt.job), self.project.renderer.cwd(attempt.job))
        if depfile is not None and spec.keep and self.disk.exists(depfile):
            self._clear_depfile(attempt, depfile)
        self._guard(attempt)
        self._active.add(attempt.job.id)
        if spec.keep:
            for path in (*attempt.look.foreign, *attempt.look.edited):
                where = self.disk.absolute(path)
                if os.path.isfile(where):
                    place = self._kept_place(path)
                    self.disk.make_parents(place)
                    shutil.copy2(where, self.disk.absolute(place))
                    attempt.notes.append(self._kept_note(attempt, path, place))
            self._copy_strangers(attempt)

    def _clear_links_out(self, attempt: Attempt) -> None:
        """With `keep`: links out of the project, which the job would write through, unless it left them itself."""
        record = attempt.look.record
        made = dict(record.outputs) if record is not None else {}
        for path in self._old_outputs(attempt):
            if self.disk.is_link_out(path) and not (path in made and self._is_same(path, made[path])):
                place = self._kept_place(path)
                self.disk.move(path, place, durable=True)
                self.disk.forget(path)
                text = "is a link out of the project"
                attempt.notes.append(f"`{printable(path)}` {text}: kept as `{printable(place)}`")

    def _clear_parents(self, attempt: Attempt, path: str) -> None:
        """An output of old, which no task makes any more, gives way to a directory."""
        for old in (folder[:-1] for folder in parents(path)):
            where = self.disk.absolute(old)
            if (
                os.path.isfile(where)
                and old not in self.project.expander.graph.by_path
                and self.state.owner(old)
            ):
                place = self._kept_place(old)
                self.disk.move(old, place, durable=True)
                self.disk.forget(old)
                self.state.forget_outputs([old])
                self.project.disown(old)
                attempt.notes.append(f"`{printable(old)}` was in the way: kept as `{printable(place)}`")

    def _clear_depfile(self, attempt: Attempt, path: str) -> None:
        """With `keep`: what stands in the place of the dependency file is somebody's, unless a killed run left it."""
        record = attempt.look.record
        if record is not None and record.status == "interrupted":
            self.disk.remove(path)
            return
        place = self._kept_place(path)
        self.disk.move(path, place, durable=True)
        self.disk.forget(path)
        attempt.notes.append(self._kept_note(attempt, path, place))

    def _copy_strangers(self, attempt: Attempt) -> None:
        """With `keep`: copy what `bt` did not make inside output directories and among the files of globs."""
        graph = self.project.expander.graph
        attempt.strangers = {}
        for file in (graph.files[f] for f in attempt.job.output_files()):
            paths: list[str] = []
            if file.form is Form.GLOB:
                ways = self._in_the_way(attempt.job, file.path)
                paths = [path for path in ways if self.state.owner(path) is None]
            elif file.form is Form.DIRECTORY:
                own = self._own_inside(attempt, file.path)
                paths = [p for p in self.disk.below(file.path) if own.get(p) != self.disk.digest(p)]
            for path in paths:
                place, value = self._kept_place(path), self.disk.digest(path)
                if self.disk.is_link_out(path):  # it would be written through
                    self.disk.move(path, place, durable=True)
                    attempt.notes.append(self._kept_note(attempt, path, place))
                elif value is not None:
                    self.disk.copy(path, place)
                    attempt.strangers[path] = (value, place)

    def _own_inside(self, attempt: Attempt, folder: str) -> dict[str, str]:
        """What `bt` made inside an output directory that was left in place, as far as it is not all of it."""
        known = inside(self.state, folder)
        if known is None and self.state.owner(folder) is not None and folder not in attempt.look.edited:
            return {path: self.disk.digest(path) or "" for path in self.disk.below(folder)}
        return known or {}

    def _leave_strangers(self, attempt: Attempt) -> None:
        """With `keep`: tell of those that the job changed; the others stay what they are, and need no copy."""
        for path, (value, place) in list(attempt.strangers.items()):
            if self.disk.digest(path) == value:
                self.disk.remove(place)
                self.disk.remove_empty_parents(place)
            else:
                del attempt.strangers[path]
                attempt.notes.append(self._kept_note(attempt, path, place))
        graph = self.project.expander.graph
        for file in (graph.files[f] for f in attempt.job.output_files()):
            if file.form is Form.DIRECTORY:
                paths = [p for p in self.disk.below(file.path) if p not in attempt.strangers]
                note_inside(self.state, file.path, {p: self.disk.digest(p) or "" for p in paths})

    def touched(self, attempt: Attempt, changed: set[str]) -> str | None:
        """The first of these paths that a running job reads and that is not any more as it was when it started."""
        for item in attempt.look.items:
            if item.kind not in _READ:
                continue
            inside = item.name[-1:] == "/" and any(path.startswith(item.name) for path in changed)
            if (item.name in changed or inside) and self.disk.digest(item.name) != item.digest:
                return item.name
        if attempt.work is not None and attempt.work.call is not None:
            files = self.project.functions.files(self.project.renderer.task(attempt.job))
            return next((path for path, same in files if path in changed and not same), None)
        return None

    def note_end(self, attempt: Attempt) -> None:
        """A run is over, as it seems well: jobs that begin before it is judged find what it made. Counted once."""
        if self._done.get(attempt.job.id, 0) <= attempt.began:
            self._ran += 1
            self._done[attempt.job.id] = self._ran

    # -- afterwards ------------------------------------------------------------------------------------------

    def finish(self, attempt: Attempt, ended: Ended) -> Outcome:
        """Judge a run that has ended, and record it if it is good; else its old outputs are put back."""
        try:
            self._active.discard(attempt.job.id)
            trespass = self._trespass(attempt)
            if not (ended.code or ended.signal or ended.cause or ended.error):
                self._refuse_links_out(self._written(attempt.job))
                if attempt.box is not None:
                    attempt.box.bring_out(self._packer.made(attempt.job))
            if ended.away and attempt.work is not None:
                away = [Away(*made, attempt.work.executor) for made in ended.away]
                self.project.leave_away(away)
                self.state.set_away(away)
            failure = self._failures.look(
                attempt.job, attempt.command, attempt.started, attempt.work, ended, attempt.box
            )
            if failure is None and trespass is not None:
                failure = self.failure(attempt, trespass)
            if failure is None:
                return self._succeed(attempt, ended)
        except (BtError, OSError) as error:
            if isinstance(error, StateError) and not isinstance(error, DiskError):
                raise
            failure = self._failures.describe(attempt.job, attempt.command, str(error))
        self.put_back(attempt)
        return Outcome(Status.FAILED, failure)

    def _fetch_ended(self, attempt: Attempt) -> Outcome:
        """Outputs came home: what is recorded of them stays as it is. Others than these are as good as none."""
        if attempt.box is not None:
            self._boxes.give_back(attempt.box)
            attempt.box = None
        made, record = self._made(attempt), attempt.look.record
        if record is None or {*record.outputs} != {*made}:
            self.put_back(attempt)
            return Outcome(Status.RAN, again=True)
        self.state.stop(attempt.job.key)
        return Outcome(Status.RESTORED, made=made)

    def _succeed(self, attempt: Attempt, ended: Ended) -> Outcome:
        if attempt.is_fetch:
            return self._fetch_ended(attempt)
        found = self._found(attempt)
        # The jobs that make what this one turned out to read, and that were not settled before it ran.
        early = self.checker.found_makers(attempt.job, (item.name for item in found))
        changed = self._changed(attempt, found)
        if self._made_meanwhile(attempt, found) and not attempt.repeats:
            attempt.repeats += 1
            self.put_back(attempt)
            return Outcome(Status.RAN, again=True)
        if early and not attempt.repeats:
            attempt.repeats += 1
            self.put_back(attempt)
            return Outcome(Status.RAN, again=True, requires=early)
        if changed:
            if attempt.repeats:
                cause = f"{printable(changed)} changed while it ran, twice"
                self.put_back(attempt)
                return Outcome(Status.FAILED, self._failures.describe(attempt.job, attempt.command, cause))
            attempt.repeats += 1
            attempt.notes.append(f"`{printable(changed)}` changed while it ran; running once more")
            self.put_back(attempt)
            return Outcome(Status.RAN, again=True)
        if self.project.renderer.task(attempt.job).spec.keep:
            self._leave_strangers(attempt)
        made = self._made(attempt)
        record = attempt.look.record
        same = record is not None and {*record.outputs} == {*made} and bool(made)
        attempt.notes += undeclared(self.project, attempt.job, attempt.look.items, ended.opened)
        self._keep_strangers(attempt, made)
        cost = (ended.seconds, ended.peak_memory)
        self._record(attempt, made, found, cost, self._runs(attempt) + 1)
        if self._restorer is not None:
            self._restorer.keep(attempt.job, attempt.look.items, found, made, cost)
        self._settle(attempt, made)
        if attempt.box is not None:
            self._boxes.give_back(attempt.box)
            attempt.box = None
        status = Status.UNCHANGED if same else Status.RAN
        return Outcome(status, made=made)

    def restore(self, attempt: Attempt, hit: Hit) -> tuple[Made, ...] | None:
        """Take the outputs from the cache instead of a run; None if that cannot be, and the job must run."""
        self._active.discard(attempt.job.id)
        try:
            made = self._brought(attempt, hit)
        except (BtError, OSError) as error:
            if isinstance(error, StateError) and not isinstance(error, DiskError):
                raise
            made = None
        if made is None:
            attempt.must_run = True
            self.put_back(attempt)
            return None
        found = tuple(Item("found", path, value) for path, value in hit.kept.found)
        self._record(attempt, made, found, (hit.kept.seconds, hit.kept.peak_memory), self._runs(attempt))
        self._settle(attempt, made)
        return made

    def _brought(self, attempt: Attempt, hit: Hit) -> tuple[Made, ...] | None:
        """What the cache put into the place of the outputs; None if it does not count. Raises DiskError and OSError."""
        if self._restorer is None or not self._restorer.bring(hit):
            return None
        made = self._made(attempt)
        if {*made} != {*hit.kept.outputs} or self._changed(attempt, ()):
            return None
        self._keep_strangers(attempt, made)
        return made

    def _settle(self, attempt: Attempt, made: tuple[Made, ...]) -> None:
        """What was made stays: others may build on it, and what lies aside is not needed any more."""
        if self.disk.durable:
            for path, _ in made:
                self.disk.note_due(path)
        self.note_end(attempt)
        self._garbage += [place for _, place in attempt.aside if place.startswith(ASIDE)]

    def _found(self, attempt: Attempt) -> tuple[Item, ...]:
        """The inputs that the job's depfile names, which is read and removed."""
        path = self.project.renderer.depfile(attempt.job)
        if path is None or not self.disk.exists(path):
            return ()
        where = self.disk.absolute(path)
        with open(where, "rb") as file:
            text = file.read().decode("utf-8", "surrogateescape")
        place = self.project.renderer.task(attempt.job).spec.at("depfile")
        try:
            names = parse_depfile(text)
        except ValueError as error:
            raise TaskfileError(f"`{printable(path)}` is no dependency file: {error}", place=place) from error
        for old in [old for name, old in attempt.aside if name == path]:
            if self.disk.digest(old) == self.disk.digest(path):  # nothing to keep
                attempt.aside.remove((path, old))
                self._garbage.append(old)
        self.disk.remove(path)
        folder = self.project.renderer.cwd(attempt.job)
        known = {item.name for item in attempt.look.items if item.kind in ("input", "need", "output")}
        paths = dict.fromkeys(canonical(posixpath.join(folder, name), self.disk.root) for name in names)
        return tuple(
            Item("found", p, self.disk.digest(p))
            for p in paths
            if p not in known and p != path and not os.path.isdir(self.disk.absolute(p))
        )

    def _made_meanwhile(self, attempt: Attempt, found: Iterable[Item]) -> bool:
        """Whether a job that makes what this one turned out to read ran while this one did."""
        makers = {self._maker(item.name) for item in found}
        return any(self._done.get(m, 0) > attempt.began for m in makers if m not in (None, attempt.job.id))

    def _changed(self, attempt: Attempt, found: Iterable[Item]) -> str | None:
        """The first input, or code, that is not any more what it was when the job began."""
        task = self.project.renderer.task(attempt.job)
        for item in attempt.look.items:
            if item.kind == "code" and self._code(task) != item:
                return f"code of {item.name}"
        looked = {item.name: item for item in attempt.look.items if item.kind == "found"}
        for item in attempt.look.items:
            if item.kind not in ("input", "need", "track.file"):
                continue
            now = item._replace(digest=self.disk.digest(item.name))
            if now != item and self._meant(now) != item:
                return f"input {item.name}"
        begun = int(attempt.started * 1e9) - TICK // 2
        for item in found:
            before = looked.get(item.name)
            if before is not None:
                if before.digest != item.digest:
                    return f"input {item.name}"
                continue
            known = self.project.expander.graph.by_path.get(item.name)
            if known is not None and self.project.expander.graph.files[known].producer is not None:
                continue
            stamp = self.disk.memory.get(item.name)
            if stamp is not None and stamp[2] > begun:
                return f"input {item.name}"
        return None

    def _made(self, attempt: Attempt) -> tuple[Made, ...]:
        """Every output with its digest; a glob as the files that appeared."""
        paths: list[str] = []
        for number in attempt.job.output_files():
            file = self.project.expander.graph.files[number]
            paths += self._in_the_way(attempt.job, file.path) if file.form is Form.GLOB else [file.path]
        found = []
        for path in dict.fromkeys(p for p in paths if p not in attempt.strangers):
            value = self.disk.digest(path)
            if value is not None:
                found.append(Made(path, value))
        return tuple(found)

    def _record(
        self,
        attempt: Attempt,
        made: tuple[Made, ...],
        found: tuple[Item, ...],
        cost: tuple[float, int],
        runs: int,
    ) -> None:
        """Note what a good run left, with the seconds and bytes that it took, and how many there were."""
        job = attempt.job
        items = [i for i in attempt.look.items if i.kind not in ("found", "output")]
        outputs = [i for i in attempt.look.items if i.kind == "output"]
        self.state.record(
            JobRecord(
                job.key,
                job.task,
                job.wildcards,
                "ok",
                Fingerprint((*items, *found, *outputs)),
                made,
                tuple(item.name for item in found),
                self.build,
                time.time(),
                *cost,
                self.project.executor_of(job),
                runs,
                drift=self._drift(job),
            ),
            self._parts,
        )
        self.texts.keep((*items, *found), self._is_source)

    def _is_source(self, path: str) -> bool:
        """Whether no job makes it."""
        return self._maker(path) is None

    def _drift(self, job: Job) -> str:
        differs = self.drifts.get(self.project.executor_of(job))
        return differs.short if differs is not None else ""

    def record_failure(self, attempt: Attempt, seconds: float) -> None:
        """Note that the last run failed; what is known of the last success stays."""
        job = attempt.job
        old = attempt.look.record
        self.state.record(
            JobRecord(
                job.key,
                job.task,
                job.wildcards,
                "failed",
                old.fingerprint if old is not None else Fingerprint(()),
                old.outputs if old is not None else self._half(attempt),
                old.found if old is not None else (),
                old.build if old is not None else self.build,
                old.ended if old is not None else time.time(),
                old.seconds if old is not None else seconds,
                old.peak_memory if old is not None else 0,
                self.project.executor_of(job),
                self._runs(attempt) + 1,
            )
        )

    def _runs(self, attempt: Attempt) -> int:
        """How often a job ran before, also if it never came to a good end."""
        record = attempt.look.record or self.state.job(attempt.job.key)
        return record.runs if record is not None else 0

    def _half(self, attempt: Attempt) -> tuple[Made, ...]:
        """What the failed first run of a `keep` job left, and nobody else."""
        if not self.project.renderer.task(attempt.job).spec.keep:
            return ()
        graph = self.project.expander.graph
        files = [graph.files[f] for f in attempt.job.output_files()]
        paths = [
            file.path for file in files if file.form is Form.FILE and file.path not in attempt.look.foreign
        ]
        there = ((path, self.disk.digest(path)) for path in paths)
        return tuple(Made(path, value) for path, value in there if value is not None)

    def failure(self, attempt: Attempt, cause: str) -> Failure:
        """A failure of an attempt that ended well."""
        return self._failures.describe(attempt.job, attempt.command, cause)

    def put_back(self, attempt: Attempt) -> None:
        """Remove what a bad run left and put the old outputs back where they were, or else into `.bt/kept/`."""
        self._active.discard(attempt.job.id)
        self._trespass(attempt)
        spec = self.project.renderer.task(attempt.job).spec
        if attempt.box is not None:
            attempt.box.remove()
            attempt.box = None
        if spec.keep:
            depfile = self.project.renderer.depfile(attempt.job)
            if depfile is not None and self.disk.way_out(depfile) is None:
                self.disk.remove(depfile)
            if attempt.strangers:
                self._leave_strangers(attempt)
            return
        put_back(
            self.disk,
            self._old_outputs(attempt),
            dict(attempt.aside),
            self._cannot_go_back,
            began=attempt.started or None,
            durable=attempt.is_precious,
        )
        attempt.aside = []

    def _cannot_go_back(self, path: str, place: str, cause: str) -> None:
        """Keep what lies aside and cannot be put back; if that cannot be either, it stays where it is."""
        try:
            kept = keep(self.disk, path, place)
        except DiskError:
            note_stuck(self.state, path, place)
            kept = place
        self._warn(f"`{printable(path)}` cannot be put back, {cause}: kept as `{printable(kept)}`")

    def _keep_strangers(self, attempt: Attempt, made: tuple[Made, ...]) -> None:
        """Files that `bt` did not make, or that were edited, go to `.bt/kept/` unless the job made them again."""
        now = {m.path: m.digest for m in made}
        edited = set(attempt.look.edited)
        for at, (path, place) in enumerate(attempt.aside):
            owned = self.project.owner(path) is not None and not self._holds_strangers(path, place)
            if path not in edited and owned:
                continue
            where = self.disk.absolute(place)
            is_directory = os.path.isdir(where) and not os.path.islink(where)
            old = place + "/" if is_directory else place
            if is_directory == path.endswith("/") and self._is_same(old, now.get(path)):
                continue
            kept = self._kept_place(path)
            self.disk.move(place, kept, durable=True)
            attempt.aside[at] = (path, kept)
            attempt.notes.append(self._kept_note(attempt, path, kept))

    def _is_same(self, path: str, digest: str | None) -> bool:
        """Whether a file or directory holds this; one with a pipe or the like in it holds nothing that a job makes."""
        try:
            return self.disk.digest(path) == digest
        except NotAFileError:
            return False

    def _holds_strangers(self, path: str, place: str) -> bool:
        """Whether an output directory that lies aside holds what `bt` did not make: `keep` had left it there."""
        own = inside(self.state, path) if path.endswith("/") else None
        if own is None:
            return False
        note_inside(self.state, path, None)
        return any(path + p[len(place) + 1 :] not in own for p in self.disk.below(place + "/"))

    def _kept_place(self, path: str) -> str:
        return kept_place(self.disk, self.build, path)

    def _kept_note(self, attempt: Attempt, path: str, place: str) -> str:
        why = "was edited" if path in attempt.look.edited else "was not made by bt"
        return f"`{printable(path)}` {why}: kept as `{printable(place)}`"

    def sweep(self) -> None:
        """Remove old outputs that are not needed any more; the state must have been committed before."""
        for place in self._garbage:
            self.disk.remove(place)
        self._garbage = []

    def close(self) -> None:
        """Remove the directories that are left where things lay aside, or came in."""
        self._boxes.close()
        if self._restorer is not None:
            self._restorer.close()
        self.disk.remove_empty_parents(self._place_aside(0, ""))


def _restorer(project: Project, checker: Checker, state: State) -> Restorer | None:
    """Who keeps outputs, if the Taskfile wants that."""
    size = project.taskfile.settings.cache
    if size is None:
        return None
    from buildtool.restoring import Restorer  # most projects have none

    return Restorer(project, checker, state, size)
