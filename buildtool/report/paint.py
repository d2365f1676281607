"""Colours, or none, and how much fits into a line."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TextIO

from buildtool.tuples import NamedTuple

_NARROWEST = 20  # columns: in fewer than that, nothing is laid out


class Paint(NamedTuple):
    """Wraps text in ANSI colours when `colour` is set; `width` is that of the terminal, or None if it is none."""

    colour: bool = False
    width: int | None = None

    def _with(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self.colour and text else text

    def fold(self, text: str, indent: str = "") -> list[str]:
        """The text in lines that fit, all but the first behind `indent`; paths and names stay whole."""
        if self.width is None or (len(text) <= self.width and text.isascii() and "\n" not in text):
            return [text]
        from buildtool.report.layout import fold

        return fold(text, self.width, indent)

    def bold(self, text: str) -> str:
        """Text that should be seen first."""
        return self._with("1", text)

    def dim(self, text: str) -> str:
        """Text that need not be read."""
        return self._with("2", text)

    def red(self, text: str) -> str:
        """Text about something bad."""
        return self._with("31", text)

    def green(self, text: str) -> str:
        """Text about something done."""
        return self._with("32", text)

    def yellow(self, text: str) -> str:
        """Text about something to look at."""
        return self._with("33", text)

    def cyan(self, text: str) -> str:
        """Text that helps on."""
        return self._with("36", text)


def wants_colour(choice: str, terminal: bool, environment: Mapping[str, str]) -> bool:
    """Whether to use colours: the option first, then `NO_COLOR` and `FORCE_COLOR`, then whether it is a terminal."""
    if choice != "auto":
        return choice == "always"
    if environment.get("NO_COLOR"):
        return False
    if environment.get("FORCE_COLOR", "0") not in ("", "0"):
        return True
    return terminal and environment.get("TERM") != "dumb"


def width_of(stream: TextIO) -> int | None:
    """The columns of the terminal that a stream goes to; None if it goes elsewhere, or that is not known."""
    try:
        columns = os.get_terminal_size(stream.fileno()).columns if stream.isatty() else 0
    except (OSError, ValueError):
        return None
    return columns if columns >= _NARROWEST else None
