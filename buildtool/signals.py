"""Ctrl-C and its relatives, as something that can be waited for.

Does not know what is to be ended.
"""

from __future__ import annotations

import contextlib
import os
import signal
from types import FrameType
from typing import Any, Self

from buildtool.errors import ExitCode

HANDLED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Signals:
    """While entered, signals only wake up whoever waits for `fileno`."""

    def __init__(self) -> None:
        self.count = 0  # signals that came so far
        self.pending = 0  # of these, not yet taken
        self.code: ExitCode | None = None  # the exit code that the first one means
        self._before: dict[int, Any] = {}
        self._wakeup_before = -1
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(self._write, False)

    def fileno(self) -> int:
        """Readable when a signal has come."""
        return self._read

    def take(self) -> int:
        """How many signals came since the last call."""
        found, self.pending = self.pending, 0
        with contextlib.suppress(BlockingIOError):
            while os.read(self._read, 512):
                pass
        return found

    def __enter__(self) -> Self:
        # Python's own handler writes: one of ours would run too late, if a signal comes just before a `select`.
        self._wakeup_before = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        for number in HANDLED:
            self._before[number] = signal.signal(number, self._came)
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup_before)
        os.close(self._read)
        os.close(self._write)

    def end(self, code: ExitCode) -> None:
        """As if a signal had come that means this exit code; nothing if one came before."""
        if self.code is None:
            self._note(code)
            os.write(self._write, b".")

    def _came(self, number: int, _frame: FrameType | None) -> None:
        self._note(ExitCode.INTERRUPTED if number == signal.SIGINT else ExitCode.TERMINATED)

    def _note(self, code: ExitCode) -> None:
        self.count += 1
        self.pending += 1
        self.code = self.code or code
