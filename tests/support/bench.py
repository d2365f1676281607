"""An executor with the loop that a build would have around it."""

from __future__ import annotations

import select
import time

import pytest

from buildtool.executors.protocol import Claimed, Ended, Event, Executor, Output

PATIENCE = 40.0


class Loop:
    """Waits for events of one executor, and keeps all of them in `seen`."""

    def __init__(self, executor: Executor) -> None:
        self.executor = executor
        self.seen: list[Event] = []

    def step(self, until: float) -> None:
        """Wait for the next events; the test fails when it is too late."""
        now = time.monotonic()
        if now > until:
            pytest.fail(f"nothing came of it: {self.seen[-5:]}")
        due = self.executor.deadline()
        patience = max(0.0, min(until if due is None else due, until) - now)
        select.select([self.executor.fileno()], [], [], patience)
        new = self.executor.events()
        self.seen += new
        for event in new:
            if isinstance(event, Claimed):
                event.written.set()

    def ended(self, work: int) -> Ended:
        """How a work ended."""
        until = time.monotonic() + PATIENCE
        while not (found := [e for e in self.seen if isinstance(e, Ended) and e.id == work]):
            self.step(until)
        assert len(found) == 1
        return found[0]

    def wait_for(self, work: int, text: bytes) -> None:
        """Wait until a work has printed this."""
        until = time.monotonic() + PATIENCE
        while text not in self.output(work):
            self.step(until)

    def output(self, work: int) -> bytes:
        """All that a work printed so far."""
        return b"".join(e.data for e in self.seen if isinstance(e, Output) and e.id == work)
