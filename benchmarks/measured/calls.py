"""Tiny Python functions: `bt`, a bare pool of processes, pytask."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import functions
from measured.found import Found, Plan, Row, count, middle, ratio, time, times

LOOP = """
import os
from pathlib import Path
import steps
os.makedirs("out")
for number in range(len(os.listdir("in"))):
    steps.shout(Path(f"in/{number}.txt"), Path(f"out/{number}.txt"))
"""
POOL_GOAL = 2.0
PYTASK_GOAL = 20.0
ENOUGH = 1000  # functions: with fewer, the start is what is timed


def measure(box: Path, plan: Plan) -> Found:
    """Two rows: beside the pool, and beside pytask, which is given fewer functions."""
    jobs = plan.at_most(10_000, 1000)
    few = plan.at_most(1000, 300)
    folder = box / "functions"
    tools = {
        "local": functions.TOOLS["bt, `local`"],
        "pool": functions.TOOLS["bare pool"],
        "loop": [sys.executable, "-c", LOOP],
    }
    taken: dict[str, list[float]] = {name: [] for name in tools}
    pytask = functions.TOOLS["pytask, loky"]
    rates = []
    for number in range(plan.rounds):
        print(f"functions: {jobs}, round {number + 1}", file=sys.stderr, flush=True)
        for name, command in tools.items():
            taken[name].append(functions.seconds(folder, command, jobs))
        if number == 0 and shutil.which(pytask[0]):
            rates.append(few / functions.seconds(folder, pytask, few))
    own = middle(taken["local"])
    found = ratio(taken["local"], taken["pool"])
    least = f"{time(middle(taken['loop']))}: a loop that calls them"
    work = f"{count(jobs)} tiny functions, `local`"
    pool = f"`ProcessPoolExecutor.map`: {time(middle(taken['pool']))}"
    rows = [Row("functions", work, time(own), pool, times(found), least=least)]
    if jobs >= ENOUGH:
        rows[0].goal, rows[0].reached = f"≤ {POOL_GOAL:g} x", found <= POOL_GOAL
    if rates:
        faster = jobs / own / rates[0]
        beside = f"pytask-parallel, of {count(few)}: {rates[0]:.0f} a second"
        least = f"{jobs / middle(taken['loop']):.0f} a second: a loop that calls them"
        row = Row(
            "functions", f"{work}: rate", f"{jobs / own:.0f} a second", beside, times(faster), least=least
        )
        if jobs >= ENOUGH:
            row.goal, row.reached = f"≥ {PYTASK_GOAL:g} x", faster >= PYTASK_GOAL
        rows.append(row)
    shutil.rmtree(folder)
    return Found(rows)
