"""The plan alone: random graphs, verdicts, failures, resources and orders of completion, with no disk."""

from __future__ import annotations

import random
from collections import Counter, deque
from collections.abc import Mapping

from hypothesis import example, given, settings
from hypothesis import strategies as st

from buildtool.fingerprint import Fresh, Maybe, Reason, Stale
from buildtool.graph import JobId
from buildtool.plan import (
    Check,
    Checked,
    Finished,
    Freed,
    Grown,
    Instruction,
    Interrupted,
    Plan,
    Skip,
    Start,
    State,
    Status,
    Vacated,
)
from support.effort import amount

STALE = Stale((Reason("first"),))
CAPACITY = {"cpus": 4.0, "memory": 10.0, "db": 1.0}
NEEDS: tuple[Mapping[str, float], ...] = (
    {"cpus": 1},
    {"cpus": 2},
    {"cpus": 4},
    {"cpus": 1, "db": 1},
    {"cpus": 0.5, "memory": 6},
    {},
)


class World:
    """A random build: what disk, executor and Taskfile would say, and what must hold all along."""

    def __init__(self, seed: int, *, keep_going: bool, failures: float = 0.0, reopening: bool = True) -> None:
        self.random = random.Random(seed)  # noqa: S311
        self.failures = failures
        count = self.random.randrange(1, 40)
        width = self.random.choice((1, 2, 5, 40))
        self.before: dict[JobId, set[JobId]] = {}
        for number in range(count):
            near = range(max(0, number - width), number)
            chosen = self.random.sample(near, self.random.randrange(min(len(near), 4) + 1))
            self.before[JobId(number)] = {JobId(n) for n in chosen}
        self.stale = {job: self.random.random() < 0.5 for job in self.before}
        self.present = {job: not reopening or self.random.random() < 0.7 for job in self.before}
        self.needs = {job: self.random.choice(NEEDS) for job in self.before}
        self.late = {
            job: self.random.random() < 0.15 for job in self.before
        }  # grows when it is first checked
        self.again = {job: self.random.random() < 0.1 for job in self.before}  # its first run does not count
        self.plan = Plan(
            lambda job: self.before[job],
            lambda job: self.needs[job],
            lambda job: (self.random.random(), job),
            CAPACITY,
            keep_going=keep_going,
        )
        self.todo: deque[Instruction] = deque()
        self.running: list[JobId] = []
        self.seen: Counter[str] = Counter()
        self.starts: Counter[JobId] = Counter()
        self.allowed: Counter[JobId] = Counter()  # starts beyond the first
        self.failed: set[JobId] = set()
        self.skipped: set[JobId] = set()
        self.reopened: set[JobId] = set()
        self.vacated: set[JobId] = set()  # they are over, and nobody has said how they came out

    def run(self, *, interrupt_at: int = -1) -> None:
        """To the end, which must come."""
        first = [job for job in self.before if self.random.random() < 0.8]
        self.take(self.plan.add(self.closure(first)))
        for step in range(100_000):
            if step == interrupt_at:
                self.take(self.plan.handle(Interrupted()))
            if self.todo and (not self.running or self.random.random() < 0.7):
                self.obey(self.todo.popleft())  # in order: that is what the plan may count on
            elif self.running and self.random.random() < 0.2:
                self.vacate(self.random.choice(self.running))
            elif self.running and self.random.random() < 0.1:
                self.free(self.random.choice(self.running))
            elif self.running:
                self.end(self.running.pop(self.random.randrange(len(self.running))))
            else:
                break
        assert self.plan.done
        assert not self.plan.running()
        assert self.plan.stopping or not self.plan.unsettled()

    def closure(self, jobs: list[JobId]) -> list[JobId]:
        """These jobs and all they wait for, in any order."""
        found, pending = set(jobs), list(jobs)
        while pending:
            new = self.before[pending.pop()] - found
            found |= new
            pending += new
        shuffled = sorted(found)
        self.random.shuffle(shuffled)
        return shuffled

    def take(self, instructions: list[Instruction]) -> None:
        self.seen.update(type(i).__name__ for i in instructions)
        for instruction in instructions:
            if isinstance(instruction, Start):
                self.starting(instruction.job)
        self.todo += instructions

    def starting(self, job: JobId) -> None:
        """What must hold when the plan lets a job begin: from here on it counts as running."""
        assert not self.plan.stopping
        self.starts[job] += 1
        assert self.starts[job] <= 1 + self.allowed[job]
        for other in self.before[job]:
            assert self.plan.state(other) is State.SETTLED
            status = self.plan.status(other)
            assert status is not None
            assert status.good
        assert not any(job in self.before[reader] for reader in self.plan.running())
        used: Counter[str] = Counter()
        for runs in {*self.plan.running()} - self.vacated:
            used.update(self.needs[runs])
        assert all(used[name] <= CAPACITY[name] for name in used)

    def obey(self, instruction: Instruction) -> None:
        match instruction:
            case Check(job, demanded):
                self.check(job, demanded)
            case Start(job):
                self.running.append(job)
            case Skip(job, because):
                assert job not in self.skipped
                self.skipped.add(job)
                status = self.plan.status(because)
                assert status is not None
                assert not status.good

    def check(self, job: JobId, demanded: bool) -> None:
        assert self.plan.state(job) is State.CHECKING
        assert not self.before[job] & {*self.running}  # begun: those only decided on begin after this look
        if self.late[job]:
            self.late[job] = False
            more = {other for other in self.before if other < job and self.random.random() < 0.2}
            self.before[job] |= more
            self.take(self.plan.add(self.closure(sorted(more))))
            self.take(self.plan.handle(Grown(job, frozenset(more))))
            return
        if not self.stale[job] and not (demanded and not self.present[job]):
            verdict = Fresh() if self.random.random() < 0.9 else Maybe(("x",))
            self.take(self.plan.handle(Checked(job, verdict)))
            return
        absent = tuple(other for other in sorted(self.before[job]) if not self.present[other])
        for other in absent:
            if self.plan.state(other) is State.SETTLED:
                self.allowed[other] += 1
                self.reopened.add(other)
        self.take(self.plan.handle(Checked(job, STALE, absent)))

    def vacate(self, job: JobId) -> None:
        """Its room is for others, unless what waits for it alone could be the next."""
        waiting = [o for o in self.before if job in self.before[o] and self.plan.state(o) is State.WAITING]
        missing = [[b for b in self.before[o] if self.plan.state(b) is not State.SETTLED] for o in waiting]
        self.vacated.add(job)
        instructions = self.plan.handle(Vacated(job))
        assert not instructions or [job] not in missing
        self.take(instructions)

    def free(self, other: JobId) -> None:
        """Somebody who waits for a job turns out not to need it."""
        for job in [o for o in self.before if other in self.before[o]][:1]:
            if self.plan.state(job) is State.WAITING:
                self.before[job] = self.before[job] - {other}
                self.take(self.plan.handle(Freed(job, other)))
                self.seen["freed"] += 1

    def end(self, job: JobId) -> None:
        self.vacated.discard(job)
        if self.again[job]:
            self.again[job] = False
            self.allowed[job] += 1
            self.take(self.plan.handle(Grown(job, frozenset())))
            return
        if self.random.random() < self.failures:
            self.failed.add(job)
            self.take(self.plan.handle(Finished(job, Status.FAILED)))
            return
        self.present[job] = True
        self.stale[job] = False
        self.take(self.plan.handle(Finished(job, self.random.choice((Status.RAN, Status.UNCHANGED)))))


SEEDS = st.integers(0, 2**32)


@given(SEEDS)
@settings(max_examples=amount(400, 5000))
def test_without_failures_all_is_settled_well(seed: int) -> None:
    world = World(seed, keep_going=False)
    world.run()
    assert not world.plan.failed
    assert not world.skipped
    wanted = [job for job in world.before if world.plan.state(job) is not None]
    for job in wanted:
        status = world.plan.status(job)
        assert status is not None
        assert status.good


@given(SEEDS)
@settings(max_examples=amount(400, 5000))
def test_a_failure_skips_its_descendants_and_no_others(seed: int) -> None:
    world = World(seed, keep_going=True, failures=0.2)
    world.run()
    assert set(world.plan.failed) == world.failed
    bad = world.failed | world.skipped
    for job in world.before:
        status = world.plan.status(job)
        causes = world.before[job] & bad
        if status is None:
            assert world.plan.state(job) is None  # not wanted
        elif status is Status.SKIPPED:
            assert causes
        elif status.good or job in world.failed:
            assert causes <= world.reopened


@given(SEEDS)
@settings(max_examples=amount(400, 5000))
def test_nothing_starts_after_the_first_failure(seed: int) -> None:
    world = World(seed, keep_going=False, failures=0.2)  # `starting` looks at `stopping`
    world.run()
    assert set(world.plan.failed) == world.failed
    assert world.plan.stopping == bool(world.failed)


@given(SEEDS, st.integers(0, 60))
@settings(max_examples=amount(200, 5000))
def test_an_interruption_ends_it(seed: int, step: int) -> None:
    world = World(seed, keep_going=True, failures=0.1)
    world.run(interrupt_at=step)


@given(SEEDS)
@settings(max_examples=amount(200, 5000))
def test_the_number_of_instructions_is_linear(seed: int) -> None:
    world = World(seed, keep_going=False)
    world.run()
    extra = sum(world.allowed.values()) + len(world.before)
    assert world.seen["Check"] <= 2 * len(world.before) + 2 * extra
    assert world.seen["Start"] <= len(world.before) + sum(world.allowed.values())


@given(SEEDS)
@example(0)
@settings(max_examples=amount(200, 5000))
def test_nothing_absent_means_nothing_opened_again(seed: int) -> None:
    world = World(seed, keep_going=True, failures=0.1, reopening=False)
    world.run()
    assert not world.reopened
    assert all(count <= 1 + world.allowed[job] for job, count in world.starts.items())


def simple(before: Mapping[int, set[int]], **needs: float) -> Plan:
    """A plan of a few jobs that take one of four cpus each."""
    return Plan(
        lambda job: {JobId(n) for n in before.get(job, ())},
        lambda _: needs or {"cpus": 1},
        lambda job: (-job,),
        CAPACITY,
        keep_going=True,
    )


def drive(plan: Plan, *events: Checked | Finished | Grown | Interrupted) -> list[Instruction]:
    """Tell the events; what the last one gave."""
    found: list[Instruction] = []
    for event in events:
        found = plan.handle(event)
    return found


def test_a_long_chain_of_skips_needs_no_recursion() -> None:
    plan = simple({n: {n - 1} for n in range(1, 50_000)})
    plan.add([JobId(n) for n in range(50_000)])
    skips = drive(plan, Checked(JobId(0), STALE), Finished(JobId(0), Status.FAILED))
    assert len(skips) == 49_999
    assert plan.done


def test_a_large_job_does_not_hold_up_small_ones() -> None:
    plan = Plan(lambda _: (), lambda job: {"cpus": 4 if job == 1 else 1}, lambda job: (-job,), CAPACITY)
    plan.add([JobId(0), JobId(1), JobId(2)])
    started = [plan.handle(Checked(JobId(n), STALE)) for n in range(3)]
    assert started == [[Start(JobId(0))], [], [Start(JobId(2))]]
    assert plan.handle(Finished(JobId(0), Status.RAN)) == []
    assert plan.handle(Finished(JobId(2), Status.RAN)) == [Start(JobId(1))]


def test_a_producer_that_stays_absent_is_a_failure() -> None:
    """Made again twice and still not there: its consumer is skipped, and the build has failed."""
    producer, consumer = JobId(0), JobId(1)
    plan = simple({1: {0}})
    plan.add([producer, consumer])
    drive(plan, Checked(producer, Fresh()))
    for _ in range(2):
        assert drive(plan, Checked(consumer, STALE, (producer,))) == [Check(producer, demanded=True)]
        drive(plan, Checked(producer, STALE), Finished(producer, Status.RAN))
    assert drive(plan, Checked(consumer, STALE, (producer,))) == [Skip(consumer, producer)]
    assert plan.done
    assert plan.failed == [producer]


def test_a_producer_does_not_run_again_beside_a_reader() -> None:
    """0 makes two files; 1 runs and reads one of them when 2 finds that the other is not there."""
    plan = simple({1: {0}, 2: {0}})
    plan.add([JobId(0), JobId(1), JobId(2)])
    drive(plan, Checked(JobId(0), Fresh()))
    assert drive(plan, Checked(JobId(1), STALE)) == [Start(JobId(1))]
    assert drive(plan, Checked(JobId(2), STALE, (JobId(0),))) == []
    assert drive(plan, Finished(JobId(1), Status.FAILED)) == [Check(JobId(0), demanded=True)]


def test_a_job_is_not_looked_at_while_its_producer_runs_again() -> None:
    """0 was settled when 3 began to wait for it and for 1; then 2 opens it again."""
    plan = simple({2: {0}, 3: {0, 1}})
    plan.add([JobId(0), JobId(1), JobId(2), JobId(3)])
    drive(plan, Checked(JobId(1), STALE), Checked(JobId(0), Fresh()))
    drive(plan, Checked(JobId(2), STALE, (JobId(0),)), Checked(JobId(0), STALE))
    assert plan.state(JobId(0)) is State.RUNNING
    assert drive(plan, Finished(JobId(1), Status.RAN)) == []


def test_jobs_that_wait_for_each_other_are_named() -> None:
    """0 and 1 each turn out to need the other; 2 waits for them."""
    plan = simple({2: {0}})
    plan.add([JobId(0), JobId(1), JobId(2)])
    drive(plan, Grown(JobId(0), frozenset({JobId(1)})), Grown(JobId(1), frozenset({JobId(0)})))
    assert not plan.done
    assert plan.circle() in ([JobId(0), JobId(1), JobId(0)], [JobId(1), JobId(0), JobId(1)])
    skipped = drive(plan, Finished(JobId(0), Status.FAILED))
    assert {*skipped} == {Skip(JobId(1), JobId(0)), Skip(JobId(2), JobId(0))}
    assert plan.done
