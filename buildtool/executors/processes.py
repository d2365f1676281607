"""Processes of this machine: starting one, telling which live, ending them.

Knows nothing of works, logs or builds. Linux is read from /proc; other systems are asked through `ps`.
"""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping

from buildtool.text import size
from buildtool.tuples import NamedTuple

_LINUX = sys.platform.startswith("linux")
_UNKILLABLE = 2.0  # seconds after KILL; a process stuck in the kernel for longer is left alone
_ONE_ARGUMENT = 131_072  # bytes; Linux takes no longer single argument, its end mark included
_PF_EXITING = 4  # of the flags that Linux tells of a process
_DEFAULTS = (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGPIPE, signal.SIGXFSZ, signal.SIGCHLD)


class Process(NamedTuple):
    """A process that runs: zombies are none."""

    pid: int
    parent: int
    group: int
    session: int  # the group, where the system does not tell
    start: str


class Exit(NamedTuple):
    """How a child ended."""

    code: int | None
    signal: int | None
    peak_memory: int  # bytes, its waited-for children included; 0 when it is not known


# Facts


def start_stamp(pid: int) -> str | None:
    """When the system started this process, as text; None when there is none. With the pid it is unique."""
    if _LINUX:
        process = _from_proc(pid)
        return process and f"{_boot()}/{process.start}"
    found = [process for process in _from_ps("-p", str(pid)) if process.pid == pid]
    return found[0].start if found else None


def alive(pid: int, stamp: str) -> bool:
    """Whether exactly the process runs that had this stamp."""
    return start_stamp(pid) == stamp


def parent_of(pid: int) -> int | None:
    """The process that must wait for this one, or has started it; Linux only."""
    fields = _stat(pid)
    return int(fields[1]) if len(fields) > 1 else None


def children_of(pid: int) -> set[int]:
    """Its children, with those that have ended and that it did not wait for; Linux only."""
    return {child for child in _pids() if parent_of(child) == pid}


def group_alive(pgid: int) -> bool:
    """Whether any process of this group runs."""
    return _group_exists(pgid) and any(process.group == pgid for process in processes())


def session_members(sid: int) -> list[int]:
    """The pids that run in this session; of the group of that number, where the system tells no sessions."""
    return [process.pid for process in processes() if process.session == sid]


def session_of_writer(pipe: int) -> int:
    """The session of a process whose standard output or error is the other end of this pipe; 0: there is none."""
    wanted = f"pipe:[{os.fstat(pipe).st_ino}]"
    for process in processes():
        for number in (1, 2):
            with contextlib.suppress(OSError):
                if os.readlink(f"/proc/{process.pid}/fd/{number}") == wanted:
                    return process.session
    return 0


def family(pid: int) -> list[int]:
    """The pids of all that run below this process or in the session that it leads, without itself."""
    known = {process.pid: process for process in processes()}
    found = {pid}
    for process in known.values():
        line: list[int] = []
        above: Process | None = process
        while above is not None and above.pid not in found and above.session != pid:
            line.append(above.pid)
            above = known.get(above.parent)
        if above is not None:
            found.update(line, (above.pid,))
    return sorted(found - {pid})


def below(pids: Iterable[int]) -> list[Process]:
    """Those of these pids that run, and all that run below them."""
    children: dict[int, list[Process]] = {}
    wanted = set(pids)
    found = []
    for process in processes():
        children.setdefault(process.parent, []).append(process)
        if process.pid in wanted:
            found.append(process)
    for process in found:  # it grows meanwhile
        found += [child for child in children.get(process.pid, ()) if child.pid not in wanted]
    return found


def session_of(pid: int) -> int:
    """The session of a process, which may have ended if nobody has waited for it; 0: there is none. Linux only."""
    fields = _stat(pid)
    return int(fields[3]) if len(fields) > 3 else 0


def is_ending(pid: int) -> bool:
    """Whether a process has ended, or is about to, and cannot be asked any more. Linux only."""
    fields = _stat(pid)
    return len(fields) < 7 or bool(int(fields[6]) & _PF_EXITING)


def environment(pid: int) -> dict[bytes, bytes] | None:
    """What a process was started with; None when that may not be seen. Linux only."""
    try:
        with open(f"/proc/{pid}/environ", "rb", buffering=0) as file:
            words = file.read().split(b"\0")
    except OSError:
        return None
    return {name: value for name, equals, value in (word.partition(b"=") for word in words) if equals}


def processes() -> Iterator[Process]:
    """Every process that runs and may be seen."""
    if not _LINUX:
        yield from _from_ps("-A")
        return
    for pid in _pids():
        process = _from_proc(pid)
        if process:
            yield process


def marked(name: str, value: str) -> list[int]:
    """The pids of other processes that were started with `name=value` in their environment; Linux only."""
    wanted = os.fsencode(f"{name}={value}")
    return [pid for pid in _pids() if pid != os.getpid() and wanted in _read(pid, "environ").split(b"\0")]


def orphaned(name: str, value: str, adopted: Iterable[int] = ()) -> list[int]:
    """Those `marked` ones in the group of this process that do not run below it any more, or were `adopted` by it."""
    own = {os.getpid(), *family(os.getpid())} - {process.pid for process in below(adopted)}
    group = {process.pid for process in processes() if process.group == os.getpgrp()}
    return [pid for pid in marked(name, value) if pid in group and pid not in own]


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()] if _LINUX else []


def _from_proc(pid: int) -> Process | None:
    fields = _stat(pid)
    if len(fields) < 20 or fields[0] in {b"Z", b"X"}:
        return None
    parent, group, session = map(int, fields[1:4])
    return Process(pid, parent, group, session, fields[19].decode("ascii"))


def _stat(pid: int) -> list[bytes]:
    """What the system tells of a process, from its state on."""
    return _read(pid, "stat").rpartition(b")")[2].split()  # the name before may hold blanks and brackets


def _from_ps(*which: str) -> Iterator[Process]:
    import subprocess

    command = ["ps", *which, "-o", "pid=,ppid=,pgid=,stat=,lstart="]
    found = subprocess.run(command, capture_output=True, check=False, env={**os.environ, "LC_ALL": "C"})
    for line in found.stdout.decode("ascii", "replace").splitlines():
        pid, parent, group, state, start = line.split(None, 4)
        if not state.startswith("Z"):
            yield Process(int(pid), int(parent), int(group), int(group), start.strip())


def _read(pid: int, name: str) -> bytes:
    """A file of /proc/PID; nothing when the process is gone or not ours."""
    try:
        with open(f"/proc/{pid}/{name}", "rb", buffering=0) as file:
            return file.read()
    except OSError:
        return b""


_boots: list[str] = []


def _boot() -> str:
    if not _boots:
        try:
            with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
                _boots.append(file.read().strip())
        except OSError:
            _boots.append("")
    return _boots[0]


def _group_exists(pgid: int) -> bool:
    """A cheap look that counts zombies too."""
    try:
        os.killpg(pgid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


# Ending


def open_pidfd(pid: int) -> int:
    """A descriptor that is readable once this child has ended; OSError where the system has none."""
    opener: Callable[[int], int] | None = getattr(os, "pidfd_open", None)
    if opener is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    return opener(pid)


def reap(pid: int) -> Exit | None:
    """How this child ended; None while it runs. All unknown when somebody else has waited for it."""
    try:
        ended, status, usage = os.wait4(pid, os.WNOHANG)
    except ChildProcessError:
        started.discard(pid)
        return Exit(None, None, 0)
    if not ended:
        return None
    started.discard(pid)
    peak = usage.ru_maxrss
    if peak <= resource.getrusage(resource.RUSAGE_SELF).ru_maxrss:
        peak = 0  # Linux counts what this process had in memory when it started the child
    return exit_of(status, peak * (1 if sys.platform == "darwin" else 1024))


def exit_of(status: int, peak_memory: int) -> Exit:
    """How a process ended of which `wait` has told this status."""
    code = os.waitstatus_to_exitcode(status)
    return Exit(None if code < 0 else code, -code if code < 0 else None, peak_memory)


def signal_job(pid: int, number: signal.Signals, *, group: bool) -> None:
    """Signal a child that was not reaped yet, or its whole group."""
    _send(() if group else (pid,), (pid,) if group else (), number)


def session_empty(sid: int, *, silent: bool) -> bool:
    """Whether all of this session has ended. `silent`: nobody holds its output, so the group is enough."""
    if silent and not _group_exists(sid):
        return True
    return not session_members(sid)


def end_session(sid: int, number: signal.Signals) -> int:
    """Signal all of the session whose leader had this pid; returns how many ran."""
    members = session_members(sid)
    if members:
        _send(members, [sid], number)
    return len(members)


def signal_all(found: Iterable[Process], number: signal.Signals) -> None:
    """Signal these, and the groups that they lead."""
    found = list(found)
    _send([process.pid for process in found], {p.group for p in found if p.group == p.pid}, number)


def end_processes(pids: Iterable[int] = (), groups: Iterable[int] = (), *, grace: float = 5.0) -> int:
    """End these processes and groups: TERM, up to `grace` seconds, KILL. Returns how many have ended.

    Waits. The own process, the own group and pid 1 are never signalled.
    """
    singles = {pid for pid in pids if pid > 1 and pid != os.getpid()}
    whole = {group for group in groups if group > 1 and group != os.getpgrp()}
    seen: set[Process] = set()

    def running() -> set[Process]:
        """What is to end; a pid given to another process meanwhile is not."""
        now = {process for process in processes() if process.pid in singles or process.group in whole}
        if not seen:
            return now
        return {process for process in now if process in seen or process.group in whole}

    seen |= running()
    left = seen
    for number, patience in ((signal.SIGTERM, grace), (signal.SIGKILL, _UNKILLABLE)):
        if left:
            _send([process.pid for process in left], {process.group for process in left} & whole, number)
            left = _wait_gone(running, patience)
    return len(seen - left)


def _wait_gone(running: Callable[[], set[Process]], patience: float) -> set[Process]:
    until = time.monotonic() + patience
    pause = 0.001
    while (left := running()) and (rest := until - time.monotonic()) > 0:
        time.sleep(min(pause, rest))
        pause = min(pause * 2, 0.05)
    return left


def _send(pids: Iterable[int], groups: Iterable[int], number: signal.Signals) -> None:
    for group in (group for group in groups if group > 1):  # 0 and 1 mean us, and all
        with contextlib.suppress(OSError):
            os.killpg(group, number)
    for pid in pids:
        with contextlib.suppress(OSError):
            os.kill(pid, number)


# Starting

started: set[int] = set()  # what `start` has started, and `reap` did not wait for yet


def prepare() -> None:
    """Make this process fit to start others: they inherit no open file, and leave an exit status."""
    keep_files()
    if signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN and _in_main_thread():
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)


def keep_files() -> None:
    """Let processes that are started from now on inherit none of the files that are open."""
    for name in os.listdir("/dev/fd"):
        if int(name) > 2:
            with contextlib.suppress(OSError):
                os.set_inheritable(int(name), False)


def start(
    argv: tuple[str, ...],
    cwd: str,
    env: Mapping[str, str],
    output: int | None,
    source: int | None = None,
    program: str | None = None,
    files: tuple[str | None, str | None] = (None, None),
) -> int:
    """Start a program and return its pid; raises OSError or ValueError.

    It is looked up by the PATH that it will see itself, unless `program` says where it is.

    It leads a session of its own, reads from the descriptor `source` (with None it reads nothing), and writes to
    `output`; without one it shares our terminal and our session. Signals are as in a fresh login, whatever we
    ignore or block. `files`: what its standard input and output are instead, opened as by a shell; OSError where that
    cannot be done here.
    """
    pid = _start(argv, cwd, env, output, source, program, files)
    started.add(pid)
    return pid


def _start(
    argv: tuple[str, ...],
    cwd: str,
    env: Mapping[str, str],
    output: int | None,
    source: int | None,
    program: str | None,
    files: tuple[str | None, str | None],
) -> int:
    program = program or find(argv[0], env)
    here = _is_here(cwd)
    if any(files) and (output is None or not here):
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))
    if not here:  # `posix_spawn` cannot change the directory, and `Popen` takes a third longer
        return _start_elsewhere(program, argv, cwd, env, output, source)
    if output is None:
        return os.posix_spawn(program, argv, env, setsigmask=(), setsigdef=_DEFAULTS)
    actions = (
        (os.POSIX_SPAWN_DUP2, output, 1)
        if files[1] is None
        else (os.POSIX_SPAWN_OPEN, 1, files[1], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666),
        (os.POSIX_SPAWN_DUP2, output, 2),
        (os.POSIX_SPAWN_OPEN, 0, files[0] or os.devnull, os.O_RDONLY, 0)
        if source is None
        else (os.POSIX_SPAWN_DUP2, source, 0),
    )
    return os.posix_spawn(
        program, argv, env, file_actions=actions, setsid=True, setsigmask=(), setsigdef=_DEFAULTS
    )


def _start_elsewhere(
    program: str,
    argv: tuple[str, ...],
    cwd: str,
    env: Mapping[str, str],
    output: int | None,
    source: int | None,
) -> int:
    import subprocess  # slow to import, and most are started without it

    stdin = source if source is not None or output is None else subprocess.DEVNULL
    with _caught_signals():
        process = subprocess.Popen(
            argv,
            executable=program,
            cwd=cwd,
            env=env,
            stdin=stdin,
            stdout=output,
            stderr=output,
            start_new_session=output is not None,
        )
    process.returncode = 0  # the caller waits for the pid itself; this keeps `Popen` from doing so
    return process.pid


@contextlib.contextmanager
def _caught_signals() -> Iterator[None]:
    """Block and ignore nothing for a moment: a program has the defaults for what is caught, not ignored."""
    blocked = signal.pthread_sigmask(signal.SIG_SETMASK, ())
    ignored = [number for number in _DEFAULTS if signal.getsignal(number) is signal.SIG_IGN]
    if not _in_main_thread():  # others may not set handlers
        ignored = []
    for number in ignored:
        signal.signal(number, lambda *_: None)
    try:
        yield
    finally:
        for number in ignored:
            signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def _in_main_thread() -> bool:
    import threading

    return threading.current_thread() is threading.main_thread()


def _is_here(cwd: str) -> bool:
    try:
        return os.getcwd() == cwd
    except OSError:
        return False


def find(name: str, env: Mapping[str, str]) -> str:
    """Where a program is, by the PATH it will see itself. Raises FileNotFoundError."""
    if "/" in name:
        return name
    for directory in os.get_exec_path(env):
        path = os.path.join(directory, name)
        if os.access(path, os.X_OK) and not os.path.isdir(path):
            return path
    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)


def start_trouble(
    error: OSError | ValueError, argv: tuple[str, ...], cwd: str, env: Mapping[str, str]
) -> str:
    """Why `start` failed, as one lower-case line."""
    if not isinstance(error, OSError):
        return f"cannot start `{argv[0]}`: {error}"
    if error.errno == errno.E2BIG:
        return _too_long(argv, env)
    if error.errno in {errno.ENOENT, errno.ENOTDIR, errno.EACCES}:
        if not os.path.isdir(cwd):
            return f"no such directory: `{cwd}`"
        if error.errno == errno.ENOENT:
            there = "/" in argv[0] and os.path.exists(os.path.join(cwd, argv[0]))
            return (
                f"`{argv[0]}` names an interpreter that is missing"
                if there
                else f"no such program: `{argv[0]}`"
            )
    return f"cannot start `{argv[0]}`: {refusal(error)}"


def refusal(error: OSError) -> str:
    """Why the system starts no program, in words."""
    cause = os.strerror(error.errno).lower() if error.errno else str(error)
    return {
        errno.EAGAIN: "the limit of processes is reached",
        errno.EMFILE: "`bt` has too many files open (`ulimit -n`)",
        errno.ENFILE: "the system has too many files open",
        errno.ENOEXEC: "it is no program, and its first line names no interpreter (`#!`)",
    }.get(error.errno or 0, cause)


def _too_long(argv: tuple[str, ...], env: Mapping[str, str]) -> str:
    lengths = [len(os.fsencode(word)) + 1 for word in argv]
    if _LINUX and max(lengths) > _ONE_ARGUMENT:
        return (
            f"argument list too long ({size(max(lengths))}): one argument takes at most {size(_ONE_ARGUMENT)}"
        )
    name, value = max(env.items(), key=lambda item: len(os.fsencode("=".join(item))), default=("", ""))
    longest = len(os.fsencode(f"{name}={value}")) + 1
    if _LINUX and longest > _ONE_ARGUMENT:
        return f"environment variable `{name}` too long ({size(longest)}): one takes at most {size(_ONE_ARGUMENT)}"
    surroundings = sum(len(os.fsencode(f"{name}={value}")) + 1 for name, value in env.items())
    limit = size(os.sysconf("SC_ARG_MAX"))
    total = size(sum(lengths) + surroundings)
    return f"argument list too long ({total}): arguments and environment together take at most {limit}"
