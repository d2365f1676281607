"""What a planned project reads: where to watch, and which jobs a changed path concerns.

Asks the disk only about the paths that it is given. Does not build.
"""

from __future__ import annotations

import contextlib
import os
import posixpath
import re
import stat
from collections.abc import Collection, Iterable, Iterator
from functools import cached_property

from buildtool.files import Disk
from buildtool.graph import FileId, Form, JobId
from buildtool.paths import STATE, parents
from buildtool.project import Project
from buildtool.taskfile.load import Look, Looked, included, stamp
from buildtool.taskfile.pattern import Pattern, PatternError, parse_pattern
from buildtool.tuples import NamedTuple
from buildtool.watch.watches import ANYTHING

_LINKS = 40  # links in a row; the system follows no more
_MANY = 100  # directories; to look for what is in any of more takes longer than to look at everything


class Effect(NamedTuple):
    """What changed paths mean. `paths`: those that matter, for people."""

    paths: tuple[str, ...] = ()
    jobs: frozenset[JobId] = frozenset()  # they read what changed
    plan: bool = False  # which jobs there are, or what they read, may be another now

    def __bool__(self) -> bool:
        return self.plan or bool(self.jobs)


class Interest:
    """What one project reads, as it was planned and last built."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._expander = project.expander
        self._graph = project.expander.graph
        self._disk: Disk = project.disk
        self._prefix = project.taskfile.root.rstrip("/") + "/"
        self._names: dict[str, set[str]] = {}  # what was in listed directories
        self._aliases: dict[str, set[str]] = {}  # what links lead to: the paths that are read
        self.links: set[str] = set()  # links (absolute) on the way to directories under watch
        self._patterns = list(self._source_patterns())
        self._absent: set[str] = set()  # directories that are wanted and not there
        self._inside: dict[str, set[str]] = {}  # what was in directories that are read as a whole
        self._listed: set[str] = set()
        self._found: dict[str, set[JobId]] = {}
        self._code: dict[str, set[str]] = {}
        self._twins: set[str] = set()  # files that have another name, too: they may be written to by that
        self._taskfiles: dict[str, Look | None] = {}  # that were read, as they looked then
        self._includes: dict[str, bool] = {}
        self._included: set[str] = set()
        self._included_now: set[str] | None = None
        self.look_again([job.id for job in self._graph.jobs])

    # -- where -----------------------------------------------------------------------------------------------

    def read_from(self, looked: Looked) -> None:
        """The Taskfile was read from there, perhaps in vain."""
        self._taskfiles |= looked.stamps
        self._includes = looked.includes
        absent = {name for name, there in looked.includes.items() if not there}
        self._included = included(self._project.taskfile.root, self._includes) - absent

    def included_since(self) -> set[str]:
        """What is to be included (absolute), or lies on the way to it, and came or went since."""
        now = included(self._project.taskfile.root, self._includes)
        return {self._absolute(path.rstrip("/")) for path in now ^ self._included}

    def directories(self) -> set[str]:
        """The directories to watch (absolute): all that hold what is read, or the nearest ones that are there."""
        wanted = {name.rstrip("/") for name in self._disk.listed()}
        files = {
            *self._project.taskfile.sources,
            *self._taskfiles,
            *self._disk.texts,
            *self._code,
            *self._found,
        }
        for path, form in self._sources():
            for folder in self._folders(path, form):
                below = self._inside[folder] = self._below(folder)
                wanted |= {folder.rstrip("/"), *(p.rstrip("/") for p in below if p.endswith("/"))}
                wanted.add(posixpath.dirname(folder.rstrip("/")))
                files |= {p for p in below if not p.endswith("/")}
            if form is not Form.DIRECTORY:
                files.add(path)
        wanted |= {posixpath.dirname(re.split(r"[*?[]", name)[0]) for name in self._includes}
        wanted |= {path.rstrip("/") for path in self._included if path.endswith("/")}
        self._aliases.clear()
        self._twins.clear()
        for path in files:
            wanted.add(posixpath.dirname(path))
            where = self._disk.absolute(path)
            with contextlib.suppress(OSError):
                st = os.lstat(where)
                if st.st_nlink > 1 and stat.S_ISREG(st.st_mode):
                    self._twins.add(path)
            for real in _led_to(where):
                self._aliases.setdefault(real, set()).add(path)
                wanted.add(os.path.dirname(real))
        self._absent = {path for path in wanted if not os.path.isdir(self._disk.absolute(path or "./"))}
        found = {self._there(path) for path in self._absent} | {
            self._absolute(p) for p in wanted - self._absent
        }
        self.links = set(_links_on_the_way(found))
        found |= {os.path.dirname(link) for link in self.links}
        own = self._prefix + STATE
        return {path for path in found if path != own and not path.startswith(own + "/")}

    def _absolute(self, folder: str) -> str:
        return self._disk.absolute(folder).rstrip("/") if folder else self._prefix.rstrip("/")

    def _there(self, path: str) -> str:
        where = self._absolute(path)
        while not os.path.isdir(where):
            where = os.path.dirname(where)
        return where

    def _below(self, directory: str) -> set[str]:
        """All below a directory; directories end in `/`, and links are not followed."""
        found: set[str] = set()
        for folder, names, files in os.walk(self._disk.absolute(directory)):
            base = self.spellings(folder)[0].rstrip("/") + "/"
            found |= {f"{base}{name}" for name in files}
            found |= {
                f"{base}{name}" + ("" if os.path.islink(os.path.join(folder, name)) else "/")
                for name in names
            }
        return found

    def _sources(self) -> Iterator[tuple[str, Form]]:
        """What is read and not made."""
        for _, path, form, producer in self._graph.files:
            if producer is None:
                yield path, form
        for task in self._expander.tasks.values():
            for entry in task.track_files:
                if entry.pattern.is_literal:
                    yield entry.pattern.prefix, Form.FILE

    def _folders(self, path: str, form: Form) -> tuple[str, ...]:
        """The directories that are read as a whole when this is: itself, and those that links lead to."""
        return (*((path,) if form is Form.DIRECTORY else ()), *self._disk.linked.get(path, ()))

    def spellings(self, where: str) -> list[str]:
        """An absolute path as the project writes it, and the paths of links that lead to it."""
        return [where.removeprefix(self._prefix), *sorted(self._aliases.get(where, ()))]

    # -- what ------------------------------------------------------------------------------------------------

    def effect(self, hints: Iterable[str]) -> Effect:
        """What it means that these paths (absolute) may have changed."""
        jobs: set[JobId] = set()
        shown: dict[str, None] = {}
        plan = False
        pending = list(hints)
        pending += (self._disk.absolute(path) for path in self._twins if self._looks_new(path))
        self._included_now = None
        seen: set[str] = set()
        for hint in pending:
            if hint in seen:
                continue
            seen.add(hint)
            if hint == ANYTHING:
                plan = True
                continue
            own, *others = self.spellings(hint)
            if own == STATE or own.startswith(STATE + "/"):
                continue
            if hint.endswith("/"):  # it is gone, or another one now, with all that is in it
                pending += self.differing(own)
            where, own = hint.rstrip("/"), own.rstrip("/")
            listing = "" if where == self._prefix.rstrip("/") else own + "/"
            if listing in self._disk.listed():
                pending += self._flipped(listing)
            for path in (own, *others):
                if self._is_for_the_plan(path):
                    plan = True
                elif found := self.readers(path):
                    jobs |= found
                else:
                    continue
                shown[path] = None
        return Effect(tuple(shown), frozenset(jobs), plan)

    def _flipped(self, listing: str) -> Iterator[str]:
        """What came into a listed directory since, or went."""
        where = self._absolute(listing)
        try:
            now = set(os.listdir(where))
        except OSError:
            now = set()
        for name in now ^ self._seen(listing):
            yield os.path.join(where, name)

    def flips(self, directories: Iterable[str]) -> set[str]:
        """What came into any of these directories (absolute), or went, since they were listed."""
        found: set[str] = set()
        for where in directories:
            listing = "" if where == self._prefix.rstrip("/") else self.spellings(where)[0] + "/"
            if listing in self._disk.listed():
                found.update(self._flipped(listing))
        return found

    def differing_in(self, directories: Collection[str]) -> set[str]:
        """As `differing`, of what is in any of these directories (absolute)."""
        if len(directories) > _MANY:
            return self.differing()
        below = tuple((where + "/").removeprefix(self._prefix) for where in directories)
        return self.differing(below) if below else set()

    def differing(self, below: str | tuple[str, ...] = "") -> set[str]:
        """The sources (absolute) that do not look as they did when they were last read; a stat of each.

        `below`: only those in these directories, which end in `/`.
        """

        def meant(paths: Iterable[str]) -> list[str]:
            return [path for path in paths if path.startswith(below)]

        found = self.flips({self._absolute(name) for name in meant(self._disk.listed())})
        if not below:
            found |= self.included_since()
        for path in meant(self._taskfiles):
            where = self._disk.absolute(path)
            if stamp(where) != self._taskfiles[path]:
                found.add(where)
        linked = (folder for folders in self._disk.linked.values() for folder in folders)
        for path in meant(dict.fromkeys((*(p for p, _ in self._sources()), *linked, *self._found))):
            where = self._disk.absolute(path)
            if path.endswith("/"):
                before, now = self._inside.get(path, set()), self._below(path)
                self._inside[path] = now
                inside = (before ^ now) | {p for p in now if not p.endswith("/") and self._looks_new(p)}
                found.update(self._disk.absolute(p.rstrip("/")) for p in inside)
            elif path not in self._disk.memory:
                known = self._graph.by_path.get(path)
                if known is not None and os.path.lexists(where) is (known in self._expander.missing):
                    found.add(where)
            elif self._looks_new(path):
                found.add(where)
        tracked = (path for path in self._disk.memory if any(p.match(path) for _, p in self._tracked))
        for path in meant((*self._disk.texts, *tracked)):
            if self._looks_new(path):
                found.add(self._disk.absolute(path))
        for task in self._expander.tasks.values():
            code = (path for path, same in self._project.functions.files(task) if not same)
            found.update(self._disk.absolute(path).rstrip("/") for path in meant(code))
        return found

    def _looks_new(self, path: str) -> bool:
        known = self._disk.memory.get(path)
        return known is not None and known[:5] != stamp(self._disk.absolute(path))

    def _is_for_the_plan(self, path: str) -> bool:
        """Whether another content or presence of a path may mean other jobs, or other inputs of jobs."""
        if path in self._taskfiles or self._may_be_included(path) or self._is_included(path):
            return True
        known = self._graph.by_path.get(path)
        if known is not None and self._graph.files[known].producer is not None:
            return False  # ours
        if path in self._disk.texts:
            return True
        there = os.path.lexists(self._disk.absolute(path))
        if known is not None:
            return there is (known in self._expander.missing)
        if self._came_below(path):
            return True
        listing = posixpath.dirname(path)
        listing = listing + "/" if listing else ""
        if listing not in self._disk.listed() or there is (posixpath.basename(path) in self._seen(listing)):
            return False
        return self._is_meant(path)

    def _is_meant(self, path: str) -> bool:
        """Whether a path that came or went, a directory with what is in it, is one that some pattern looks for."""
        folder = path + "/"
        if self._expander.holds_outputs(folder):
            return False
        if os.path.isdir(self._disk.absolute(path)) or self._was_directory(path):
            return any(folder.startswith(p.folder) or p.folder.startswith(folder) for p in self._patterns)
        return any(pattern.match(path) is not None for pattern in self._patterns)

    def _was_directory(self, path: str) -> bool:
        return path + "/" in self._disk.listed()

    def _came_below(self, path: str) -> bool:
        """Whether a wanted directory that was not there is there now, and is none that jobs make."""
        return any(
            (wanted == path or wanted.startswith(path + "/"))
            and os.path.isdir(self._disk.absolute(wanted))
            and not self._expander.holds_outputs(wanted + "/")
            for wanted in self._absent
        )

    @property
    def reads_whole_directories(self) -> bool:
        """Whether any directory is read as a whole, so that each new one below it is to be watched."""
        return bool(self._inside or self._disk.linked)

    def has_come(self) -> bool:
        """Whether some directory is there now that could not be watched before."""
        return any(os.path.isdir(self._disk.absolute(wanted)) for wanted in self._absent)

    def _may_be_included(self, path: str) -> bool:
        folders = {posixpath.dirname(source) for source in self._project.taskfile.sources}
        return (
            path.endswith(".toml") and posixpath.dirname(path) in folders and path not in self._graph.by_path
        )

    def _is_included(self, path: str) -> bool:
        """Whether a path is one that is to be included, or lies on the way to such, and came or went."""
        if not self._includes:
            return False
        if self._included_now is None:  # once for all that changed: it is looked for on the disk
            self._included_now = included(self._project.taskfile.root, self._includes)
        return not {path, path + "/"}.isdisjoint(self._included_now ^ self._included)

    def _seen(self, listing: str) -> set[str]:
        found = self._names.get(listing)
        if found is None:
            found = self._names[listing] = {entry.name for entry in self._disk.listed()[listing]}
        return found

    def _source_patterns(self) -> Iterator[Pattern]:
        """The patterns that are looked for on the disk."""
        for task in self._expander.tasks.values():
            for entry in (*task.input_entries(), *task.track_files):
                if not entry.pattern.is_literal:
                    yield entry.pattern
        for spec in self._project.taskfile.vars.values():
            if spec.glob is not None:
                try:
                    yield from parse_pattern(spec.glob, self._project.taskfile.root)
                except PatternError:
                    continue  # told when it was planned

    # -- who -------------------------------------------------------------------------------------------------

    def readers(self, path: str) -> set[JobId]:
        """The jobs that read a path, unless jobs make it."""
        found: set[JobId] = set(self._found.get(path, ()))
        known = self._graph.by_path.get(path)
        if known is not None:
            if self._graph.files[known].producer is not None:
                return set()
            found.update(self._consumers(known))
        for reader, folders in self._disk.linked.items():
            if f"{path}/".startswith(folders) and (number := self._graph.by_path.get(reader)) is not None:
                found.update(self._consumers(number))
        for folder in parents(path):
            holder = self._graph.by_path.get(folder)
            if holder is not None:
                if self._graph.files[holder].producer is not None:
                    return set()
                found.update(self._consumers(holder))
        for task in self._code.get(path, ()):
            found.update(self._jobs_of.get(task, ()))
        for name, pattern in self._tracked:
            if pattern.match(path) is not None:
                found.update(self._jobs_of.get(name, ()))
        return found

    def _consumers(self, file: FileId) -> Iterable[JobId]:
        return self._graph.consumers.get(file, ())

    @cached_property
    def _tracked(self) -> list[tuple[str, Pattern]]:
        return [
            (task.name, entry.pattern) for task in self._expander.tasks.values() for entry in task.track_files
        ]

    @cached_property
    def _jobs_of(self) -> dict[str, list[JobId]]:
        found: dict[str, list[JobId]] = {}
        for job in self._graph.jobs:
            found.setdefault(job.task, []).append(job.id)
        return found

    @cached_property
    def is_settled_by_the_plan(self) -> bool:
        """Whether the plan tells all that jobs make and read: nothing turns out while they run."""
        tasks = self._expander.tasks.values()
        return not any(
            task.rows_from is not None
            or any(entry.is_list for entry in task.input_entries())
            or any(entry.pattern.is_glob or entry.pattern.is_directory for entry in task.output_entries())
            for task in tasks
        )

    @cached_property
    def _dependents(self) -> dict[JobId, list[JobId]]:
        found: dict[JobId, list[JobId]] = {}
        for job in self._graph.jobs:
            for other in self._graph.prerequisites(job):
                found.setdefault(other, []).append(job.id)
        return found

    def cone(self, jobs: Iterable[JobId]) -> set[JobId]:
        """These jobs, all that is made from what they make, and all that waits for one of these."""
        found = set(jobs)
        pending = list(found)
        dependents = self._dependents
        while pending:
            job = pending.pop()
            later = set(dependents.get(job, ()))
            for path in self._graph.paths(self._graph.jobs[job].output_files()) if self._found else ():
                later |= self._found.get(path, set())
            later -= found
            found |= later
            pending += later
        return found

    def look_again(self, jobs: Iterable[JobId]) -> bool:
        """Take in what jobs turned out to read when they last ran, and the source files of functions.

        Whether they read something that nothing was known of before.
        """
        before = self._found.keys() | self._code.keys() | self._listed
        found = set(jobs)
        tasks = self._expander.tasks.values()
        named = {task.name for task in tasks if task.depfile is not None or task.spec.keep}
        if named:
            for known in self._found.values():
                known.difference_update(found)
            for job in (self._graph.jobs[j] for j in found if self._graph.jobs[j].task in named):
                record = self._project.reader.job(job.key)
                items = record.fingerprint.items if record is not None else ()
                for path in (item.name for item in items if item.kind in ("found", "beside")):
                    self._found.setdefault(path, set()).add(job.id)
        self._code = {}
        for task in self._expander.tasks.values():
            for path in self._project.functions.sources(task):
                self._code.setdefault(path, set()).add(task.name)
        self._listed = set(self._disk.listed())
        return not (self._found.keys() | self._code.keys() | self._listed) <= before


def _led_to(where: str) -> list[str]:
    """What a link leads to, link by link, and last what is there in the end; nothing if it is none."""
    found: list[str] = []
    real = os.path.realpath(where) if os.path.islink(where) else where
    with contextlib.suppress(OSError):  # it was removed this very moment
        while os.path.islink(where) and len(found) < _LINKS:
            where = os.path.normpath(os.path.join(os.path.dirname(where), os.readlink(where)))
            found.append(where)
    return list(dict.fromkeys([*found, real])) if found else []


def _links_on_the_way(directories: Iterable[str]) -> Iterator[str]:
    """The links among these directories and all above them, and on the way to what they lead to."""
    seen: set[str] = set()
    pending = list(directories)
    while pending:
        where = pending.pop()
        above = os.path.dirname(where)
        if where in seen or where == above:
            continue
        seen.add(where)
        pending.append(above)
        if os.path.islink(where):
            yield where
            pending += _led_to(where)[:1]
