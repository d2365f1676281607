"""What lies behind links to directories among the outputs of a job with `keep`, through which it may write.

It is nobody's output, so it is a person's unless the job is known to have left it, or another one to make it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator

from buildtool.clean import by_hand
from buildtool.errors import DiskError
from buildtool.expand.listing import matches
from buildtool.files import TICK, Disk, NotAFileError
from buildtool.graph import Form, Job, JobId
from buildtool.paths import STATE, parents
from buildtool.perform.attempt import Attempt, Thing
from buildtool.perform.owners import Owners
from buildtool.perform.strangers import Copies
from buildtool.project import Project
from buildtool.state.store import State
from buildtool.taskfile.pattern import parse_pattern
from buildtool.text import cause_of, printable


class Behind:
    """Of one build. `active`: the jobs that run.

    Files are named by where they really are, so that of two links to one directory each is found once. Nothing is
    looked for behind a link out of the project, in the state, and in output directories of the job itself, which are
    looked at as such.
    """

    def __init__(
        self, project: Project, state: State, owners: Owners, copies: Copies, active: set[JobId]
    ) -> None:
        self._project = project
        self._disk = project.disk
        self._state = state
        self._owners = owners
        self._copies = copies
        self._active = active
        self._intact: dict[str, bool] = {}  # directories, and whether they are as their jobs left them

    def clear_links_out(self, attempt: Attempt) -> None:
        """Links out of the project at patterns of outputs give way, unless the job, or another, left them itself."""
        self._intact.clear()
        links = [path for path in self._links(attempt.job, Form.GLOB) if self._disk.is_link_out(path)]
        own = self._own(attempt.job) if links else {}
        for path in links:
            if own.get(path) != self._value(path) and not self._is_made(path):
                self._copies.move(attempt, path, "is a link out of the project")

    def copy(self, attempt: Attempt) -> None:
        """Copy what is there and cannot be made again, but for what was copied as an output."""
        attempt.behind = {}
        things = self._things(attempt.job)
        if not things:
            return
        own, look = self._own(attempt.job), attempt.look
        done = {*attempt.strangers, *look.foreign, *look.edited, *by_hand(self._state, look.record)}
        due: dict[str, int] = {}  # with sizes
        for path, link in things.items():
            try:
                value, written = self._value(path), self._copies.written(path)
                if value is None:
                    continue
                if path not in done and own.get(path) != value and not self._is_made(path):
                    due[path] = os.lstat(self._disk.absolute(path)).st_size
            except (DiskError, OSError) as error:
                if self._disk.exists(path):
                    raise _trouble(link, path, error) from error
                continue  # somebody has removed it meanwhile
            attempt.behind[path] = Thing(value, link, "", written)
        pairs = self._copies.places(due)
        self._copies.announce(attempt, pairs)
        read, whole = 0, sum(due.values())
        for path, place in pairs:
            thing = attempt.behind.pop(path)
            self._tell_read(thing.link, read, whole)
            try:
                self._copies.copy(attempt, path, place)
                attempt.behind[path] = thing._replace(place=place)
            except (DiskError, OSError) as error:
                if self._disk.exists(path):
                    raise _trouble(thing.link, path, error) from error
            read += due[path]
        if pairs:
            self._tell_read("", whole, whole)

    def _tell_read(self, link: str, done: int, whole: int) -> None:
        """So many bytes are copied of what is behind a link: it may be much, and whoever wants an end gets it."""
        if self._disk.watcher is not None:
            self._disk.watcher(link, done, whole)

    def leave(self, attempt: Attempt) -> None:
        """After a run: tell what it changed, and drop the other copies. What it wrote is its own from now on."""
        if attempt.behind is None:
            return
        for path, thing in attempt.behind.items():
            if not thing.place:
                continue
            if self._present(path) == thing.value:
                self._copies.drop(thing.place)
            else:
                words = f"was changed through the link `{printable(thing.link)}`"
                self._copies.tell(attempt, path, words, thing.place)
            attempt.behind[path] = thing._replace(place="")
        before = self._own(attempt.job)
        own: dict[str, str] = {}
        try:
            for path in self._things(attempt.job):
                value = self._present(path)
                if value is not None and (before.get(path) == value or self._is_new(attempt, path, value)):
                    own[path] = value
        except DiskError:
            own = {}  # a directory cannot be looked into: then nothing counts as its own
        attempt.behind = None
        if own != before:
            self._state.set_value(f"behind {attempt.job.key}", json.dumps(own))

    def _is_new(self, attempt: Attempt, path: str, value: str) -> bool:
        """Whether what is there came there, or was written, while the job ran."""
        thing = (attempt.behind or {}).get(path)
        if thing is None:
            return self._disk.touched_since(path, attempt.started - TICK / 1e9)
        try:
            return thing.value != value or thing.written != self._copies.written(path)
        except FileNotFoundError:
            return False

    def _own(self, job: Job) -> dict[str, str]:
        """What the job itself left there when it last ran: paths with their values."""
        return dict(json.loads(self._state.value(f"behind {job.key}") or "{}"))

    def _links(self, job: Job, *forms: Form) -> list[str]:
        """The links to directories in the place of outputs of these forms, in output directories, and at patterns."""
        found: dict[str, None] = {}
        for file in (self._project.expander.graph.files[f] for f in job.output_files()):
            if file.form not in forms:
                continue
            if file.form is Form.GLOB:  # as a pattern that ends in `/` finds directories
                deep = "/*" if file.path.rpartition("/")[2] == "**" else ""
                [pattern] = parse_pattern(f"{file.path}{deep}/", self._disk.root)
                found |= dict.fromkeys(path[:-1] for path in matches(Disk(self._disk.root), pattern))
            elif file.form is Form.DIRECTORY:
                found |= dict.fromkeys(self._disk.below(file.path))
            else:
                found[file.path] = None
        return [path for path in found if self._disk.leads(path)]

    def _things(self, job: Job) -> dict[str, str]:
        """Every file and link behind the links, and these themselves, each with the link through which it was found."""
        self._intact.clear()
        links = self._links(job, *Form)
        if not links:
            return {}
        files = (self._project.expander.graph.files[f] for f in job.output_files())
        own = [f"{self._real(file.path)}/" for file in files if file.form is Form.DIRECTORY]
        left_out = (f"{STATE}/", *own)
        found: dict[str, str] = {}
        seen: set[str] = set()
        for link in links:
            pending = [link]
            while pending:
                path = pending.pop()
                if os.path.islink(self._disk.absolute(path)):
                    found.setdefault(path, link)
                    if self._disk.is_link_out(path):
                        continue
                    path = self._real(path)
                where = self._disk.absolute(path)
                if path in seen or f"{path}/".startswith(left_out):
                    continue
                if os.path.isdir(where):
                    seen.add(path)
                    try:
                        pending += self._in(path)
                    except DiskError as error:
                        raise _trouble(link, path, error) from error
                elif os.path.isfile(where):
                    found.setdefault(path, link)
        return found

    def _in(self, folder: str) -> Iterator[str]:
        """What is in a directory, however deep; in the project, without the state."""
        if folder:
            return self._disk.below(f"{folder}/")
        return (entry.name for entry in Disk(self._disk.root).entries("") if entry.name != STATE)

    def _real(self, path: str) -> str:
        """Where something really is: relative to the root of the project, which itself is nothing."""
        real, root = os.path.realpath(self._disk.absolute(path)), os.path.realpath(self._disk.root)
        return "" if real == root else real.removeprefix(root.rstrip("/") + "/")

    def _value(self, path: str) -> str | None:
        """What is at a path, as a text; of a link alone where it leads. None: nothing that can be copied."""
        where = self._disk.absolute(path)
        return f"link:{os.readlink(where)}" if os.path.islink(where) else self._digest(path)

    def _present(self, path: str) -> str | None:
        """The value after a run; None, too, if it cannot be told."""
        try:
            return self._value(path) if self._disk.exists(path) else None
        except (DiskError, OSError):
            return None

    def _is_made(self, path: str) -> bool:
        """Whether what is there can be made again: a job left it so, or is at work on it."""
        if self._owners.maker(path) is not None or self._state.owner(path) is not None:
            return self._is_at_work(path) or self._is_intact(path)
        for folder in parents(path):
            if self._is_at_work(folder):
                return True
            if self._state.owner(folder) is None:
                continue
            own = self._state.inside(folder)
            if own is not None and not self._is_by_hand(folder):
                return own.get(path) == self._digest(path)
            if folder not in self._intact:
                self._intact[folder] = self._is_intact(folder)
            return self._intact[folder]
        return False

    def _is_at_work(self, path: str) -> bool:
        return self._owners.maker(path) in self._active

    def _is_intact(self, path: str) -> bool:
        recorded = self._state.recorded(path)
        return recorded is not None and self._digest(path) == recorded and not self._is_by_hand(path)

    def _is_by_hand(self, path: str) -> bool:
        return path in by_hand(self._state, self._state.job(self._state.owner(path) or ""))

    def _digest(self, path: str) -> str | None:
        try:
            return self._disk.digest(path)
        except NotAFileError:
            return None


def _trouble(link: str, path: str, error: DiskError | OSError) -> DiskError:
    cause = (
        error.summary
        if isinstance(error, DiskError)
        else f"cannot copy `{printable(path)}`: {cause_of(error)}"
    )
    return DiskError(
        f"behind the link `{printable(link)}`: {cause}",
        hint="the job may write there, so all of it is copied before: make that possible, or remove the link",
    )
