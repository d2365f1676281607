"""What a job prints, and the process around it: output, variables and directory, for its time alone.

Does not know what the job does.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # it has no stubs
import contextlib
import io
import os
import select
import signal
import socket
import sys
import threading
import warnings
from collections.abc import Iterator
from typing import Any

from buildtool.runtime.children import end_children
from buildtool.runtime.job import Data
from buildtool.runtime.leftovers import mend_streams, remember

_PAUSE = 0.2  # seconds between two looks at whether those who asked are still there
_handler = _signal.getsignal  # that of `signal` makes an enumeration of it, which takes ten times as long
_HANDLED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGALRM, signal.SIGUSR1, signal.SIGUSR2)
_local = threading.local()


class _Stream(io.TextIOBase):
    """Standard output of a process whose threads run different jobs: each writes to its own."""

    def __init__(self, rest: Any) -> None:
        self._rest = rest

    def _target(self) -> Any:
        return getattr(_local, "stream", None) or self._rest

    def write(self, text: str) -> int:
        self._target().write(text)
        return len(text)

    def flush(self) -> None:
        self._target().flush()

    def fileno(self) -> int:
        return int(self._target().fileno())

    def isatty(self) -> bool:
        return bool(self._target().isatty())

    def __getattr__(self, name: str) -> Any:
        return getattr(self._target(), name)  # `buffer`, and what else a text file has

    @property
    def encoding(self) -> str:  # type: ignore[override]  # an attribute there, of a type that is a lie
        return "utf-8"


def refuse_shared(data: Data, *, guest: bool) -> None:
    """Raise OSError if a job in a thread of somebody's pool would lack a directory or variables of its own.

    Without a thread (`guest`) it would stand in the way of those who asked for it.
    """
    if not guest:
        raise OSError("its executor runs jobs in `bt` itself, while it is given them; use `local` with `-j1`")
    if os.getcwd() != data["cwd"]:
        raise OSError(
            "its pool runs jobs in threads, which have no directory of their own; use another executor"
        )
    for name, value in data["declared"].items():
        if os.environ.get(name) != value:
            raise OSError(
                f"its pool runs jobs in threads, which have no variables of their own such as `{name}`;"
                " use another executor"
            )


def _connect(data: Data) -> int | None:
    """The way for the job's output to those who asked for the job."""
    if not data["channel"]:
        return None
    channel = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    channel.connect(data["channel"])
    channel.sendall(b"%d %d\n" % (data["id"], os.getpid()))
    return channel.detach()


@contextlib.contextmanager
def own_process(data: Data, output: int | None) -> Iterator[None]:
    """Make this process the job's: its output, variables and directory; afterwards as before.

    Noted in `data`: `spoiled`, if something could not be put back.
    """
    before, environment = directory(), _environment()
    wanted = environment if data["env"] is None else {_encode(k): _encode(v) for k, v in data["env"].items()}
    streams, path, mask = (sys.stdin, sys.stdout, sys.stderr), list(sys.path), os.umask(0o022)
    os.umask(mask)
    if output is None:
        output = _connect(data)
    over = None
    if output is not None and data["pool"]:
        over = threading.Event()
        threading.Thread(target=_watch, args=(os.dup(output), over), daemon=True).start()
    handlers = {number: _handler(number) for number in _HANDLED}
    argv, limit, filters = list(sys.argv), sys.getrecursionlimit(), list(warnings.filters)
    blocked, put_back = signal.pthread_sigmask(signal.SIG_BLOCK, ()), remember(only_jobs=not data["pool"])
    flush()
    for stream in (
        sys.stdout,
        sys.stderr,
    ):  # lines come as they are printed, in order with those of the other
        if isinstance(stream, io.TextIOWrapper):  # each time: a job may set it otherwise
            stream.reconfigure(
                encoding="utf-8",
                errors="backslashreplace",
                newline="\n",
                line_buffering=True,
                write_through=False,
            )
    saved = [os.dup(1), os.dup(2)] if output is not None else []
    try:
        if output is not None:
            os.dup2(output, 1)
            os.dup2(output, 2)
            os.close(output)
            mend_streams(seekable=False)
        _set_environment(wanted)
        if before != data["cwd"]:
            os.chdir(data["cwd"])
        yield
    finally:
        if over is not None:
            over.set()
        data["spoiled"] = not put_back()
        flush()
        for handled, handler in handlers.items():
            if _handler(handled) != handler and handler is not None:
                signal.signal(handled, handler)
        sys.argv[:], warnings.filters[:] = argv, filters  # type: ignore[index]  # it is a list
        sys.setrecursionlimit(limit)
        sys.stdin, sys.stdout, sys.stderr = streams
        sys.path[:] = path
        os.umask(mask)
        flush()
        for number, file in enumerate(saved, 1):
            os.dup2(file, number)
            os.close(file)
        mend_streams()
        _set_environment(environment if data["pool"] else wanted)
        if directory() != before:
            os.chdir(before or "/")
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)  # the last: one that waited comes now


_encode = os.fsencode
_data: dict[bytes, bytes] | None = vars(os.environ).get(
    "_data"
)  # reading it entry by entry takes 50 times as long


def _environment() -> dict[bytes, bytes]:
    return dict(os.environb if _data is None else _data)


def _set_environment(wanted: dict[bytes, bytes]) -> None:
    if _environment() != wanted:
        os.environb.clear()
        os.environb.update(wanted)


@contextlib.contextmanager
def own_thread(data: Data, output: int | None) -> Iterator[None]:
    """Give this thread the job's output; all else is shared."""
    for name in ("stdout", "stderr"):
        if not isinstance(getattr(sys, name), _Stream):
            setattr(sys, name, _Stream(getattr(sys, name)))
    if output is None:
        output = _connect(data)
    stream = None
    if output is not None:
        raw = os.fdopen(output, "wb", buffering=0)
        stream = io.TextIOWrapper(raw, "utf-8", "backslashreplace", write_through=True)
    _local.stream = stream
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        _local.stream = None
        if stream is not None:
            stream.close()


def _watch(channel: int, over: threading.Event) -> None:
    """End this process and all below it if those who asked for the job are gone before it is over."""
    poll = select.poll()
    poll.register(channel, 0)
    while not over.wait(_PAUSE):
        if poll.poll(0) and not over.is_set():
            end_children(now=True)
            os._exit(1)
    os.close(channel)


def directory() -> str | None:
    """The working directory; None if it is gone."""
    try:
        return os.getcwd()
    except OSError:
        return None


def flush() -> None:
    """Hand on what is printed so far."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
