"""What passes between an executor of other machines and the courier that talks to them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from buildtool.errors import BtError
from buildtool.executors.protocol import Work
from buildtool.runtime.job import Data


class Cluster(NamedTuple):
    """A cluster that can be used: its client, what it is called, and how to let go of it."""

    client: Any
    title: str
    close: Callable[[], None]


class Batch(NamedTuple):
    """Jobs that one machine is to run one after another, each with what `perform` is given besides."""

    works: tuple[tuple[Work, Data], ...]


class Stop(NamedTuple):
    """End these jobs."""

    ids: tuple[int, ...]
    now: bool


class Began(NamedTuple):
    """A job runs."""

    id: int


class Printed(NamedTuple):
    """A job wrote this."""

    id: int
    data: bytes


class Answered(NamedTuple):
    """A job has ended, and what it made is here."""

    id: int
    answer: Data


class Lost(NamedTuple):
    """A run does not count."""

    id: int
    why: str


class Sized(NamedTuple):
    """So many jobs can be used at a time."""

    jobs: float


class Said(NamedTuple):
    """Something that people should know."""

    text: str


class Trouble(NamedTuple):
    """The cluster cannot be used any more."""

    error: BtError


Told = Began | Printed | Answered | Lost | Sized | Said | Trouble


class Messenger(Protocol):
    """What an executor of other machines wants of a courier."""

    def give(self, message: Batch | Stop) -> None:
        """Have something done."""

    def close(self, patience: float) -> None:
        """End what runs and let go of the machines; waits so many seconds at most."""
