"""Which task can make which path, found without looking at every task."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property

from buildtool.errors import TaskfileError
from buildtool.expand.tasks import Entry, Task
from buildtool.paths import parents
from buildtool.taskfile.pattern import Pattern
from buildtool.text import printable
from buildtool.tuples import NamedTuple


class Candidate(NamedTuple):
    """A task that can make a path, with the wildcard values it would need."""

    task: Task
    values: dict[str, str]
    literal: bool
    is_glob: bool = False  # by an output glob: it may or may not appear


class Index:
    """All output patterns, the literal ones by path and the others by folder and ending."""

    def __init__(self, tasks: Iterable[Task]) -> None:
        self._literal: dict[str, tuple[Task, Entry]] = {}
        self._patterns: dict[tuple[str, str], list[tuple[Task, Entry]]] = {}
        self._nearest: dict[tuple[str, str], list[tuple[Task, Entry]]] = {}
        self._folders: set[str] = set()  # of the patterns
        self._quiet: set[str] = set()  # folders in which only literal paths are made
        self.open: list[tuple[Task, Entry]] = []  # every output that is not one literal path
        self.clashes: list[TaskfileError] = []
        self.refused: dict[Entry, str] = {}  # outputs that clash with an earlier one, with their task
        for task in tasks:
            for entry in task.output_entries():
                self._add(task, entry)
        self._look_inside()
        self.has_literals = bool(self._literal)
        self.has_globs = any(entry.pattern.is_glob for _, entry in self.open)
        ends = [path[-1:] for path in self._literal] + [entry.pattern.suffix[-1:] for _, entry in self.open]
        self._directories = [path for path in self._literal if path[-1:] == "/"]
        self._has_directories = any(end in ("/", "") for end in ends)  # or what may turn out to be one

    def _look_inside(self) -> None:
        """A literal output that lies inside another one's directory is a mistake, too."""
        for path, (task, entry) in self._literal.items():
            for folder in (path + "/", *parents(path)):
                other = self._literal.get(folder) or self._literal.get(folder[:-1])
                if other is not None and other[1] is not entry and other[0] is not task:
                    self.clashes.append(shared(path, (other[0], other[1]), entry))
                    self.refused[entry] = task.name
                    break

    def _add(self, task: Task, entry: Entry) -> None:
        pattern = entry.pattern
        if not pattern.is_literal:
            self.open.append((task, entry))
            key = (pattern.folder, _ending(pattern.suffix))
            self._patterns.setdefault(key, []).append((task, entry))
            self._folders.add(pattern.folder)
            return
        other = self._literal.setdefault(pattern.prefix, (task, entry))
        if other[1] is not entry:
            self.clashes.append(clash(pattern.prefix, other, (task, entry)))
            self.refused[entry] = task.name

    def candidates(self, path: str) -> list[Candidate]:
        """Every task that can make `path`, as an output of its own or inside an output directory."""
        if path[: path.rfind("/", 0, -1) + 1] in self._quiet and path not in self._literal:
            return []
        found = self._exact(path)
        if found or not self._has_directories:
            return found
        for folder in parents(path):
            if found := self._exact(folder):
                return found
        return []

    def _exact(self, path: str) -> list[Candidate]:
        literal = self._literal.get(path)
        if literal is not None:
            return [Candidate(literal[0], {}, literal=True)]
        if not self._patterns:
            return []
        found: list[Candidate] = []
        for task, entry in self._near(path):
            values = entry.pattern.match(path)
            if values is not None and not any(c.task is task and c.values == values for c in found):
                found.append(Candidate(task, values, literal=False, is_glob=entry.pattern.is_glob))
        return found

    def _near(self, path: str) -> list[tuple[Task, Entry]]:
        """The patterns that have a folder and an ending in common with a path."""
        key = (path[: path.rfind("/", 0, -1) + 1], _ending(path))
        known = self._nearest.get(key)
        if known is None:
            self._look_for_quiet(key[0])
            folders = [*parents(path), ""] if not path.startswith("/") else parents(path)
            known = self._nearest[key] = [
                pattern
                for folder in folders
                for ending in dict.fromkeys((key[1], ""))
                for pattern in self._patterns.get((folder, ending), ())
            ]
        return known

    def _look_for_quiet(self, folder: str) -> None:
        """Note a folder in which no pattern makes anything, so that its paths need no second look."""
        if self._has_directories:
            return
        around = [*parents(folder + "x"), ""] if not folder.startswith("/") else parents(folder + "x")
        if self._folders.isdisjoint(around):
            self._quiet.add(folder)

    def is_literal(self, path: str) -> bool:
        """Whether a task names the path literally."""
        return path in self._literal

    def literals(self) -> Iterator[tuple[str, Task]]:
        """Every literal output."""
        for path, (task, _) in self._literal.items():
            yield path, task

    def overlapping(self, pattern: Pattern) -> list[tuple[Task, Entry]]:
        """Outputs that are no single path and may stand for one that `pattern` matches, or hold it."""
        found = [
            (task, entry)
            for task, entry in self.open
            if entry.pattern.may_overlap(pattern)
            or (entry.pattern.is_directory and inside(entry.pattern, pattern))
        ]
        if not pattern.is_literal:
            found += [self._literal[path] for path in self._directories if pattern.may_reach(path)]
        return found

    @cached_property
    def crowded(self) -> set[str]:
        """The tasks with a glob output that may bring a file which one of another task may bring, too."""
        globs = [(task, entry.pattern) for task, entry in self.open if entry.pattern.is_glob]
        return {one.name for one, a in globs for other, b in globs if one is not other and a.may_overlap(b)}

    def names(self) -> list[str]:
        """The literal outputs, for suggestions."""
        return list(self._literal)


def inside(directory: Pattern, pattern: Pattern) -> bool:
    """Whether what `pattern` matches may lie in the output directory."""
    a, b = directory.prefix, pattern.prefix
    return a.startswith(b) or b.startswith(a)


def _ending(text: str) -> str:
    """The last extension of a literal text, with its dot; `""` when there is none."""
    name = text.rstrip("/")
    dot = name.rfind(".")
    return name[dot:] if dot > name.rfind("/") else ""


def clash(path: str, first: tuple[Task, Entry], second: tuple[Task, Entry]) -> TaskfileError:
    """The error for one path that two tasks can make, or one of them twice; it names both lines."""
    (one, one_entry), (two, two_entry) = first, second
    if one is two:
        return TaskfileError(
            f"task `{one.name}` makes `{printable(path)}` twice",
            place=two_entry.place,
            hint="take one of its outputs out",
        )
    return TaskfileError(
        f"tasks `{one.name}` and `{two.name}` can both make `{printable(path)}`",
        place=two_entry.place,
        facts=(("first", f"{one_entry.place.file}:{one_entry.place.line}: {one_entry.pattern.text}"),),
        hint="narrow one pattern, or name the file literally in one of them",
    )


def shared(path: str, other: tuple[Task, Entry], entry: Entry) -> TaskfileError:
    """The error for an output that lies inside another job's output directory."""
    task, there = other
    return TaskfileError(
        f"`{printable(path)}` and `{printable(there.pattern.text)}` lie in one output directory",
        place=entry.place,
        facts=(("other", f"{there.place.file}:{there.place.line}: task `{task.name}`"),),
        hint="an output directory belongs to one job: move one of them elsewhere",
    )
