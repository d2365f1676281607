"""What to do next: facts go in as events, decisions come out as instructions.

Knows no disk, no clock, no process and no text. A job is looked at when all that it waits for is settled, once, so
that its verdict is final; a job that makes the same bytes as before then needs no treatment of its own.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from typing import assert_never

from buildtool.fingerprint import Fresh, Maybe, Stale, Verdict
from buildtool.graph import JobId
from buildtool.tuples import NamedTuple


class Status(Enum):
    """How a job came out; the value is what people see."""

    RAN = "ran"
    UNCHANGED = "unchanged"  # ran, and made the same bytes as before
    RESTORED = "restored"
    FRESH = "fresh"
    FAILED = "failed"
    SKIPPED = "skipped"

    @property
    def good(self) -> bool:
        """Whether what depends on the job may go on."""
        return self not in (Status.FAILED, Status.SKIPPED)


class Checked(NamedTuple):
    """The verdict on a job. `absent`: jobs whose outputs it needs in order to run, and that are not there."""

    job: JobId
    verdict: Verdict
    absent: tuple[JobId, ...] = ()


class Grown(NamedTuple):
    """A job that was to be checked, or was running, must wait for these first and be checked again then."""

    job: JobId
    requires: frozenset[JobId]


class Finished(NamedTuple):
    """A job that was started or checked has come out."""

    job: JobId
    status: Status


class Vacated(NamedTuple):
    """What a job ran as is over, and how it came out is not looked at yet: others may have its room meanwhile."""

    job: JobId


class Freed(NamedTuple):
    """A job that waits for others does not wait for this one any more."""

    job: JobId
    other: JobId


class Interrupted(NamedTuple):
    """The user wants no new jobs."""


class Resized(NamedTuple):
    """There is so much of a resource from now on."""

    resource: str
    amount: float


Event = Checked | Grown | Freed | Finished | Vacated | Interrupted | Resized


class Check(NamedTuple):
    """Look whether the job is stale. `demanded`: its outputs must exist, since a job that will run reads them."""

    job: JobId
    demanded: bool


class Start(NamedTuple):
    """Run the job now."""

    job: JobId


class Skip(NamedTuple):
    """The job cannot run, because this one failed."""

    job: JobId
    because: JobId


Instruction = Check | Start | Skip


class State(Enum):
    """Where a job is on its way."""

    WAITING = "waiting"  # for others to be settled
    CHECKING = "checking"  # its verdict was asked for
    QUEUED = "queued"  # stale; waits until there is room
    RUNNING = "running"
    SETTLED = "settled"


class _Entry:
    __slots__ = ("demanded", "patient", "remade", "remaining", "state", "status")

    def __init__(self) -> None:
        self.state = State.WAITING
        self.remaining = 0  # unsettled jobs it waits for
        self.status: Status | None = None  # once settled
        self.demanded = False
        self.remade = 0  # how often it was opened again
        self.patient = False  # it waits until others are done, however they come out


class Plan:
    """The state of every wanted job.

    `prerequisites` gives what a job waits for; `resources` what it takes while it runs; `urgency` sorts the queue,
    greatest first; `capacity` is how much of each resource there is.
    """

    def __init__(
        self,
        prerequisites: Callable[[JobId], Iterable[JobId]],
        resources: Callable[[JobId], Mapping[str, float]],
        urgency: Callable[[JobId], tuple[float, ...]],
        capacity: Mapping[str, float],
        *,
        keep_going: bool = False,
    ) -> None:
        self._prerequisites = prerequisites
        self._resources = resources
        self._urgency = urgency
        self._capacity = dict(capacity)
        self._free = dict(capacity)
        self._keep_going = keep_going
        self._jobs: dict[JobId, _Entry] = {}
        self._waiters: dict[JobId, list[JobId]] = {}
        self._queues: dict[tuple[tuple[str, float], ...], list[tuple[tuple[float, ...], JobId]]] = {}
        self._running: dict[JobId, Mapping[str, float]] = {}
        self._unsettled = 0
        self._stopping = False
        self.failed: list[JobId] = []

    @property
    def done(self) -> bool:
        """Whether nothing runs and nothing more can be started or checked."""
        if self._running:
            return False
        return self._stopping or self._unsettled == 0

    @property
    def stopping(self) -> bool:
        """Whether no new job will be started."""
        return self._stopping

    def status(self, job: JobId) -> Status | None:
        """How a job came out, or None while that is open."""
        entry = self._jobs.get(job)
        return None if entry is None else entry.status

    def state(self, job: JobId) -> State | None:
        """Where a job is, or None if it is not wanted."""
        entry = self._jobs.get(job)
        return None if entry is None else entry.state

    def jobs(self) -> Iterable[JobId]:
        """Every wanted job."""
        return self._jobs.keys()

    def unsettled(self) -> list[JobId]:
        """The jobs that have not come out."""
        return [job for job, entry in self._jobs.items() if entry.state is not State.SETTLED]

    def waiting_for(self, job: JobId) -> list[JobId]:
        """The jobs that cannot be looked at before this one is settled."""
        return self._waiters.get(job, [])

    def circle(self) -> list[JobId]:
        """Jobs that wait for each other, the first one repeated at the end; or one that nothing will start."""
        waits: dict[JobId, JobId] = {}
        for other, waiters in self._waiters.items():
            for job in waiters if self._jobs[other].state is not State.SETTLED else ():
                if self._jobs[job].state is State.WAITING:
                    waits[job] = other
        job = next(iter(waits), next(iter(self.unsettled())))
        path: dict[JobId, None] = {}
        while job in waits and job not in path:
            path[job] = None
            job = waits[job]
        if job not in path:
            return [job]
        found = list(path)
        return [*found[found.index(job) :], job]

    def running(self) -> list[JobId]:
        """The jobs that run now."""
        return list(self._running)

    def drop(self, instructions: Iterable[Instruction]) -> int:
        """Forget instructions that will not be carried out; how many jobs were to be started by them."""
        starts = [i.job for i in instructions if isinstance(i, Start)]
        for job in starts:
            self._release(job)
        return len(starts)

    def add(self, jobs: Iterable[JobId]) -> list[Instruction]:
        """Want more jobs; everything they wait for must be among them or be wanted already."""
        new = [job for job in jobs if job not in self._jobs]
        for job in new:
            self._jobs[job] = _Entry()
            self._unsettled += 1
        found: list[Instruction] = []
        for job in new:
            found += self._wait(job, self._prerequisites(job))
        return found

    def handle(self, event: Event) -> list[Instruction]:
        """Take in what happened; what is to be done about it."""
        match event:
            case Checked(job, verdict, absent):
                return self._checked(job, verdict, absent)
            case Grown(job, requires):
                self._release(job)
                return self._wait(job, requires) + self._schedule()
            case Freed(job, other):
                return self._free_from(job, other)
            case Finished(job, status):
                self._release(job)
                return self._settle(job, status) + self._schedule()
            case Vacated(job):
                return self._vacate(job)
            case Interrupted():
                self._stopping = True
                return []
            case Resized(resource, amount):
                self._free[resource] = (
                    self._free.get(resource, 0.0) + amount - self._capacity.get(resource, 0.0)
                )
                self._capacity[resource] = amount
                return self._schedule()
            case _:
                assert_never(event)

    def _wait(self, job: JobId, requires: Iterable[JobId]) -> list[Instruction]:
        """Let a job wait for others; if they are settled, it is to be checked now."""
        entry = self._jobs[job]
        entry.state = State.WAITING
        entry.remaining = 0
        for other in requires:
            known = self._jobs[other]
            if known.state is not State.SETTLED:
                entry.remaining += 1
                self._waiters.setdefault(other, []).append(job)
            elif known.status is not None and not known.status.good:
                return self._skip(job, other)
        return [] if entry.remaining else self._check(job)

    def _free_from(self, job: JobId, other: JobId) -> list[Instruction]:
        entry, waiters = self._jobs[job], self._waiters.get(other, [])
        if entry.state is not State.WAITING or job not in waiters:
            return []
        waiters.remove(job)
        entry.remaining -= 1
        return [] if entry.remaining else self._check(job)

    def _check(self, job: JobId) -> list[Instruction]:
        if self._stopping:
            return []
        entry = self._jobs[job]
        requires = set(self._prerequisites(job))
        if any(self._jobs[other].state is not State.SETTLED for other in requires):
            return self._wait(job, requires)  # one of them was opened again meanwhile
        entry.state = State.CHECKING
        entry.patient = False
        return [Check(job, entry.demanded)]

    def _checked(self, job: JobId, verdict: Verdict, absent: tuple[JobId, ...]) -> list[Instruction]:
        entry = self._jobs[job]
        match verdict:
            case Fresh():
                return self._settle(job, Status.FRESH)
            case Maybe():
                return self._settle(job, Status.UNCHANGED)
            case Stale():
                pass
            case _:
                assert_never(verdict)
        if not absent:
            entry.state = State.QUEUED
            needs = tuple(sorted(self._resources(job).items()))
            urgency = tuple(-x for x in self._urgency(job))
            heapq.heappush(self._queues.setdefault(needs, []), (urgency, job))
            return self._schedule()
        found: list[Instruction] = []
        for other in absent:
            found += self._reopen(other)
        return found + self._wait(job, absent)

    def _reopen(self, job: JobId) -> list[Instruction]:
        """Make a settled job run again, because its outputs are needed after all."""
        entry = self._jobs[job]
        if entry.state is not State.SETTLED or entry.status is None or not entry.status.good:
            return []
        entry.remade += 1
        if entry.remade > 2:  # once for an absent output, once more if somebody deletes it meanwhile
            entry.status = Status.FAILED
            self.failed.append(job)
            return []
        entry.demanded = True
        entry.status = None
        self._unsettled += 1
        readers = [other for other in self._running if job in self._prerequisites(other)]
        if not readers:
            return self._check(job)
        entry.patient = True  # its outputs must not be moved away under jobs that read them
        return self._wait(job, readers)

    def _settle(self, job: JobId, status: Status) -> list[Instruction]:
        entry = self._jobs[job]
        entry.state = State.SETTLED
        entry.status = status
        self._unsettled -= 1
        found: list[Instruction] = []
        if status is Status.FAILED:
            self.failed.append(job)
            self._stopping = self._stopping or not self._keep_going
        for waiter in self._waiters.pop(job, ()):
            other = self._jobs[waiter]
            if other.state is not State.WAITING:
                continue
            if not status.good and not other.patient:
                found += self._skip(waiter, job)
                continue
            other.remaining -= 1
            if not other.remaining:
                found += self._check(waiter)
        return found

    def _skip(self, job: JobId, because: JobId) -> list[Instruction]:
        """Settle a job and all that waits for it as skipped; iterative, since chains can be long."""
        found: list[Instruction] = []
        pending = deque([job])
        while pending:
            current = pending.popleft()
            entry = self._jobs[current]
            if entry.state is State.SETTLED:
                continue
            entry.state = State.SETTLED
            entry.status = Status.SKIPPED
            self._unsettled -= 1
            found.append(Skip(current, because))
            pending += self._waiters.pop(current, ())
        return found

    def _vacate(self, job: JobId) -> list[Instruction]:
        """Give a job's room to others, unless one that waits for it may be the next: it could be more urgent."""
        waiters = (self._jobs[waiter] for waiter in self._waiters.get(job, ()))
        if any(entry.state is State.WAITING and entry.remaining <= 1 for entry in waiters):
            return []
        self._release(job)
        self._running[job] = {}
        return self._schedule()

    def _release(self, job: JobId) -> None:
        for name, amount in self._running.pop(job, {}).items():
            self._free[name] += amount

    def _schedule(self) -> list[Instruction]:
        """Start what fits, the most urgent first; a job that does not fit lets smaller ones pass."""
        found: list[Instruction] = []
        if self._stopping:
            return found
        heads = [(queue[0], needs) for needs, queue in self._queues.items() if queue and self._fits(needs)]
        heapq.heapify(heads)
        while heads:
            (_, job), needs = heapq.heappop(heads)
            if not self._fits(needs):
                continue
            queue = self._queues[needs]
            heapq.heappop(queue)
            if queue:
                heapq.heappush(heads, (queue[0], needs))
            requires = set(self._prerequisites(job))
            if any(self._jobs[other].state is not State.SETTLED for other in requires):
                found += self._wait(job, requires)  # something it reads is being made again
                continue
            for name, amount in needs:
                self._free[name] -= amount
            self._jobs[job].state = State.RUNNING
            self._running[job] = dict(needs)
            found.append(Start(job))
        return found

    def _fits(self, needs: tuple[tuple[str, float], ...]) -> bool:
        """Whether there is room for a job that takes this."""
        free = self._free
        for name, amount in needs:  # noqa: SIM110  asked several times for each job
            if free.get(name, 0) < amount:
                return False
        return True
