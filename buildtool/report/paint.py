"""Colours, or none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Paint(NamedTuple):
    """Wraps text in ANSI colours when `colour` is set."""

    colour: bool = False

    def _with(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self.colour and text else text

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
