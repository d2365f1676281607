"""The jobs that changed files concern, and no others, from what the last build noted of its graph.

A build notes its jobs in blocks, with who makes and who reads each file. If nothing but files has changed since, the
next one takes from there the jobs that make or read a changed file and all that read what these make or wait for them,
in turn. What else they need comes without its own inputs: as the last build left it.
"""

from __future__ import annotations

import array
import marshal
import os
import zlib
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import buildtool.door as front
from buildtool.expand.targets import Wanted
from buildtool.graph import FileId, Form, Job, JobId, Kind
from buildtool.project import Project

BLOCK = 256  # jobs that are read together
SOURCE = -1  # nobody makes the file
DECIDES = -2  # and more depends on it than what jobs read: which jobs there are, or what they do
_ASKED, _WHOLE = 1, 2


def noted(
    project: Project, want: Wanted, jobs: Iterable[JobId], names: Sequence[str], decisive: Iterable[str]
) -> dict[str, Any] | None:
    """The graph of these jobs as `Cone` reads it, to go into a note; None if it reads what is not in `names`.

    `names`: every path that was looked at, by number; `decisive`: those whose text decides about the graph.
    """
    graph = project.expander.graph
    number = {path: at for at, path in enumerate(names)}
    known = [job for job in sorted(jobs) if graph.jobs[job].kind is not Kind.GROUP]
    encoder = _Encoder(project, want, {job: at for at, job in enumerate(known)}, number)
    makers = array.array("i", [DECIDES]) * len(names)
    reads: list[tuple[int, int]] = []
    waits: list[tuple[int, int]] = []
    blocks, block = [], []
    try:
        for at, ident in enumerate(known):
            job = graph.jobs[ident]
            block.append(encoder.job(job))
            reads += [(read, at) for read in encoder.read_by(job)]
            waits += [(other, at) for other in {*block[-1][8], *block[-1][9]}]
            for made in job.output_files():
                makers[number[graph.files[made].path]] = at
            if len(block) == BLOCK or at == len(known) - 1:
                blocks.append(zlib.compress(marshal.dumps(block), 1))
                block = []
    except (KeyError, ValueError):  # not looked at; no plain values
        return None
    for file, _ in reads:
        if makers[file] == DECIDES:
            makers[file] = SOURCE
    for path in decisive:
        makers[number[path]] = DECIDES
    starts, readers = _listed(reads, len(names))
    heads, waiters = _listed(waits, len(known))
    return {
        "tasks": tuple(encoder.tasks),
        "blocks": tuple(blocks),
        "makers": makers.tobytes(),
        "starts": starts,
        "readers": readers,
        "heads": heads,
        "waiters": waiters,
    }


def _listed(pairs: list[tuple[int, int]], count: int) -> tuple[bytes, bytes]:
    """For each number below `count`, where the list of its partners starts in the second array of unsigned integers."""
    pairs.sort()
    starts = array.array("I", [0]) * (count + 1)
    for one, _ in pairs:
        starts[one + 1] += 1
    for at in range(count):
        starts[at + 1] += starts[at]
    return starts.tobytes(), array.array("I", [other for _, other in pairs]).tobytes()


class _Encoder:
    """Turns jobs into plain values."""

    def __init__(
        self, project: Project, want: Wanted, places: Mapping[JobId, int], number: Mapping[str, int]
    ) -> None:
        self._project = project
        self._graph = project.expander.graph
        self._want = want
        self._places = places
        self._number = number
        self._groups: dict[JobId, frozenset[int]] = {}
        self._tracked: dict[str, list[int]] = {}
        self.tasks: dict[str, int] = {}

    def job(self, job: Job) -> tuple[Any, ...]:
        """As `Cone` takes it apart."""
        flags = _ASKED * (job.id in self._want.asked) + _WHOLE * (job.id in self._project.expander.whole)
        return (
            self.tasks.setdefault(job.task, len(self.tasks)),
            dict(self._project.expander.values[job.id]),
            job.key,
            job.wildcards,
            tuple((part.name, self._files(part.files), part.many) for part in job.outputs),
            flags,
            tuple((part.name, self._files(part.files), part.many) for part in job.inputs),
            self._files(job.needs),
            self._jobs(job.requires),
            self._jobs(job.after),
            tuple(self._number[path] for path in self._found(job)),
        )

    def read_by(self, job: Job) -> set[int]:
        """All that makes a job worth a look when it has changed."""
        found = {*self._files(job.input_files()), *self._files(job.needs)}
        found.update(self._number[path] for path in self._found(job))
        for entry in self._project.expander.tasks[job.task].track_files:
            pattern = entry.pattern.fill(self._project.expander.values[job.id])
            if pattern.text not in self._tracked:
                paths = self._project.expander.gather(pattern)[0] if pattern.is_glob else [pattern.prefix]
                self._tracked[pattern.text] = [self._number[path] for path in paths]
            found.update(self._tracked[pattern.text])
        return found

    def _files(self, files: Iterable[FileId]) -> tuple[int, ...]:
        return tuple([self._number[self._graph.files[file].path] for file in files])

    def _found(self, job: Job) -> tuple[str, ...]:
        if self._project.expander.tasks[job.task].depfile is None:
            return ()
        record = self._project.reader.job(job.key)
        return record.found if record is not None else ()

    def _jobs(self, jobs: Iterable[JobId]) -> tuple[int, ...]:
        found: set[int] = set()
        for job in jobs:
            found |= self._members(job)
        return tuple(sorted(found))

    def _members(self, job: JobId) -> frozenset[int]:
        """The job, or what a group is another name for."""
        if job in self._places:
            return frozenset((self._places[job],))
        if job not in self._groups:
            self._groups[job] = frozenset()
            waits = self._graph.prerequisites(self._graph.jobs[job])
            self._groups[job] = frozenset().union(*(self._members(other) for other in waits))
        return self._groups[job]


class Cone:
    """Some jobs of a noted graph, put into a project that knows no others.

    As a container it holds the jobs that are as the last build left them: nobody looks at them.
    """

    def __init__(self, note: dict[str, Any]) -> None:
        self._tasks: tuple[str, ...] = note["tasks"]
        self._stored: tuple[bytes, ...] = note["blocks"]
        self._makers = memoryview(note["makers"]).cast("i")
        self._starts = memoryview(note["starts"]).cast("I")
        self._readers = memoryview(note["readers"]).cast("I")
        self._heads = memoryview(note["heads"]).cast("I")
        self._waiters = memoryview(note["waiters"]).cast("I")
        there = front.paths(note)
        self._there = len(there)
        self._paths: list[bytes] = [*there, *note["absent"]]
        self._total: int = note["jobs"]
        self._blocks: dict[int, list[Any]] = {}
        self._ids: dict[int, JobId] = {}
        self._numbers: dict[JobId, int] = {}
        self._left: set[JobId] = set()
        self._looked: set[int] = set()

    # -- choosing --------------------------------------------------------------------------------------------

    def concerned(self, changed: Iterable[int], gone: Iterable[int]) -> list[int] | None:
        """The numbers of the jobs that changed files concern, sorted; None if that cannot be told from here.

        `gone`: those among the changed that are not there.
        """
        if any(self._makers[file] < 0 for file in gone) or any(
            self._makers[file] == DECIDES for file in changed
        ):
            return None
        found = {self._makers[file] for file in changed if self._makers[file] >= 0}
        pending = [*found, *(job for file in changed for job in self._read_by(file))]
        found.update(pending)
        while pending:
            number = pending.pop()
            # Those that only wait for it are looked at, too: it may fail, and they may stand between it and others.
            behind = self._waiters[self._heads[number] : self._heads[number + 1]].tolist()
            for _, files, _ in self._job(number)[4]:
                for file in files:
                    behind += self._read_by(file)
            new = {job for job in behind if job not in found}
            found |= new
            pending += new
        return sorted(found)

    def path(self, file: int) -> str:
        """The path of a file, by number."""
        return os.fsdecode(self._paths[file])

    def _read_by(self, file: int) -> list[int]:
        return self._readers[self._starts[file] : self._starts[file + 1]].tolist()

    def _job(self, number: int) -> tuple[Any, ...]:
        at, inside = divmod(number, BLOCK)
        if at not in self._blocks:
            data = zlib.decompress(self._stored[at])
            self._blocks[at] = marshal.loads(data)  # noqa: S302  of a note, which is ours and whole
        found: tuple[Any, ...] = self._blocks[at][inside]
        return found

    # -- planting --------------------------------------------------------------------------------------------

    def plant(self, project: Project, numbers: Sequence[int]) -> Wanted:
        """Put these jobs into an empty project, and want them."""
        self._project = project
        self._want = Wanted()
        project.expander.elsewhere = self._file_at
        self._want.roots = [self._plant(number) for number in numbers]
        self.take(self._want.roots)
        return self._want

    def take(self, jobs: Iterable[JobId]) -> None:
        """From now on these are looked at, too."""
        files: set[int] = set()
        outputs: set[int] = set()
        for ident in jobs:
            number = self._numbers[ident]
            if number in self._looked:
                continue
            self._looked.add(number)
            self._left.discard(ident)
            *_, made, _, read, needs, requires, after, found = self._job(number)
            outputs.update(file for _, own, _ in made for file in own)
            files.update(needs, found, *(own for _, own, _ in read))
            for file in found:
                self._file(file)
            self._project.expander.fill_in(
                ident,
                [(name, tuple(self._file(file) for file in own), many) for name, own, many in read],
                tuple(self._file(file) for file in needs),
                tuple(self._plant(other) for other in requires),
                tuple(self._plant(other) for other in after),
            )
        self._project.recall(map(self.path, files | outputs), map(self.path, outputs))

    def _plant(self, number: int) -> JobId:
        """The id of a job, which is put into the project without its inputs if it is not there."""
        known = self._ids.get(number)
        if known is not None:
            return known
        task, values, key, wildcards, outputs, flags, *_ = self._job(number)
        paths = [(name, tuple(self.path(file) for file in files), many) for name, files, many in outputs]
        ident = self._project.expander.plant(self._tasks[task], values, key, wildcards, paths)
        self._ids[number] = ident
        self._numbers[ident] = number
        self._left.add(ident)
        if flags & _ASKED:
            self._want.asked.add(ident)
        if flags & _WHOLE:
            self._project.expander.whole.add(ident)
        return ident

    def _file(self, file: int) -> FileId:
        graph = self._project.expander.graph
        path = self.path(file)
        if path not in graph.by_path and self._makers[file] >= 0:
            self._plant(self._makers[file])
        known = graph.by_path.get(path)
        return known if known is not None else graph.add_file(path, Form.FILE, None)

    def _file_at(self, path: str) -> FileId | None:
        """The id of a path, if a noted job makes or reads it."""
        raw = os.fsencode(path)
        for start, end in ((0, self._there), (self._there, len(self._paths))):
            at = bisect_left(self._paths, raw, start, end)
            if at < end and self._paths[at] == raw and self._makers[at] != DECIDES:
                return self._file(at)
        return None

    # -- afterwards ------------------------------------------------------------------------------------------

    def __contains__(self, job: object) -> bool:
        return job in self._left

    @property
    def resting(self) -> int:
        """How many jobs are as the last build left them."""
        return self._total - len(self._looked)

    def touched(self, jobs: Iterable[JobId]) -> set[int] | None:
        """The files that these jobs made, by number; None if one is not a noted job, or found other inputs."""
        found: set[int] = set()
        for job in jobs:
            number = self._numbers.get(job)
            if number is None:
                return None
            task, _, key, _, outputs, *_, inputs = self._job(number)
            if self._project.expander.tasks[self._tasks[task]].depfile is not None:
                record = self._project.reader.job(key)
                if record is None or record.found != tuple(map(self.path, inputs)):
                    return None
            found.update(file for _, files, _ in outputs for file in files)
        return found

    def is_there(self, file: int) -> bool:
        """Whether a file was there when the note was made."""
        return file < self._there
