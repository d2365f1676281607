"""What this room gives away, as plain values.

Knows nothing of syntax trees or of the disk.
"""

from __future__ import annotations

from buildtool.tuples import NamedTuple


class Piece(NamedTuple):
    """One thing that decides: a definition, a module taken as a whole, or a package from outside."""

    kind: str  # "code" or "package"
    name: str  # "steps.count", "steps (top level)", "helpers" (a whole module); or a distribution: "numpy"
    digest: str  # 32 hex digits; the same on every Python from 3.11 on
    text: str | None  # to show and to diff, never to decide; None where there is nothing to show or too much


class Parameter(NamedTuple):
    """One parameter of a function, as written."""

    name: str
    required: bool  # no default
    kind: str  # "keyword" (can be given by keyword), "positional" (cannot), "args" (`*x`), "kwargs" (`**x`)
    annotation: str | None  # its source text; a name that was imported under another one is given its own
    line: int


class Function(NamedTuple):
    """What is known of something that can be called.

    `parameters` is None where reading cannot tell: a name with several definitions, one under a decorator that
    may change it, a `partial`, what a call returned, a class without an
    `__init__` of its own, anything outside the project (its `path` is "" and its `line` 0).
    """

    module: str  # where it is defined, which may be further on than where it was asked for
    qualname: str
    path: str  # canonical: relative to the root, absolute outside of it
    line: int
    parameters: tuple[Parameter, ...] | None
    is_async: bool
    is_generator: bool
    decorators: tuple[
        str, ...
    ]  # where they come from, in dotted text, outermost first; "": that is not known
    made_by: str = ""  # in the same way, whose call gives the value, if one does


class Reach(NamedTuple):
    """All that a function or a script is built from.

    `pieces` are sorted by kind and name. They hold as long as the content of each of `files` is the same and
    nothing has appeared at any of `absent` (a folder ends in `/`); both are canonical and sorted. `whole`
    names the modules that were taken as a whole, each with the reason; `notes` those where something is not
    followed.
    """

    pieces: tuple[Piece, ...]
    files: tuple[str, ...]
    absent: tuple[str, ...]
    whole: tuple[tuple[str, str], ...]
    notes: tuple[tuple[str, str], ...] = ()
