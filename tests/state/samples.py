"""Values for the tests of the state."""

from __future__ import annotations

import os
from pathlib import Path

from buildtool.fingerprint import Fingerprint, Item, digest
from buildtool.state.records import JobRecord, Made, Running
from buildtool.state.store import State


def job(key: str, *outputs: str, status: str = "ok", number: int = 1) -> JobRecord:
    """A record with some items; its outputs are `outputs`."""
    items = (
        Item("command", "", digest("command", key), f"make {key}"),
        Item("input", f"raw/{key}", digest("content", key)),
    )
    made = tuple(Made(path, digest("content", path)) for path in outputs)
    return JobRecord(
        key, "make", (("s", key),), status, Fingerprint(items), made, (), number, 5.0, 0.5, 7, "local"
    )


def running(key: str, *outputs: str) -> Running:
    """A job under way."""
    return Running(key, "make", outputs, tuple((path, f".bt/aside/{path}") for path in outputs))


def fill(directory: Path, jobs: int = 20) -> None:
    """A state with some of everything, cleanly closed."""
    with State.open(str(directory)) as state:
        build = state.begin_build("bt build")
        for at in range(jobs):
            path = f"out/{at}.txt"
            state.record(job(path, path, number=build))
            state.remember({path: (at, at, at, at, 0o100644, digest("content", path), at)})
        state.set_value("x", "value")
        state.end_build(build, 0, {"ran": jobs})


def listing(directory: Path) -> dict[str, tuple[int, int, int]]:
    """All that can be seen of a folder from outside; as root, SQLite moves the ctime of a -wal it reads."""
    found = {}
    for path in [directory, *sorted(directory.iterdir())]:
        info = os.lstat(path)
        found[str(path)] = (info.st_ino, info.st_size, info.st_mtime_ns)
    return found
