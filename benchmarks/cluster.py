#!/usr/bin/env python3
"""Time jobs on a dask cluster of two workers on this machine, beside what `distributed` alone does in the same run.

    python benchmarks/cluster.py [--jobs 1000] [--size 1024] [--rounds 3]

Three tables in Markdown, of wall seconds, medians over the rounds. `jobs` empty jobs: functions and commands of `bt`
whose durations are known from a first build, those whose are not, and `client.map` of a bare function. One input of
`size` MiB there and its copy back: `bt`, and the bytes as an argument of `client.submit`; each with the peak memory of
the scheduler, which is a new one each time. A chain of five jobs that copy 50 MiB: `bt` on the cluster, and bytes
through the client each time.
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
from collections.abc import Callable
from pathlib import Path

BUILD = [sys.executable, "-m", "buildtool", "build", "-q", "-e", "lab"]
LAB = '[executors.lab]\nbackend = "dask"\nscheduler_file = "{file}"\n'


class Cluster:
    """A scheduler and two workers with one thread each, of this machine."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "scheduler.json"
        self.file.unlink(missing_ok=True)
        self._folder = folder
        self._processes = [self._start("scheduler", "--port", "0", "--scheduler-file", str(self.file))]
        while not self.file.exists():
            time.sleep(0.05)
        self.address = json.loads(self.file.read_text())["address"]
        self._processes += [self._start("worker", self.address, "--nthreads", "1") for _ in range(2)]
        time.sleep(3)

    def _start(self, what: str, *words: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [
                sys.executable,
                "-m",
                f"distributed.cli.dask_{what}",
                "--no-dashboard",
                "--host",
                "127.0.0.1",
                *words,
            ],
            cwd=self._folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def peak(self) -> float:
        """The scheduler's peak memory in GB."""
        text = Path(f"/proc/{self._processes[0].pid}/status").read_text()
        return int(text.partition("VmHWM:")[2].split()[0]) / 1e6

    def close(self) -> None:
        """End it."""
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.wait()


def project(folder: Path, cluster: Cluster, tasks: str) -> None:
    """A fresh project."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / "Taskfile.toml").write_text(LAB.format(file=cluster.file) + tasks)
    (folder / "steps.py").write_text("def nothing(output):\n    output.touch()\n")


def build(folder: Path, *words: str) -> float:
    """Seconds that a build takes, from start to end of the process."""
    begun = time.perf_counter()
    subprocess.run([*BUILD, *words], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begun


def dask(cluster: Cluster, text: str, folder: Path) -> float:
    """Seconds that a program takes in which `client` is connected, without its start."""
    lines = [
        f"client = Client({cluster.address!r})",
        "begun = time.perf_counter()",
        *text.splitlines(),
        "print(time.perf_counter() - begun)",
    ]
    begin = "import sys, time\nfrom distributed import Client\nif __name__ == '__main__':\n"
    source = begin + "".join(f"    {line}\n" for line in lines)
    (folder / "bare.py").write_text(source)
    done = subprocess.run([sys.executable, "bare.py"], cwd=folder, check=True, capture_output=True, text=True)
    return float(done.stdout)


def empty_jobs(folder: Path, jobs: int) -> dict[str, float]:
    """Seconds of each way to do nothing many times."""
    cluster = Cluster(folder)
    found = {}
    try:
        numbers = ", ".join(f'"{n}"' for n in range(jobs))
        for name, what in (("functions", 'call = "steps:nothing"'), ("commands", 'run = ": > {output}"')):
            task = f'[tasks.t]\nforeach = {{ n = [{numbers}] }}\noutputs = "out/{{n}}.txt"\n{what}\n'
            project(folder / "p", cluster, task)
            found[f"`bt`, {name}, first build"] = build(folder / "p")
            found[f"`bt`, {name}, known to be short"] = build(folder / "p", "-B")
        text = f"client.gather(client.map(lambda n: None, range({jobs}), pure=False))"
        found["`client.map`"] = dask(cluster, text, folder)
    finally:
        cluster.close()
    return found


def one_input(folder: Path, size: int) -> dict[str, tuple[float, float]]:
    """Seconds and the scheduler's peak memory, for a large input and output."""
    found = {}
    source = folder / "big.bin"
    with source.open("wb") as file:
        for _ in range(size):
            file.write(os.urandom(1 << 20))
    task = '[tasks.copy]\ninputs = "big.bin"\noutputs = "copy.bin"\nrun = "cat {input} > {output}"\n'

    def through_bt(cluster: Cluster) -> float:
        project(folder / "p", cluster, task)
        os.link(source, folder / "p/big.bin")
        return build(folder / "p")

    def through_call(cluster: Cluster) -> float:
        text = (
            f"data = open({str(source)!r}, 'rb').read()\n"
            "open('copy.bin', 'wb').write(client.submit(bytes, data).result())"
        )
        return dask(cluster, text, folder)

    ways: dict[str, Callable[[Cluster], float]] = {
        "`bt`": through_bt,
        "an argument of `submit`": through_call,
    }
    for name, way in ways.items():
        cluster = Cluster(folder)
        try:
            found[name] = (way(cluster), cluster.peak())
        finally:
            cluster.close()
    return found


def chain(folder: Path) -> dict[str, float]:
    """Seconds of five jobs that copy 50 MiB, one after another."""
    tasks = "".join(
        f'[tasks.c{n}]\ninputs = "{n}.bin"\noutputs = "{n + 1}.bin"\nrun = "cat {{input}} > {{output}}"\n'
        for n in range(5)
    )
    cluster = Cluster(folder)
    try:
        project(folder / "p", cluster, tasks)
        data = os.urandom(50 << 20)
        (folder / "p/0.bin").write_bytes(data)
        (folder / "0.bin").write_bytes(data)
        text = (
            "data = open('0.bin', 'rb').read()\n"
            "for n in range(1, 6):\n"
            "    data = client.submit(bytes, data, pure=False).result()\n"
            "    open(f'{n}.bin', 'wb').write(data)"
        )
        return {"`bt`": build(folder / "p"), "bytes through the client": dask(cluster, text, folder)}
    finally:
        cluster.close()


def main() -> None:
    """Measure and print."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # compiled modules are kept, as where tools are used
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        empty = [empty_jobs(folder, given.jobs) for _ in range(given.rounds)]
        large = [one_input(folder, given.size) for _ in range(given.rounds)]
        chains = [chain(folder) for _ in range(given.rounds)]
    print(f"| {given.jobs} empty jobs | seconds | ms a job |\n| --- | ---: | ---: |")
    for way in empty[0]:
        middle = statistics.median(one[way] for one in empty)
        print(f"| {way} | {middle:.2f} | {middle / given.jobs * 1000:.1f} |")
    print(f"\n| {given.size} MiB there and back | seconds | scheduler's peak |\n| --- | ---: | ---: |")
    for way in large[0]:
        seconds, peak = (statistics.median(one[way][n] for one in large) for n in (0, 1))
        print(f"| {way} | {seconds:.1f} | {peak:.2f} GB |")
    print("\n| five jobs with 50 MiB | seconds |\n| --- | ---: |")
    for way in chains[0]:
        print(f"| {way} | {statistics.median(one[way] for one in chains):.1f} |")


if __name__ == "__main__":
    main()
