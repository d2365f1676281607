"""Hashing: one large file, and many small ones, as builds read them; the page cache is warm."""

from __future__ import annotations

import gc
import os
import shutil
import sys
from pathlib import Path

from measured import least
from measured.found import Found, Plan, Row, count, middle, ratio, time, times
from measured.processes import run

PIECE = 1 << 24
RATE_GOAL = 0.9
READ_GOAL = 2.0


def measure(box: Path, plan: Plan) -> Found:
    """Two rows."""
    folder = box / "hashing"
    folder.mkdir()
    found = Found()
    small = plan.jobs is not None and plan.jobs < 1000
    size = PIECE if small else 1 << 28 if plan.quick else 4 * 10**9
    _write(folder / "big", size)
    title = f"a file of {size / 1e9:.0f} GB" if size >= 10**9 else f"a file of {size / 1e6:.0f} MB"
    found.rows.append(_row(folder, ["big"], size, f"hashing {title}", plan.rounds))
    (folder / "big").unlink()
    files = plan.at_most(10_000)
    for number in range(files):
        _write(folder / str(number), 4096)
    names = [str(number) for number in range(files)]
    found.rows.append(
        _row(folder, names, files * 4096, f"hashing {count(files)} files of 4 KiB", plan.rounds)
    )
    shutil.rmtree(folder)
    return found


def _write(path: Path, size: int) -> None:
    with path.open("wb") as file:
        piece = os.urandom(min(size, PIECE))
        for begin in range(0, size, PIECE):
            file.write(piece[: size - begin])


def _hash(folder: Path, names: list[str]) -> None:
    """As in a build, which collects no garbage before there is much."""
    from buildtool.files import Disk

    gc.disable()
    disk = Disk(str(folder))
    for name in names:
        disk.digest(name)
    gc.enable()


def _row(folder: Path, names: list[str], size: int, work: str, rounds: int) -> Row:
    paths = [f"{folder}/{name}" for name in names]
    own, peer, reading = [], [], []
    least.read_all(paths)
    _hash(folder, names)
    for number in range(rounds):
        print(f"{work}, round {number + 1}", file=sys.stderr, flush=True)
        own.append(least.seconds(lambda: _hash(folder, names)))
        reading.append(least.read_all(paths))
        if shutil.which("xxhsum"):
            peer.append(run(["xxhsum", "-q", "-H2", *names], folder).seconds)
    over = ratio(own, reading)
    row = Row("hash", work, f"{time(middle(own))}, {size / middle(own) / 1e9:.1f} GB/s")
    row.beside = f"open and read: {time(middle(reading))}"
    row.ratio = f"{times(over)} the time"
    row.goal = f"≤ {READ_GOAL:g} x the time"
    row.reached = over <= READ_GOAL
    row.least = f"{time(middle(reading))}: open and read"
    if peer:
        rate = ratio(peer, own)
        row.beside += f"; `xxhsum -H2`: {time(middle(peer))}"
        row.ratio += f"; {times(rate)} its rate"
        row.goal += f"; ≥ {RATE_GOAL:g} x its rate"
        row.reached = row.reached and rate >= RATE_GOAL
    return row
