"""The values that the state keeps."""

from __future__ import annotations

from buildtool.fingerprint import Fingerprint
from buildtool.tuples import NamedTuple


class Made(NamedTuple):
    """One path that a job left behind: a file, or a directory (with its `/`) as a whole."""

    path: str
    digest: str


class JobRecord(NamedTuple):
    """The last run of one job."""

    key: str
    task: str
    wildcards: tuple[tuple[str, str], ...]
    status: str  # ok, failed or interrupted: only with `ok` do fingerprint and outputs count
    fingerprint: Fingerprint
    outputs: tuple[Made, ...]
    found: tuple[str, ...]  # inputs that the last run named itself (depfile)
    build: int  # number of the build that ran it
    ended: float  # seconds since the epoch
    seconds: float
    peak_memory: int  # bytes
    executor: str
    runs: int = 1  # how often it ran in all
    accepted: bool = False  # `bt accept` said that the outputs are right as they are
    drift: str = ""  # how the machine that ran it differed from the one that asked for it


class ClusterRecord(NamedTuple):
    """A cluster that was asked for, and is not known to be gone. Times are seconds since the epoch."""

    name: str
    executor: str  # the name of the executor that it is for
    backend: str
    asked: float  # when
    maker: str  # who asked for it: `user@host`
    pid: int  # of the `bt` that did
    stamp: str | None  # when that process was started, as the system tells it
    id: int | None = None  # what the service calls it; None while that is not known
    account: str | None = None  # of the service
    workers: int = 0  # that it had when it was last used
    used: float = 0.0  # when it was last known to be used
    stops_after: float | None = None  # seconds without work; None: it does not stop by itself
    environment: str = ""  # the digest of what it was made to match

    @property
    def is_half_made(self) -> bool:
        """Whether it is not known that it came up."""
        return self.id is None


class Away(NamedTuple):
    """An output that the machines of an executor have, and this one has not."""

    path: str
    digest: str
    size: int  # bytes
    executor: str


class Running(NamedTuple):
    """A job that was started and has not been settled."""

    key: str
    task: str
    outputs: tuple[str, ...]  # paths it may be writing
    # (path, where its old content was moved), both as the disk knows them. Of two places of a path, it is at the first
    # where anything is.
    aside: tuple[tuple[str, str], ...]
    pid: int | None = None
    stamp: str | None = None
    began: float | None = None  # seconds since the epoch; None: that is not known
    patterns: tuple[str, ...] = ()  # of files that it may be making
    spared: tuple[str, ...] = ()  # what these matched when it began and that is not the job's own
    copies: tuple[tuple[str, str], ...] = ()  # (path, its copy): people's files that it may write over
    waits: bool = False  # copies are being made, and it was not started yet


class Left(NamedTuple):
    """What a journal says that nobody closed. Of a damaged one, what can be read."""

    mark: str | None  # of the journal; None: that is lost
    run: str  # the mark of its processes
    place: str  # of the state folder
    jobs: tuple[Running, ...]  # not settled
    moved: tuple[tuple[str, str], ...]  # (path, place) of those that are: garbage, and people's files
    is_torn: bool  # something stood in it that cannot be read


class BuildRecord(NamedTuple):
    """One past or present `bt build`."""

    number: int
    started: float  # seconds since the epoch
    ended: float | None  # None: running, or it died
    command: str
    exit_code: int | None
    counts: dict[str, int]  # jobs by status


class HistoryRecord(NamedTuple):
    """One job that did something in one build."""

    build: int
    key: str
    name: str
    status: str
    reasons: tuple[str, ...]
    seconds: float
    ended: float
    cause: str = ""  # why it failed or was skipped
