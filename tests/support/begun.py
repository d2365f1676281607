"""What a nursery has started with its output in pipes: what a test does with a `subprocess.Popen`."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from support.nursery import Nursery, Started


class Begun:
    """A program of a nursery; `stdout` and `stderr` are read as text."""

    def __init__(self, nursery: Nursery, program: Sequence[str], cwd: Path, env: Mapping[str, str]) -> None:
        (out, their_out), (err, their_err) = os.pipe(), os.pipe()
        self._started: Started = nursery.start(
            program, cwd=cwd, env={**env}, stdout=their_out, stderr=their_err
        )
        for descriptor in (their_out, their_err):
            os.close(descriptor)
        self.stdout = open(out, encoding="utf-8", errors="surrogateescape")  # noqa: SIM115  closed at the end
        self.stderr = open(err, encoding="utf-8", errors="surrogateescape")  # noqa: SIM115
        self.pid = self._started.pid
        self.poll = self._started.poll
        self.send_signal = self._started.send_signal
        self.terminate = self._started.terminate
        self.kill = self._started.kill

    @property
    def returncode(self) -> int | None:
        """The exit code, once it was waited for."""
        return self._started.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; the exit code."""
        try:
            return self._started.wait(timeout)
        except TimeoutError:
            raise subprocess.TimeoutExpired(str(self.pid), timeout or 0.0) from None

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """What it prints until its end."""
        errors: list[str] = []
        texts: list[str] = []
        readers = [
            threading.Thread(target=lambda: texts.append(self.stdout.read()), daemon=True),
            threading.Thread(target=lambda: errors.append(self.stderr.read()), daemon=True),
        ]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join(timeout)
            if reader.is_alive():
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0.0)
        self.wait(timeout)
        self.stdout.close()
        self.stderr.close()
        return texts[0], errors[0]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stdout.close()
        self.stderr.close()
        self.wait()
