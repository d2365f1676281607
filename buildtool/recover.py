"""Puts right what a build left that was killed: leftover processes, half-written outputs, outputs moved aside.

Does not know why it was killed, and needs nobody's permission: the lock is held, so whoever wrote these rows is dead.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable

from buildtool.executors.processes import alive, end_processes, marked
from buildtool.executors.protocol import MARK
from buildtool.files import Disk
from buildtool.isolation import BOXES
from buildtool.state.records import Running
from buildtool.state.store import State
from buildtool.text import count

ASIDE = ".bt/aside/"
KEPT = ".bt/kept/"
GRACE = 2.0  # seconds between TERM and KILL


def recover(state: State, disk: Disk) -> str | None:
    """Undo what dead builds had begun; a sentence that says what was done, or None if there was nothing."""
    died = [build for build in state.builds(1) if build.ended is None]
    running = state.running()
    ours = state.value("place") == place_of(disk)  # else the state is a copy, and its processes are not ours
    stopped = _end_leftovers(running, state.value("run")) if ours and (running or died) else 0
    discarded, returned = _undo(running, disk)
    interrupted = cut_short(running)
    for job in running:
        record = state.job(job.key)
        if record is not None and job.key in interrupted:
            state.record(record._replace(status="interrupted"))
        state.stop(job.key)
    kept = sum(len([e for e in state.history(build=b.number) if e.status != "failed"]) for b in died)
    for build in died:
        state.end_build(build.number, 137, build.counts)
    disk.sync()  # before it is forgotten that there was something to put back
    state.commit()
    if not state.builds(1):
        return rescue(disk)
    for folder in (ASIDE, BOXES):
        shutil.rmtree(
            disk.absolute(folder).rstrip("/"), ignore_errors=True
        )  # a link in its place leads nowhere
    if not died and not running:
        return None
    words = [f"{count(kept, 'finished job')} kept"]
    if discarded:
        words.append(f"{count(discarded, 'half-written output')} discarded")
    if returned:
        words.append(f"{count(returned, 'earlier output')} put back")
    if stopped:
        words.append(f"{count(stopped, 'leftover process', 'leftover processes')} stopped")
    return "recovered from a build that was cut short: " + ", ".join(words)


def place_of(disk: Disk) -> str:
    """A name for the state folder of this project that a copy of the project does not share."""
    st = os.stat(disk.absolute(".bt/"))
    return f"{st.st_dev}:{st.st_ino}"


def rescue(disk: Disk) -> str | None:
    """Keep what lies aside when no state tells any more where it belongs; a sentence about it, if there is any."""
    if not any(disk.below(ASIDE)):
        return None
    number = 1
    while disk.exists(f"{KEPT}aside-{number}/"):
        number += 1
    disk.move(ASIDE, f"{KEPT}aside-{number}/")
    return f"files that a killed build had moved aside are in {KEPT}aside-{number}/"


def _end_leftovers(running: Iterable[Running], run: str | None) -> int:
    """End the processes of a dead run, known by pid and start time, or by their environment."""
    groups = [job.pid for job in running if job.pid and job.stamp and alive(job.pid, job.stamp)]
    pids = marked(MARK, run) if run else []
    return end_processes(pids, groups, grace=GRACE)


def _undo(running: Iterable[Running], disk: Disk) -> tuple[int, int]:
    """Remove what jobs had half written and put their earlier outputs back; how many of each."""
    discarded = returned = 0
    for path, moved in displaced(running, disk).items():
        if disk.exists(path):
            disk.remove(path)
            discarded += 1
        if moved is not None:
            disk.move(moved, path, durable=True)
            returned += 1
    return discarded, returned


def cut_short(running: Iterable[Running]) -> set[str]:
    """The keys of dead jobs of which nothing is put back: checks, and with `keep` what is there is what they left."""
    return {job.key for job in running if not job.outputs}


def displaced(running: Iterable[Running], disk: Disk) -> dict[str, str | None]:
    """The outputs of dead jobs that are not in their place, with where they are; None where there was none before.

    What is in their place is half-written.
    """
    found: dict[str, str | None] = {}
    for job in running:
        aside = dict(job.aside)
        for path in job.outputs:
            moved = aside.get(path)
            if moved is None or disk.exists(moved):  # else it was killed before the move
                found[path] = moved
    return found
