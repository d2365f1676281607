"""What is told about a build, and to whom."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from buildtool.errors import BtError, Place
from buildtool.tuples import NamedTuple


class Failure(NamedTuple):
    """Why a job failed, with all that helps to mend it."""

    cause: str  # `exit code 2`, `killed by SIGKILL (out of memory?)`
    details: tuple[str, ...] = ()  # more lines about the cause
    command: str | None = None
    tail: tuple[str, ...] = ()  # the last lines of its output
    log: str | None = None  # where the whole output is; None when there was none
    place: Place | None = None
    again: str | None = None  # a command that runs this job alone
    by_hand: str | None = None  # one that opens a shell where it runs


class JobReport(NamedTuple):
    """How one job came out."""

    name: str
    task: str
    wildcards: Mapping[str, str]
    outputs: tuple[str, ...]
    status: str  # ran, unchanged, restored, fresh, failed or skipped
    reasons: tuple[str, ...] = ()
    seconds: float = 0.0
    executor: str = "local"
    kind: str = "rule"
    failure: Failure | None = None
    note: str | None = None  # something worth a word, though the job is well
    interactive: bool = False  # it has the terminal while it runs


class Reporter(Protocol):
    """Somebody who wants to know how a build goes."""

    is_watched: bool  # somebody looks on while it goes on
    has_remarked: bool  # something was told besides how jobs came out

    @property
    def gone(self) -> BtError | None:
        """Why nobody can be told any more, so that the build should stop."""
        ...

    def planned(self, jobs: int, targets: tuple[str, ...]) -> None:
        """The build begins, with this many jobs to look at."""
        ...

    def started(self, job: JobReport) -> None:
        """A job runs now, for these reasons."""
        ...

    def output(self, job: JobReport, data: bytes) -> None:
        """A running job printed something."""
        ...

    def over(self, job: JobReport) -> None:
        """A job does not run any more; how it came out is told later."""
        ...

    def finished(self, job: JobReport) -> None:
        """A job came out."""
        ...

    def warning(self, text: str) -> None:
        """Something that is no failure and that the user should know."""
        ...

    def note(self, text: str) -> None:
        """Something the user may want to know."""
        ...

    def doing(self, text: str) -> None:
        """What the build waits for before jobs can run; nothing: it does not any more."""
        ...

    def left(self, seconds: float | None) -> None:
        """How long the build will take from now on, in seconds; None: that is not known."""
        ...

    def reading(self, path: str, done: int, whole: int) -> None:
        """So many bytes of a large file were looked at."""
        ...

    def close(self) -> None:
        """There is nothing more to tell."""
        ...

    def summary(self, counts: Mapping[str, int], seconds: float, exit_code: int) -> None:
        """The build has ended."""
        ...
