"""What decides whether a job must run, item by item; the difference of two fingerprints is the reason.

Does not know where fingerprints are kept, nor how a difference looks on a screen.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum

import xxhash

from buildtool.tuples import NamedTuple


def digest(kind: str, *parts: str | bytes | None) -> str:
    """A 128-bit digest (32 hex digits) of `parts`, tagged with their kind.

    The encoding is canonical: every part is preceded by its type and length, so that no two different
    sequences have one pre-image. The hash is xxh3-128.
    """
    image = []
    for part in (kind, *parts):
        if part is None:
            image.append(b"n")
        elif isinstance(part, str):
            raw = part.encode("utf-8", "surrogateescape")
            image += (b"s%d:" % len(raw), raw)
        else:
            image += (b"b%d:" % len(part), part)
    return xxhash.xxh3_128_hexdigest(b"".join(image))


class Item(NamedTuple):
    """One thing that decides. Two items with the same kind and name are the same thing at two times."""

    # input, need, found, track.file; command, code, shell, cwd, param, value, env, track.env, track.cmd; output
    kind: str
    name: str
    digest: str | None  # None: it was not there
    text: str | None = None  # the value itself where it is short enough to show


class Change(Enum):
    """What happened to an item."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"
    EXECUTABLE = "executable"  # a file that was not, and is the same otherwise
    PLAIN = "not executable"  # the other way round


class Reason(NamedTuple):
    """Why a job must run. `kind` is that of the item that differs, or one of the words below.

    `first` (never ran here), `missing` (an output is not there), `edited` (an output is not as the job left
    it), `foreign` (one is there that counts as a person's), `failed` (the last run failed), `interrupted`,
    `forced`, `always`, `expired` (older than `max_age`), `wanted` (its absent output is needed again), `asked`
    (a command runs whenever it is asked for).
    """

    kind: str
    name: str = ""
    change: Change | None = None
    old: str | None = None
    new: str | None = None


class Fingerprint(NamedTuple):
    """Everything that decides about one job, in a fixed order."""

    items: tuple[Item, ...]

    def diff(self, old: Fingerprint, ignore: Sequence[str] = ()) -> list[Reason]:
        """What differs from `old`, files first, else in the order of the items.

        It is empty if and only if nothing that counts has changed.
        """
        if self.items == old.items:
            return []
        before = {item[:2]: item for item in old.items if not ignored(item, ignore)}
        reasons = []
        for item in dict.fromkeys(self.items):  # a file that two patterns track stands twice
            if ignored(item, ignore):
                continue
            was = before.pop(item[:2], None)
            if was is None:
                reasons.append(Reason(item.kind, item.name, Change.ADDED, None, item.text))
            elif was.digest != item.digest:
                reasons.append(Reason(item.kind, item.name, _change(was, item), was.text, item.text))
        reasons += [Reason(was.kind, was.name, Change.REMOVED, was.text, None) for was in before.values()]
        # A file that joins or leaves changes the command, too: the cause is told before what follows from it.
        return sorted(reasons, key=lambda reason: reason.kind not in FILE_KINDS)


def _change(was: Item, item: Item) -> Change:
    """What happened to a thing that both fingerprints name: a file may be named and not be there."""
    if was.kind not in FILE_KINDS:
        return Change.CHANGED
    if was.digest is None or item.digest is None:
        return Change.ADDED if was.digest is None else Change.REMOVED
    if was.digest[1:] != item.digest[1:]:
        return Change.CHANGED
    modes = {"fx": Change.EXECUTABLE, "xf": Change.PLAIN}
    return modes.get(was.digest[:1] + item.digest[:1], Change.CHANGED)


FILE_KINDS = frozenset({"input", "need", "found", "beside", "track.file"})

# What a word in `ignore` leaves out: kinds of items.
IGNORABLE = {
    "code": ("code", "package"),
    "command": ("command",),
    "shell": ("shell",),
    "params": ("param",),
    "env": ("env",),
    "track": ("track.env", "track.cmd", "track.file"),
    "inputs": ("input",),
    "needs": ("need",),
    "depfile": ("found",),
}


def ignored(item: Item, ignore: Iterable[str]) -> bool:
    """Whether `ignore` (words as in a Taskfile, `inputs.PATH` with the slot name resolved) leaves the item out."""
    for word in ignore:
        head, _, tail = word.partition(".")
        if item.kind in IGNORABLE.get(head, ()) and tail in ("", item.name):
            return True
    return False


class Fresh(NamedTuple):
    """Nothing differs from the record."""

    absent: bool = False  # an output is not on the disk, and nothing asks for it


class Stale(NamedTuple):
    """The job must run."""

    reasons: tuple[Reason, ...]


class Maybe(NamedTuple):
    """In a dry run: it must run if one of these jobs turns out to make something else than before, or to run at all."""

    causes: tuple[str, ...]  # names of jobs
    is_wanted: bool = False  # it is enough that they run: they need what it makes

    @property
    def conditions(self) -> tuple[str, ...]:
        """In words, each on its own."""
        return tuple(
            f"if {cause} {'runs' if self.is_wanted else 'changes something'}" for cause in self.causes
        )


Verdict = Fresh | Stale | Maybe
