"""What a job takes with it to a machine that does not see this disk, worked out from what it reads and makes.

Does not know how it gets there.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterable
from typing import TYPE_CHECKING

from buildtool.errors import TaskfileError
from buildtool.executors.protocol import Remote
from buildtool.expand.tasks import Task
from buildtool.fingerprint import Item
from buildtool.graph import Form, Job
from buildtool.isolation import Output
from buildtool.paths import canonical, is_outside
from buildtool.project import Project
from buildtool.taskfile.pattern import parse_pattern
from buildtool.text import printable

if TYPE_CHECKING:
    from buildtool.executors.kit import Modules


class Packer:
    """Packs for the jobs of one project."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._disk = project.disk
        self._modules: Modules | None = None

    def pack(
        self, job: Job, items: Iterable[Item], box: str, seconds: float | None, *, stays: bool = False
    ) -> Remote:
        """All that the job needs. `items`: what it is built from; `box`: where what it makes is to come (absolute).

        `stays`: what it makes is not needed here. Raises `TaskfileError` if it reads or makes what lies outside of the
        project.
        """
        task = self._project.renderer.task(job)
        name = self._project.executor_of(job)
        read = _Read(self._disk.root)
        for item in items:
            # What lies outside is watched here; nobody has said that the machine must have the same.
            passed = item.kind in ("found", "track.file") and is_outside(item.name)
            if item.kind in ("input", "need", "track.file", "found") and not passed:
                self._add(item.name, item.name, read, ())
        made = self.made(job)
        for path in (*read.files, *(path for path, _ in made)):
            if is_outside(path):
                raise TaskfileError(
                    f"`{printable(path)}` lies outside of the project, and `{printable(name)}` runs on other machines",
                    place=task.spec.place,
                    hint='bring it into the project, or run the task here with `executor = "local"`',
                )
        wanted = tuple(self._pattern(path) if is_pattern else path for path, is_pattern in made)
        folders = (path if isinstance(path, str) else path[0] + "/" for path in wanted)
        theirs = self._project.taskfile.offered(name)
        return Remote(
            box,
            self._disk.root,
            tuple(read.files.items()),
            tuple(read.links.items()),
            (*read.folders, *map(posixpath.dirname, folders)),
            wanted,
            self._project.renderer.cwd(job),
            self._environment(job, task),
            self._path(task),
            self._zip().zip(),
            {what: amount for what, amount in {"cpus": 1.0, **task.spec.resources}.items() if what in theirs},
            self._project.imports(),
            task.spec.priority,
            seconds,
            self._sizes(read.files),
            stays,
        )

    def fetch(self, job: Job, paths: Iterable[str], box: str) -> Remote:
        """What brings home outputs of the job that stayed where they were made."""
        files = {path: self._project.away[path].digest for path in paths}
        return Remote(
            *(box, self._disk.root, tuple(files.items()), (), (), tuple(files), "", {}, ()),
            *(self._zip().zip(), {}, (), self._project.renderer.task(job).spec.priority, 0.0),
            self._sizes(files),
            fetch=True,
        )

    def _sizes(self, paths: Iterable[str]) -> dict[str, int]:
        """Of those that are not here."""
        away = self._project.away
        return {path: away[path].size for path in paths if path in away and not self._disk.exists(path)}

    def _environment(self, job: Job, task: Task) -> dict[str, str]:
        """The variables that decide; all others are those of the machine."""
        tracked = {name: os.environ[name] for name in task.spec.track.env if name in os.environ}
        return tracked | dict(self._project.renderer.environment(job))

    def _path(self, task: Task) -> tuple[str, ...]:
        folders = (self._disk.root, *self._project.functions.path(task))
        return tuple(dict.fromkeys(os.path.relpath(path, self._disk.root) for path in folders))

    def _zip(self) -> Modules:
        """Made when it is first needed: few builds send anything."""
        from buildtool.executors.kit import Modules

        self._modules = self._modules or Modules(self._disk.root)
        return self._modules

    def _add(self, path: str, source: str, read: _Read, above: tuple[str, ...]) -> None:
        """Note what a machine must have at `path`: the content of `source`, links as what they lead to.

        A link to a directory that is being packed (`above`: their real paths) stays a link: it has no end.
        """
        where = self._disk.absolute(source)
        if os.path.islink(where.rstrip("/")):
            self._add_link(path.rstrip("/"), where.rstrip("/"), read, above)
        elif source.endswith("/"):
            read.folders[path] = None
            inside = (*above, os.path.realpath(where))
            for inner in self._disk.below(source, directories=True):
                self._add(path + inner[len(source) :], inner, read, inside)
        elif (value := self._disk.digest(source)) is not None:
            read.files[path] = value

    def _add_link(self, path: str, where: str, read: _Read, above: tuple[str, ...]) -> None:
        real = os.path.realpath(where)
        above = (*above, os.path.realpath(os.path.dirname(where)))
        if os.path.isdir(real):
            if any(f"{one}/".startswith(f"{real}/") for one in above):
                read.links[path] = os.readlink(where)
                return
            self._add(f"{path}/", canonical(real + "/", self._disk.root), read, above)
        elif os.path.exists(real):
            self._add(path, canonical(real, self._disk.root), read, above)

    def made(self, job: Job) -> list[Output]:
        """What the job may leave."""
        files = [self._project.expander.graph.files[file] for file in job.output_files()]
        depfile = self._project.renderer.depfile(job)
        return [
            *((file.path, file.form is Form.GLOB) for file in files),
            *([] if depfile is None else [(depfile, False)]),
        ]

    def _pattern(self, text: str) -> tuple[str, str]:
        """A pattern as a machine can look for it that knows none: a folder and a regular expression."""
        [pattern] = parse_pattern(text, self._disk.root)
        return pattern.folder, pattern.regex.pattern


class _Read:
    """What a job reads: files with their digests, links with their texts, folders."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.files: dict[str, str] = {}
        self.links: dict[str, str] = {}
        self.folders: dict[str, None] = {}
