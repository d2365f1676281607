"""What is kept of a run, and under which key; as JSON, since nothing from a cache is ever unpickled.

Does not know where it is kept, nor which runs are.
"""

from __future__ import annotations

import json
import os
import posixpath
from collections.abc import Iterable

import xxhash

from buildtool.fingerprint import Item, digest
from buildtool.paths import parents
from buildtool.tuples import NamedTuple

FORM = 1  # of an entry; others are not read
_LONG, _LARGE = 1e9, 1 << 62  # seconds and bytes of memory that no run takes
MOST = 8  # runs of one key, which differ in the inputs that they named themselves


class Part(NamedTuple):
    """One thing that a run left: a file, a link (with its text), or a directory (whose path ends in `/`)."""

    path: str  # as in the Taskfile
    digest: str  # as the disk gives it; of a directory nothing
    mode: int = 0  # permissions, but of a link
    link: str | None = None


class Kept(NamedTuple):
    """What one run left, and what it turned out to read besides what its key tells."""

    outputs: tuple[tuple[str, str], ...]  # path and digest of each output
    parts: tuple[Part, ...]  # all that these are made of
    found: tuple[tuple[str, str | None], ...]  # path and digest
    seconds: float  # that it took
    peak_memory: int  # bytes


def key_of(items: Iterable[Item]) -> str:
    """One text for everything that decides about a run and is known before it: 32 hex digits."""
    texts = [text for item in items if item.kind != "found" for text in item[:3]]
    return digest("cache", str(FORM), *texts)


def to_bytes(runs: Iterable[Kept]) -> bytes:
    """The runs of one key, the newest first, behind a digest of all that follows."""
    raw = json.dumps([FORM, *runs], separators=(",", ":")).encode("ascii")
    return xxhash.xxh3_128_hexdigest(raw).encode("ascii") + raw


def from_bytes(raw: bytes) -> list[Kept]:
    """The runs that `to_bytes` was given; ValueError if they are damaged, or of another form."""
    if xxhash.xxh3_128_hexdigest(raw[32:]).encode("ascii") != raw[:32]:
        raise ValueError("damaged")
    try:
        form, *runs = json.loads(raw[32:])
        found = [_kept(*run) for run in runs]
    except (TypeError, KeyError, AttributeError, RecursionError, OverflowError) as error:
        raise ValueError("damaged") from error
    if form != FORM:
        raise ValueError("another form")
    return found


def _kept(
    outputs: list[list[str]], parts: list[list[object]], found: list[tuple[str, str | None]], *rest: float
) -> Kept:
    seconds, peak = rest
    if not (0 <= seconds < _LONG and 0 <= peak < _LARGE):
        raise ValueError("no seconds, or no bytes")
    kept = Kept(
        tuple((_text(path), _text(value)) for path, value in outputs),
        tuple(_part(*part) for part in parts),
        tuple((_text(path), None if value is None else _text(value)) for path, value in found),
        float(seconds),
        int(peak),
    )
    tops = {path for path, _ in kept.outputs}
    links = {part.path for part in kept.parts if part.link is not None}
    for part in kept.parts:
        above = parents(part.path)
        if not links.isdisjoint(folder[:-1] for folder in above):
            raise ValueError("a part behind a link")
        clean = posixpath.normpath(part.path) + ("/" if part.path[-1:] == "/" else "")
        if clean != part.path or tops.isdisjoint((part.path, *above)):
            raise ValueError("a part that lies outside of all outputs")
    return kept


def _part(path: object, value: object, mode: object, link: object) -> Part:
    if not isinstance(mode, int):
        raise TypeError("no permissions")
    return Part(_text(path), _text(value), mode & 0o777, None if link is None else _text(link))


def _text(value: object) -> str:
    if not isinstance(value, str) or b"\0" in os.fsencode(value):  # ValueError for what cannot be a name
        raise TypeError("no text")
    return value
