"""Regular expressions that are compiled when they are first used: most commands use few of those that there are.

Knows nothing of what they match.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

_METHODS = ("findall", "finditer", "fullmatch", "match", "search", "sub")


class Regex:
    """As `re.compile` gives it, with the methods that are used here. One that is wrong is told by its first use."""

    __slots__ = ("_flags", "pattern", *_METHODS)

    findall: Callable[..., list[Any]]
    finditer: Callable[..., Iterator[re.Match[str]]]
    fullmatch: Callable[..., re.Match[str] | None]
    match: Callable[..., re.Match[str] | None]
    search: Callable[..., re.Match[str] | None]
    sub: Callable[..., str]

    def __init__(self, pattern: str, flags: int = 0) -> None:
        self.pattern = pattern
        self._flags = flags

    def __getattr__(self, name: str) -> Any:
        """A method, asked for before any was: they are all put into their places, so that this is called once."""
        if name not in _METHODS:
            raise AttributeError(f"a regular expression has no `{name}` here")
        compiled = re.compile(self.pattern, self._flags)
        for method in _METHODS:
            setattr(self, method, getattr(compiled, method))
        return getattr(self, name)
