"""Builds: all of it, nothing, and one source changed; and how big the state is."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path

from measured import least
from measured.found import Found, Plan, Point, Row, count, middle, ratio, time, times
from measured.processes import LIMIT, OURS, PATIENCE, Taken, TooLongError, run
from measured.projects import TOOLS, change, edges, width, write_project, write_sources

AGAIN = (
    5  # times that what takes little is done in each round: of few figures, one bad moment makes the median
)
SIZES = (100, 1000, 10_000, 100_000)
FULL_GOALS = {1000: 1.3, 10_000: 1.3}
NULL_GOALS = {1000: 3.0, 10_000: 1.7, 100_000: 0.6}
ONE_GOALS = {100_000: 1.2}
STATE_GOALS = {100_000: 60.0}


@dataclass
class Race:
    """What each tool took, by scenario, one figure for each round; and the bare machine beside it."""

    shape: str
    jobs: int
    taken: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    memory: dict[str, dict[str, float | None]] = field(default_factory=dict)
    stat: list[float] = field(default_factory=list)
    spawn: list[float] = field(default_factory=list)
    one_spawn: list[float] = field(default_factory=list)
    state: float = 0.0  # MB

    def middle(self, tool: str, scenario: str) -> float:
        """The median of the rounds."""
        return middle(self.taken[tool][scenario])


class _Track:
    """The projects of one race, on disk."""

    def __init__(self, box: Path, tools: list[str], race: Race) -> None:
        self.box, self.tools, self.race = box, tools, race
        self.changes = 0
        for tool in tools:
            race.taken[tool] = {}
            race.memory[tool] = {}

    def prepare(self, folder: Path, tool: str | None) -> None:
        """A fresh project."""
        write_sources(folder, self.race.shape, self.race.jobs)
        if tool is not None:
            write_project(folder, tool, self.race.shape, self.race.jobs)

    def lap(self, scenario: str | None, *, memory: bool = False) -> None:
        """Each tool builds once, the first of them last in the next lap."""
        self.tools.reverse()
        for tool in self.tools:
            limit = PATIENCE if tool in OURS else LIMIT
            taken = run(TOOLS[tool].build, self.box / tool, limit=limit, memory=memory)
            if scenario is not None:
                self._note(tool, scenario, taken, memory=memory)

    def _note(self, tool: str, scenario: str, taken: Taken, *, memory: bool) -> None:
        if not memory or scenario == "full":
            self.race.taken[tool].setdefault(scenario, []).append(taken.seconds)
        if memory:
            self.race.memory[tool][scenario] = taken.megabytes

    def edit(self) -> None:
        """One source of each project gets a new content."""
        self.changes += 1
        for tool in self.tools:
            change(self.box / tool, self.changes)


def race(box: Path, tools: list[str], shape: str, jobs: int, rounds: int) -> Race:
    """Let tools do the same, in turn. Full builds are repeated less often the longer they take."""
    result = Race(shape, jobs)
    track = _Track(box, list(tools), result)
    fulls = min(rounds, {10_000: 3, 100_000: 1}.get(jobs, rounds))
    bare = box / "bare"
    for number in range(rounds):
        print(f"{', '.join(tools)}: {shape}, {jobs} jobs, round {number + 1}", file=sys.stderr, flush=True)
        if number < fulls:
            for tool in tools:
                track.prepare(box / tool, tool)
            if "bt" in tools:
                track.prepare(bare, None)
            os.sync()
            track.lap("full", memory=True)
            if "bt" in tools:
                result.spawn.append(least.spawn(bare, shape, jobs))
                result.state = _state(box / "bt/.bt")
            track.lap("first")
        for _ in range(AGAIN):
            track.lap(None)
            track.lap("null")
            if "bt" in tools:
                result.stat.append(least.stat_all(_paths(bare, shape, jobs)))
                result.one_spawn.append(least.spawn(bare, "wide", 1))
            track.edit()
            track.lap("one")
            track.lap(None)  # what was just built is looked at more closely once
    track.lap(None)
    track.lap("null", memory=True)
    track.edit()
    track.lap("one", memory=True)
    for tool in [*tools, "bare"]:
        shutil.rmtree(box / tool, ignore_errors=True)
    return result


def _paths(folder: Path, shape: str, jobs: int) -> list[str]:
    sources = [f"{folder}/src/{i}" for i in range(width(shape, jobs))]
    return sources + [f"{folder}/{output}" for output, _ in edges(shape, jobs)]


def _state(folder: Path) -> float:
    """MB that a tool's memory takes on disk; what jobs printed is not part of it."""
    files = (path for path in folder.rglob("*") if path.is_file() and "log" not in path.parts[-2:-1])
    return sum(path.stat().st_size for path in files) / 1e6


def measure_wide(box: Path, plan: Plan) -> Found:
    """Builds of independent jobs, beside ninja."""
    found = Found()
    sizes = plan.sizes(*SIZES)
    for jobs in sizes:
        ours = [tool for tool in OURS if TOOLS[tool].there]
        result = race(box, ours, "wide", jobs, plan.rounds)
        found.points += _points("builds", result)
        if jobs >= 1000 or jobs == max(sizes):
            found.rows += _rows(result)
    return found


def measure_peers(box: Path, plan: Plan) -> Found:
    """The same by all other tools, once each, for the plots."""
    found = Found()
    for tool in TOOLS:
        if tool not in OURS and TOOLS[tool].there:
            _peer(box, tool, plan.sizes(*SIZES), found)
    return found


def _alone(box: Path, tool: str, jobs: int) -> Race | None:
    """One round of one tool; None if it does not finish in time."""
    try:
        return race(box, [tool], "wide", jobs, 1)
    except TooLongError:
        return None


def _peer(box: Path, tool: str, sizes: list[int], found: Found) -> None:
    """The points of another tool, once each, as far as it finishes in time."""
    rate, known = 0.0, ""  # seconds a job, of the last number of jobs
    for jobs in sizes:
        result = None if rate * jobs > LIMIT else _alone(box, tool, jobs)
        if result is None:
            remark = f"{tool} does not build {count(jobs)} jobs in {LIMIT / 60:.0f} minutes{known}"
            found.remarks.append(remark)
            shutil.rmtree(box / tool, ignore_errors=True)
            return
        taken = result.middle(tool, "full")
        rate, known = taken / jobs, f" ({time(taken)} for {count(jobs)})"
        found.points += _points("peers", result)


def measure_deep(box: Path, plan: Plan) -> Found:
    """Builds of layers of jobs."""
    found = Found()
    for jobs in plan.sizes(1000, 10_000):
        ours = [tool for tool in OURS if TOOLS[tool].there]
        found.rows.append(_full_row(race(box, ours, "deep", jobs, min(plan.rounds, 3))))
    return found


def _points(part: str, result: Race) -> list[Point]:
    return [
        Point(
            part,
            scenario,
            tool,
            result.jobs,
            result.middle(tool, scenario),
            result.memory[tool].get(scenario),
        )
        for tool in result.taken
        for scenario in ("full", "null", "one")
    ]


def _rows(result: Race) -> list[Row]:
    return [
        _full_row(result),
        _null_row(result, "first", "nothing changed, just after a build", None),
        _null_row(result, "null", "nothing changed, again", NULL_GOALS.get(result.jobs)),
        _one_row(result),
        _state_row(result),
    ]


def _row(result: Race, scenario: str, work: str, goal: float | None) -> Row:
    """A row that compares with ninja, if that is there."""
    row = Row("builds" if result.shape == "wide" else "deep", work, time(result.middle("bt", scenario)))
    if goal is not None:
        row.goal = f"≤ {goal:g} x"
    if "ninja" in result.taken:
        found = ratio(result.taken["bt"][scenario], result.taken["ninja"][scenario])
        row.beside = f"ninja: {time(result.middle('ninja', scenario))}"
        row.ratio = times(found)
        row.reached = None if goal is None else found <= goal
    return row


def _full_row(result: Race) -> Row:
    work = f"full build, {count(result.jobs)} jobs, {result.shape}"
    row = _row(result, "full", work, FULL_GOALS.get(result.jobs))
    row.least = f"{time(middle(result.spawn))}: the bare commands"
    return row


def _null_row(result: Race, scenario: str, work: str, goal: float | None) -> Row:
    row = _row(result, scenario, f"{work}, {count(result.jobs)} jobs", goal)
    row.least = f"{time(middle(result.stat))}: `stat` of {count(2 * result.jobs)} files"
    return row


def _one_row(result: Race) -> Row:
    row = _row(result, "one", f"one source changed, {count(result.jobs)} jobs", None)
    job = middle(result.one_spawn)
    base = [null + job for null in result.taken["bt"]["null"]]
    own = ratio(result.taken["bt"]["one"], base)
    row.beside = f"nothing changed, and the job: {time(middle(base))}; {row.beside}"
    row.ratio = f"{times(own)}; {row.ratio}"
    goal = ONE_GOALS.get(result.jobs)
    if goal is not None:
        row.goal, row.reached = f"≤ {goal:g} x", own <= goal
    row.least = f"{time(middle(result.stat) + job)}: `stat` of all, one command"
    return row


def _state_row(result: Race) -> Row:
    goal = STATE_GOALS.get(result.jobs)
    names = sum(len(path) for path in _paths(Path(), "wide", result.jobs))
    digests = 2 * 16 * result.jobs
    return Row(
        "builds",
        f"state of {count(result.jobs)} jobs on disk",
        f"{result.state:.1f} MB",
        goal="—" if goal is None else f"≤ {goal:g} MB",
        reached=None if goal is None else result.state <= goal,
        least=f"{(names + digests) / 1e6:.1f} MB: names and digests",
    )
