"""What a build did when, as a file for the trace viewers of Chrome and Perfetto.

The format is the JSON array of Google's "Trace Event Format": complete events (`X`) with times in microseconds.
"""

from __future__ import annotations

import contextlib
import heapq
import time
from collections.abc import Iterator, Mapping
from typing import TextIO

from buildtool.errors import DiskError
from buildtool.executors.protocol import Transfer
from buildtool.report.data import render_json
from buildtool.text import cause_of, printable

_SHORT = 0.001  # seconds that are not worth an event
_FILES = 1_000_000  # the row of the first thread that moves files: far below those of the slots
_OURS = 0  # the process number of `bt` itself; executors follow


class Trace:
    """Writes events as they come. Raises `DiskError` if the file cannot be made or takes no more.

    Jobs of an executor lie in rows, as few as are needed: a row is a slot that was free. What `bt` does itself (looks
    at jobs, judges what they left, writes the state) lies in one row of its own.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._began = time.monotonic()
        self._executors: dict[str, int] = {}
        self._free: dict[int, list[int]] = {}  # by executor: rows that are empty now
        self._rows: dict[int, int] = {}  # by executor: how many rows there are
        self._running: dict[int, tuple[int, int, float]] = {}  # by run: executor, row, begin
        self._threads: dict[int, dict[int, int]] = {}  # by executor: rows of the threads that move files
        self._over: dict[int, float] = {}  # runs whose end was told: when it was
        self._separator = "[\n"
        with self._troubles():
            self._file: TextIO = open(path, "w", encoding="utf-8")  # noqa: SIM115  it is closed by `close`
        self._name("process_name", _OURS, 0, "bt")

    def started(self, run: int, executor: str) -> None:
        """A run begins."""
        number = self._executors.get(executor)
        if number is None:
            number = self._executors[executor] = len(self._executors) + 1
            self._free[number], self._rows[number] = [], 0
            self._name("process_name", number, 0, executor)
        if not self._free[number]:
            self._rows[number] += 1
            heapq.heappush(self._free[number], self._rows[number])
            self._name("thread_name", number, self._rows[number], f"slot {self._rows[number]}")
        self._running[run] = (number, heapq.heappop(self._free[number]), time.monotonic())

    def over(self, run: int) -> None:
        """It does not run any more; how it ended is told later."""
        if run not in self._over:
            number, row, _ = self._running[run]
            heapq.heappush(self._free[number], row)
            self._over[run] = time.monotonic()

    def moved(self, run: int, job: str, file: Transfer) -> None:
        """A file of a job that is about to be told as ended was sent to other machines, or came from one."""
        number = self._running[run][0]
        rows = self._threads.setdefault(number, {})
        if file.thread not in rows:
            rows[file.thread] = _FILES + len(rows)
            self._name("thread_name", number, rows[file.thread], f"files {len(rows)}")
        facts = {"to" if file.is_sent else "from": "workers", "bytes": file.size, "job": job}
        self._event(file.path, "file", number, rows[file.thread], file.began, file.seconds, facts)

    def ended(
        self, run: int, name: str, seconds: float, facts: Mapping[str, object], *, is_remote: bool
    ) -> None:
        """It has ended. For so many seconds it ran; if it `is_remote`, it was on its way before, or waited."""
        self.over(run)
        number, row, began = self._running.pop(run)
        whole = self._over.pop(run) - began
        self._event(name, "job", number, row, began, whole, facts)
        if is_remote and whole - seconds > _SHORT:
            self._event("on its way", "transfer", number, row, began, whole - seconds, {})

    @contextlib.contextmanager
    def span(self, name: str, category: str) -> Iterator[None]:
        """Something that `bt` does itself."""
        began = time.monotonic()
        try:
            yield
        finally:
            self._event(name, category, _OURS, 0, began, time.monotonic() - began, {})

    def close(self) -> None:
        """Write what is left."""
        with self._troubles():
            self._file.write("\n]\n")
            self._file.close()

    def _name(self, what: str, process: int, row: int, name: str) -> None:
        self._put({"ph": "M", "name": what, "pid": process, "tid": row, "args": {"name": name}})

    def _event(
        self,
        name: str,
        category: str,
        process: int,
        row: int,
        began: float,
        seconds: float,
        facts: Mapping[str, object],
    ) -> None:
        self._put(
            {
                "ph": "X",
                "name": printable(name),
                "cat": category,
                "pid": process,
                "tid": row,
                "ts": round((began - self._began) * 1e6),
                "dur": round(seconds * 1e6),
                "args": dict(facts),
            }
        )

    def _put(self, event: dict[str, object]) -> None:
        with self._troubles():
            self._file.write(self._separator + render_json(event, None))
        self._separator = ",\n"

    @contextlib.contextmanager
    def _troubles(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            cause = cause_of(error)
            raise DiskError(f"cannot write the trace `{printable(self._path)}`: {cause}") from error
