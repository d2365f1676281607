"""Where each key and value of a TOML text stands: key paths to places, by one linear scan.

Reads only text that `tomli` has accepted, so it looks for ends, not for mistakes. Keys mean nothing to it.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from itertools import accumulate

import tomli

from buildtool.errors import Place
from buildtool.regex import Regex

Path = tuple[str | int, ...]  # names of tables and keys; a number is an index into a list

_SPACE = Regex(r"[ \t]*")
_BLANK = Regex(r"(?:[ \t\n]+|#[^\n]*)*")
_BARE = Regex(r"[A-Za-z0-9_-]+")
_PLAIN = Regex(r"[^,\]}#\n]*")  # numbers, dates, true and false
_WRITTEN = Regex(  # one character of a basic string as it is written, or a break of a line that is none
    r"\\(?:u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|x[0-9A-Fa-f]{2}|(?P<none>[ \t]*\n[ \t\n]*)|.)|.", re.DOTALL
)
_STRINGS = {  # to the end of a string of one line
    '"': Regex(r'"[^"\\\n]*(?:\\.[^"\\\n]*)*"'),
    "'": Regex(r"'[^'\n]*'"),
}
_BLOCKS = {  # to the end of a string of many lines; two more quotes may belong to it
    '"""': Regex(r'"""[^"\\]*(?:(?:\\.|""?(?!"))[^"\\]*)*"{3,5}', re.DOTALL),
    "'''": Regex(r"'''[^']*(?:''?(?!')[^']*)*'{3,5}"),
}


class _Node:
    """A table, list or plain value: where its key and its value start and stop, and what is in it."""

    __slots__ = ("begin", "end", "inner", "length", "start", "stop")

    def __init__(self, start: int, stop: int) -> None:
        self.start = self.begin = start  # of the key
        self.stop = self.end = stop
        self.inner: dict[str | int, _Node] = {}
        self.length = 0  # of a list of `[[tables]]`

    def child(self, name: str | int, start: int, stop: int) -> _Node:
        """What is below the key `name`, which stands here if it is not known yet."""
        found = self.inner.get(name)
        if found is None:
            found = self.inner[name] = _Node(start, stop)
        return found


class Places:
    """The places of all keys and values of one text."""

    def __init__(self, text: str, file: str, root: _Node) -> None:
        self.file = file
        self._text = text
        self._root = root
        self._lines = text.split("\n")
        self._starts = [0, *accumulate(len(line) + 1 for line in self._lines)]

    def key(self, path: Path) -> Place:
        """Where a key is written, or the last part of a table's header; else what encloses it."""
        node = self._find(path)
        return self._place(node.start, node.stop)

    def value(self, path: Path) -> Place:
        """Where a value starts, as far as its first line goes; else what encloses it."""
        node = self._find(path)
        return self._place(node.begin, node.end)

    def inside(self, path: Path, offset: int, length: int) -> Place:
        """Where a stretch of a text stands, given by its place in the value, as far as its first line goes."""
        node = self._find(path)
        raw = self._text[node.begin : node.end]
        start, stop = (_written_at(raw, at) for at in (offset, offset + length))
        if start is None or stop is None:
            return self.value(path)
        return self._place(node.begin + start, node.begin + stop)

    def table(self, path: Path) -> Mapping[str, Place]:
        """The places of the keys of a table, found when asked for."""
        return _Keys(self, path, self._find(path))

    def _find(self, path: Path) -> _Node:
        node = self._root
        for part in path:
            below = node.inner.get(part)
            if below is None:
                break
            node = below
        return node

    def _place(self, start: int, stop: int) -> Place:
        row = bisect_right(self._starts, start) - 1
        text = self._lines[row]
        column = start - self._starts[row] + 1
        end = min(stop - self._starts[row], len(text)) + 1
        return Place(self.file, row + 1, column, max(end, column), text)


def _written_at(raw: str, offset: int) -> int | None:
    """Where in a string as it is written the character of its value with this number stands."""
    quotes = raw[:3] if raw[:3] in _BLOCKS else raw[:1]
    if quotes not in _BLOCKS and quotes not in _STRINGS:
        return None
    at = len(quotes)
    if len(quotes) == 3 and raw.startswith("\n", at):
        at += 1
    if quotes[0] == "'" or "\\" not in raw:
        return at + offset
    while match := _WRITTEN.match(raw, at):
        if not match["none"]:
            if offset == 0:
                return at
            offset -= 1
        at = match.end()
    return None


class _Keys(Mapping[str, Place]):
    """The keys of one table by name."""

    __slots__ = ("_node", "_path", "_places")

    def __init__(self, places: Places, path: Path, node: _Node) -> None:
        self._places = places
        self._path = path
        self._node = node

    def __getitem__(self, name: str) -> Place:
        if name not in self._node.inner:
            raise KeyError(name)
        return self._places.key((*self._path, name))

    def __iter__(self) -> Iterator[str]:
        return (name for name in self._node.inner if isinstance(name, str))

    def __len__(self) -> int:
        return sum(1 for _ in self)


def scan(text: str, file: str) -> Places:
    """The places in a text that `tomli` accepts; a byte order mark and CRLF are as if they were not there."""
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    return Places(text, file, _Scanner(text).document())


class _Scanner:
    """Walks over a text once; gives up at the first thing it does not know, and keeps what it found."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.root = _Node(0, 0)

    def document(self) -> _Node:
        table = self.root
        while char := self._skip(_BLANK):
            if char == "[":
                table = self._header()
            else:
                self._pair(table)
        return self.root

    def _skip(self, pattern: Regex) -> str:
        """Pass over what matches, and tell the character that comes then; none at the end."""
        match = pattern.match(self.text, self.at)
        self.at = match.end() if match else len(self.text)
        return self.text[self.at : self.at + 1]

    def _header(self) -> _Node:
        """`[a.b]` or `[[a.b]]`: the table that the pairs below it go into."""
        many = self.text.startswith("[[", self.at)
        self.at += 2 if many else 1
        *outer, (name, start, stop) = self._dotted()
        self.at += 2 if many else 1
        node = self.root
        for part in outer:
            node = node.child(*part)
            if node.length:
                node = node.inner[node.length - 1]
        node = node.child(name, start, stop)
        if many:
            node.length += 1
            return node.child(node.length - 1, start, stop)
        node.start = node.begin = start  # known before from a header further in
        node.stop = node.end = stop
        return node

    def _pair(self, table: _Node) -> None:
        for part in self._dotted():
            table = table.child(*part)
        self.at += 1  # the equals sign
        self._skip(_SPACE)
        self._value(table)

    def _dotted(self) -> list[tuple[str, int, int]]:
        """The parts of a key, each with its start and stop; goes on behind the space that follows."""
        parts = []
        while True:
            char = self._skip(_SPACE)
            start = self.at
            self._skip(_STRINGS.get(char, _BARE))
            raw = self.text[start : self.at]
            name = raw
            if char in _STRINGS:
                name = tomli.loads("k=" + raw)["k"] if "\\" in raw else raw[1:-1]
            parts.append((name, start, self.at))
            if self._skip(_SPACE) != ".":
                return parts
            self.at += 1

    def _value(self, node: _Node) -> None:
        start = self.at
        char = self.text[start : start + 1]
        if char in _STRINGS:
            self._skip(_BLOCKS.get(self.text[start : start + 3], _STRINGS[char]))
        elif char == "[":
            self._list(node)
        elif char == "{":
            self._inline(node)
        else:
            self._skip(_PLAIN)
            self.at = start + len(self.text[start : self.at].rstrip())
        node.begin = start
        node.end = self.at

    def _list(self, node: _Node) -> None:
        self.at += 1
        index = 0
        while (char := self._skip(_BLANK)) not in {"]", ""}:
            if char == ",":
                self.at += 1
                continue
            start = self.at
            item = node.child(index, start, start)
            self._value(item)
            item.start, item.stop = item.begin, item.end
            index += 1
        self.at += 1

    def _inline(self, node: _Node) -> None:
        self.at += 1
        while (char := self._skip(_BLANK)) not in {"}", ""}:
            if char == ",":
                self.at += 1
            else:
                self._pair(node)
        self.at += 1
