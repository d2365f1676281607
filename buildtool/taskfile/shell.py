"""How a value is written where it stands in shell text, so that it is data there.

Written for sh, dash and bash. Knows nothing of placeholders or of what the values mean; where a spot is comes
from `shellscan`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum, auto

from buildtool.regex import Regex
from buildtool.tuples import NamedTuple

Value = str | list[str]  # a list becomes several words
MARK = "\0"  # stands for one value; cannot occur in a command


class Refused(ValueError):  # noqa: N818  (a verdict on a value, not a fault)
    """No safe way to write a value at its spot; the message says why and what to do."""


class Kind(Enum):
    """What surrounds a spot."""

    PLAIN = auto()  # a word or a part of one
    COMMAND = auto()  # a whole word where a reserved word would count
    DIGITS = auto()  # behind an open brace of a brace expansion: only digits may stay bare
    QUOTED = auto()  # a word or a part of one that must have its quotes
    SINGLE = auto()
    DOUBLE = auto()
    GLUED = auto()  # in double quotes, right behind `$name`
    ANSI = auto()  # in $'...'
    HEREDOC = auto()
    RAW_HEREDOC = auto()  # its delimiter is quoted
    COMMENT = auto()
    NUMBER = auto()  # arithmetic
    SAFE = auto()  # only values that mean nothing anywhere
    NEVER = auto()  # no value at all


class Spot(NamedTuple):
    """Where one value goes."""

    kind: Kind
    why: str = ""  # for SAFE and NEVER: the place and the way out, for the message
    words: str = ""  # not empty: what there takes one word only
    tabs: bool = False  # here-document that drops leading tabs
    nested: bool = False  # here-document within $( ), which old shells read by counting quotes


class Body(NamedTuple):
    """A here-document that holds spots; none of its lines may become its delimiter."""

    first: int  # index of its first spot
    last: int
    before: int  # characters of text between its start and its first spot
    behind: int  # characters between its last spot and its delimiter's line
    delimiter: str
    tabs: bool


_BARE = Regex(r"[A-Za-z0-9_@%+:,./-][A-Za-z0-9_@%+=:,./-]*")
_SAFE = Regex(r"[A-Za-z0-9_.:+/-]+")
_NUMBER = Regex(r"[+-]?[0-9][A-Za-z0-9_.]*")
_ASCII_DIGITS = Regex(r"[0-9]+")
_LIVE = Regex(r"[\\$`]")
_COUNTED = Regex(r"[\\$`'\"()#]")
_NOT_IN_COMMENT = Regex(r"[^\w@%+=:,./ -]")
RESERVED = frozenset(
    "if then else elif fi do done case esac while until for select in function time coproc".split()  # noqa: SIM905
)


def quote(word: str) -> str:
    """The word in single quotes."""
    return "'" + word.replace("'", "'\\''") + "'"


def quoter(spot: Spot) -> Callable[[Value], str]:
    """A function that writes a value for this spot, or raises `Refused`."""
    if spot.kind in _WORDS:
        write = _WORDS[spot.kind]
        return _one_word(write, spot.words) if spot.words else _words(write)
    if spot.kind in {Kind.SAFE, Kind.NEVER}:
        return lambda value: _safe(value, spot)
    if spot.kind in {Kind.HEREDOC, Kind.RAW_HEREDOC}:
        return lambda value: _heredoc(_joined(value), spot)
    text = _TEXTS[spot.kind]
    return lambda value: text(_joined(value))


def takes_anything(spot: Spot) -> bool:
    """Whether `quoter` can write every value for this spot, but for one with a NUL."""
    return not spot.words and (spot.kind in _WORDS or (spot.kind in _TEXTS and spot.kind is not Kind.NUMBER))


def check_body(body: Body, lines: str) -> None:
    """Raise `Refused` where a line of a rendered here-document would end it."""
    for text in (lines, lines.replace("\\\n", "")):
        for line in text.split("\n"):
            text_line = line.lstrip("\t") if body.tabs else line
            if text_line == body.delimiter:
                raise Refused(
                    f"a value makes a line `{body.delimiter}`, which would end the here-document: "
                    "choose another delimiter"
                )
            shared = _shared(text_line, body.delimiter)
            if shared and not text_line[shared : shared + 1].isascii():  # dash 0.5.12 drops that byte
                raise Refused(
                    f"a line with a non-ASCII character begins like the delimiter `{body.delimiter}`, which "
                    "some shells misread: choose another delimiter"
                )


def _shared(one: str, other: str) -> int:
    """How many characters both begin with."""
    return next(
        (i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other))
    )


def _joined(value: Value) -> str:
    return value if isinstance(value, str) else " ".join(value)


def _words(write: Callable[[str], str]) -> Callable[[Value], str]:
    def write_all(value: Value) -> str:
        if isinstance(value, str):
            return write(value)
        return " ".join([write(word) for word in value])

    return write_all


def _one_word(write: Callable[[str], str], taker: str) -> Callable[[Value], str]:
    def write_one(value: Value) -> str:
        if isinstance(value, str):
            return write(value)
        if len(value) != 1:
            raise Refused(
                f"{taker} takes one word, and this is a list of {len(value)}: pick one by its index"
            )
        return write(value[0])

    return write_one


def _plain(word: str) -> str:
    return word if _BARE.fullmatch(word) else quote(word)


def _command(word: str) -> str:
    bare = _BARE.fullmatch(word) and "=" not in word and word not in RESERVED
    return word if bare else quote(word)


def _digits(word: str) -> str:
    return word if _ASCII_DIGITS.fullmatch(word) else quote(word)


def _single(text: str) -> str:
    return text if not text or _BARE.fullmatch(text) else f"'{quote(text)}'"


def _double(text: str) -> str:
    return text if not text or _BARE.fullmatch(text) else f'"{quote(text)}"'


def _glued(text: str) -> str:
    return f'"{quote(text)}"'


def _ansi(text: str) -> str:
    return f"'{quote(text)}$'"


def _comment(text: str) -> str:
    """Nobody reads it, so whatever a shell might stumble over goes."""
    return _NOT_IN_COMMENT.sub("_", text.replace("\n", " "))


def _number(text: str) -> str:
    if not _NUMBER.fullmatch(text):
        raise Refused(
            "only a number can stand in shell arithmetic: assign the value to a shell variable first"
        )
    return f" {text}" if text[0] in "+-" else text  # `x-{n}` must not become `x--1`


def _heredoc(text: str, spot: Spot) -> str:
    if spot.nested and _COUNTED.search(text):
        raise Refused(
            "a value with quotes, parentheses or one of `\\ $ #` cannot stand in a here-document within "
            "`$(...)`: assign it to a shell variable first"
        )
    if spot.tabs and (text.startswith("\t") or "\n\t" in text):
        raise Refused("`<<-` would drop the tabs that begin a line of the value: use `<<`")
    return text if spot.kind is Kind.RAW_HEREDOC else _LIVE.sub(r"\\\g<0>", text)


def _safe(value: Value, spot: Spot) -> str:
    words: Sequence[str] = [value] if isinstance(value, str) else value
    if spot.kind is Kind.SAFE and all(map(_SAFE.fullmatch, words)):
        return " ".join(words)
    if spot.kind is Kind.NEVER:
        raise Refused(f"a value cannot stand {spot.why}")
    raise Refused(
        "a value that is empty or has characters other than letters, digits and `_ . : + / -` "
        f"cannot stand {spot.why}"
    )


_WORDS: dict[Kind, Callable[[str], str]] = {
    Kind.PLAIN: _plain,
    Kind.COMMAND: _command,
    Kind.DIGITS: _digits,
    Kind.QUOTED: quote,
}
_TEXTS: dict[Kind, Callable[[str], str]] = {
    Kind.SINGLE: _single,
    Kind.DOUBLE: _double,
    Kind.GLUED: _glued,
    Kind.ANSI: _ansi,
    Kind.COMMENT: _comment,
    Kind.NUMBER: _number,
}
