"""When what a build has found out is written to the state, and told: what came out at about one time, as one.

Does not know why a job came out as it did.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager

from buildtool.executors.processes import start_stamp
from buildtool.graph import JobId
from buildtool.perform.performer import Performer
from buildtool.report.model import JobReport, Reporter
from buildtool.state.records import HistoryRecord
from buildtool.text import printable

NOTED = 0.1  # seconds until a running job's process is known to the state: most jobs are done by then
COMMITS = 16  # that may follow each other without a pause
PAUSE = 0.05  # seconds; where jobs end faster than that, those that end meanwhile are written down together

Span = Callable[[str, str], AbstractContextManager[None]]


class Commits:
    """Of one build. `span`: what is done inside of it, for those who want to know when."""

    def __init__(self, performer: Performer, reporter: Reporter, span: Span) -> None:
        self._performer = performer
        self._state = performer.state
        self._checker = performer.checker
        self._reporter = reporter
        self._span = span
        self._history: list[HistoryRecord] = []
        self._untold: list[tuple[JobReport, tuple[str, ...]]] = []
        self._dirty = False  # something is not committed
        self._credit: float = COMMITS  # commits that may be made at once
        self._written = 0.0  # when the last one was
        self._write_at: float | None = None  # when the next one is to be
        self._unwritten: set[JobId] = set()  # jobs that came out, which is not committed
        # Processes of jobs that the state is to know of: pid, stamp if it is known, and when. In order of time.
        self._unnoted: dict[str, tuple[int, str | None, float]] = {}

    def touch(self) -> None:
        """Something is to be committed."""
        self._dirty = True

    def came_out(
        self, job: JobId, report: JobReport, notes: tuple[str, ...], entry: HistoryRecord | None
    ) -> None:
        """A job came out, which is told once it is committed; with what the history is to say of it."""
        if self._dirty:
            self._unwritten.add(job)
        self._untold.append((report, notes))
        if entry is not None:
            self._history.append(entry)

    def lacks(self, jobs: Iterable[JobId]) -> bool:
        """Whether one of these came out well, and would be lost if `bt` were killed now."""
        return not self._unwritten.isdisjoint(jobs)

    @property
    def is_up_to_date(self) -> bool:
        """Whether nobody came out since the last commit."""
        return not self._unwritten

    def note_process(self, key: str, pid: int, stamp: str | None) -> None:
        """A job runs in this process, which the state is to know of, if that takes a while."""
        self._unnoted[key] = (pid, stamp, time.monotonic() + NOTED)

    def forget_process(self, key: str) -> None:
        """A job has ended."""
        self._unnoted.pop(key, None)

    def deadlines(self) -> tuple[float | None, float | None]:
        """When `commit` must be called at the latest, for either of its reasons."""
        return self._write_at, next((at for _, _, at in self._unnoted.values()), None)

    def commit(self) -> None:
        """Make what has finished durable, all that finished together as one, and announce it.

        Where jobs end one after another in no time, this waits a moment for more of them.
        """
        now = time.monotonic()
        self._note_processes(now)
        if not self._dirty:
            self._tell_finished()
            return
        self._credit = min(COMMITS, self._credit + (now - self._written) / PAUSE)
        self._written = now
        if self._credit >= 1.0:
            self.write()
        else:
            self._write_at = now + (1.0 - self._credit) * PAUSE

    def _note_processes(self, now: float) -> None:
        """Let the state know of processes that have run for a while."""
        while self._unnoted:
            key, (pid, stamp, at) = next(iter(self._unnoted.items()))
            if at > now:
                return
            del self._unnoted[key]
            self._state.set_process(key, pid, stamp or start_stamp(pid))

    def _tell_finished(self) -> None:
        """Announce the jobs that came out; what they made is durable by now."""
        for report, notes in self._untold:
            for note in notes:
                self._reporter.warning(f"`{printable(report.name)}`: {note}")
            self._reporter.finished(report)
        self._untold.clear()

    def write(self) -> None:
        """Commit now."""
        with self._span("write the state", "state"):
            self._write()

    def _write(self) -> None:
        disk, meanings, texts = self._performer.disk, self._checker.meanings, self._performer.texts
        self._state.remember(disk.fresh)
        self._state.add_meanings(meanings.fresh)
        self._state.add_history(self._history)
        self._state.add_contents(texts.fresh)
        texts.fresh.clear()
        disk.sync()  # what is recorded is there, after a power cut, too
        self._state.commit()
        disk.fresh.clear()
        meanings.fresh.clear()
        self._history.clear()
        self._tell_finished()
        self._performer.sweep()
        self._dirty = False
        self._unwritten.clear()
        self._credit = max(0.0, self._credit - 1.0)
        self._write_at = None
