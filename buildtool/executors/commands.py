"""Commands as subprocesses of this machine, with their output, their logs and their end.

Knows neither jobs nor tasks; what a process is, `processes` knows.
"""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import selectors
import signal
import time
from collections import deque
from typing import TYPE_CHECKING

from buildtool.executors import processes
from buildtool.executors.direct import direct, seen
from buildtool.executors.output import Log, Mask
from buildtool.executors.protocol import Ended, Event, Held, Output, Started, Work
from buildtool.executors.strays import STRAYS

if TYPE_CHECKING:
    from buildtool.executors.spawning import Spawner, Told

_PIECE = 65_536  # bytes in one read, and at most in one Output
_READS = 4  # of one work in one call of `events`: a chatty job must not starve others
_LAST_READS = 16  # a pipe holds at most 1 MiB: this empties it even while a daemon goes on writing
_LINGER = 0.25  # seconds in which what a job leaves behind may end by itself, such as `> >(tee file)`
_FIRST_LOOK, _LAST_LOOK = 0.002, 0.05  # seconds between two looks at what sends no event; the pause doubles
_SHORT = 0.005  # seconds in which nobody listens to what such a work prints: many have ended by then
_MARGIN = 8  # descriptors left free for the rest of `bt` when one more work starts
_LOST = "its exit status was lost"
_SPAWNER_LOST = "the process that starts commands has died, or does not answer"
FULL = (errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ENOMEM)  # what passes when other work has ended
_STUCK = 2.0  # seconds after KILL; leftovers stuck in the kernel for longer are left alone


class _Run:
    """A work whose process runs, or has left others behind that are being ended."""

    def __init__(self, work: Work, log: Log, mask: Mask, began: float) -> None:
        self.mark = STRAYS.begin()
        if not work.interactive:
            work = work._replace(env=STRAYS.marked(work.env, self.mark))
        self.work = work
        self.log = log
        self.mask = mask
        self.began = began
        self.pid = 0
        self.pipe: int | None = None  # None when it is at its end, or for interactive work
        self.pidfd: int | None = None  # None where the system has none: then it is looked at again and again
        self.spawned = False  # who starts programs was asked to start it, and will tell how it ends
        self.end: Ended | None = None  # how its process ended, once it has
        self.timed_out = False
        self.cancelled = False
        self.leftovers = 0
        self.timeout_at: float | None = None
        self.term_at: float | None = None  # when leftovers have had the time to end by themselves
        self.kill_at: float | None = None  # when TERM has had the time to work
        self.stuck_at: float | None = None
        self.look_at: float | None = None
        self.listen_at: float | None = None
        self.pause = _FIRST_LOOK

    def due(self) -> float | None:
        """When something is to be done without an event."""
        stuck_at = self.stuck_at if self.end is None else None
        times = (self.timeout_at, self.term_at, self.kill_at, self.look_at, self.listen_at, stuck_at)
        return min((time for time in times if time is not None), default=None)

    def is_empty(self) -> bool:
        """Whether its process, which has ended, left none behind.

        Who has ended is waited for first, as its group would count it; and asked is again in the end, for what those
        have started that were in the session until then.
        """
        if self.work.interactive:  # a person at the terminal knows what is left there
            return True
        if not STRAYS.none_left(self.mark, self.pid):
            return False
        silent = self.pipe is None and not self.leftovers
        return processes.session_empty(self.pid, silent=silent) and STRAYS.none_left(self.mark, self.pid)

    def signal_left(self, number: signal.Signals) -> int:
        """Signal all that its process, which has ended, left behind; returns how many ran."""
        strays = STRAYS.signal(self.mark, self.pid, number)
        return strays + processes.end_session(self.pid, number)


class Commands:
    """Runs works as subprocesses of this one.

    `log_limit`: bytes a log may have; of a longer output the beginning and the end are kept.
    `mask`: secrets shown as `***`. `grace`: seconds between TERM and KILL. `spawner_after`: after so many works a
    process of its own starts them, so that nothing waits here until a program is there; it must be worth its 20 ms.
    With 0 it is waited for and starts all; with None all are children of this very process.
    """

    def __init__(
        self,
        *,
        log_limit: int = 1 << 26,
        mask: tuple[bytes, ...] = (),
        grace: float = 5,
        spawner_after: int | None = 24,
    ) -> None:
        self._log_limit = log_limit
        self._mask = mask
        self._grace = grace
        self._runs: dict[int, _Run] = {}
        self._held: deque[Work] = deque()  # there was no room for them
        self._room: int | None = None  # works that the machine could run at once, once that was too few
        self._told: list[Event] = []
        self._selector = selectors.DefaultSelector()
        self._closed = False
        self._adopts = False
        self._spawner: Spawner | None = None
        self._before_spawner = spawner_after  # works
        processes.prepare()
        if spawner_after == 0:
            self._get_spawner(wait=True)

    def fileno(self) -> int:
        """A descriptor that is readable when a job has written or ended."""
        return self._selector.fileno()

    def deadline(self) -> float | None:
        """When `events` must be called at the latest; in the past when it has something to tell already."""
        if self._told:
            return 0.0
        return min((due for run in self._runs.values() if (due := run.due()) is not None), default=None)

    def is_busy(self) -> bool:
        """Whether any work runs."""
        return bool(self._runs)

    def submit(self, work: Work) -> None:
        """Start this work, now or when there is room; the log of an earlier run goes away."""
        if not (self._adopts or self._closed):
            self._adopts = True
            STRAYS.adopt()
        with contextlib.suppress(OSError):
            os.unlink(work.log)
        if self._before_spawner:
            self._before_spawner -= 1
            if not self._before_spawner:
                self._get_spawner()
        if self._room is not None and len(self._runs) >= self._room:
            self._held.append(work)
        else:
            self._try(work)

    def _get_spawner(self, *, wait: bool = False) -> None:
        from buildtool.executors.spawning import Spawner  # few builds run so many

        with contextlib.suppress(OSError):
            self._spawner = Spawner(wait=wait)
            self._selector.register(self._spawner, selectors.EVENT_READ)

    def _try(self, work: Work, *, here: bool = False) -> None:
        """Start a work; without room it waits, as long as other work runs that may give some back.

        `here`: as a child of this very process, where what is wrong can be told.
        """
        began = time.monotonic()
        run = _Run(work, Log(work.log, self._log_limit), Mask((*self._mask, *work.secrets)), began)
        try:
            self._start(run, here=here)
        except (OSError, ValueError) as error:
            run.log.close()
            STRAYS.end(run.mark)
            trouble = processes.start_trouble(error, work.argv, work.cwd, work.env)
            is_full = isinstance(error, OSError) and error.errno in FULL
            if is_full and self._runs:
                if self._room is None:
                    self._told.append(Held(work.id, trouble))
                self._room = len(self._runs)
                self._held.appendleft(work)
            else:
                self._told.append(Ended(work.id, None, None, 0.0, 0, error=trouble, scarce=is_full))
            return
        if work.timeout is not None:
            run.timeout_at = began + work.timeout
        self._runs[work.id] = run
        if not run.spawned:
            self._told.append(Started(work.id, run.pid, None))

    def _start_held(self) -> None:
        """Start what waits, as far as there is room."""
        while self._held and not (self._room is not None and 0 < self._room <= len(self._runs)):
            before = len(self._held)
            self._try(self._held.popleft())
            if len(self._held) == before:
                return

    def events(self) -> list[Event]:
        """What happened since the last call, without waiting."""
        ended = []
        for key, _ in [] if self._closed else self._selector.select(0):
            run = key.data
            if run is None:
                self._hear_spawner()
            elif key.fd == run.pipe:
                self._read(run, _READS)
            elif key.fd == run.pidfd:
                ended.append(run)
        for run in ended:
            self._reap(run)
        now = time.monotonic()
        for run in list(self._runs.values()):
            self._act(run, now)
        self._start_held()
        told, self._told = self._told, []
        return told

    def cancel(self, work: int, *, now: bool = False) -> None:
        """End this work: TERM, a grace time, then KILL; with `now` KILL at once."""
        for held in [held for held in self._held if held.id == work]:
            self._held.remove(held)
            self._told.append(Ended(work, None, None, 0.0, 0, cancelled=True))
        if (run := self._runs.get(work)) is None:
            return
        moment = time.monotonic()
        run.timeout_at = None
        if now:
            run.kill_at = moment
        elif run.end is not None and run.term_at is not None:
            run.term_at = moment
        elif run.end is None and not (run.timed_out or run.cancelled):
            self._stop(run, moment)
        run.cancelled = run.cancelled or run.end is None  # a job that has ended by itself keeps its result
        self._act(run, moment)

    def close(self) -> None:
        """End whatever still runs and give back all resources."""
        if self._closed:
            return
        self._held.clear()
        for work in list(self._runs):
            self.cancel(work)
        until = time.monotonic() + self._grace + 2 * _STUCK
        while self._runs and time.monotonic() < until:
            self._selector.select(_FIRST_LOOK)
            self.events()
        for run in list(self._runs.values()):  # stuck in the kernel
            self._finish(run, Ended(run.work.id, None, None, 0.0, 0))
        self._told.clear()
        if self._spawner is not None:
            self._spawner.close()
        if self._adopts:
            STRAYS.leave()
        self._selector.close()
        self._closed = True

    def _hear_spawner(self) -> None:
        if self._spawner is None:
            return
        if (news := self._spawner.told()) is not None:
            for told in news:
                self._take(told)
        else:
            self._lose_spawner(self._spawner)

    def _lose_spawner(self, spawner: Spawner) -> None:
        """Go on without the process that starts works: those that run are ended, and to be done once more."""
        self._selector.unregister(spawner)
        spawner.close()
        self._spawner = None
        for run in [run for run in self._runs.values() if run.spawned and run.end is None]:
            self._lose(run)

    def _take(self, told: Told) -> None:
        """Note what has become of a work that was to be started elsewhere."""
        run = self._runs[told.number]
        if not told.pid:  # what is wrong with it is found out here
            self._drop(run)
            if run.cancelled:
                self._told.append(Ended(told.number, None, None, 0.0, 0, cancelled=True))
            else:
                self._try(run.work, here=True)
        elif told.status is None:
            run.pid = told.pid
            self._told.append(Started(told.number, told.pid, None))
        else:
            self._note_end(run, processes.exit_of(told.status, told.peak_memory), time.monotonic())

    def _lose(self, run: _Run) -> None:
        """Nobody can tell any more how this work ends: what runs of it is ended."""
        if not run.pid and run.pipe is not None:
            run.pid = processes.session_of_writer(run.pipe)
        was_told = run.timed_out or run.cancelled
        end = Ended(run.work.id, None, None, time.monotonic() - run.began, 0, run.timed_out, run.cancelled)
        if not was_told:
            end = end._replace(cause=_LOST, repeat=_SPAWNER_LOST)
        if run.pid:
            run.stuck_at = run.kill_at = None
            self._note_end(run, processes.Exit(None, None, 0), time.monotonic())
            run.end = end
            run.term_at = None if was_told else run.look_at
        else:
            self._finish(run, end)

    def _start(self, run: _Run, *, here: bool) -> None:
        work = run.work
        if self._closed:
            raise ValueError("the executor is closed")
        if work.interactive:
            self._make_sure(run, None)
            run.pid = _begin(work, None)
        else:
            run.pipe, output = os.pipe()
            try:
                self._make_sure(run, output)
                os.set_blocking(run.pipe, False)
                if not here and self._spawner is not None and self._spawner.ready:
                    run.spawned = _have_begun(self._spawner, work, output)
                    run.listen_at = run.began + _SHORT
                if run.spawned:
                    return
                self._listen(run)
                run.pid = _begin(work, output)
            except BaseException:
                self._close(run.pipe)
                raise
            finally:
                os.close(output)
        try:
            run.pidfd = processes.open_pidfd(run.pid)
            self._selector.register(run.pidfd, selectors.EVENT_READ, run)
        except OSError:
            self._close(run.pidfd)
            run.pidfd = None
            run.look_at = run.began

    def _listen(self, run: _Run) -> None:
        run.listen_at = None
        if run.pipe is not None:
            self._selector.register(run.pipe, selectors.EVENT_READ, run)

    def _make_sure(self, run: _Run, newest: int | None) -> None:
        """Raise `OSError` if there are too few descriptors for another work, for the logs of all, and for `bt`.

        The lowest free number is given out: if the `newest` is low, there is room above it, and nothing to set aside.
        """
        if newest is not None and newest < resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 4:
            return
        if self._runs:
            check_margin()
        for other in (*self._runs.values(), run):
            other.log.reserve()

    def _read(self, run: _Run, times: int) -> None:
        for _ in range(times):
            if run.pipe is None:
                return
            try:
                data = os.read(run.pipe, _PIECE)
            except BlockingIOError:
                return
            if not data:
                self._close(run.pipe)
                run.pipe = None
                run.pause = _FIRST_LOOK
                if run.look_at is not None:  # the end of the output is most often the end of the process
                    run.look_at = run.began
            self._tell(run, run.mask.feed(data))

    def _tell(self, run: _Run, data: bytes) -> None:
        if data:
            run.log.write(data)
            starts = range(0, len(data), _PIECE)
            self._told += [Output(run.work.id, data[at : at + _PIECE]) for at in starts]

    def _reap(self, run: _Run) -> None:
        """Take the exit status if there is one; what the process leaves behind is looked at next."""
        if (ended := processes.reap(run.pid)) is not None:
            self._note_end(run, ended, time.monotonic())

    def _note_end(self, run: _Run, ended: processes.Exit, now: float) -> None:
        lost = _LOST if ended.code is ended.signal is None else None
        took = now - run.began
        run.end = Ended(
            run.work.id, *ended[:2], took, ended.peak_memory, run.timed_out, run.cancelled, cause=lost
        )
        self._close(run.pidfd)
        run.pidfd = None
        self._read(run, _LAST_READS)
        run.timeout_at = None
        if run.listen_at is not None:
            self._listen(run)
        run.look_at = now
        run.pause = _FIRST_LOOK
        if not (run.timed_out or run.cancelled):
            run.term_at = now + _LINGER
        elif run.kill_at is None:  # KILL has been sent, but only to the group
            run.kill_at = now
        else:  # so was TERM
            STRAYS.signal(run.mark, run.pid, signal.SIGTERM)

    def _act(self, run: _Run, now: float) -> None:
        """Do what is due; the order matters: what has ended needs no signal."""
        if _due(run.listen_at, now):
            if run.pid:
                self._listen(run)
            else:
                run.listen_at = now + _SHORT
        if _due(run.look_at, now):
            if run.end is None:
                self._reap(run)
            if run.end is not None and (_due(run.stuck_at, now) or run.is_empty()):
                if run.stuck_at is not None:
                    STRAYS.give_up(run.mark, run.pid)
                self._finish(run, run.end)
                return
            if run.stuck_at is not None and run.end is not None:
                run.signal_left(signal.SIGKILL)
            run.look_at = now + run.pause
            run.pause = min(run.pause * 2, _LAST_LOOK)
        if run.end is None and _due(run.stuck_at, now) and self._spawner is not None:
            self._lose_spawner(self._spawner)
            return
        if _due(run.timeout_at, now):
            run.timeout_at = None
            run.timed_out = True
            self._stop(run, now)
        if _due(run.term_at, now):
            run.term_at = None
            run.leftovers = run.signal_left(signal.SIGTERM)
            run.kill_at = now + self._grace
        if _due(run.kill_at, now):
            self._kill(run, now)

    def _stop(self, run: _Run, now: float) -> None:
        self._signal(run, signal.SIGTERM)
        run.kill_at = now + self._grace

    def _signal(self, run: _Run, number: signal.Signals) -> None:
        """Signal a work that has not ended. Whoever has started it does so if it was not told that it runs."""
        if not run.spawned or (self._spawner is not None and self._spawner.is_parent(run.pid)):
            processes.signal_job(run.pid, number, group=not run.work.interactive)
        elif self._spawner is not None:
            self._spawner.signal(run.work.id, number)

    def _kill(self, run: _Run, now: float) -> None:
        if run.end is None:
            self._signal(run, signal.SIGKILL)
            if run.spawned:
                run.stuck_at = now + _STUCK
        else:
            ended = run.signal_left(signal.SIGKILL)
            if run.term_at is not None:  # not counted yet
                run.leftovers = ended
            run.stuck_at = now + _STUCK
            run.look_at = now + _FIRST_LOOK
        run.kill_at = run.term_at = None

    def _finish(self, run: _Run, end: Ended) -> None:
        self._read(run, _LAST_READS)
        self._tell(run, run.mask.flush())
        self._drop(run)
        self._told.append(end._replace(leftovers=run.leftovers, log_error=run.log.error))

    def _drop(self, run: _Run) -> None:
        for file in (run.pipe, run.pidfd):
            self._close(file)
        run.log.close()
        STRAYS.end(run.mark)
        del self._runs[run.work.id]

    def _close(self, file: int | None) -> None:
        if file is not None:
            with contextlib.suppress(KeyError):
                self._selector.unregister(file)
            os.close(file)


def _begin(work: Work, output: int | None) -> int:
    """Start the process of a work; without a shell where that makes no difference. Raises OSError and ValueError."""
    found = direct(work.argv, work.env, work.cwd)
    if found is not None:
        env = seen(work.env, found.program, work.cwd, work.argv[0])
        files = (found.source, found.target)
        with contextlib.suppress(OSError):  # then the shell shall say what is wrong
            return processes.start(found.argv, work.cwd, env, output, program=found.program, files=files)
    return processes.start(work.argv, work.cwd, work.env, output)


def _have_begun(spawner: Spawner, work: Work, output: int) -> bool:
    """Have the process of a work started elsewhere; whether that was taken on."""
    found = direct(work.argv, work.env, work.cwd)
    if found is not None:
        env = seen(work.env, found.program, work.cwd, work.argv[0])
        files = (found.source, found.target)
        return spawner.start(work.id, found.argv, work.cwd, env, output, found.program, files)
    program = processes.find(work.argv[0], work.env)
    return spawner.start(work.id, work.argv, work.cwd, work.env, output, program, (None, None))


def check_margin() -> None:
    """Raise `OSError` if few descriptors are left."""
    spare: list[int] = []
    try:
        while len(spare) < _MARGIN:
            spare.append(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
    finally:
        for file in spare:
            os.close(file)


def _due(moment: float | None, now: float) -> bool:
    return moment is not None and moment <= now
