#!/usr/bin/env python3
"""Time `bt` beside other build tools on the same project: N jobs, each a `cp` of one source file.

    python benchmarks/side_by_side.py [--jobs 1000] [--rounds 5] [--tools make,ninja,bt]

In each round every tool does, one tool after the other, in turn:
  full   a first build, two jobs at a time
  first  nothing changed, just after that build
  null   nothing changed, again
  one    one source changed
Figures are wall seconds of the whole process, medians over the rounds, and the ratio to ninja, taken round by round so
that a machine whose speed drifts does not matter. Tools that are not installed are left out. Prints a Markdown table.
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

SCENARIOS = ("full", "first", "null", "one")
BT = """
[tasks.cp]
inputs = "src/{i}"
outputs = "out/{i}"
run = "cp {input} {output}"
"""
SNAKE = """
rule all:
    input: expand("out/{{i}}", i=range({jobs}))
rule cp:
    input: "src/{{i}}"
    output: "out/{{i}}"
    shell: "cp {{input}} {{output}}"
"""


def make_file(jobs: int) -> str:
    """The project for make: one rule a file, as its recipes know no names of directories."""
    rules = "".join(f"out/{i}: src/{i}\n\t@cp src/{i} out/{i}\n" for i in range(jobs))
    return "all: " + " ".join(f"out/{i}" for i in range(jobs)) + "\n" + rules


def ninja_file(jobs: int) -> str:
    """The project for ninja, which is meant to be generated."""
    builds = "".join(f"build out/{i}: cp src/{i}\n" for i in range(jobs))
    return "rule cp\n command = cp $in $out\n" + builds


# name: (file, its text for N jobs, command)
TOOLS = {
    "make": ("Makefile", make_file, ["make", "-rRs", "-j2"]),
    "ninja": ("build.ninja", ninja_file, ["ninja", "--quiet", "-j2"]),
    "bt": ("Taskfile.toml", lambda _jobs: BT, [sys.executable, "-m", "buildtool", "build", "-q", "-j2"]),
    "snakemake": ("Snakefile", lambda jobs: SNAKE.format(jobs=jobs), ["snakemake", "-j2", "-q", "all"]),
}


def prepare(folder: Path, tool: str, jobs: int) -> None:
    """Write a fresh project."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "src").mkdir(parents=True)
    (folder / "out").mkdir()
    for number in range(jobs):
        (folder / f"src/{number}").write_text(f"{number:07}\n")
    name, text, _ = TOOLS[tool]
    (folder / name).write_text(text(jobs))


def seconds(folder: Path, command: list[str]) -> float:
    """Run a command to its good end."""
    begun = time.perf_counter()
    subprocess.run(command, cwd=folder, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begun


def measure(tools: list[str], jobs: int, rounds: int) -> dict[str, dict[str, list[float]]]:
    """Seconds by tool and scenario, one for each round."""
    found: dict[str, dict[str, list[float]]] = {tool: {s: [] for s in SCENARIOS} for tool in tools}
    with tempfile.TemporaryDirectory() as box:
        for number in range(rounds):
            for tool in tools:
                prepare(Path(box) / tool, tool, jobs)
            for scenario in SCENARIOS:
                for tool in tools:
                    folder = Path(box) / tool
                    if scenario == "one":
                        (folder / "src/0").write_text(f"{number:07}x\n")
                    found[tool][scenario].append(seconds(folder, TOOLS[tool][2]))
    return found


def table(found: dict[str, dict[str, list[float]]], jobs: int) -> str:
    """The figures as Markdown."""
    lines = [
        f"| {jobs} `cp` jobs | full build | nothing changed | and again | one source changed |",
        "| --- | --: | --: | --: | --: |",
    ]
    for tool, by_scenario in found.items():
        cells = []
        for scenario in SCENARIOS:
            own = by_scenario[scenario]
            cell = f"{statistics.median(own):.3f} s"
            if "ninja" in found and tool != "ninja":
                ratios = [a / b for a, b in zip(own, found["ninja"][scenario], strict=True)]
                cell += f" ({statistics.median(ratios):.1f} x)"
            cells.append(cell)
        lines.append(f"| {tool} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Measure what is asked for and print it."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # compiled modules are kept, as where tools are used
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tools", default="make,ninja,bt")
    options = parser.parse_args()
    tools = [t for t in options.tools.split(",") if shutil.which(TOOLS[t][2][0])]
    print(
        f"{os.cpu_count()} CPUs, Python {sys.version.split()[0]}, {options.rounds} rounds; in brackets: times ninja\n"
    )
    print(table(measure(tools, options.jobs, options.rounds), options.jobs))


if __name__ == "__main__":
    main()
