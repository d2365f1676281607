"""What can go wrong for a user, as data: a summary, a place, facts, a hint and an exit code.

Knows no other room. How an error looks on a screen is decided in `report`.
"""

from __future__ import annotations

from enum import IntEnum

from buildtool.tuples import NamedTuple


class ExitCode(IntEnum):
    """What a `bt` command tells the shell."""

    DONE = 0  # done, or nothing to do
    FAILED = 1  # a job failed
    USAGE = 2  # wrong use, or a wrong Taskfile
    MISSING = 3  # an input is missing and nothing makes it; no task makes the target; a cycle
    WORK = 4  # `--check` found work to do
    STATE = 5  # the state or the disk is in trouble, or the system gives `bt` too little
    LOCKED = 6  # another `bt` holds the lock, with `--no-wait`
    EXECUTOR = 7  # the executor or cluster is in trouble
    INTERRUPTED = 130
    CLOSED = 141  # whoever read standard output has gone
    TERMINATED = 143


class Place(NamedTuple):
    """A stretch of one line of a text file; lines and columns count from 1."""

    file: str  # as a person would type it: relative to the project root
    line: int
    column: int
    end: int  # the column behind the last character; never before `column`
    text: str  # the whole line, without its line end


class BtError(Exception):
    """A mistake or a trouble that a user can do something about.

    `summary` is one lower-case line with names in backticks and no full stop; `facts` are aligned
    label and value pairs; `hint` says what to do next, in the imperative.
    """

    exit_code = ExitCode.FAILED

    def __init__(
        self,
        summary: str,
        *,
        place: Place | None = None,
        facts: tuple[tuple[str, str], ...] = (),
        hint: str | None = None,
    ) -> None:
        super().__init__(summary)
        self.summary = summary
        self.place = place
        self.facts = facts
        self.hint = hint


class UsageError(BtError):
    """The command line asks for something that does not exist or does not go together."""

    exit_code = ExitCode.USAGE


class TaskfileError(BtError):
    """Something in a Taskfile is wrong."""

    exit_code = ExitCode.USAGE


class ReportedError(TaskfileError):
    """What cannot be told because of a mistake that is reported already; it is not shown itself."""


class GraphError(BtError):
    """The jobs cannot be put in order: a file nothing makes, no such target, a cycle."""

    exit_code = ExitCode.MISSING


class StateError(BtError):
    """The state database or the disk cannot be used."""

    exit_code = ExitCode.STATE


class FullError(StateError):
    """There is no room on the disk for what the state would hold."""


class DiskError(StateError):
    """A file or directory of the project cannot be read, written or moved."""


class ClosedError(BtError):
    """Whoever read standard output has gone."""

    exit_code = ExitCode.CLOSED


class LockedError(BtError):
    """Another `bt` is at work in this project and the user does not want to wait."""

    exit_code = ExitCode.LOCKED


class ExecutorError(BtError):
    """The place where jobs run is in trouble."""

    exit_code = ExitCode.EXECUTOR


class Problems(BtError):  # noqa: N818 - it is several errors, not one
    """Several errors found in one look, in the order in which they stand in the files.

    The exit code is that of a wrong Taskfile if one of them says so, else that of the first; a list of one is never
    wrapped.
    """

    def __init__(self, errors: list[BtError]) -> None:
        super().__init__(f"{len(errors)} errors")
        self.errors = errors
        codes = [error.exit_code for error in errors]
        self.exit_code = ExitCode.USAGE if ExitCode.USAGE in codes else codes[0]


def raise_all(errors: list[BtError]) -> None:
    """Raise what was collected: nothing, the one error, or all of them as `Problems`."""
    if len(errors) == 1:
        raise errors[0]
    if errors:
        ordered = sorted(errors, key=lambda e: (e.place is None, e.place and e.place[:3]))
        raise Problems(ordered)
