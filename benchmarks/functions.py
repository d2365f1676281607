#!/usr/bin/env python3
"""Time tiny Python functions as tasks: each reads one small file and writes another.

    python benchmarks/functions.py [--jobs 1000] [--rounds 3] [--only bt,pytask]

Beside each other in every round, two jobs at a time: a bare `ProcessPoolExecutor.map` over the same function, `bt` with
each of its executors, pytask with pytask-parallel (loky), and Snakemake with `run:`. Peers that are not on the PATH are
left out. Figures are wall seconds of the whole process, medians over the rounds, and how many times as long as the
bare pool (taken round by round, so that a machine whose speed drifts does not matter). `start` is a first build with
one job. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

STEPS = """
def shout(input, output):
    output.write_text(input.read_text().upper())
"""
BARE = """
import os, sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
import steps

def one(number):
    steps.shout(Path(f"in/{number}.txt"), Path(f"out/{number}.txt"))

if __name__ == "__main__":
    os.makedirs("out", exist_ok=True)
    with ProcessPoolExecutor(2) as pool:
        list(pool.map(one, range(len(os.listdir("in")))))
"""
BT = """
[tasks.shout]
inputs = "in/{n}.txt"
outputs = "out/{n}.txt"
call = "steps:shout"
"""
PYTASK = """
import os
from pathlib import Path
from typing import Annotated
from pytask import Product, task

for number in range(len(os.listdir("in"))):
    @task(id=str(number))
    def task_shout(
        source: Path = Path(f"in/{number}.txt").absolute(),
        made: Annotated[Path, Product] = Path(f"out/{number}.txt").absolute(),
    ):
        made.parent.mkdir(exist_ok=True)
        made.write_text(source.read_text().upper())
"""
SNAKE = """
import os
from pathlib import Path
rule all:
    input: expand("out/{n}.txt", n=range(len(os.listdir("in"))))
rule shout:
    input: "in/{n}.txt"
    output: "out/{n}.txt"
    run: Path(output[0]).write_text(Path(input[0]).read_text().upper())
"""
FILES = {
    "steps.py": STEPS,
    "bare.py": BARE,
    "Taskfile.toml": BT,
    "task_shout.py": PYTASK,
    "Snakefile": SNAKE,
}
_BUILD = ["bt", "build", "-q", "-j2", "-e"]
TOOLS = {
    "bare pool": [sys.executable, "bare.py"],
    **{f"bt, `{name}`": [*_BUILD, name] for name in ("local", "threads", "processes", "loky")},
    "pytask, loky": ["pytask", "build", "-n", "2", "--parallel-backend", "loky", "--verbose", "0", "."],
    "Snakemake, `run:`": ["snakemake", "-j2", "-q", "all"],
}


def prepare(folder: Path, jobs: int) -> None:
    """Write a fresh project."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "in").mkdir(parents=True)
    for number in range(jobs):
        (folder / f"in/{number}.txt").write_text(f"text {number}\n")
    for name, text in FILES.items():
        (folder / name).write_text(text)


def seconds(folder: Path, command: list[str], jobs: int) -> float:
    """Run a command in a fresh project; it must make everything."""
    prepare(folder, jobs)
    begun = time.perf_counter()
    subprocess.run(
        command,
        cwd=folder,
        check=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    taken = time.perf_counter() - begun
    assert len(os.listdir(folder / "out")) == jobs, command  # noqa: S101  a benchmark of nothing is worse than none
    return taken


def main() -> None:
    """Measure and print."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # compiled modules are kept, as where tools are used
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="parts of names, with commas")
    given = parser.parse_args()
    wanted = [word for word in given.only.split(",") if word]
    tools = {
        name: command
        for name, command in TOOLS.items()
        if shutil.which(command[0]) and (not wanted or name == "bare pool" or any(w in name for w in wanted))
    }
    taken: dict[str, list[float]] = {name: [] for name in tools}
    start: dict[str, list[float]] = {name: [] for name in tools}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(given.rounds):
            for name, command in tools.items():
                taken[name].append(seconds(Path(folder) / "p", command, given.jobs))
                start[name].append(seconds(Path(folder) / "p", command, 1))
    print(f"| {given.jobs} functions | seconds | times the bare pool | functions per second | start |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for name in tools:
        middle = statistics.median(taken[name])
        ratio = statistics.median(a / b for a, b in zip(taken[name], taken["bare pool"], strict=True))
        begin = statistics.median(start[name])
        print(f"| {name} | {middle:.2f} | {ratio:.1f} | {given.jobs / middle:.0f} | {begin:.2f} s |")


if __name__ == "__main__":
    main()
