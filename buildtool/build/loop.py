"""The one loop: asks the plan what to do, does it, tells the reporter, writes the state.

Progress is made by events. A job is checked when the plan says so; a stale one is prepared, noted in the state as
running, and given to the executor; when it has ended, its outcome goes to the state, the reporter and the plan.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import time
from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol

from buildtool.build.commits import Commits
from buildtool.build.demand import Demand
from buildtool.build.outcomes import Outcomes
from buildtool.build.temporary import Temporary
from buildtool.check import Checker, Look, NotMadeError
from buildtool.errors import BtError, DiskError, ExecutorError, ExitCode, GraphError, StateError
from buildtool.executors.protocol import (
    Claimed,
    Differs,
    Doing,
    Ended,
    Event,
    Executor,
    Held,
    JobEvent,
    Note,
    Output,
    Released,
    Room,
    Started,
)
from buildtool.expand.targets import Wanted, circle_error, stood_for
from buildtool.fingerprint import Fresh, Stale
from buildtool.graph import Form, Job, JobId, Kind
from buildtool.perform.attempt import Attempt
from buildtool.perform.performer import Performer
from buildtool.plan import (
    Check,
    Checked,
    Finished,
    Freed,
    Grown,
    Instruction,
    Interrupted,
    Plan,
    Resized,
    Skip,
    Start,
    Status,
    Vacated,
)
from buildtool.project import Project
from buildtool.recover import note_place
from buildtool.report.model import Failure, Reporter
from buildtool.signals import Signals
from buildtool.state.records import Made
from buildtool.state.store import RUN, State
from buildtool.text import count, printable
from buildtool.tuples import NamedTuple

if TYPE_CHECKING:
    from buildtool.build.orphans import Orphans
    from buildtool.report.trace import Trace
    from buildtool.restoring import Hit

RESTARTS = 3  # of a running job because what it reads has changed: more often, it seems to write that itself
LOST = 3  # runs of a job that may be lost for reasons that are not its own
MANY = 200  # jobs whose records are read all at once
ESTIMATE = 1.0  # seconds between two looks at how long it will take, at least
SHARE = 0.02  # of the time that these may take, at most
CHECKS = 50  # jobs looked at between two looks at what is running


class _SignalledError(Exception):
    """A signal has come while a large file was read, and what that was for is left."""


class Options(NamedTuple):
    """How to build."""

    jobs: int = 1
    keep_going: bool = False
    force: bool = False
    only: bool = False
    audit: bool = False  # tell what functions open and do not declare
    command: str = "bt build"
    cache: bool = True  # outputs are kept, and come back, where the Taskfile says so


class Attendant(Protocol):
    """Somebody who has more to look after while a build waits."""

    def filenos(self) -> list[int]:
        """Descriptors that are readable when `attend` has something to do."""
        ...

    def deadline(self) -> float | None:
        """When `attend` must be called at the latest."""
        ...

    def attend(self) -> set[str]:
        """Do it; the paths that may have changed since the last call."""
        ...


class Left(Protocol):
    """Jobs that are as an earlier build left them, and are not looked at."""

    def __contains__(self, job: object) -> bool: ...

    def take(self, jobs: Iterable[JobId]) -> None:
        """From now on these are looked at, too."""
        ...

    @property
    def resting(self) -> int:
        """How many of them are to be told of as fresh."""
        ...


class AllBut:
    """All jobs that are not among these are left."""

    resting = 0

    def __init__(self, looked: set[JobId]) -> None:
        self._looked = looked

    def __contains__(self, job: object) -> bool:
        return job not in self._looked

    def take(self, jobs: Iterable[JobId]) -> None:
        """From now on these are looked at, too."""
        self._looked.update(jobs)


class Again:
    """What builds of one process, one after the other, have in common; the executor stays open between them."""

    def __init__(self, attendant: Attendant) -> None:
        self.attendant = attendant
        self.run = os.urandom(8).hex()  # the mark of all their processes
        self.works = 0  # the number of the last work
        self.rooms: dict[str, float] = {}  # how many jobs executors can use
        self.drifts: dict[str, Differs] = {}  # by executor: how its machines differ from this one
        self.start_over()

    def start_over(self, serving: frozenset[JobId] = frozenset()) -> None:
        """What follows is for another graph. `serving`: these of its jobs are not run, but looked at."""
        self.made: dict[JobId, dict[str, str]] = {}  # what settled jobs of this graph left
        self.cone: set[JobId] | None = None  # look at these alone: all others are as the last build left them
        self.forced: set[JobId] = set()  # these run in any case
        self.serving = serving
        self.looks: dict[JobId, Look] = {}  # what was seen of those that serve


class Build:
    """One build of some wanted jobs. The lock is held, and what dead builds left is put right already.

    The closing word is the caller's, who may have more to say before it: `outcomes` and `seconds` are for that.
    `trace` is told when the build did what.
    """

    checker: Checker
    plan: Plan
    performer: Performer
    outcomes: Outcomes
    _demand: Demand
    _commits: Commits
    _temporary: Temporary

    def __init__(
        self,
        project: Project,
        want: Wanted,
        state: State,
        executor: Executor,
        reporter: Reporter,
        signals: Signals,
        options: Options,
        again: Again | None = None,
        *,
        trace: Trace | None = None,
    ) -> None:
        self.project = project
        self.want = want
        self.state = state
        self.executor = executor
        self.reporter = reporter
        self.signals = signals
        self.options = options
        self.again = again
        self.trace = trace
        self.left: Left | None = None  # where not all are looked at: those that are not
        self.number = 0
        self.seconds = 0.0  # that it took, once it has ended
        self._todo: deque[Instruction] = deque()
        self._attempts: dict[JobId, Attempt] = {}
        self._running: dict[int, Attempt] = {}
        self._absent: dict[JobId, Look] = {}
        self._estimate_at = 0.0  # when to work out next how long it will take
        self._broken: StateError | None = None
        self._patience = 0  # signals that break off what is being read; 0: none does
        self._as_is: set[JobId] = set()  # with `--only`: the jobs that are not built
        self._forced: set[JobId] = set()
        self._orphans: Orphans | None = None  # that go

    def rests(self) -> int | None:
        """How many jobs the same build would find fresh now; None if some must run each time, or that is not sure.

        To be asked after a good end.
        """
        jobs = [self.project.graph_jobs[job] for job in self.plan.jobs()]
        jobs = [job for job in jobs if job.kind is not Kind.GROUP]
        if any(job.kind is Kind.COMMAND or self.project.renderer.task(job).spec.always for job in jobs):
            return None
        total = len(jobs) + (self.left.resting if self.left is not None else 0)
        return total if total == self.outcomes.counts.total() else None

    def run(self) -> ExitCode:
        """Build everything wanted; what a failing job means for the exit code is decided here."""
        begun = time.monotonic()
        try:
            self._prepare()
        except BtError as error:
            if self.number:
                self.state.end_build(self.number, error.exit_code, {})
            raise
        code = ExitCode.STATE
        try:
            self._loop()
            self._tell_rest()
            code = self._exit_code()
        except StateError as error:
            self._give_up(error)
        except ExecutorError as error:
            code = error.exit_code
            raise
        finally:
            self._close(code)
        self.seconds = time.monotonic() - begun
        if self._broken is not None:
            raise self._broken
        return code

    def _prepare(self) -> None:
        run = self.again.run if self.again is not None else os.urandom(8).hex()
        self.number = self.state.begin_build(self.options.command)
        self.state.set_value(RUN, run)
        note_place(self.state, self.project.disk)
        if self.state.value("salt") is None:
            self.state.set_value("salt", os.urandom(16).hex())
        self.state.commit()
        self.checker = self.project.checker(self._is_settled, self.want)
        self.state.set_value("asked", self._asked())
        self.performer = Performer(
            self.project,
            self.state,
            self.checker,
            self.number,
            run,
            self.reporter.warning,
            audit=self.options.audit,
            cache=self.options.cache,
        )
        self._demand = Demand(self.project, self.options.jobs, self.state.durations())
        self._commits = Commits(self.performer, self.reporter, self._span)
        self._temporary = Temporary(self.project, self.checker, self.want, self.reporter.warning)
        self.outcomes = Outcomes(
            self.project, self.checker, self._commits, self._temporary, self.reporter, self.number
        )
        if self.again is not None:
            self._take_over(self.again)
        self.project.disk.watcher = self._reading
        self.plan = Plan(
            self._prerequisites,
            self._demand.resources,
            self._demand.urgency,
            self._demand.capacity,
            keep_going=self.options.keep_going,
        )
        if self.again is not None and self.again.cone is not None:
            jobs = sorted(self.again.cone)
        else:
            jobs = [job for job in self._cone(self.want.roots) if not self._is_left(job)]
        if len(jobs) >= MANY:
            self.state.read_ahead()
        self.checker.forced = self._forced
        if self.options.force and (self.again is None or self.again.cone is None):
            self._forced.update(jobs)
        self._temporary.count(jobs)
        self.reporter.planned(len(jobs), self.project.request.targets)
        if self.left is None and self.project.is_deleting:
            from buildtool.build.orphans import Orphans  # few projects want that

            self._orphans = Orphans(self.project, self.state, self.reporter.note)
            self._orphans.remove()
        self._todo += self.plan.add(jobs)

    def _asked(self) -> str:
        """What this build is asked for, for those who look on from another process; without secrets."""
        asked, options, masked = self.project.request, self.options, self.checker.masked
        given = (asked.given or {}).items()
        told = {
            "targets": [*map(masked, asked.targets)],
            "folder": asked.folder,
            "given": {name: masked(value) if isinstance(value, str) else value for name, value in given},
            "args": [*map(masked, asked.args)],
            "jobs": options.jobs,
            "force": options.force,
            "only": options.only,
        }
        return json.dumps(told, default=str)

    def _take_over(self, again: Again) -> None:
        """Go on where the last build of this process ended."""
        self.performer.number = again.works
        self._forced.update(again.forced)
        self.left = AllBut(set(again.cone)) if again.cone is not None else None
        for job in again.cone if again.cone is not None else list(again.made):
            again.made.pop(job, None)
        self.checker.made = again.made
        self.performer.drifts = again.drifts
        for name, jobs in again.rooms.items():
            self._demand.set_workers(name, jobs)
        again.looks.clear()

    def _cone(self, jobs: Iterable[JobId]) -> list[JobId]:
        """The jobs with all that must be settled before them, as far as it is to be built."""
        if self.options.only:
            self._as_is |= self.project.take_as_is(self.want, self.checker)
            return [*self.want.roots]
        return self.project.expander.graph.closure([*jobs])

    def _loop(self) -> None:
        while True:
            starts = self._obey()
            if starts:
                self._start(starts)
            self._commits.commit()
            if self.plan.done and not self._todo:
                return
            if not self._todo and not self._running:
                self._stalled()
                continue
            self._estimate()
            self._wait(0 if self._todo else None)
            events = self.executor.events()
            self._fill_up(events)
            for event in events:
                self._handle(event)
            if self.reporter.gone is not None:
                self.signals.end(self.reporter.gone.exit_code)
                self._interrupt()

    def _estimate(self) -> None:
        """Tell now and then how long it will take, if anybody looks."""
        now = time.monotonic()
        if now < self._estimate_at or not self.reporter.is_watched:
            return
        from buildtool.estimate import time_left  # where somebody looks

        began = time.time()
        running = {attempt.job.id: began - attempt.started for attempt in self._running.values()}
        jobs = self.project.graph_jobs
        at_once = max(self._demand.capacity["cpus"], float(len(running)))
        left = time_left(self.plan, lambda job: self._demand.seconds(jobs[job]), running, at_once)
        self.reporter.left(left)
        took = time.monotonic() - now
        self._estimate_at = now + max(ESTIMATE, took / SHARE)

    def _fill_up(self, events: Iterable[Event]) -> None:
        """Start others in the room of jobs that seem to have ended well, before these are looked at more closely.

        Not with `-j1`, where one job is judged before the next one begins.
        """
        ended = [event for event in events if isinstance(event, Ended)]
        attempts = [attempt for event in ended if (attempt := self._running.get(event.id)) is not None]
        if self.options.jobs == 1 or self.signals.count or not all(map(_is_good, ended)):
            return
        found: list[Instruction] = []
        for attempt in attempts:
            if self._leaves_room(attempt):
                self.performer.note_end(attempt)
                self.outcomes.over(attempt)
                if self.trace is not None and attempt.work is not None:
                    self.trace.over(attempt.work.id)
                found += self.plan.handle(Vacated(attempt.job.id))
        starts = [self._attempts[instruction.job] for instruction in found if isinstance(instruction, Start)]
        if starts:
            self._start(starts)
        self._todo += [instruction for instruction in found if not isinstance(instruction, Start)]

    def _leaves_room(self, attempt: Attempt) -> bool:
        """Whether others may begin before it is judged what a job left that ended well."""
        if attempt.anew or attempt.box is not None or attempt.guarded:
            return False
        if not {"globs", "terminal"}.isdisjoint(self._demand.resources(attempt.job.id)):
            return False
        files = [self.project.expander.graph.files[file] for file in attempt.job.output_files()]
        exists = self.project.disk.exists
        return all(file.form is Form.FILE and exists(file.path) for file in files)

    def _stalled(self) -> None:
        """Nothing runs and nothing is to be done, and yet jobs wait: for each other. That ends here."""
        circle = self.plan.circle()
        error = circle_error(self.project.expander, circle)
        self._broken_job(self.project.graph_jobs[circle[0]], error)

    def _obey(self) -> list[Attempt]:
        """Carry out what the plan wants; checks are many, so they are broken off now and then."""
        starts: list[Attempt] = []
        for _ in range(CHECKS):
            if not self._todo or self.signals.pending:
                break
            match self._todo.popleft():
                case Check(job, demanded):
                    self._check(self.project.graph_jobs[job], demanded)
                case Start(job):
                    starts.append(self._attempts[job])
                case Skip(job, because):
                    self._skipped(job, because)
        return starts

    def _wait(self, patience: float | None) -> None:
        """Sleep until something happens: an event, a deadline of the executor, a signal."""
        if patience is None:
            attended = self.again.attendant.deadline() if self.again is not None else None
            times = (self.executor.deadline(), *self._commits.deadlines(), attended)
            due = [at for at in times if at is not None]
            patience = max(0.0, min(due) - time.monotonic()) if due else None
        told = self.signals.pending > 0
        if not told:
            more = self.again.attendant.filenos() if self.again is not None else []
            waited = [self.executor.fileno(), self.signals.fileno(), *more]
            told = self.signals.fileno() in select.select(waited, [], [], patience)[0]
        if told or self.signals.pending:
            self._interrupt()
        if self.again is not None:
            self._begin_anew(self.again.attendant.attend())

    def _begin_anew(self, changed: set[str]) -> None:
        """Break off the jobs that read what has changed since: they run once more, the others go on."""
        for number, attempt in self._running.items() if changed else ():
            if attempt.anew or attempt.restarts >= RESTARTS or not self._can_end(attempt):
                continue
            touched = self.performer.touched(attempt, changed)
            if touched is not None:
                attempt.anew = True
                attempt.restarts += 1
                self.reporter.note(
                    f"`{printable(attempt.job.name)}` begins anew: `{printable(touched)}` changed"
                )
                self.executor.cancel(number)

    def _can_end(self, attempt: Attempt) -> bool:
        """Whether a job can be ended without others: in pools it cannot, so it is done again when it has ended."""
        work = attempt.work
        if work is None or work.call is None or work.remote is not None:
            return True
        spec = self.project.taskfile.executors.get(work.executor)
        return (spec.backend if spec is not None else work.executor) == "local"

    def _interrupt(self) -> None:
        """First signal: nothing new, and what runs is asked to end. Second: at once."""
        for _ in range(self.signals.take()):
            now = self.plan.stopping and self.signals.count > 1
            self._drop_todo()
            for number in list(self._running):
                self.executor.cancel(number, now=now)

    def _reading(self, path: str, done: int, whole: int) -> None:
        """A large file is being read: whoever looks is told, and nobody who wants it to end waits for that."""
        if self.reporter.is_watched:
            self.reporter.reading(path, done, whole)
        if 0 < self._patience <= self.signals.count:
            raise _SignalledError

    def _drop_todo(self) -> None:
        """Start and look at nothing more."""
        self.plan.handle(Interrupted())
        self.plan.drop(self._todo)
        self._todo.clear()

    # -- checking --------------------------------------------------------------------------------------------

    def _check(self, job: Job, demanded: bool) -> None:
        self._patience = 1
        try:
            if job.growing and (requires := self._grow(job)):
                self._tell(Grown(job.id, requires))
                return
            job = self.project.graph_jobs[job.id]
            if self._orphans is not None:
                self._orphans.remove_before(job)
            with self._span(job.name, "look"):
                look = self.checker.look(job, demanded=demanded)
            unmet = look.requires or look.absent
            if self.again is not None and job.id in self.again.serving and not unmet:
                self.again.looks[job.id] = look
                self._tell(Checked(job.id, Fresh()))
                return
        except _SignalledError:
            self._todo.appendleft(Check(job.id, demanded))
            return
        except BtError as error:
            if isinstance(error, StateError) and not isinstance(error, DiskError):
                raise
            self._broken_job(job, error)
            return
        finally:
            self._patience = 0
        if look.requires:
            self._want_more(look.requires)
            self._tell(Grown(job.id, look.requires))
            return
        if self.options.only and (lack := self.checker.lacks(job, look)):
            self._broken_job(job, lack)
            return
        is_stale = isinstance(look.verdict, Stale)
        if is_stale and self.left is not None and (back := [j for j in look.absent if j in self.left]):
            self.left.take(back)  # what they made is not there any more, and is needed after all
            self._want_more(back)
            self._tell(Grown(job.id, frozenset(back)))
            return
        if is_stale:
            known = self._attempts.get(job.id)
            self._absent.pop(job.id, None)
            attempt = self._attempts[job.id] = Attempt(job, look)
            if known is not None:
                attempt.repeats, attempt.lost, attempt.alone = known.repeats, known.lost, known.alone
                attempt.restarts, attempt.must_run = known.restarts, known.must_run
                attempt.left = known.left
        else:
            self._remember(job, look.record.outputs if look.record is not None else ())
            if isinstance(look.verdict, Fresh) and look.verdict.absent:
                self._absent[job.id] = look  # it is told of at the end, unless somebody needs its outputs
            else:
                self.outcomes.came_out(job, look, Status.FRESH)
        self._tell(Checked(job.id, look.verdict, () if self.options.only else look.absent))

    def _grow(self, job: Job) -> frozenset[JobId]:
        """Fill in what a job reads now that more is known; the jobs it must wait for once more."""
        expander = self.project.expander
        grown = self.project.grow(job.id)
        self._temporary.count([job.id])
        if job.kind is Kind.GROUP and job.id in self.want.asked:
            meant = stood_for(expander, grown)
            self.want.asked |= meant
            self.want.roots += sorted(meant.difference(self.want.roots))
        if self.options.only:
            self._want_more(())
        requires = frozenset(p for p in expander.graph.prerequisites(grown) if not self._is_settled(p))
        if requires:
            while (cycle := expander.graph.cycle([job.id])) is not None:
                way = expander.give_way(cycle)
                if way is None:
                    raise circle_error(expander, cycle)
                if self.plan.state(way[0]) is not None:
                    self._tell(Freed(*way))
            self._want_more(requires)
        for file in (*grown.input_files(), *grown.needs):
            if file in expander.missing:
                path = expander.graph.files[file].path
                raise GraphError(f"`{printable(path)}`: no such file, and no task makes it")
        return requires

    def _want_more(self, jobs: Iterable[JobId]) -> None:
        new = [j for j in self._cone(jobs) if self.plan.state(j) is None and not self._is_left(j)]
        if self.options.force:
            self._forced.update(new)
        self._temporary.count(new)
        self._todo += self.plan.add(new)

    def _broken_job(self, job: Job, error: BtError) -> None:
        """A job that cannot even be judged has failed."""
        details = tuple(f"{label}: {text}" for label, text in error.facts)
        failure = Failure(
            error.summary, (*details, *((error.hint,) if error.hint else ())), place=error.place
        )
        if failure.place is None:
            failure = failure._replace(place=self.project.renderer.task(job).spec.place)
        missing = isinstance(error, GraphError)
        if isinstance(
            error, NotMadeError
        ):  # a target that nothing makes; else the task that reads it is wrong
            is_open = self.project.renderer.task(job).spec.foreach is None and bool(job.wildcards)
            missing = is_open and job.id in self.want.asked
        self.outcomes.faults.add(ExitCode.MISSING if missing else ExitCode.FAILED)
        self.outcomes.came_out(job, None, Status.FAILED, failure=failure)
        self._tell(Finished(job.id, Status.FAILED))

    # -- running ---------------------------------------------------------------------------------------------

    def _start(self, attempts: list[Attempt]) -> None:
        """Start jobs together. The state knows of them before any output is touched, and of all that they build on."""
        ready, rows = [], []
        for attempt in attempts:
            try:
                cpus = self._demand.resources(attempt.job.id).get("cpus", 1.0)
                seconds = self._demand.seconds(attempt.job)
                rows.append(self.performer.prepare(attempt, f"{cpus:g}", seconds))
            except BtError as error:
                self._broken_job(attempt.job, error)
                continue
            ready.append(attempt)
        if not self._commits.is_up_to_date and any(map(self._builds_on_unwritten, ready)):
            self._commits.write()
        self.state.start(rows, durable=any(attempt.is_precious for attempt in ready))
        for attempt in ready:
            self._patience = 1
            try:
                if not self.signals.count:
                    self.performer.begin(attempt)
            except _SignalledError:
                pass
            except BtError as error:
                self.performer.withdraw(attempt)
                self.state.stop(attempt.job.key)
                self._warn_of(attempt)
                self._broken_job(attempt.job, error)
                continue
            finally:
                self._patience = 0
            if self.signals.count:
                self._withdraw(attempt)
                continue
            work = attempt.work
            if attempt.hit is not None:
                self._restore(attempt, attempt.hit)
            elif work is not None:
                self._running[work.id] = attempt
                if self.trace is not None:
                    self.trace.started(work.id, work.executor)
                if work.call is None and work.remote is None:  # a command may use the terminal at once
                    self.outcomes.started(attempt)
                self.executor.submit(work)
                if work.call is not None and work.remote is None:
                    self.outcomes.started(attempt)
                self.outcomes.begun[attempt.job.id] = attempt

    def _withdraw(self, attempt: Attempt) -> None:
        """A signal came before a job was started: nothing of it counts as begun."""
        self._interrupt()
        self.performer.withdraw(attempt)
        self.state.stop(attempt.job.key)
        if attempt.tries:  # it failed before
            self.performer.record_break(attempt, 0.0)
        self._skip_broken_off(attempt)

    def _restore(self, attempt: Attempt, hit: Hit) -> None:
        """Take a job's outputs from the cache: nothing is run."""
        job = attempt.job
        try:
            with self._span(job.name, "restore"):
                made = self.performer.restore(attempt, hit)
        except StateError as error:
            self.plan.handle(Finished(job.id, Status.FAILED))
            self._give_up(error)
            return
        self._commits.touch()
        if made is None:
            self.state.stop(job.key)
            self._tell(Grown(job.id, frozenset()))
            return
        self._remember(job, made)
        self.outcomes.came_out(job, attempt.look, Status.RESTORED, notes=attempt.notes)
        self._tell(Finished(job.id, Status.RESTORED))

    def _builds_on_unwritten(self, attempt: Attempt) -> bool:
        """Whether what a job waited for came out well, and would be lost if `bt` were killed now."""
        return self._commits.lacks(self.project.expander.graph.prerequisites(attempt.job))

    def _handle(self, event: Event) -> None:
        match event:
            case Started() | Ended() | Output():  # most are
                self._handle_job(event)
            case Room(name, jobs):
                if self.again is not None:
                    self.again.rooms[name] = jobs
                self._todo += self.plan.handle(Resized(self._demand.set_workers(name, jobs), jobs))
            case Note(text):
                self.reporter.warning(text)
            case Doing(_, text):
                self.reporter.doing(text)
            case Differs():
                self._note_drift(event)
            case Claimed() | Released():
                self._note_cluster(event)
            case _:
                self._handle_job(event)

    def _note_drift(self, event: Differs) -> None:
        """Keep how machines differ from this one, or that they do not any more."""
        self.performer.drifts[event.executor] = event
        if event.text:
            self.reporter.warning(event.text)

    @property
    def differing(self) -> list[str]:
        """How clusters differ from this machine."""
        return [differs.text for differs in self.performer.drifts.values() if differs.text]

    def _note_cluster(self, event: Claimed | Released) -> None:
        """Write down what becomes of a cluster, before anything else happens with it."""
        if isinstance(event, Released):
            self.state.forget_cluster(event.name, event.account)
        else:
            self.state.set_cluster(event.cluster)
        self._commits.write()
        if isinstance(event, Claimed):
            event.written.set()

    def _handle_job(self, event: JobEvent) -> None:
        attempt = self._running.get(event.id)
        if attempt is None:
            return
        match event:
            case Ended():
                del self._running[event.id]
                self._commits.forget_process(attempt.job.key)
                self._ended(attempt, event)
            case Started(_, pid, stamp):
                if pid is not None:
                    self._commits.note_process(attempt.job.key, pid, stamp)
                elif attempt.work is not None and attempt.work.remote is not None:
                    self.outcomes.started(attempt)
            case Output(_, data):
                if not attempt.anew:  # how it takes its end is of no interest
                    self.outcomes.printed(attempt, data)
            case Held(_, why):
                self.reporter.warning(f"fewer jobs at a time from now on: {why}")

    def _ended(self, attempt: Attempt, ended: Ended) -> None:
        job = attempt.job
        if self.trace is not None:
            is_remote = attempt.work is not None and attempt.work.remote is not None
            facts = {
                "task": job.task,
                "exit code": ended.code,
                "signal": ended.signal,
                "memory": ended.peak_memory,
            }
            for moved in ended.transfers:
                self.trace.moved(ended.id, job.name, moved)
            self.trace.ended(ended.id, job.name, ended.seconds, facts, is_remote=is_remote)
        if ended.gone:
            self.state.forget_away(self.project.forget_away(ended.gone))
        if ended.repeat is not None and not ended.cancelled:
            self._interrupt()  # a signal may have come this very moment: then nothing is repeated
            if self._repeat(attempt, ended):
                return
        broken_off = ended.code or ended.signal or ended.repeat
        if attempt.anew and (ended.cancelled or broken_off) and not self.signals.count:
            self.project.code_changed()
            self.performer.put_back(attempt)
            self.state.stop(job.key)
            self._commits.touch()
            self._tell(Grown(job.id, frozenset()))
            return
        if ended.cancelled or (self.plan.stopping and self.signals.count and broken_off):
            self._undo(attempt, ended.seconds)
            return
        self._patience = 2  # what is done is worth keeping: it takes a second signal
        try:
            with self._span(job.name, "judge"):
                outcome = self.performer.finish(attempt, ended)
        except _SignalledError:
            self._undo(attempt, ended.seconds)
            return
        except StateError as error:
            self.plan.handle(Finished(job.id, Status.FAILED))
            self._give_up(error)
            return
        finally:
            self._patience = 0
        if outcome.again:
            for note in attempt.notes:
                self.reporter.note(f"`{printable(job.name)}`: {note}")
            self.project.code_changed()
            self._commits.touch()
            self.state.stop(job.key)
            if outcome.requires:
                self._want_more(outcome.requires)
            self._tell(Grown(job.id, outcome.requires))
            return
        if outcome.status is Status.FAILED and self._retry(attempt, ended):
            return
        if outcome.status is not Status.FAILED and self._made_others(job, outcome.made):
            cause = "it was run again for files that are missing, and made others: build once more"
            outcome = outcome._replace(status=Status.FAILED, failure=self.performer.failure(attempt, cause))
            self.outcomes.faults.add(ExitCode.FAILED)
        elif outcome.status is Status.FAILED:
            self.outcomes.faults.add(ExitCode.STATE if ended.scarce else ExitCode.FAILED)
            self.performer.record_failure(attempt, ended.seconds)
        else:
            self._remember(job, outcome.made)
            self._demand.note_run(job, ended.seconds)
        if ended.leftovers:
            left = count(ended.leftovers, "background process", "background processes")
            attempt.notes.append(f"{left} that it left running had to be ended")
        if ended.moved:
            attempt.notes.append(
                "it changed the working directory, which other jobs share: they get a new process"
            )
        if ended.log_error:
            attempt.notes.append(f"its log is not whole: {ended.log_error}")
        self._commits.touch()
        self.outcomes.came_out(
            job, attempt.look, outcome.status, ended.seconds, outcome.failure, attempt.notes
        )
        self._tell(Finished(job.id, outcome.status))

    def _undo(self, attempt: Attempt, seconds: float) -> None:
        """Leave a job as it was before an interrupted build began it."""
        try:
            self.performer.put_back(attempt)
            self.performer.record_break(attempt, seconds)
            self.state.stop(attempt.job.key)
        except _SignalledError:
            pass  # with `keep` it may take long to look at what is left: that is up to the next build, as after a kill
        self._skip_broken_off(attempt)

    def _skip_broken_off(self, attempt: Attempt) -> None:
        """What an interrupted build leaves undone is counted; it is told of as far as it had begun."""
        self._warn_of(attempt)
        self._commits.touch()
        skipped = self.plan.handle(Finished(attempt.job.id, Status.SKIPPED))
        self.outcomes.leave_out(1 + len(skipped))

    def _warn_of(self, attempt: Attempt) -> None:
        """Tell what lay in the way of a job, which it may have written over."""
        for note in attempt.notes:
            self.reporter.warning(f"`{printable(attempt.job.name)}`: {note}")

    def _repeat(self, attempt: Attempt, ended: Ended) -> bool:
        """Do a run once more that did not count, for a reason that is not the job's; whether that is worth it."""
        if attempt.lost >= LOST or self.signals.count:
            return False
        attempt.lost += 1
        attempt.alone = True
        self.performer.put_back(attempt)
        self.state.stop(attempt.job.key)
        self._commits.touch()
        self.reporter.note(f"`{printable(attempt.job.name)}` runs once more: {ended.repeat}")
        self._tell(Grown(attempt.job.id, frozenset()))
        return True

    def _made_others(self, job: Job, made: tuple[Made, ...]) -> bool:
        """Whether a job that was settled once, and after which others were worked out, left other files now."""
        before = self.checker.made.get(job.id)
        return before is not None and {*before} != {m.path for m in made}

    def _retry(self, attempt: Attempt, ended: Ended) -> bool:
        """Run a failed job once more, if its task allows that and no one wants to stop."""
        retries = self.project.renderer.task(attempt.job).spec.retries
        if attempt.tries >= retries or self.signals.count or ended.error is not None or ended.goes_on:
            return False
        attempt.tries += 1
        self.reporter.note(
            f"`{printable(attempt.job.name)}` failed; try {attempt.tries + 1} of {retries + 1}"
        )
        self._start([attempt])
        return True

    def _give_up(self, error: StateError) -> None:
        """The disk or the state is in trouble: start nothing more, let what runs end."""
        self._broken = self._broken or error
        self._drop_todo()

    # -- settling --------------------------------------------------------------------------------------------

    def _remember(self, job: Job, made: tuple[Made, ...]) -> None:
        """Let later checks know what a settled job left."""
        self.checker.made[job.id] = dict(made)
        graph = self.project.expander.graph
        if any(graph.files[f].form is not Form.FILE for f in job.output_files()):
            self.project.expander.settle(job.id, tuple(m.path for m in made))
            self.performer.owners.claims |= dict.fromkeys((m.path for m in made), job.id)
        else:
            self.project.expander.settle(job.id, ())

    def _skipped(self, job: JobId, because: JobId) -> None:
        known = self.project.graph_jobs[job]
        cause = Failure(f"{self.project.graph_jobs[because].name} failed")
        self.outcomes.came_out(known, None, Status.SKIPPED, failure=cause)

    def _tell_rest(self) -> None:
        """Jobs whose absent outputs nobody needed are fresh; what was never looked at counts as skipped."""
        for job, look in self._absent.items():
            self.outcomes.came_out(self.project.graph_jobs[job], look, Status.FRESH)
        for job in self.plan.unsettled():
            if self.project.graph_jobs[job].kind is not Kind.GROUP:
                self.outcomes.leave_out(1)

    # -- bookkeeping -----------------------------------------------------------------------------------------

    def _tell(self, event: Checked | Grown | Freed | Finished) -> None:
        self._todo += self.plan.handle(event)

    def _span(self, name: str, category: str) -> contextlib.AbstractContextManager[None]:
        """What is done inside of it, for those who want to know when."""
        return contextlib.nullcontext() if self.trace is None else self.trace.span(name, category)

    def _close(self, code: ExitCode) -> None:
        """End what still runs, put its outputs back, and write everything down."""
        if self.again is None or self._running:
            self.executor.close()
        if self.again is not None:
            self.again.works = self.performer.number
        for event in self.executor.events():
            match event:
                case Note(text):
                    self.reporter.warning(text)
                case Claimed(cluster):
                    self.state.set_cluster(cluster)
                case Released(name, account):
                    self.state.forget_cluster(name, account)
        for attempt in self._running.values():
            self.performer.put_back(attempt)
            self.state.stop(attempt.job.key)
        self._running.clear()
        self.outcomes.break_off("interrupted" if self.signals.code is not None else "broken off")
        if self._broken is not None:
            return  # what could not be written stays as it is: the next build puts it right
        self._commits.write()
        self.performer.close()
        if self.left is not None and self.left.resting:
            self.outcomes.counts[Status.FRESH.value] += self.left.resting
        self.state.end_build(self.number, int(code), self.outcomes.counts)
        self.state.commit()

    def _exit_code(self) -> ExitCode:
        if self.signals.code is not None:
            return self.signals.code
        absent = [path for path in self.want.paths if not self.project.disk.exists(path)]
        for path in absent if not self.plan.failed else ():
            self.reporter.warning(f"`{printable(path)}` was asked for, and its task did not make it")
        if self.plan.failed and self.outcomes.faults != {ExitCode.MISSING}:
            return ExitCode.STATE if self.outcomes.faults == {ExitCode.STATE} else ExitCode.FAILED
        # With the first, no job ran badly: what some read is not there.
        return ExitCode.MISSING if self.plan.failed or absent else ExitCode.DONE

    # -- what the plan asks ----------------------------------------------------------------------------------

    def _is_left(self, job: JobId) -> bool:
        """Whether a job is as the last build of this process left it, and is not looked at."""
        return self.left is not None and job in self.left

    def _is_settled(self, job: JobId) -> bool:
        return self.plan.status(job) is not None or job in self._as_is or self._is_left(job)

    def _prerequisites(self, job: JobId) -> Iterable[JobId]:
        found = self.project.expander.graph.prerequisites(self.project.graph_jobs[job])
        if self.options.only or self.left is not None:
            return [p for p in found if p not in self._as_is and not self._is_left(p)]
        return found


def _is_good(ended: Ended) -> bool:
    """Whether nothing went wrong as far as its executor knows."""
    bad = ended.code or ended.signal or ended.timed_out or ended.error or ended.cause or ended.repeat
    return not (bad or ended.cancelled or ended.leftovers or ended.away or ended.gone)
