"""Jobs, files and the graph they form: facts with typed integer ids.

Knows neither what was written in a Taskfile nor what is on the disk. Nothing here changes during a build,
except that the graph grows: whatever else changes is kept in side tables, by id.
"""

from __future__ import annotations

from enum import Enum
from typing import NewType

from buildtool.tuples import NamedTuple

# Makes a named tuple of all its values in half the time: for what is made by the hundred thousand.
bare = tuple.__new__
JobId = NewType("JobId", int)
FileId = NewType("FileId", int)


class Kind(Enum):
    """What sort of job it is; the value is what people see."""

    RULE = "rule"  # has outputs
    CHECK = "check"  # has inputs alone
    COMMAND = "command"  # has neither: runs when asked for
    GROUP = "group"  # runs nothing: a name for what it needs


class Form(Enum):
    """What a path in the graph stands for."""

    FILE = "file"
    DIRECTORY = "directory"  # all that is in it, by one digest
    GLOB = "glob"  # an output alone: whatever appears there


class File(NamedTuple):
    """One path in the graph, made by at most one job."""

    id: FileId
    path: str  # canonical
    form: Form
    producer: JobId | None


class Slice(NamedTuple):
    """The files of one named (or unnamed) entry of `inputs` or `outputs`."""

    name: str | None
    files: tuple[FileId, ...]
    many: bool  # a list for the task, whatever its length


class Job(NamedTuple):
    """A task with its wildcards filled in: one concrete run."""

    id: JobId
    task: str
    kind: Kind
    key: str  # what the state knows it by: its first output, or task and wildcards
    wildcards: tuple[tuple[str, str], ...] = ()
    inputs: tuple[Slice, ...] = ()
    outputs: tuple[Slice, ...] = ()
    needs: tuple[FileId, ...] = ()  # inputs that are not passed on: `needs`, and the files of `"@list"`
    requires: tuple[JobId, ...] = ()  # must be settled first, whatever they make
    after: tuple[JobId, ...] = ()  # as `requires`, and never a reason to run
    growing: bool = False  # not all inputs are known before what it requires is settled

    @property
    def name(self) -> str:
        """The name people see: the task and its wildcard values."""
        if len(self.wildcards) == 1:
            return f"{self.task} {self.wildcards[0][1]}"  # as most are
        return " ".join([self.task, *[value for _, value in self.wildcards]])

    def input_files(self) -> tuple[FileId, ...]:
        """Every declared input, in order; a file that stands twice comes twice."""
        return self.inputs[0].files if len(self.inputs) == 1 else _files(self.inputs)

    def output_files(self) -> tuple[FileId, ...]:
        """Every declared output, in order."""
        return self.outputs[0].files if len(self.outputs) == 1 else _files(self.outputs)


def _files(parts: tuple[Slice, ...]) -> tuple[FileId, ...]:
    return tuple([f for part in parts for f in part.files])


class Graph:
    """All jobs and files known so far. Ids are positions; jobs are replaced only by growing."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []
        self.files: list[File] = []
        self.by_path: dict[str, FileId] = {}
        self.consumers: dict[FileId, list[JobId]] = {}

    def prerequisites(self, job: Job) -> set[JobId]:
        """The jobs that must be settled before `job` can be looked at."""
        ident, _, _, _, _, inputs, _, needs, requires, after, _ = job
        found = {*requires, *after} if requires or after else set()
        files = self.files
        for _, own, _ in inputs:
            for file in own:
                producer = files[file][3]
                if producer is not None:
                    found.add(producer)
        for file in needs:
            producer = files[file][3]
            if producer is not None:
                found.add(producer)
        found.discard(ident)
        return found

    def paths(self, files: tuple[FileId, ...]) -> tuple[str, ...]:
        """The paths of some files."""
        known = self.files
        return tuple([known[f].path for f in files])

    def add_file(self, path: str, form: Form, producer: JobId | None) -> FileId:
        """Give a path its id. The path must be new."""
        file = FileId(len(self.files))
        self.files.append(bare(File, (file, path, form, producer)))
        self.by_path[path] = file
        return file

    def set_job(self, job: Job) -> None:
        """Add a job, or replace the one with its id by one that knows more inputs."""
        if job.id == len(self.jobs):
            self.jobs.append(job)
        else:
            self.jobs[job.id] = job
        for file in (*job.input_files(), *job.needs):
            readers = self.consumers.get(file)
            if readers is None:
                self.consumers[file] = [job.id]
            elif readers[-1] != job.id:
                readers.append(job.id)

    def cycle(self, roots: list[JobId]) -> list[JobId] | None:
        """Jobs that wait for each other, the first one repeated at the end; None if the roots reach no cycle.

        Depth-first search with an explicit stack, since chains can be longer than Python's own.
        """
        done: set[JobId] = set()
        for root in roots:
            if root in done or not self.prerequisites(self.jobs[root]):
                done.add(root)
                continue
            path: list[JobId] = []
            on_path: dict[JobId, int] = {}
            stack = [(root, False)]
            while stack:
                job, leaving = stack.pop()
                if leaving:
                    path.pop()
                    del on_path[job]
                    done.add(job)
                elif job in on_path:
                    return [*path[on_path[job] :], job]
                elif job not in done:
                    on_path[job] = len(path)
                    path.append(job)
                    stack.append((job, True))
                    stack += [(p, False) for p in sorted(self.prerequisites(self.jobs[job]))]
        return None

    def closure(self, roots: list[JobId]) -> list[JobId]:
        """The roots and everything that must be settled before them, each once."""
        seen = set(roots)
        pending = list(roots)
        while pending:
            for job in self.prerequisites(self.jobs[pending.pop()]):
                if job not in seen:
                    seen.add(job)
                    pending.append(job)
        return sorted(seen)
