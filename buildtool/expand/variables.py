"""The values of `[vars]`, looked up when they are first used.

A value written in TOML is text of the author's, in which `*` and `{name}` keep their meaning when it stands in a
path; a value read from a file, a directory or a command is data, in which nothing has a meaning.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Collection, Mapping
from typing import Any

from buildtool.errors import BtError, GraphError, Place, Problems, ReportedError, TaskfileError
from buildtool.expand.listing import matches
from buildtool.files import Disk
from buildtool.taskfile.pattern import Part, PatternError, parse_parts, parse_pattern
from buildtool.taskfile.specs import VarSpec
from buildtool.text import cause_of, count, did_you_mean, printable

Scalar = str | int | float | bool


def scalar_text(value: Scalar) -> str:
    """A TOML scalar as it stands in a path or a command."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


class AbsentError(GraphError):
    """A list or a table is not there, so that it is not known which jobs there are, or what they read."""


class Variables:
    """`[vars]`, with the values given on the command line in front.

    `command` gives what a shell command prints (or None where nothing may be run). `wrong` are names that the
    Taskfile has, and that are reported as wrong already.
    """

    def __init__(
        self,
        specs: Mapping[str, VarSpec],
        disk: Disk,
        command: Callable[[str, str], str | None],
        given: Mapping[str, Any] | None = None,
        wrong: Collection[str] = (),
    ) -> None:
        self.specs = {**specs}
        for name, value in (given or {}).items():
            place = specs[name].place
            self.specs[name] = (
                VarSpec(place, items=tuple(value)) if isinstance(value, list) else VarSpec(place, value=value)
            )
        self._wrong = wrong
        self._disk = disk
        self._command = command
        self._values: dict[str, str | list[str]] = {}
        self._busy: list[str] = []

    def value(self, name: str, place: Place) -> str | list[str]:
        """The value of a variable that is used at `place`. Raises `TaskfileError` for an unknown one."""
        found = self._values.get(name)
        if found is None:
            found = self._values[name] = self._load(name, place)
        return found

    def choices(self, name: str, place: Place) -> list[tuple[Part, ...]]:
        """The value as parts of a pattern, one choice for each item of a list."""
        spec = self.specs.get(name)
        authored = spec is not None and (spec.value is not None or spec.items is not None)
        value = self.value(name, place)
        texts = value if isinstance(value, list) else [value]
        if not authored:
            return [(text,) for text in texts]
        found: list[tuple[Part, ...]] = []
        for text in texts:
            try:
                found.append(tuple(p for p in parse_parts(text) if not isinstance(p, tuple)))
            except PatternError as error:
                raise TaskfileError(f"`vars.{name}` is no path: {error}", place=place) from error
        return found

    def _load(self, name: str, place: Place) -> str | list[str]:
        spec = self.specs.get(name)
        if spec is None and name in self._wrong:
            raise ReportedError(f"`vars.{name}` is wrong", place=place)
        if spec is None:
            hint = did_you_mean(name, self.specs) or f"add `{name}` to `[vars]`"
            raise TaskfileError(f"no variable `{name}` in `[vars]`", place=place, hint=hint)
        if name in self._busy:
            circle = self._busy[self._busy.index(name) :]
            first = circle.index(min(circle, key=list(self.specs).index))  # told the same wherever it is met
            circle = [*circle[first:], *circle[: first + 1]]
            chain = " → ".join(circle)
            raise TaskfileError(f"variables that need each other: {chain}", place=self.specs[circle[0]].place)
        self._busy.append(name)
        try:
            return self._load_spec(name, spec)
        finally:
            self._busy.pop()

    def _load_spec(self, name: str, spec: VarSpec) -> str | list[str]:
        if spec.items is not None:
            return [self._text(scalar_text(item), spec.place) for item in spec.items]
        if spec.csv is not None:
            path, column = spec.csv
            rows = read_table(self._disk, path, spec.place)
            if rows and column not in rows[0]:
                raise TaskfileError(
                    f"`{path}` has no column `{column}`",
                    place=spec.place,
                    facts=(("columns", ", ".join(rows[0])),),
                    hint=did_you_mean(column, rows[0]),
                )
            return [row[column] for row in rows]
        if spec.lines is not None:
            return read_lines(self._disk, spec.lines, spec.place)
        if spec.glob is not None:
            return self._glob(name, spec.glob, spec.place)
        if spec.sh is not None:
            try:
                printed = self._command(f"vars.{name}", spec.sh)
            except BtError as error:
                error.place = error.place or spec.place
                raise
            return f"<{spec.sh}>" if printed is None else printed
        return self._text(scalar_text("" if spec.value is None else spec.value), spec.place)

    def _text(self, text: str, place: Place) -> str:
        """The author's text with other variables in it filled in."""
        if "{vars." not in text:
            return text
        found = []
        for part in parse_parts(text):
            if isinstance(part, tuple):
                inner = self.value(part[1], place)
                if isinstance(inner, list):
                    raise TaskfileError(f"`vars.{part[1]}` is a list and cannot stand in a text", place=place)
                found.append(inner)
            else:
                found.append(part if isinstance(part, str) else part.text)
        return "".join(found)

    def _glob(self, name: str, text: str, place: Place) -> list[str]:
        try:
            [pattern] = parse_pattern(text, self._disk.root)
        except PatternError as error:
            raise TaskfileError(f"`vars.{name}`: {error}", place=place) from error
        if len(pattern.names) > 1:
            raise TaskfileError(
                f"`vars.{name}`: a glob gives the values of one wildcard, not of several", place=place
            )
        paths = matches(self._disk, pattern)
        if not pattern.names:
            return paths
        values = (pattern.match(path) for path in paths)
        return list(dict.fromkeys(found[pattern.names[0]] for found in values if found is not None))


def read_text(disk: Disk, path: str, place: Place) -> str:
    """The text of a file that the Taskfile names. Raises `AbsentError` if it is missing, else `TaskfileError`."""
    disk.texts.add(path)
    try:
        with open(disk.absolute(path), "rb") as file:
            return file.read().decode("utf-8-sig")
    except FileNotFoundError:
        raise AbsentError(f"`{printable(path)}`: no such file", place=place) from None
    except OSError as error:
        cause = cause_of(error)
        raise TaskfileError(f"cannot read `{printable(path)}`: {cause}", place=place) from error
    except UnicodeDecodeError as error:
        raise TaskfileError(f"`{printable(path)}` is not UTF-8: {error.reason}", place=place) from error


def read_lines(disk: Disk, path: str, place: Place) -> list[str]:
    """The lines of a file, without those that are blank."""
    return [line for line in map(str.strip, read_text(disk, path, place).splitlines()) if line]


def line_place(disk: Disk, path: str, is_it: Callable[[str], bool]) -> Place | None:
    """The place of the first line of a file of which something holds, without the blanks around it."""
    try:
        with open(disk.absolute(path), encoding="utf-8-sig") as file:
            lines = file.read().splitlines()
    except (OSError, UnicodeDecodeError):
        return None
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if text and is_it(text):
            column = line.index(text) + 1
            return Place(path, number, column, column + len(text), line)
    return None


def read_table(disk: Disk, path: str, place: Place) -> list[dict[str, str]]:
    """The rows of a CSV file (tabs in `.tsv`, `.tab`), by the names in its first line. Blank rows are left out."""
    import csv  # few have tables

    text = read_text(disk, path, place)
    delimiter = "\t" if path.endswith((".tsv", ".tab")) else ","
    found = []
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        header = [name.strip() for name in next(reader, [])]
        if len(set(header)) != len(header):
            raise TaskfileError(f"`{printable(path)}` names a column twice", place=place)
        for row in reader:
            if not row:
                continue
            if len(row) != len(header):
                raise TaskfileError(
                    f"line {reader.line_num} of `{printable(path)}` has {count(len(row), 'cell')}, "
                    f"not {len(header)}",
                    place=place,
                )
            found.append(dict(zip(header, map(str.strip, row), strict=True)))
    except csv.Error as error:
        raise TaskfileError(f"`{printable(path)}` is no table: {error}", place=place) from error
    return found


def collect(errors: list[BtError], action: Callable[[], object]) -> None:
    """Do something and put its error, if any, with the others."""
    try:
        action()
    except Problems as several:
        errors += several.errors
    except BtError as error:
        errors.append(error)
