"""Plain lines for GitHub Actions: what failed is marked where it is written, and long words are folded.

The commands are those of its runner: `::error file=…,line=…::…`, `::warning::…`, `::group::…`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from buildtool.errors import BtError, Place, Problems
from buildtool.report.model import JobReport
from buildtool.report.plain import Plain, closing, render_failure
from buildtool.text import printable


class Github(Plain):
    """Writes to a log of GitHub Actions."""

    def warning(self, text: str) -> None:
        """A warning of the run."""
        self.has_remarked = True
        self._command(f"::warning::{_data(text)}")

    def summary(self, counts: Mapping[str, int], seconds: float, exit_code: int) -> None:
        """Each failure as an error at its task, with all else about it folded; then the closing sentence."""
        for job in self._failed:
            self._command(f"::group::{printable(job.name)}")
            self._write(*render_failure(job, self._paint)[1:])
            self._command("::endgroup::", _error(job))
        self._write(closing(counts, seconds, exit_code))

    def _command(self, *lines: str) -> None:
        super()._emit("".join(f"{line}\n" for line in lines))

    def _emit(self, text: str) -> None:
        """Write whole lines, none of which is a command: names and what jobs print are anybody's."""
        super()._emit(inert(text))


def inert(text: str) -> str:
    """Whole lines, none of which the runner takes for a command: it looks for `::` behind blanks, `##[` anywhere."""
    if not any(line.lstrip().startswith("::") or "##[" in line for line in text.splitlines()):
        return text
    token = os.urandom(16).hex()  # nobody can guess how to start them again
    return f"::stop-commands::{token}\n{text}::{token}::\n"


def marks(error: BtError) -> list[str]:
    """The commands that mark an error, or each of several, where it is in the files; none for one without a place."""
    errors = error.errors if isinstance(error, Problems) else [error]
    return [
        f"::error {_where(one.place)}col={one.place.column}::{_data(one.summary)}"
        for one in errors
        if one.place is not None
    ]


def _where(place: Place) -> str:
    return f"file={_property(_below_workspace(place.file))},line={place.line},"


def _error(job: JobReport) -> str:
    failure = job.failure
    where = _where(failure.place) if failure is not None and failure.place is not None else ""
    cause = failure.cause if failure is not None else "failed"
    return f"::error {where}title={_property(printable(job.name))}::{_data(cause)}"


def _below_workspace(path: str) -> str:
    """The path as the repository has it."""
    root = os.environ.get("GITHUB_WORKSPACE")
    whole = os.path.abspath(path)
    return os.path.relpath(whole, root) if root and whole.startswith(root.rstrip("/") + "/") else path


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
