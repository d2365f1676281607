"""Past builds and what jobs did in them. Does not know where the records come from."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from buildtool.report.layout import table
from buildtool.report.paint import Paint
from buildtool.report.plain import ORDER
from buildtool.state.records import BuildRecord, HistoryRecord
from buildtool.text import duration, printable


def render_builds(builds: Sequence[BuildRecord], running: int | None, now: float, paint: Paint) -> list[str]:
    """A row for each build; `running` is the number of the one that is under way."""
    rows = [
        (
            str(build.number),
            moment(build.started),
            _length(build, running, now),
            _result(build, running, paint),
            _counts(build),
            printable(build.command),
        )
        for build in builds
    ]
    return _table(("build", "began", "took", "exit", "jobs", "command"), rows, paint)


def render_entries(entries: Sequence[HistoryRecord], paint: Paint, *, with_build: bool) -> list[str]:
    """A row for each thing that a job did; its reasons stand below each other."""
    colours = {"ran": paint.green, "failed": paint.red, "skipped": paint.yellow}

    def word(status: str) -> str:
        return colours.get(status, paint.cyan)(status)

    rows = []
    for entry in entries:
        reasons = "\n".join(printable(reason) for reason in entry.reasons)
        head = (str(entry.build),) if with_build else ()
        when, took = moment(entry.ended), duration(entry.seconds)
        rows.append((*head, when, word(entry.status), took, printable(entry.name), reasons))
    title = ("build",) if with_build else ()
    return _table((*title, "ended", "result", "took", "job", "because"), rows, paint)


def build_data(build: BuildRecord, running: int | None) -> dict[str, Any]:
    """A build for programs."""
    return {
        **build._asdict(),
        "seconds": None if build.ended is None else round(max(0.0, build.ended - build.started), 6),
        "running": build.number == running,
    }


def entry_data(entry: HistoryRecord) -> dict[str, Any]:
    """What a job did, for programs."""
    found = entry._asdict()
    return {"build": found.pop("build"), "job": found.pop("name"), **found}


def moment(seconds: float) -> str:
    """A time of the clock, in the local time zone."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


def _length(build: BuildRecord, running: int | None, now: float) -> str:
    end = now if build.number == running else build.ended
    return "" if end is None else duration(max(0.0, end - build.started))


def _result(build: BuildRecord, running: int | None, paint: Paint) -> str:
    if build.number == running:
        return "running"
    if build.exit_code is None:
        return paint.red("broken off")
    return paint.red(str(build.exit_code)) if build.exit_code else "0"


def _counts(build: BuildRecord) -> str:
    return ", ".join(f"{build.counts[s]} {s}" for s in ORDER if build.counts.get(s)) or "-"


def _table(titles: tuple[str, ...], rows: Sequence[tuple[str, ...]], paint: Paint) -> list[str]:
    head, *found = table(titles, rows, paint.width)
    return [*map(paint.dim, head), *(line for row in found for line in row)]
