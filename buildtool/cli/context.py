"""What every command starts from: the Taskfile found, the state opened, the terminal known.

What reads them is imported when it is asked for.
"""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING, Any

from buildtool.cli.printing import remark
from buildtool.errors import UsageError
from buildtool.paths import STATE
from buildtool.report.paint import Paint, wants_colour, width_of
from buildtool.taskfile.find import find_taskfile
from buildtool.text import printable
from buildtool.tuples import NamedTuple

if TYPE_CHECKING:  # help and completion need none of it
    from buildtool.door import Glimpse
    from buildtool.project import Project
    from buildtool.taskfile.specs import Taskfile


class Context(NamedTuple):
    """The options that stand before the command."""

    directory: str | None
    file: str | None
    color: str
    glimpse: Glimpse | None = None  # what was seen at the door of a build that could not be answered there

    @property
    def is_usual(self) -> bool:
        """Whether nothing was said of where to look and how to show it."""
        return self.directory is None and self.file is None and self.color == "auto"

    @property
    def where(self) -> tuple[str, ...]:
        """What was said of where to look, as words of a command line."""
        options = (("-C", self.directory), ("-f", self.file))
        return tuple(word for option, value in options if value is not None for word in (option, value))

    def start(self) -> str:
        """The directory that `bt` works from, absolute and without links. Raises `UsageError`."""
        with contextlib.suppress(FileNotFoundError):  # where one stands may be gone
            where = os.path.realpath(self.directory or ".")
            if os.path.isdir(where):
                return where
        if self.directory is None:
            raise UsageError(
                "the working directory is gone, or you may not enter it", hint="`cd` to the project first"
            )
        raise UsageError(f"`{printable(self.directory)}` is not a directory")

    def taskfile_path(self) -> str:
        """The absolute path of the Taskfile. Raises `UsageError` if there is none."""
        start = self.start()
        if self.file is not None:
            path = os.path.realpath(os.path.join(start, self.file))
            if os.path.isdir(path):
                raise UsageError(
                    f"`{printable(self.file)}` is a directory", hint="name the Taskfile in it, or use `-C`"
                )
            return path
        found = find_taskfile(start)
        if found is None:
            raise UsageError(
                f"no `Taskfile.toml` in `{start}` or above it", hint="`bt init` writes one to start from"
            )
        return found

    def taskfile(self) -> Taskfile:
        """The Taskfile, read and checked."""
        from buildtool.taskfile.load import load_taskfile

        return load_taskfile(self.taskfile_path())

    def folder(self, taskfile: Taskfile) -> str:
        """Where `bt` works from, relative to the project root (`""` for the root itself)."""
        return self.folder_in(taskfile.root)

    def folder_in(self, root: str) -> str:
        """The same, with the absolute project root alone."""
        relative = os.path.relpath(self.start(), root)
        return "" if relative in (".", "..") or relative.startswith("../") else relative

    def look(
        self,
        targets: tuple[str, ...] = (),
        given: tuple[str, ...] = (),
        taskfile: Taskfile | None = None,
    ) -> Project:
        """The project, opened to look at it: nothing is run or changed."""
        from buildtool.project import Project, Request
        from buildtool.state.store import StateReader

        taskfile = taskfile or self.taskfile()
        reader = StateReader.open(os.path.join(taskfile.root, STATE))
        request = Request(targets, self.folder(taskfile), settings(given), where=self.where, settings=given)
        project = Project(taskfile, reader, request)
        see_displaced(project)
        for warning in reader.warnings:
            remark(f"warning: {warning}")
        return project

    def paint(self) -> Paint:
        """Colours for standard output, and how wide it is."""
        return Paint(wants_colour(self.color, sys.stdout.isatty(), os.environ), width_of(sys.stdout))


def see_displaced(project: Project) -> None:
    """Take what a killed build left as if it were put right already, as the next one will find it."""
    from buildtool.state.lock import read_holder

    running = project.reader.running()
    if running and read_holder(os.path.join(project.taskfile.root, STATE)) is None:
        from buildtool.recover import cut_short, displaced

        project.reader.take_as_interrupted(cut_short(running))
        project.disk.displaced = displaced(running, project.disk, project.reader.owner)


def settings(given: tuple[str, ...]) -> dict[str, Any]:
    """The values of `--set NAME=VALUE`: TOML where it can be read as such, else text. Raises `UsageError`."""
    if not given:
        return {}
    import tomli

    found = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise UsageError(f"`--set {text}` is not NAME=VALUE")
        try:
            found[name.strip()] = tomli.loads(f"x = {value}")["x"]
        except tomli.TOMLDecodeError:
            found[name.strip()] = value
    return found


def usable_cpus() -> int:
    """The CPUs that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS
        return os.cpu_count() or 1
