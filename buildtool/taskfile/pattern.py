"""Path patterns: `{name}` wildcards, `*`, `**`, `?`, `[…]`, and the paths they stand for.

Knows neither tasks nor the disk. Wildcard values and variables are data: nothing in them is special.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property

from buildtool.paths import canonical
from buildtool.regex import Regex

RESERVED = frozenset(
    {"input", "inputs", "output", "outputs", "params", "vars", "cpus", "args", "depfile", "job"}
)

SEGMENT = "[^/]+"  # what a wildcard without a regular expression of its own matches

_VARIABLE = Regex(r"vars\.([A-Za-z_][\w-]*)\Z", re.ASCII)
_SPECIAL = Regex(r"[*?\[{]|\}\}?")


class PatternError(ValueError):
    """A pattern cannot be read; the message names the cause."""


class Wild:
    """`{name}`, `{name:**}` or `{name:regex}`."""

    __slots__ = ("name", "regex")

    def __init__(self, name: str, regex: str) -> None:
        self.name = name
        self.regex = regex

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Wild) and self.name == other.name and self.regex == other.regex

    def __hash__(self) -> int:
        return hash((self.name, self.regex))

    @property
    def text(self) -> str:
        """The wildcard as a person would write it."""
        return f"{{{self.name}}}"

    @property
    def deep(self) -> bool:
        """Whether a value may hold `/`."""
        return "/" in self.regex.replace("[^/]", "") or self.regex == ".+"


class Glob:
    """`*`, `**`, `**/`, `?` or `[…]`, as a regular expression."""

    __slots__ = ("regex", "text")

    def __init__(self, text: str, regex: str) -> None:
        self.text = text
        self.regex = regex

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Glob) and self.text == other.text and self.regex == other.regex

    def __hash__(self) -> int:
        return hash((self.text, self.regex))

    @property
    def deep(self) -> bool:
        """Whether it may match more than one path segment."""
        return self.text.startswith("**")


Part = str | Wild | Glob

_FOLDERS = Glob("**/", r"(?:(?!\.)[^/]+/)*")
_ALL_FOLDERS = Glob("**/", r"(?:[^/]+/)*")
_VISIBLE = Glob("**", r"(?:[^/]+/(?!\.))*[^/]+")
_ALL = Glob("**", ".+")
_ANY_NAME = "\1"  # no file is called so, and any pattern for files of every name matches it


class Pattern:
    """One parsed pattern. Equal texts give equal patterns."""

    def __init__(self, parts: tuple[Part, ...]) -> None:
        self.parts = parts

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Pattern) and self.parts == other.parts

    def __hash__(self) -> int:
        return hash(self.parts)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The wildcards, in order of appearance, each once."""
        return tuple(dict.fromkeys(p.name for p in self.parts if isinstance(p, Wild)))

    @cached_property
    def is_glob(self) -> bool:
        """Whether it holds `*`, `**`, `?` or `[…]`."""
        return any(isinstance(p, Glob) for p in self.parts)

    @cached_property
    def is_literal(self) -> bool:
        """Whether it stands for one path only."""
        return all(isinstance(p, str) for p in self.parts)

    @cached_property
    def is_directory(self) -> bool:
        """Whether it ends in `/`."""
        last = self.parts[-1] if self.parts else ""
        return last.endswith("/") if isinstance(last, str) else isinstance(last, Glob) and last == _FOLDERS

    @cached_property
    def is_flat(self) -> bool:
        """Whether no wildcard or glob crosses a `/`, so that its depth is known."""
        return not any(not isinstance(p, str) and p.deep for p in self.parts)

    @cached_property
    def prefix(self) -> str:
        """The literal text before the first wildcard or glob."""
        return self.parts[0] if self.parts and isinstance(self.parts[0], str) else ""

    @cached_property
    def suffix(self) -> str:
        """The literal text behind the last wildcard or glob (all of it where there is none)."""
        return self.parts[-1] if self.parts and isinstance(self.parts[-1], str) else ""

    @cached_property
    def folder(self) -> str:
        """The directory that the literal prefix names, with its `/`, or `""`."""
        return self.prefix[: self.prefix.rfind("/") + 1]

    @cached_property
    def levels(self) -> int:
        """How many path segments of a flat pattern stand below `folder`."""
        return len(self.segments()) - self.folder.count("/")

    @cached_property
    def regex(self) -> re.Pattern[str]:
        """Matches the whole of every path that the pattern stands for; wildcards are named groups."""
        return re.compile(_regex(self.parts), re.DOTALL)

    @cached_property
    def _frame(self) -> tuple[str, str, str] | None:
        """What stands before the only wildcard, its name, and what stands behind; None for any other pattern.

        Most patterns are such, and need neither a regular expression nor a loop over their parts.
        """
        wilds = [p for p in self.parts if not isinstance(p, str)]
        if len(wilds) != 1 or not isinstance(wilds[0], Wild) or wilds[0].regex != SEGMENT:
            return None
        return self.prefix, wilds[0].name, self.suffix

    def match(self, path: str) -> dict[str, str] | None:
        """The wildcard values with which the pattern is `path`, or None."""
        if not (path.startswith(self.prefix) and path.endswith(self.suffix)):
            return None
        if self._frame is not None:
            prefix, name, suffix = self._frame
            value = path[len(prefix) : len(path) - len(suffix)]
            return {name: value} if value and "/" not in value else None
        if path[-1:] == "/" and not self.is_directory:
            return None  # what lies in a directory is not the directory, although `*` may be nothing
        found = self.regex.fullmatch(path)
        return None if found is None else {name: found[name] for name in self.names}

    def fill(self, values: Mapping[str, str]) -> Pattern:
        """The pattern with these wildcards replaced; others stay."""
        if not self.names:
            return self
        filled: list[Part] = [values.get(p.name, p) if isinstance(p, Wild) else p for p in self.parts]
        return Pattern(_joined(filled))

    def constrain(self, wilds: Mapping[str, Wild]) -> Pattern:
        """The pattern with these wildcards in the place of its own of the same names."""
        return Pattern(tuple(wilds.get(p.name, p) if isinstance(p, Wild) else p for p in self.parts))

    def path(self, values: Mapping[str, str]) -> str:
        """The one path that the pattern, which holds no glob, is with all its wildcards filled in."""
        if self._frame is not None:
            prefix, name, suffix = self._frame
            return f"{prefix}{values[name]}{suffix}"
        return "".join([values[p.name] if isinstance(p, Wild) else str(p) for p in self.parts])

    def start(self, values: Mapping[str, str]) -> str:
        """The prefix of the pattern with these wildcards filled in: the path, if it holds nothing else."""
        if self._frame is not None:
            prefix, name, suffix = self._frame
            return f"{prefix}{values[name]}{suffix}" if name in values else prefix
        found = []
        for part in self.parts:
            text = values.get(part.name) if isinstance(part, Wild) else part
            if not isinstance(text, str):
                break
            found.append(text)
        return "".join(found)

    def may_overlap(self, other: Pattern) -> bool:
        """Whether one path could match both; False is certain, True is a guess."""
        a, b, c, d = self.prefix, other.prefix, self.suffix, other.suffix
        return (a.startswith(b) or b.startswith(a)) and (c.endswith(d) or d.endswith(c))

    @property
    def inner(self) -> Pattern:
        """For a directory: all that is in it, at any depth, names that begin with a dot included."""
        return Pattern((*self.parts, _ALL))

    def may_reach(self, folder: str) -> bool:
        """Whether something in a directory (with its `/`), or further below it, could match; True is a guess."""
        prefix = self.prefix
        if not (folder.startswith(self.folder) or prefix.startswith(folder)):
            return False
        return any(head.fullmatch(folder) is not None for head in self._heads)

    def names_directory(self, folder: str) -> bool:
        """Whether it names a directory (with its `/`) in which it looks, or takes whatever is in it."""
        return self.folder.startswith(folder) or self.match(folder + _ANY_NAME) is not None

    @cached_property
    def _heads(self) -> list[re.Pattern[str]]:
        """Matches for the directories on the way to what the pattern stands for."""
        heads: list[list[Part]] = []
        parts: list[Part] = []
        last = len(self.parts) - 1
        for place, part in enumerate(self.parts):
            if isinstance(part, str):
                ends = [at + 1 for at, letter in enumerate(part) if letter == "/"]
                heads += [[*parts, part[:end]] for end in ends if end < len(part) or place < last]
            elif part.deep:
                starts = not parts or (isinstance(parts[-1], str) and parts[-1].endswith("/"))
                rest: list[Part] = [] if starts else [Glob("*", "[^/]*"), "/"]
                heads.append([*parts, *rest, _ALL_FOLDERS if part == _ALL else _FOLDERS])
            parts.append(part)
        return [segment_regex(head) for head in heads]

    @property
    def text(self) -> str:
        """The pattern as a person would write it."""
        return "".join(
            p if isinstance(p, str) else p.text if isinstance(p, Glob) else f"{{{p.name}}}"
            for p in self.parts
        )

    def segments(self) -> list[tuple[Part, ...]]:
        """The parts of each path segment, for a flat pattern; a directory's last, empty segment is left out."""
        found: list[list[Part]] = [[]]
        for part in self.parts:
            if not isinstance(part, str):
                found[-1].append(part)
                continue
            first, *rest = part.split("/")
            if first:
                found[-1].append(first)
            found += [[text] if text else [] for text in rest]
        if found and not found[-1]:
            found.pop()
        return [tuple(parts) for parts in found]


def segment_regex(parts: Sequence[Part]) -> re.Pattern[str]:
    """Matches what these parts stand for, such as one path segment; the wildcards in it are named groups."""
    return re.compile(_regex(parts), re.DOTALL)


def _regex(parts: Sequence[Part]) -> str:
    seen: set[str] = set()
    found = []
    at_start = True  # of a path segment, where a `*` does not match a leading dot
    for part in parts:
        if isinstance(part, str):
            found.append(re.escape(part))
        elif isinstance(part, Wild):
            found.append(f"(?P={part.name})" if part.name in seen else f"(?P<{part.name}>{part.regex})")
            seen.add(part.name)
        else:
            hidden = not at_start or part.text == "**/" or part == _ALL
            found.append(part.regex if hidden else rf"(?!\.){part.regex}")
        at_start = (
            part.endswith("/") if isinstance(part, str) else isinstance(part, Glob) and part.text == "**/"
        )
    return "".join(found)


Parts = tuple[Part | tuple[str, str], ...]  # a variable stands as `("vars", NAME)`


def parse_pattern(
    text: str, root: str, variable: Callable[[str], list[tuple[Part, ...]]] | None = None
) -> list[Pattern]:
    """The patterns that `text` stands for: one, or several where a variable in it is a list.

    `variable` gives the choices for `{vars.NAME}`, each as parts. Paths are made canonical against the
    absolute directory `root`. Raises `PatternError`, and whatever `variable` raises.
    """
    parts = parse_parts(text)
    names = [p[1] for p in parts if isinstance(p, tuple)]
    if not names:
        return [_pattern([p for p in parts if not isinstance(p, tuple)], root)]
    if variable is None:
        raise PatternError("variables cannot be used here")
    choices = {name: variable(name) for name in dict.fromkeys(names)}
    found = []
    for combination in itertools.product(*choices.values()):
        values = dict(zip(choices, combination, strict=True))
        chosen: list[Part] = []
        for part in parts:
            chosen += values[part[1]] if isinstance(part, tuple) else (part,)
        found.append(_pattern(chosen, root))
    return found


def parse_parts(text: str) -> Parts:
    """Split a pattern's text into what it is made of. Raises `PatternError`."""
    parts: list[Part | tuple[str, str]] = []
    position = 0
    while position < len(text):
        found = _SPECIAL.search(text, position)
        if found is None:
            parts.append(text[position:])
            break
        if found.start() > position:
            parts.append(text[position : found.start()])
        position, part = _special(text, found.start())
        parts.append(part)
    return tuple(parts)


def _special(text: str, start: int) -> tuple[int, Part | tuple[str, str]]:
    """The part that begins with the special character at `start`, and the position behind it."""
    if text.startswith(("{{", "}}"), start):
        return start + 2, text[start]
    if text[start] == "}":
        raise PatternError("a `}` without its `{` (write `}}` for a brace)")
    if text[start] == "{":
        return _wildcard(text, start)
    if text[start] == "[":
        return _class(text, start)
    if text[start] == "?":
        return start + 1, Glob("?", "[^/]")
    if not text.startswith("**", start):
        return start + 1, Glob("*", "[^/]*")
    if start and text[start - 1] != "/":
        raise PatternError("`**` must be a whole path segment")
    if text.startswith("/", start + 2):
        return start + 3, _FOLDERS
    if start + 2 != len(text):
        raise PatternError("`**` must be a whole path segment")
    return start + 2, _VISIBLE


def _wildcard(text: str, start: int) -> tuple[int, Part | tuple[str, str]]:
    depth, end = 0, start
    for end in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[end], 0)
        if depth == 0:
            break
    if depth:
        raise PatternError("a `{` without its `}` (write `{{` for a brace)")
    name, colon, regex = text[start + 1 : end].partition(":")
    if name.startswith("vars.") and (variable := _VARIABLE.match(name)):
        return end + 1, ("vars", variable[1])
    if not (name.isascii() and name.isidentifier()):
        raise PatternError(f"`{{{name}}}` is no wildcard: a name is letters, digits and `_`")
    if name in RESERVED:
        raise PatternError(f"`{{{name}}}` cannot be a wildcard: the name has a meaning of its own")
    if not colon:
        return end + 1, Wild(name, SEGMENT)
    if regex == "**":
        regex = ".+"
    try:
        groups = re.compile(regex).groupindex
    except re.error as error:
        raise PatternError(f"`{regex}` is no regular expression: {error.msg}") from error
    if groups or not regex:
        raise PatternError(f"`{{{name}:…}}` needs a regular expression without named groups")
    return end + 1, Wild(name, regex)


def _class(text: str, start: int) -> tuple[int, Part]:
    end = text.find("]", start + 2 + (text[start + 1 : start + 2] in ("!", "^")))
    if end < 0:
        return start + 1, "["  # as in a shell, a bracket that is not closed is a bracket
    inner = text[start + 1 : end]
    if len(inner) == 1 and inner not in "!^":
        return end + 1, inner  # `[*]` is how a literal star is written
    negated = inner[0] in "!^"
    body = (inner[1:] if negated else inner).replace("\\", "\\\\").replace("[", "\\[")
    try:
        re.compile(f"[{body}]")
    except re.error as error:
        raise PatternError(f"`[{inner}]` is no set of characters: {error.msg}") from error
    return end + 1, Glob(f"[{inner}]", f"(?!/)[{'^' if negated else ''}{body}]")


def _joined(parts: Sequence[Part]) -> tuple[Part, ...]:
    """The parts with neighbouring texts made one."""
    found: list[Part] = []
    for part in parts:
        if isinstance(part, str) and found and isinstance(found[-1], str):
            found[-1] += part
        elif part != "":
            found.append(part)
    return tuple(found)


def _pattern(parts: Sequence[Part], root: str) -> Pattern:
    joined = list(_joined(parts))
    if not joined:
        raise PatternError("the path is empty")
    if any(isinstance(p, str) and "\0" in p for p in joined):
        raise PatternError("a path cannot hold a NUL character")
    if isinstance(joined[0], str):
        head = joined[0]
        cut = len(head) if len(joined) == 1 else head.rfind("/") + 1
        if cut:
            start = canonical(head[:cut], root)
            joined[0] = ("" if start == "./" and len(joined) > 1 else start) + head[cut:]
    for place, part in enumerate(joined):
        if place and isinstance(part, str) and ("//" in part or "/./" in part or "/../" in part):
            raise PatternError("`//`, `/./` and `/../` cannot follow a wildcard")
    return Pattern(_joined(joined))
