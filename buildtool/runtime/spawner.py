"""A small process that starts programs for a larger one, waits for them, and tells how they ended.

To start a program keeps the caller until the program is there, and costs it more the more memory it has; so whoever
starts many, and has other things to do, leaves it to this. Run as a file, so that nothing else of the package is
loaded; Linux only. Its standard input is a socket (`SOCK_SEQPACKET`) with one marshalled tuple in each message:

- in: `(number, program, argv, env, cwd, source, target)`, with the descriptor of a pipe for the output: start it.
  `source` and `target` are files for its standard input and output, or None: nothing, and the pipe.
- in: `(number, signal)`: send this signal to the group of that program, if it runs.
- out: tuples in a list, in the order in which it happened; an empty list when it is ready:
  `(number, pid, None, 0)`: it runs, and leads a session of its own;
  `(number, 0, errno, 0)`: it could not be started;
  `(number, pid, status, peak)`: it has ended with this status of `wait4`; `peak` is its memory in bytes,
  with that of the children it has waited for, or 0 when that is not known.

It ends when the other end of the socket is closed; what runs then goes on.
"""

from __future__ import annotations

import contextlib
import errno
import marshal
import os
import resource
import select
import signal
import socket
from typing import Any

_MESSAGE = 200_000  # bytes; none is longer
_LATER = 0.005  # seconds: that something runs is told with what is told next, or after these
_DEFAULTS = (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGPIPE, signal.SIGXFSZ, signal.SIGCHLD)


class _GoneError(Exception):
    """Nobody listens any more."""


class _Spawner:
    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._poll = select.epoll()
        self._poll.register(control, select.EPOLLIN)
        self._running: dict[int, tuple[int, int]] = {}  # by pidfd: number and pid
        self._pids: dict[int, int] = {}  # by number, of those that run
        self._news: list[tuple[int, int, int | None, int]] = []
        self._own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    def run(self) -> None:
        self._tell()
        while True:
            found = self._poll.poll(_LATER if self._news else None)
            for file, _ in found:
                if file in self._running:
                    self._reap(file)
                else:
                    self._obey()
            if self._news and (not found or any(status is not None for _, _, status, _ in self._news)):
                self._tell()

    def _tell(self) -> None:
        try:
            self._control.send(marshal.dumps(self._news))
        except OSError:
            raise _GoneError from None
        self._news = []

    def _obey(self) -> None:
        try:
            data, ancillary, _, _ = self._control.recvmsg(
                _MESSAGE, socket.CMSG_SPACE(4), socket.MSG_CMSG_CLOEXEC | socket.MSG_DONTWAIT
            )
        except BlockingIOError:
            return
        except OSError:
            raise _GoneError from None
        if not data:
            raise _GoneError
        what = marshal.loads(data)  # noqa: S302 - from the process that has started this one
        if len(what) == 2:
            number, sent = what
            if number in self._pids:
                with contextlib.suppress(OSError):  # it may run as somebody else by now
                    os.killpg(self._pids[number], sent)
            return
        if not ancillary:
            self._news.append((what[0], 0, errno.EMFILE, 0))
            return
        output = int.from_bytes(ancillary[0][2], "little")
        try:
            pid = _start(output, *what[1:])
            self._watch(what[0], pid)
        except OSError as error:
            self._news.append((what[0], 0, error.errno, 0))
        except ValueError:
            self._news.append((what[0], 0, errno.EINVAL, 0))
        finally:
            os.close(output)

    def _watch(self, number: int, pid: int) -> None:
        try:
            pidfd = os.pidfd_open(pid)
        except OSError:  # it could never be told how it ends
            os.killpg(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            raise
        self._poll.register(pidfd, select.EPOLLIN)
        self._running[pidfd] = (number, pid)
        self._pids[number] = pid
        self._news.append((number, pid, None, 0))

    def _reap(self, pidfd: int) -> None:
        number, pid = self._running.pop(pidfd)
        _, status, usage = os.wait4(pid, 0)
        del self._pids[number]
        self._poll.unregister(pidfd)  # a child that is just being started may hold it, too, for a moment
        os.close(pidfd)
        # Linux counts what this process had in memory when it started the program.
        peak = usage.ru_maxrss * 1024 if usage.ru_maxrss > self._own else 0
        self._news.append((number, pid, status, peak))


def _start(
    output: int,
    program: str,
    argv: tuple[str, ...],
    env: dict[str, str],
    cwd: str,
    source: str | None,
    target: str | None,
) -> int:
    os.chdir(cwd)  # each time: the directory of this name may be another one by now
    actions: tuple[tuple[Any, ...], ...] = (
        (os.POSIX_SPAWN_DUP2, output, 1)
        if target is None
        else (os.POSIX_SPAWN_OPEN, 1, target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666),
        (os.POSIX_SPAWN_DUP2, output, 2),
        (os.POSIX_SPAWN_OPEN, 0, source or os.devnull, os.O_RDONLY, 0),
    )
    return os.posix_spawn(
        program, argv, env, file_actions=actions, setsid=True, setsigmask=(), setsigdef=_DEFAULTS
    )


def main() -> None:
    """Serve the socket that is standard input until its other end is closed."""
    try:
        _Spawner(socket.socket(fileno=0)).run()
    except _GoneError:
        os._exit(0)


if __name__ == "__main__":
    main()
