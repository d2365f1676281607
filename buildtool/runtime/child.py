"""What runs in a worker process: takes jobs from standard input, one after another, and answers each.

Does not know who sends them. Started with `python -P -m buildtool.runtime.child SLOTS`; with more than one slot
jobs run in threads.
"""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import select
import signal
import socket
import struct
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from types import FrameType

from buildtool.runtime.children import adopt, end_children
from buildtool.runtime.job import Data
from buildtool.runtime.perform import perform
from buildtool.runtime.surroundings import directory

# Variables that are looked at when a process or a library in it starts: a job with others gets another worker.
AT_START = (
    *("PYTHON", "LD_", "DYLD_", "LC_", "LANG", "TZ", "OMP_", "MKL_", "OPENBLAS_", "NUMEXPR_", "VECLIB_"),
    *("BLIS_", "KMP_", "CUDA_", "NUMBA_", "MALLOC_", "JAX_", "XLA_", "TF_", "TORCH_", "POLARS_", "RAYON_"),
    *("MPLBACKEND", "PATH", "HOME", "TMPDIR", "VIRTUAL_ENV"),
)
HEADER = struct.Struct("!I")  # bytes of the message that follows


class _End:
    """That this process was told to end, which the job that runs learns by a `KeyboardInterrupt`."""

    def __init__(self) -> None:
        self.told = False
        self.deaf = True  # nothing is to be broken off, such as an answer that is on its way
        signal.signal(signal.SIGTERM, self._came)

    def _came(self, _number: int, _frame: FrameType | None) -> None:
        """Raises once only: what is done afterwards is there to end well."""
        if not self.told:
            self.told = True
            if not self.deaf:
                raise KeyboardInterrupt


def main() -> None:
    """Serve until whoever started this process closes the connection, or is gone."""
    control = socket.socket(fileno=os.dup(0))
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    adopt()
    threading.Thread(target=_watch, args=(control,), daemon=True).start()
    slots = int(sys.argv[1])
    with contextlib.suppress(OSError):  # the job has closed what is not its own
        if slots > 1:
            _serve_threads(control, slots)
        else:
            _serve(control, _End())
    _leave()


def _serve(control: socket.socket, end: _End) -> None:
    """One job after another. Each that has begun is answered, whatever happens.

    Who is told to end takes no other job, and says so: one that is on its way has not begun then.
    """
    while True:
        given = answer = None
        try:
            end.deaf = False
            given = None if end.told else _receive(control)
            answer = perform(*given) if given is not None else None
            end.deaf = True
        except KeyboardInterrupt:
            end.told = True
        if given is None:
            break
        data, _ = given
        answer = answer or {"id": data["id"], "status": "failed", "children": True, "threads": False}
        if end.told and answer["status"] == "failed":
            if not data.get("begun"):
                break
            answer |= {"status": "killed", "code": None, "signal": int(signal.SIGTERM)}
        _send(control, answer | {"leaving": end.told})
        if end.told:
            break
    if end.told:
        _send(control, {"id": None, "leaving": True})


def _serve_threads(control: socket.socket, slots: int) -> None:
    """Several jobs at a time. A signal ends them all, as it ends any process: a thread cannot be told to end."""
    pool, begin = ThreadPoolExecutor(slots), directory()

    def run(data: Data, output: int) -> None:
        answer = perform(data, output)
        _send(control, answer | {"moved": directory() != begin})

    while (given := _receive(control)) is not None:
        pool.submit(run, *given)


def _watch(control: socket.socket) -> None:
    """End this process when the other end of the connection is gone, also while a job runs."""
    poll = select.poll()
    poll.register(control, 0)
    while not poll.poll():
        pass
    _leave()


def _leave() -> None:
    """End this process and all below it; threads of a job that has ended are no reason to stay."""
    end_children(now=True)
    os._exit(0)


def _receive(control: socket.socket) -> tuple[Data, int] | None:
    """The next job and where its output goes; None at the end of the connection."""
    try:
        head, outputs, _, _ = socket.recv_fds(control, HEADER.size, 1)
    except OSError:
        return None
    rest = _exactly(control, HEADER.size - len(head)) if head else None
    body = _exactly(control, HEADER.unpack(head + rest)[0]) if rest is not None else None
    if body is None:
        return None
    os.set_inheritable(outputs[0], False)
    return pickle.loads(body), outputs[0]  # noqa: S301  it comes from the `bt` that started this process


def _exactly(control: socket.socket, size: int) -> bytes | None:
    found = bytearray()
    while len(found) < size:
        try:
            piece = control.recv(min(1 << 20, size - len(found)))
        except OSError:
            return None
        if not piece:
            return None
        found += piece
    return bytes(found)


_sending = threading.Lock()
_encode = json.JSONEncoder().encode  # as it is before any job runs


def _send(control: socket.socket, answer: Data) -> None:
    raw = _encode(answer).encode()
    with _sending:
        control.sendall(HEADER.pack(len(raw)) + raw)


if __name__ == "__main__":
    main()
