"""Processes that stay up while a project is watched, one for each `serve` job; each ends when the watch does.

Does not know when one is to be started again.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass

from buildtool.executors.commands import Commands
from buildtool.executors.protocol import Ended, Event, Output, Work
from buildtool.fingerprint import Item
from buildtool.report.model import JobReport

_PACKAGE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_START = f"import sys; sys.path.append({_PACKAGE!r}); from buildtool.runtime.lifeline import start; start()"


@dataclass(slots=True)
class Served:
    """A job whose process is up, or was."""

    report: JobReport
    items: tuple[Item, ...]  # what it was started with
    work: int
    up: bool = True
    next: tuple[JobReport, tuple[Item, ...], Work] | None = None  # to be started when this one has ended


class Services:
    """The processes, by the key of their job."""

    def __init__(self, mask: tuple[bytes, ...] = ()) -> None:
        self._commands = Commands(mask=mask, spawner_after=None)
        self._served: dict[str, Served] = {}
        self._numbers = 0

    def fileno(self) -> int:
        """Readable when one of them has written or ended."""
        return self._commands.fileno()

    def deadline(self) -> float | None:
        """When `events` must be called at the latest."""
        return self._commands.deadline()

    def is_up_to_date(self, key: str, items: tuple[Item, ...]) -> bool:
        """Whether the job's process was started with just these, or is about to be; an ended one counts, too."""
        served = self._served.get(key)
        if served is None:
            return False
        return items == (served.next[1] if served.next is not None else served.items)

    def start(self, key: str, report: JobReport, items: tuple[Item, ...], work: Work) -> bool:
        """Start a job's process, when an earlier one has ended; whether there was one that is up."""
        served = self._served.get(key)
        self._numbers += 1
        argv = (sys.executable, "-S", "-P", "-c", _START, str(os.getpid()), *work.argv)
        work = work._replace(id=self._numbers, argv=argv, timeout=None)
        if served is not None and served.up:
            served.next = (report, items, work)
            self._commands.cancel(served.work)
            return True
        self._served[key] = Served(report, items, work.id)
        self._commands.submit(work)
        return False

    def keep(self, keys: set[str]) -> None:
        """End those of other jobs: no task has them any more."""
        for key, served in self._served.items():
            if key not in keys and served.up:
                served.next = None
                self._commands.cancel(served.work)

    def events(self) -> list[tuple[JobReport, Event]]:
        """What they wrote, and which of them ended although nobody told them to."""
        found: list[tuple[JobReport, Event]] = []
        for event in self._commands.events():
            known = next(
                ((k, s) for k, s in self._served.items() if s.work == getattr(event, "id", None)), None
            )
            if known is None:
                continue
            key, served = known
            if isinstance(event, Output):
                found.append((served.report, event))
            elif isinstance(event, Ended):
                served.up = False
                if served.next is not None:
                    report, items, work = served.next
                    self._served[key] = Served(report, items, work.id)
                    self._commands.submit(work)
                elif not event.cancelled:
                    found.append((served.report, event))
        return found

    def close(self) -> None:
        """End them all."""
        self._commands.close()
