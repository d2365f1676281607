"""Tables of a Taskfile: with declared keys, or with names of the user's choice.

Knows how a table is checked and what its JSON Schema is; does not know which tables there are.
"""

# ruff: noqa: D102  the kinds keep the promises of `Kind`, where they are written once

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from buildtool.regex import Regex
from buildtool.taskfile.kinds import INVALID, Kind, Schema, Spot
from buildtool.text import did_you_mean, listing, nearest, printable
from buildtool.tuples import NamedTuple


class Partial(dict[str, Any]):
    """What passed of a table; `wrong` names the keys that did not, and those that a misspelt one was meant to be."""

    wrong: frozenset[str] = frozenset()


Marks = Callable[[Mapping[str, Any]], bool]
ANY = "*"  # among wrong keys: what is wrong is how they go together


class Key(NamedTuple):
    """One key of a table: what it takes, what it means, and what holds without it."""

    name: str
    kind: Kind
    about: str
    default: Any = None
    supported: bool = True  # the one flag to flip: unsupported keys are an error and not in the schema
    hint: str = "leave it out for now"  # while it is not supported
    bare: bool = False  # keys inside go by their own names in messages

    def schema(self) -> Schema:
        found = {"description": self.about, **self.kind.schema()}
        return found if self.default is None else found | {"default": self.default}


class Names(NamedTuple):
    """How the keys of a table may be spelt."""

    noun: str  # as in: `a b` cannot be …
    pattern: Regex
    hint: str
    reserved: frozenset[str] = frozenset()

    def check(self, name: str, spot: Spot) -> None:
        if name in self.reserved:
            spot.wrong_key(f"`{name}` cannot be {self.noun}", "it has a meaning of its own: choose another")
        elif not self.pattern.fullmatch(name):
            spot.wrong_key(f"`{printable(name)}` cannot be {self.noun}", self.hint)

    def schema(self) -> Schema:
        found: Schema = {"pattern": f"^(?:{self.pattern.pattern})$"}
        return found | {"not": {"enum": sorted(self.reserved)}} if self.reserved else found


class Table(NamedTuple):
    """A table with declared keys; `x-…` keys are the user's own."""

    keys: tuple[Key, ...]
    words: str = "a table"
    others: Kind | None = None  # what keys of other names hold, where there may be any
    names: Names | None = None  # how those may be spelt
    required: tuple[str, ...] = ()
    aliases: Mapping[str, str] = MappingProxyType({})  # words of other tools: ours
    advice: Callable[[str, Any], str | None] | None = None  # a hint for an unknown key and its value
    marks: Marks | None = None  # which tables it is, among several kinds
    rule: Callable[[Mapping[str, Any], Spot], None] | None = None  # what must hold among the keys
    rules: Schema | None = None  # the same, as JSON Schema
    shown: bool = True  # in the schema
    partial: bool = False  # what is right of a wrong one is of use

    @property
    def supported(self) -> tuple[str, ...]:
        """The names of the keys that can be used."""
        return tuple(key.name for key in self.keys if key.supported)

    def fits(self, value: object) -> bool:
        return isinstance(value, dict) and (self.marks is None or self.marks(value))

    def check(self, value: Any, spot: Spot) -> Any:
        if not isinstance(value, dict):
            spot.wrong_kind(value, self.words)
            return INVALID
        before = len(spot.errors)
        known = {key.name: key for key in self.keys}
        found = Partial()
        wrong: set[str] = set()
        for name, inner in value.items():
            below = spot.key(name)
            key = known.get(name)
            so_far = len(spot.errors)
            if key is not None and key.supported:
                found[name] = key.kind.check(inner, below.called("") if key.bare else below)
            elif key is not None:
                below.wrong_key(f"`{name}` is not supported yet", key.hint)
            elif not name.startswith("x-"):
                found[name] = self._other(name, inner, below)
            if len(spot.errors) > so_far:
                meant = None if key else self.aliases.get(name) or nearest(name, self.supported)
                wrong |= {name, meant or name}
        for name in self.required:
            if name not in value:
                spot.wrong_key(f"`{printable(spot.label)}` needs `{name}`", f"add `{name} = …`")
        if self.rule:
            self.rule(value, spot)
        if len(spot.errors) == before:
            return found
        if not self.partial:
            return INVALID
        passed = Partial((name, inner) for name, inner in found.items() if inner is not INVALID)
        passed.wrong = frozenset(wrong or {ANY})
        return passed

    def _other(self, name: str, value: object, spot: Spot) -> Any:
        if self.others is None:
            spot.wrong_key(f"unknown key `{printable(name)}`", self._hint(name, value))
            return INVALID
        if self.names:
            self.names.check(name, spot)
        return self.others.check(value, spot)

    def _hint(self, name: str, value: object) -> str | None:
        """What an unknown key was most likely meant to be."""
        known = self.supported
        if name in self.aliases:
            return f"did you mean `{self.aliases[name]}`?"
        advice = self.advice(name, value) if self.advice else None
        few = len(known) <= 8
        everything = f"write {listing([f'`{word}`' for word in known], 'or')}" if few and known else None
        return advice or did_you_mean(name, known) or everything

    def schema(self) -> Schema:
        found: Schema = {
            "type": "object",
            "properties": {key.name: key.schema() for key in self.keys if key.supported},
            "patternProperties": {"^x-": {}},
            "additionalProperties": self.others.schema() if self.others else False,
        }
        if self.names:
            found["propertyNames"] = {"anyOf": [self.names.schema(), {"pattern": "^x-"}]}
        if self.required:
            found["required"] = list(self.required)
        return found | (self.rules or {})


class TableOf(NamedTuple):
    """A table of one kind of value, under names of the user's choice."""

    of: Kind
    names: Names
    words: str = "a table"
    marks: Marks | None = None  # which tables it is, among several kinds
    bare: bool = False  # keys of the tables inside go by their own names in messages
    own: bool = False  # `x-…` keys are the user's own, not values

    def fits(self, value: object) -> bool:
        return isinstance(value, dict) and (self.marks is None or self.marks(value))

    def check(self, value: Any, spot: Spot) -> Any:
        """What passed of the table; with nothing left out where nothing was reported."""
        if not isinstance(value, dict):
            spot.wrong_kind(value, self.words)
            return INVALID
        found = {}
        for name, inner in value.items():
            if self.own and name.startswith("x-"):
                continue
            below = spot.key(name)
            self.names.check(name, below)
            bare = self.bare and isinstance(inner, dict)
            found[name] = self.of.check(inner, below.called("") if bare else below)
        return {name: inner for name, inner in found.items() if inner is not INVALID}

    def schema(self) -> Schema:
        found: Schema = {"type": "object", "additionalProperties": self.of.schema()}
        names = self.names.schema()
        if self.own:
            found["patternProperties"] = {"^x-": {}}
            names = {"anyOf": [names, {"pattern": "^x-"}]}
        return found | {"propertyNames": names}
