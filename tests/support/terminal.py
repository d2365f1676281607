"""A terminal with `bt` in it: what a person sees, and keys that are pressed."""

from __future__ import annotations

import fcntl
import os
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Self

import pyte

from support import copies
from support.nursery import Started
from support.project import BT, Project, clean_environment

PATIENCE = 60.0  # seconds until something must be seen
_COLOURS = {"red": "31", "green": "32", "brown": "33", "cyan": "36"}
_FAINT = re.compile(rb"\x1b\[2m")  # the screen does not know it, and nothing here is in italics


def seen(raw: bytes, columns: int, rows: int, *, colour: bool) -> str:
    """What is left on a screen of that size once all this was written to it, with what has scrolled out of it."""
    screen = pyte.HistoryScreen(columns, rows, history=100_000)
    pyte.ByteStream(screen).feed(_FAINT.sub(b"\x1b[3m", raw))
    lines = [*screen.history.top, *(screen.buffer[row] for row in range(rows))]
    return "\n".join(_line(line, columns, colour=colour) for line in lines).rstrip("\n") + "\n"


def _line(cells: Mapping[int, pyte.screens.Char], columns: int, *, colour: bool) -> str:
    """A line of a screen without the blanks at its end; where the colour changes, as it is written to a terminal."""
    text, gap, now = "", "", ""
    for at in range(columns):
        cell = cells[at]
        if cell.data == " ":  # its colour cannot be seen
            gap += " "
            continue
        codes = ["1"] * cell.bold + ["2"] * cell.italics
        codes += [] if cell.fg == "default" else [_COLOURS[cell.fg]]
        wanted = ";".join(codes) if colour else ""
        if wanted != now:
            text += "\x1b[0m" * bool(now) + gap + (f"\x1b[{wanted}m" if wanted else "")
            now, gap = wanted, ""
        text, gap = text + gap + cell.data, ""
    return text + "\x1b[0m" * bool(now)


def _has_it() -> None:
    """In a new process: its input is its terminal."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


class Terminal:
    """`bt` (or another program) with some words in a terminal of its own. `raw`: all that was written to it."""

    def __init__(
        self,
        project: Project,
        *words: str,
        columns: int = 80,
        rows: int = 24,
        env: Mapping[str, str] | None = None,
        program: Sequence[str] = BT,
    ) -> None:
        environment = clean_environment() | {"TERM": "xterm-256color"} | dict(env or {})
        del environment["COLUMNS"]  # the window has a size of its own
        self._screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self._screen)
        self.raw = b""
        self.code: int | None = None
        self._file, theirs = os.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        nursery = copies.fitting(words, environment) if program == BT else None
        self._process: Started | subprocess.Popen[bytes]
        if nursery is not None:
            asked = ["-m", "buildtool", *words]
            self._process = nursery.start(
                asked, cwd=project.folder, env=environment, stdout=theirs, stderr=theirs, terminal=True
            )
        else:
            self._process = subprocess.Popen(
                [*program, *words],
                cwd=project.folder,
                env=environment,
                stdin=theirs,
                stdout=theirs,
                stderr=theirs,
                start_new_session=True,
                preexec_fn=_has_it,  # noqa: PLW1509  nothing else runs in the child, and it calls one function
            )
        os.close(theirs)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.code is None:
            self._process.terminate()  # it ends its jobs, too
            self._process.wait()
        os.close(self._file)

    @property
    def lines(self) -> list[str]:
        """What is seen, without blank lines."""
        return [line.rstrip() for line in self._screen.display if line.strip()]

    @property
    def cursor_is_hidden(self) -> bool:
        """Whether the terminal was left without a cursor."""
        return bool(self._screen.cursor.hidden)

    def resize(self, columns: int, rows: int) -> None:
        """As if somebody pulled at the window."""
        fcntl.ioctl(self._file, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self._screen.resize(rows, columns)

    def press(self, keys: bytes) -> None:
        """Type."""
        os.write(self._file, keys)

    def until(self, seen: Callable[[list[str]], bool]) -> list[str]:
        """Wait until the screen looks so; it."""
        end = time.monotonic() + PATIENCE
        while not seen(self.lines):
            assert time.monotonic() < end, self.lines
            assert self._read(0.5), f"it has ended: {self.lines}"
        return self.lines

    def end(self) -> list[str]:
        """Wait until `bt` has ended; the screen."""
        while self._read(PATIENCE):
            pass
        self.code = self._process.wait()
        return self.lines

    def _read(self, patience: float) -> bool:
        """Take in what was written; whether there may be more."""
        if not select.select([self._file], [], [], patience)[0]:
            return True
        try:
            data = os.read(self._file, 1 << 16)
        except OSError:  # on Linux, nobody has it open any more
            data = b""
        self.raw += data
        self._stream.feed(data)
        return bool(data)
