"""The tasks of a Taskfile as a list: what there is to do. Knows neither jobs nor files on the disk."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from buildtool.graph import Kind
from buildtool.report.paint import Paint
from buildtool.taskfile.specs import Slot, Taskfile, TaskSpec, Word
from buildtool.text import count, printable

SHOWN = 3  # patterns on one side of an arrow


def kind_of(spec: TaskSpec) -> Kind:
    """What sort of jobs a task has."""
    if spec.outputs:
        return Kind.RULE
    if spec.run is None and spec.call is None and spec.script is None:
        return Kind.GROUP
    return Kind.CHECK if spec.inputs else Kind.COMMAND


def listed(taskfile: Taskfile, *, everything: bool) -> list[TaskSpec]:
    """The tasks to show, by group (those without one first) and otherwise as written."""
    shown = [spec for spec in taskfile.tasks.values() if everything or not spec.name.startswith("_")]
    groups = {group: at for at, group in enumerate(dict.fromkeys(["", *(spec.group for spec in shown)]))}
    return sorted(shown, key=lambda spec: groups[spec.group])


def render_tasks(taskfile: Taskfile, paint: Paint, *, everything: bool, verbose: bool) -> list[str]:
    """The list as lines; with `verbose`, what each task reads and writes."""
    if not taskfile.tasks:
        return [f"{printable(taskfile.path)} has no tasks"]
    shown = listed(taskfile, everything=everything)
    hidden = len(taskfile.tasks) - len(shown)
    if not shown:
        return [f"{printable(taskfile.path)}: {count(hidden, 'hidden task')} (`bt list --all` shows them)"]
    width = max(len(printable(spec.name)) for spec in shown)
    lines: list[str] = []
    group = ""
    for spec in shown:
        if spec.group != group:
            group = spec.group
            lines += [""] * bool(lines) + [paint.bold(printable(group))]
        indent = "  " if group else ""
        beside = " " * (len(indent) + width + 2)
        lines += paint.fold(f"{indent}{_headline(spec, width, paint)}".rstrip(), beside)
        if verbose and (flow := _flow(spec)):
            lines += paint.fold(f"{beside}{paint.dim(flow)}", beside)
    return lines


def task_data(taskfile: Taskfile, *, everything: bool) -> list[dict[str, Any]]:
    """The list for programs."""
    return [
        {
            "name": spec.name,
            "desc": spec.desc,
            "group": spec.group,
            "kind": kind_of(spec).value,
            "inputs": _patterns(spec.inputs),
            "outputs": _patterns(spec.outputs),
            "needs": [word.text for word in spec.needs],
            "file": spec.place.file,
            "line": spec.place.line,
        }
        for spec in listed(taskfile, everything=everything)
    ]


def _headline(spec: TaskSpec, width: int, paint: Paint) -> str:
    name = printable(spec.name)
    kind = kind_of(spec)
    words = [printable(spec.desc)] if spec.desc else []
    if kind is not Kind.RULE:
        words.append(paint.dim(f"({kind.value})"))
    return f"{paint.cyan(name)}{'':<{width - len(name)}}  {'  '.join(words)}"


def _flow(spec: TaskSpec) -> str:
    """`inputs → outputs`, or what a group needs."""
    inputs, outputs = [*_tables(spec), *_patterns(spec.inputs)], _patterns(spec.outputs)
    if not inputs and not outputs:
        return f"needs {_short([word.text for word in spec.needs])}" if spec.needs else ""
    return f"{_short(inputs)} → {_short(outputs)}".strip()


def _tables(spec: TaskSpec) -> list[str]:
    """The file that the values of `foreach` stand in, if any."""
    if spec.foreach is None:
        return []
    words = [spec.foreach.table, *(spec.foreach.lines or ())[1:]]
    return [word.text for word in words if isinstance(word, Word)]


def _patterns(slots: Iterable[Slot]) -> list[str]:
    return [word.text for slot in slots for word in slot.words]


def _short(patterns: list[str]) -> str:
    more = len(patterns) - SHOWN
    words = [printable(pattern) for pattern in (patterns if more < 2 else patterns[:SHOWN])]
    return ", ".join(words) + (f" and {more} more" if more >= 2 else "")
