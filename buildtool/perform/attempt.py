"""A job on its way: judged stale, then prepared, then running; and what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from buildtool.check import Look
from buildtool.executors.protocol import Work
from buildtool.graph import Job, JobId
from buildtool.isolation import Box
from buildtool.plan import Status
from buildtool.report.model import Failure, JobReport
from buildtool.state.records import Made

if TYPE_CHECKING:
    from buildtool.restoring import Hit


class Stranger(NamedTuple):
    """A person's file among the outputs, as it was when the job began."""

    digest: str
    place: str  # of its copy
    written: tuple[int, int]  # inode, and nanoseconds of its time: they tell that it was written anew


@dataclass(slots=True)
class Attempt:
    """A job on its way: judged stale, then prepared, then running."""

    job: Job
    look: Look
    tries: int = 0  # runs that failed so far
    repeats: int = 0  # runs that did not count, because an input changed meanwhile
    lost: int = 0  # runs that did not count, because of what happened where they ran
    anew: bool = False  # what it reads has changed, so that it was told to end and will run again
    restarts: int = 0  # how often it was, in this build
    alone: bool = False  # to be run where it can hurt no other job
    hit: Hit | None = None  # what comes back from the cache, so that nothing is run
    must_run: bool = False  # what came back from there was damaged
    work: Work | None = None
    report: JobReport | None = None  # how people are told of it while it runs
    command: str = ""  # nothing for a call, which is put into words where it is told
    aside: list[tuple[str, str]] = field(default_factory=list)
    started: float = 0.0  # seconds since the epoch
    notes: list[str] = field(default_factory=list)
    box: Box | None = None  # where it runs, if it is isolated
    guarded: dict[str, tuple[str | None, str]] = field(
        default_factory=dict
    )  # digest and copy of others' files
    began: int = 0  # how many jobs had run by then
    strangers: dict[str, Stranger] = field(default_factory=dict)  # with `keep`: people's files among outputs
    left: dict[str, str] = field(
        default_factory=dict
    )  # digests of what bad runs left of patterns, with `keep`

    @property
    def is_fetch(self) -> bool:
        """Whether nothing is run: outputs come home that stayed where they were made."""
        return self.work is not None and self.work.remote is not None and self.work.remote.fetch

    @property
    def is_precious(self) -> bool:
        """Whether a person's files are moved aside for it, which nobody could make again."""
        return bool(self.aside and (self.look.foreign or self.look.edited))


class Outcome(NamedTuple):
    """What came of an attempt. `again`: it does not count, and must be repeated, after these if any."""

    status: Status
    failure: Failure | None = None
    made: tuple[Made, ...] = ()
    again: bool = False
    requires: frozenset[JobId] = frozenset()
