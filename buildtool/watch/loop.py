"""`bt watch`: build, wait until something that matters has changed, build what it concerns.

The graph is kept in memory between builds. What one change concerns is looked at, and nothing else; where a change
may mean other jobs, all is planned again. Knows no directory and no key of a terminal by itself.
"""

from __future__ import annotations

import contextlib
import gc
import os
import select
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from buildtool.build.loop import Again, Build, Options
from buildtool.errors import BtError, ExecutorError, ExitCode, LockedError, StateError
from buildtool.executors.choose import executors_of
from buildtool.executors.dispatch import Dispatch
from buildtool.executors.protocol import Claimed, Differs, Doing, Ended, Event, Note, Output, Released
from buildtool.expand.targets import Wanted
from buildtool.graph import JobId
from buildtool.mounts import silent_kind
from buildtool.perform.attempt import Attempt
from buildtool.plan import Status
from buildtool.project import Project, Request
from buildtool.ready import mask, opened, planned
from buildtool.report.model import JobReport, Reporter
from buildtool.session import Session
from buildtool.signals import Signals
from buildtool.state.store import State
from buildtool.taskfile.load import Looked
from buildtool.taskfile.specs import Taskfile
from buildtool.text import printable
from buildtool.watch.git import Repository
from buildtool.watch.interest import Effect, Interest
from buildtool.watch.keys import Keys
from buildtool.watch.serve import Services
from buildtool.watch.watches import LimitError, Watches

LONGEST = 0.5  # seconds that a burst of changes is waited for at most
_GIT_LOOKS = 0.02  # seconds between two looks whether git is done
_GIT_PATIENCE = 10.0  # seconds after which a lock that git holds is taken for a forgotten one
_NET = 180.0  # seconds after which everything is looked at, should the system have missed to tell
# Builds in a row for the same paths, after which these are taken for what the builds themselves write: of jobs that
# failed, as those do whose inputs change while they run, and of others, for which somebody may just be typing fast.
_ROUNDS, _MANY_ROUNDS = 3, 20
_POLL = 1.0  # seconds between two looks where the system does not tell
_KEYS = " · r rebuild, f force the failed, l last log, q quit"


class Screen(Reporter, Protocol):
    """Somebody who is told of builds that follow one another."""

    def begin(self, paths: Iterable[str], why: str = "") -> None:
        """A build begins because these paths changed, or for another reason."""

    def trouble(self, error: BtError) -> None:
        """Why nothing can be built."""

    def end(self, counts: Mapping[str, int], seconds: float, code: int, still: Iterable[JobReport]) -> None:
        """A build has ended; these failed earlier and were not run again."""

    def waiting(self, files: int, directories: int, keys: str) -> None:
        """Nothing is to be done."""

    def tell(self, text: str) -> None:
        """What somebody asked to see."""


@dataclass(frozen=True, slots=True)
class Habits:
    """How to watch."""

    debounce: float = 0.05  # seconds without a change that end a burst
    poll: bool = False


@dataclass(slots=True)
class Watch:
    """One project under watch. `load` reads the Taskfile and notes where; `ended` is told of each build, locked."""

    load: Callable[[Looked], Taskfile]
    request: Request
    options: Options
    habits: Habits
    screen: Screen
    session: Session
    signals: Signals
    ended: Callable[[Project, State, bool], None]
    code: ExitCode = ExitCode.DONE
    _taskfile: Taskfile | None = None
    _project: Project | None = None
    _want: Wanted | None = None
    _wanted: set[JobId] = field(default_factory=set)  # and all that they wait for
    _interest: Interest | None = None
    _again: Again = field(init=False)
    _executor: Dispatch | None = None
    _executor_of: object = None  # what it was made from
    _bad: dict[JobId, JobReport] = field(default_factory=dict)
    _pending: set[str] = field(default_factory=set)  # paths that may have changed
    _unplanned: bool = False  # the last plan came to nothing: anything may mend it
    _outdated: bool = False  # the next build must look at everything
    _repeats: tuple[tuple[str, ...], int] = (
        (),
        0,
    )  # for which paths the last builds were, and how many of them
    _forgotten: tuple[str, int, int] | None = None  # a lock of git's that nobody seems to hold
    _watches: Watches = field(default_factory=Watches)
    _services: Services | None = None
    _polling: bool = False
    _next_look: float = 0.0
    _last_log: str | None = None
    _watched: tuple[int, int] = (0, 0)
    _directories: set[str] = field(default_factory=set)  # that are watched
    _looked: Looked = field(default_factory=Looked)
    _place: tuple[int, int] | None = None  # device and inode of the project's root

    def run(self) -> int:
        """Watch until somebody ends it; the exit code."""
        self._again = Again(self)
        try:
            self._plan_and_build(self.options)
            self.options = self.options._replace(force=False)
            while self._goes_on():
                effect, why = self._wait()
                if not self._goes_on():
                    break
                self._round(effect, why)
        finally:
            self._close()
        return int(self.code)

    def _goes_on(self) -> bool:
        if self.signals.code is not None:
            self.code = self.signals.code
            return False
        if self.screen.gone is not None:
            self.code = self.screen.gone.exit_code
            return False
        return self.code is ExitCode.DONE

    def _close(self) -> None:
        self._watches.close()
        if self._services is not None:
            self._services.close()
        self._close_executor()
        self.session.close()

    # -- building --------------------------------------------------------------------------------------------

    def _round(self, effect: Effect, why: str) -> None:
        interest = self._interest
        if (
            effect.plan
            or self._unplanned
            or self._outdated
            or interest is None
            or not interest.is_settled_by_the_plan
        ):
            self.screen.begin(effect.paths, why)
            self._plan_and_build(self.options)
            return
        failed = {job for job, report in self._bad.items() if report.status == "failed"}
        forced = failed if why == "failed" else set()
        cone = interest.cone(effect.jobs | forced)
        cone &= self._wanted
        cone -= interest.cone(failed - cone)  # what reads what failed waits until that is mended
        if cone:
            self.screen.begin(effect.paths, "forced: what failed" if forced else "")
            self._build_cone(cone, forced)

    def _plan_and_build(self, options: Options) -> None:
        """Read the Taskfile, plan, and look at every job."""
        self._looked = Looked()
        try:
            taskfile = self.load(self._looked)
        except BtError as error:
            if self._taskfile is None:
                raise
            self._check_place()
            self.screen.trouble(error)  # the last good one stays in force
            if self._interest is not None:
                self._interest.read_from(self._looked)
                self._watch(self._interest.directories())
            return
        self._unplanned = True
        self._bad.clear()
        try:
            with self.session.writing() as state:
                project = opened(taskfile, state, self.request)
                self._taskfile, self._project = taskfile, project
                try:
                    want = planned(project, self.screen.note, keep_going=True)
                finally:
                    self._take_interest(project)
                self._use_executors(taskfile)
                serving = frozenset(
                    job for job in want.roots if project.renderer.task(project.graph_jobs[job]).spec.serve
                )
                self._again.start_over(serving)
                self._want, self._unplanned, self._outdated = want, False, False
                self._wanted = set(project.expander.graph.closure(want.roots))
                gc.collect()
                gc.freeze()  # the graph stays: no need to go through it again and again
                self._build(project, want, state, options, complete=True)
        except BtError as error:
            self._failed_to(error)

    def _build_cone(self, cone: set[JobId], forced: set[JobId]) -> None:
        """Look at these jobs alone, in the graph that there is."""
        project, want = self._project, self._want
        if project is None or want is None:
            return
        try:
            with self.session.writing() as state:
                if state is not project.reader:
                    self._outdated = True  # another `bt` was at work since: what is in memory may be wrong
                else:
                    project.code_changed()
                    self._again.cone, self._again.forced = cone, forced
                    self._build(project, want, state, self.options, complete=False)
        except BtError as error:
            self._failed_to(error)
            return  # what is outdated now waits for the next change: it would only fail once more
        if self._outdated:
            self._plan_and_build(self.options)

    def _failed_to(self, error: BtError) -> None:
        if isinstance(error, LockedError):
            return  # the waiting for another `bt` was broken off
        if isinstance(error, StateError):
            raise error
        if isinstance(error, ExecutorError):
            self._let_go()
        self.screen.trouble(error)

    def _let_go(self) -> None:
        """The executors are of no use any more."""
        self._close_executor()
        self._again.rooms.clear()
        self._again.drifts.clear()
        self._outdated = True

    def _close_executor(self) -> None:
        """Close the executors, and hear their last words: which clusters are still up."""
        if self._executor is None:
            return
        executor, self._executor = self._executor, None
        executor.close()
        with contextlib.suppress(ExecutorError):  # that it is lost is nobody's concern any more
            self._hear(executor.events())

    def _build(
        self, project: Project, want: Wanted, state: State, options: Options, *, complete: bool
    ) -> None:
        if self._executor is None:
            self._use_executors(project.taskfile)
        assert self._executor is not None  # noqa: S101  made just now; for mypy
        build = Build(project, want, state, self._executor, self.screen, self.signals, options, self._again)
        code = build.run()
        looked = self._again.cone
        still = {} if looked is None else {job: bad for job, bad in self._bad.items() if job not in looked}
        self._bad = still | build.outcomes.bad
        jobs = looked if looked is not None else [job.id for job in project.graph_jobs]
        if self._interest is not None and (
            self._interest.look_again(jobs) or complete or self._interest.reads_whole_directories
        ):
            new = self._watch(self._interest.directories())
            self._pending |= self._interest.differing_in(new)  # the build looked before there was a watch
        for report in build.outcomes.bad.values():
            if report.failure is not None and report.failure.log is not None:
                self._last_log = report.failure.log
        made = self._again.made
        for job in looked if looked is not None else made:  # what was recorded since the project was opened
            project.owned |= dict.fromkeys(made.get(job, ()), project.graph_jobs[job].key)
        self._serve(project, build)
        self.ended(project, state, complete)
        for text in build.differing if code else ():
            self.screen.warning(text)
        failed = [report for report in still.values() if report.status == "failed"]
        self.screen.end(build.outcomes.counts, build.seconds, code, failed)

    def _use_executors(self, taskfile: Taskfile) -> None:
        """Have executors as the Taskfile wants them; those that run stay, if nothing is said of them anew."""
        wanted = (
            {
                name: (spec.backend, {**spec.options, "price": None})
                for name, spec in taskfile.executors.items()
            },
            taskfile.settings.python_path,
            mask(taskfile),
        )
        if self._executor is not None and wanted != self._executor_of:
            self._close_executor()
            self._again.rooms.clear()
            self._again.drifts.clear()
        if self._executor is None:
            self._executor = executors_of(taskfile, self.options.jobs, mask(taskfile))
            self._executor_of = wanted

    def _serve(self, project: Project, build: Build) -> None:
        """Start the processes that are to stay up, and those anew whose inputs are others now."""
        if self._services is None:
            if not self._again.serving:
                return
            self._services = Services(mask(project.taskfile))
        self._services.keep({project.graph_jobs[job].key for job in self._again.serving})
        for job, look in self._again.looks.items():
            known = project.graph_jobs[job]
            if self._services.is_up_to_date(known.key, look.items):
                continue
            attempt = Attempt(known, look)
            build.performer.prepare(attempt, "1")
            if attempt.work is not None:
                report = build.outcomes.report(known, look, Status.RAN)
                again = self._services.start(known.key, report, look.items, attempt.work)
                self.screen.note(f"`{printable(known.name)}` {'begins anew' if again else 'is up'}")

    # -- while a build waits (see `Attendant`) ---------------------------------------------------------------

    def filenos(self) -> list[int]:
        """What wakes a build up that waits for its jobs."""
        return [self._watches.fileno(), *([self._services.fileno()] if self._services is not None else [])]

    def deadline(self) -> float | None:
        """When to look although nothing woke anybody up."""
        times = [self._services.deadline() if self._services is not None else None]
        times.append(self._next_look if self._polling else None)
        return min((time for time in times if time is not None), default=None)

    def attend(self) -> set[str]:
        """Take in what happened; the paths of the project that may have changed."""
        self._attend_services()
        hints = self._watches.take()
        if self._polling and time.monotonic() >= self._next_look:
            hints |= self._look_around()
        self._pending |= hints
        if self._interest is None or not hints:
            return set()
        return {path for hint in hints for path in self._interest.spellings(hint)}

    def _attend_services(self) -> None:
        for report, event in self._services.events() if self._services is not None else ():
            if isinstance(event, Output):
                self.screen.output(report, event.data)
            elif isinstance(event, Ended):
                how = f"exit code {event.code}" if event.signal is None else f"signal {event.signal}"
                self.screen.warning(
                    f"`{printable(report.name)}` has ended ({event.error or how}); "
                    "it is started again when what it reads changes"
                )

    def _attend_executor(self) -> None:
        """What executors have to say while nothing runs; one that is lost is asked for again by the next build."""
        if self._executor is None:
            return
        try:
            events = self._executor.events()
        except ExecutorError as error:
            self.screen.warning(f"{error.summary}; the next build asks for it again")
            self._let_go()
            return
        self._hear(events)

    def _hear(self, events: list[Event]) -> None:
        for event in events:
            match event:
                case Note(text):
                    self.screen.note(text)
                case Doing(_, text):
                    self.screen.doing(text)
                case Differs(name, text, _):
                    self._again.drifts[name] = event
                    if text:
                        self.screen.warning(text)
                case Claimed() | Released():
                    with contextlib.suppress(LockedError):  # it is over, and another `bt` is at work
                        self._note_cluster(event)
                case _:
                    pass

    def _note_cluster(self, event: Claimed | Released) -> None:
        with self.session.writing() as state:
            if isinstance(event, Claimed):
                state.set_cluster(event.cluster)
            else:
                state.forget_cluster(event.name, event.account)
            state.commit()
        if isinstance(event, Claimed):
            event.written.set()

    # -- waiting ---------------------------------------------------------------------------------------------

    def _take_interest(self, project: Project) -> None:
        """Watch what the project reads, from before the build looks at it."""
        interest = Interest(project)
        interest.read_from(self._looked)
        self._interest = interest
        if self._place is None:
            self._place = _identity(project.taskfile.root)
        # What was watched until now may matter again: the build tells.
        self._watch(interest.directories() | self._directories)

    def _watch(self, directories: set[str]) -> Collection[str]:
        """Be told of changes there, or look by ourselves; the directories of which changes may have been missed."""
        if self._interest is None or self._project is None:
            return ()
        self._directories = directories
        sources = (file for file in self._project.expander.graph.files if file.producer is None)
        self._watched = (sum(1 for _ in sources), len(directories))
        if self._polling:
            return ()
        kind = silent_kind(self._project.taskfile.root)
        if self.habits.poll or kind is not None:
            if kind is not None and not self.habits.poll:
                self.screen.note(
                    f"{kind} file systems do not tell of changes: looking every second or so instead"
                )
            self._poll()
            return ()
        try:
            new = self._watches.watch(directories)
        except LimitError as error:
            self.screen.warning(f"{error}: looking every second or so instead")
            self._poll()
            return ()
        self._next_look = time.monotonic() + _NET
        self._pending |= self._interest.flips(new)  # what came between the look at a directory and its watch
        self._pending |= self._interest.included_since() if new else set()
        return new

    def _poll(self) -> None:
        self._polling = True
        self._watches.watch(())
        self._next_look = time.monotonic() + _POLL

    def _look_around(self) -> set[str]:
        """Look at everything that is read."""
        begun = time.monotonic()
        found = self._interest.differing() if self._interest is not None else set()
        now = time.monotonic()
        pause = max(_POLL, 10 * (now - begun)) if self._polling else _NET
        self._next_look = now + pause
        return found

    def _wait(self) -> tuple[Effect, str]:
        """Sleep until something that matters has changed, or somebody wants something: what, and why."""
        keys = Keys()
        told = False
        while True:
            if self._pending:
                self._debounce()
                self._check_place()
                hints, self._pending = self._pending, set()
                effect = self._judge(hints)
                if effect and not self._goes_round(effect, slept=told):
                    return effect, ""
            if not told:
                told = True
                self.screen.waiting(*self._watched, _KEYS if keys.is_usable() else "")
                if self._interest is not None:
                    self._interest.cone(())  # what it needs is worked out now, while nobody waits for it
            with keys.listening() as typed:
                word = self._sleep(typed, keys)
            if not self._goes_on():
                return Effect(), ""
            if word == "rebuild":
                return Effect(plan=True), "rebuild"
            if word == "failed" and self._bad:
                return Effect(), "failed"

    def _check_place(self) -> None:
        """Raise StateError if the project is not where it was: what is kept in memory belongs to no place any more."""
        if self._taskfile is None or self._place is None or _identity(self._taskfile.root) == self._place:
            return
        raise StateError(
            f"the project at `{printable(self._taskfile.root)}` was moved or removed",
            hint="if it is elsewhere now, run `bt watch` there",
        )

    def _goes_round(self, effect: Effect, *, slept: bool) -> bool:
        """Whether builds follow each other because of what they write themselves; that is told, and ends here."""
        paths, times = self._repeats
        self._repeats = (effect.paths, 1 if slept or effect.paths != paths else times + 1)
        most = _ROUNDS if effect.jobs & self._bad.keys() else _MANY_ROUNDS
        if self._repeats[1] <= most:
            return False
        self._repeats = ((), 0)
        shown = ", ".join(map(printable, effect.paths[:3])) or "something"
        self.screen.warning(
            f"{shown} changed in each of {most} builds in a row: a job that reads it seems to write it, too;"
            " waiting for another change"
        )
        return True

    def _judge(self, hints: set[str]) -> Effect:
        """What these changes mean."""
        if self._interest is None:
            return Effect(plan=True)
        for link in hints & self._interest.links:  # it leads elsewhere now, or nowhere
            self._watches.lost(link)
            hints = hints | {link + "/"}
        if self._watches.is_broken:
            self._watch(self._interest.directories())
        effect = self._interest.effect(hints)
        if not effect and self._interest.has_come():
            self._watch(self._interest.directories())
        if self._unplanned and not effect:  # who knows what is missing
            return Effect(tuple(sorted(self._interest.spellings(h)[0] for h in hints if h)), plan=True)
        return effect

    def _sleep(self, typed: list[int], keys: Keys) -> str:
        """Until there are hints, a signal, or a key that means something: that."""
        while not self._pending and not self.signals.pending and self.screen.gone is None:
            executor = self._executor
            due = [self._next_look, self.deadline(), executor.deadline() if executor is not None else None]
            patience = max(0.0, min(at for at in due if at is not None) - time.monotonic())
            wake = [*self.filenos(), self.signals.fileno(), *typed]
            wake += [executor.fileno()] if executor is not None else []
            ready, _, _ = select.select(wake, [], [], patience)
            self._attend_executor()
            self.attend()
            if time.monotonic() >= self._next_look:
                self._pending |= self._look_around()
            if any(descriptor in ready for descriptor in typed):
                text = keys.read()
                if not text:
                    typed = []  # the terminal is gone; a signal tells what that means
                for key in text:
                    if word := self._press(key):
                        return word
        self.signals.take()
        return ""

    def _press(self, key: str) -> str:
        """What a key means; what it shows is shown."""
        if key == "q":
            self.code = ExitCode.DONE
            self.signals.end(ExitCode.DONE)
        elif key == "l":
            self._show_log()
        return {"r": "rebuild", "f": "failed", "q": "quit"}.get(key, "")

    def _show_log(self) -> None:
        project = self._project
        text = "nothing has failed yet"
        if project is not None and self._last_log is not None:
            with contextlib.suppress(OSError), open(project.disk.absolute(self._last_log), "rb") as file:
                text = file.read().decode("utf-8", "replace").rstrip("\n") or "it printed nothing"
        self.screen.tell(text)

    def _debounce(self) -> None:
        """Wait until the burst of changes is over, and git has done what it is doing."""
        begun = time.monotonic()
        quiet = self.habits.debounce
        longest = max(LONGEST, quiet)
        while (left := begun + longest - time.monotonic()) > 0 and not self.signals.pending:
            ready, _, _ = select.select(
                [self._watches.fileno(), self.signals.fileno()], [], [], min(quiet, left)
            )
            if not ready:
                break
            self._pending |= self._watches.take()
        repository = Repository(self._project.taskfile.root if self._project is not None else os.getcwd())
        until = time.monotonic() + _GIT_PATIENCE
        while (held := repository.busy_with()) not in (None, self._forgotten) and not self.signals.pending:
            if time.monotonic() > until:
                self._forgotten = held
                self.screen.warning("git has held the lock of its index for 10 s: building all the same")
                break
            select.select([self.signals.fileno()], [], [], _GIT_LOOKS)
            self._pending |= self._watches.take()


def _identity(directory: str) -> tuple[int, int] | None:
    try:
        st = os.stat(directory)
    except OSError:
        return None
    return st.st_dev, st.st_ino
