"""One executor out of many: each work goes to the one that its task names, each made when it is first needed.

Does not know what the executors do.
"""

from __future__ import annotations

import selectors
from collections.abc import Callable, Mapping

from buildtool.executors.protocol import Event, Executor, Work


class Dispatch:
    """Commands of this machine go to `commands`, all else to the executor of its name in `makers`."""

    def __init__(self, commands: Executor, makers: Mapping[str, Callable[[], Executor]]) -> None:
        self._makers = makers
        self._commands = commands
        self._made: dict[str, Executor] = {}
        self._where: dict[int, Executor] = {}
        self._selector = selectors.DefaultSelector()
        self._selector.register(commands.fileno(), selectors.EVENT_READ)

    def fileno(self) -> int:
        """Readable when one of them has something to tell."""
        return self._selector.fileno()

    def deadline(self) -> float | None:
        """The earliest of all."""
        return min((at for e in self._all() if (at := e.deadline()) is not None), default=None)

    def submit(self, work: Work) -> None:
        """Give the work to its executor. Raises ExecutorError if that cannot be had."""
        executor = self._commands
        if work.call is not None or work.remote is not None:
            made = self._made.get(work.executor)
            if made is None:
                made = self._made[work.executor] = self._makers[work.executor]()
                self._selector.register(made.fileno(), selectors.EVENT_READ)
            executor = made
        self._where[work.id] = executor
        executor.submit(work)

    def events(self) -> list[Event]:
        """What happened in any of them."""
        return [event for executor in self._all() for event in executor.events()]

    def cancel(self, work: int, *, now: bool = False) -> None:
        """End this work where it runs."""
        if work in self._where:
            self._where[work].cancel(work, now=now)

    def close(self) -> None:
        """Close them all."""
        for executor in self._all():
            executor.close()
        self._selector.close()

    def _all(self) -> list[Executor]:
        return [self._commands, *self._made.values()]
