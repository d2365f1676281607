"""What passes between an executor of other machines and the courier that talks to them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from buildtool.errors import BtError
from buildtool.executors.protocol import Event, Work
from buildtool.runtime.job import Data
from buildtool.tuples import NamedTuple


class LeavingError(Exception):
    """Whoever wanted a cluster does not want it any more."""


class Cluster(NamedTuple):
    """A cluster that can be used: its client, what it is called, and how to let go of it."""

    client: Any
    title: str
    close: Callable[[], None]
    root: str = ""  # of the project
    most: int = 0  # jobs that it could run at a time if it grew; 0: it is as large as it is
    drift: str = "ignore"  # what a difference between its machines and this one does
    made_with: Mapping[str, Any] | None = None  # what was noted when it was made
    settings: Mapping[str, Any] | None = None  # what it would be made with now
    remedy: str = "start its workers anew in the environment of this machine"
    again: bool = False  # whether there may be another one when it is lost
    renew: Callable[[], None] | None = None  # end it, so that connecting makes a new one
    refill: Callable[[], None] | None = None  # ask for machines in the place of those that are lost
    is_wanted: Callable[[], bool] = lambda: True  # whether connecting now would still lead to this one


# Gives a cluster, given whom to tell of it, and what is set once nobody wants it any more.
Connect = Callable[[Callable[["Told"], None], threading.Event], Cluster]


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
    gone: tuple[str, ...] = ()  # inputs that nobody has any more


class Sized(NamedTuple):
    """So many jobs can be used at a time."""

    jobs: float


class Said(NamedTuple):
    """Something that people should know."""

    text: str


class Passed(NamedTuple):
    """Something to be passed on as it is."""

    event: Event


class Trouble(NamedTuple):
    """The cluster cannot be used any more."""

    error: BtError


Told = Began | Printed | Answered | Lost | Sized | Said | Passed | Trouble


class Messenger(Protocol):
    """What an executor of other machines wants of a courier."""

    def give(self, message: Batch | Stop) -> None:
        """Have something done."""

    def close(self, patience: float) -> None:
        """End what runs and let go of the machines; waits so many seconds at most."""
