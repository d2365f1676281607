"""Plain lines: one for each job that did something, failures once more at the end, one closing sentence."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TextIO

from buildtool.errors import BtError, ExitCode
from buildtool.report.model import Failure, JobReport
from buildtool.report.outlet import Outlet
from buildtool.report.paint import Paint
from buildtool.text import duration, printable, visible

ORDER = ("ran", "unchanged", "restored", "fresh", "failed", "skipped")
HELD = 1 << 20  # bytes of output kept for later of one job; all of it is in the log
BROKEN_OFF: Mapping[int, str] = {ExitCode.INTERRUPTED: "interrupted", ExitCode.TERMINATED: "terminated"}
_RARELY = 60.0  # seconds
_NONE = Paint()
_INDENT = " " * 11  # where the names of jobs stand
WORDS = {"unchanged": "unchanged after running"}


class Plain:
    """Writes to a text stream. `quiet`: failures and the closing sentence only; `verbose`: outputs, too."""

    def __init__(self, stream: TextIO, paint: Paint, *, quiet: bool = False, verbose: bool = False) -> None:
        self._outlet = Outlet(stream)
        self._paint = paint
        self._quiet = quiet
        self._verbose = verbose
        self._failed: list[JobReport] = []
        self._speaker: str | None = None  # whose output is printed as it comes
        self._held: dict[str, bytearray] = {}
        self._again_at = 0.0
        self.has_remarked = False
        self.is_watched = False

    @property
    def gone(self) -> BtError | None:
        """Why nothing more can be written."""
        return self._outlet.gone

    def planned(self, jobs: int, targets: tuple[str, ...]) -> None:
        """Nothing is said before something happens."""

    def started(self, job: JobReport) -> None:
        """A job is told of when it has come out; with `verbose` also when it starts."""
        if self._verbose:
            self._tell(f"{self._paint.dim('start')}      {printable(job.name)}{_because(job)}", _INDENT)

    def output(self, job: JobReport, data: bytes) -> None:
        """What commands print, as it comes if one runs alone, else when it ends; with `verbose` also other jobs'."""
        if job.kind != "command" and not self._verbose:
            return
        if self._speaker is None:
            self._speaker = job.name
        held = self._held.setdefault(job.name, bytearray())
        held += data
        if self._speaker == job.name:
            end = held.rfind(b"\n") + 1 or (len(held) if len(held) > HELD else 0)  # a line may have no end
            if end:
                self._say(bytes(held[:end]))
                del held[:end]
        elif len(held) > HELD:
            del held[: len(held) - HELD]

    def _end_output(self, job: JobReport) -> None:
        """Print what is left of a job's output, and let the next one speak."""
        held = self._held.pop(job.name, None)
        if held:
            self._say(bytes(held))
        if self._speaker == job.name:
            self._speaker = None

    def _say(self, data: bytes) -> None:
        self._emit(indented(data.decode("utf-8", "replace")))

    def over(self, job: JobReport) -> None:
        """It is told of once it is known how it came out."""

    def finished(self, job: JobReport) -> None:
        """One line for a job that did something."""
        self._end_output(job)
        if job.status == "failed":
            self._failed.append(job)
            cause = job.failure.cause if job.failure is not None else ""
            self._tell(f"{self._paint.red('failed')}     {printable(job.name)}  {cause}", _INDENT)
            return
        if self._quiet or job.status == "fresh":
            return
        if job.status == "skipped":
            because = f"  {printable(job.failure.cause)}" if job.failure is not None else ""
            self._tell(f"{self._paint.yellow('skipped')}    {printable(job.name)}{because}", _INDENT)
            return
        word = f"{job.status:<9}"
        painted = self._paint.green(word) if job.status == "ran" else self._paint.cyan(word)
        time = self._paint.dim(duration(job.seconds))
        self._tell(f"{painted}  {printable(job.name)}{_because(job)}  {time}", _INDENT)

    def warning(self, text: str) -> None:
        """A warning, on a line of its own."""
        self.has_remarked = True
        self._tell(f"{self._paint.yellow('warning:')} {text}")

    def note(self, text: str) -> None:
        """A remark, unless quiet."""
        self.has_remarked = True
        if not self._quiet:
            self._tell(f"{self._paint.cyan('note:')} {text}")

    def doing(self, text: str) -> None:
        """What is new is told once a minute at most."""
        if text and not self._quiet and time.monotonic() >= self._again_at:
            self._again_at = time.monotonic() + _RARELY
            self.note(text)

    def left(self, seconds: float | None) -> None:
        """Nobody looks at plain lines to see how long it will take."""

    def reading(self, path: str, done: int, whole: int) -> None:
        """Nor at what is read."""

    def close(self) -> None:
        """Nothing is drawn."""

    def summary(self, counts: Mapping[str, int], seconds: float, exit_code: int) -> None:
        """Failures once more, then the closing sentence."""
        paint = self._pen()
        lines = [line for job in self._failed for line in render_failure(job, paint)]
        self._write(*lines, *[""] * bool(lines), *paint.fold(closing(counts, seconds, exit_code, paint)))

    def _pen(self) -> Paint:
        """Colours, and the width of the terminal at this moment."""
        return self._paint._replace(width=self._outlet.width)

    def _tell(self, text: str, indent: str = "  ") -> None:
        """Write a text, folded where there is a terminal."""
        self._write(*self._pen().fold(text, indent))

    def _write(self, *lines: str) -> None:
        self._emit("".join(f"{line}\n" for line in lines))

    def _emit(self, text: str) -> None:
        """Write whole lines."""
        self._outlet.write(text)


def indented(text: str) -> str:
    """Lines of a job's output, safe to show. They can be millions: those with nothing to escape go by as one."""
    plain = text.replace("\t", "    ").removesuffix("\n")
    if plain.replace("\n", "").isprintable():
        return "  " + plain.replace("\n", "\n  ") + "\n"
    return "".join(f"  {visible(line)}\n" for line in text.splitlines())


def _because(job: JobReport) -> str:
    if not job.reasons:
        return ""
    more = f" and {len(job.reasons) - 1} more" if len(job.reasons) > 1 else ""
    return f"  ({job.reasons[0]}{more})"


def closing(counts: Mapping[str, int], seconds: float, exit_code: int = 0, paint: Paint = _NONE) -> str:
    """The sentence at the end: `12 ran, 3 unchanged after running, 985 fresh, 1 failed in 4.2 s`."""
    broken_off = f"{BROKEN_OFF[exit_code]}: " if exit_code in BROKEN_OFF else ""
    return f"{broken_off}{counted(counts, paint)} in {duration(seconds)}"


def counted(counts: Mapping[str, int], paint: Paint = _NONE) -> str:
    """How many jobs came out how: `12 ran, 985 fresh`."""
    words = {
        status: f"{counts[status]} {WORDS.get(status, status)}" for status in ORDER if counts.get(status)
    }
    if "failed" in words:
        words["failed"] = paint.red(words["failed"])
    return ", ".join(words.values()) or "nothing to do"


def render_failure(job: JobReport, paint: Paint) -> list[str]:
    """All that helps to mend a failed job. What may be copied, and what the job printed, is not folded."""
    failure = job.failure or Failure("failed")
    values = " ".join(f"{name}={printable(value)}" for name, value in job.wildcards.items())
    lines = ["", *paint.fold(paint.red(f"{printable(job.name)}: {failure.cause}"), "  ")]
    lines += [line for detail in failure.details for line in paint.fold(f"  {detail}", "    ")]
    if values:
        lines += paint.fold(f"  {'wildcards':<10} {values}", " " * 13)
    if failure.command is not None:
        first, *rest = failure.command.strip("\n").split("\n")
        lines.append(f"  {'command':<10} {printable(first)}")
        lines += [f"  {'':<10} {printable(line)}" for line in rest]
    if failure.place is not None:
        lines.append(f"  {'task':<10} {failure.place.file}:{failure.place.line}")
    if failure.log is not None:
        lines.append(f"  {'log':<10} {failure.log}")
    if failure.again is not None:
        lines.append(f"  {'again':<10} {failure.again}")
    if failure.by_hand is not None:
        lines.append(f"  {'by hand':<10} {failure.by_hand}")
    if failure.tail:
        lines.append(f"  {paint.dim('last lines of its output:')}")
        lines += [f"    {visible(line)}" for line in failure.tail]
    return lines
