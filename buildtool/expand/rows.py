"""Rows of wildcard values: read from files that are up to date, joined with what inputs match."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from buildtool.errors import TaskfileError
from buildtool.expand.tasks import Entry, Task, unfit
from buildtool.expand.variables import read_lines, read_table
from buildtool.files import Disk
from buildtool.taskfile.pattern import Pattern, Wild
from buildtool.text import did_you_mean, printable

Values = Mapping[str, str]


def joined(task: Task, pattern: Pattern, rows: Iterable[Values], paths: Iterable[str]) -> list[Values]:
    """Each row with every set of values with which the pattern is one of the paths, where they agree.

    What the task itself makes never gives it more values.
    """
    own = [entry.pattern for entry in task.output_entries()]
    rows = list(rows)
    shared = [name for name in pattern.names if rows and name in rows[0]]
    found: dict[tuple[str, ...], dict[tuple[str, ...], Values]] = {}
    near = [p for p in own if p.may_overlap(pattern)]
    for path in paths:
        values = pattern.match(path)
        if values is not None and not (near and any(p.match(path) is not None for p in near)):
            found.setdefault(tuple([values[n] for n in shared]), {})[tuple(values.values())] = values
    if rows == [{}]:
        return list(found.get((), {}).values())
    return [
        {**row, **values}
        for row in rows
        for values in found.get(tuple([row[n] for n in shared]), {}).values()
    ]


def late_rows(disk: Disk, task: Task, entry: Entry) -> list[Values]:
    """The rows of `foreach` that stand in a file. Raises `TaskfileError` for a value that does not fit."""
    foreach = task.spec.foreach
    if foreach is None:
        return []
    path = entry.pattern.prefix
    rows: list[Values]
    if foreach.lines is not None:
        rows = [{foreach.lines[0]: line} for line in read_lines(disk, path, entry.place)]
    else:
        rows = list(read_table(disk, path, entry.place))
        read = {name for used in task.input_entries() for name in used.pattern.names}
        loose = sorted(set(task.names) - read - set(rows[0])) if rows else []
        if loose:
            raise TaskfileError(
                f"`{printable(path)}` has no column for `{{{loose[0]}}}`",
                place=foreach.place,
                facts=(("columns", printable(", ".join(rows[0]))),),
                hint=did_you_mean(loose[0], rows[0]),
            )
    wilds: dict[str, set[Wild]] = {}
    for used in (*task.input_entries(), *task.output_entries()):
        for part in used.pattern.parts:
            if isinstance(part, Wild):
                wilds.setdefault(part.name, set()).add(part)
    for row in rows:
        for name, value in row.items():
            if problem := unfit(value, wilds.get(name, set())):
                raise TaskfileError(
                    f"`{printable(value)}` cannot be a value of `{{{name}}}`: {problem}", place=foreach.place
                )
    return rows
