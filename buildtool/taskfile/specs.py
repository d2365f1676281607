"""The values a Taskfile is read into: checked for form, not yet for meaning.

Texts are kept as written (patterns and templates are parsed where variables are known), each with its place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from buildtool.errors import Place
from buildtool.tuples import NamedTuple

NOTHING: Mapping[str, Any] = MappingProxyType({})


class Word(NamedTuple):
    """A string of the Taskfile and where it stands."""

    text: str
    place: Place


class Slot(NamedTuple):
    """One named (or the unnamed) entry of `inputs` or `outputs`.

    A bare string or a list is one slot without a name; a table is one slot per key; an empty list is none.
    """

    name: str | None
    words: tuple[Word, ...]
    many: bool  # written as a list: always a list for the task, whatever its length


class Foreach(NamedTuple):
    """Where wildcard values come from, if not from files. Exactly one of the four is set."""

    place: Place
    product: Mapping[str, tuple[Any, ...]] | None = None  # { s = ["A", "B"], n = [1, 2] }
    rows: tuple[Mapping[str, Any], ...] | None = None  # [ { s = "A", n = 1 }, … ]
    table: Word | None = None  # { from = "samples.csv" }
    lines: tuple[str, Word] | None = None  # { chunk = "@chunks.txt" }: wildcard, path without `@`


class Track(NamedTuple):
    """More to put in the fingerprint."""

    env: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    files: tuple[Word, ...] = ()


class TaskSpec(NamedTuple):
    """One `[tasks.NAME]` table."""

    name: str
    place: Place  # of the table's header
    places: Mapping[str, Place]  # of each key, by name
    desc: str = ""
    group: str = ""
    inputs: tuple[Slot, ...] = ()
    outputs: tuple[Slot, ...] = ()
    run: str | None = None  # a list of lines is joined with newlines
    run_place: Callable[[int, int], Place] | None = None  # of a stretch of it
    call: str | None = None
    script: str | None = None
    params: Mapping[str, Any] = NOTHING
    needs: tuple[Word, ...] = ()
    after: tuple[Word, ...] = ()
    foreach: Foreach | None = None
    track: Track = Track()
    ignore: tuple[str, ...] = ()
    depfile: Word | None = None
    env: Mapping[str, str] = NOTHING
    dotenv: tuple[Word, ...] = ()
    cwd: Word | None = None
    shell: str | None = None
    executor: str | None = None
    resources: Mapping[str, float] = NOTHING  # memory in bytes
    retries: int = 0
    timeout: float | None = None  # seconds
    priority: float = 0
    temp: bool = False
    keep: bool = False
    isolated: bool = False
    always: bool = False
    max_age: float | None = None  # seconds
    interactive: bool = False
    serve: bool = False
    hash: str = "bytes"
    cache: bool = True
    wrong: frozenset[str] = frozenset()  # keys that did not pass; they are left out

    def at(self, key: str) -> Place:
        """The place of a key, or of the table where the key is not written."""
        return self.places.get(key, self.place)

    def in_run(self, offset: int, length: int) -> Place:
        """The place of a stretch of `run`."""
        return self.at("run") if self.run_place is None else self.run_place(offset, length)


class VarSpec(NamedTuple):
    """One entry of `[vars]`. Exactly one field besides the place is set."""

    place: Place
    value: str | int | float | bool | None = None
    items: tuple[str | int | float | bool, ...] | None = None
    csv: tuple[str, str] | None = None  # path, column
    lines: str | None = None
    glob: str | None = None
    sh: str | None = None


class ExecutorSpec(NamedTuple):
    """One `[executors.NAME]` table: its backend and whatever else it holds, checked by that backend."""

    name: str
    place: Place
    backend: str
    options: Mapping[str, Any]


WAYS = ("bytes", "text", "json")  # of `hash`; anything else is a filter command


class Settings(NamedTuple):
    """The `[bt]` table."""

    default: tuple[Word, ...] | None = None
    executor: Word | None = None
    jobs: int | None = None
    shell: str = "bash"
    pools: Mapping[str, float] = NOTHING  # memory in bytes
    python_path: tuple[str, ...] = ()
    orphans: str = "report"  # or "delete"
    allow: tuple[str, ...] = ()  # directories outside the project that outputs may lie in
    secrets: tuple[str, ...] = ()
    pass_env: tuple[str, ...] = ()  # more variables that jobs are given, untracked; may hold `*`
    durable: bool = False  # what is finished survives a power cut
    cache: float | None = None  # bytes of outputs that are kept; None: none are
    wrong: frozenset[str] = frozenset()  # keys that did not pass; they are left out


DECORATED = "coiled.function"  # the executor of functions that have this decorator
REMOTE = ("dask", "coiled", DECORATED)  # backends whose machines do not see this disk


class Taskfile(NamedTuple):
    """A Taskfile and all it includes."""

    root: str  # the project root, absolute
    path: str  # the main file, relative to the root
    sources: tuple[str, ...]  # every file read, the main one first, relative to the root
    settings: Settings = Settings()
    vars: Mapping[str, VarSpec] = NOTHING
    env: Mapping[str, str] = NOTHING
    executors: Mapping[str, ExecutorSpec] = NOTHING
    tasks: Mapping[str, TaskSpec] = NOTHING
    is_open: bool = False  # patterns say what is included: other files may come
    wrong: frozenset[tuple[str, str]] = frozenset()  # names, each with its table, of which nothing passed
    is_whole: bool = True  # else nobody knows what stands in a part of it, or in a file that it includes

    def is_remote(self, name: str) -> bool:
        """Whether the machines of this executor do not see this disk."""
        spec = self.executors.get(name)
        if spec is None:
            return name in REMOTE
        return spec.backend in REMOTE or spec.options.get("remote") is True

    def remote_executors(self) -> tuple[str, ...]:
        """The names of all such executors."""
        return tuple(name for name in dict.fromkeys((*self.executors, *REMOTE)) if self.is_remote(name))

    def price(self, name: str) -> float | None:
        """What a worker of this executor costs in an hour, if that is said."""
        spec = self.executors.get(name)
        price = spec.options.get("price") if spec is not None else None
        return None if price is None else float(price)

    def leaves_away(self, name: str) -> bool:
        """Whether outputs that only jobs of this executor read stay with its machines."""
        spec = self.executors.get(name)
        return spec is not None and spec.options.get("fetch") == "needed"

    def offered(self, name: str) -> frozenset[str]:
        """The resources that the machines of an executor say they have: these are counted there, not here."""
        if name == DECORATED:
            return frozenset({"cpus", "memory", "gpu"})  # the decorator says what there is
        spec = self.executors.get(name)
        if spec is None:
            return frozenset()
        machine = {"cpus", "memory", "gpu"}
        if spec.backend == "coiled" and spec.options.get("mode") != "function":
            machine &= {*spec.options.get("worker", ())}
        return frozenset(spec.options.get("resources", ())) | (machine if spec.backend == "coiled" else set())
