"""What must hold among the keys of one table, beyond each key's own kind.

Gets raw tables and tells what is wrong; does not know the kinds of single values.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from buildtool.taskfile.kinds import Schema, Spot
from buildtool.text import listing, printable

ACTIONS = ("run", "call", "script")  # what a task does; one of them
SOURCES = ("csv", "lines", "glob", "sh")  # where a variable's values come from; one of them
OURS = {  # arguments of `coiled.Cluster` that `bt` gives itself, each with the key for it, if there is one
    "name": "name",
    "n_workers": "workers",
    "idle_timeout": "idle_timeout",
    **dict.fromkeys(("shutdown_on_close", "wait_for_workers", "asynchronous", "cloud"), ""),
    **dict.fromkeys(("configure_logging", "custom_widget"), ""),
}
_WITH_OTHERS = {
    "depfile": ("run", "outputs"),
    "temp": ("outputs",),
    "keep": ("outputs",),
    "hash": ("outputs",),
    "shell": ("run",),
    "interactive": ("run",),
    "serve": ("run",),
}


def same_columns(rows: list[Any], spot: Spot) -> None:
    """All rows of `foreach` have the keys of the first."""
    for index, row in enumerate(rows):
        if set(row) != set(rows[0]):
            names = listing([f"`{name}`" for name in rows[0]]) or "none"
            spot.item(index).wrong("the rows of `foreach` have different keys", f"the first has {names}")
            return


def one_file_of_lines(table: Mapping[str, Any], spot: Spot) -> None:
    """`foreach = { chunk = "@file" }` has one wildcard."""
    for extra in list(table)[1:]:
        spot.key(extra).wrong_key(
            "the lines of a file are the values of one wildcard", "use `foreach = { from = … }` for several"
        )


def some_line(lines: list[str], spot: Spot) -> None:
    """A list of lines says something."""
    if not any(line.strip() for line in lines):
        spot.wrong(f"`{printable(spot.label)}` is empty", "write at least one line")


def some_item(items: list[Any], spot: Spot) -> None:
    """A list is not empty."""
    if not items:
        spot.wrong(f"`{printable(spot.label)}` is an empty list", "write at least one, or leave it out")


def least_and_most(numbers: list[Any], spot: Spot) -> None:
    """A range is two numbers, the smaller one first, and leaves room for one."""
    label, hint = f"`{printable(spot.label)}`", "write the least and the most, such as `[0, 4]`"
    if len(numbers) != 2:
        spot.wrong(f"{label} must be two numbers, not {len(numbers)}", hint)
    elif numbers[0] > numbers[1]:
        spot.wrong(f"{label} has the larger number first", hint)
    elif numbers[1] == 0:
        spot.wrong(f"{label} allows none", hint)


def left_to_us(options: Mapping[str, Any], spot: Spot) -> None:
    """What `bt` itself says to coiled cannot be said twice."""
    for name, ours in OURS.items():
        if name in options:
            hint = f"write `{ours}` beside `options`" if ours else "leave it out"
            spot.key(name).wrong_key(f"`{name}` is for `bt` to say", hint)


def one_source(table: Mapping[str, Any], spot: Spot) -> None:
    """A variable's values come from one place, and a column belongs to a CSV file."""
    label = f"`{printable(spot.label)}`"
    found = [name for name in table if name in SOURCES]
    if found != ["csv"] and "column" in table and len(found) < 2:
        spot.key("column").wrong_key(f"{label} has a `column` without a `csv`", 'add `csv = "…"`')
    elif len(found) != 1:
        words = listing([f"`{name}`" for name in SOURCES], "or")
        spot.wrong_key(f"{label} needs exactly one of {words}", "keep one of them" if found else None)
    elif found == ["csv"] and "column" not in table:
        spot.wrong_key(f"{label} needs a `column`", 'add `column = "…"`')


def one_source_schema() -> Schema:
    """`one_source` as JSON Schema."""
    return {
        "oneOf": [{"required": [name]} for name in SOURCES],
        "dependentRequired": {"csv": ["column"], "column": ["csv"]},
    }


_CLUSTERS = ("address", "scheduler_file", "workers")  # of a `dask` executor: what says which one


def one_cluster(table: Mapping[str, Any], spot: Spot) -> None:
    """A `dask` executor is one cluster, and only one that is reached through a network needs to be secure."""
    found = [name for name in table if name in _CLUSTERS]
    for extra in found[1:]:
        spot.key(extra).wrong_key(f"`{found[0]}` and `{extra}` exclude each other", "keep one of the two")
    if "security" in table and found in ([], ["workers"]):
        hint = 'add `address = "tls://HOST:PORT"`, or leave `security` out'
        spot.key("security").wrong_key("`security` needs `address` or `scheduler_file`", hint)


def functions_only(table: Mapping[str, Any], spot: Spot) -> None:
    """What clusters for functions alone can have."""
    if "keepalive" in table and table.get("mode") != "function":
        spot.key("keepalive").wrong_key(
            '`keepalive` needs `mode = "function"`', "say `idle_timeout`, or that `mode`"
        )


def functions_only_schema() -> Schema:
    """`functions_only` as JSON Schema."""
    serverless = {"properties": {"mode": {"const": "function"}}, "required": ["mode"]}
    return {"dependentSchemas": {"keepalive": serverless}}


def one_cluster_schema() -> Schema:
    """`one_cluster` as JSON Schema."""
    pairs = [[one, other] for i, one in enumerate(_CLUSTERS) for other in _CLUSTERS[i + 1 :]]
    either = {"anyOf": [{"required": [name]} for name in _CLUSTERS[:2]]}
    return {
        "not": {"anyOf": [{"required": pair} for pair in pairs]},
        "dependentSchemas": {"security": either},
    }


def task_rule(usable: Collection[str]) -> Callable[[Mapping[str, Any], Spot], None]:
    """What must hold in a task whose keys may be those in `usable`."""

    def check(task: Mapping[str, Any], spot: Spot) -> None:
        excused = any(
            key not in usable and not key.startswith("x-") for key in task
        )  # it may be a misspelt one
        _one_action([key for key in task if key in ACTIONS and key in usable], task, spot, excused=excused)
        for key, others in _WITH_OTHERS.items():
            for other in others if key in task and not excused else ():
                if other not in task:
                    hint = f"add `{other}`, or leave `{key}` out"
                    spot.key(key).wrong_key(f"`{key}` needs `{other}`", hint)
        if task.get("isolated") is True and task.get("keep") is True:
            hint = "an isolated job starts without old outputs"
            spot.key("isolated").wrong_key("`isolated` and `keep` exclude each other", hint)
        slots = [task[key] for key in ("inputs", "outputs") if isinstance(task.get(key), dict)]
        for slot in slots[1] if len(slots) == 2 else ():
            if slot in slots[0]:
                below = spot.key("outputs").key(slot)
                hint = "give one of them another name"
                below.wrong_key(f"`{printable(slot)}` names an input and an output", hint)

    return check


def _one_action(actions: list[str], task: Mapping[str, Any], spot: Spot, *, excused: bool) -> None:
    """A task does one thing, or is a group of others."""
    for extra in actions[1:]:
        spot.key(extra).wrong_key(f"`{actions[0]}` and `{extra}` exclude each other", "keep one of the two")
    if actions or excused:
        return
    if "needs" not in task:
        name = printable(str(spot.path[-1]))
        spot.wrong_key(
            f"task `{name}` does nothing", "it needs `run`, `call` or `script`, or `needs` alone for a group"
        )
        return
    for key in ("inputs", "outputs"):
        if key in task:
            spot.key(key).wrong_key(
                f"`{key}` needs `run`, `call` or `script`", "add one, or leave `needs` alone for a group"
            )


def task_schema(usable: Collection[str]) -> Schema:
    """`task_rule` as JSON Schema, as far as it goes: equal names of inputs and outputs are beyond it."""
    actions = [action for action in ACTIONS if action in usable]
    silent = [{"required": [key]} for key in ("inputs", "outputs", *actions)]
    return {
        "oneOf": [
            *({"required": [action]} for action in actions),
            {"required": ["needs"], "not": {"anyOf": silent}},
        ],
        "dependentRequired": {key: list(others) for key, others in _WITH_OTHERS.items()},
    }
