"""Where functions on this machine send what they print: a socket, and one connection for each job.

Knows neither logs nor how jobs end.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import shutil
import socket
import tempfile

from buildtool.tuples import NamedTuple

_PIECE = 65_536  # bytes in one read
_READS = 16  # of one connection in one call: a chatty job must not starve others
_HELLO = 200  # bytes that the first line takes at most


class Printed(NamedTuple):
    """What came of one job: that it runs in a process, or a piece of its output."""

    id: int
    pid: int | None  # of the process that runs it, when it was just connected
    data: bytes


class Channel:
    """Listens for jobs. `address` is the path of the socket; only this user can reach it."""

    def __init__(self, selector: selectors.BaseSelector) -> None:
        self._selector = selector
        self._folder = tempfile.mkdtemp(prefix="bt-")  # short: the path of a socket takes about 100 bytes
        self.address = os.path.join(self._folder, "s")
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(self.address)
        self._listener.listen(1024)
        self._listener.setblocking(False)
        selector.register(self._listener, selectors.EVENT_READ, self)
        self._open: dict[int, socket.socket] = {}  # by job
        self._new: dict[socket.socket, bytes] = {}  # said nothing yet, or half a line

    def read(self) -> list[Printed]:
        """What came since the last call, without waiting; all of it, as far as it does not come without end."""
        found = []
        with contextlib.suppress(BlockingIOError):
            while True:
                connection, _ = self._listener.accept()
                connection.setblocking(False)
                self._selector.register(connection, selectors.EVENT_READ, self)
                self._new[connection] = b""
        for connection in list(self._new):
            found += self._greet(connection)
        for job in list(self._open):
            found += self._read(job)
        return found

    def silent(self, job: int) -> bool:
        """Whether nobody can write for this job any more; `read` first."""
        return job not in self._open

    def drop(self, job: int) -> None:
        """Listen to this job no more."""
        connection = self._open.pop(job, None)
        if connection is not None:
            self._close(connection)

    def close(self) -> None:
        """Close all connections and take the socket away."""
        for connection in (*self._open.values(), *self._new, self._listener):
            self._close(connection)
        self._open.clear()
        self._new.clear()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _greet(self, connection: socket.socket) -> list[Printed]:
        """Read the first line: whose connection it is."""
        try:
            data = connection.recv(_HELLO)
        except BlockingIOError:
            return []
        except OSError:
            data = b""
        line, end, rest = (self._new[connection] + data).partition(b"\n")
        if data and not end:
            self._new[connection] = line
            return []
        del self._new[connection]
        if not end:
            self._close(connection)
            return []
        try:
            job, pid = map(int, line.split())
        except ValueError:  # nobody of ours
            self._close(connection)
            return []
        self.drop(job)
        self._open[job] = connection
        return [Printed(job, pid, b""), *([Printed(job, None, rest)] if rest else [])]

    def _read(self, job: int) -> list[Printed]:
        found: list[Printed] = []
        for _ in range(_READS):
            try:
                data = self._open[job].recv(_PIECE)
            except BlockingIOError:
                return found
            except OSError:
                data = b""
            if not data:
                self.drop(job)
                return found
            found.append(Printed(job, None, data))
        return found

    def _close(self, connection: socket.socket) -> None:
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(connection)
        connection.close()
