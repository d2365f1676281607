"""Functions in warm worker processes of this machine: started once, used for many jobs, replaced when one breaks.

What runs inside is `worker`. A job that takes its process down (`os._exit`, a segmentation fault, the system's
out-of-memory killer) fails alone; other processes go on.
"""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import selectors
import signal
import socket
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from buildtool.executors import processes
from buildtool.executors.calls import Running, data_of, ended_of
from buildtool.executors.channel import Channel
from buildtool.executors.output import Log, Mask
from buildtool.executors.protocol import Ended, Event, Started, Work
from buildtool.executors.worker import HEADER

_PACKAGE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_START = (
    f"import sys; sys._bare_modules = set(sys.modules); sys.path.append({_PACKAGE!r});"
    " from buildtool.executors.worker import main; main()"
)
# Variables that are looked at when a process or a library in it starts: a job with others gets another worker.
_AT_START = (
    *("PYTHON", "LD_", "DYLD_", "LC_", "LANG", "TZ", "OMP_", "MKL_", "OPENBLAS_", "NUMEXPR_", "VECLIB_"),
    *("BLIS_", "KMP_", "CUDA_", "NUMBA_", "MALLOC_", "JAX_", "XLA_", "TF_", "TORCH_", "POLARS_", "RAYON_"),
    *("MPLBACKEND", "PATH", "HOME", "TMPDIR", "VIRTUAL_ENV"),
)
_LINGER = 0.25  # seconds in which what a job leaves behind may end by itself
_LOOK = 0.02  # seconds between two looks at leftovers
_STRAY = 4096  # bytes kept of what a worker prints outside of any job
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
    jobs: dict[int, Running] = field(default_factory=dict)
    pidfd: int | None = None
    answer: bytearray = field(default_factory=bytearray)
    printed: bytes = b""
    retired: bool = False  # gets no more jobs, and ends when it has none
    kill_at: float | None = None
    look_at: float | None = None  # without a pidfd

    @property
    def free(self) -> bool:
        """Whether it can take one more job."""
        return not self.retired and len(self.jobs) < self.slots


@dataclass(slots=True, eq=False)
class _Lingering:
    """A job that is done and whose background processes are not."""

    worker: _Worker
    run: Running
    ended: Ended
    look_at: float
    term_at: float
    kill_at: float | None = None
    leftovers: int = 0


class Workers:
    """Runs functions in worker processes, `slots` at a time in each (in threads, if more than one).

    `most`: idle workers that are kept. `stray`: the file for what nobody can tell the job of, such as what child
    processes print while several jobs run in their process. `log_limit`, `mask`, `grace`: as for `Commands`.
    """

    def __init__(
        self,
        *,
        most: int,
        slots: int = 1,
        stray: str | None = None,
        log_limit: int = 1 << 26,
        mask: tuple[bytes, ...] = (),
        grace: float = 5,
    ) -> None:
        self._most = most
        self._slots = slots
        self._stray = Log(stray, log_limit) if stray is not None else None
        self._stray_mask = Mask(mask)
        self._log_limit = log_limit
        self._mask = mask
        self._grace = grace
        self._selector = selectors.DefaultSelector()
        self._channel = Channel(self._selector)
        self._workers: list[_Worker] = []
        self._runs: dict[int, tuple[_Worker, Running]] = {}
        self._lingering: dict[int, _Lingering] = {}
        self._told: list[Event] = []
        self._closed = False
        processes.prepare()

    def fileno(self) -> int:
        """A descriptor that is readable when something happened."""
        return self._selector.fileno()

    def deadline(self) -> float | None:
        """When `events` must be called at the latest; in the past when it has something to tell already."""
        if self._told:
            return 0.0
        times = [run.timeout_at for _, run in self._runs.values()]
        times += [at for worker in self._workers for at in (worker.kill_at, worker.look_at)]
        times += [left.look_at for left in self._lingering.values()]
        return min((at for at in times if at is not None), default=None)

    def submit(self, work: Work) -> None:
        """Start this work now, in an idle worker if there is one that fits."""
        run = Running.begin(work, self._log_limit, self._mask)
        try:
            worker = self._give(run)
        except (OSError, ValueError) as error:
            self._told += run.end(Ended(work.id, None, None, 0.0, 0, error=f"no worker can be had: {error}"))
            return
        run.pid = worker.pid
        worker.jobs[work.id] = run
        self._runs[work.id] = (worker, run)
        self._told.append(Started(work.id, worker.pid, worker.stamp))

    def events(self) -> list[Event]:
        """What happened since the last call, without waiting."""
        dead: list[_Worker] = []
        answered: list[_Worker] = []
        heard = False
        for key, _ in [] if self._closed else self._selector.select(0):
            if key.data is self._channel:
                heard = True
            elif key.fd == key.data.stray:
                self._read_stray(key.data)
            elif key.fd == key.data.pidfd:
                dead.append(key.data)
            else:
                answered.append(key.data)
        if heard or answered or dead:
            self._listen()
        for worker in answered:
            self._read_answers(worker)
        now = time.monotonic()
        for worker in [*dead, *(w for w in self._workers if _due(w.look_at, now))]:
            self._reap(worker)
        self._act(now)
        told, self._told = self._told, []
        return told

    def cancel(self, work: int, *, now: bool = False) -> None:
        """End this work, and with it the process that it runs in; `now`: at once."""
        if work in self._lingering:
            self._lingering[work].term_at = 0.0
            self._lingering[work].look_at = 0.0
            return
        if work not in self._runs:
            return
        worker, run = self._runs[work]
        run.cancelled = True
        self._stop(worker, now=now)

    def close(self) -> None:
        """End all workers and give back all resources."""
        if self._closed:
            return
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
        self._told.clear()
        if self._stray is not None:
            self._stray.write(self._stray_mask.flush())
            self._stray.close()
        self._channel.close()
        self._selector.close()
        self._closed = True

    # -- workers ---------------------------------------------------------------------------------------------

    def _give(self, run: Running) -> _Worker:
        """Send a job to a worker that takes it."""
        while True:
            known = len(self._workers)
            worker = self._worker_for(run)
            data = data_of(run.work, run.call, self._channel.address, shared=worker.slots > 1)
            raw = pickle.dumps(data)
            try:
                worker.control.sendall(HEADER.pack(len(raw)) + raw)
            except OSError:
                worker.retired = True  # it has died, and that will be seen at the next look
                if len(self._workers) > known:
                    raise  # this one was new
            else:
                return worker

    def _worker_for(self, run: Running) -> _Worker:
        """An idle worker that has started as this job needs it, or a new one."""
        if self._closed:
            raise ValueError("the executor is closed")
        slots = 1 if run.work.alone else self._slots
        key = _key(run, shared=slots > 1)
        for worker in self._workers:
            if worker.free and worker.key == key and worker.slots == slots:
                return worker
        idle = [worker for worker in self._workers if not worker.jobs and not worker.retired]
        for worker in idle[: max(0, len(idle) + 1 - self._most)]:
            self._end(worker, busy=False)
        return self._start(run.work.env, key, slots, run.work.cwd if slots > 1 else os.getcwd())

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
        if now:
            processes.signal_job(worker.pid, signal.SIGKILL, group=True)
        elif worker.kill_at is None:
            processes.signal_job(worker.pid, signal.SIGTERM, group=True)
        worker.kill_at = worker.kill_at or time.monotonic() + self._grace

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
        self._listen()
        self._read_stray(worker)
        if not processes.session_empty(worker.pid, silent=True):
            processes.end_session(worker.pid, signal.SIGKILL)
        killed = ended.signal == signal.SIGKILL
        culprits = [run for run in worker.jobs.values() if run.cancelled or run.timed_out]
        alone = len(worker.jobs) == 1
        for job, run in list(worker.jobs.items()):
            if culprits and run not in culprits:
                told = Ended(job, None, None, 0.0, 0, repeat="its worker was ended because of another job")
            elif not alone and run not in culprits:
                told = Ended(
                    job, None, None, 0.0, 0, repeat="its worker died, and another job may be the reason"
                )
            elif killed and not run.work.alone and run not in culprits:
                told = Ended(job, None, None, 0.0, 0, repeat="its worker was killed (out of memory?)")
            else:
                told = Ended(
                    job, ended.code, ended.signal, 0.0, ended.peak_memory, cause=self._last(worker, ended)
                )
            self._finish(job, told)
        self._bury(worker)

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

    def _listen(self) -> None:
        """Take what jobs printed."""
        for job, _, data in self._channel.read():
            if job in self._runs:
                self._told += self._runs[job][1].print(data)
            elif job in self._lingering:
                self._told += self._lingering[job].run.print(data)

    def _read_answers(self, worker: _Worker) -> None:
        with contextlib.suppress(BlockingIOError, OSError):
            while data := worker.control.recv(1 << 16, socket.MSG_DONTWAIT):
                worker.answer += data
        while len(worker.answer) >= HEADER.size:
            size = HEADER.unpack_from(worker.answer)[0] + HEADER.size
            if len(worker.answer) < size:
                return
            raw = bytes(worker.answer[HEADER.size : size])
            del worker.answer[:size]
            try:
                self._answered(worker, json.loads(raw))
            except (ValueError, TypeError, KeyError, AttributeError):  # the job has put its hands on `json`
                self._stop(worker, now=True)
                return

    def _answered(self, worker: _Worker, answer: dict[str, object]) -> None:
        job = answer["id"]
        if not isinstance(job, int) or job not in worker.jobs:
            return
        self._listen()
        run = worker.jobs[job]
        ended = ended_of(answer)
        if ended.repeat is not None or answer["threads"]:
            worker.retired = True  # it holds old code, or threads that would print into the next job's log
        left = worker.slots == 1 and bool(answer["children"]) and self._members(worker)
        if worker.slots == 1 and (left or not self._channel.silent(job)) and not run.cancelled:
            now = time.monotonic()
            self._lingering[job] = _Lingering(worker, run, ended, now + _LOOK, now + _LINGER)
            del self._runs[job]
            return
        self._finish(job, ended)
        if worker.retired and not worker.jobs:
            self._end(worker, busy=False)

    def _finish(self, job: int, ended: Ended) -> None:
        """Tell that a job has ended."""
        worker, run = self._runs.pop(job)
        worker.jobs.pop(job, None)
        self._channel.drop(job)
        self._told += run.end(ended)

    def _members(self, worker: _Worker) -> list[int]:
        """The processes of a worker's session besides itself."""
        return [pid for pid in processes.session_members(worker.pid) if pid != worker.pid]

    # -- what is due -----------------------------------------------------------------------------------------

    def _act(self, now: float) -> None:
        for worker, run in list(self._runs.values()):
            if _due(run.timeout_at, now):
                run.timed_out = True
                self._stop(worker, now=False)
        for worker in self._workers:
            if _due(worker.kill_at, now):
                worker.kill_at = now + self._grace
                processes.signal_job(worker.pid, signal.SIGKILL, group=True)
                processes.end_session(worker.pid, signal.SIGKILL)
        for job, left in list(self._lingering.items()):
            if _due(left.look_at, now):
                self._look(job, left, now)

    def _look(self, job: int, left: _Lingering, now: float) -> None:
        """Whether a job's background processes have ended; those that have not are made to."""
        members = self._members(left.worker)
        if members and _due(left.kill_at, now):
            _signal(members, signal.SIGKILL)
        elif members and left.kill_at is None and _due(left.term_at, now):
            left.leftovers = len(members)
            left.kill_at = now + self._grace
            _signal(members, signal.SIGTERM)
        if members and left.worker in self._workers:
            left.look_at = now + _LOOK
            return
        self._listen()
        del self._lingering[job]
        left.worker.jobs.pop(job, None)
        self._channel.drop(job)
        self._told += left.run.end(left.ended._replace(leftovers=left.leftovers))


def _key(run: Running, *, shared: bool) -> Key:
    """What must be the same for two jobs to be run in one process."""
    env = run.work.env
    counts = sorted(env.items()) if shared else sorted(i for i in env.items() if i[0].startswith(_AT_START))
    return (run.call.path, tuple(counts), run.work.cwd if shared else "")


def _signal(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(OSError):
            os.kill(pid, number)


def _due(moment: float | None, now: float) -> bool:
    return moment is not None and moment <= now
