"""Functions in any `concurrent.futures.Executor`: processes, loky, one of the user's own.

Does not know what is behind the pool. A job that takes its process down breaks the whole pool: then all jobs that
were in it are done once more, each alone, so that only the one at fault fails.
"""

from __future__ import annotations

import contextlib
import inspect
import os
import selectors
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future
from dataclasses import dataclass
from types import ModuleType

from buildtool.errors import ExecutorError
from buildtool.executors import processes
from buildtool.executors.calls import Running, data_of, ended_of
from buildtool.executors.channel import Channel
from buildtool.executors.protocol import MARK, Ended, Event, Note, Started, Work
from buildtool.executors.strays import STRAYS
from buildtool.runtime import modules
from buildtool.runtime.children import helpers
from buildtool.runtime.job import Data
from buildtool.runtime.parent import end_with_parent
from buildtool.runtime.perform import perform, told

_HANDLED = (
    (signal.SIGINT, signal.SIG_IGN),
    (signal.SIGTERM, signal.SIG_DFL),
    (signal.SIGHUP, signal.SIG_DFL),
)
_LOOK = 0.5  # seconds from when nobody can write for a job any more to a look at its process
_BROKEN = "its worker process died, and another job may be the reason"


@dataclass(slots=True, eq=False)
class _Sent:
    """A job that is in the pool."""

    run: Running
    future: Future[Data]
    pool: Executor  # that it was given to
    kill_at: float | None = None
    told: bool = False  # that it runs
    urgent: bool = False  # it is to be killed once it is known where it runs
    signalled: bool = False  # its process was told to end
    look_at: float | None = None  # its output is closed: its process may have died

    @property
    def timeout_at(self) -> float | None:
        """When its time is over; while it waits for a free process, no time passes."""
        return self.run.timeout_at if self.told else None


class Futures:
    """Runs functions in the pool that `factory(workers)` makes when it is first needed.

    `log_limit`, `mask`, `grace`: as for `Commands`. `patience`: seconds that a pool may take to shut down.
    """

    def __init__(
        self,
        factory: Callable[[int], Executor],
        workers: int,
        *,
        log_limit: int = 1 << 26,
        mask: tuple[bytes, ...] = (),
        grace: float = 5,
        patience: float = 5,
    ) -> None:
        self._factory = factory
        self._patience = patience
        self._workers = workers
        self._log_limit = log_limit
        self._mask = mask
        self._grace = grace
        self._pool: Executor | None = None
        self._retired: list[Executor] = []  # pools that get no more jobs, and are shut down after their last
        self._selector = selectors.DefaultSelector()
        self._channel = Channel(self._selector)
        self._awake, self._wake = os.pipe()
        os.set_blocking(self._awake, False)
        os.set_blocking(self._wake, False)
        self._selector.register(self._awake, selectors.EVENT_READ, None)
        self._done: deque[int] = deque()
        self._sent: dict[int, _Sent] = {}
        self._waiting: deque[Running] = deque()  # until the pool is empty
        self._told: list[Event] = []
        self._below: dict[
            int, str | None
        ] = {}  # what jobs that were told to end have started, with its stamp
        self._kill_below_at: float | None = None
        self._ended_some = False  # a job was told to end: it may have started something at that very moment
        self._mark = ""  # by which all processes of this build are known
        self._stuck = False  # a job goes on in a thread of this process that nobody can end
        self._closed = False
        self._closing = threading.Lock()  # nobody writes to what is being closed

    def fileno(self) -> int:
        """A descriptor that is readable when something happened."""
        return self._selector.fileno()

    def deadline(self) -> float | None:
        """When `events` must be called at the latest; in the past when it has something to tell already."""
        if self._told:
            return 0.0
        times = [at for s in self._sent.values() for at in (s.timeout_at, s.kill_at, s.look_at)]
        times.append(self._kill_below_at)
        return min((at for at in times if at is not None), default=None)

    def submit(self, work: Work) -> None:
        """Give this work to the pool; one that must be alone waits until the pool is empty, as do those behind it.

        Raises what `factory` raises.
        """
        if self._closed:
            raise ValueError("the executor is closed")
        run = Running.begin(work, self._log_limit, self._mask)
        self._waiting.append(run)
        self._send_waiting()

    def events(self) -> list[Event]:
        """What happened since the last call, without waiting."""
        if not self._closed:
            with contextlib.suppress(BlockingIOError):
                os.read(self._awake, 1 << 16)
            self._listen()
            while self._done:
                self._finish(self._done.popleft())
            self._act(time.monotonic())
            self._send_waiting()
        told, self._told = self._told, []
        return told

    def cancel(self, work: int, *, now: bool = False) -> None:
        """End this work, and with it the process that it runs in, where that is known."""
        for run in [run for run in self._waiting if run.work.id == work]:
            self._waiting.remove(run)
            run.cancelled = True
            self._told += run.end(Ended(work, None, None, 0.0, 0))
        sent = self._sent.get(work)
        if sent is None:
            return
        sent.run.cancelled = True
        sent.urgent |= now
        if not sent.future.cancel():
            self._stop(sent, now=now)

    def close(self) -> None:
        """End all that runs and give back all resources."""
        if self._closed:
            return
        for work in [*self._sent, *(run.work.id for run in self._waiting)]:
            self.cancel(work)
        until = time.monotonic() + self._grace + 1
        while self._sent and time.monotonic() < until:
            due = self.deadline()
            patience = until if due is None else min(until, due)
            self._selector.select(max(0.0, patience - time.monotonic()))
            self.events()
        for pool in [*self._retired, *([self._pool] if self._pool is not None else [])]:
            self._shut(pool, wait=not self._in(pool))
        if self._ended_some:
            left = processes.orphaned(MARK, self._mark, _adopted()) if self._mark else []
            processes.end_processes([*self._left_below(), *left], grace=self._grace)
        self._channel.close()
        self._selector.close()
        with self._closing:
            self._closed = True
            os.close(self._awake)
            os.close(self._wake)

    # -- the pool --------------------------------------------------------------------------------------------

    def _send_waiting(self) -> None:
        """Send what may be sent, in order."""
        while self._waiting:
            first = self._waiting[0]
            lonely = [sent for sent in self._sent.values() if sent.run.work.alone]
            if lonely or (first.work.alone and self._sent):
                return
            self._send(self._waiting.popleft())

    def _send(self, run: Running) -> None:
        work = run.work
        data = data_of(work, run.call, self._channel.address, shared=False, pool=True)
        try:
            pool, future = self._submit(data)
        except ExecutorError:
            raise
        except Exception as error:  # noqa: BLE001  the pool may be anybody's
            self._told += run.end(
                Ended(work.id, None, None, 0.0, 0, error=f"the executor does not take it: {told(error)}")
            )
            return
        self._sent[work.id] = _Sent(run, future, pool)
        future.add_done_callback(lambda _: self._note_done(work.id))

    def _submit(self, data: Data) -> tuple[Executor, Future[Data]]:
        """Give a job to the pool, or to a new one if this one turns out to be broken."""
        for _ in range(2):
            try:
                if self._pool is None:
                    _forks_die_with_us()
                    # So that its processes are known, should this one be killed.
                    self._mark = os.environ[MARK] = data["env"].get(MARK, "")
                    self._pool = self._factory(self._workers)
                pool = self._pool
                with bare_main():
                    future = pool.submit(perform, data)
            except BrokenExecutor:
                if self._pool is not None:
                    self._bury(self._pool)
                continue
            if not callable(getattr(future, "add_done_callback", None)):
                raise ExecutorError(f"the executor gives a {type(future).__name__} and no future")
            return pool, future
        raise RuntimeError("its workers die as soon as they start")

    def _note_done(self, job: int) -> None:
        """Called in a thread of the pool's, maybe after the end of all."""
        with self._closing:
            self._done.append(job)
            if not self._closed:
                with contextlib.suppress(BlockingIOError):  # there is enough to wake up for
                    os.write(self._wake, b".")

    def _in(self, pool: Executor) -> list[_Sent]:
        """The jobs in a pool."""
        return [sent for sent in self._sent.values() if sent.pool is pool]

    def _retire(self, pool: Executor) -> None:
        """Give this pool no more jobs. Those in it go on: to wait for them here would be to read nothing of them."""
        if pool is self._pool:
            self._pool = None
            self._retired.append(pool)
            modules.forget()  # a new pool may be forked from this process

    def _bury(self, pool: Executor) -> None:
        """Have done with a broken pool, and with the jobs in it."""
        self._retire(pool)
        if pool not in self._retired:
            return
        self._listen()
        for sent in self._in(pool):
            self._channel.drop(sent.run.work.id)  # so that its process ends even if it minds no signal
        if not self._shut(pool, wait=True):
            return
        for sent in self._in(pool):
            # Python's pool may lose a job that it is given while it breaks: nobody else will ever tell of it.
            if not sent.future.done():
                self._stop(sent, now=True)
                self._note_done(sent.run.work.id)

    def _shut(self, pool: Executor, *, wait: bool) -> bool:
        """Shut a pool down, and have it no more; whether it has ended all that was in it."""
        if pool in self._retired:
            self._retired.remove(pool)
        stuck = self._stuck or any(sent.run.pid == os.getpid() for sent in self._in(pool))
        wait = wait and not stuck
        wishes = {"wait": wait, "cancel_futures": True, "kill_workers": True}  # the last one is loky's
        try:
            known = inspect.signature(pool.shutdown).parameters
        except Exception:  # noqa: BLE001  the pool may be anybody's
            return False

        def shut() -> None:
            with contextlib.suppress(Exception):
                pool.shutdown(**{name: wish for name, wish in wishes.items() if name in known})

        # In a thread, since it may never return: not even a signal would end that.
        thread = threading.Thread(target=shut, daemon=True)
        thread.start()
        thread.join(self._patience)
        if thread.is_alive():
            words = f"did not shut down within {self._patience:g} s, and was left as it is"
            self._told.append(Note(f"an executor ({type(pool).__name__}) {words}"))
            return True  # whatever is in it is not waited for
        return wait and "wait" in known

    # -- jobs ------------------------------------------------------------------------------------------------

    def _listen(self) -> None:
        """Take what jobs printed, and which process runs them."""
        for job, pid, data in self._channel.read():
            sent = self._sent.get(job)
            if sent is None:
                continue
            if pid is not None:
                sent.run.pid = pid
                self._told += self._start(sent)
                if sent.run.cancelled:  # while nobody knew where it would run
                    self._stop(sent, now=sent.urgent)
            self._told += sent.run.print(data)
        for job, sent in self._sent.items():
            if sent.told and sent.look_at is None and self._channel.silent(job):
                sent.look_at = time.monotonic() + _LOOK

    def _start(self, sent: _Sent) -> list[Event]:
        """Tell that a job runs, once."""
        if sent.told:
            return []
        sent.told = True
        sent.run.began = time.monotonic()
        pid = sent.run.pid if sent.run.pid != os.getpid() else None
        return [Started(sent.run.work.id, pid, processes.start_stamp(pid) if pid is not None else None)]

    def _finish(self, job: int) -> None:
        """Tell how a job ended, and see whether its pool is still good."""
        sent = self._sent.get(job)
        if sent is None:
            return
        pool, broken = sent.pool, False
        try:
            ended = self._told_by(sent) if sent.future.done() else self._lost(job, sent)
        except CancelledError:
            ended = self._lost(job, sent)
        except BrokenExecutor:
            broken = True
            ended = self._lost(job, sent)
        except BaseException as error:  # noqa: BLE001  the pool may be anybody's
            cause = f"the executor failed: {told(error)}"
            gone = pool is not self._pool  # given up since: whatever it says of the job, it did not do it
            ended = self._lost(job, sent) if gone else Ended(job, None, None, 0.0, 0, error=cause)
        self._listen()  # the last of what it printed; a short job has only now said where it ran
        self._told += self._start(sent)
        del self._sent[job]
        self._channel.drop(job)
        if broken:
            self._bury(pool)
        elif ended.repeat is not None or sent.signalled:
            self._retire(pool)  # it has old code, or a process that is to end and gets no other job before
        if pool in self._retired and not self._in(pool):
            self._shut(pool, wait=True)
        self._told += sent.run.end(ended)

    def _told_by(self, sent: _Sent) -> Ended:
        """What the pool says of a job. Raises what became of it instead."""
        answer: object = sent.future.result()
        job = sent.run.work.id
        if not isinstance(answer, dict) or answer.get("id") != job or "status" not in answer:
            kind = type(answer).__name__
            cause = f"its executor has not run it: the future gives a {kind}, which is no answer of `bt`"
            return Ended(job, None, None, 0.0, 0, cause=cause)
        ours = sent.run.pid == os.getpid()
        return ended_of(answer)._replace(moved=ours and bool(answer.get("moved")))

    def _lost(self, job: int, sent: _Sent) -> Ended:
        """What a broken pool means for one of its jobs."""
        run = sent.run
        if run.cancelled or run.timed_out:
            return Ended(job, None, signal.SIGTERM, 0.0, 0)
        if run.work.alone:
            return Ended(job, None, None, 0.0, 0, cause="it ended its worker process, or used up its memory")
        return Ended(job, None, None, 0.0, 0, repeat=_BROKEN)

    def _act(self, now: float) -> None:
        for job, sent in list(self._sent.items()):
            if sent.timeout_at is not None and sent.timeout_at <= now:
                sent.run.timed_out = True
                self._stop(sent, now=False)
                if sent.run.pid == os.getpid():  # nobody can end it: it goes on, and does not count
                    del self._sent[job]
                    self._stuck = True
                    self._told += sent.run.end(Ended(job, None, None, 0.0, 0, goes_on=True))
            elif sent.kill_at is not None and sent.kill_at <= now:
                sent.kill_at = None
                self._stop(sent, now=True)
            elif sent.look_at is not None and sent.look_at <= now:
                sent.look_at = now + _LOOK
                self._nudge(sent)
        if self._kill_below_at is not None and self._kill_below_at <= now:
            self._signal(self._left_below(), signal.SIGKILL)
            self._below.clear()
            self._kill_below_at = None

    def _nudge(self, sent: _Sent) -> None:
        """Let a pool see that a process of its has died: Python's does not look at those that it started last."""
        if sent.run.pid is not None and processes.start_stamp(sent.run.pid) is None:
            with contextlib.suppress(Exception), bare_main():
                sent.pool.submit(int)  # it looks at all of them when it is given something

    def _stop(self, sent: _Sent, *, now: bool) -> None:
        """End the process that a job runs in, and all that it has started: its worker leads no group of its own."""
        pid = sent.run.pid
        if pid is None or pid == os.getpid():
            return
        sent.signalled = self._ended_some = True
        sent.kill_at = None if now else sent.kill_at or time.monotonic() + self._grace
        self._below |= {below: processes.start_stamp(below) for below in processes.family(pid)}
        if self._below:
            self._kill_below_at = time.monotonic() + (0 if now else self._grace)
        number = signal.SIGKILL if now else signal.SIGTERM
        self._signal([pid, *self._left_below()], number)

    def _left_below(self) -> list[int]:
        """What is left of all that was started by jobs which were told to end."""
        return [
            pid for pid, stamp in self._below.items() if stamp is not None and processes.alive(pid, stamp)
        ]

    def _signal(self, pids: list[int], number: signal.Signals) -> None:
        for pid in pids:
            with contextlib.suppress(OSError):
                os.kill(pid, number)


def _adopted() -> list[int]:
    """The children that were those of a worker that has died, if this process takes them in for its commands.

    Whatever else a pool that nobody knows has started is among them: it is about to end, too.
    """
    if not STRAYS.has_adopted:
        return []
    from multiprocessing import active_children

    known = {child.pid for child in active_children()} | helpers() | processes.started
    children = (process for process in processes.processes() if process.parent == os.getpid())
    return [process.pid for process in children if process.pid not in known]


_prepared: list[bool] = []


def _forks_die_with_us() -> None:
    """See to it that processes forked from this one end with it: idle ones of a pool would never notice."""
    if not _prepared:
        _prepared.append(True)
        parent = os.getpid()
        os.register_at_fork(after_in_child=lambda: _die_with(parent))


def _die_with(parent: int) -> None:
    if not _prepared:
        return  # a fork of a fork: not ours to end
    _prepared.clear()
    for number, handler in _HANDLED:
        signal.signal(number, handler)  # ours would tell this very process that it is to end
    if end_with_parent() and os.getppid() != parent:
        os._exit(1)  # it has died before this was said


@contextlib.contextmanager
def bare_main() -> Iterator[None]:
    """Hide our main module for a moment: new worker processes would import all of `bt`."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main
