"""Functions in warm worker processes of this machine: started once, used for many jobs, replaced when one breaks.

What runs inside is `worker`. A job that takes its process down (`os._exit`, a segmentation fault, the system's
out-of-memory killer) fails alone; other processes go on.
"""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import resource
import selectors
import signal
import socket
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from buildtool.executors import processes
from buildtool.executors.calls import Running, data_of, ended_of
from buildtool.executors.commands import FULL, check_margin
from buildtool.executors.output import Log, Mask
from buildtool.executors.pipe import Pipe
from buildtool.executors.protocol import Ended, Event, Held, Signature, Started, Work
from buildtool.runtime.child import AT_START, HEADER

_PACKAGE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_START = (
    f"import sys; sys._bare_modules = set(sys.modules); sys.path.append({_PACKAGE!r});"
    " from buildtool.runtime.child import main; main()"
)
_LINGER = 0.25  # seconds in which what a job leaves behind may end by itself
_LOOK = 0.02  # seconds between two looks at leftovers
_ANSWER = 1 << 16  # bytes of answers in one read
_STRAY = 4096  # bytes kept of what a worker prints outside of any job
_QUIET = 0.02  # seconds in which what a job prints may wait: most jobs are done by then, and their pipe is read once
_SLOW = 5.0  # seconds that `close` waits for a worker to end by itself

Key = tuple[tuple[str, ...], tuple[tuple[str, str], ...], str]


@dataclass(slots=True, eq=False)
class _Worker:
    """One worker process and the jobs in it."""

    pid: int
    stamp: str | None
    control: socket.socket
    stray: int  # what is printed outside of jobs
    key: Key
    slots: int
    env: Mapping[str, str] | None = None  # of the last job
    code: dict[str, tuple[int, ...]] = field(
        default_factory=dict
    )  # the source files that jobs were sent with
    last_code: tuple[tuple[str, Signature], ...] = ()  # what the last one was sent with
    jobs: dict[int, _Job] = field(default_factory=dict)
    pidfd: int | None = None
    answer: bytearray = field(default_factory=bytearray)
    printed: bytes = b""
    helpers: frozenset[int] = frozenset()  # processes that are no job's
    retired: bool = False  # gets no more jobs, and ends when it has none
    leaving: bool = False  # it takes no more jobs: those that it has not answered for have not begun
    moved: bool = False  # a job has changed the working directory that all share
    kill_at: float | None = None
    look_at: float | None = None  # without a pidfd

    @property
    def free(self) -> bool:
        """Whether it can take one more job."""
        return not self.retired and len(self.jobs) < self.slots


def _holds_other_code(worker: _Worker, run: Running) -> bool:
    """Whether a worker had jobs whose code has changed since, as this one knows it."""
    code = run.work.call.code if run.work.call is not None else ()
    if code is worker.last_code:
        return False
    return any(worker.code.get(path, signature) != signature for path, signature in code)


@dataclass(slots=True, eq=False)
class _Job:
    """One job in a worker."""

    worker: _Worker
    run: Running
    pipe: Pipe
    listen_at: float | None  # when its pipe is to be watched
    beside: bool = False  # others have run in the worker meanwhile

    @property
    def id(self) -> int:
        """The number of its work."""
        return self.run.work.id


@dataclass(slots=True, eq=False)
class _Lingering:
    """A job that is done and whose background processes are not."""

    job: _Job
    ended: Ended
    look_at: float
    term_at: float
    kill_at: float | None = None
    leftovers: int = 0


class Workers:
    """Runs functions in worker processes, `slots` at a time in each (in threads, if more than one).

    `most`: idle workers that are kept. `stray`: the file for what nobody can tell the job of, such as what child
    processes print while several jobs run in their process. `beside`: whether other work of this machine runs, which
    will give room when it ends; `events` is called then. `log_limit`, `mask`, `grace`: as for `Commands`.
    """

    def __init__(
        self,
        *,
        most: int,
        slots: int = 1,
        stray: str | None = None,
        beside: Callable[[], bool] = bool,
        log_limit: int = 1 << 26,
        mask: tuple[bytes, ...] = (),
        grace: float = 5,
    ) -> None:
        self._most = most
        self._slots = slots
        self._stray = Log(stray, log_limit) if stray is not None else None
        self._stray_mask = Mask(mask)
        self._beside = beside
        self._log_limit = log_limit
        self._mask = mask
        self._grace = grace
        self._selector = selectors.DefaultSelector()
        self._workers: list[_Worker] = []
        self._jobs: dict[int, _Job] = {}
        self._lingering: dict[int, _Lingering] = {}
        self._held: deque[Work] = deque()  # there was no room for them
        self._room: int | None = None  # works that the machine could run at once, once that was too few
        self._begun: list[Started] = []  # told with what comes next: nobody needs to wake up for them
        self._told: list[Event] = []
        self._closed = False
        self._asked: tuple[tuple[str, ...], bool, str] | None = None  # the last that a key was made for
        self._env: Mapping[str, str] = {}
        self._found: Key = ((), (), "")
        processes.prepare()

    def fileno(self) -> int:
        """A descriptor that is readable when something happened."""
        return self._selector.fileno()

    def deadline(self) -> float | None:
        """When `events` must be called at the latest; in the past when it has something to tell already."""
        if self._told:
            return 0.0
        times = [at for job in self._jobs.values() for at in (job.run.timeout_at, job.listen_at)]
        times += [at for worker in self._workers for at in (worker.kill_at, worker.look_at)]
        times += [left.look_at for left in self._lingering.values()]
        return min((at for at in times if at is not None), default=None)

    def submit(self, work: Work) -> None:
        """Start this work now, in an idle worker if there is one that fits, or when there is room."""
        if self._room is not None and self._busy() >= self._room:
            self._held.append(work)
        else:
            self._try(work)

    def _try(self, work: Work) -> None:
        """Start a work; without room it waits, as long as anything runs that may give some back."""
        run = Running.begin(work, self._log_limit, self._mask)
        try:
            job = self._give(run)
        except (OSError, ValueError) as error:
            is_full = isinstance(error, OSError) and error.errno in FULL
            why = f"no worker can be had: {processes.refusal(error) if isinstance(error, OSError) else error}"
            if is_full and (self._workers or self._beside()):
                self._hold(run, why)
                return
            why += ": allow more, or use fewer `--jobs`" if is_full else ""
            ended = Ended(work.id, None, None, 0.0, 0, error=why, scarce=is_full)
            self._told += run.end(ended)
            return
        run.pid = job.worker.pid
        for other in job.worker.jobs.values():
            other.beside = job.beside = True
        job.worker.jobs[work.id] = self._jobs[work.id] = job
        self._begun.append(Started(work.id, job.worker.pid, job.worker.stamp))

    def _busy(self) -> int:
        return len(self._jobs) + len(self._lingering)

    def _hold(self, run: Running, why: str) -> None:
        """Let a work wait until another has ended; if none runs here, the idle workers go."""
        run.log.close()
        if self._room is None:
            self._told.append(Held(run.work.id, why))
        self._room = self._busy()
        self._held.appendleft(run.work)
        if not self._room:
            for worker in [worker for worker in self._workers if not worker.retired]:
                self._end(worker, busy=False)

    def _start_held(self) -> None:
        """Start what waits, as far as there is room."""
        while self._held and not (self._room is not None and 0 < self._room <= self._busy()):
            before = len(self._held)
            self._try(self._held.popleft())
            if len(self._held) == before:
                return

    def events(self) -> list[Event]:
        """What happened since the last call, without waiting."""
        dead: list[_Worker] = []
        answered: list[_Worker] = []
        for key, _ in [] if self._closed else self._selector.select(0):
            if isinstance(key.data, _Job):
                self._listen(key.data)
            elif key.fd == key.data.stray:
                self._read_stray(key.data)
            elif key.fd == key.data.pidfd:
                dead.append(key.data)
            else:
                answered.append(key.data)
        for worker in answered:
            self._read_answers(worker)
        now = time.monotonic()
        for worker in [*dead, *(w for w in self._workers if _due(w.look_at, now))]:
            self._reap(worker)
        self._act(now)
        self._start_held()
        told: list[Event] = [*self._begun, *self._told]
        self._begun.clear()
        self._told.clear()
        return told

    def cancel(self, work: int, *, now: bool = False) -> None:
        """End this work, and with it the process that it runs in; `now`: at once."""
        for held in [held for held in self._held if held.id == work]:
            self._held.remove(held)
            self._told.append(Ended(work, None, None, 0.0, 0, cancelled=True))
        if work in self._lingering:
            self._lingering[work].term_at = 0.0
            self._lingering[work].look_at = 0.0
            return
        if work in self._jobs:
            self._jobs[work].run.cancelled = True
            self._stop(self._jobs[work].worker, now=now)

    def close(self) -> None:
        """End all workers and give back all resources."""
        if self._closed:
            return
        self._held.clear()
        for worker in self._workers:
            self._end(worker, busy=bool(worker.jobs))
        until = time.monotonic() + self._grace + _SLOW
        while self._workers and time.monotonic() < until:
            due = self.deadline()
            patience = until if due is None else min(until, due)
            self._selector.select(max(0.0, patience - time.monotonic()))
            self.events()
        for worker in list(self._workers):  # stuck in the kernel
            self._bury(worker)
        self._begun.clear()
        self._told.clear()
        if self._stray is not None:
            self._stray.write(self._stray_mask.flush())
            self._stray.close()
        self._selector.close()
        self._closed = True

    # -- workers ---------------------------------------------------------------------------------------------

    def _give(self, run: Running) -> _Job:
        """Send a job to a worker that takes it. Raises OSError or ValueError if there is none."""
        pipe = Pipe()
        try:
            self._make_sure(run, pipe)
            while True:
                known = len(self._workers)
                worker = self._worker_for(run)
                try:
                    _send(worker, run, pipe)
                    break
                except ConnectionError:
                    worker.retired = True  # it has died, and that will be seen at the next look
                    if len(self._workers) > known:
                        raise  # this one was new
        except BaseException:
            pipe.close()
            raise
        code = run.call.code
        if code is not worker.last_code:
            worker.code.update(code)
            worker.last_code = code
        pipe.given()
        return _Job(worker, run, pipe, run.began + _QUIET)

    def _make_sure(self, run: Running, pipe: Pipe) -> None:
        """Raise OSError if there are too few descriptors for one more job beside others, their logs, and `bt`.

        The lowest free number is given out: if it is low, there is room above it.
        """
        if (
            not (self._busy() or self._beside())
            or pipe.theirs < resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 4
        ):
            return
        check_margin()
        for other in (*(job.run for job in self._jobs.values()), run):
            other.log.reserve()

    def _worker_for(self, run: Running) -> _Worker:
        """An idle worker that has started as this job needs it, or a new one."""
        if self._closed:
            raise ValueError("the executor is closed")
        slots = 1 if run.work.alone else self._slots
        key = self._key(run, shared=slots > 1)
        for worker in list(self._workers):
            if worker.free and _holds_other_code(worker, run):
                worker.retired = True
                if not worker.jobs:
                    self._end(worker, busy=False)
            elif worker.free and worker.key == key and worker.slots == slots:
                return worker
        idle = [worker for worker in self._workers if not worker.jobs and not worker.retired]
        for worker in idle[: max(0, len(idle) + 1 - self._most)]:
            self._end(worker, busy=False)
        return self._start(run.work.env, key, slots, run.work.cwd if slots > 1 else os.getcwd())

    def _key(self, run: Running, *, shared: bool) -> Key:
        """What must be the same for two jobs to be run in one process."""
        work, path = run.work, run.call.path
        asked = (path, shared, work.cwd if shared else "")
        if self._asked == asked and (
            self._env is work.env or self._env == work.env
        ):  # most are as the one before
            return self._found
        counts = sorted(i for i in work.env.items() if shared or i[0].startswith(AT_START))
        self._asked, self._env = asked, work.env
        self._found = (path, tuple(counts), asked[2])
        return self._found

    def _start(self, env: Mapping[str, str], key: Key, slots: int, cwd: str) -> _Worker:
        ours, theirs = socket.socketpair()
        stray, output = os.pipe()
        try:
            argv = (sys.executable, "-P", "-c", _START, str(slots))
            pid = processes.start(argv, cwd, env, output, theirs.fileno())
        except BaseException:
            ours.close()
            os.close(stray)
            raise
        finally:
            theirs.close()
            os.close(output)
        os.set_blocking(stray, False)
        worker = _Worker(pid, processes.start_stamp(pid), ours, stray, key, slots)
        self._selector.register(stray, selectors.EVENT_READ, worker)
        self._selector.register(ours, selectors.EVENT_READ, worker)
        try:
            worker.pidfd = processes.open_pidfd(pid)
            self._selector.register(worker.pidfd, selectors.EVENT_READ, worker)
        except OSError:
            worker.look_at = time.monotonic()
        self._workers.append(worker)
        return worker

    def _retire_all(self) -> None:
        """Let no worker have another job."""
        for worker in list(self._workers):
            if not worker.jobs and not worker.retired:
                self._end(worker, busy=False)
            worker.retired = True

    def _end(self, worker: _Worker, *, busy: bool) -> None:
        """Let a worker go: one without a job ends by itself, one with a job is told to."""
        worker.retired = True
        if busy:
            self._stop(worker, now=False)
            return
        with contextlib.suppress(OSError):
            worker.control.shutdown(socket.SHUT_RDWR)
        worker.kill_at = worker.kill_at or time.monotonic() + self._grace

    def _stop(self, worker: _Worker, *, now: bool) -> None:
        """End a worker with whatever runs in it."""
        worker.retired = True
        if now or worker.slots > 1:  # a thread cannot be told to end
            self._kill(worker)
        elif worker.kill_at is None:
            processes.signal_job(worker.pid, signal.SIGTERM, group=True)
        worker.kill_at = worker.kill_at or time.monotonic() + self._grace

    def _kill(self, worker: _Worker) -> None:
        """End a worker at once, and all below it: when it is gone, they are nobody's."""
        if worker in self._workers:
            _signal(processes.family(worker.pid), signal.SIGKILL)
            processes.signal_job(worker.pid, signal.SIGKILL, group=True)

    def _bury(self, worker: _Worker) -> None:
        """A worker is gone: give back what it had."""
        self._workers.remove(worker)
        for file in (worker.stray, worker.pidfd):
            if file is not None:
                with contextlib.suppress(KeyError):
                    self._selector.unregister(file)
                os.close(file)
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(worker.control)
        worker.control.close()

    def _reap(self, worker: _Worker) -> None:
        """Take the exit status of a worker, if it has ended, and tell what becomes of its jobs."""
        ended = processes.reap(worker.pid) if worker in self._workers else None
        if ended is None:
            worker.look_at = None if worker.pidfd is not None else time.monotonic() + _LOOK
            return
        self._read_answers(worker)  # what it said before it ended
        self._read_stray(worker)
        if not processes.session_empty(worker.pid, silent=True):
            processes.end_session(worker.pid, signal.SIGKILL)
        culprits = [job for job in worker.jobs.values() if job.run.cancelled or job.run.timed_out]
        alone = len(worker.jobs) == 1
        for job in list(worker.jobs.values()):
            if job.id in self._lingering:
                continue  # it has ended before its worker did
            if culprits and job not in culprits:
                self._lose(job, "its worker was ended because of another job")
            elif worker.leaving and not culprits:
                self._lose(job, "its worker was told to end before it began")
            elif not alone and job not in culprits:
                self._lose(job, "its worker died, and another job may be the reason")
            elif ended.signal == signal.SIGTERM and worker.slots > 1 and job not in culprits:
                self._lose(job, "its worker was told to end, and nobody knows whether it had begun")
            elif ended.signal == signal.SIGKILL and not job.run.work.alone and job not in culprits:
                self._lose(job, "its worker was killed (out of memory?)")
            else:
                cause = self._last(worker, ended)
                told = Ended(job.id, ended.code, ended.signal, 0.0, ended.peak_memory, cause=cause)
                self._finish(job, told)
        self._bury(worker)

    def _lose(self, job: _Job, why: str) -> None:
        """A run does not count, and is done once more."""
        self._finish(job, Ended(job.id, None, None, 0.0, 0, repeat=why))

    def _last(self, worker: _Worker, ended: processes.Exit) -> str | None:
        """Why a worker ended that should not have, where its exit status does not say it."""
        if ended.signal is not None:
            return None
        words = worker.printed.decode("utf-8", "replace").strip().splitlines()
        said = f": {words[-1].strip()}" if words else ""
        return f"its process ended with exit code {ended.code} before the job was done{said}"

    # -- what they say ---------------------------------------------------------------------------------------

    def _read_stray(self, worker: _Worker) -> None:
        with contextlib.suppress(BlockingIOError):
            while data := os.read(worker.stray, 1 << 16):
                worker.printed = (worker.printed + data)[-_STRAY:]
                if self._stray is not None:
                    self._stray.write(self._stray_mask.feed(data))
            with contextlib.suppress(KeyError):
                self._selector.unregister(worker.stray)  # its end

    def _listen(self, job: _Job) -> None:
        """Take what a job printed."""
        self._told += job.run.print(job.pipe.read())
        if job.pipe.ended:
            self._listen_no_more(job)

    def _watch(self, job: _Job) -> None:
        """Wake up when a job prints something."""
        if job.listen_at is not None and not job.pipe.ended:
            self._selector.register(job.pipe, selectors.EVENT_READ, job)
        job.listen_at = None

    def _listen_no_more(self, job: _Job) -> None:
        if job.listen_at is None:  # else it was never watched
            with contextlib.suppress(KeyError, ValueError):
                self._selector.unregister(job.pipe)

    def _read_answers(self, worker: _Worker) -> None:
        with contextlib.suppress(BlockingIOError, OSError):
            while data := worker.control.recv(_ANSWER, socket.MSG_DONTWAIT):
                worker.answer += data
                if len(data) < _ANSWER:
                    break  # that was all, most likely; if not, it will be told
        while len(worker.answer) >= HEADER.size:
            size = HEADER.unpack_from(worker.answer)[0] + HEADER.size
            if len(worker.answer) < size:
                return
            raw = bytes(worker.answer[HEADER.size : size])
            del worker.answer[:size]
            try:
                self._answered(worker, json.loads(raw.decode()))
            except (ValueError, TypeError, KeyError, AttributeError):  # the job has put its hands on `json`
                self._stop(worker, now=True)
                return

    def _answered(self, worker: _Worker, answer: dict[str, object]) -> None:
        worker.leaving = worker.leaving or bool(answer.get("leaving"))
        worker.retired = worker.retired or worker.leaving
        job = worker.jobs.get(answer["id"])  # type: ignore[call-overload]  # whatever it is, a job or none
        if job is None or job.id in self._lingering:
            return
        self._listen(job)
        ended = ended_of(answer)
        if ended.repeat is not None:
            self._retire_all()  # what one has imported may be old in the others, too
        if ended.repeat is not None or answer["threads"]:
            worker.retired = True  # it holds old code, or threads that would print into the next job's log
        if self._slots > 1 and (worker.moved or answer.get("moved")):
            ended = self._moved(job, ended)
        worker.helpers = frozenset(answer.get("helpers", worker.helpers))  # type: ignore[call-overload]  # numbers
        left = worker.slots == 1 and bool(answer["children"]) and self._members(worker)
        if worker.slots == 1 and (left or not job.pipe.ended) and not job.run.cancelled:
            now = time.monotonic()
            self._watch(job)
            self._lingering[job.id] = _Lingering(job, ended, now + _LOOK, now + _LINGER)
            del self._jobs[job.id]
            return
        self._finish(job, ended)
        if worker.retired and not worker.jobs:
            self._end(worker, busy=False)

    def _moved(self, job: _Job, ended: Ended) -> Ended:
        """What it means that the directory of a process has changed: which job did so is known if it was alone."""
        if job.worker.slots > 1:
            job.worker.moved = job.worker.retired = True
            if job.beside:
                return Ended(
                    job.id, None, None, 0.0, 0, repeat="a job beside it changed the working directory"
                )
        return ended._replace(moved=True)

    def _finish(self, job: _Job, ended: Ended) -> None:
        """Tell that a job has ended."""
        self._listen(job)
        self._jobs.pop(job.id, None)
        job.worker.jobs.pop(job.id, None)
        self._listen_no_more(job)
        job.pipe.close()
        self._told += job.run.end(ended)

    def _members(self, worker: _Worker) -> list[int]:
        """What runs because of a worker's job."""
        return [pid for pid in processes.family(worker.pid) if pid not in worker.helpers]

    # -- what is due -----------------------------------------------------------------------------------------

    def _act(self, now: float) -> None:
        for job in list(self._jobs.values()):
            if _due(job.listen_at, now):
                self._watch(job)
            if _due(job.run.timeout_at, now):
                job.run.timed_out = True
                self._stop(job.worker, now=False)
        for worker in self._workers:
            if _due(worker.kill_at, now):
                worker.kill_at = now + self._grace
                self._kill(worker)
        for left in list(self._lingering.values()):
            if _due(left.look_at, now):
                self._look(left, now)

    def _look(self, left: _Lingering, now: float) -> None:
        """Whether a job's background processes have ended; those that have not are made to."""
        worker = left.job.worker
        members = self._members(worker)
        if members and _due(left.kill_at, now):
            _signal(members, signal.SIGKILL)
        elif members and left.kill_at is None and _due(left.term_at, now):
            left.leftovers = len(members)
            left.kill_at = now + self._grace
            _signal(members, signal.SIGTERM)
        if members and worker in self._workers:
            left.look_at = now + _LOOK
            return
        del self._lingering[left.job.id]
        self._finish(left.job, left.ended._replace(leftovers=left.leftovers))
        if worker.retired and not worker.jobs and worker in self._workers:
            self._end(worker, busy=False)


def _send(worker: _Worker, run: Running, pipe: Pipe) -> None:
    """Hand a job and the way for its output to a worker; raises OSError."""
    env = run.work.env
    data = data_of(
        run.work, run.call, "", shared=worker.slots > 1, same_env=env is worker.env or env == worker.env
    )
    raw = pickle.dumps(data)
    message = HEADER.pack(len(raw)) + raw
    sent = socket.send_fds(worker.control, [message], [pipe.theirs])
    if sent < len(message):  # else the job may have begun, and ended its process: to send nothing would fail
        worker.control.sendall(message[sent:])
    worker.env = env


def _signal(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(OSError):
            os.kill(pid, number)


def _due(moment: float | None, now: float) -> bool:
    return moment is not None and moment <= now
