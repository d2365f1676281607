"""Grows the graph of jobs and files: from what is asked for to what it needs, and again when more is known.

Jobs are made on demand (somebody needs a path) or by enumeration (somebody needs all that a task makes). What a
job reads is filled in from a work list, never by recursion, so that chains may be as long as memory allows.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence

from buildtool.errors import BtError, GraphError, Place, TaskfileError
from buildtool.expand.blockers import Blockers, Order
from buildtool.expand.index import Candidate, Index, clash, inside, shared
from buildtool.expand.listing import matches
from buildtool.expand.made import Made
from buildtool.expand.rows import Values, joined, late_rows
from buildtool.expand.tasks import Entries, Entry, Task, group_task
from buildtool.expand.variables import AbsentError, line_place, read_lines
from buildtool.files import Disk
from buildtool.graph import FileId, Form, Graph, Job, JobId, Kind, Slice, bare
from buildtool.paths import canonical, parents, twin
from buildtool.taskfile.pattern import Pattern
from buildtool.text import printable

SPARE_DEPTH = 100  # how much longer than the list of tasks a chain of wildcard tasks may be


class Expander:
    """The graph so far, and all that is needed to grow it.

    `owner` tells which paths are recorded as made by `bt` (by the key of their job, else None), and `is_changed`
    whether somebody has written to a path since the output was made that it is or lies in; `was_read`, whether a job
    (by its key) has read a path when it last ran.
    What jobs with unknown output names left behind is told by `settle`.
    """

    def __init__(
        self,
        tasks: dict[str, Task],
        disk: Disk,
        owner: Callable[[str], str | None],
        is_changed: Callable[[str, str], bool],
        was_read: Callable[[str, str], bool],
    ) -> None:
        self.tasks = tasks
        self.disk = disk
        self.graph = Graph()
        self.index = Index(tasks.values())
        self.missing: dict[
            FileId, JobId | None
        ] = {}  # nothing makes it and it is not there; who needs it first
        self.values: dict[JobId, Values] = {}
        self.errors: list[BtError] = list(self.index.clashes)
        self.whole: set[JobId] = set()  # jobs that make part of a directory that is read as a whole
        self.elsewhere: Callable[[str], FileId | None] | None = (
            None  # who may know a path that is not in here
        )
        self._parents: dict[str, JobId] = {}  # directories that hold outputs, with one job that makes some
        self._apart_from: set[str] = set()  # directories that are no output, nor is one above them
        self._owner = owner
        self._is_changed = is_changed
        self._was_read = was_read
        self._jobs: dict[tuple[str, tuple[str, ...]], JobId] = {}
        self._groups: dict[str, JobId] = {}
        self.globs: dict[JobId, Entry] = {}  # groups of what a glob target matches
        self._pending: deque[JobId] = deque()
        # They read what may turn out to be made, or in a directory that another one makes: decided behind the others.
        self._doubtful: list[tuple[int, tuple[str, ...], JobId]] = []
        self._candidates: dict[JobId, Collection[JobId] | None] = {}  # of these, what may be waited for
        self._deciding = False  # about one of these
        self._order = Order(self.graph)
        self._nearby: dict[JobId, set[JobId]] = {}  # of what jobs wait for, what they do not name
        self._place = {name: -place for place, name in enumerate(tasks)}
        self._has_late = any(task.rows_from is not None and task.rows is None for task in tasks.values())
        self._depth: dict[JobId, int] = {}
        self._rows: dict[str, tuple[list[Values], Blockers]] = {}
        self._row_index: dict[str, dict[tuple[str, ...], list[Values]]] = {}
        self._busy: set[str] = set()
        self._made = Made()
        self._left: dict[JobId, tuple[str, ...]] = {}
        self._settled: set[JobId] = set()
        self._possible: dict[str, bool] = {}
        # Of folders: the recorded directory that they are or lie in.
        self._origins: dict[str, str | None] = {}
        # Wildcard values of patterns with globs, and what must be settled before all are known.
        self._found: dict[Pattern, tuple[set[tuple[str, ...]], Blockers]] = {}
        self._looking: list[Pattern] = []  # for the values of these
        self._looks_round = False  # it was met that one of them would give values to itself
        self._limit = SPARE_DEPTH + len(self.index.open)
        for path, task in self.index.literals():
            [entry] = [e for e in task.output_entries() if e.pattern.prefix == path][:1]
            self._made.register(path, task, entry, {})

    # -- asking ----------------------------------------------------------------------------------------------

    def file(self, path: str, needed_by: JobId | None = None) -> FileId:
        """The id of a path, with the job that makes it, if any."""
        known = self.graph.by_path.get(path)
        if known is None and self.elsewhere is not None:
            known = self.elsewhere(path)
        if known is not None:
            return known
        producer = self._producer(path, needed_by)
        known = self.graph.by_path.get(path)
        if known is not None:
            return known
        form = Form.DIRECTORY if path.endswith("/") else Form.FILE
        file = self.graph.add_file(path, form, producer)
        if producer is None and not (self.disk.shows(path) or self.disk.exists(path)):
            self.missing[file] = needed_by
        return file

    @property
    def open_jobs(self) -> Collection[JobId]:
        """The settled jobs that left files whose names were not known before."""
        return self._left.keys()

    def takers(self, path: str) -> set[JobId]:
        """The jobs with a glob output that matches a path which they did not make: they would move it away."""
        found = set()
        for candidate in self.index.candidates(path) if self.index.has_globs else ():
            key = (candidate.task.name, tuple(candidate.values[n] for n in candidate.task.names))
            if candidate.is_glob and key in self._jobs:
                found.add(self._jobs[key])
        return found

    def maker(self, path: str) -> JobId | None:
        """The job that makes a path, brought into the graph with all it needs if some task can make it."""
        known = self.graph.by_path.get(path)
        if known is None:
            if not any(self._makes(c, path, 0) for c in self.index.candidates(path)):
                return None
            errors = len(self.errors)
            known = self.file(path)
            self.missing.pop(known, None)
            self.drain()
            if self.errors[errors:]:
                raise self.errors.pop(errors)
        return self.graph.files[known].producer

    def is_meant(self, path: str, depth: int = 0) -> bool:
        """Whether a text that could be a glob is the very name of a file that is there or can be made.

        Nobody knows that of what an output glob may bring.
        """
        if self.disk.exists(path) or self._owner(path) is not None or self._made.get(path) is not None:
            return True
        if depth > self._limit:
            return False
        for candidate in self.index.candidates(path):
            task, values = candidate.task, candidate.values
            if candidate.literal and depth and self.index.is_literal(path):
                return True
            if candidate.literal or candidate.is_glob or not values or not self._can_make(candidate, 0):
                continue
            patterns = [entry.pattern for entry in task.input_entries()]
            read = [p.start(self._rows_for(candidate)[0]) for p in patterns if not p.is_glob]
            if {*values} <= {n for p in patterns for n in p.names} and all(
                self.is_meant(one, depth + 1) for one in read
            ):
                return True
        return False

    def jobs_of(self, name: str) -> list[JobId]:
        """Every job of a task; while some of them cannot be known yet, a group that will hold them all."""
        task = self.tasks[name]
        rows, blockers = self._enumerate(task)
        jobs = [self._job(task, values) for values in rows]
        return [*jobs, self._group(task, blockers)] if blockers else jobs

    def seen_as(self, text: str) -> JobId | None:
        """The job without outputs that people see under this name: task and wildcard values; None if it is not one."""
        name, _, values = text.partition(" ")
        task = self.tasks.get(name)
        if task is None or task.outputs:
            return None
        rows, _ = self._enumerate(task)
        found = {}
        for row in rows:
            names = tuple(row) if task.rows_from is not None else task.names
            given = tuple(row[n] for n in names)
            if " ".join(given) == values:
                found[given] = row
        return self._job(task, found.popitem()[1]) if len(found) == 1 else None

    def is_late(self, name: str) -> bool:
        """Whether some jobs of a task are known only after others have run."""
        table = self.tasks[name].rows_from
        file = self.graph.by_path.get(table.pattern.prefix) if table is not None else None
        return name in self._groups or (file is not None and self.graph.files[file].producer is not None)

    def likely(self, path: str, most: int) -> list[str]:
        """Up to so many paths that tasks make as far as is known now, those in the folder of `path` first.

        For hints: it works out the jobs of every task, and mistakes in these do not matter.
        """
        for task in self.tasks.values():
            with contextlib.suppress(BtError):
                self._enumerate(task)
        return [*itertools.islice(self._made.paths(path[: path.rfind("/") + 1]), most)]

    def is_open(self, name: str) -> bool:
        """Whether nothing says which jobs the task has: each is made only when its file is asked for."""
        task = self.tasks[name]
        rows, blockers = self._enumerate(task)
        return not rows and not blockers and not task.is_literal

    def gather(
        self, pattern: Pattern, reader: Task | None = None, job: JobId | None = None
    ) -> tuple[list[str], Blockers]:
        """The paths that a pattern matches, on the disk and among all that tasks make, sorted.

        Files of which the state says that `bt` made them and that no task makes any more are left out, unless they
        were changed since: then they are a person's. Second comes what must be settled before the answer is complete.
        A `reader` does not wait for its own directory, of which only people's files count that lie there with `keep`.
        Left out is what lies in directories that the pattern does not name and that are made of what the `job` makes.
        """
        blockers = Blockers()
        unclear: list[
            Pattern
        ] = []  # what they may make or move away, so that nobody knows yet what stays there
        covered: set[str] = set()  # the same for directories without patterns
        own: tuple[str, ...] = ()  # directories in which the reader leaves people's files
        for task, entry in self.index.overlapping(pattern):
            if task is reader and entry.pattern.is_literal and pattern.names_directory(entry.pattern.prefix):
                own = (*own, entry.pattern.prefix) if task.spec.keep else own
                covered.update(() if task.spec.keep else (entry.pattern.prefix,))
                continue
            rows, waiting = self._enumerate(task)
            if waiting:
                blockers |= waiting
                unclear.append(entry.pattern)
            if not entry.pattern.is_glob and not entry.pattern.is_directory:
                continue
            for values in self._rows_near(task, entry.pattern, rows, pattern.folder):
                filled = entry.pattern.fill(values)
                if not _may_bring(filled, pattern):
                    continue
                maker = self._job(task, values)
                nearby = filled.is_literal and not pattern.names_directory(filled.prefix)
                if nearby and (task is reader or (self._deciding and self._waits(maker, job))):
                    covered.add(filled.prefix)
                elif maker in self._left:
                    for path in self._left[maker]:
                        if pattern.match(path) is not None:
                            self._made.register(path, task, entry, values)
                else:
                    (blockers.nearby if nearby else blockers.named).add(maker)
                    if filled.is_literal:
                        covered.add(filled.prefix)
                    else:
                        unclear.append(filled)
        found = set(self._made.matching(pattern))
        left_out: tuple[str, ...] = ()
        if pattern.is_directory:
            inner = pattern.inner
            paths, waiting = self.gather(inner, reader, job)
            blockers |= waiting
            found.update(
                above for path in paths for above in parents(path) if pattern.match(above) is not None
            )
            left_out = tuple(sorted({*matches(self.disk, inner)}.difference(paths)))
        unseen: dict[str, bool] = {}
        for path in matches(self.disk, pattern):
            if path in found or path in covered or self._is_unseen(path, covered, unseen):
                continue
            if left_out and _any_below(path, left_out):
                continue
            origin = self._origin(path)
            if blockers and origin is not None:
                continue  # made once, and nobody knows yet whether it will be again
            if unclear and any(_holds(p, path) for p in unclear):
                continue
            if origin is not None and path.startswith(own) and not self._is_changed(path, origin):
                continue
            if origin is None or not self._is_orphan(path) or self._is_changed(path, origin):
                found.add(path)
        return sorted(found), blockers

    def _is_unseen(self, path: str, covered: Collection[str], known: dict[str, bool]) -> bool:
        """Whether a path lies in a covered directory, or in one in the place of a file that a task makes.

        Such a one will give way. What was worked out is `known`, by folder.
        """
        folder = path[: path.rfind("/", 0, -1) + 1]
        if folder not in known:
            known[folder] = any(
                above in covered or self._made.get(above[:-1]) is not None for above in parents(path)
            )
        return known[folder]

    def orphans(self, owned: Mapping[str, str]) -> list[str]:
        """The recorded outputs that no task makes any more, and that nothing names, nor what is in them.

        Not those that a task may make whose table is not there.
        """
        by_path = self.graph.by_path
        found = []
        for path in owned:
            with contextlib.suppress(AbsentError):
                if path not in by_path and path not in self._parents and self._is_orphan(path):
                    is_theirs = path[-1:] != "/" and self.disk.exists(path) and self._is_changed(path, path)
                    found += [] if is_theirs else [path]
        folders = tuple(path for path in found if path[-1:] == "/")
        read = [path for path in (by_path if folders else ()) if path.startswith(folders)]
        return sorted(p for p in found if p[-1:] != "/" or not any(inner.startswith(p) for inner in read))

    def read_orphans(self, owned: Mapping[str, str]) -> list[str]:
        """The files that no task makes any more, and that count as sources since something names them.

        Those in the place of recorded outputs, or in directories that are such, as long as nobody has changed them.
        """
        by_path, files = self.graph.by_path, self.graph.files
        folders = tuple(path for path in owned if path[-1:] == "/" and path not in by_path)
        inside = (path for path in (by_path if folders else ()) if path.startswith(folders))
        named = {
            path for path in (*owned, *inside) if path in by_path and files[by_path[path]].producer is None
        }
        return sorted(filter(self.is_left, named))

    def is_left(self, path: str) -> bool:
        """Whether a path is as a task left it, in the place of an output or inside of one, and none makes it now."""
        return self.was_made(path) and not self._is_changed(path, self._origin(path) or path)

    def was_made(self, path: str) -> bool:
        """Whether a path is in the place of an output, or inside of one, and no task makes it now."""
        if self._origin(path) is None or not self.disk.exists(path):
            return False
        known = self.graph.by_path.get(path)
        return (known is not None and self.graph.files[known].producer is None) or self._is_orphan(path)

    def lacking(self, job: JobId) -> tuple[str, JobId] | None:
        """A directory that is not there, and in which the job reads what another one makes; with that other one.

        One that no pattern names counts if it was made once.
        """
        task, values = self.tasks[self.graph.jobs[job].task], self.values[job]
        for entry in task.read_entries():
            pattern = entry.pattern.fill(values)
            pattern = pattern.inner if pattern.is_directory else pattern
            for other, output in self.index.overlapping(pattern) if pattern.is_glob else ():
                for row in (
                    self._enumerate(other)[0] if output.pattern.is_directory and other is not task else ()
                ):
                    filled = output.pattern.fill(row)
                    folder = filled.prefix
                    if not filled.is_literal or self.disk.exists(folder) or not _may_bring(filled, pattern):
                        continue
                    maker = self._job(other, row)
                    counts = pattern.names_directory(folder) or self._owner(folder) is not None
                    if counts and not self._waits(maker, job):
                        return folder, maker
        return None

    def holds_outputs(self, folder: str) -> bool:
        """Whether something that a job makes lies below the directory."""
        return folder in self._parents

    def is_read(self, path: str, maker: str) -> bool:
        """Whether some job reads a path that a task (`maker`) makes, also if that job is not known yet."""
        known = self.graph.by_path.get(path)
        if known is not None and self.graph.consumers.get(known):
            return True
        return any(
            _holds(entry.pattern, path) and self._has_row(task, entry.pattern.match(path) or {})
            for task in self.tasks.values()
            for entry in (task.input_entries() if task.name != maker else ())
        )

    def is_part_read(self, path: str, maker: str) -> bool:
        """Whether some task but its `maker` reads a part of what a path stands for, or it as a part of a directory.

        Or tracks it.
        """
        graph, folders = self.graph, parents(path)
        above = (graph.by_path.get(folder) for folder in folders)
        if any(folder is not None and graph.consumers.get(folder) for folder in above):
            return True
        others = [task for task in self.tasks.values() if task.name != maker]
        if any(entry.pattern.match(path) is not None for task in others for entry in task.track_files):
            return True
        is_directory = path[-1:] == "/"
        return any(
            (is_directory and entry.pattern.may_reach(path))
            or (entry.pattern.is_directory and any(entry.pattern.match(f) is not None for f in folders))
            for task in others
            for entry in task.read_entries()
        )

    def is_used(self, job: JobId, paths: Collection[str]) -> bool:
        """Whether a rule or check reads one of these paths, which a job made, or waits for that job; or may do so.

        Also if it is not known yet.
        """
        name = self.graph.jobs[job].task
        if any(self.is_read(path, name) or self.is_part_read(path, name) for path in paths):
            return True
        for task in self.tasks.values():
            if task.kind not in (Kind.RULE, Kind.CHECK):
                continue
            words = (*task.needs, *task.after)
            if name in words or any(
                entry.is_list and self._is_unread(entry) for entry in task.input_entries()
            ):
                return True
            patterns = [word.pattern for word in words if not isinstance(word, str)]
            if any(_holds(pattern, path) for pattern in patterns for path in paths):
                return True
        return False

    def _is_unread(self, entry: Entry) -> bool:
        """Whether it is not known yet what a list names."""
        if not entry.pattern.is_literal:
            return True
        file = self.graph.by_path.get(entry.pattern.prefix)
        producer = self.graph.files[file].producer if file is not None else None
        return producer is not None and producer not in self._settled

    def _has_row(self, task: Task, values: Values) -> bool:
        """Whether `foreach`, where its rows are known, has one with these values."""
        if task.rows is None:
            return True
        return any(all(row.get(n, v) == v for n, v in values.items()) for row in task.rows)

    def _is_orphan(self, path: str) -> bool:
        """Whether a path is a recorded output, or lies in one, and no task makes it any more."""
        origin = self._origin(path)
        if origin is None:
            return False
        for made in (path,) if origin == path else (path, origin):
            if made in self.graph.by_path or twin(made) in self.graph.by_path:
                return False
            if self._made.get(made) is not None:
                return False
            if any(self._makes(c, made, 0) for c in self.index.candidates(made)):
                return False
        return True

    def _origin(self, path: str) -> str | None:
        """The recorded output that a path is, or the recorded output directory that it lies in."""
        if self._owner(path) is not None:
            return path
        folder = path[: path.rfind("/", 0, -1) + 1]
        if folder not in self._origins:
            holders = (above for above in parents(path) if self._owner(above) is not None)
            self._origins[folder] = next(holders, None)
        origin = self._origins[folder]
        return origin if origin is not None and self._owner(origin) is not None else None

    # -- growing ---------------------------------------------------------------------------------------------

    def plant(
        self,
        task: str,
        values: Values,
        key: str,
        wildcards: tuple[tuple[str, str], ...],
        outputs: Sequence[tuple[str | None, tuple[str, ...], bool]],
    ) -> JobId:
        """Add a job that was worked out before, without its inputs; the outputs are files, by slot."""
        known = self.tasks[task]
        job = JobId(len(self.graph.jobs))
        self._jobs[task, tuple(values[name] for name in known.names)] = job
        self.values[job] = values
        self.graph.set_job(Job(job, task, known.kind, key, wildcards))
        slots = []
        for name, paths, many in outputs:
            slots.append(Slice(name, tuple(self.graph.add_file(p, Form.FILE, job) for p in paths), many))
            for folder in {folder for path in paths for folder in parents(path)}:
                self._parents.setdefault(folder, job)
        self.graph.set_job(self.graph.jobs[job]._replace(outputs=tuple(slots)))
        return job

    def fill_in(
        self,
        job: JobId,
        inputs: Sequence[tuple[str | None, tuple[FileId, ...], bool]],
        needs: tuple[FileId, ...],
        requires: tuple[JobId, ...],
        after: tuple[JobId, ...],
    ) -> None:
        """Add what a job reads and waits for, as it was worked out before."""
        slots = tuple(Slice(*slot) for slot in inputs)
        spec = self.graph.jobs[job]
        self.graph.set_job(spec._replace(inputs=slots, needs=needs, requires=requires, after=after))

    def drain(self) -> list[JobId]:
        """Fill in the inputs of all new jobs, and of those that they bring; the jobs that were filled in."""
        filled = []
        while self._pending or self._doubtful:
            self._deciding = not self._pending
            if self._deciding:
                job = heapq.heappop(self._doubtful)[-1]
            else:
                job = self._pending.popleft()
                filled.append(job)
            try:
                if not self._deciding or not self._let_wait(job):
                    self._fill(job)
            except BtError as error:
                self.errors.append(error)
            finally:
                if self._deciding:
                    self._order.note(job)
                else:
                    self._order.forget()
                self._deciding = False
        return filled

    def settle(self, job: JobId, left: tuple[str, ...]) -> None:
        """Tell that a job is settled, and every path that it left behind."""
        self._settled.add(job)
        outputs = [self.graph.files[f] for f in self.graph.jobs[job].output_files()]
        has_open = any(file.form is not Form.FILE for file in outputs)
        if has_open or self._has_late:
            self._possible.clear()
        if has_open:
            paths = list(left)
            for file in outputs:
                if file.form is Form.DIRECTORY:
                    paths += self.disk.below(file.path)
            self._left[job] = tuple(paths)
            for file in outputs:
                self.disk.relist(file.path.split("*", maxsplit=1)[0])

    def grow(self, job: JobId) -> Job:
        """Fill in the inputs of a job once more, now that what it required is settled; `drain` has the last word."""
        spec = self.graph.jobs[job]
        if spec.kind is Kind.GROUP and self.is_task_group(job):
            self._fill_group(spec)
        else:
            self._fill(job)
            self.refuse_empty(job)
        return self.graph.jobs[job]

    def is_task_group(self, job: JobId) -> bool:
        """Whether a group holds all jobs of a task, some of which are known later."""
        return job in self._groups.values()

    def is_late_group(self, job: JobId) -> bool:
        """Whether a group holds jobs some of which are known later: all of a task, or those behind a glob."""
        return job in self.globs or self.is_task_group(job)

    def glob_group(self, pattern: Pattern, place: Place) -> JobId:
        """A group of all that a pattern matches, also what is known only after others have run."""
        name = pattern.text  # no task can be called so
        entry = Entry(pattern, place)
        task = self.tasks.setdefault(name, group_task(name, entry))
        group = self._job(task, {})
        self.globs[group] = entry
        return group

    def refuse_empty(self, group: JobId) -> None:
        """Raise `GraphError` for a group of what a glob matches that turns out to hold nothing."""
        job = self.graph.jobs[group]
        if group in self.globs and not job.growing and not job.needs:
            raise GraphError(f"`{printable(job.task)}` matches nothing", place=self.globs[group].place)

    def _group(self, task: Task, blockers: Blockers) -> JobId:
        job = self._groups.get(task.name)
        if job is None:
            job = self._groups[task.name] = JobId(len(self.graph.jobs))
            key = f"//group/{task.name}"
            requires = tuple(sorted(blockers.named))
            self.graph.set_job(Job(job, task.name, Kind.GROUP, key, requires=requires, growing=True))
            if blockers.nearby:
                self._doubt(job, blockers.nearby)
        return job

    def _fill_group(self, job: Job) -> None:
        jobs = [j for j in self.jobs_of(job.task) if j != job.id]
        blockers = self._enumerate(self.tasks[job.task])[1]
        chosen = self._chosen(job.id, blockers)
        growing = bool(chosen or (blockers.nearby and not self._deciding))
        self.graph.set_job(job._replace(requires=tuple(sorted({*jobs, *chosen})), growing=growing))

    def _chosen(self, job: JobId, blockers: Blockers) -> set[JobId]:
        """What a job waits for; of what is nearby nothing is chosen yet, unless it is the time to decide.

        That time is when all else is filled in. A nearby one that waits for the job is not waited for.
        """
        if not blockers.nearby:
            return blockers.named
        if not self._deciding:
            self._doubt(job, blockers.nearby)
            return blockers.named
        self._nearby[job] = {b for b in blockers.nearby if not self._waits(b, job)}
        return blockers.named | self._nearby[job]

    def give_way(self, cycle: Sequence[JobId]) -> tuple[JobId, JobId] | None:
        """Let one of these jobs, each of which waits for the next, not wait for what it does not name.

        That one, and the job that it waits for no longer; None if all that they wait for is named.
        """
        for job, other in itertools.pairwise(cycle):
            if other in self._nearby.get(job, ()):
                self._order.forget()
                self._doubt(job)
                self.drain()
                return job, other
        return None

    def _doubt(self, job: JobId, nearby: Collection[JobId] | None = None) -> None:
        """Decide about a job later: of two that may wait for each other, the task that comes later does.

        `nearby`: about no more than whether it waits for these.
        """
        known = self.graph.jobs[job]
        wildcards = tuple(value for _, value in known.wildcards)
        if job not in self._candidates:
            heapq.heappush(self._doubtful, (self._place.get(known.task, 0), wildcards, job))
            self._candidates[job] = nearby
        elif nearby is None:
            self._candidates[job] = None

    def _let_wait(self, job: JobId) -> bool:
        """Let a job wait for all that is nearby, if that is all that was to be decided, and if none waits for it."""
        nearby = self._candidates.pop(job, None)
        if nearby is None or any(self._waits(other, job) for other in nearby):
            return False
        self._nearby[job] = set(nearby)
        spec = self.graph.jobs[job]
        self.graph.set_job(spec._replace(requires=tuple(sorted({*spec.requires, *nearby})), growing=True))
        return True

    def _waits(self, other: JobId, job: JobId | None) -> bool:
        return job is not None and self._order.waits(other, job)

    def _job(self, task: Task, values: Values, needed_by: JobId | None = None) -> JobId:
        """The job of a task with these values, made if it is new."""
        # The columns of a table tell checks and commands apart, and they may not have been known before.
        late = task.rows_from is not None and not task.outputs
        names = tuple(values) if late else task.names
        key = (task.name, tuple([values[n] for n in names]))
        known = self._jobs.get(key)
        if known is not None:
            return known
        job = JobId(len(self.graph.jobs))
        if needed_by is not None and names:
            depth = self._depth[job] = 1 + self._depth.get(needed_by, 0)
            if depth > self._limit:
                raise self._endless(task, needed_by)
        wildcards = tuple(zip(names, key[1], strict=True))
        outputs = tuple([self._outputs(task, slot, values, job) for slot in task.outputs])
        for part in outputs:
            if part.files:
                state_key = self.graph.files[part.files[0]].path
                break
        else:
            words = "".join(f"?{n}={v}" for n, v in wildcards)
            state_key = f"//{task.kind.value}/{task.name}{words}"
        self._jobs[key] = job
        self.values[job] = values
        self.graph.jobs.append(
            bare(Job, (job, task.name, task.kind, state_key, wildcards, (), outputs, (), (), (), False))
        )
        self._pending.append(job)
        return job

    def _outputs(self, task: Task, slot: Entries, values: Values, job: JobId) -> Slice:
        files = []
        for entry in slot.entries:
            if self.index.refused and entry in self.index.refused:
                continue  # nothing is built then, and the rest can be looked at
            if entry.pattern.is_glob:
                path, form = entry.pattern.fill(values).text, Form.GLOB
            else:
                path = entry.pattern.start(values)
                form = Form.DIRECTORY if path.endswith("/") else Form.FILE
            known = self.graph.by_path.get(path)
            if known is not None:
                producer = self.graph.files[known].producer
                if producer is None:
                    self._refuse_lacking(task, values, path)
                    raise TaskfileError(
                        f"`{printable(path)}` was read as a file of yours before it was known that task"
                        f" `{task.name}` makes it",
                        place=entry.place,
                        hint="move it away",
                    )
                other = self.tasks[self.graph.jobs[producer].task] if producer != job else task
                others = [e for e in other.output_entries() if e.pattern.match(path) is not None] or [entry]
                raise clash(path, (other, others[0]), (task, entry))
            self._apart(path, form, job, entry)
            files.append(self.graph.add_file(path, form, job))
        return bare(Slice, (slot.name, tuple(files), slot.many))

    def _refuse_lacking(self, task: Task, values: Values, path: str) -> None:
        """A job that cannot run makes no claim to a file of a person's: what it reads is missing."""
        for entry in task.input_entries():
            lacking = "" if entry.pattern.is_glob else entry.pattern.start(values)
            if lacking and not self._can_be_there(lacking, 0):
                name = " ".join([task.name, *(values[n] for n in task.names)])
                raise GraphError(
                    f"`{printable(lacking)}`: no such file, and no task makes it",
                    place=entry.place,
                    facts=(("needed by", f"`{printable(name)}`"),),
                    hint=f"to do without it, move `{printable(path)}` away, which may be a leftover of it",
                )

    def _apart(self, path: str, form: Form, job: JobId, entry: Entry) -> None:
        """An output directory belongs to one job, with all that is in it."""
        inside = self._parents.get(path) if form is Form.DIRECTORY else None
        if form is Form.FILE:
            inside = self._parents.get(path + "/")
        nearest = path[: path.rfind("/", 0, -1) + 1]
        if nearest not in self._apart_from and (folders := parents(path)):
            holders = [holder for folder in folders if (holder := self._holder(folder)) not in (None, job)]
            inside = holders[-1] if holders else inside
            for folder in folders:
                self._parents.setdefault(folder, job)
            if not holders:
                self._apart_from.add(nearest)
        if inside is not None and inside != job:
            other = self.tasks[self.graph.jobs[inside].task]
            raise shared(path, (other, next(other.output_entries())), entry)
        if inside is not None or form is Form.DIRECTORY:
            self._apart_from.clear()  # from now on there is one job that may make more in there

    def _holder(self, folder: str) -> JobId | None:
        """The job that makes a directory as a whole."""
        known = self.graph.by_path.get(folder, self.graph.by_path.get(folder[:-1]))
        return self.graph.files[known].producer if known is not None else None

    def _fill(self, job: JobId) -> None:
        """Find what a job reads, as far as it can be known now."""
        spec = self.graph.jobs[job]
        task = self.tasks[spec.task]
        if spec.kind is Kind.GROUP and self.is_task_group(job):
            self._fill_group(spec)
            return
        if task.reads_paths and self._fill_paths(spec, task):
            return
        requires: set[JobId] = set()
        after: set[JobId] = set()
        needs: list[FileId] = []
        blockers = self._fill_values(spec, task)
        values = self.values[job]
        parts = []
        for slot in task.inputs:
            files: list[FileId] = []
            for entry in slot.entries:
                waiting = self._fill_entry(spec, entry, values, files, needs, requires)
                blockers |= waiting
            parts.append(Slice(slot.name, tuple(files), slot.many))
        for word in task.needs:
            if isinstance(word, str):
                for needed in self.jobs_of(word):
                    self._refuse_self(needed, spec, task)
                    requires.add(needed)
                    needs += self.graph.jobs[needed].output_files()
            else:
                blockers |= self._fill_entry(spec, word, values, needs, needs, requires)
        for word in task.after:
            if isinstance(word, str):
                for other in self.jobs_of(word):
                    self._refuse_self(other, spec, task)
                    after.add(other)
            else:
                ordered: list[FileId] = []
                blockers |= self._fill_entry(spec, word, values, ordered, ordered, after)
                producers = (self.graph.files[f].producer for f in ordered)
                after.update(p for p in producers if p is not None)
        for entry in task.track_files:
            blockers |= self._fill_tracked(spec, entry, values, requires)
        for path in task.dotenv:  # what is in it decides, variable by variable; it only has to be there
            producer = self.graph.files[self.file(path, job)].producer
            if producer is not None:
                requires.add(producer)
                self.whole.add(producer)
        chosen = self._chosen(job, blockers)
        growing = bool(chosen or (blockers.nearby and not self._deciding))
        if not growing and task.gathers and not any(p.files for p in parts):
            self._matched_nothing(task, values)
        self.graph.set_job(
            Job(
                job,
                spec.task,
                spec.kind,
                spec.key,
                spec.wildcards,
                tuple(parts),
                spec.outputs,
                tuple(dict.fromkeys(needs)) if needs else (),
                tuple(sorted((requires | chosen) - {job})) if requires or chosen else (),
                tuple(sorted(after - {job})) if after else (),
                growing,
            )
        )

    def _fill_paths(self, job: Job, task: Task) -> bool:
        """The same for a job that reads nothing but paths which its values give, as most do; False if it takes more."""
        values, by_path = self.values[job.id], self.graph.by_path
        parts = []
        for name, entries, many in task.inputs:
            files = []
            for entry in entries:
                path = entry.pattern.start(values)
                file = by_path.get(path)
                if file is None:
                    if self._has_late and self._doubts(path, job.id):
                        return False
                    file = self.file(path, job.id)
                self._refuse_own(job, file, entry)
                files.append(file)
            parts.append(bare(Slice, (name, tuple(files), many)))
        self.graph.set_job(bare(Job, (*job[:5], tuple(parts), job.outputs, (), (), (), False)))
        return True

    def _fill_values(self, job: Job, task: Task) -> Blockers:
        """Give a job that was asked for by a path its whole row; what must be settled before that is known."""
        if task.rows_from is None or task.rows is not None or not task.outputs:
            return Blockers()
        rows, blockers = self._enumerate(task)
        if blockers:
            return blockers
        values = self._row(task, rows, self.values[job.id])
        if not values:
            table = printable(task.rows_from.pattern.prefix)
            raise GraphError(f"no line of `{table}` gives `{printable(job.key)}`", place=task.rows_from.place)
        self.values[job.id] = values[0]
        return Blockers()

    def _refuse_self(self, needed: JobId, job: Job, task: Task) -> None:
        if needed == job.id:
            raise GraphError(
                f"`{printable(job.name)}` waits for itself: {job.task} → {job.task}",
                place=task.spec.at("needs") if job.task in task.needs else task.spec.at("after"),
            )

    def _fill_entry(
        self,
        job: Job,
        entry: Entry,
        values: Values,
        files: list[FileId],
        needs: list[FileId],
        requires: set[JobId],
    ) -> Blockers:
        """Add the files of one pattern; what must be settled before they are all known."""
        if entry.pattern.is_glob:
            paths, blockers = self.gather(entry.pattern.fill(values), self.tasks[job.task], job.id)
            for path in paths:
                if not self._is_own(job, path) and not self._makes_inside(job, path):
                    files.append(self.file(path, job.id))
                    if path[-1:] == "/" and self.graph.files[files[-1]].producer is None:
                        blockers |= self._inside(path, requires)
            return blockers.without(job.id)
        path = entry.pattern.start(values)
        if doubts := self._doubts(path, job.id):
            return Blockers(doubts)
        file = self.file(path, job.id)
        self._refuse_own(job, file, entry)
        producer = self.graph.files[file].producer
        if entry.is_list:
            needs.append(file)
            if producer is not None:
                self.whole.add(producer)  # what is in the list must be read: it cannot stay away
            if producer is not None and producer not in self._settled:
                return Blockers([producer])
            if file not in self.missing:
                lines = read_lines(self.disk, path, entry.place)
                names = [self._listed(line, entry) for line in lines]
                if doubts := set().union(*(self._doubts(name, job.id) for name in names)):
                    return Blockers(doubts)
                listed = [self.file(name, job.id) for name in names]
                for one in listed:
                    self._refuse_own(job, one, entry)
                files += listed
            return Blockers()
        files.append(file)
        if path.endswith("/") and producer is None:
            if (own := self._makes_inside(job, path)) is not None:
                raise _own_input(job, own, path, entry)
            return self._inside(path, requires)
        return Blockers()

    def _fill_tracked(self, job: Job, entry: Entry, values: Values, requires: set[JobId]) -> Blockers:
        """Let a job wait for tracked files that tasks make; what must be settled before these are all known.

        A tracked file need not be there.
        """
        pattern = entry.pattern.fill(values)
        blockers = Blockers()
        paths = [pattern.prefix]
        if pattern.is_glob:
            paths, blockers = self.gather(pattern, self.tasks[job.task], job.id)
        for path in paths:
            known = self.graph.by_path.get(path)
            for candidate in self.index.candidates(path) if known is None else ():
                if self._is_late(candidate.task):
                    blockers |= self._enumerate(candidate.task)[1]
                elif self._makes(candidate, path, 0):
                    known = self.file(path, job.id)
                    self.missing.pop(known, None)
                    break
            producer = self.graph.files[known].producer if known is not None else None
            if producer is not None and producer != job.id:
                requires.add(producer)
            elif path[-1:] == "/" and producer is None:
                inner, waiting = self.gather(Pattern((path,)).inner, self.tasks[job.task], job.id)
                blockers |= waiting
                makers = (self.graph.files[self.file(one)].producer for one in inner)
                requires.update(maker for maker in makers if maker not in (None, job.id))
        return blockers.without(job.id)

    def _doubts(self, path: str, job: JobId) -> set[JobId]:
        """What must be settled before it is known whether a task makes a file that is there; nobody is known to have.

        Not what waits for the job that reads it: for that one it is a source, and so it is if it was one before.
        """
        if not self._has_late or path in self.graph.by_path or self._owner(path) is not None:
            return set()
        late = [c.task for c in self.index.candidates(path) if not c.literal and self._is_late(c.task)]
        if not late or not self.disk.exists(path) or self._was_read(self.graph.jobs[job].key, path):
            return set()
        found = set().union(*(self._enumerate(task)[1].all() for task in late))
        if self._deciding:
            return {other for other in found if not self._waits(other, job)}
        self._doubt(job)
        return found

    def _refuse_own(self, job: Job, file: FileId, entry: Entry) -> None:
        if self.graph.files[file].producer == job.id:
            path = self.graph.files[file].path
            raise _own_input(job, path, path, entry)

    def _makes_inside(self, job: Job, path: str) -> str | None:
        """The first output of a job that lies in a directory."""
        outputs = self.graph.paths(job.output_files()) if path[-1:] == "/" else ()
        return next((output for output in outputs if output.startswith(path)), None)

    def _listed(self, line: str, entry: Entry) -> str:
        if "\0" in line:
            raise GraphError(
                f"a line of `{printable(entry.pattern.text)}` holds a NUL character",
                place=line_place(self.disk, entry.pattern.prefix, lambda text: text == line) or entry.place,
            )
        return canonical(line, self.disk.root)

    def _inside(self, path: str, requires: set[JobId]) -> Blockers:
        """A directory that is read as a whole waits for everything that is made inside it."""
        paths, blockers = self.gather(Pattern((path,)).inner)
        if paths or blockers:
            self.missing.pop(self.graph.by_path[path], None)
        for inner in paths:
            producer = self.graph.files[self.file(inner)].producer
            if producer is not None:
                requires.add(producer)
                self.whole.add(producer)
        return blockers

    def _is_own(self, job: Job, path: str) -> bool:
        known = self.graph.by_path.get(path)
        return known is not None and self.graph.files[known].producer == job.id

    # -- who makes it ----------------------------------------------------------------------------------------

    def _producer(self, path: str, needed_by: JobId | None) -> JobId | None:
        """The job that makes a path, or None for a source (there or not)."""
        made = self._made.get(path)
        candidates = self.index.candidates(path)
        if made is not None and not any(c.task is made[0] for c in candidates):
            return self._job(made[0], made[2], needed_by)  # a glob output that appeared
        if not candidates:
            return None
        if candidates[0].literal:
            return self._job(candidates[0].task, candidates[0].values, needed_by)
        there = self.disk.exists(path)
        foreign = there and self._owner(path) is None
        if there and not foreign and made is None and not any(self._makes(c, path, 0) for c in candidates):
            foreign = self._is_changed(path, path)  # a person's, where an output lay once
        if len(candidates) > 1 or foreign:
            usable = [c for c in candidates if self._makes(c, path, 0)]
            if foreign:  # what stands there is a source, unless it is known that a task makes it
                usable = [c for c in usable if not self._is_late(c.task)]
            if len(usable) > 1:
                first, second = (
                    (c.task, next(e for e in c.task.output_entries() if e.pattern.names)) for c in usable[:2]
                )
                raise clash(path, first, second)
            candidates = usable or ([] if there else candidates)
        if not candidates:
            return None
        rows = self._rows_for(candidates[0])
        if not rows:
            return None
        job = self._job(candidates[0].task, rows[0], needed_by)
        return None if job == needed_by and candidates[0].is_glob else job

    def _rows_for(self, candidate: Candidate) -> list[Values]:
        """The full wildcard values of a candidate: those of the path, and the row of `foreach` they belong to."""
        task, values = candidate.task, candidate.values
        if task.rows is None and task.rows_from is None:
            return [values]
        rows, blockers = self._enumerate(task)
        return [values] if blockers else self._row(task, rows, values)

    def _is_late(self, task: Task) -> bool:
        """Whether the rows of a task stand in a file that is not up to date yet."""
        return task.rows_from is not None and task.rows is None and bool(self._enumerate(task)[1])

    def _rows_near(self, task: Task, output: Pattern, rows: list[Values], folder: str) -> list[Values]:
        """Of the rows of a task, those whose output directory may hold something in a folder, or lie in it."""
        if output.is_directory and len(rows) > 1 and set(output.names) == set(task.names):
            for above in (folder, *parents(folder)) if folder else ():
                if (values := output.match(above)) is not None:
                    return self._row(task, rows, values)
        return rows

    def _row(self, task: Task, rows: list[Values], values: Values) -> list[Values]:
        """The rows that agree with the values which tell the jobs of a task apart."""
        index = self._row_index.get(task.name)
        if index is None:
            index = self._row_index[task.name] = {}
            for row in rows:
                index.setdefault(tuple(row[n] for n in task.names), []).append(row)
        return index.get(tuple(values[n] for n in task.names), [])

    def _makes(self, candidate: Candidate, path: str, depth: int) -> bool:
        """Whether a candidate makes a path: it can be built, and what it left, if that is known, holds the path."""
        rows = self._rows_for(candidate)
        job = (
            self._jobs.get((candidate.task.name, tuple(rows[0][n] for n in candidate.task.names)))
            if rows
            else None
        )
        patterns = (entry.pattern for entry in candidate.task.output_entries())
        if job in self._left and not any(p.match(path) is not None and not p.is_glob for p in patterns):
            return path in self._left[job]
        return candidate.literal or self._can_make(candidate, depth)

    def _can_make(self, candidate: Candidate, depth: int) -> bool:
        """Whether everything that the candidate would read is there or can be made in turn."""
        if depth > self._limit:
            raise self._endless(candidate.task, None)
        rows = self._rows_for(candidate)
        if not rows:
            return False
        bound: set[str] = set()  # the wildcards whose values are known by what stands before
        for entry in candidate.task.input_entries():
            pattern = entry.pattern
            if not pattern.is_glob:
                if not self._can_be_there(pattern.start(rows[0]), depth):
                    return False
            elif candidate.task.spec.foreach is not None or bound.issuperset(pattern.names):
                pass  # the values are there, whatever it matches
            elif not self._has_values(pattern, rows[0]):
                return False
            if not entry.is_list:
                bound.update(pattern.names)
        return True

    def _can_be_there(self, path: str, depth: int) -> bool:
        """Whether a path is a source, or can be made; one that somebody wrote over is a source if it cannot."""
        known = self._possible.get(path)
        if known is None and path[-1:] == "/" and self._owner(path) is None and self.disk.exists(path):
            self._possible[path] = False  # while it is not known, it is no reason for what lies in it
            inner = Pattern((path,)).inner
            paths, blockers = self.gather(inner)
            known = self._possible[path] = bool(paths or blockers) or not matches(self.disk, inner)
        if known is None:
            there = self.disk.exists(path)
            origin = self._origin(path)
            known = (
                (there and origin is None)
                or any(self._makes(c, path, depth + 1) for c in self.index.candidates(path))
                or (there and origin is not None and self._is_changed(path, origin))
            )
            self._possible[path] = known
        return known

    def _has_values(self, pattern: Pattern, values: Values) -> bool:
        """Whether a pattern with wildcards and globs matches anything with these values, as far as is known."""
        given = tuple([values[name] for name in pattern.names])
        if any(
            value.startswith(".") or "/." in value for value in given
        ):  # found where they are written alone
            paths, blockers = self.gather(pattern.fill(values))
            return bool(paths or blockers)
        known = self._found.get(pattern)
        if known is None or known[1].all() & self._settled:
            if pattern in self._looking:
                self._looks_round = True
                return False  # what would be made of it never is a reason for more of it
            self._looking.append(pattern)
            try:
                paths, blockers = self.gather(pattern)
            finally:
                self._looking.pop()
            matched = (pattern.match(path) or {} for path in paths)
            found = {tuple([m[name] for name in pattern.names]) for m in matched}
            if self._looks_round and not self._looking:  # what was found on the way may lack something
                self._looks_round = False
                self._found.clear()
                self._possible.clear()
            known = self._found[pattern] = (found, blockers)
        return bool(known[1].named) or given in known[0]

    def _endless(self, task: Task, needed_by: JobId | None) -> GraphError:
        entry = next(task.output_entries())
        chain: list[str] = []
        while needed_by is not None and len(chain) < 3:
            chain.append(self.graph.jobs[needed_by].key)
            readers = self.graph.consumers.get(next(iter(self.graph.jobs[needed_by].output_files())), [])
            needed_by = readers[0] if readers else None
        return GraphError(
            f"task `{task.name}` feeds itself for ever",
            place=entry.place,
            facts=(("for", printable(" ← ".join(reversed(chain)))),) if chain else (),
            hint="narrow the wildcards, so that what it makes does not match what it reads",
        )

    # -- all of a task ---------------------------------------------------------------------------------------

    def _enumerate(self, task: Task) -> tuple[list[Values], Blockers]:
        """The wildcard values of all jobs of a task, and what must be settled before they are all known."""
        known = self._rows.get(task.name)
        if known is not None and not (known[1] and known[1].all() & self._settled):
            return known
        if task.name in self._busy:
            return [], Blockers()  # what a task makes never is a reason for more jobs of that same task
        self._busy.add(task.name)
        try:
            rows, blockers = self._join(task)
        finally:
            self._busy.discard(task.name)
        names = set(task.names)
        rows = [row for row in rows if row.keys() >= names and not self._is_elsewhere(task, row)]
        entries = [entry for entry in task.output_entries() if not entry.pattern.is_glob]
        if self.index.refused:
            entries = [entry for entry in entries if entry not in self.index.refused]
        for row in rows:
            for entry in entries:
                self._made.register(entry.pattern.path(row), task, entry, row)
        self._rows[task.name] = (rows, blockers)
        self._row_index.pop(task.name, None)
        return rows, blockers

    def _is_elsewhere(self, task: Task, values: Values) -> bool:
        """Whether other tasks name literally all that a wildcard task would make with these values."""
        if not self.index.has_literals or not task.names:
            return False
        patterns = [entry.pattern for entry in task.output_entries()]
        if not patterns or any(p.is_glob for p in patterns):
            return False
        return all(self.index.is_literal(p.path(values)) for p in patterns)

    def enumerate_rows(self) -> None:
        """Find the files that two jobs of `foreach` tasks would make, also those that nobody asked for."""
        for task in self.tasks.values():
            if task.rows and task.outputs and set(task.names) <= set(task.rows[0]):
                try:
                    self._enumerate(task)
                except BtError as error:
                    self.errors.append(error)

    def _join(self, task: Task) -> tuple[list[Values], Blockers]:
        """Rows of `foreach`, joined with the values with which the inputs match something."""
        rows: list[Values] = [{}]
        blockers = Blockers()
        if task.rows is not None:
            rows = list(task.rows)
        elif task.rows_from is not None:
            file = self.file(task.rows_from.pattern.prefix)
            producer = self.graph.files[file].producer
            if producer is not None and producer not in self._settled:
                return [], Blockers([producer])
            rows = [] if file in self.missing else late_rows(self.disk, task, task.rows_from)
        if task.rows_from is not None:
            self._refuse_own_table(task, task.rows_from, rows)
        bound = set(rows[0]) if rows else set()
        for entry in task.input_entries():
            if not rows or entry.is_list or set(entry.pattern.names) <= bound:
                continue
            paths, waiting = self.gather(entry.pattern)
            blockers |= waiting
            rows = joined(task, entry.pattern, rows, paths)
            bound |= set(entry.pattern.names)
        return rows, blockers

    def _refuse_own_table(self, task: Task, table: Entry, rows: list[Values]) -> None:
        """A job that wrote the file its rows stand in would feed itself."""
        path = table.pattern.prefix
        for entry in task.output_entries():
            values = entry.pattern.match(path)
            if values is not None and any(values.items() <= row.items() for row in rows):
                raise TaskfileError(
                    f"task `{task.name}` would overwrite `{printable(path)}`, which gives its own rows",
                    place=entry.place,
                    hint="write somewhere else",
                )

    def _matched_nothing(self, task: Task, values: Values) -> None:
        entry = next(task.input_entries())
        text = entry.pattern.fill(values).text
        raise GraphError(
            f"`{printable(text)}` matches nothing: there is no such file, and no task makes one",
            place=entry.place,
            facts=(("needed by", f"task `{task.name}`"),),
            hint="paths begin at the folder of the Taskfile: correct the pattern, or add a file",
        )


def _own_input(job: Job, made: str, read: str, entry: Entry) -> GraphError:
    return GraphError(
        f"`{printable(job.name)}` waits for itself: {printable(made)} → {printable(read)}",
        place=entry.place,
        hint="a job cannot read what it makes",
    )


def _may_bring(output: Pattern, pattern: Pattern) -> bool:
    """Whether an output that is a glob or a directory may bring something that the pattern matches."""
    if not output.is_directory:
        return output.may_overlap(pattern)
    if pattern.match(output.text) is not None:
        return False  # the directory itself is what is asked for
    return pattern.may_reach(output.prefix) if output.is_literal else inside(output, pattern)


def _any_below(folder: str, paths: Sequence[str]) -> bool:
    """Whether one of these sorted paths lies in a directory."""
    at = bisect_left(paths, folder)
    return at < len(paths) and paths[at].startswith(folder)


def _holds(pattern: Pattern, path: str) -> bool:
    """Whether a path is what the pattern stands for, or lies in the directory that it is."""
    return pattern.match(path) is not None or (pattern.is_directory and path.startswith(pattern.prefix))
