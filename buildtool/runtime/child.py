"""What runs in a worker process: takes jobs from standard input, one after another, and answers each.

Does not know who sends them. Started with `python -P -m buildtool.runtime.child SLOTS`; with more than one slot
jobs run in threads.
"""

from __future__ import annotations

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

from buildtool.runtime.job import Data
from buildtool.runtime.perform import perform

# Variables that are looked at when a process or a library in it starts: a job with others gets another worker.
AT_START = (
    *("PYTHON", "LD_", "DYLD_", "LC_", "LANG", "TZ", "OMP_", "MKL_", "OPENBLAS_", "NUMEXPR_", "VECLIB_"),
    *("BLIS_", "KMP_", "CUDA_", "NUMBA_", "MALLOC_", "JAX_", "XLA_", "TF_", "TORCH_", "POLARS_", "RAYON_"),
    *("MPLBACKEND", "PATH", "HOME", "TMPDIR", "VIRTUAL_ENV"),
)
HEADER = struct.Struct("!I")  # bytes of the message that follows


def main() -> None:
    """Serve until whoever started this process closes the connection, or is gone."""
    control = socket.socket(fileno=os.dup(0))
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    ending = threading.Event()

    def end(_number: int, _frame: FrameType | None) -> None:
        """Let `finally` and `with` of the job do their work, then end."""
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        ending.set()
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_watch, args=(control,), daemon=True).start()
    slots = int(sys.argv[1])
    pool = ThreadPoolExecutor(slots) if slots > 1 else None
    try:
        while (given := _receive(control)) is not None and not ending.is_set():
            if pool is None:
                _perform(control, *given)
            else:
                pool.submit(_perform, control, *given)
    except (KeyboardInterrupt, OSError):  # told to end, or the job has closed what is not its own
        pass
    os._exit(0)  # threads of a job that has ended are no reason to stay


def _perform(control: socket.socket, data: Data, output: int) -> None:
    _send(control, perform(data, output))


def _watch(control: socket.socket) -> None:
    """End this process when the other end of the connection is gone, also while a job runs."""
    poll = select.poll()
    poll.register(control, 0)
    while not poll.poll():
        pass
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
