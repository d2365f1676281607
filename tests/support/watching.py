"""`bt watch` under test: its events are waited for, never slept for."""

from __future__ import annotations

import json
import queue
import signal
import subprocess
import threading
from types import TracebackType
from typing import Any, Self

from support.begun import Begun
from support.project import Project, Run

PATIENCE = 60.0  # seconds; a hang is a failure


class Watching:
    """A running `bt watch --json` in a project."""

    def __init__(self, project: Project, *words: str, env: dict[str, str] | None = None) -> None:
        env = {"PYTHONFAULTHANDLER": "1", **(env or {})}
        self.process: subprocess.Popen[str] | Begun = project.start("watch", "--json", *words, env=env)
        self._lines: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self.seen: list[dict[str, Any]] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(json.loads(line))
        self._lines.put(None)

    def until(self, event: str, **values: object) -> list[dict[str, Any]]:
        """All events up to the next one of this kind with these values."""
        found = []
        while True:
            told = self._lines.get(timeout=PATIENCE)
            assert told is not None, f"it ended: {self.process.communicate()[1]}"
            self.seen.append(told)
            found.append(told)
            if told["event"] == event and all(told.get(name) == value for name, value in values.items()):
                return found

    def round(self) -> Run:
        """The next build that ran or failed something, or met an error."""
        while True:
            events = self.until("waiting")
            last = [at for at, told in enumerate(events) if told["event"] == "summary"]
            run = Run(0, "", "", events[: last[-1] + 1] if last else [])
            if run.ran or run.failed or any(told["event"] == "error" for told in run.events):
                return run

    def first(self) -> Run:
        """The first build, whatever came of it."""
        return Run(0, "", "", self.until("waiting"))

    def end(self, number: int = signal.SIGINT) -> int:
        """End it with a signal; its exit code."""
        self.process.send_signal(number)
        try:
            return self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGABRT)  # tells where it stands
            raise AssertionError(f"it did not end: {self.process.communicate()[1]}") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self._reader.join(PATIENCE)
        for stream in (self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()
