"""Jobs on machines that do not see this disk: commands and functions alike, on any cluster that a courier can talk to.

Does not know how a cluster is reached, nor how things travel.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import time
from collections import deque
from collections.abc import Callable

from buildtool.errors import BtError
from buildtool.executors.calls import Running, data_of
from buildtool.executors.messages import (
    Answered,
    Batch,
    Began,
    Lost,
    Messenger,
    Passed,
    Printed,
    Said,
    Sized,
    Stop,
    Told,
    Trouble,
)
from buildtool.executors.protocol import Claimed, Ended, Event, Note, Released, Room, Started, Work
from buildtool.runtime.job import Data

SHORT = 0.1  # seconds; jobs that take less travel together
_TOGETHER = 64  # of them in one batch at most
_ENOUGH = 8  # jobs for each machine; while it has so many, new ones need not be spread
_LONGEST = 0.25  # seconds that a batch takes
_PATIENCE = 1.0  # seconds that the last of a job's output may take longer than its answer


class RemoteExecutor:
    """The machines that a courier talks to; `courier` makes it, given whom to tell.

    `log_limit`, `mask`, `grace`: as for `Commands`.
    """

    def __init__(
        self,
        name: str,
        courier: Callable[[Callable[[Told], None]], Messenger],
        *,
        log_limit: int = 1 << 26,
        mask: tuple[bytes, ...] = (),
        grace: float = 5,
    ) -> None:
        self._name = name
        self._log_limit = log_limit
        self._mask = mask
        self._grace = grace
        self._runs: dict[int, Running] = {}
        self._heard: dict[int, int] = {}  # bytes of output
        self._held: dict[int, tuple[float, Data]] = {}  # answers that came before the last of the output
        self._new: list[Work] = []
        self._stops: list[int] = []  # jobs to be ended
        self._now = False  # whether at once
        self._told: list[Event] = []
        self._messages: deque[Told] = deque()
        self._machines = 1.0
        self._awake, self._wake = os.pipe()
        os.set_blocking(self._awake, False)
        os.set_blocking(self._wake, False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._awake, selectors.EVENT_READ)
        self._closed = False
        self._courier = courier(self._tell)

    def _tell(self, message: Told) -> None:
        """Called in threads of the courier's."""
        self._messages.append(message)
        with contextlib.suppress(OSError):
            os.write(self._wake, b".")

    def fileno(self) -> int:
        """A descriptor that is readable when something happened."""
        return self._selector.fileno()

    def deadline(self) -> float | None:
        """When `events` must be called at the latest."""
        if self._told or self._new or self._stops:
            return 0.0
        return min((at for at, _ in self._held.values()), default=None)

    def submit(self, work: Work) -> None:
        """Send this work; short ones wait for others that are submitted in the same breath."""
        self._runs[work.id] = Running.begin(work, self._log_limit, self._mask)
        self._heard[work.id] = 0
        self._new.append(work)

    def events(self) -> list[Event]:
        """What happened since the last call, without waiting. Raises `ExecutorError` if the cluster is lost."""
        if self._closed:
            return self._last()
        with contextlib.suppress(BlockingIOError):
            os.read(self._awake, 1 << 16)
        self._send_new()
        if self._stops:  # all at once: each call to the machines takes its time
            self._courier.give(Stop(tuple(self._stops), self._now))
            self._stops.clear()
        while self._messages:
            self._take(self._messages.popleft())
        now = time.monotonic()
        for job, (at, answer) in list(self._held.items()):
            if at <= now or self._heard[job] >= answer["printed"]:
                del self._held[job]
                self._end(job, answer)
        told, self._told = self._told, []
        return told

    def cancel(self, work: int, *, now: bool = False) -> None:
        """End this work wherever it is."""
        if work in self._runs:
            self._runs[work].cancelled = True
            self._stops.append(work)
            self._now = self._now or now

    def close(self) -> None:
        """End what runs and let go of the cluster."""
        if self._closed:
            return
        self._closed = True
        self._courier.close(self._grace)
        self._selector.close()
        os.close(self._awake)

    def _last(self) -> list[Event]:
        """What is still to be said of the cluster itself."""
        told: list[Event] = [event for event in self._told if isinstance(event, Claimed | Released)]
        told += [message.event for message in self._messages if isinstance(message, Passed)]
        self._told.clear()
        self._messages.clear()
        return told

    def _send_new(self) -> None:
        """Hand on what was submitted: short jobs together, spread over the machines, and others each alone."""
        new, self._new = self._new, []
        short = [
            w
            for w in new
            if w.remote is not None and w.remote.seconds is not None and w.remote.seconds < SHORT
        ]
        together = {work.id for work in short}
        for work in new:
            if work.id not in together:
                self._courier.give(Batch((self._with_call(work),)))
        share = _TOGETHER
        if len(self._runs) - len(new) < self._machines * _ENOUGH:
            share = max(1, min(_TOGETHER, -(-len(short) // max(1, int(self._machines)))))
        batch: list[Work] = []
        taken = 0.0
        for work in short:
            seconds = work.remote.seconds or 0.0 if work.remote is not None else 0.0
            if batch and (len(batch) >= share or taken + seconds > _LONGEST):
                self._courier.give(Batch(tuple(map(self._with_call, batch))))
                batch, taken = [], 0.0
            batch.append(work)
            taken += seconds
        if batch:
            self._courier.give(Batch(tuple(map(self._with_call, batch))))

    def _with_call(self, work: Work) -> tuple[Work, Data]:
        """A work with what `perform` is given, as far as it is not for the other machine to say."""
        if work.call is None or work.remote is None:
            return work, {}
        data = data_of(work, work.call, "", shared=False)
        if work.call.is_script:
            data["target"] = os.path.relpath(work.call.target, work.remote.root)
        return work, data | {
            "id": 0,
            "asker": 0,
            "code": (),
            "audit": "",
            "env": None,
            "path": [],
            "tidy": True,
        }

    def _take(self, message: Told) -> None:
        match message:
            case Began(job):
                if job in self._runs:
                    self._runs[job].began = time.monotonic()
                    self._told.append(Started(job, None, None))
            case Printed(job, data):
                if job in self._runs:
                    self._heard[job] += len(data)
                    self._told += self._runs[job].print(data)
            case Answered(job, answer):
                if job in self._runs:
                    self._held[job] = (time.monotonic() + _PATIENCE, {"printed": 0, **answer})
            case Lost(job, why, gone):
                if job in self._runs:
                    ended = Ended(job, None, None, 0.0, 0, repeat=why, gone=gone)
                    self._told += self._runs.pop(job).end(ended)
            case Sized(jobs):
                self._machines = jobs / 2
                self._told.append(Room(self._name, jobs))
            case Said(text):
                self._told.append(Note(text))
            case Passed(event):
                self._told.append(event)
            case Trouble(error):
                self._raise(error)

    def _raise(self, error: BtError) -> None:
        raise error

    def _end(self, job: int, answer: Data) -> None:
        run = self._runs.pop(job)
        run.cancelled = run.cancelled or bool(answer.get("cancelled"))
        run.timed_out = bool(answer.get("timed_out"))
        failed = answer.get("status") == "failed"
        killed = answer.get("status") == "killed"
        where = answer.get("where")
        root = run.work.remote.root if run.work.remote is not None else ""
        self._told += run.end(
            Ended(
                job,
                None if killed or (failed and "code" not in answer) else answer.get("code", 0),
                answer.get("signal"),
                answer.get("seconds", 0.0),
                answer.get("peak", 0),
                leftovers=answer.get("ended", 0),
                away=tuple(answer.get("away", ())),
                transfers=tuple(answer.get("transfers", ())),
                error=answer.get("error"),
                cause=None if killed else answer.get("cause"),
                where=(os.path.join(root, where[0]), where[1]) if where else None,
                repeat="its code changed while it ran" if answer.get("status") == "stale" else None,
            )
        )
