"""Python programs that start at once: copies of a process that has loaded what is slow to load.

Each is a process and a session of its own, with the arguments, the environment, the directory and the import path that
`python …` would have given it. A test that wants another Python starts that itself.

Run as a program, this file is the nursery: it is asked through the socket that is its standard input.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import faulthandler
import fcntl
import gc
import importlib
import json
import os
import runpy
import selectors
import signal
import socket
import subprocess
import sys
import termios
import time
import traceback
from collections.abc import Sequence
from typing import Any

LOADED = (
    *("distributed", "distributed.http.scheduler.prometheus.core", "distributed.http.worker.prometheus.core"),
    *("distributed.http.scheduler.info", "distributed.http.scheduler.json", "distributed.http.health"),
    *("distributed.http.statics", "distributed.http.proxy", "distributed.diagnostics.websocket"),
    *("distributed.http.scheduler.prometheus.semaphore", "distributed.http.scheduler.prometheus.stealing"),
    *("distributed.cli.dask_scheduler", "distributed.cli.dask_worker", "gilknocker"),
    *("tornado.platform.asyncio", "prometheus_client"),
)
_MOST = 1 << 16  # bytes of a question
_FAILED = 70  # exit code of what did not get as far as its program
_PR_SET_PDEATHSIG = 1  # of Linux's <sys/prctl.h>
_CLONE_NEWNS, _CLONE_NEWUSER = 0x20000, 0x10000000  # of <sched.h>
_MS_REC, _MS_PRIVATE = 0x4000, 0x40000  # of <sys/mount.h>


def end_with_us() -> None:
    """Have this process killed when the one that started it ends, however it does. Linux only."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Started:
    """A process of a nursery; what a test does with a `subprocess.Popen`."""

    def __init__(self, pid: int, wire: socket.socket) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self.wire = wire  # tells the exit code as a line once it has ended

    def poll(self) -> int | None:
        """The exit code, if it has ended."""
        with contextlib.suppress(TimeoutError):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; the exit code."""
        if self.returncode is None:
            self.wire.settimeout(timeout)
            try:
                self.ended(self.wire.recv(100))
            except BlockingIOError:
                raise TimeoutError from None
        assert self.returncode is not None
        return self.returncode

    def ended(self, told: bytes) -> None:
        """Take the exit code that was told."""
        self.returncode = int(told or -signal.SIGKILL)  # nobody tells: the nursery is gone, and all with it
        self.wire.close()

    def send_signal(self, number: int) -> None:
        """Send it a signal, if it is there."""
        if self.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self.send_signal(signal.SIGKILL)


class Nursery:
    """A process that starts others, in the network of who made it, and ends with that.

    `loaded`: modules that it loads besides those of dask, or with `bare` instead of them.
    """

    def __init__(self, *loaded: str, bare: bool = False) -> None:
        self._wire, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours = {name: value for name, value in os.environ.items() if not name.startswith(("DASK", "PYTHON"))}
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, __file__, *(() if bare else LOADED), *loaded],
                stdin=theirs,
                cwd="/",
                env=ours,
                preexec_fn=end_with_us,  # noqa: PLW1509  nothing else runs in the child, and it calls one function
            )

    def start(
        self,
        program: Sequence[str],
        *,
        cwd: str | os.PathLike[str],
        env: dict[str, str],
        stdout: int,
        stderr: int,
        hidden: Sequence[str] = (),
        terminal: bool = False,
    ) -> Started:
        """Start `-m MODULE …` or `FILE …`; an empty directory is seen in the place of each of `hidden`.

        `terminal`: its output is one, from which it reads and gets its signals.
        """
        asked = {
            "program": [*program],
            "cwd": os.fspath(cwd),
            "env": env,
            "hidden": [*hidden],
            "terminal": terminal,
        }
        mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with theirs:
            socket.send_fds(self._wire, [json.dumps(asked).encode()], [theirs.fileno(), stdout, stderr])
        told = b""
        while not told.endswith(b"\n"):
            more = mine.recv(1)
            if not more:
                raise RuntimeError("the nursery has ended")
            told += more
        return Started(int(told), mine)

    def close(self) -> None:
        """End it, and all that it has started."""
        self._wire.close()
        self._process.wait()


def hide(folders: Sequence[str]) -> None:
    """See an empty directory in the place of each of these, in this process alone."""
    system = ctypes.CDLL(None, use_errno=True)

    def call(name: str, *words: Any) -> None:
        if getattr(system, name)(*words) != 0:
            raise OSError(ctypes.get_errno(), name)

    user, group = os.geteuid(), os.getegid()
    call("unshare", _CLONE_NEWNS | (_CLONE_NEWUSER if user else 0))
    if user:
        for what, text in (("setgroups", "deny"), ("uid_map", f"0 {user} 1"), ("gid_map", f"0 {group} 1")):
            with open(f"/proc/self/{what}", "w") as file:
                file.write(text)
    nothing = ctypes.c_char_p(None)
    call("mount", b"none", b"/", nothing, ctypes.c_ulong(_MS_REC | _MS_PRIVATE), nothing)
    for folder in folders:
        call("mount", b"tmpfs", os.fsencode(folder), b"tmpfs", ctypes.c_ulong(0), nothing)


def become(asked: dict[str, Any]) -> None:
    """Be what was asked for, as if it had been started anew."""
    os.chdir(asked["cwd"])
    if asked["hidden"]:
        hide(asked["hidden"])
        os.chdir(asked["cwd"])
    os.environ.clear()
    os.environ.update(asked["env"])
    sys.dont_write_bytecode = bool(os.environ.get("PYTHONDONTWRITEBYTECODE"))
    if os.environ.get("PYTHONFAULTHANDLER"):
        faulthandler.enable()
    program: list[str] = asked["program"]
    sys.path[:0] = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    importlib.invalidate_caches()
    time.tzset()
    config: Any = sys.modules.get("dask.config")
    if config is not None:
        config.paths[:] = config._get_paths()
        config.refresh()
    door: Any = sys.modules.get("buildtool.door")
    if door is not None:
        door.BEGUN = time.time_ns()
    if program[0] == "-m":
        sys.path.insert(0, os.getcwd())
        sys.argv = program[1:]
        if not hasattr(sys.modules.get(program[1]), "__path__"):
            sys.modules.pop(program[1], None)
        runpy.run_module(program[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = program
        runpy.run_path(program[0], run_name="__main__")


def _child(asked: dict[str, Any], out: int, err: int) -> None:
    """In the copy: never comes back."""
    code = _FAILED
    try:
        atexit._clear()
        end_with_us()
        os.setsid()
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        if asked["terminal"]:
            fcntl.ioctl(out, termios.TIOCSCTTY, 0)
        given = out if asked["terminal"] else os.open(os.devnull, os.O_RDONLY)
        for number, fd in enumerate((given, out, err)):
            os.dup2(fd, number)
        os.closerange(3, 256)
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115  as at the start of Python
        sys.stderr = open(2, "w", 1, "utf-8", "backslashreplace", closefd=False)  # noqa: SIM115
        become(asked)
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:  # noqa: BLE001  as the interpreter does
        traceback.print_exc()
        code = 1
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def serve(wire: socket.socket) -> None:
    """Start what is asked for until nobody can ask any more."""
    started: dict[int, socket.socket] = {}
    ended, wake = os.pipe()
    os.set_blocking(ended, False)
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    with selectors.DefaultSelector() as selector:
        selector.register(wire, selectors.EVENT_READ)
        selector.register(ended, selectors.EVENT_READ)
        while True:
            ready = {key.fd for key, _ in selector.select()}
            if ended in ready:
                with contextlib.suppress(BlockingIOError):
                    os.read(ended, 1 << 16)
                _tell_ended(started)
            if wire.fileno() in ready:
                data, fds, *_ = socket.recv_fds(wire, _MOST, 3)
                if not data:
                    for pid in started:
                        os.kill(pid, signal.SIGKILL)
                    while started:
                        _tell_ended(started, wait=True)
                    return
                pid = os.fork()
                if not pid:
                    _child(json.loads(data), fds[1], fds[2])
                teller = socket.socket(fileno=fds[0])
                os.close(fds[1])
                os.close(fds[2])
                started[pid] = teller
                teller.sendall(b"%d\n" % pid)


def _tell_ended(started: dict[int, socket.socket], *, wait: bool = False) -> None:
    while started:
        pid, status = os.waitpid(-1, 0 if wait else os.WNOHANG)
        if not pid:
            return
        with started.pop(pid) as teller, contextlib.suppress(OSError):
            teller.sendall(b"%d" % os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    for name in sys.argv[1:]:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    del sys.path[0]
    gc.freeze()
    serve(socket.socket(fileno=os.dup(0)))
