"""Where marks stand in shell text that is not made of words: quotes, `${...}`, `$((...))`, backticks.

The half of `shellscan` that knows nothing of commands: a subclass reads the words.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod

from buildtool.regex import Regex
from buildtool.taskfile.shell import MARK, Body, Kind, Spot
from buildtool.tuples import NamedTuple

START, MAYBE, ARGUMENT = "start", "maybe", "argument"  # can a reserved word stand here?
_IN_DOUBLE = Regex(r"""[^\0\\"$`]+""")
_IN_PARAMETER = Regex(r"""[^\0\\"'$`}<>]+""")
_IN_ARITHMETIC = Regex(r"""[^\0\\"'$`#()]+""")
_PARAMETER = Regex(r"\$(?:[A-Za-z_][A-Za-z0-9_]*|[0-9])")
_SPECIAL = Regex(r"\$[@*#?$!-]")
_NAME = r"(?:[A-Za-z_][A-Za-z0-9_]*|[0-9]+|[@*])"
_DEFAULT = Regex(_NAME + r"(?:\[[^\]\0]*\])?(?::?[-+=?]|##?|%%?)")
_INDEX = Regex(_NAME + r"(?:\[|:|:[^:-][^:]*:)\Z")
_LIVE_END = Regex(r"(?:[\\$~]|\$\w+)(?:\\\n)*\Z")
_BACKTICKS = "inside backticks: use `$(...)` instead"
_BRACES = "inside `${...}`: assign it to a shell variable first"
BACKSLASH = "right behind a backslash: put the placeholder in quotes of its own"
DOLLAR = "right behind a `$`: put the placeholder in quotes of its own"


class LostError(Exception):
    """The text is beyond this scanner."""


class Heredoc(NamedTuple):
    """A here-document that is announced and whose text is still to come."""

    delimiter: str
    tabs: bool
    quoted: bool
    depth: int


class Frame:
    """Something open, and how far its words have come."""

    __slots__ = ("cases", "depth", "kind", "place", "start", "target", "word")

    def __init__(self, kind: str, start: int, place: str = START) -> None:
        self.kind = kind  # command, test, array, glob: made of words; double, parameter, arithmetic: of text
        self.start = start
        self.place = place
        self.word = -1  # where the word at hand began
        self.target = False  # the next word is where a redirection goes
        self.depth = 0  # parentheses
        self.cases: list[str] = []  # of each open `case`: word, in, pattern or body


class TextScanner(ABC):
    """A place in a shell text, what is open there, and the spots found so far."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.stack = [Frame("command", 0)]
        self.spots: list[Spot] = []
        self.bodies: list[Body] = []
        self.pending: list[Heredoc] = []
        self.glue = -1  # where a `$name` has just ended

    @property
    def frame(self) -> Frame:
        """What was opened last."""
        return self.stack[-1]

    def _step(self) -> None:
        kind = self.frame.kind
        if kind == "double":
            self._double()
        elif kind == "parameter":
            self._parameter()
        elif kind == "arithmetic":
            self._arithmetic()
        else:
            self._words()

    @abstractmethod
    def _words(self) -> None:
        """Step over a character where words are made."""

    def _push(self, kind: str, skip: int) -> None:
        self.at += skip
        place = ARGUMENT if kind in {"array", "glob"} else START
        self.stack.append(Frame(kind, self.at, place))

    def _pop(self, skip: int) -> None:
        if any(heredoc.depth >= len(self.stack) for heredoc in self.pending):
            raise LostError("a here-document that is closed before its text")
        self.stack.pop()
        self.at += skip

    def _run(self, ordinary: Regex) -> None:
        """Step over text that means nothing, or over one character."""
        found = ordinary.match(self.text, self.at)
        end = found.end() if found else self.at + 1
        if self.pending:
            self._no_newline(end)
        self.at = end

    def _no_newline(self, end: int) -> None:
        if self.pending and "\n" in self.text[self.at : end]:
            raise LostError("a here-document whose line goes on over a newline")

    def _double(self) -> None:
        char = self.text[self.at]
        if char == MARK:
            self._mark(Spot(Kind.GLUED if self.glue == self.at else Kind.DOUBLE))
        elif char == '"':
            self._pop(1)
        elif not self._common(char):
            self._run(_IN_DOUBLE)

    def _parameter(self) -> None:
        char = self.text[self.at]
        if char == MARK:
            self.spots.append(self._parameter_spot())
            self.at += 1
        elif char == "}":
            self._pop(1)
        elif char in "'\"":
            if self._quoted():
                raise LostError("quotes in a `${...}` that is quoted itself")
            self._quote(char)
        elif char == "`" or self.text.startswith(("<(", ">("), self.at):
            raise LostError("a command in a `${...}`")
        elif not self._common(char):
            self._run(_IN_PARAMETER)

    def _parameter_spot(self) -> Spot:
        before = self.text[self.frame.start : self.at]
        if self.glue != self.at and _INDEX.match(before):
            return Spot(Kind.NUMBER)
        return self._safe(self.at, _BRACES) if _DEFAULT.match(before) else Spot(Kind.NEVER, _BRACES)

    def _arithmetic(self) -> None:
        char = self.text[self.at]
        if char == MARK:
            glued = self.glue == self.at
            self._mark(Spot(Kind.NEVER, DOLLAR) if glued else Spot(Kind.NUMBER))
        elif char == "(":
            self.frame.depth += 1
            self.at += 1
        elif char == ")" and self.frame.depth:
            self.frame.depth -= 1
            self.at += 1
        elif char == ")":
            if not self.text.startswith("))", self.at):
                raise LostError("a `((` that is no arithmetic")
            self._pop(2)
        elif char in "'\"`\\" or (char == "#" and self.text[self.at - 1] in " \t\n("):
            raise LostError(f"a `{char}` in arithmetic")
        elif not self._common(char):
            self._run(_IN_ARITHMETIC)

    def _common(self, char: str) -> bool:
        """What means the same in every kind of text but '...'."""
        if char == "\\":
            self._escape()
        elif char == "$":
            self._dollar()
        elif char == "`":
            self._backticks()
        else:
            return False
        return True

    def _escape(self) -> None:
        after = self.text[self.at + 1 : self.at + 2]
        if after == "\n":
            if self.glue == self.at:
                self.glue += 2
            self.at += 2
            return
        self._begin_word()
        if after == MARK:
            self.spots.append(Spot(Kind.NEVER, BACKSLASH))
        self.at += 2

    def _dollar(self) -> None:
        self._begin_word()
        text, at = self.text, self.at
        after = text[at + 1 : at + 2]
        if after == MARK:
            self.spots.append(Spot(Kind.NEVER, DOLLAR))
            self.at += 2
        elif text.startswith("$((", at):
            self._push("arithmetic", 3)
        elif after == "(":
            self._push("command", 2)
        elif after == "{":
            if text[at + 2 : at + 3] in {" ", "\t", "\n", "|"}:
                raise LostError("a `${ command; }`")
            self._push("parameter", 2)
        elif after in {"[", "\\"} and (after == "[" or text.startswith("\\\n", at + 1)):
            raise LostError(f"a `${'[' if after == '[' else '` with a line break behind it'}")
        elif after == "'" and not self._quoted():
            self._ansi()
        elif found := _PARAMETER.match(text, at):
            self.at = self.glue = found.end()
        else:
            self.at += 2 if _SPECIAL.match(text, at) else 1

    def _quote(self, char: str) -> None:
        if char == '"':
            self._push("double", 1)
            return
        end = self.text.find("'", self.at + 1)
        if end < 0:
            raise LostError("a `'` that is never closed")
        self._no_newline(end)
        for offset in self._marks(self.at, end):
            self.spots.append(self._safe(offset, _BRACES) if self._in_text() else Spot(Kind.SINGLE))
        self.at = end + 1

    def _ansi(self) -> None:
        if self._in_text():
            raise LostError("a `$'` in a `${...}`")
        end = self.at + 2
        found: list[Spot] = []
        while (char := self.text[end : end + 1]) != "'":
            after = self.text[end + 1 : end + 2]
            if not char or (char == "\\" and after == "'"):
                raise LostError("a `$'` whose end not every shell sees alike")
            if char == MARK:
                found.append(Spot(Kind.ANSI))
            elif char == "\\" and after == MARK:
                found.append(Spot(Kind.NEVER, BACKSLASH))
            end += 2 if char == "\\" else 1
        self._no_newline(end)
        self.spots += found
        self.at = end + 1

    def _backticks(self) -> None:
        self._begin_word()
        found = re.compile(r"(?:[^\\`]|\\[\s\S])*`").match(self.text, self.at + 1)
        if found is None:
            raise LostError("a backtick that is never closed")
        self._no_newline(found.end())
        self.spots += [self._safe(offset, _BACKTICKS) for offset in self._marks(self.at, found.end())]
        self.at = found.end()

    def _mark(self, spot: Spot) -> None:
        """A spot, or a safe one where the text is within `${...}`."""
        inside = any(frame.kind == "parameter" for frame in self._since_command())
        self.spots.append(self._safe(self.at, _BRACES) if inside and spot.kind is not Kind.NUMBER else spot)
        self.at += 1

    def _safe(self, offset: int, why: str) -> Spot:
        if self.glue == offset or _LIVE_END.search(self.text[:offset]):
            return Spot(Kind.NEVER, why)
        return Spot(Kind.SAFE, why)

    def _marks(self, start: int, end: int) -> list[int]:
        return [offset for offset in range(start, end) if self.text[offset] == MARK]

    def _since_command(self) -> list[Frame]:
        """The frames of text around this point, the innermost first."""
        frames: list[Frame] = []
        for frame in reversed(self.stack):
            if frame.kind not in {"double", "parameter", "arithmetic"}:
                break
            frames.append(frame)
        return frames

    def _in_text(self) -> bool:
        return bool(self._since_command())

    def _quoted(self) -> bool:
        return any(frame.kind in {"double", "arithmetic"} for frame in self._since_command())

    def _begin_word(self) -> None:
        if self.frame.word < 0:
            self.frame.word = self.at
