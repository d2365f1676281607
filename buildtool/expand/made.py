"""The paths that enumerated tasks make, by folder, each with the task and the values that make it."""

from __future__ import annotations

from collections.abc import Iterator

from buildtool.errors import TaskfileError
from buildtool.expand.index import clash
from buildtool.expand.rows import Values
from buildtool.expand.tasks import Entry, Task
from buildtool.graph import bare
from buildtool.taskfile.pattern import Pattern
from buildtool.text import printable
from buildtool.tuples import NamedTuple


class Maker(NamedTuple):
    """What makes a path."""

    task: Task
    entry: Entry
    values: Values


class Made:
    """A register in which every path has one maker."""

    def __init__(self) -> None:
        self._folders: dict[str, dict[str, Maker]] = {}

    def get(self, path: str) -> Maker | None:
        """What makes a path, as far as tasks were enumerated."""
        return self._folders.get(_folder(path), {}).get(path)

    def register(self, path: str, task: Task, entry: Entry, values: Values) -> None:
        """Note that a task makes a path with these values. Raises `TaskfileError` if another one does.

        A task that names the path literally wins over one that matches it.
        """
        paths = self._folders.setdefault(_folder(path), {})
        maker = bare(Maker, (task, entry, values))
        known = paths.setdefault(path, maker)
        if known.task is task and known.values == values:
            return
        if known.task is task:
            raise TaskfileError(
                f"two jobs of task `{task.name}` would make `{printable(path)}`",
                place=entry.place,
                hint="put every wildcard that tells them apart into the outputs",
            )
        if known.entry.pattern.is_literal == entry.pattern.is_literal:
            raise clash(path, known[:2], (task, entry))
        if entry.pattern.is_literal:
            paths[path] = maker

    def paths(self, folder: str) -> Iterator[str]:
        """All paths, those in `folder` first."""
        for near in (True, False):
            for name, paths in self._folders.items():
                if (name == folder) is near:
                    yield from paths

    def matching(self, pattern: Pattern) -> list[str]:
        """The paths that a pattern matches; only the folders that can hold them are looked at."""
        if pattern.is_flat and pattern.levels == 1:
            folders = [pattern.folder]
        else:
            folders = [folder for folder in self._folders if folder.startswith(pattern.folder)]
        match = pattern.match
        return [p for folder in folders for p in self._folders.get(folder, ()) if match(p) is not None]


def _folder(path: str) -> str:
    return path[: path.rfind("/", 0, -1) + 1]
