"""The process that starts programs for this one, as seen from here. What it does, `runtime.spawner` says."""

from __future__ import annotations

import contextlib
import marshal
import os
import signal
import socket
import sys
from collections.abc import Mapping

from buildtool.executors import processes
from buildtool.runtime import SPAWNER
from buildtool.tuples import NamedTuple

_MESSAGE = 180_000  # bytes that surely fit into the buffer of a socket
_MANY = 64  # messages read in one call of `told`


class Told(NamedTuple):
    """What has become of a program. Without a pid, it could not be started; with `status` None, it runs from now on."""

    number: int
    pid: int
    status: int | None
    peak_memory: int


class Spawner:
    """Starts programs beside what this process does. Raises OSError if it cannot be had.

    `wait`: until it is ready; else it is when `ready` says so.
    """

    def __init__(self, *, wait: bool = False) -> None:
        if not sys.platform.startswith("linux") or not hasattr(os, "pidfd_open"):
            raise OSError("only Linux tells of the end of a process through a descriptor")
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            with open(os.devnull, "wb", buffering=0) as nothing:
                argv = (sys.executable, "-I", "-S", SPAWNER)
                self._pid = processes.start(argv, os.getcwd(), os.environ, nothing.fileno(), theirs.fileno())
        except BaseException:
            self._control.close()
            raise
        finally:
            theirs.close()
        self.ready = False  # whether it has said that it takes work
        if wait:
            self.told()
        self._control.setblocking(False)

    def fileno(self) -> int:
        """Readable when `told` has something to tell."""
        return self._control.fileno()

    def start(
        self,
        number: int,
        argv: tuple[str, ...],
        cwd: str,
        env: Mapping[str, str],
        output: int,
        program: str,
        files: tuple[str | None, str | None],
    ) -> bool:
        """Have a program started, as by `processes.start`; whether that was taken on.

        What comes of it, `told` tells.
        """
        message = marshal.dumps((number, program, argv, dict(env), cwd, *files))
        if len(message) > _MESSAGE:
            return False
        try:
            socket.send_fds(self._control, [message], [output])
        except OSError:
            return False
        return True

    def signal(self, number: int, which: signal.Signals) -> None:
        """Have a signal sent to the group of a program, if that runs, after what was asked before."""
        with contextlib.suppress(OSError):
            self._control.send(marshal.dumps((number, int(which))))

    def is_parent(self, pid: int) -> bool:
        """Whether a program that was started here has this pid, and was not waited for yet."""
        return pid > 0 and processes.parent_of(pid) == self._pid

    def told(self) -> list[Told] | None:
        """What was not told yet; None: it is gone."""
        found: list[Told] = []
        for _ in range(_MANY if self._control.gettimeout() == 0 else 1):
            try:
                data = self._control.recv(_MESSAGE)
            except BlockingIOError:
                break
            except OSError:
                data = b""
            if not data:
                return found or None  # it is asked again
            self.ready = True
            found += [Told(*what) for what in marshal.loads(data)]  # noqa: S302 - from a process of our own
        return found

    def close(self) -> None:
        """End it. What it has started goes on."""
        self._control.close()
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self._pid, 0)
        processes.started.discard(self._pid)
