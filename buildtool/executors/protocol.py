"""What every executor promises, and the values that pass between it and the build.

An executor never blocks: it is given work, tells through a file descriptor that something happened, and hands
out the events when asked. A failing job is an event, never an exception.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from buildtool.tuples import NamedTuple

if TYPE_CHECKING:
    import threading

    from buildtool.state.records import ClusterRecord

MARK = "BT_RUN"  # the environment variable by which the processes of a run are known
JOB = "BT_JOB"  # that by which those of a command are: its mark, behind that of the job that `bt` runs in
Signature = tuple[int, int, int, int]  # of a file: size, mtime_ns, ctime_ns, inode
Slot = tuple[str | None, tuple[str, ...], bool]  # of inputs or outputs: name, paths, whether it is a list


class Call(NamedTuple):
    """A function or script with all that it can ask for, as plain data."""

    name: str  # of the job
    target: str  # `module:function`, or the absolute path of a script
    is_script: bool
    path: tuple[str, ...]  # absolute directories in which modules of the project are looked up
    inputs: tuple[Slot, ...]
    outputs: tuple[Slot, ...]
    wildcards: Mapping[str, Any]
    params: Mapping[str, Any]
    cpus: str
    variables: Mapping[str, str]  # those of its environment that the Taskfile sets
    code: tuple[tuple[str, Signature], ...] = ()  # absolute paths of its source files, as they were looked at


class Remote(NamedTuple):
    """What a job takes with it to a machine that does not see this disk. Paths are relative to the project."""

    box: str  # absolute directory here: what it made comes there, under the same relative paths
    root: str  # absolute root of the project
    inputs: tuple[tuple[str, str], ...]  # files, each with its digest
    links: tuple[tuple[str, str], ...]  # each with its text
    folders: tuple[str, ...]  # to be there when it begins
    outputs: tuple[str | tuple[str, str], ...]  # paths; of a pattern, the folder and a regular expression
    cwd: str
    env: Mapping[str, str]  # beside that of the machine
    path: tuple[str, ...]  # directories of the project's modules
    code: tuple[str, bytes]  # the project's modules: a zip and its name
    resources: Mapping[str, float]  # that the machine must offer
    imports: tuple[str, ...]  # packages from outside that its code imports
    urgency: float  # greater is sooner
    seconds: float | None  # that it will take, if that is known
    sizes: Mapping[str, int] = {}  # of inputs that are not here, in bytes, by path
    stays: bool = False  # what it makes is not needed here
    fetch: bool = False  # nothing is to be run: its inputs are what is wanted


class Work(NamedTuple):
    """One run of one job, ready to be started anywhere: `argv` for a command, `call` for a function."""

    id: int
    argv: tuple[str, ...]
    cwd: str  # absolute
    env: Mapping[str, str]  # the whole environment of the process
    log: str  # absolute path of the file that keeps the output; made only when there is any
    timeout: float | None = None  # seconds
    interactive: bool = False  # it gets the terminal of `bt` itself
    call: Call | None = None
    executor: str = "local"
    audit: str = ""  # the directory below which it is noted what a function opens; nothing: none
    alone: bool = (
        False  # it, or a job that ran beside it, took its worker down: run it where it can hurt no other
    )
    secrets: tuple[bytes, ...] = ()  # values that are not to be shown
    remote: Remote | None = None  # for executors whose machines do not see this disk


class Started(NamedTuple):
    """A process (or a remote job) is running."""

    id: int
    pid: int | None
    # When the system started it, as text: with `pid` it names one process for ever. None: it was not asked yet.
    stamp: str | None


class Output(NamedTuple):
    """A piece of what the job wrote to standard output and standard error, in the order written."""

    id: int
    data: bytes


class Transfer(NamedTuple):
    """A file that was sent to other machines, or came from one. Times are those of `time.monotonic`."""

    path: str
    size: int  # bytes
    is_sent: bool
    began: float
    seconds: float
    thread: int  # that did it, one after another


class Ended(NamedTuple):
    """The job's process has ended, and nothing of its process group is left."""

    id: int
    code: int | None  # exit code; None when a signal ended it or it could not be started
    signal: int | None
    seconds: float
    peak_memory: int  # bytes; 0 when it is not known
    timed_out: bool = False
    cancelled: bool = False
    leftovers: int = 0  # background processes that had to be ended with it
    moved: bool = False  # it has changed the working directory of a process that it shares with others
    error: str | None = None  # why it could not be started
    scarce: bool = False  # since the system gives too little, and not because of the job
    cause: str | None = None  # why it failed, where no exit code tells
    where: tuple[str, int] | None = None  # absolute path and line of the code that failed
    opened: tuple[tuple[str, bool], ...] = ()  # with `audit`: paths relative to it, and whether to write
    goes_on: bool = False  # nobody can end it: it must not be tried again beside itself
    away: tuple[
        tuple[str, str, int], ...
    ] = ()  # outputs that stayed where they were made: path, digest, size
    gone: tuple[str, ...] = ()  # inputs that the machines should have, and have not
    transfers: tuple[
        Transfer, ...
    ] = ()  # of what it read and made, as far as that was not where it was wanted
    repeat: str | None = None  # why this run does not count and is to be done once more
    log_error: str | None = None  # why its log is not whole; the job itself went on


class Held(NamedTuple):
    """The machine has no room for this work now: it starts when other work has ended. Told once for all of it."""

    id: int
    why: str


class Room(NamedTuple):
    """How many jobs an executor can use at a time from now on."""

    executor: str
    jobs: float


class Note(NamedTuple):
    """Something that people should know of an executor."""

    text: str


class Doing(NamedTuple):
    """What an executor is busy with before it can run jobs; nothing: it is not any more."""

    executor: str
    text: str


class Differs(NamedTuple):
    """The machines of an executor differ from this one, and run jobs all the same; no text: not any more."""

    executor: str
    text: str
    short: str  # what differs, in a few words


class Claimed(NamedTuple):
    """A cluster is about to be asked for, or more is known of it; `written` is to be set once that is durable."""

    cluster: ClusterRecord
    written: threading.Event


class Released(NamedTuple):
    """A cluster is gone."""

    name: str
    account: str | None = None  # that had it


JobEvent = Started | Output | Ended | Held
Event = JobEvent | Room | Note | Doing | Differs | Claimed | Released


class Executor(Protocol):
    """A place where work runs."""

    def fileno(self) -> int:
        """A descriptor that is readable when `events` has something to tell."""
        ...

    def deadline(self) -> float | None:
        """When (`time.monotonic`) `events` must be called at the latest even if nothing is readable."""
        ...

    def submit(self, work: Work) -> None:
        """Start this work now. Whatever goes wrong is told by an `Ended`."""
        ...

    def events(self) -> list[Event]:
        """What happened since the last call, without waiting; a work's `Started` comes before its `Ended`."""
        ...

    def cancel(self, work: int, *, now: bool = False) -> None:
        """End this work: TERM, a grace time, then KILL; with `now` KILL at once. Its `Ended` still comes."""
        ...

    def close(self) -> None:
        """End whatever still runs and give back all resources. Returns when nothing is left, or will not end.

        What is to be said of it is a `Note` that `events` tells afterwards.
        """
        ...
