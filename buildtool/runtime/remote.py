"""What runs on a machine that has neither the project nor `buildtool`: sent there as text, once for each worker.

Uses the standard library alone, and no other file of this room, since it is not imported but executed. A job is a
process of its own in an empty directory that holds its inputs under the same relative paths. Contents are kept below
`STORE` by their names, which tell what is in them: they are never written twice.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import hashlib
import io
import itertools
import json
import os
import pickle
import queue
import re
import select
import shutil
import signal
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

Data = dict[str, Any]  # plain: text, bytes, numbers, lists and tables of them
Emit = Callable[[Data], None]

INLINE = 1 << 16  # bytes of an output that travel with the answer
CHUNK = 1 << 24  # bytes of any other piece: the scheduler holds few of them at a time
GRACE = 5.0  # seconds between TERM and KILL
LINGER = 0.25  # seconds in which what a job leaves behind may end by itself
ROOM = 0.1  # of the disk that kept contents leave free
_BESIDE = 20  # files that are named where declared ones are missing
_FICLONE = 0x40049409  # of Linux's <linux/fs.h>
_HEADER = struct.Struct("!I")  # bytes of the message that follows
_OLDEST = (3, 11)
_START = (
    "import sys; sys._bare_modules = set(sys.modules); sys.path.insert(0, {kit!r});"
    " from buildtool.runtime.child import main; main()"
)
# Whom to call to end a job, by its id: shared with older and newer versions of this text, and with who ends jobs.
_stops: dict[str, Callable[[bool], None]] = sys.__dict__.setdefault("_bt_stops", {})
_unwanted: set[str] = sys.__dict__.setdefault("_bt_unwanted", set())  # jobs that are not to begin any more
_idle: dict[tuple[str, ...], list[_Child]] = {}
_lock = threading.Lock()
_done_with: queue.SimpleQueue[str] = queue.SimpleQueue()  # directories of jobs that have ended


def run(batch: Data, kit: bytes, code: bytes, contents: dict[str, list[bytes]]) -> list[Data]:
    """Run jobs one after another, and answer for each. Raises nothing for what a job does.

    `batch`: `topic` (where events go), `kit` and `code` (names of the two zips), and `jobs`. `kit` holds this room,
    `code` the project's modules. `contents`: the pieces of inputs that this machine may not have yet, by name;
    `names` in `batch`: all names that each may have here.

    `at_start`: beginnings of the names of variables that are looked at when a process starts.

    A job: `id`; `inputs`, each with path, names under which it may be kept, mode, and its bytes if they are few;
    `links`, each with its text; `folders` to make; `outputs`, each a path or the folder and the regular expression of
    a pattern; `cwd`; `env` beside that of this machine; `timeout` in seconds; `argv` of a command, or the `call` that
    `perform` is given; `stays`, what it makes need not go home; `fetch`, nothing is run, and its inputs are what it
    "made".

    Events: `began` with the process, `printed` with bytes. An answer: as of `perform`; also `seconds`, `signal`,
    `timed_out`, `cancelled`, `printed` (how many bytes), `error` (why it could not be started), `made` and `kept` (the
    names of contents that this machine has by now).
    """
    worker = _worker()
    base = os.path.join(worker.local_directory, "bt")

    def emit(event: Data) -> None:
        worker.log_event(batch["topic"], event)

    return _run(batch, kit, code, contents, base, emit, str(worker.address), _asker(worker))


def run_alone(batch: Data, kit: bytes, code: bytes, contents: dict[str, list[bytes]]) -> list[Data]:
    """As `run`, in a pool of which nothing is known: what a job printed comes with its answer, as `output`."""
    if not _bases or _bases[-1][0] != os.getpid():
        new = tempfile.mkdtemp(prefix="bt-")
        atexit.register(shutil.rmtree, new, ignore_errors=True)
        _bases.append((os.getpid(), new))
    said: dict[str, list[bytes]] = {job["id"]: [] for job in batch["jobs"]}

    def emit(event: Data) -> None:
        if event["kind"] == "printed":
            said[event["id"]].append(event["data"])

    title = f"{socket.gethostname()}, process {os.getpid()}"
    answers = _run(batch, kit, code, contents, _bases[-1][1], emit, title, lambda: False, inline=sys.maxsize)
    return [answer | {"output": b"".join(said[answer["id"]])} for answer in answers]


_bases: list[tuple[int, str]] = []  # by process


def _run(
    batch: Data,
    kit: bytes,
    code: bytes,
    contents: dict[str, list[bytes]],
    base: str,
    emit: Emit,
    title: str,
    forsaken: Callable[[], bool],
    *,
    inline: int = INLINE,
) -> list[Data]:
    if sys.version_info < _OLDEST:
        text = (
            f"the worker {title} has Python {sys.version.split()[0]}, and `bt` runs on {batch['python']}:"
            " jobs need 3.11 or newer"
        )
        return [_answer(job, error=text) for job in batch["jobs"]]
    try:
        place = _Place(
            base,
            _unpacked(base, batch["kit"], kit),
            _unpacked(base, batch["code"], code),
            title,
            forsaken,
            inline,
        )
        kept = [name for name, pieces in contents.items() if _keep(place, batch["names"][name], pieces)]
    except OSError as error:  # a full disk: another machine may have room
        text = f"{title} cannot write down what is sent to it: {str(error.strerror or error).lower()}"
        return [_answer(job, error=text, lacking=True) for job in batch["jobs"]]
    runs = [_Run(job, place, emit, tuple(batch["at_start"])) for job in batch["jobs"]]
    for this in runs:
        _stops[this.id] = this.stop
    try:
        answers = [this.perform() for this in runs]
    finally:
        for this in runs:
            _stops.pop(this.id, None)
    answers[0]["kept"] = kept
    _make_room(base)
    return answers


def read(names: list[str], index: int) -> bytes:
    """One piece of a content that this machine keeps under one of these names. OSError if it does not any more."""
    base = os.path.join(_worker().local_directory, "bt")
    where = _find(base, names)
    if where is None:
        raise FileNotFoundError(f"{names[0]} is not kept here any more")
    with open(where, "rb") as file:
        file.seek(index * CHUNK)
        return file.read(CHUNK)


def kept_names() -> list[str]:
    """The names of what this machine keeps."""
    base = os.path.join(_worker().local_directory, "bt")
    try:
        known = os.listdir(os.path.join(base, "keys"))
    except OSError:
        return []
    return sorted(name for name in known if _find(base, [name]) is not None)


def _worker() -> Any:
    from distributed import get_worker

    return get_worker()


class _Place(NamedTuple):
    """Where jobs run on this machine."""

    base: str
    kit: str
    code: str
    worker: str
    forsaken: Callable[[], bool]  # whether nobody waits for these jobs any more
    inline: int  # bytes of an output that travel with the answer


def _asker(worker: Any) -> Callable[[], bool]:
    """What tells whether those who asked for the present task are gone, as when `bt` was killed."""
    key = worker.get_current_task()

    def forsaken() -> bool:
        try:
            return bool(worker.state.tasks[key].state == "cancelled")
        except KeyError:
            return True
        except AttributeError:  # another version of the library, which keeps that elsewhere
            return False

    return forsaken


def _answer(job: Data, **found: Any) -> Data:
    return {"id": job["id"], "status": "failed", "seconds": 0.0, "made": [], "printed": 0, **found}


# -- contents ------------------------------------------------------------------------------------------------------


def _unpacked(base: str, name: str, data: bytes) -> str:
    """The directory that holds what is in a zip of this name; unpacked once."""
    where = os.path.join(base, "code", name)
    if os.path.isdir(where):
        return where
    os.makedirs(os.path.dirname(where), exist_ok=True)
    new = tempfile.mkdtemp(dir=os.path.dirname(where))
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            packed.extractall(new)
        os.rename(new, where)
    except OSError:
        shutil.rmtree(new, ignore_errors=True)
        if not os.path.isdir(where):  # else another thread was faster
            raise
    return where


# A content lies in `contents` under its own hash. `keys` holds the other names under which it is known, `proofs` the
# signature of its file: nobody writes to that, so another one means damage, and the content is hashed again. When a
# proof was written last is when the content was used last.


def _find(base: str, names: Iterable[str]) -> str | None:
    """Where a content is that is known under one of these names, if it is what it should be."""
    for name in names:
        own = name
        with contextlib.suppress(OSError), open(os.path.join(base, "keys", name), encoding="ascii") as file:
            own = file.read()
        where = os.path.join(base, "contents", own)
        if os.path.isfile(where) and _is_whole(base, own, where):
            return where
    return None


def _is_whole(base: str, own: str, where: str) -> bool:
    proof = os.path.join(base, "proofs", own)
    with contextlib.suppress(OSError, ValueError):
        with open(proof, encoding="ascii") as file:
            known = tuple(map(int, file.read().split()))
        if known == _signature(where):
            os.utime(proof)
            return True
        if _hash(where) == own:
            _prove(base, own, where)
            return True
    with contextlib.suppress(OSError):
        os.unlink(where)
    return False


def _prove(base: str, own: str, where: str) -> None:
    _write_down(base, "proofs", own, " ".join(map(str, _signature(where))))


def _signature(where: str) -> tuple[int, ...]:
    st = os.stat(where)
    return (st.st_size, st.st_mtime_ns, st.st_ctime_ns, st.st_ino)


def _hash(where: str) -> str:
    state = hashlib.blake2b(digest_size=16)
    with open(where, "rb") as file:
        while chunk := file.read(1 << 20):
            state.update(chunk)
    return state.hexdigest()


def _write_down(base: str, folder: str, name: str, text: str) -> None:
    os.makedirs(os.path.join(base, folder), exist_ok=True)
    number, new = tempfile.mkstemp(dir=base)
    with _or_nothing(new):
        with open(number, "w", encoding="ascii") as file:
            file.write(text)
        os.replace(new, os.path.join(base, folder, name))


@contextlib.contextmanager
def _or_nothing(new: str) -> Iterator[None]:
    """Remove a file that cannot be finished: on a full disk it would be in the way of all that comes after."""
    try:
        yield
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(new)
        raise


def _keep(place: _Place, names: list[str], pieces: list[bytes]) -> bool:
    """Write a content down, unless it is here already, under whichever of its names."""
    known = _find(place.base, names)
    if known is None:
        _make_room(place.base, sum(map(len, pieces)))
        state = hashlib.blake2b(digest_size=16)
        number, new = tempfile.mkstemp(dir=place.base)
        with _or_nothing(new):
            with open(number, "wb") as file:
                for piece in pieces:
                    state.update(piece)
                    file.write(piece)
            known = _take(place.base, new, state.hexdigest())
    _write_down(place.base, "keys", names[0], os.path.basename(known))
    return True


def _take(base: str, file: str, own: str) -> str:
    """Make a file that nobody writes to any more one of the contents."""
    where = os.path.join(base, "contents", own)
    os.makedirs(os.path.dirname(where), exist_ok=True)
    os.chmod(file, 0o444)
    os.replace(file, where)
    _prove(base, own, where)
    return where


def _copy(base: str, source: str, where: str) -> None:
    """A file of the job's own: whatever it does to it, no other job sees that. Shares the bytes where the disk can."""
    with open(source, "rb") as old, open(where, "wb") as new:
        try:
            fcntl.ioctl(new.fileno(), _FICLONE, old.fileno())
        except OSError:
            _make_room(base, os.fstat(old.fileno()).st_size)
            shutil.copyfileobj(old, new, 1 << 20)


def _make_room(base: str, size: int = 0) -> None:
    """Drop the contents that were not used for the longest time while the disk is nearly full.

    `size`: so many bytes are about to be written.
    """
    with contextlib.suppress(OSError):
        usage = shutil.disk_usage(base)
        missing = int(usage.total * ROOM) + size - usage.free
        if missing <= 0 or size > usage.total:
            return
        for entry in sorted(os.scandir(os.path.join(base, "proofs")), key=lambda e: e.stat().st_mtime):
            if missing <= 0:
                return
            where = os.path.join(base, "contents", entry.name)
            with contextlib.suppress(OSError):
                missing -= os.stat(where).st_size
                os.unlink(where)
            os.unlink(entry.path)


def _clean() -> None:
    """Remove directories: no job waits for that."""
    while True:
        shutil.rmtree(_done_with.get(), ignore_errors=True)


threading.Thread(target=_clean, name="bt removes", daemon=True).start()


# -- one job -------------------------------------------------------------------------------------------------------


class _Run:
    """One run of one job."""

    def __init__(self, job: Data, place: _Place, emit: Emit, at_start: tuple[str, ...]) -> None:
        self.job = job
        self.at_start = at_start
        self.id: str = job["id"]
        self.place = place
        self.emit = emit
        self.pid: int | None = None
        self.printed = 0
        self.cancelled = self.timed_out = False
        self.kill_at: float | None = None

    def stop(self, now: bool) -> None:
        """End it, from any thread; one that has not begun never will."""
        self.cancelled = True
        self.end(now=now)

    def end(self, *, now: bool) -> None:
        """End its process and all that belong to it."""
        self.kill_at = self.kill_at or time.monotonic() + GRACE
        if self.pid is not None:
            with contextlib.suppress(OSError):
                os.killpg(self.pid, signal.SIGKILL if now else signal.SIGTERM)

    def perform(self) -> Data:
        if self.cancelled or self.id in _unwanted or self.id.partition("-")[0] in _unwanted:
            return _answer(self.job, cancelled=True)
        begun = time.monotonic()
        self.emit({"kind": "began", "id": self.id, "worker": self.place.worker, "pid": os.getpid()})
        os.makedirs(self.place.base, exist_ok=True)
        box = tempfile.mkdtemp(prefix="job-", dir=self.place.base)
        try:
            answer = self._perform(box)
        except OSError as error:
            answer = _answer(
                self.job, error=f"{error.strerror or error}: {error.filename or ''}".rstrip(": ")
            )
        finally:
            _done_with.put(box)
        return answer | {
            "seconds": time.monotonic() - begun,
            "printed": self.printed,
            "cancelled": self.cancelled,
            "timed_out": self.timed_out,
            "worker": self.place.worker,
        }

    def _perform(self, box: str) -> Data:
        if (lack := _fill(box, self.place, self.job)) is not None:
            return _answer(self.job, error=lack, lacking=True)
        if self.job["fetch"]:
            answer: Data = {"id": self.id, "status": "done", "code": 0, "signal": None, "peak": 0}
        else:
            answer = self._command(box) if "argv" in self.job else self._call(box)
        if answer["status"] == "done" and not self.cancelled and not self.timed_out:
            answer["made"] = _made(box, self.place, self.job)
        return answer

    def _environment(self) -> dict[str, str]:
        """That of this machine, the same locale everywhere, and what the Taskfile says."""
        found = {name: value for name, value in os.environ.items() if not name.startswith("DASK_")}
        path = [os.path.normpath(os.path.join(self.place.code, entry)) for entry in self.job["path"]]
        given = [found["PYTHONPATH"]] if found.get("PYTHONPATH") else []
        mine = {
            "LANG": "C.UTF-8",
            "PYTHONPATH": os.pathsep.join([*path, *given]),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        declared: dict[str, str] = self.job["env"]
        return found | mine | declared

    # -- a command

    def _command(self, box: str) -> Data:
        argv = self.job["argv"]
        ours, theirs = os.pipe()
        try:
            process = subprocess.Popen(
                argv,
                cwd=os.path.join(box, self.job["cwd"]),
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=theirs,
                stderr=theirs,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            os.close(ours)
            cause = getattr(error, "strerror", None) or str(error)
            return _answer(self.job, error=f"{self.place.worker} cannot start `{argv[0]}`: {cause.lower()}")
        finally:
            os.close(theirs)
        self.pid = process.pid
        try:
            peak, code = self._wait_for(process, ours)
        finally:
            left = self._clear(ours)
            self.pid = None
        answer: Data = {"id": self.id, "status": "done" if code == 0 else "exit", "made": [], "peak": peak}
        answer["code"], answer["signal"] = (code, None) if code >= 0 else (None, -code)
        answer["ended"] = left
        return answer

    def _wait_for(self, process: subprocess.Popen[bytes], output: int) -> tuple[int, int]:
        """Pass on what it prints until it has ended: its peak memory in bytes and its exit code."""
        opener: Callable[[int], int] | None = getattr(os, "pidfd_open", None)
        ends = [opener(process.pid)] if opener is not None else []
        try:
            while True:
                self._pass_on(output, ends, 0.2 if ends else 0.02)
                pid, status, usage = os.wait4(process.pid, os.WNOHANG)
                if pid:
                    process.returncode = os.waitstatus_to_exitcode(status)
                    return usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024), process.returncode
                self._act()
        finally:
            for number in ends:
                os.close(number)

    def _act(self) -> None:
        """See to time limits, and to whether anybody waits for it."""
        now = time.monotonic()
        if not self.cancelled and self.place.forsaken():
            self.stop(now=False)
        if self.deadline is not None and now >= self.deadline and not self.timed_out:
            self.timed_out = True
            self.end(now=False)
        if self.kill_at is not None and now >= self.kill_at:
            self.end(now=True)

    _deadline: float | None = None

    @property
    def deadline(self) -> float | None:
        """When its time is over."""
        if self._deadline is None and self.job["timeout"] is not None:
            self._deadline = time.monotonic() + self.job["timeout"]
        return self._deadline

    def _pass_on(self, output: int, others: list[int], patience: float) -> list[int]:
        """Emit what is printed, waiting for it or for one of the others; which of these have something."""
        poll = select.poll()
        if output >= 0 and not self._over:
            poll.register(output, select.POLLIN)
        for number in others:
            poll.register(number, select.POLLIN)
        ready = [number for number, _ in poll.poll(patience * 1000)]
        if output in ready:
            data = os.read(output, 1 << 16)
            self._over = not data
            if data:
                self.printed += len(data)
                self.emit({"kind": "printed", "id": self.id, "data": data})
        return [number for number in ready if number != output]

    _over = False  # nobody can print any more

    def _clear(self, output: int, *, helped: bool = False) -> int:
        """Take the last of what was printed; end what was left behind, and how many that were (at least).

        `helped`: only what helps the process itself may hold the output, and is to stay.
        """
        left = not self._drain(output, 0 if helped else LINGER) and not helped
        if left:
            self.end(now=True)
            self._drain(output)
        os.close(output)
        return int(left)

    def _drain(self, output: int, patience: float = LINGER) -> bool:
        """Pass on what is printed, for a moment; whether nobody can print any more."""
        until = time.monotonic() + patience
        printed = self.printed - 1
        while not self._over and (time.monotonic() < until or printed != self.printed):
            printed = self.printed
            self._pass_on(output, [], min(patience, 0.02))
        return self._over

    # -- a function

    def _call(self, box: str) -> Data:
        answer = None
        while answer is None:
            answer = self._try(box)
        return answer

    def _try(self, box: str) -> Data | None:
        """Have a process perform it; None if that process was to end before it began."""
        environment = self._environment()
        child = _child(self.place, environment, self.at_start)
        call = self.job["call"]
        target = os.path.join(self.place.code, call["target"]) if call["script"] else call["target"]
        path = [os.path.normpath(os.path.join(self.place.code, entry)) for entry in self.job["path"]]
        cwd = os.path.join(box, self.job["cwd"]).rstrip("/")
        data = call | {"target": target, "path": path, "env": environment, "cwd": cwd}
        ours, theirs = os.pipe()
        self._over = False
        self.pid = child.pid
        answer: Data | None = None
        sent = helped = False
        try:
            child.send(data, theirs)
            sent = True
            os.close(theirs)
            theirs = -1
            while answer is None:
                if child.control.fileno() in self._pass_on(ours, [child.control.fileno()], 0.2):
                    answer = child.receive()
                    if answer is None:
                        break
                    helped = bool(answer.get("helpers")) and not answer["children"]
                self._act()
        except OSError:  # it has died
            answer = None
        finally:
            if theirs >= 0:
                os.close(theirs)
            left = self._clear(ours, helped=helped)
            self.pid = None
        unbegun = answer["id"] is None if answer is not None else child.used and not sent
        if unbegun and not (self.cancelled or self.timed_out):
            child.end()
            return None
        if answer is None or unbegun:
            return self._dead(child)
        over = left or answer["children"] or answer["threads"] or answer["leaving"] or self.cancelled
        if over or answer["status"] == "stale":
            child.end()
        else:
            child.give_back()
        if answer["status"] == "exit" and answer["code"] == 0:
            answer["status"] = "done"
        where = answer.get("where")
        if where and where[0].startswith(self.place.code + os.sep):
            answer["where"] = [os.path.relpath(where[0], self.place.code), where[1]]
        ended = answer.get("ended", 0) + left
        return {"signal": None, **answer, "id": self.id, "made": [], "ended": ended}

    def _dead(self, child: _Child) -> Data:
        code, words = child.bury()
        answer = _answer(self.job, code=None if code < 0 else code, signal=-code if code < 0 else None)
        if code >= 0:
            said = f": {words}" if words else ""
            answer["cause"] = f"its process ended with exit code {code} before the job was done{said}"
        return answer


def _fill(box: str, place: _Place, job: Data) -> str | None:
    """Put the inputs where the job expects them; why that cannot be done."""
    for folder in (job["cwd"], *job["folders"]):
        os.makedirs(os.path.join(box, folder), exist_ok=True)
    for path, names, mode, data in job["inputs"]:
        where = os.path.join(box, path)
        os.makedirs(os.path.dirname(where), exist_ok=True)
        if data is None:
            source = _find(place.base, names)
            if source is None:
                return f"`{path}` did not reach {place.worker}"
            if os.path.basename(source) == names[-1] != names[0]:  # from now on it is known by what it is
                _write_down(place.base, "keys", names[0], names[-1])
            _copy(place.base, source, where)
        else:
            with open(where, "wb") as file:
                file.write(data)
        os.chmod(where, mode)
    for path, text in job["links"]:
        where = os.path.join(box, path)
        os.makedirs(os.path.dirname(where), exist_ok=True)
        os.symlink(text, where)
    return None


def _made(box: str, place: _Place, job: Data) -> list[Data]:
    """What the job left among its declared outputs."""
    inputs = set() if job["fetch"] else {path for path, *_ in job["inputs"]}
    found: dict[str, None] = {}
    for output in job["outputs"]:
        if isinstance(output, str):
            found[output.rstrip("/")] = None
            continue
        folder, pattern = output
        match = re.compile(pattern).fullmatch
        for path in _below(box, folder):
            if match(path) or match(path + "/"):
                found[path] = None
    made: list[Data] = []
    for path in found:
        if path in inputs or not os.path.lexists(os.path.join(box, path)):
            continue
        made += _told(box, place, path)
    if job["stays"]:
        for entry in made:
            if entry["kind"] == "file" and entry["data"] is None:
                entry["key"] = _key(place.base, entry["hash"], entry["mode"])
    if any(isinstance(output, str) and not _is_there(box, output) for output in job["outputs"]):
        known = inputs | {entry["path"] for entry in made}
        beside = (path for path in _below(box, ".") if path not in known and not _is_there(box, path + "/"))
        made += [{"path": path, "kind": "beside"} for path in itertools.islice(beside, _BESIDE)]
    return made


def _key(base: str, own: str, mode: int) -> str | None:
    """The name that `bt` has for a content, if this machine can tell it: it is known here by that, too."""
    try:
        import xxhash
    except ImportError:
        return None
    state = xxhash.xxh3_128()
    with open(os.path.join(base, "contents", own), "rb") as file:
        while chunk := file.read(1 << 20):
            state.update(chunk)
    key = ("x" if mode & 0o100 else "f") + state.hexdigest()
    _write_down(base, "keys", key, own)
    return key


def _is_there(box: str, path: str) -> bool:
    return (
        os.path.isdir(os.path.join(box, path))
        if path[-1:] == "/"
        else os.path.isfile(os.path.join(box, path))
    )


def _below(box: str, folder: str) -> Iterable[str]:
    """Every path below a folder, relative to the box."""
    for where, folders, files in os.walk(os.path.join(box, folder)):
        inner = os.path.relpath(where, box)
        for name in sorted((*folders, *files)):
            yield name if inner == "." else f"{inner}/{name}"


def _told(box: str, place: _Place, path: str) -> Iterable[Data]:
    """What is at a path: itself, and all that is in it."""
    where = os.path.join(box, path)
    st = os.lstat(where)
    if stat.S_ISLNK(st.st_mode):
        yield {"path": path, "kind": "link", "text": os.readlink(where)}
    elif stat.S_ISDIR(st.st_mode):
        yield {"path": path, "kind": "directory", "mode": st.st_mode & 0o777}
        for name in sorted(os.listdir(where)):
            yield from _told(box, place, f"{path}/{name}")
    elif stat.S_ISREG(st.st_mode):
        yield {"path": path, "kind": "file", "mode": st.st_mode & 0o777, **_content(where, place, st.st_size)}
    else:
        yield {"path": path, "kind": "other"}


def _content(where: str, place: _Place, size: int) -> Data:
    """Size and hash of a file, and its bytes if they are few; else it is kept under that hash."""
    if size <= place.inline:
        with open(where, "rb") as file:
            data = file.read()
        own = hashlib.blake2b(data, digest_size=16).hexdigest()
        return {"size": len(data), "hash": own, "data": data}
    own = _hash(where)
    kept = _take(place.base, where, own)
    return {"size": os.stat(kept).st_size, "hash": own, "data": None}


# -- warm processes ------------------------------------------------------------------------------------------------


class _Child:
    """A process that performs one job after another."""

    def __init__(self, place: _Place, environment: dict[str, str], key: tuple[str, ...]) -> None:
        self.key = key
        self.used = False  # it has done a job before
        self.control, theirs = socket.socketpair()
        self.words = tempfile.TemporaryFile()  # noqa: SIM115  it lives as long as the process
        try:
            self.process = subprocess.Popen(
                (sys.executable, "-P", "-c", _START.format(kit=place.kit), "1"),
                cwd=place.base,
                env=environment,
                stdin=theirs.fileno(),
                stdout=self.words,
                stderr=self.words,
                start_new_session=True,
            )
        finally:
            theirs.close()
        self.pid = self.process.pid

    def send(self, data: Data, output: int) -> None:
        raw = pickle.dumps(data)
        message = _HEADER.pack(len(raw)) + raw
        sent = socket.send_fds(self.control, [message], [output])
        if sent < len(message):
            self.control.sendall(message[sent:])

    def receive(self) -> Data | None:
        """The answer; None if the process is dead."""
        head = self._exactly(_HEADER.size)
        body = self._exactly(_HEADER.unpack(head)[0]) if head is not None else None
        try:
            return None if body is None else dict(json.loads(body))
        except ValueError:  # the job has put its hands on `json`
            return None

    def _exactly(self, size: int) -> bytes | None:
        found = b""
        while len(found) < size:
            try:
                piece = self.control.recv(size - len(found))
            except OSError:
                return None
            if not piece:
                return None
            found += piece
        return found

    def give_back(self) -> None:
        """It can take another job."""
        self.used = True
        with _lock:
            _idle.setdefault(self.key, []).append(self)

    def end(self) -> None:
        """It is not needed any more, nor is what belongs to it."""
        with contextlib.suppress(OSError):
            os.killpg(self.pid, signal.SIGKILL)
        self.bury()

    def bury(self) -> tuple[int, str]:
        """Its exit code and its last words; whatever is left of it ends."""
        self.control.close()
        try:
            code = self.process.wait(GRACE)
        except subprocess.TimeoutExpired:
            code = -signal.SIGKILL
        with contextlib.suppress(OSError):
            os.killpg(self.pid, signal.SIGKILL)
        self.process.wait()
        size = self.words.seek(0, os.SEEK_END)
        self.words.seek(max(0, size - 4096))
        words = self.words.read().decode("utf-8", "replace").strip().splitlines()
        self.words.close()
        return code, words[-1].strip() if words else ""


def _child(place: _Place, environment: dict[str, str], at_start: tuple[str, ...]) -> _Child:
    """An idle process for this code, or a new one; those for other code are ended."""
    first = (f"{name}={value}" for name, value in sorted(environment.items()) if name.startswith(at_start))
    key = (place.kit, place.code, *first)
    with _lock:
        for other in [other for other in _idle if other[:2] != key[:2]]:
            for old in _idle.pop(other):
                old.end()
        idle = _idle.get(key)
        if idle:
            return idle.pop()
    return _Child(place, environment, key)
