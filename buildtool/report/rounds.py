"""What a person sees of builds that follow one another: what changed, what ran, what is still broken, and waiting."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import TextIO

from buildtool.errors import BtError
from buildtool.report.jsonl import JsonLines
from buildtool.report.live import Live
from buildtool.report.model import JobReport
from buildtool.report.paint import Paint
from buildtool.report.problems import render_error
from buildtool.text import count, printable

_SHOWN = 3  # changed paths that are named


class Rounds(Live):
    """Lines; a round in which nothing was worth a line leaves none, unless somebody asked for it."""

    def __init__(self, stream: TextIO, paint: Paint, *, quiet: bool = False, verbose: bool = False) -> None:
        super().__init__(stream, paint, quiet=quiet, verbose=verbose)
        self._title = ""
        self._said = False
        self._asked = False
        self._waits = False  # the last line says so
        self._trouble: list[str] = []

    def begin(self, paths: Iterable[str], why: str = "") -> None:
        """A round begins because these paths changed, or because of `why`; it is told with its first line."""
        self._title = self._paint.bold(why or f"changed: {named(list(paths))}")
        self._said, self._asked = False, bool(why)
        self._failed.clear()

    def trouble(self, error: BtError) -> None:
        """Why there is no build: the Taskfile is broken, or something is missing."""
        self.close()
        lines = render_error(error, self._pen())
        if lines != self._trouble:  # it is told once, however often it is met
            self._trouble = lines
            self._write(*lines)

    def end(self, counts: Mapping[str, int], seconds: float, code: int, still: Iterable[JobReport]) -> None:
        """A round is over; `still`: what failed earlier and was not run again."""
        self.close()
        self._trouble = []
        if self._said or self._asked or not self._title:
            super().summary(counts, seconds, code)
        for job in still if self._said else ():
            cause = job.failure.cause if job.failure is not None else "failed"
            self._tell(f"{self._paint.red('still failed')}  {printable(job.name)}  {cause}", " " * 14)

    def waiting(self, files: int, directories: int, keys: str) -> None:
        """Nothing is to be done until something changes."""
        if self._quiet or self._waits:
            return
        what = f"{count(files, 'file')} in {count(directories, 'directory', 'directories')}"
        now = time.strftime("%H:%M:%S")
        super()._write(self._paint.dim(f"{now} waiting for changes of {what}{keys}"))
        self._waits = True

    def tell(self, text: str) -> None:
        """What somebody asked for with a key."""
        self._write(text)

    def _write(self, *lines: str) -> None:
        if not self._said:
            self._said = True
            if self._title:
                super()._write(self._title)
        self._waits = False
        super()._write(*lines)


class JsonRounds(JsonLines):
    """Events; each build ends with a `summary`."""

    def begin(self, paths: Iterable[str], why: str = "") -> None:
        """`changed`: the paths that a build is for, or what else it is for."""
        self._write("changed", paths=list(paths), **({"why": why} if why else {}))

    def trouble(self, error: BtError) -> None:
        """`error`, and a `summary` of nothing."""
        self.error(error)
        self.summary({}, 0.0, error.exit_code)

    def end(self, counts: Mapping[str, int], seconds: float, code: int, still: Iterable[JobReport]) -> None:
        """`summary`."""
        del still  # they were told when they failed
        self.summary(counts, seconds, code)

    def waiting(self, files: int, directories: int, keys: str) -> None:
        """`waiting`: how much is watched."""
        del keys
        self._write("waiting", files=files, directories=directories)

    def tell(self, text: str) -> None:
        """Nobody presses keys."""


def named(paths: list[str]) -> str:
    """The first few of some paths."""
    more = len(paths) - _SHOWN
    return ", ".join(map(printable, paths[:_SHOWN])) + (f" and {more} more" if more > 0 else "")
