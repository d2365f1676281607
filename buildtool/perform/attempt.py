"""A job on its way: judged stale, then prepared, then running; and what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from buildtool.check import Look
from buildtool.executors.protocol import Work
from buildtool.graph import Job, JobId
from buildtool.isolation import Box
from buildtool.plan import Status
from buildtool.report.model import Failure, JobReport
from buildtool.state.records import Made
from buildtool.tuples import NamedTuple

if TYPE_CHECKING:
    from buildtool.restoring import Hit


class Stranger(NamedTuple):
    """A person's file among the outputs, as it was when the job began."""

    digest: str
    place: str  # of its copy
    written: tuple[int, int]  # inode, and nanoseconds of its time: they tell that it was written anew


class Thing(NamedTuple):
    """A file or link behind a link among the outputs, as it was when the job began."""

    value: str
    link: str  # through which it was found
    place: str  # of its copy; nothing if it needs none
    written: tuple[int, int]  # as in `Stranger`


class Attempt:
    """A job on its way: judged stale, then prepared, then running."""

    __slots__ = (
        *(
            "alone",
            "anew",
            "aside",
            "began",
            "behind",
            "box",
            "command",
            "gave_way",
            "guarded",
            "hit",
            "job",
            "kept",
            "left",
            "look",
            "lost",
        ),
        *(
            "must_run",
            "named",
            "notes",
            "repeats",
            "report",
            "restarts",
            "started",
            "strangers",
            "tries",
            "work",
        ),
    )

    def __init__(self, job: Job, look: Look) -> None:
        self.job = job
        self.look = look
        self.tries = 0  # runs that failed so far
        self.repeats = 0  # runs that did not count, because an input changed meanwhile
        self.lost = 0  # runs that did not count, because of what happened where they ran
        self.anew = False  # what it reads has changed, so that it was told to end and will run again
        self.restarts = 0  # how often it was, in this build
        self.alone = False  # to be run where it can hurt no other job
        self.hit: Hit | None = None  # what comes back from the cache, so that nothing is run
        self.must_run = False  # what came back from there was damaged
        self.work: Work | None = None
        self.report: JobReport | None = None  # how people are told of it while it runs
        self.command = ""  # nothing for a call, which is put into words where it is told
        self.aside: list[tuple[str, str]] = []
        self.started = 0.0  # seconds since the epoch
        self.notes: list[str] = []
        self.box: Box | None = None  # where it runs, if it is isolated
        self.guarded: dict[str, tuple[str | None, str]] | None = None  # digest and copy of others' files
        self.began = 0  # how many jobs had run by then
        self.strangers: dict[str, Stranger] = {}  # with `keep`: people's files among outputs
        # With `keep`: people's files in the place of outputs that are named, with their digests and copies.
        self.named: dict[str, tuple[str | None, str]] = {}
        # With `keep`: what was no file, or no directory, in the place of one, and where it is now.
        self.gave_way: dict[str, str] = {}
        # With `keep`: what lies behind links among outputs; None: nobody looked since its last run.
        self.behind: dict[str, Thing] | None = None
        # What gave way to it, by place: its path, and what `Stranger.written` is of what was copied.
        self.kept: dict[str, tuple[str, tuple[int, int] | None]] = {}
        self.left: dict[str, str] = {}  # digests of what bad runs left, with `keep`

    @property
    def is_fetch(self) -> bool:
        """Whether nothing is run: outputs come home that stayed where they were made."""
        return self.work is not None and self.work.remote is not None and self.work.remote.fetch

    @property
    def is_precious(self) -> bool:
        """Whether a person's files are moved aside or copied for it, which nobody could make again."""
        accepted = self.look.record is not None and self.look.record.accepted
        return bool(self.look.foreign or self.look.edited or (self.aside and accepted))


class Outcome(NamedTuple):
    """What came of an attempt. `again`: it does not count, and must be repeated, after these if any."""

    status: Status
    failure: Failure | None = None
    made: tuple[Made, ...] = ()
    again: bool = False
    requires: frozenset[JobId] = frozenset()
