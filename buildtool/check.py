"""Job, disk and state to a verdict with its reasons.

Does not know in which order jobs are looked at, nor how they run.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Protocol

from buildtool.errors import GraphError, TaskfileError
from buildtool.expand.expander import Expander
from buildtool.expand.functions import Functions
from buildtool.expand.listing import matches
from buildtool.expand.render import Renderer, param_text
from buildtool.expand.targets import place_of
from buildtool.expand.tasks import Task
from buildtool.files import NotAFileError
from buildtool.fingerprint import (
    FILE_KINDS,
    Change,
    Fingerprint,
    Fresh,
    Item,
    Maybe,
    Reason,
    Stale,
    Verdict,
    digest,
)
from buildtool.graph import FileId, Form, Job, JobId, Kind
from buildtool.meaning import BYTES, Meanings
from buildtool.paths import parents, twin
from buildtool.state.records import JobRecord
from buildtool.taskfile.pattern import Pattern
from buildtool.taskfile.template import dedent_command
from buildtool.text import printable

if TYPE_CHECKING:
    from buildtool.pycode.model import Reach

OURSELVES = ("package", "buildtool")  # scripts import their job from it: a new `bt` is no reason to run them


_FIRST = {Kind.COMMAND: "asked"}  # why a job runs that has never run


@cache
def _stale(words: tuple[str, ...]) -> Stale:
    """The verdict with these reasons, which need no names."""
    return Stale(tuple(map(Reason, words)))


class Memory(Protocol):
    """What the check reads from the state."""

    def job(self, key: str) -> JobRecord | None:
        """The record of a job."""
        ...

    def owner(self, path: str) -> str | None:
        """The key of the job that made a path."""
        ...

    def recorded(self, path: str) -> str | None:
        """The digest of what the job that made a path left there."""
        ...

    def digests_below(self, folder: str) -> dict[str, str]:
        """What the files in a directory held when they were read last."""
        ...

    def is_empty(self) -> bool:
        """Whether no job and no path is known."""
        ...

    def code(self, digest: str) -> tuple[Item, ...]:
        """The parts of a recorded code."""
        ...


class Tracker(Protocol):
    """Values from outside the project."""

    def command(self, text: str) -> str | None:
        """What a tracked command prints; None where it may not be run and is not known."""
        ...

    def variable(self, name: str) -> str | None:
        """An environment variable of `bt` itself."""
        ...


class NotMadeError(GraphError):
    """A job that came out well did not make what another one reads."""


class Look:
    """What one look at a job found."""

    __slots__ = ("absent", "edited", "foreign", "items", "record", "requires", "verdict")

    def __init__(
        self,
        verdict: Verdict,
        *,
        record: JobRecord | None = None,
        absent: tuple[JobId, ...] = (),
        requires: frozenset[JobId] = frozenset(),
    ) -> None:
        self.verdict = verdict
        self.items: tuple[Item, ...] = ()
        self.record = record
        self.absent = absent  # what made files that must be there if the job runs, and are not
        self.requires = requires  # must be settled before the job can be looked at
        self.edited: tuple[str, ...] = ()  # outputs that are not as the job left them
        self.foreign: tuple[str, ...] = ()  # outputs that are there and that `bt` did not make


class Checker:
    """Looks at one job at a time. `asked`: jobs whose outputs must exist; `forced`: jobs that run in any case.

    `reaches` tells whether a job finds a file where it runs. `brief`: of a job that has never run nothing is worked out
    but that; its look has no items.
    """

    def __init__(
        self,
        expander: Expander,
        renderer: Renderer,
        memory: Memory,
        tracker: Tracker,
        functions: Functions,
        meanings: Meanings,
        settled: Callable[[JobId], bool],
        asked: Collection[JobId] = (),
        forced: Collection[JobId] = (),
        secrets: tuple[str, ...] = (),
        salt: str = "",
        reaches: Callable[[Job, str], bool] = lambda _job, _path: True,
        *,
        brief: bool = False,
    ) -> None:
        self.expander = expander
        self.renderer = renderer
        self.memory = memory
        self.tracker = tracker
        self.functions = functions
        self.meanings = meanings
        self.settled = settled
        self.asked = asked
        self.forced = forced
        self.secrets = secrets
        self.salt = salt
        self.reaches = reaches
        self.brief = brief
        self.now = time.time()
        self.codes: dict[str, tuple[Item, ...]] = {}  # parts of the code of jobs, by its digest
        self.made: dict[JobId, dict[str, str]] = {}  # what settled jobs left: path, digest
        self.uncertain: dict[JobId, str] = {}  # in a dry run: jobs that may make something else
        self.circular: dict[JobId, str] = {}  # what jobs read that is made from what they make
        self._code: dict[int, tuple[Reach, Item]] = {}  # by id of what was reached
        self._recent: tuple[Job, JobRecord | None] | None = (
            None  # what `makers` read, for the look that follows
        )
        self._inside: dict[tuple[Item, str], list[Reason]] = {}  # of changed directories, what has changed
        self._shells: dict[str, Item] = {}
        self._parameters: dict[str, tuple[Item, ...]] = {}  # by task
        self._waiting: dict[JobId, frozenset[JobId]] = {}  # for what makes their found inputs
        self._sources: set[str] = set()  # found inputs that no task makes
        # Whether some outputs count by something else than their bytes.
        self._filtered = any(task.spec.hash != BYTES for task in expander.tasks.values())

    def look(self, job: Job, *, demanded: bool = False) -> Look:
        """Judge a job whose producers are settled.

        With `demanded` its outputs must be on the disk. Raises `GraphError` when an input is missing, and
        `StateError` when one cannot be read.
        """
        if job.kind is Kind.GROUP:
            return Look(Fresh())
        record = self._recent[1] if self._recent is not None and self._recent[0] is job else self.record(job)
        self._recent = None
        if record is not None and (requires := self.found_makers(job, record.found)):
            return Look(Fresh(), record=record, requires=requires)
        causes: dict[str, None] = {}
        absent: dict[JobId, None] = {}
        if record is None and self.brief and not self.renderer.task(job).dotenv:
            if not self._finds_all(job):
                self._input_items(job, None, absent, causes)
            words = (*(["forced"] if job.id in self.forced else ()), _FIRST.get(job.kind, "first"))
            return self._judged(job, _stale(words), absent)
        base = self.base_items(job)
        if self.renderer.task(job).track_files:
            base += tuple(self._tracked_items(job, record, causes))
        inputs = self._input_items(job, record, absent, causes)
        found = self._found_items(record, absent, causes) if record is not None else ()
        outputs = tuple(Item("output", path, "") for path in self.output_paths(job))
        items = (*inputs, *found, *base, *self._beside(record), *outputs)
        reasons: list[Reason] = []
        lost = False
        edited: tuple[str, ...] = ()
        if job.id in self.forced:
            reasons.append(Reason("forced"))
        if job.kind is Kind.COMMAND:
            reasons.append(Reason("asked"))
        elif record is None:
            reasons.append(Reason("first"))
        else:
            ignore = self._ignore(job)
            reasons += self._told(Fingerprint(items).diff(record.fingerprint, ignore), items, record)
            reasons += self._own_reasons(job, record)
            missing, edited = self._outputs(record)
            if edited and reasons:  # else that they changed is all that tells of it
                edited = self._without_followers(edited, record)
            is_left = record.status != "ok" and self.renderer.task(job).spec.keep
            if is_left:  # its last run did not come to a good end, and they are as it left them
                reasons.append(Reason("failed"))
            # Of one that was killed nobody knows who changed them: that it runs is reason enough, and they are kept.
            if not (is_left and record.status == "interrupted"):
                reasons += [Reason("edited", path) for path in edited]
            for path in self._unproven(job, record):
                reasons.append(Reason("foreign" if self.expander.disk.exists(path) else "missing", path))
            if missing and (demanded or self._must_exist(job, missing, record)):
                kind = "wanted" if demanded and job.id not in self.asked else "missing"
                reasons += [Reason("away" if self._is_away(path) else kind, path) for path in missing]
            lost = bool(missing)
        foreign = self._foreign(job, record)
        unclear = Maybe(tuple(causes)) if causes else Fresh(absent=lost)
        verdict = Stale(tuple(reasons)) if reasons else unclear
        look = self._judged(job, verdict, absent)
        look.items, look.record, look.edited, look.foreign = items, record, edited, foreign
        return look

    def _finds_all(self, job: Job) -> bool:
        """Whether all that a job reads is a source that is here, or made by a job that may make it anew."""
        disk, files = self.expander.disk, self.expander.graph.files
        for file in (*job.input_files(), *job.needs):
            _, path, form, producer = files[file]
            if producer is None:
                if form is not Form.FILE or path in disk.away or not disk.holds(path):
                    return False
            elif producer not in self.uncertain:
                return False
        return True

    def _judged(self, job: Job, verdict: Verdict, absent: dict[JobId, None]) -> Look:
        """The look with this verdict, and with all that must be there if the job runs."""
        if job.after and not isinstance(verdict, Fresh):
            absent |= dict.fromkeys(other for other in job.after if self._lacks_outputs(other))
        return Look(verdict, absent=tuple(absent))

    def _lacks_outputs(self, job: JobId) -> bool:
        """Whether something that a settled job left is not on the disk any more."""
        made: Iterable[str] | None = self.made.get(job)
        if made is None:  # it was not looked at, since nothing that it reads has changed
            record = self.record(self.expander.graph.jobs[job])
            made = [path for path, _ in record.outputs] if record is not None else ()
        return any(not self.expander.disk.exists(path) for path in made)

    def record(self, job: Job) -> JobRecord | None:
        """The record of a job's last success, also when its first output got another name since."""
        if self.memory.is_empty():
            return None
        found = self.memory.job(job.key)
        if found is None:
            for path in self.output_paths(job):
                owner = self.memory.owner(path)
                if owner is not None:
                    found = self.memory.job(owner)
                    break
            else:
                found = self._as_directory(job)
        return found if found is not None and found.fingerprint.items else None

    def _as_directory(self, job: Job) -> JobRecord | None:
        """The record of a task's only job, from when it made a directory in which an output of it lies now."""
        if job.wildcards:
            return None
        for above in dict.fromkeys(folder for path in self.output_paths(job) for folder in parents(path)):
            owner = self.memory.owner(above)
            found = self.memory.job(owner) if owner is not None else None
            if found is not None and found.task == job.task and not found.wildcards:
                return found
        return None

    def output_paths(self, job: Job) -> tuple[str, ...]:
        """The declared outputs; a glob as its pattern."""
        return self.expander.graph.paths(job.output_files())

    # -- items -----------------------------------------------------------------------------------------------

    def base_items(self, job: Job) -> tuple[Item, ...]:
        """Everything but files: command, shell, directory, parameters, environment, what else is tracked."""
        task = self.renderer.task(job)
        spec = task.spec
        items = []
        command = self.renderer.command(job)
        if command is not None:
            text = dedent_command(command)
            items.append(Item("command", "", digest("command", text), self.masked(text)))
            items.append(self._shell(" ".join(self.renderer.shell(job))))
        elif job.kind is not Kind.GROUP:
            items += self._call_items(job)
        if folder := self.renderer.cwd(job):
            items.append(Item("cwd", "", digest("cwd", folder), folder))
        items += self._params(task)
        for name, text in self.renderer.environment(job).items():
            items.append(self._variable("env", name, text))
        items += [self._variable("track.env", name, self.tracker.variable(name)) for name in spec.track.env]
        for text in spec.track.cmd:
            printed = self.tracker.command(text)
            shown = None if printed is None else self.masked(printed)
            items.append(Item("track.cmd", text, digest("track.cmd", printed), shown))
        return tuple(items)

    def _tracked_items(self, job: Job, record: JobRecord | None, causes: dict[str, None]) -> list[Item]:
        """The tracked files, whoever made them, but not those that the job makes itself."""
        items: list[Item] = []
        expander, task = self.expander, self.renderer.task(job)
        for entry in task.track_files:
            pattern = entry.pattern.fill(expander.values[job.id])
            paths = [pattern.prefix]
            if pattern.is_glob:
                left = (path for path in matches(expander.disk, pattern) if expander.was_made(path))
                paths = sorted({*expander.gather(pattern, task, job.id)[0], *left})
            unclear = self._unclear_tracked(job, pattern, paths)
            if unclear:
                causes.update(dict.fromkeys(unclear))
                known = record.fingerprint.items if record is not None else ()
                items += [i for i in known if i.kind == "track.file" and pattern.match(i.name) is not None]
                continue
            for path in paths:
                producer = self._producer(path)
                if producer == job.id:
                    continue
                value = expander.disk.digest(path, follow=True)
                if value is None and producer is not None:  # as the job left it that made it
                    value = self.made.get(producer, {}).get(path)
                items.append(Item("track.file", path, value))
        return items

    def _unclear_tracked(self, job: Job, pattern: Pattern, paths: Iterable[str]) -> list[str]:
        """In a dry run: the jobs that may change what a pattern of tracked files matches."""
        if not self.uncertain:
            return []
        makers = {self._producer(path) for path in paths}
        jobs, graph_paths = self.expander.graph.jobs, self.expander.graph.paths
        for other in job.requires:
            folders = [p for p in graph_paths(jobs[other].output_files()) if p[-1:] == "/"]
            if any(pattern.may_reach(folder) or folder.startswith(pattern.prefix) for folder in folders):
                makers.add(other)
        return [self.uncertain[maker] for maker in makers if maker in self.uncertain]

    def _producer(self, path: str) -> JobId | None:
        known = self.expander.graph.by_path.get(path)
        return self.expander.graph.files[known].producer if known is not None else None

    def _shell(self, shell: str) -> Item:
        known = self._shells.get(shell)
        if known is None:
            known = self._shells[shell] = Item("shell", "", digest("shell", shell), shell)
        return known

    def _params(self, task: Task) -> tuple[Item, ...]:
        """The parameters, which all jobs of a task share."""
        known = self._parameters.get(task.name)
        if known is None:
            texts = {name: param_text(value) for name, value in task.spec.params.items()}
            known = self._parameters[task.name] = tuple(
                Item("param", name, digest("param", text), self.masked(text)) for name, text in texts.items()
            )
        return known

    def _call_items(self, job: Job) -> Iterable[Item]:
        """What decides about a function or script: its code, what it is called with, and typed values."""
        task = self.renderer.task(job)
        call = param_text([task.spec.call, task.spec.script, self.functions.slots(job)])
        yield Item("command", "", digest("call", call), self.masked(self.functions.text(job)))
        yield self.code(task)
        for name, value in self.functions.asked(job).items():
            text = param_text(value)
            yield Item("value", name, digest("value", text), self.masked(text))

    def code(self, task: Task) -> Item:
        """All the code that a task reaches, as one item; its parts are in `codes`."""
        reach = self.functions.reach(task)
        known = self._code.get(id(reach))
        if known is None:
            parts = tuple(Item(*piece) for piece in reach.pieces if piece[:2] != OURSELVES)
            whole = digest("code", *(text for part in parts for text in part[:3]))
            item = Item(
                "code", task.spec.call or task.spec.script or "", whole, whole
            )  # its text names its parts
            known = self._code[id(reach)] = (reach, item)
            self.codes[whole] = parts
        return known[1]

    def _told(self, reasons: Iterable[Reason], items: Iterable[Item], record: JobRecord) -> Iterable[Reason]:
        """The reasons, with those of changed code and changed directories told part by part."""
        for reason in reasons:
            parts: list[Reason] = []
            if reason.change is Change.CHANGED and reason.kind == "code":
                old, new = self.memory.code(reason.old or ""), self.codes[reason.new or ""]
                parts = Fingerprint(new).diff(Fingerprint(old)) if old else []
                parts = parts or [reason._replace(old=None, new=None)]
            elif reason.change is Change.CHANGED and reason.kind in FILE_KINDS and reason.name[-1:] == "/":
                now, was = (
                    next(item for item in found if item[:2] == reason[:2])
                    for found in (items, record.fingerprint.items)
                )
                parts = self._changed_inside(now, was.digest or "")
            yield from parts or (reason,)

    def _changed_inside(self, directory: Item, was: str) -> list[Reason]:
        """What has changed in a directory, by file, as far as that is known."""
        key = (directory, was)
        if key not in self._inside:
            kind, path, *_ = directory
            found = self.expander.disk.inside(path, self.memory.digests_below(path), was)
            old, new = (Fingerprint(tuple(Item(kind, name, v) for name, v in one.items())) for one in found)
            self._inside[key] = new.diff(old)
        return self._inside[key]

    def _variable(self, kind: str, name: str, value: str | None) -> Item:
        if name in self.secrets and value is not None:
            return Item(kind, name, digest("secret", self.salt, value), "***")
        return Item(kind, name, digest("variable", value), None if value is None else self.masked(value))

    def masked(self, text: str) -> str:
        """The text with the values of secret variables made unreadable."""
        for name in self.secrets:
            value = self.tracker.variable(name)
            if value:
                text = text.replace(value, "***")
        return text

    def _input_items(
        self, job: Job, record: JobRecord | None, absent: dict[JobId, None], causes: dict[str, None]
    ) -> Iterable[Item]:
        items: list[Item] = []
        missing: list[GraphError] = []
        inputs = dict.fromkeys(job.input_files())
        for kind, files in (("input", inputs), ("need", job.needs)):
            for file in files:
                if kind == "need" and file in inputs:
                    continue
                try:
                    items += self._file_items(job, kind, file, record, absent, causes)
                except GraphError as error:
                    missing.append(error)
        if missing:
            first, *others = missing
            first.facts = (*first.facts, *(("and", error.summary) for error in others))
            raise first
        if not self._filtered or (self.brief and record is None):
            return items
        return [self.meant(item) for item in items]

    def _unclear(self, job: Job, path: str, producer: JobId | None) -> list[str]:
        """In a dry run: the jobs that may change an input, or what lies in a directory that is one."""
        if producer is not None or path[-1:] != "/" or not self.uncertain:
            return [self.uncertain[producer]] if producer in self.uncertain else []
        paths, jobs = self.expander.graph.paths, self.expander.graph.jobs
        return [
            self.uncertain[other]
            for other in job.requires
            if other in self.uncertain
            and any(_may_lie_in(p, path) for p in paths(jobs[other].output_files()))
        ]

    def meant(self, item: Item) -> Item:
        """An input as it counts: by what the task that makes it says in `hash`."""
        number = self.expander.graph.by_path.get(item.name)
        producer = self.expander.graph.files[number].producer if number is not None else None
        if producer is None or item.digest is None:
            return item
        spec = self.renderer.task(self.expander.graph.jobs[producer]).spec
        if spec.hash == BYTES:
            return item
        try:
            return item._replace(digest=self.meanings.of(spec.hash, item.name, item.digest))
        except TaskfileError as error:
            error.place = error.place or spec.at("hash")
            raise

    def _file_items(
        self,
        job: Job,
        kind: str,
        file: FileId,
        record: JobRecord | None,
        absent: dict[JobId, None],
        causes: dict[str, None],
    ) -> Iterable[Item]:
        _, path, form, producer = self.expander.graph.files[file]
        if unclear := self._unclear(job, path, producer):
            causes.update(dict.fromkeys(unclear))
            known = record.fingerprint.items if record is not None else ()
            return [item for item in known if item[:2] == (kind, path)] or [Item(kind, path, None)]
        if form is Form.GLOB:
            made = self.made.get(producer, {}) if producer is not None else {}
            return [Item(kind, name, value) for name, value in made.items()]
        left = self.made.get(producer, {}).get(path) if producer is not None else None
        if self.brief and record is None:
            value = (left or "there") if self.expander.disk.holds(path) else None
        else:
            value = self.expander.disk.digest(path, follow=producer is None)
        if self._is_away(path):
            if producer is None:
                value = None  # no task makes it any more
            elif not self.reaches(job, path):
                absent[producer] = None
        if producer is not None and None not in (value, left) and value != left:
            absent[producer] = (
                None  # somebody else wrote it since: what reads it waits until it is right again
            )
            value = left
        if value is None:
            if producer is None:
                place, _ = place_of(path, self.expander, job.id)
                raise GraphError(f"`{printable(path)}`: no such file, and no task makes it", place=place)
            value = self._remembered(producer, path, kind, record)
            if self._left_out(producer, path) or (value is None and self._is_elsewhere(producer)):
                name = printable(self.expander.graph.jobs[producer].name)
                place, _ = place_of(path, self.expander, job.id)
                raise NotMadeError(
                    f"`{printable(path)}` is not among what `{name}` made",
                    place=place,
                    hint=f"let `{name}` make it, or read something else",
                )
            absent[producer] = None
        return [Item(kind, path, value)]

    def _remembered(self, producer: JobId, path: str, kind: str, record: JobRecord | None) -> str | None:
        """The digest of a file that is not on the disk, and that its job need not make again."""
        left = self.made.get(producer, {}).get(path)
        if left is not None:
            return left
        for item in record.fingerprint.items if record is not None else ():
            if item[:2] == (kind, path):
                return item.digest
        return None

    def _left_out(self, producer: JobId, path: str) -> bool:
        """Whether a settled job left other files, and not this one; of a directory that is there, it tells."""
        made, disk = self.made.get(producer, {}), self.expander.disk
        folders = tuple(p for p in made if p[-1:] == "/" and (not disk.exists(p) or disk.exists(path)))
        return bool(made) and path not in made and not path.startswith(folders)

    def _is_elsewhere(self, producer: JobId) -> bool:
        """Whether all that a settled job left is on the disk, so that running it again would not help."""
        made = self.made.get(producer, {})
        return bool(made) and all(self.expander.disk.exists(path) for path in made)

    def lacks(self, job: Job, look: Look) -> GraphError | None:
        """With `--only`: the error for a job that must run, and for which others would have to run first."""
        if not isinstance(look.verdict, Stale):
            return None
        gone = ((path, other) for other in look.absent for path in self._gone(other))
        lacking = next(gone, None) or self.expander.lacking(job.id)
        if lacking is None:
            return None
        path, maker = lacking
        return GraphError(
            f"`{printable(path)}` is not there, and `--only` does not make it",
            place=self.renderer.task(job).spec.place,
            facts=(("made by", f"`{printable(self.expander.graph.jobs[maker].name)}`"),),
            hint="build without `--only`",
        )

    def _gone(self, job: JobId) -> list[str]:
        """The outputs of a job that are not on the disk; of a glob, of what it last brought."""
        disk, graph = self.expander.disk, self.expander.graph
        files = [graph.files[f] for f in graph.jobs[job].output_files()]
        paths = {file.path: None for file in files if file.form is not Form.GLOB}
        if len(paths) < len(files) and (record := self.record(graph.jobs[job])) is not None:
            paths |= dict.fromkeys(made.path for made in record.outputs)
        return [path for path in paths if not disk.exists(path)]

    def _found_items(
        self, record: JobRecord, absent: dict[JobId, None], causes: dict[str, None]
    ) -> Iterable[Item]:
        """Inputs that the job itself named when it last ran; one that is gone is a difference, not an error."""
        for path in record.found:
            maker = self._maker(path)
            if maker in self.uncertain:
                causes[self.uncertain[maker]] = None
                yield from [item for item in record.fingerprint.items if item[:2] == ("found", path)]
                continue
            value = self.expander.disk.digest(path)
            left = self.made.get(maker, {}).get(path) if maker is not None else None
            if maker is not None and left is not None and value != left:
                absent[maker] = None
                value = left
            yield Item("found", path, value)

    def _beside(self, record: JobRecord | None) -> Iterable[Item]:
        """People's files that lay among the outputs, with `keep`, when the job last ran: it may have used them."""
        for item in record.fingerprint.items if record is not None else ():
            if item.kind == "beside":
                yield item._replace(digest=self._present(item.name, follow=True))

    def _maker(self, path: str) -> JobId | None:
        """The job that makes a found input; headers that nothing makes are looked up once."""
        if path in self._sources:
            return None
        if not self.expander.index.candidates(path):
            self._sources.add(path)
            return None
        return self.expander.maker(path)

    def makers(self, job: Job) -> frozenset[JobId]:
        """The jobs that make what this one turned out to read when it last ran, and that are not settled.

        To be asked just before a look, if at all.
        """
        record = self.record(job) if job.kind is not Kind.GROUP else None
        self._recent = (job, record)
        return frozenset() if record is None else self.found_makers(job, record.found)

    def found_makers(self, job: Job, paths: Iterable[str]) -> frozenset[JobId]:
        """The jobs that make found inputs and are not settled; one that waits for this very job does not count."""
        found = set()
        self._waiting.pop(job.id, None)
        self.circular.pop(job.id, None)
        for path in paths:
            maker = self._maker(path)
            if maker is None or maker == job.id or self.settled(maker):
                continue
            if self._waits_for(maker, job.id):
                self.circular[job.id] = path
            else:
                found.add(maker)
        if found:
            self._waiting[job.id] = frozenset(found)
        return frozenset(found)

    def _waits_for(self, job: JobId, other: JobId) -> bool:
        """Whether a job waits for another one, found inputs included."""
        graph = self.expander.graph
        seen = {job}
        pending = [job]
        while pending:
            current = pending.pop()
            if current == other:
                return True
            waits = graph.prerequisites(graph.jobs[current]) | self._waiting.get(current, frozenset())
            new = [j for j in waits if j not in seen and not self.settled(j)]
            seen.update(new)
            pending += new
        return False

    # -- reasons ---------------------------------------------------------------------------------------------

    def _ignore(self, job: Job) -> tuple[str, ...]:
        """`ignore`, with the names of input slots replaced by the paths in them."""
        words = []
        names = {part.name: part for part in job.inputs if part.name is not None}
        for word in self.renderer.task(job).spec.ignore:
            head, _, tail = word.partition(".")
            if head == "inputs" and tail in names:
                words += [f"inputs.{path}" for path in self.expander.graph.paths(names[tail].files)]
            else:
                words.append(word)
        return tuple(words)

    def _own_reasons(self, job: Job, record: JobRecord) -> list[Reason]:
        spec = self.renderer.task(job).spec
        if record.status != "ok" and job.kind is Kind.CHECK:
            return [Reason("failed")]
        if spec.always:
            return [Reason("always")]
        if spec.max_age is not None and not 0 <= self.now - record.ended <= spec.max_age:
            return [Reason("expired")]
        return []

    def _outputs(self, record: JobRecord) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The recorded outputs that are missing, and those that are not as the job left them."""
        missing, edited = [], []
        for path, recorded in record.outputs:
            present = self._present(path)
            if present is None or (present == recorded and self._is_away(path)):
                missing.append(path)
            elif present != recorded:
                edited.append(path)
        return tuple(missing), tuple(edited)

    def _without_followers(self, edited: tuple[str, ...], record: JobRecord) -> tuple[str, ...]:
        """Without the links to inputs that are as the job left them: what they lead to was edited."""
        inputs = {item.name: item.digest for item in record.fingerprint.items if item.kind in FILE_KINDS}
        recorded = dict(record.outputs)
        return tuple(p for p in edited if self.expander.disk.led_to(p, inputs) != recorded[p])

    def _unproven(self, job: Job, record: JobRecord) -> list[str]:
        """Declared outputs of which the record tells nothing, as where they were given away since."""
        recorded = {path for path, _ in record.outputs}
        files = [self.expander.graph.files[f] for f in job.output_files()]
        found = [file.path for file in files if file.form is not Form.GLOB and file.path not in recorded]
        if any(file.form is Form.GLOB for file in files):
            values = self.expander.values[job.id]
            for entry in self.renderer.task(job).output_entries():
                pattern = entry.pattern.fill(values)
                if pattern.is_glob and not any(pattern.match(path) is not None for path in recorded):
                    found.append(pattern.text)
        return found

    def _present(self, path: str, *, follow: bool = False) -> str | None:
        """What is in the place of an output; anything but a file, or but a directory, is not what a job left there."""
        try:
            return self.expander.disk.digest(path, follow=follow)
        except NotAFileError:
            return ""

    def _is_away(self, path: str) -> bool:
        return path in self.expander.disk.away and not self.expander.disk.exists(path)

    def _must_exist(self, job: Job, missing: Sequence[str], record: JobRecord) -> bool:
        """Whether missing outputs are a reason by themselves: somebody asked for them, or they are results."""
        expander = self.expander
        if job.id in self.asked or job.id in expander.whole:
            return True
        if any(expander.is_part_read(path, job.task) for path in missing):
            return True  # what is in it cannot be known before it is there
        if self.renderer.task(job).spec.temp:  # it stays if nobody has any use for it, and goes as a whole
            return not expander.is_used(job.id, [path for path, _ in record.outputs])
        return not all(expander.is_read(path, job.task) for path in missing)

    def _foreign(self, job: Job, record: JobRecord | None) -> tuple[str, ...]:
        """Declared outputs that are there although no record says that `bt` made them, or made them so."""
        disk, known = (
            self.expander.disk,
            {made.path for made in record.outputs} if record is not None else set(),
        )
        found = [
            path
            for path in self.output_paths(job)
            if path not in known and disk.exists(path) and not self._is_intact(path)
        ]
        if not found:
            return ()
        whole = tuple(path for path in known if path[-1:] == "/" and self._is_intact(path))
        return tuple(path for path in found if not path.startswith(whole))

    def _is_intact(self, path: str) -> bool:
        """Whether what is there, be it a file or a directory, is what some job left."""
        return any(
            self.memory.owner(name) is not None and self._present(name) == self.memory.recorded(name)
            for name in (path, twin(path))
        )


def _may_lie_in(output: str, folder: str) -> bool:
    """Whether an output, or something that a pattern of outputs brings, may lie in a directory."""
    head = re.split(r"[*?[]", output, maxsplit=1)[0]
    return head.startswith(folder) or (head != output and folder.startswith(head))
