"""The state of a project, task by task."""

from __future__ import annotations

import time
from collections.abc import Mapping

from buildtool.report.paint import Paint
from buildtool.state.lock import Holder
from buildtool.state.records import BuildRecord
from buildtool.text import duration, printable

# `waiting`: stale only if a job before it makes something else.
STATES = ("running", "failed", "stale", "waiting", "fresh")


def render_status(
    table: Mapping[str, Mapping[str, int]], holder: Holder | None, last: BuildRecord | None, paint: Paint
) -> list[str]:
    """One line a task, then the build under way or the last one."""
    width = max((len(name) for name in table), default=0)
    colours = {"running": paint.bold, "failed": paint.red, "stale": paint.yellow, "waiting": paint.cyan}
    lines = []
    for task, counts in table.items():
        words = [
            colours.get(state, paint.green)(f"{counts[state]} {state}") for state in STATES if counts[state]
        ]
        lines += paint.fold(f"{task:<{width}}  {', '.join(words)}", " " * (width + 2))
    if not table:
        lines.append("no jobs")
    if holder is not None:
        lines += paint.fold(under_way(holder), "  ")
    elif last is not None and last.ended is not None:
        ago = duration(max(0.0, time.time() - last.ended))
        lines += paint.fold(f"last build: number {last.number}, {ago} ago, exit code {last.exit_code}", "  ")
    elif last is not None:
        lines.append(f"last build: number {last.number}, which was cut short")
    return lines


def under_way(holder: Holder) -> str:
    """Who builds at this moment."""
    since = f", for {duration(holder.age)}" if holder.pid else ""
    return f"under way: `{printable(holder.command)}` (pid {holder.pid}{since})"
