"""How soon `bt` answers: help, and completion in the shell."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from time import sleep

from measured.found import Found, Plan, Row, count, middle, time
from measured.processes import run
from measured.projects import BT, write_project, write_sources

GOAL = 0.12
BARE = [sys.executable, "-I", "-c", "pass"]


def measure(box: Path, plan: Plan) -> Found:
    """Two rows."""
    folder = box / "start"
    jobs = plan.at_most(1000)
    write_sources(folder, "wide", jobs)
    write_project(folder, "bt", "wide", jobs)
    run([*BT, "build", "-q"], folder)
    asked = {"COMP_WORDS": "bt\nbuild\nc", "COMP_CWORD": "2", "_BT_COMPLETE": "bash_complete"}
    ways = {"help": ([*BT, "--help"], None), "completion": (BT, asked), "bare": (BARE, None)}
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(2):  # the first time, names are looked for and noted
        sleep(0.1)  # of files that are just written nothing is noted
        run(BT, folder, env=asked)
    for _ in range(plan.rounds * 3):
        for name, (command, env) in ways.items():
            taken[name].append(run(command, folder, env=env).seconds)
    shutil.rmtree(folder)
    works = {"help": "`bt --help`", "completion": f"completion of a target, {count(jobs)} jobs"}
    return Found([_row(work, middle(taken[name]), middle(taken["bare"])) for name, work in works.items()])


def _row(work: str, own: float, bare: float) -> Row:
    row = Row("help", work, time(own), goal=f"≤ {GOAL * 1000:.0f} ms", reached=own <= GOAL)
    row.least = f"{time(bare)}: Python starts"
    return row
