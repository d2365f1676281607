"""Checked tables to specs: every word with its place.

Trusts what `keys` has let through; reports nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from buildtool.errors import Place
from buildtool.taskfile.places import Path, Places
from buildtool.taskfile.specs import (
    ExecutorSpec,
    Foreach,
    Settings,
    Slot,
    TaskSpec,
    Track,
    VarSpec,
    Word,
)

_AS_WRITTEN = (  # keys of tasks that go into the spec as they are
    "desc", "group", "call", "script", "params", "shell", "executor", "resources", "retries", "timeout",
    "priority", "temp", "keep", "isolated", "always", "max_age", "interactive", "serve", "hash", "cache",
)  # fmt: skip
_WORDS = ("needs", "after", "dotenv")
_SETTINGS = ("jobs", "shell", "pools", "orphans", "durable")
_NAMES = ("python_path", "allow", "secrets", "pass_env")


def words(value: str | list[str], places: Places, path: Path) -> tuple[Word, ...]:
    """A text or a list of texts, each with its place."""
    if isinstance(value, str):
        return (Word(value, places.value(path)),)
    return tuple(Word(text, places.value((*path, index))) for index, text in enumerate(value))


def environment(table: Mapping[str, Any]) -> dict[str, str]:
    """Values of environment variables as text: `true` and `false` as TOML writes them."""
    return {
        name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in table.items()
    }


def settings(table: Mapping[str, Any], places: Places) -> Settings:
    """The `[bt]` table."""
    given: dict[str, Any] = {key: table[key] for key in _SETTINGS if key in table}
    given |= {key: _texts(table[key]) for key in _NAMES if key in table}
    if "default" in table:
        given["default"] = words(table["default"], places, ("bt", "default"))
    if "cache" in table:
        given["cache"] = table["cache"]["size"]
    if "executor" in table:
        given["executor"] = Word(table["executor"], places.value(("bt", "executor")))
    return Settings(**given, wrong=getattr(table, "wrong", frozenset()))


def variable(name: str, value: Any, places: Places) -> VarSpec:
    """One entry of `[vars]`."""
    place = places.key(("vars", name))
    if isinstance(value, list):
        return VarSpec(place, items=tuple(value))
    if not isinstance(value, dict):
        return VarSpec(place, value=value)
    if "csv" in value:
        return VarSpec(place, csv=(value["csv"], value["column"]))
    return VarSpec(place, **value)


def executor(name: str, table: Mapping[str, Any], places: Places) -> ExecutorSpec:
    """One `[executors.NAME]` table."""
    options = {key: value for key, value in table.items() if key != "backend"}
    return ExecutorSpec(name, places.key(("executors", name)), table["backend"], options)


def task(name: str, table: Mapping[str, Any], places: Places) -> TaskSpec:
    """One `[tasks.NAME]` table."""
    path: Path = ("tasks", name)
    given: dict[str, Any] = {key: table[key] for key in _AS_WRITTEN if key in table}
    given |= {key: _slots(table[key], places, (*path, key)) for key in ("inputs", "outputs") if key in table}
    given |= {key: words(table[key], places, (*path, key)) for key in _WORDS if key in table}
    for key in ("depfile", "cwd"):
        if key in table:
            given[key] = Word(table[key], places.value((*path, key)))
    if "run" in table:
        given["run"] = "\n".join(_texts(table["run"]))
        given["run_place"] = _within(table["run"], places, (*path, "run"))
    if "ignore" in table:
        given["ignore"] = _texts(table["ignore"])
    if "env" in table:
        given["env"] = environment(table["env"])
    if "track" in table:
        given["track"] = _track(table["track"], places, (*path, "track"))
    if "foreach" in table:
        given["foreach"] = _foreach(table["foreach"], places, (*path, "foreach"))
    wrong: frozenset[str] = getattr(table, "wrong", frozenset())
    return TaskSpec(name, places.key(path), places.table(path), **given, wrong=wrong)


def _texts(value: str | list[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


def _within(value: str | list[str], places: Places, path: Path) -> Callable[[int, int], Place]:
    """What tells the place of a stretch of a text, or of lines put together."""

    def place(offset: int, length: int) -> Place:
        if isinstance(value, str):
            return places.inside(path, offset, length)
        for index, line in enumerate(value):
            if offset <= len(line):
                return places.inside((*path, index), offset, length)
            offset -= len(line) + 1
        return places.value(path)

    return place


def _slots(value: Any, places: Places, path: Path) -> tuple[Slot, ...]:
    if not value:
        return ()
    if not isinstance(value, dict):
        return (Slot(None, words(value, places, path), many=isinstance(value, list)),)
    return tuple(
        Slot(name, words(inner, places, (*path, name)), many=isinstance(inner, list))
        for name, inner in value.items()
    )


def _track(table: Mapping[str, Any], places: Places, path: Path) -> Track:
    return Track(
        env=_texts(table.get("env", [])),
        cmd=_texts(table.get("cmd", [])),
        files=words(table.get("files", []), places, (*path, "files")),
    )


def _foreach(value: Any, places: Places, path: Path) -> Foreach:
    place = places.key(path)
    if isinstance(value, list):
        return Foreach(place, rows=tuple(value))
    if isinstance(value.get("from"), str):
        return Foreach(place, table=Word(value["from"], places.value((*path, "from"))))
    for name, inner in value.items():
        if isinstance(inner, str):
            return Foreach(place, lines=(name, Word(inner[1:], places.value((*path, name)))))
    return Foreach(place, product={name: tuple(inner) for name, inner in value.items()})
