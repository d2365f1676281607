"""Prepares the runs of a build's jobs, clears their way, and judges their ends."""

from __future__ import annotations

import contextlib
import os
import posixpath
import time
from collections.abc import Callable, Iterable
from functools import cached_property
from typing import TYPE_CHECKING

from buildtool.check import Checker
from buildtool.errors import BtError, DiskError, StateError, TaskfileError
from buildtool.executors.protocol import Differs, Ended
from buildtool.failures import Failures
from buildtool.files import TICK, Disk, NotAFileError
from buildtool.fingerprint import Fingerprint, Item
from buildtool.graph import Form, Job, JobId
from buildtool.isolation import Boxes
from buildtool.luggage import Packer
from buildtool.paths import ASIDE, canonical, parents
from buildtool.perform.attempt import Attempt, Outcome
from buildtool.perform.owners import Owners
from buildtool.perform.strangers import Copies, Strangers
from buildtool.perform.works import Works
from buildtool.plan import Status
from buildtool.project import Project
from buildtool.recover import keep, note_stuck, put_back
from buildtool.report.model import Failure
from buildtool.state.records import Away, JobRecord, Made, Running
from buildtool.state.store import State
from buildtool.text import count, printable
from buildtool.texts import Texts

if TYPE_CHECKING:
    from buildtool.perform.behind import Behind
    from buildtool.restoring import Hit, Restorer

_READ = ("input", "need", "found", "track.file")  # kinds of items that are files
_SHOWN = 60  # characters of a path


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
        self._warn = warn
        self._parts = checker.codes
        self._code = checker.code
        self._meant = checker.meant
        self._packer = Packer(project)
        self.drifts: dict[str, Differs] = {}  # by executor: how its machines differ from this one
        self.number = 0  # of the last run
        self._active: set[JobId] = set()  # jobs that run
        self._ran = 0  # how many jobs came to a good end
        self._done: dict[JobId, int] = {}  # these jobs, by order
        self._boxes = Boxes(self.disk, build)
        self._works = Works(project, checker, self._boxes, self._packer, run, audit=audit)
        self.owners = Owners(project)
        self._copies = Copies(self.disk, state, build)
        self._strangers = Strangers(project, state, self.owners, self._copies, build)
        self._restorer = _restorer(project, checker, state) if cache else None
        self._garbage: list[str] = []  # moved aside, and not needed once the state is committed
        self.texts = Texts(self.disk, state, checker.masked)

    @cached_property
    def _behind(self) -> Behind:
        from buildtool.perform.behind import Behind  # few projects have jobs with `keep`

        return Behind(self.project, self.state, self.owners, self._copies, self._active)

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
            self._works.put_together(attempt, self.number, cpus, seconds)
        outputs = self._old_outputs(attempt)
        self._refuse_links_out((*self._written(job), *outputs))
        attempt.aside = []
        if keep:
            copies = tuple((path, place) for place, (path, _) in attempt.kept.items())  # of runs that failed
            return Running(job.key, job.task, (), (), copies=copies, waits=True)
        there = [path for path in outputs if self.disk.exists(path)]
        if len(there) > 1:  # a file may have become a directory, which goes as a whole
            whole = {path.rstrip("/") + "/" for path in there}
            there = [path for path in there if whole.isdisjoint(parents(path))]
        attempt.aside = [(p, self._place_aside(n, p)) for n, p in enumerate(there)]
        files = [self.project.expander.graph.files[number] for number in job.output_files()]
        patterns = tuple(file.path for file in files if file.form is Form.GLOB)
        spared = tuple(self.owners.of_others(job)) if patterns else ()
        aside = tuple(attempt.aside)
        return Running(job.key, job.task, outputs, aside, patterns=patterns, spared=spared)

    def _place_aside(self, number: int, path: str) -> str:
        """Where an old output lies while its job runs: all in one directory, since making many takes long.

        The name shows what it is, should the state be lost.
        """
        return f"{ASIDE}{self.build}/{self.number}.{number} {path.strip('/').replace('/', '%')[-_SHOWN:]}"

    def _old_outputs(self, attempt: Attempt) -> tuple[str, ...]:
        """Every path that the job may write, or wrote when it last ran and that no other job makes now."""
        graph = self.project.expander.graph
        files = [graph.files[f] for f in attempt.job.output_files()]
        found = [file.path for file in files if file.form is not Form.GLOB]
        for file in files:
            if file.form is Form.GLOB:
                found += self.owners.in_the_way(attempt.job, file.path)
        if attempt.look.record is not None:
            owned = self.project.reader.owner
            key = attempt.look.record.key
            whole = tuple(path for path in found if path[-1:] == "/")  # with all that lies in there
            declared = {*found}
            before = [path for path, _ in attempt.look.record.outputs if path not in declared]
            before = [path for path in before if not path.startswith(whole)]
            found += [p for p in before if owned(p) == key and not self.owners.is_needed(attempt.job, p)]
        depfile = self.project.renderer.depfile(attempt.job)
        if depfile is not None:
            found.append(depfile)
        return tuple(dict.fromkeys(found))

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

    def _guard(self, attempt: Attempt) -> None:
        """Copy what a glob output of the job might write over although it is not the job's own."""
        attempt.guarded = {}
        run = attempt.work.id if attempt.work is not None else 0
        paths = self.owners.of_others(attempt.job)
        copies = [(path, f"{ASIDE}{self.build}/{run}.guarded.{number}") for number, path in enumerate(paths)]
        if copies:
            self.state.add_copies(attempt.job.key, tuple(copies))
        for path, place in copies:
            self.disk.copy(path, place)
            attempt.guarded[path] = (self.disk.digest(path), place)

    def _trespass(self, attempt: Attempt) -> str | None:
        """What the job wrote although it is another's, in words; what was there before is put back."""
        cause = None
        if attempt.guarded is None:
            return None  # looked at already: what is there is not compared with copies that are gone
        for path in dict.fromkeys([*self.owners.of_others(attempt.job), *attempt.guarded]):
            before, place = attempt.guarded.get(path, (None, ""))
            now = self.disk.digest(path)
            maker = self.owners.maker(path)
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
        attempt.guarded = None
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
        for path, _ in attempt.aside:
            if path not in self.project.expander.graph.by_path:  # of a pattern: it starts without its folders
                self.disk.remove_empty_parents(path, self.project.expander.holds_outputs)
        if spec.keep:
            self._strangers.clear_links_out(attempt, self._old_outputs(attempt))
            self._behind.clear_links_out(attempt)
            self._strangers.clear_others(attempt)
        for path in self.project.expander.graph.paths(attempt.job.output_files()):
            if "*" not in path and os.path.isdir(os.path.dirname(self.disk.absolute(path))):
                continue  # and so is all that lies above
            self._strangers.clear_parents(attempt, path)
            self.disk.make_parents(path if "*" not in path else path.split("*", maxsplit=1)[0])
        depfile = self.project.renderer.depfile(attempt.job)
        if depfile is not None:
            self.disk.make_parents(depfile)
        if attempt.box is not None and (attempt.work is None or attempt.work.remote is None):
            kinds = ("input", "need", "track.file")
            inputs = [i.name for i in attempt.look.items if i.kind in kinds]
            attempt.box.fill(inputs, self._packer.made(attempt.job), self.project.renderer.cwd(attempt.job))
        if depfile is not None and spec.keep and self.disk.exists(depfile):
            self._strangers.clear_depfile(attempt, depfile)
        self._guard(attempt)
        self._active.add(attempt.job.id)
        if spec.keep:
            self._strangers.copy_named(attempt)
            self._strangers.copy(attempt)
            self._behind.copy(attempt)
            if attempt.kept:
                self.disk.sync()  # before it can be written over
            self.state.set_ready(attempt.job.key)

    def withdraw(self, attempt: Attempt) -> None:
        """Undo `begin`, as far as it came, of a run that is not started after all: it has left nothing."""
        self._active.discard(attempt.job.id)
        if attempt.box is not None:
            attempt.box.remove()
            attempt.box = None
        self._garbage += [place for _, place in (attempt.guarded or {}).values()]
        attempt.guarded = None
        self._return(attempt, ())
        self._copies.withdraw(attempt)

    def touched(self, attempt: Attempt, changed: set[str]) -> str | None:
        """The first of these paths that a running job reads and that is not any more as it was when it started."""
        for item in attempt.look.items:
            if item.kind not in _READ:
                continue
            folders = (*((item.name,) if item.name[-1:] == "/" else ()), *self.disk.linked.get(item.name, ()))
            inside = bool(folders) and any(path.startswith(folders) for path in changed)
            if (item.name in changed or inside) and self._present(item) != item.digest:
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
            self._strangers.leave(attempt)
            self._behind.leave(attempt)
        made = self._made(attempt)
        record = attempt.look.record
        same = record is not None and {*record.outputs} == {*made} and bool(made)
        if ended.opened:
            from buildtool.audit import undeclared  # few ask for it

            attempt.notes += undeclared(self.project, attempt.job, attempt.look.items, ended.opened)
        self._strangers.keep(attempt, made)
        attempt.notes += self._dropped(attempt)
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
        self._strangers.keep(attempt, made)
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
        from buildtool.depfile import parse_depfile  # few jobs have one

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
        makers = {self.owners.maker(item.name) for item in found}
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
            now = self._present(item)
            if now != item.digest and self._meant(item._replace(digest=now)) != item:
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

    def _present(self, item: Item) -> str | None:
        """The digest of something that a job reads, as it is now."""
        follow = item.kind == "track.file" or self._is_source(item.name)
        return self.disk.digest(item.name, follow=follow)

    def _made(self, attempt: Attempt) -> tuple[Made, ...]:
        """Every output with its digest; a glob as the files that appeared."""
        files = [self.project.expander.graph.files[number] for number in attempt.job.output_files()]
        named = [(file.path, self.disk.digest(file.path)) for file in files if file.form is not Form.GLOB]
        found = dict([*named, *((path, self.disk.digest(path)) for path in self._in_patterns(attempt))])
        return tuple(Made(path, value) for path, value in found.items() if value is not None)

    def _in_patterns(self, attempt: Attempt) -> list[str]:
        """The files of the job's own that its patterns of outputs match now."""
        files = [self.project.expander.graph.files[number] for number in attempt.job.output_files()]
        texts = [file.path for file in files if file.form is Form.GLOB]
        paths = [path for text in texts for path in self.owners.in_the_way(attempt.job, text)]
        return [path for path in paths if path not in attempt.strangers]

    def _files(self, paths: Iterable[str]) -> dict[str, str]:
        """What is there of these after a bad run, with digests; a directory or a pipe by now is no output."""
        found: dict[str, str] = {}
        for path in paths:
            with contextlib.suppress(NotAFileError):
                value = self.disk.digest(path)
                if value is not None:
                    found[path] = value
        return found

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
        items = [i for i in attempt.look.items if i.kind not in ("found", "beside", "output")]
        beside = [Item("beside", path, self.disk.digest(path, follow=True)) for path in self._beside(attempt)]
        outputs = [i for i in attempt.look.items if i.kind == "output"]
        self.state.record(
            JobRecord(
                job.key,
                job.task,
                job.wildcards,
                "ok",
                Fingerprint((*items, *found, *beside, *outputs)),
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
        self._give_up_directories(attempt, made)
        self.texts.keep((*items, *found), self._is_source)

    def _give_up_directories(self, attempt: Attempt, made: tuple[Made, ...]) -> None:
        """A directory in which the job makes files by now is no output of its own any more."""
        record = attempt.look.record
        if record is None:
            return
        now = [path for path, _ in made]
        for path, _ in record.outputs:
            if path[-1:] == "/" and path not in now and any(name.startswith(path) for name in now):
                self.state.forget_outputs([path])
                if record.key == path != attempt.job.key:
                    self.state.forget(path)

    def _dropped(self, attempt: Attempt) -> Iterable[str]:
        """A word on what the job made when it last ran and that is no output of it any more: it goes."""
        record = attempt.look.record
        if not attempt.aside:
            return
        declared = {*self._written(attempt.job)}
        own = {path for path, _ in record.outputs} if record is not None else set()
        takers = self.project.expander.takers
        gone = [p for p, place in attempt.aside if p in own - declared and place.startswith(ASIDE)]
        gone = [printable(path) for path in gone if attempt.job.id not in takers(path)]
        if gone:
            words = "is no output of it any more, and was removed"
            if len(gone) > 1:
                words = f"and {count(len(gone) - 1, 'other path')} are no outputs of it any more, and were removed"
            yield f"`{gone[0]}` {words}"

    def _beside(self, attempt: Attempt) -> Iterable[str]:
        """With `keep`: people's files that its patterns match, which the job may have used, and left as they are."""
        if not self.project.renderer.task(attempt.job).spec.keep:
            return ()
        whole = tuple(path for path in self._written(attempt.job) if path.endswith("/"))
        sources = (path for path in self.owners.of_others(attempt.job) if self._is_source(path))
        return [p for p in dict.fromkeys([*attempt.strangers, *sources]) if not p.startswith(whole)]

    def _is_source(self, path: str) -> bool:
        """Whether no job makes it."""
        return self.owners.maker(path) is None

    def _drift(self, job: Job) -> str:
        differs = self.drifts.get(self.project.executor_of(job))
        return differs.short if differs is not None else ""

    def record_break(self, attempt: Attempt, seconds: float) -> None:
        """With `keep`: note that a run was broken off, if it left anything, or there is something to keep."""
        is_kept = self.project.renderer.task(attempt.job).spec.keep
        if is_kept and (attempt.look.record is not None or self._left(attempt)):
            self.record_failure(attempt, seconds)

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
                self._left(attempt),
                old.found if old is not None else (),
                old.build if old is not None else self.build,
                old.ended if old is not None else time.time(),
                old.seconds if old is not None else seconds,
                old.peak_memory if old is not None else 0,
                self.project.executor_of(job),
                self._runs(attempt) + 1,
                accepted=old is not None and old.accepted,
            )
        )

    def _runs(self, attempt: Attempt) -> int:
        """How often a job ran before, also if it never came to a good end."""
        record = attempt.look.record or self.state.job(attempt.job.key)
        return record.runs if record is not None else 0

    def _left(self, attempt: Attempt) -> tuple[Made, ...]:
        """The outputs after a bad run: the earlier ones, or with `keep` what it left in their place."""
        before = attempt.look.record.outputs if attempt.look.record is not None else ()
        if not self.project.renderer.task(attempt.job).spec.keep:
            return before
        return tuple(Made(path, value) for path, value in {**dict(before), **attempt.left}.items())

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
                self._strangers.leave(attempt)
            self._behind.leave(attempt)
            theirs = self._strangers.give_back(attempt)
            graph = self.project.expander.graph
            files = [graph.files[f] for f in attempt.job.output_files()]
            named = [file.path for file in files if file.form is Form.FILE]
            attempt.left = self._files({*named, *self._in_patterns(attempt)} - theirs)
            return
        self._return(attempt, self._old_outputs(attempt))

    def _return(self, attempt: Attempt, outputs: Iterable[str]) -> None:
        """Remove these, and put back what lies aside."""
        put_back(
            self.disk,
            outputs,
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
