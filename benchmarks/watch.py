#!/usr/bin/env python3
"""Time from the `close` of an edited file to the start of the job that reads it, under `bt watch`.

    python benchmarks/watch.py [--files 1,1000,100000] [--edits 20]

For each number of files a project of as many jobs, each of which copies one file. All is built already (`bt accept`
takes it as it is). Milliseconds are medians over the edits, `most` the worst; 50 of them are the time without a change
that ends a burst of changes. `over it` is without them. Then what the watching process holds in memory, and the
share of one core that it uses while nothing happens for five seconds. Prints a Markdown table.

Beside it go-task (`task -w`), watchfiles and entr, those that are on the PATH: the time to the start of their command,
which is the same one for all files, as these know no rule for each. They run at most with 1000 files.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO

TASKFILE = """
[tasks.copy]
inputs = "in/{n}.txt"
outputs = "out/{n}.txt"
run = "cp {input} {output}"
"""
BT = [sys.executable, "-m", "buildtool"]
DEBOUNCE = 0.05
IDLE = 5.0


def prepare(folder: Path, files: int) -> None:
    """A project in which everything is built."""
    (folder / "in").mkdir(parents=True)
    (folder / "out").mkdir()
    (folder / "Taskfile.toml").write_text(TASKFILE)
    for number in range(files):
        for where in ("in", "out"):
            (folder / f"{where}/{number}.txt").write_text(f"text {number}\n")
    subprocess.run([*BT, "accept"], cwd=folder, check=True, stdout=subprocess.DEVNULL)


def until(lines: IO[str], event: str) -> float:
    """The time of the next event of this kind, seconds since the epoch."""
    for line in lines:
        told = json.loads(line)
        if told["event"] == event:
            return float(told["time"])
    raise SystemExit("bt watch ended")


def cpu(pid: int) -> float:
    """Seconds of a core that a process has used."""
    words = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def memory(pid: int) -> float:
    """MB that a process holds."""
    return int(Path(f"/proc/{pid}/status").read_text().partition("VmRSS:")[2].split()[0]) / 1000


def measure(folder: Path, files: int, edits: int) -> str:
    """One line of the table."""
    prepare(folder, files)
    process = subprocess.Popen([*BT, "watch", "--json"], cwd=folder, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None  # noqa: S101  it is a pipe
    begun = time.time()
    ready = until(process.stdout, "waiting") - begun
    taken = []
    for edit in range(edits):
        path = folder / f"in/{edit * 7919 % files}.txt"
        with path.open("w") as file:
            file.write(f"edit {edit}\n")
        closed = time.time()
        taken.append(until(process.stdout, "started") - closed)
        until(process.stdout, "waiting")
    time.sleep(1)
    before = cpu(process.pid)
    time.sleep(IDLE)
    idle = (cpu(process.pid) - before) / IDLE
    held = memory(process.pid)
    process.terminate()
    process.communicate()
    middle = statistics.median(taken)
    return (
        f"| {files} | {ready:.1f} s | {middle * 1000:.0f} ms | {(middle - DEBOUNCE) * 1000:.0f} ms "
        f"| {max(taken) * 1000:.0f} ms | {held:.0f} MB | {idle:.1%} |"
    )


GOTASK = """
version: "3"
interval: 50ms
tasks:
  default:
    sources: ["in/*.txt"]
    cmds: ["date +%s.%N > began"]
"""
PEERS = {
    "task": ["task", "-w", "default"],
    "watchfiles": ["watchfiles", "--ignore-permission-denied", "sh -c 'date +%s.%N > began'", "in"],
    "entr": ["sh", "-c", "ls -d in/*.txt | entr -n sh -c 'date +%s.%N > began'"],
}


def began(folder: Path, before: str) -> float:
    """When the command of a peer has started once more, as it says itself."""
    until = time.time() + 10
    while time.time() < until:
        text = (folder / "began").read_text().strip()
        if text and text != before:
            return float(text)
        time.sleep(0.002)
    raise SystemExit("it did not start")


def peer(folder: Path, name: str, files: int, edits: int) -> str:
    """The line of another tool."""
    (folder / "in").mkdir(parents=True)
    for number in range(files):
        (folder / f"in/{number}.txt").write_text(f"text {number}\n")
    (folder / "Taskfile.yml").write_text(GOTASK)
    (folder / "began").write_text("")
    process = subprocess.Popen(
        PEERS[name], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    time.sleep(4)
    taken = []
    for edit in range(edits):
        before = (folder / "began").read_text().strip()
        path = folder / f"in/{edit * 7919 % files}.txt"
        with path.open("w") as file:
            file.write(f"edit {edit}\n")
        closed = time.time()
        taken.append(began(folder, before) - closed)
        time.sleep(0.5)
    os.killpg(process.pid, 15)
    process.wait()
    middle = statistics.median(taken)
    return f"| {name}, {files} | | {middle * 1000:.0f} ms | | {max(taken) * 1000:.0f} ms | | |"


def main() -> None:
    """Measure and print."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # compiled modules are kept, as where tools are used
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--files", default="1,1000,100000")
    parser.add_argument("--edits", type=int, default=20)
    given = parser.parse_args()
    print("| files | first look | edit to start | over it | most | memory | idle |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for files in map(int, given.files.split(",")):
        with tempfile.TemporaryDirectory() as folder:
            print(measure(Path(folder) / "p", files, given.edits), flush=True)
            for name in PEERS if files <= 1000 else ():
                if shutil.which(name):
                    print(peer(Path(folder) / name, name, files, given.edits), flush=True)


if __name__ == "__main__":
    main()
