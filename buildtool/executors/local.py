"""The executor for subprocesses of this machine, with their output, their logs and their end.

Knows neither jobs nor tasks; what a process is, `processes` knows.
"""

from __future__ import annotations

import contextlib
import os
import re
import selectors
import signal
import time
from dataclasses import dataclass

from buildtool.executors import processes
from buildtool.executors.protocol import Ended, Event, Output, Started, Work

_PIECE = 65_536  # bytes in one read, and at most in one Output
_READS = 4  # of one work in one call of `events`: a chatty job must not starve others
_LAST_READS = 16  # a pipe holds at most 1 MiB: this empties it even while a daemon goes on writing
_FRESH = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
_LINGER = 0.25  # seconds in which what a job leaves behind may end by itself, such as `> >(tee file)`
_FIRST_LOOK, _LAST_LOOK = 0.002, 0.05  # seconds between two looks at what sends no event; the pause doubles
_STUCK = 2.0  # seconds after KILL; leftovers stuck in the kernel for longer are left alone


class Mask:
    """Replaces secrets by `***` in a stream, as if the stream were one piece."""

    def __init__(self, secrets: tuple[bytes, ...]) -> None:
        self._secrets = sorted({secret for secret in secrets if secret}, key=len, reverse=True)
        self._pattern = re.compile(b"|".join(map(re.escape, self._secrets)))
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """What can be shown by now; held back is only what may be the beginning of a secret."""
        if not self._secrets:
            return data
        data = self._held + data
        parts: list[bytes] = []
        done, unsure = 0, self._unsure(data, 0)
        if any(secret in data for secret in self._secrets):  # many times faster than the pattern
            while (match := self._pattern.search(data, done)) and match.start() < unsure:
                parts += (data[done : match.start()], b"***")
                done = match.end()
                if done > unsure:
                    unsure = self._unsure(data, done)
        self._held = data[unsure:]
        return b"".join((*parts, data[done:unsure]))

    def flush(self) -> bytes:
        """The rest, at the end of the stream."""
        rest, self._held = self._held, b""
        return self._pattern.sub(b"***", rest) if rest else rest

    def _unsure(self, data: bytes, begin: int) -> int:
        """Where, from `begin` on, the first secret starts that `data` may hold only a part of."""
        size = len(data)
        for at in range(max(begin, size - len(self._secrets[0]) + 1), size):
            if any(size - at < len(secret) and secret.startswith(data[at:]) for secret in self._secrets):
                return at
        return size


class Log:
    """The file that keeps a job's output: made by the first byte, and of a long output the two ends.

    Trouble with the disk ends the log, never the job; `error` tells it.
    """

    def __init__(self, path: str, limit: int) -> None:
        self._path = path
        self._half = max(1, limit // 2)
        self._size = 0  # bytes seen
        self._file: int | None = None
        self._ring: int | None = None  # a file without a name: the last half, written round and round
        self.error: str | None = None

    def write(self, data: bytes) -> None:
        """Keep this piece."""
        if self.error:
            return
        try:
            if self._file is None:
                self._file = self._make(self._path)
            room = max(0, self._half - self._size)
            _write(self._file, memoryview(data)[:room])
            if room < len(data):
                self._write_ring(memoryview(data)[room:], self._size + room - self._half)
            self._size += len(data)
        except OSError as error:
            self._give_up(error)

    def close(self) -> None:
        """Finish the file."""
        if self._file is None:
            return
        try:
            if self._ring is not None and not self.error:
                self._append_ring(self._file, self._ring)
            if os.fstat(self._file).st_nlink == 0:  # somebody cleaned the directory meanwhile
                with open(self._make(self._path), "wb") as again:
                    _copy(self._file, again.fileno(), 0, os.fstat(self._file).st_size)
        except OSError as error:
            self._give_up(error)
        for file in (self._file, self._ring):
            if file is not None:
                os.close(file)
        self._file = self._ring = None

    def _make(self, path: str) -> int:
        with contextlib.suppress(FileNotFoundError):
            return os.open(path, _FRESH, 0o600)
        os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
        return os.open(path, _FRESH, 0o600)

    def _write_ring(self, data: memoryview, position: int) -> None:
        if self._ring is None:
            self._ring = self._make(f"{self._path}.end")
            os.unlink(f"{self._path}.end")
        while data:
            at = position % self._half
            piece = data[: self._half - at]
            os.lseek(self._ring, at, os.SEEK_SET)
            _write(self._ring, piece)
            position += len(piece)
            data = data[len(piece) :]

    def _append_ring(self, file: int, ring: int) -> None:
        beyond = self._size - self._half
        begin = beyond % self._half if beyond > self._half else 0
        if beyond > self._half:
            _write(file, b"\n[... %d bytes left out ...]\n" % (beyond - self._half))
        _copy(ring, file, begin, min(beyond, self._half))
        _copy(ring, file, 0, begin)

    def _give_up(self, error: OSError) -> None:
        self.error = f"cannot write `{self._path}`: {(error.strerror or str(error)).lower()}"


def _write(file: int, data: bytes | memoryview) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(file, left) :]


def _copy(source: int, target: int, begin: int, end: int) -> None:
    while begin < end and (data := os.pread(source, min(1 << 20, end - begin), begin)):
        _write(target, data)
        begin += len(data)


@dataclass(slots=True, eq=False)
class _Run:
    """A work whose process runs, or has left others behind that are being ended."""

    work: Work
    log: Log
    mask: Mask
    began: float
    pid: int = 0
    pipe: int | None = None  # None when it is at its end, or for interactive work
    pidfd: int | None = None  # None where the system has none: then it is looked at again and again
    end: Ended | None = None  # how its process ended, once it has
    timed_out: bool = False
    cancelled: bool = False
    leftovers: int = 0
    timeout_at: float | None = None
    term_at: float | None = None  # when leftovers have had the time to end by themselves
    kill_at: float | None = None  # when TERM has had the time to work
    stuck_at: float | None = None
    look_at: float | None = None
    pause: float = _FIRST_LOOK

    def due(self) -> float | None:
        """When something is to be done without an event."""
        times = (self.timeout_at, self.term_at, self.kill_at, self.look_at)
        return min((time for time in times if time is not None), default=None)

    def is_empty(self) -> bool:
        """Whether its process, which has ended, left none behind."""
        silent = self.pipe is None and not self.leftovers
        return self.work.interactive or processes.session_empty(self.pid, silent=silent)


class Local:
    """Runs works as subprocesses of this one.

    `log_limit`: bytes a log may have; of a longer output the beginning and the end are kept.
    `mask`: secrets shown as `***`. `grace`: seconds between TERM and KILL.
    """

    def __init__(self, *, log_limit: int = 1 << 26, mask: tuple[bytes, ...] = (), grace: float = 5) -> None:
        self.name = "local"
        self._log_limit = log_limit
        self._mask = mask
        self._grace = grace
        self._runs: dict[int, _Run] = {}
        self._told: list[Event] = []
        self._selector = selectors.DefaultSelector()
        self._closed = False
        processes.prepare()

    def fileno(self) -> int:
        """A descriptor that is readable when a job has written or ended."""
        return self._selector.fileno()

    def deadline(self) -> float | None:
        """When `events` must be called at the latest; in the past when it has something to tell already."""
        if self._told:
            return 0.0
        return min((due for run in self._runs.values() if (due := run.due()) is not None), default=None)

    def submit(self, work: Work) -> None:
        """Start this work now; the log of an earlier run goes away."""
        with contextlib.suppress(OSError):
            os.unlink(work.log)
        began = time.monotonic()
        run = _Run(work, Log(work.log, self._log_limit), Mask(self._mask), began)
        try:
            self._start(run)
        except (OSError, ValueError) as error:
            trouble = processes.start_trouble(error, work.argv, work.cwd, work.env)
            self._told.append(Ended(work.id, None, None, 0.0, 0, error=trouble))
            return
        if work.timeout is not None:
            run.timeout_at = began + work.timeout
        self._runs[work.id] = run
        self._told.append(Started(work.id, run.pid, processes.start_stamp(run.pid)))

    def events(self) -> list[Event]:
        """What happened since the last call, without waiting."""
        ended = []
        for key, _ in [] if self._closed else self._selector.select(0):
            run = key.data
            if key.fd == run.pipe:
                self._read(run, _READS)
            else:
                ended.append(run)
        for run in ended:
            self._reap(run)
        now = time.monotonic()
        for run in list(self._runs.values()):
            self._act(run, now)
        told, self._told = self._told, []
        return told

    def cancel(self, work: int, *, now: bool = False) -> None:
        """End this work: TERM, a grace time, then KILL; with `now` KILL at once."""
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
        for work in list(self._runs):
            self.cancel(work)
        until = time.monotonic() + self._grace + 2 * _STUCK
        while self._runs and time.monotonic() < until:
            self._selector.select(_FIRST_LOOK)
            self.events()
        for run in list(self._runs.values()):  # stuck in the kernel
            self._finish(run, Ended(run.work.id, None, None, 0.0, 0))
        self._told.clear()
        self._selector.close()
        self._closed = True

    def _start(self, run: _Run) -> None:
        work = run.work
        if self._closed:
            raise ValueError("the executor is closed")
        if work.interactive:
            run.pid = processes.start(work.argv, work.cwd, work.env, None)
        else:
            run.pipe, output = os.pipe()
            try:
                os.set_blocking(run.pipe, False)
                self._selector.register(run.pipe, selectors.EVENT_READ, run)
                run.pid = processes.start(work.argv, work.cwd, work.env, output)
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
        if (ended := processes.reap(run.pid)) is None:
            return
        now = time.monotonic()
        lost = "its exit status was lost" if ended.code is ended.signal is None else None
        run.end = Ended(run.work.id, *ended[:2], now - run.began, ended.peak_memory, error=lost)
        run.end = run.end._replace(timed_out=run.timed_out, cancelled=run.cancelled)
        self._close(run.pidfd)
        run.pidfd = None
        self._read(run, _LAST_READS)
        run.timeout_at = None
        run.look_at = now
        run.pause = _FIRST_LOOK
        if not (run.timed_out or run.cancelled):
            run.term_at = now + _LINGER
        elif run.kill_at is None:  # KILL has been sent, but only to the group
            run.kill_at = now

    def _act(self, run: _Run, now: float) -> None:
        """Do what is due; the order matters: what has ended needs no signal."""
        if _due(run.look_at, now):
            if run.end is None:
                self._reap(run)
            if run.end is not None and (_due(run.stuck_at, now) or run.is_empty()):
                self._finish(run, run.end)
                return
            run.look_at = now + run.pause
            run.pause = min(run.pause * 2, _LAST_LOOK)
        if _due(run.timeout_at, now):
            run.timeout_at = None
            run.timed_out = True
            self._stop(run, now)
        if _due(run.term_at, now):
            run.term_at = None
            run.leftovers = processes.end_session(run.pid, signal.SIGTERM)
            run.kill_at = now + self._grace
        if _due(run.kill_at, now):
            self._kill(run, now)

    def _stop(self, run: _Run, now: float) -> None:
        processes.signal_job(run.pid, signal.SIGTERM, group=not run.work.interactive)
        run.kill_at = now + self._grace

    def _kill(self, run: _Run, now: float) -> None:
        if run.end is None:
            processes.signal_job(run.pid, signal.SIGKILL, group=not run.work.interactive)
        else:
            ended = processes.end_session(run.pid, signal.SIGKILL)
            if run.term_at is not None:  # not counted yet
                run.leftovers = ended
            run.stuck_at = now + _STUCK
            run.look_at = now + _FIRST_LOOK
        run.kill_at = run.term_at = None

    def _finish(self, run: _Run, end: Ended) -> None:
        self._read(run, _LAST_READS)
        self._tell(run, run.mask.flush())
        for file in (run.pipe, run.pidfd):
            self._close(file)
        run.log.close()
        del self._runs[run.work.id]
        self._told.append(end._replace(leftovers=run.leftovers, log_error=run.log.error))

    def _close(self, file: int | None) -> None:
        if file is not None:
            with contextlib.suppress(KeyError):
                self._selector.unregister(file)
            os.close(file)


def _due(moment: float | None, now: float) -> bool:
    return moment is not None and moment <= now
