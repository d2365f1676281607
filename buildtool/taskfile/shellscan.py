"""Where marks stand in shell text: one pass over it with the grammar that sh, dash and bash share.

Knows nothing of placeholders or values. What it does not understand it gives up on: from there on only values
that mean nothing anywhere are allowed. It may refuse too much; it must never be wrong.
"""

from __future__ import annotations

import re

from buildtool.regex import Regex
from buildtool.taskfile.shell import MARK, Body, Kind, Spot
from buildtool.taskfile.shelltext import (
    ARGUMENT,
    BACKSLASH,
    DOLLAR,
    MAYBE,
    START,
    Frame,
    Heredoc,
    LostError,
    TextScanner,
)

_FOR, _FOR_IN, _FUNCTION = "for", "for in", "function"
_KEEP = frozenset("if then else elif fi do done while until time -p ! { }".split())  # noqa: SIM905
_ASSIGNMENT = Regex(r"[A-Za-z_\0][A-Za-z0-9_\0]*(?:\[[^\]]*\])?\+?=")
_SUBSCRIPT = Regex(r"[A-Za-z_][A-Za-z0-9_]*\[[^\]]*\Z")
_FUNCTION_PARENS = Regex(r"\([ \t]*\)")
_DESCRIPTOR = Regex(r"(?:[0-9\0]|\\\n)*[<>]")
_ORDINARY = Regex(r"""[^\0 \t\n\\'"$`#;&|<>()]+""")
_REDIRECTION = Regex(r"&>>?|<<<|<>|>>|[<>]&|>\||[<>]")
_HEREDOC = Regex(
    r"""<<(-?)[ \t]*(?:'([^'\n\0]*)'|"([^"\n\0\\$`]*)"|(\\?)([A-Za-z0-9_.]+))(?=[ \t\n;&|<>()]|\Z)"""
)
_BODY = Regex(
    r"""\\[\s\S]?|\$\{[^{}`'"\\$\s\0][^{}`'"\\$\n\0]*\}|\$\(\([^()`'"\\\n\0]*\)\)|\$\([^()`'"\\\n\0]*\)"""
    r"""|\$[A-Za-z_][A-Za-z0-9_]*|\$[0-9@*#?$!-]|\$[\0({[\\]|[\0`]"""
)
_TEST_ARITHMETIC = Regex(r"\s-(?:eq|ne|lt|le|gt|ge|v|R)\s")


def scan(text: str) -> tuple[list[Spot], list[Body]]:
    """One spot for each mark, in their order, and the here-documents that hold some."""
    return _Scanner(text).scan()


class _Scanner(TextScanner):
    def scan(self) -> tuple[list[Spot], list[Body]]:
        lost = "where its quoting cannot be told: assign it to a shell variable first"
        try:
            while self.at < len(self.text):
                self._step()
            if not self._in_text():
                self._end_word()
        except LostError as error:
            lost = f"after {error}: assign it to a shell variable before that"
        if len(self.stack) > 1:  # something is never closed: trust nothing since it was opened
            lost_from = self.text.count(MARK, 0, self.stack[1].start)
            del self.spots[lost_from:]
        offset = -1
        for index in range(self.text.count(MARK)):
            offset = self.text.index(MARK, offset + 1)
            if index == len(self.spots):
                self.spots.append(self._safe(offset, lost))
        return self.spots, self.bodies

    # Words

    def _words(self) -> None:
        char = self.text[self.at]
        if char in " \t":
            self._end_word()
            self.at += 1
        elif char == MARK:
            self.spots.append(self._word_spot())
            self._begin_word()
            self.at += 1
        elif char == "\n":
            self._newline()
        elif char in "'\"":
            self._begin_word()
            self._quote(char)
        elif char == "#" and self.frame.word < 0:
            self._comment()
        elif char in ";&|":
            self._operator()
        elif char in "<>":
            self._redirection()
        elif char == "(":
            self._open()
        elif char == ")":
            self._close()
        elif not self._common(char):
            self._begin_word()
            self._run(_ORDINARY)

    def _word_spot(self) -> Spot:
        """How a value is written that is a word or a part of one."""
        frame, at = self.frame, self.at
        before = self.text[frame.word : at].replace("\\\n", "") if frame.word >= 0 else ""
        if frame.kind == "test":
            end = self.text.find("]]", at)
            if _TEST_ARITHMETIC.search(self.text, frame.start, end if end >= 0 else len(self.text)):
                return self._safe(at, "in a `[[ ]]` that computes: use `[ ]`")
            return Spot(Kind.QUOTED, words="`[[ ]]`")
        counts = frame.kind == "command" and frame.place != ARGUMENT
        if (counts and _SUBSCRIPT.match(before)) or (
            frame.kind == "array" and before.startswith("[") and "]" not in before
        ):
            return Spot(Kind.NUMBER) if self.glue != at else Spot(Kind.NEVER, DOLLAR)
        assignment = counts and bool(_ASSIGNMENT.match(before))
        one = "a redirection" if frame.target else "an assignment" if assignment else ""
        after = self.text[at + 1 : at + 2]
        if self.glue == at or "~" in before or "[" in before or _DESCRIPTOR.match(self.text, at + 1):
            return Spot(Kind.QUOTED, words=one)
        if "{" in before:
            return Spot(Kind.DIGITS, words=one)
        if not counts or assignment or frame.target:
            return Spot(Kind.PLAIN, words=one)
        return Spot(Kind.QUOTED if before or (after and after not in " \t\n;&|)") else Kind.COMMAND)

    def _end_word(self) -> None:
        frame = self.frame
        if frame.word < 0:
            return
        word = self.text[frame.word : self.at].replace("\\\n", "")
        frame.word = -1
        if frame.kind == "test" and word == "]]":
            if frame.depth:
                raise LostError("a `]]` within parentheses")
            self._pop(0)
        elif frame.kind != "command":
            return
        elif frame.target:
            frame.target = False
            frame.place = MAYBE if frame.place == START else frame.place
        elif frame.cases and frame.cases[-1] != "body":
            self._case_word(frame, word)
        elif frame.place == _FOR:
            frame.place = _FOR_IN
        elif frame.place == _FOR_IN:
            frame.place = START if word == "do" else ARGUMENT
        elif frame.place == _FUNCTION:
            frame.place = START
        elif frame.place != ARGUMENT:
            self._first_word(frame, word)

    def _case_word(self, frame: Frame, word: str) -> None:
        state = frame.cases[-1]
        if state == "word":
            frame.cases[-1] = "in"
        elif state == "in":
            if word != "in":
                raise LostError("a `case` without `in`")
            frame.cases[-1] = "pattern"
            frame.place = START
        elif word == "esac" and frame.place == START:
            frame.cases.pop()
        else:
            frame.place = ARGUMENT

    def _first_word(self, frame: Frame, word: str) -> None:
        """A word where a command, and perhaps a reserved word, can stand."""
        sure = frame.place == START
        if word in _KEEP:
            return
        if word in {"case", "esac", "[[", "for", "select", "function", "coproc"}:
            if not sure or word == "coproc" or (word == "esac" and not frame.cases):
                raise LostError(f"a `{word}` that may be a command or its beginning")
            if word == "case":
                frame.cases.append("word")
                frame.place = ARGUMENT
            elif word == "esac":
                frame.cases.pop()
            elif word == "[[":
                self._push("test", 0)
            else:
                frame.place = _FUNCTION if word == "function" else _FOR
        else:
            frame.place = MAYBE if _ASSIGNMENT.match(word) else ARGUMENT

    def _newline(self) -> None:
        self._end_word()
        if self.pending and any(heredoc.depth != len(self.stack) for heredoc in self.pending):
            raise LostError("a here-document whose line goes on over a newline")
        self.at += 1
        if self.frame.kind == "command":
            self.frame.place = START
            self.frame.target = False
        pending, self.pending = self.pending, []
        for heredoc in pending:
            self._body(heredoc)

    def _comment(self) -> None:
        if self.frame.kind in {"test", "glob"}:
            raise LostError("a `#` in a pattern")
        end = self.text.find("\n", self.at)
        end = end if end >= 0 else len(self.text)
        self.spots += [Spot(Kind.COMMENT)] * len(self._marks(self.at, end))
        self.at = end

    def _operator(self) -> None:
        self._end_word()
        frame = self.frame
        char = self.text[self.at]
        if frame.kind == "array" or (frame.kind == "glob" and char != "|"):
            raise LostError(f"a `{char}` in a list of words")
        if frame.kind == "command":
            ends = re.compile(r";;&?|;&").match(self.text, self.at)
            if ends:
                if not frame.cases or frame.cases[-1] != "body":
                    raise LostError(f"a `{ends.group()}` outside of a `case`")
                frame.cases[-1] = "pattern"
                self.at = ends.end() - 1
            elif self.text.startswith("&>", self.at):
                self._redirection()
                return
            in_pattern = frame.cases and frame.cases[-1] == "pattern" and not ends
            frame.place = ARGUMENT if in_pattern else START
            frame.target = False
        self.at += 1

    def _redirection(self) -> None:
        frame = self.frame
        if frame.word >= 0 and re.fullmatch("[0-9]+", self.text[frame.word : self.at]):
            frame.word = -1  # the number of a file descriptor
        self._end_word()
        frame = self.frame
        if frame.kind in {"array", "glob"}:
            raise LostError("a redirection in a list of words")
        if frame.kind == "test":
            self.at += 1
        elif self.text.startswith(("<(", ">("), self.at):
            self._begin_word()
            self._push("command", 2)
        elif self.text.startswith("<<", self.at) and not self.text.startswith("<<<", self.at):
            self._heredoc()
        else:
            found = _REDIRECTION.match(self.text, self.at)
            self.at = found.end() if found else self.at + 1
            if self.text.startswith("\\\n", self.at):
                raise LostError("a redirection with a line break behind it")
            frame.target = True

    def _open(self) -> None:
        frame, text, at = self.frame, self.text, self.at
        word = text[frame.word : at] if frame.word >= 0 else ""
        parens = _FUNCTION_PARENS.match(text, at)
        if frame.kind == "test":
            self._end_word()
            self.frame.depth += 1
            self.at += 1
        elif word and word[-1] in "?*+@":
            self._push("glob", 1)
        elif frame.kind != "command":
            raise LostError("a `(` in a list of words")
        elif word.endswith("=") and _ASSIGNMENT.fullmatch(word):
            self._push("array", 1)
        elif frame.cases and frame.cases[-1] == "pattern" and not word:
            self.at += 1
        elif parens and not text.startswith("((", at):
            frame.word, frame.place, self.at = -1, START, parens.end()
        elif not word and frame.place in {START, _FOR}:
            arithmetic = text.startswith("((", at)
            if arithmetic is False and (frame.place == _FOR or text.startswith("\\\n(", at + 1)):
                raise LostError("a `(` that begins no subshell")
            frame.place = START
            self._push("arithmetic" if arithmetic else "command", 2 if arithmetic else 1)
        else:
            raise LostError("a `(` in the middle of a command")

    def _close(self) -> None:
        self._end_word()
        frame = self.frame
        if frame.kind == "test":
            frame.depth -= 1
            self.at += 1
            if frame.depth < 0:
                raise LostError("a `)` that closes nothing")
        elif frame.cases:
            if frame.cases[-1] != "pattern":
                raise LostError("a `)` in a `case`")
            frame.cases[-1] = "body"
            frame.place = START
            self.at += 1
        elif len(self.stack) == 1:
            raise LostError("a `)` that closes nothing")
        else:
            self._pop(1)

    # Here-documents

    def _heredoc(self) -> None:
        found = _HEREDOC.match(self.text, self.at)
        if found is None:
            raise LostError("a here-document with an unusual delimiter")
        dash, single, double, backslash, bare = found.groups()
        quoted = bare is None or bool(backslash)
        delimiter = next(text for text in (single, double, bare) if text is not None)
        self.pending.append(Heredoc(delimiter, bool(dash), quoted, len(self.stack)))
        if self.frame.place == START:
            self.frame.place = MAYBE
        self.at = found.end()

    def _body(self, heredoc: Heredoc) -> None:
        start = end = self.at
        while True:
            stop = self.text.find("\n", end)
            stop = stop if stop >= 0 else len(self.text)
            line = self.text[end:stop]
            if (line.lstrip("\t") if heredoc.tabs else line) == heredoc.delimiter:
                break
            if stop == len(self.text):
                raise LostError(f"a here-document without its `{heredoc.delimiter}`")
            if not heredoc.quoted and (len(line) - len(line.rstrip("\\"))) % 2:
                following = self.text[stop + 1 :].split("\n", 1)[0]
                if following.lstrip("\t") == heredoc.delimiter:
                    raise LostError("a here-document whose last line ends in a backslash")
            end = stop + 1
        self._body_spots(heredoc, start, end)
        self.at = min(stop + 1, len(self.text))

    def _body_spots(self, heredoc: Heredoc, start: int, end: int) -> None:
        marks = self._marks(start, end)
        nested = any(self.text[frame.start - 2] in "$<>" for frame in self.stack[1:])
        if marks:
            first = len(self.spots)
            last = first + len(marks) - 1
            before, behind = marks[0] - start, end - marks[-1] - 1
            self.bodies.append(Body(first, last, before, behind, heredoc.delimiter, heredoc.tabs))
        if heredoc.quoted:
            self.spots += [Spot(Kind.RAW_HEREDOC, tabs=heredoc.tabs, nested=nested)] * len(marks)
            return
        spot = Spot(Kind.HEREDOC, tabs=heredoc.tabs, nested=nested)
        glue = -1
        for found in _BODY.finditer(self.text, start, end):
            part = found.group()
            if part == MARK:
                self.spots.append(Spot(Kind.NEVER, DOLLAR) if glue == found.start() else spot)
            elif part[-1] == MARK:
                self.spots.append(Spot(Kind.NEVER, BACKSLASH if part[0] == "\\" else DOLLAR))
            elif part == "`" or part in {"$(", "${", "$[", "$\\"}:
                raise LostError("a command in a here-document")
            elif (part == "\\\n" and glue == found.start()) or re.match(r"\$\w", part):
                glue = found.end()
