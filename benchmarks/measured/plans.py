"""Planning: what would be done in a project where nothing was done yet."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from measured import least
from measured.found import Found, Plan, Point, Row, count, middle, ratio, time, times
from measured.processes import LIMIT, OURS, PATIENCE, TooLongError, run
from measured.projects import TOOLS, write_project, write_sources

SIZES = (100, 1000, 10_000, 100_000)
MILLION = 1_000_000
GOALS = {100_000: (5.0, 500.0), MILLION: (60.0, None)}  # seconds, MB


def measure(box: Path, plan: Plan) -> Found:
    """Dry runs of all tools that know them; a million jobs with `--long`, by `bt` and ninja alone."""
    found = Found()
    sizes = plan.sizes(*SIZES)
    tools = [name for name, tool in TOOLS.items() if tool.plan is not None and tool.there]
    for jobs in [*sizes, MILLION] if plan.long else sizes:
        if jobs == MILLION:
            tools = [name for name in tools if name in OURS]
        found.points += _size(box, tools, jobs, min(plan.rounds, 3) if jobs < MILLION else 1, found)
    return found


def _size(box: Path, tools: list[str], jobs: int, rounds: int, found: Found) -> list[Point]:
    """One number of jobs. A tool that takes too long is taken out of `tools`."""
    folder = box / "plan"
    write_sources(folder, "wide", jobs)
    for tool in tools:
        write_project(folder, tool, "wide", jobs)
    os.sync()
    seconds: dict[str, list[float]] = {tool: [] for tool in tools}
    memory: dict[str, float | None] = {}
    scans = []
    for number in range(rounds):
        print(f"plan: {jobs} jobs, round {number + 1}", file=sys.stderr, flush=True)
        scans.append(least.scan(folder / "src"))
        for tool in list(tools):
            if number and tool not in OURS:
                continue  # for a plot, once is enough
            command = TOOLS[tool].plan
            assert command is not None  # noqa: S101  only such were asked for
            try:
                taken = run(command, folder, limit=PATIENCE if tool in OURS else LIMIT, memory=True)
            except TooLongError:
                tools.remove(tool)
                del seconds[tool]
                found.remarks.append(f"{tool} does not plan {count(jobs)} jobs in {LIMIT / 60:.0f} minutes")
                continue
            seconds[tool].append(taken.seconds)
            memory[tool] = taken.megabytes
    shutil.rmtree(folder)
    if jobs >= 1000 or jobs < min(SIZES):
        found.rows.append(_row(jobs, seconds, memory["bt"], middle(scans)))
    for tool, taken_by in seconds.items():
        if middle(taken_by) * 10 > LIMIT and tool in tools and tool not in OURS:
            tools.remove(tool)
            found.remarks.append(
                f"{tool} plans {count(jobs)} jobs in {time(middle(taken_by))}, and was not asked about more"
            )
    return [Point("plan", "plan", tool, jobs, middle(taken), memory[tool]) for tool, taken in seconds.items()]


def _row(jobs: int, seconds: dict[str, list[float]], memory: float | None, scan: float) -> Row:
    own = middle(seconds["bt"])
    row = Row("plan", f"first plan, {count(jobs)} jobs of one rule", time(own))
    if memory is not None:
        row.own += f", {memory:.0f} MB"
    if "ninja" in seconds:
        row.beside = f"ninja: {time(middle(seconds['ninja']))}"
        row.ratio = times(ratio(seconds["bt"], seconds["ninja"]))
    row.least = f"{time(scan)}: the list of the sources"
    if jobs in GOALS:
        most, room = GOALS[jobs]
        row.goal = f"≤ {most:g} s" + (f", ≤ {room:g} MB" if room else "")
        row.reached = own <= most and (room is None or memory is None or memory <= room)
    return row
