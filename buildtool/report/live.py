"""Plain lines, and below them what goes on now, where there is a terminal.

Short builds are over before anything is drawn, and load nothing for it.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping
from typing import Any, TextIO, cast

from buildtool.report.board import Board
from buildtool.report.model import JobReport
from buildtool.report.outlet import Outlet
from buildtool.report.paint import Paint
from buildtool.report.plain import Plain

PATIENCE = 0.3  # seconds: what takes less is not worth a look
BEAT = 0.1  # seconds between two drawings


class Live(Plain):
    """Writes plain lines. What is drawn below them goes away with `close`, and while a job has the terminal."""

    def __init__(self, stream: TextIO, paint: Paint, *, quiet: bool = False, verbose: bool = False) -> None:
        super().__init__(stream, paint, quiet=quiet, verbose=verbose)
        self.board = Board(began=time.monotonic())
        self._screen: _Screen | None = None
        self.is_watched = stream.isatty() and not quiet and os.environ.get("TERM") != "dumb"

    def planned(self, jobs: int, targets: tuple[str, ...]) -> None:
        """So many jobs are looked at; that may take a while."""
        super().planned(jobs, targets)
        self.board.begin(jobs, time.monotonic())
        self._show()

    def started(self, job: JobReport) -> None:
        """A job runs; one that is given the terminal has it alone."""
        super().started(job)
        self.board.started(job, time.monotonic())
        if job.interactive:
            self.close()
        else:
            self._show()

    def output(self, job: JobReport, data: bytes) -> None:
        """What it printed last is shown beside it."""
        super().output(job, data)
        self.board.output(job, data)

    def over(self, job: JobReport) -> None:
        """A job is shown no more."""
        self.board.over(job)

    def finished(self, job: JobReport) -> None:
        """A job came out."""
        super().finished(job)
        self.board.finished(job)
        if job.interactive:
            self._show()

    def doing(self, text: str) -> None:
        """What the build waits for."""
        if not self.is_watched:
            super().doing(text)
            return
        self.board.doing = text
        self._show()

    def left(self, seconds: float | None) -> None:
        """How long the build will take from now on."""
        self.board.left, self.board.left_at = seconds, time.monotonic()

    def reading(self, path: str, done: int, whole: int) -> None:
        """So much of a large file was looked at."""
        self.board.reading = (path, done, whole) if done < whole else None

    def summary(self, counts: Mapping[str, int], seconds: float, exit_code: int) -> None:
        """The foot goes away; failures and the closing sentence stay."""
        self.close()
        super().summary(counts, seconds, exit_code)

    def close(self) -> None:
        """Draw nothing more."""
        if self._screen is not None:
            self._screen.close()
            self._screen = None

    def _show(self) -> None:
        if not self.is_watched or self._screen is not None:
            return
        if not any(run.job.interactive for run in self.board.runs.values()):
            self._screen = _Screen(self._outlet, self.board, self._paint)

    def _emit(self, text: str) -> None:
        if self._screen is None:
            super()._emit(text)
        else:
            self._screen.write(text)


class _Screen:
    """Draws now and then, in a thread: so jobs need not wait for a slow terminal, and the time goes on."""

    def __init__(self, outlet: Outlet, board: Board, paint: Paint) -> None:
        self._outlet = outlet
        self._board = board
        self._paint = paint
        self._lock = threading.Lock()
        self._waiting: list[str] | None = None  # lines to be drawn; None: nothing is drawn yet
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="bt shows", daemon=True)
        self._thread.start()

    def write(self, text: str) -> None:
        """Write whole lines above what is drawn."""
        with self._lock:
            if self._waiting is None:
                self._outlet.write(text)
            else:
                self._waiting.append(text)

    def close(self) -> None:
        """Write what is left, and take away what is drawn."""
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        if self._over.wait(PATIENCE):
            return
        from rich.console import Console
        from rich.live import Live as Drawing

        console = Console(
            file=cast("TextIO", _Through(self._outlet)),
            force_terminal=True,
            color_system="standard" if self._paint.colour else None,
            no_color=not self._paint.colour,
            highlight=False,
            markup=False,
            emoji=False,
        )
        with self._lock:
            self._waiting = []
        with Drawing(
            console=console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        ) as drawing:
            console.show_cursor(True)  # whatever ends `bt`, the terminal stays as it was
            while not self._over.wait(BEAT):
                self._put(console)
                drawing.update(self._drawn(console), refresh=True)
            self._put(console)

    def _put(self, console: Any) -> None:
        """Write the lines that wait, above what is drawn."""
        from rich.text import Text

        with self._lock:
            text, self._waiting = "".join(self._waiting or ()), []
        if text:
            console.print(Text.from_ansi(text.removesuffix("\n")), soft_wrap=True)

    def _drawn(self, console: Any) -> Any:
        from rich.text import Text

        from buildtool.report.footer import render

        console.size = self._outlet.size or console.size
        width, height = console.size
        lines = render(
            self._board,
            width - 1,  # some terminals begin a new line after the last column
            height,
            time.monotonic(),
            self._paint,
            ascii_only=not self._outlet.encoding.startswith("utf"),
        )
        return Text.from_ansi("\n".join(lines), no_wrap=True)


class _Through:
    """An outlet as a file."""

    def __init__(self, outlet: Outlet) -> None:
        self._outlet = outlet
        self.encoding = outlet.encoding

    def write(self, text: str) -> int:
        """Write."""
        self._outlet.write(text)
        return len(text)

    def flush(self) -> None:
        """It is flushed by now."""

    def isatty(self) -> bool:
        """It is one."""
        return True
