"""How big the state of many jobs is, and how fast: `python benchmarks/state_size.py [JOBS]`."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from buildtool.fingerprint import Fingerprint, Item, digest
from buildtool.state.records import HistoryRecord, JobRecord, Made
from buildtool.state.store import State, StateReader

GROUP = 1000  # jobs in one transaction


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Print how long the block took."""
    began = time.perf_counter()
    yield
    print(f"{what:40} {time.perf_counter() - began:8.3f} s")


def record(number: int) -> JobRecord:
    """A job with one input and one output, as a Taskfile's rule makes it."""
    source, target = f"raw/sample-{number:06}.txt", f"build/sample-{number:06}.json"
    command = f"wc -l < {source} > {target}"
    items = (
        Item("command", "", digest("command", command), command),
        Item("shell", "", digest("shell", "bash"), "bash"),
        Item("env", "LC_ALL", digest("env", "C"), "C"),
        Item("input", source, digest("content", str(number))),
        Item("output", target, digest("output", target)),
    )
    made = Made(target, digest("content", target))
    wildcards = (("sample", f"sample-{number:06}"),)
    return JobRecord(
        target,
        "count",
        wildcards,
        "ok",
        Fingerprint(items),
        (made,),
        (),
        1,
        1.7e9 + number,
        0.25,
        10**7,
        "local",
    )


def write(state: State, jobs: int) -> None:
    """One build of all jobs."""
    build = state.begin_build("bt build")
    for number in range(jobs):
        job = record(number)
        state.record(job)
        for name in (job.key, f"raw/sample-{number:06}.txt"):
            at = 1_700_000_000_000_000_000 + number
            state.remember({name: (1234, at, at, 10**6 + number, 0o100644, job.outputs[0].digest, at)})
        state.add_history(
            [HistoryRecord(build, job.key, f"count {number}", "ran", ("first",), 0.25, job.ended)]
        )
        if number % GROUP == 0:
            state.commit()
    state.end_build(build, 0, {"ran": jobs})


def main(jobs: int) -> None:
    """Write, close, open, read."""
    with tempfile.TemporaryDirectory() as folder:
        directory = str(Path(folder) / ".bt")
        state = State.open(directory)
        with timed(f"write {jobs} jobs"):
            write(state, jobs)
        with timed("close"):
            state.close()
        print(f"{'size':40} {Path(directory, 'state.db').stat().st_size / 1e6:8.1f} MB")
        with timed("open as reader"):
            reader = StateReader.open(directory)
        reader.close()
        with timed("open as writer"):
            state = State.open(directory)
        for what in ("stamps", "owned", "keys", "durations", "strays"):
            with timed(what):
                getattr(state, what)()
        with timed("job, one by one, all"):
            for number in range(jobs):
                state.job(f"build/sample-{number:06}.json")
        with timed("close after reading"):
            state.close()
        Path(directory, "state.sum").unlink()
        with timed("open as writer after an unclean end"):
            state = State.open(directory)
        with timed("the first write"):
            state.set_value("a", "b")
            state.commit()
        state.close()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
