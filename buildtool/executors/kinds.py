"""Jobs of several kinds, each of which needs machines of its own: these are executors, made when they are first needed.

Does not know where machines come from.
"""

from __future__ import annotations

import selectors
from collections.abc import Callable
from typing import Generic, TypeVar

from buildtool.executors.protocol import Event, Executor, Room, Work

Kind = TypeVar("Kind")


class ByKind(Generic[Kind]):
    """Gives each work to the executor that `make` makes for its kind, which `kind` tells."""

    def __init__(self, name: str, kind: Callable[[Work], Kind], make: Callable[[Kind], Executor]) -> None:
        self._name = name
        self._kind = kind
        self._make = make
        self._made: dict[Kind, Executor] = {}
        self._rooms: dict[Kind, float] = {}
        self._where: dict[int, Executor] = {}
        self._selector = selectors.DefaultSelector()

    def fileno(self) -> int:
        """Readable when one of them has something to tell."""
        return self._selector.fileno()

    def deadline(self) -> float | None:
        """The earliest of all."""
        return min((at for e in self._made.values() if (at := e.deadline()) is not None), default=None)

    def submit(self, work: Work) -> None:
        """Give the work to machines of its kind, of which it asks nothing more."""
        kind = self._kind(work)
        made = self._made.get(kind)
        if made is None:
            made = self._made[kind] = self._make(kind)
            self._selector.register(made.fileno(), selectors.EVENT_READ)
        self._where[work.id] = made
        made.submit(work._replace(remote=work.remote._replace(resources={})) if work.remote else work)

    def events(self) -> list[Event]:
        """What happened in any of them; the room is that of all together."""
        found: list[Event] = []
        for kind, executor in self._made.items():
            for event in executor.events():
                if isinstance(event, Room):
                    self._rooms[kind] = event.jobs
                    found.append(Room(self._name, sum(self._rooms.values())))
                else:
                    found.append(event)
        return found

    def cancel(self, work: int, *, now: bool = False) -> None:
        """End this work where it runs."""
        if work in self._where:
            self._where[work].cancel(work, now=now)

    def close(self) -> None:
        """Close them all."""
        for executor in self._made.values():
            executor.close()
        self._selector.close()
