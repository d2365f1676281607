"""Make-style dependency files: text to the names of what a command read.

Reads GNU make's rule syntax with the escaping that gcc's `mkdeps` writes (clang, rustc, nasm, swiftc and ghc
write the same or less of it). Knows nothing of the disk, of the project or of where the text came from.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from buildtool.regex import Regex

# A run of backslashes counts only before blanks, `#` and `:`; elsewhere it is part of the name.
_ESCAPE = Regex(r"(\\+)([ \t#:]|\Z)|\$\$|[ \t]+|\\+|[^\\$ \t]+|\$")
# A colon with a blank or nothing behind it ends the targets. Failing that, any colon does.
_COLON = Regex(r"(?<!\\)::?(?=[ \t]|\Z)")
_TIGHT_COLON = Regex(r"(?<!\\)::?")
_COMMENT = Regex(r"(?:^|(?<=[ \t]))(?<!\\[ \t])#.*", re.DOTALL)


def parse_depfile(text: str) -> list[str]:
    """Every prerequisite of every rule, once each, in the order in which they first stand.

    Targets are no prerequisites, so the empty rules of `gcc -MP` add nothing. Raises `ValueError` with a
    line number where a line is not a rule.
    """
    found: dict[str, None] = {}
    for number, line in _logical_lines(text):
        rule = _COMMENT.sub("", line)
        if not rule.strip():
            continue
        colon = _COLON.search(rule) or _TIGHT_COLON.search(rule)
        if colon is None:
            raise ValueError(f"line {number} is not a rule of a dependency file: it has no colon")
        found.update(dict.fromkeys(name for name in _names(rule[colon.end() :]) if name != "|"))
    return list(found)


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines with their continuations joined by a blank, each with the number of its first line."""
    held: list[str] = []
    first = 1
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), 1):
        if not held:
            first = number
        if (len(line) - len(line.rstrip("\\"))) % 2:
            held.append(line[:-1])
            continue
        yield first, " ".join([*held, line])
        held = []
    if held:
        yield first, " ".join(held)


def _names(text: str) -> Iterator[str]:
    """The words of a list of prerequisites, unescaped."""
    word = ""
    for token in _ESCAPE.finditer(text):
        part = token.group()
        slashes, after = token.group(1), token.group(2)
        if slashes and after in {"#", ":"}:
            word += slashes[1:] + after  # gcc does not double the backslashes before these
        elif slashes:
            word += slashes[: len(slashes) // 2]
            if len(slashes) % 2:
                word += after or "\\"
            elif word:
                yield word
                word = ""
        elif part == "$$":
            word += "$"
        elif part[0] in " \t":
            if word:
                yield word
            word = ""
        else:
            word += part
    if word:
        yield word
