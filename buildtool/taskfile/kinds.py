"""The kinds of values a Taskfile holds: each says what it takes, checks it, and tells its JSON Schema.

Knows values and their places; does not know which keys there are.
"""

# ruff: noqa: D102  the kinds keep the promises of `Kind`, where they are written once

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import date, time
from typing import Any, Protocol

from buildtool.errors import BtError, Place, TaskfileError
from buildtool.regex import Regex
from buildtool.taskfile.places import Path, Places
from buildtool.text import did_you_mean, listing, printable
from buildtool.tuples import NamedTuple

Schema = dict[str, Any]

INVALID: Any = type("Invalid", (), {"__repr__": lambda _: "INVALID"})()  # what a check gives after reporting

DURATION = Regex(r"([0-9]+(?:\.[0-9]+)?) ?(ms|s|m|h|d|w)")
SIZE = Regex(r"([0-9]+(?:\.[0-9]+)?) ?([kKMGTP]?[bB]|[kKMGTP]i[bB])")
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_POWERS = {letter: power for power, letter in enumerate("BKMGTP")}
_LARGEST = 2**63


def parse_duration(text: str) -> float | None:
    """Seconds of `"10m"`, `"1.5h"`, `"30s"`, `"1d"`, `"2w"` or `"500ms"`; None where it is none of them."""
    match = DURATION.fullmatch(text)
    return float(match[1]) * _SECONDS[match[2]] if match else None


def parse_size(text: str) -> float | None:
    """Bytes of `"8GB"` (decimal) or `"512 MiB"` (binary), as a whole number; None where it is neither."""
    match = SIZE.fullmatch(text)
    if match is None:
        return None
    unit = match[2].upper()
    return float(round(float(match[1]) * (1024 if "I" in unit else 1000) ** _POWERS[unit[0]]))


class Spot(NamedTuple):
    """A value's path in a file, its name in messages, and where errors about it are gathered."""

    places: Places
    errors: list[BtError]
    path: Path = ()
    label: str = ""

    def key(self, name: str) -> Spot:
        """The spot of a key of this table."""
        label = f"{self.label}.{name}" if self.label else name
        return Spot(self.places, self.errors, (*self.path, name), label)

    def item(self, index: int) -> Spot:
        """The spot of an item of this list, which goes by the list's name."""
        return Spot(self.places, self.errors, (*self.path, index), self.label)

    def called(self, label: str) -> Spot:
        """The spot under another name."""
        return self._replace(label=label)

    def wrong(self, summary: str, hint: str | None = None, *, place: Place | None = None) -> None:
        """Report an error, at the value unless another place is given."""
        self.errors.append(
            TaskfileError(summary, place=self.places.value(self.path) if place is None else place, hint=hint)
        )

    def wrong_key(self, summary: str, hint: str | None = None) -> None:
        """Report an error at the key."""
        self.wrong(summary, hint, place=self.places.key(self.path))

    def wrong_kind(self, value: object, words: str) -> None:
        """Report that the value is not of the kind that `words` describe."""
        subject = "every item of " if self.path and isinstance(self.path[-1], int) else ""
        is_time = isinstance(value, date | time) and "text" in words
        hint = f'write it as text: `"{value}"`' if is_time else None
        self.wrong(f"{subject}`{printable(self.label)}` must be {words}, not {describe(value)}", hint)


def usable(number: object) -> bool:
    """Whether a number is one that TOML promises to carry: an integer of 64 bits, or a float."""
    return not isinstance(number, int) or -_LARGEST <= number < _LARGEST


def describe(value: object) -> str:
    """What a TOML value is, in the words of the messages."""
    match value:
        case bool():
            return "`true`" if value else "`false`"
        case str():
            return "text"
        case int() | float():
            return "a number"
        case list():
            return "a list"
        case dict():
            return "a table"
    return "a date or time"


class Kind(Protocol):
    """What a value may be."""

    @property
    def words(self) -> str:
        """What it is, for `must be …`."""

    def fits(self, value: object) -> bool:
        """Whether the value is of this kind from outside: a text, a list, a table."""

    def check(self, value: Any, spot: Spot) -> Any:
        """The value as the project uses it, or `INVALID` once what is wrong with it is reported."""

    def schema(self) -> Schema:
        """The JSON Schema of all values that pass."""


class Text(NamedTuple):
    """A string, not empty unless it may be."""

    empty: bool = False
    words: str = "text"

    def fits(self, value: object) -> bool:
        return isinstance(value, str)

    def check(self, value: Any, spot: Spot) -> Any:
        if not isinstance(value, str):
            spot.wrong_kind(value, self.words)
        elif "\0" in value:
            spot.wrong(
                f"`{printable(spot.label)}` holds a NUL character", "no program takes one: leave it out"
            )
        elif not self.empty and not value.strip():
            spot.wrong(
                f"`{printable(spot.label)}` has an empty text",
                "write something between the quotes, or leave it out",
            )
        else:
            return value
        return INVALID

    def schema(self) -> Schema:
        return {"type": "string"} if self.empty else {"type": "string", "pattern": r"\S"}


class Choice(NamedTuple):
    """One of a few words."""

    options: tuple[str, ...]

    @property
    def words(self) -> str:
        return listing([f'`"{word}"`' for word in self.options], "or")

    def fits(self, value: object) -> bool:
        return isinstance(value, str)

    def check(self, value: Any, spot: Spot) -> Any:
        if not isinstance(value, str):
            spot.wrong_kind(value, self.words)
        elif value not in self.options:
            hint = did_you_mean(value, self.options) or f"write {self.words}"
            spot.wrong(f"`{printable(spot.label)}` cannot be `{printable(value)}`", hint)
        else:
            return value
        return INVALID

    def schema(self) -> Schema:
        return {"enum": list(self.options)}


class Flag(NamedTuple):
    """True or false."""

    words: str = "`true` or `false`"

    def fits(self, value: object) -> bool:
        return isinstance(value, bool)

    def check(self, value: Any, spot: Spot) -> Any:
        if isinstance(value, bool):
            return value
        spot.wrong_kind(value, self.words)
        return INVALID

    def schema(self) -> Schema:
        return {"type": "boolean"}


class Number(NamedTuple):
    """A finite number within bounds, or a text that stands for one, such as a duration."""

    least: float | None = 0
    whole: bool = False
    positive: bool = False  # not zero either
    parse: Callable[[str], float | None] | None = None
    pattern: Regex | None = None  # of the texts that `parse` takes
    what: str = ""  # what such a text is
    hint: str | None = None

    @property
    def words(self) -> str:
        return self.what or ("a whole number" if self.whole else "a number")

    def fits(self, value: object) -> bool:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return number or (self.parse is not None and isinstance(value, str))

    def check(self, value: Any, spot: Spot) -> Any:
        if not self.fits(value):
            spot.wrong_kind(value, self.words)
            return INVALID
        number = self.parse(value) if self.parse and isinstance(value, str) else value
        if number is None:
            spot.wrong(f"`{printable(spot.label)}` cannot be `{printable(value)}`", self.hint)
        elif trouble := self._trouble(number):
            spot.wrong(f"`{printable(spot.label)}` {trouble}", self.hint)
        else:
            return float(number) if self.parse else number
        return INVALID

    def _trouble(self, number: float) -> str | None:
        """What is wrong with a number, or None."""
        if not usable(number) or not math.isfinite(number):
            return "is out of range"
        if self.whole and isinstance(number, float):
            return f"must be a whole number, not `{number:g}`"
        if self.least is not None and number < self.least:
            return f"must not be less than {self.least:g}"
        return "must be more than 0" if self.positive and number == 0 else None

    def schema(self) -> Schema:
        found: Schema = {"type": "integer" if self.whole else "number"}
        if self.least is not None:
            found["exclusiveMinimum" if self.positive else "minimum"] = self.least
        if self.pattern is None:
            return found
        return {"anyOf": [found, {"type": "string", "pattern": f"^(?:{self.pattern.pattern})$"}]}


class Scalar(NamedTuple):
    """Text, a number, true or false."""

    words: str = "text, a number, `true` or `false`"

    def fits(self, value: object) -> bool:
        return isinstance(value, str | int | float)

    def check(self, value: Any, spot: Spot) -> Any:
        if isinstance(value, str):
            return Text(empty=True).check(value, spot)
        if not self.fits(value):
            spot.wrong_kind(value, self.words)
        elif not usable(value):
            spot.wrong(f"`{printable(spot.label)}` is out of range")
        else:
            return value
        return INVALID

    def schema(self) -> Schema:
        return {"type": ["string", "number", "boolean"]}


class Anything(NamedTuple):
    """Text, numbers, true and false, and lists and tables of them to any depth."""

    words: str = "text, a number, `true` or `false`, a list or a table"

    def fits(self, value: object) -> bool:
        return isinstance(value, str | int | float | list | dict)

    def check(self, value: Any, spot: Spot) -> Any:
        if isinstance(value, dict):
            inner = [self.check(v, spot.key(k)) for k, v in value.items()]
        elif isinstance(value, list):
            inner = [self.check(v, spot.item(i)) for i, v in enumerate(value)]
        else:
            return Scalar(words=self.words).check(value, spot)
        return INVALID if INVALID in inner else value

    def schema(self) -> Schema:
        return {"type": ["string", "number", "boolean", "array", "object"]}


class ListOf(NamedTuple):
    """A list of one kind."""

    of: Kind
    words: str = "a list"
    rule: Callable[[list[Any], Spot], None] | None = None  # what must hold among the items
    rules: Schema | None = None  # the same, as JSON Schema

    def fits(self, value: object) -> bool:
        return isinstance(value, list)

    def check(self, value: Any, spot: Spot) -> Any:
        if not isinstance(value, list):
            spot.wrong_kind(value, self.words)
            return INVALID
        before = len(spot.errors)
        items = [self.of.check(v, spot.item(i)) for i, v in enumerate(value)]
        if self.rule and len(spot.errors) == before:
            self.rule(items, spot)
        return items if len(spot.errors) == before else INVALID

    def schema(self) -> Schema:
        return {"type": "array", "items": self.of.schema()} | (self.rules or {})


class Either(NamedTuple):
    """The first of several kinds that fits from outside."""

    kinds: tuple[Kind, ...]
    words: str

    def fits(self, value: object) -> bool:
        return any(kind.fits(value) for kind in self.kinds)

    def check(self, value: Any, spot: Spot) -> Any:
        for kind in self.kinds:
            if kind.fits(value):
                return kind.check(value, spot)
        spot.wrong_kind(value, self.words)
        return INVALID

    def schema(self) -> Schema:
        shown = [kind.schema() for kind in self.kinds if getattr(kind, "shown", True)]
        return shown[0] if len(shown) == 1 else {"anyOf": shown}
