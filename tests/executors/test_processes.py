from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from buildtool.executors import processes

LINUX = sys.platform.startswith("linux")
linux_only = pytest.mark.skipif(not LINUX, reason="reads /proc")


@contextlib.contextmanager
def shell(script: str, **env: str) -> Iterator[subprocess.Popen[bytes]]:
    """A shell in a session of its own that has said its first word; all of it is gone afterwards."""
    job = subprocess.Popen(
        ["/bin/sh", "-c", script],
        stdout=subprocess.PIPE,
        start_new_session=True,
        env={**os.environ, **env},
    )
    try:
        assert job.stdout is not None
        job.stdout.readline()
        yield job
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(job.pid, signal.SIGKILL)
        job.wait()
        if job.stdout is not None:
            job.stdout.close()


def test_a_stamp_names_one_process() -> None:
    with shell("echo ready; exec sleep 60") as first, shell("echo ready; exec sleep 60") as second:
        stamp = processes.start_stamp(first.pid)
        assert stamp
        assert stamp == processes.start_stamp(first.pid)
        assert processes.alive(first.pid, stamp)
        assert not processes.alive(first.pid, stamp + "1")
        assert processes.start_stamp(second.pid)
    assert processes.start_stamp(first.pid) is None
    assert not processes.alive(first.pid, stamp)


@linux_only
def test_a_stamp_survives_a_strange_program_name(tmp_path: Path) -> None:
    program = tmp_path / "a) b (c"
    program.symlink_to("/bin/sleep")
    job = subprocess.Popen([str(program), "60"])
    try:
        assert processes.start_stamp(job.pid)
    finally:
        job.kill()
        job.wait()


def test_a_zombie_does_not_live() -> None:
    with shell("echo ready") as job:
        os.waitid(os.P_PID, job.pid, os.WEXITED | os.WNOWAIT)
        assert processes.start_stamp(job.pid) is None
        assert not processes.group_alive(job.pid)


def test_a_group_lives_as_long_as_one_of_it() -> None:
    with shell("sleep 60 & echo ready") as job:
        job.wait()
        assert processes.group_alive(job.pid)
        assert len(processes.session_members(job.pid)) == 1
        assert processes.end_processes(groups=[job.pid], grace=5) == 1
        assert not processes.group_alive(job.pid)


@linux_only
def test_marked_finds_exactly_the_value() -> None:
    run = f"{os.getpid()}-{time.monotonic_ns()}"
    with shell("echo ready; exec sleep 60", BT_RUN=run + "1") as job, shell("echo ready; read x", BT_RUN=run):
        assert processes.marked("BT_RUN", run + "1") == [job.pid]
        assert processes.marked("BT_RUN", run[:-1]) == []
        assert processes.marked("RUN", run + "1") == []
    assert processes.marked("BT_RUN", run + "1") == []


@linux_only
def test_marked_leaves_out_the_process_itself() -> None:
    run = f"{os.getpid()}-{time.monotonic_ns()}"
    code = f"from buildtool.executors.processes import marked; print(marked('BT_RUN', '{run}'))"
    root = Path(__file__).parents[2]
    env = {**os.environ, "BT_RUN": run, "PYTHONPATH": str(root)}
    assert subprocess.check_output([sys.executable, "-c", code], env=env) == b"[]\n"


def test_what_ignores_term_is_killed() -> None:
    with shell("trap '' TERM; echo ready; while :; do sleep 0.05; done") as job:
        assert processes.end_processes(pids=[job.pid], grace=0.1) == 1
        assert job.wait() == -signal.SIGKILL


def test_what_obeys_term_is_not_killed() -> None:
    with shell("trap 'exit 7' TERM; echo ready; while :; do sleep 0.01; done") as job:
        assert processes.end_processes(pids=[job.pid], grace=5) == 1
        assert job.wait() == 7


def test_ending_spares_the_own_process_and_what_is_gone() -> None:
    with shell("echo ready; exit 0") as job:
        job.wait()
        mine = os.getpid()
        assert (
            processes.end_processes([0, 1, mine, -1, job.pid], [0, 1, os.getpgrp(), job.pid], grace=0.1) == 0
        )


def test_a_pidfd_tells_the_end() -> None:
    with shell("echo ready; exec sleep 60") as job:
        try:
            pidfd = processes.open_pidfd(job.pid)
        except OSError:
            pytest.skip("no pidfd here")
        assert select.select([pidfd], [], [], 0)[0] == []
        assert processes.reap(job.pid) is None
        job.kill()
        assert select.select([pidfd], [], [], 40)[0] == [pidfd]
        os.close(pidfd)
        ended = processes.reap(job.pid)
        assert ended is not None
        assert ended[:2] == (None, signal.SIGKILL)
        job.returncode = 0  # reaped above


def test_a_stolen_exit_status_is_unknown() -> None:
    job = subprocess.Popen(["/bin/sh", "-c", "exit 3"])
    job.wait()
    assert processes.reap(job.pid) == (None, None, 0)


def test_other_systems_are_asked_through_ps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_LINUX", False)
    with shell("sleep 60 & echo ready; wait") as job:
        stamp = processes.start_stamp(job.pid)
        assert stamp
        assert processes.alive(job.pid, stamp)
        assert processes.group_alive(job.pid)
        assert len(processes.session_members(job.pid)) == 2
        assert processes.marked("PATH", os.environ["PATH"]) == []
        assert processes.end_processes(groups=[job.pid], grace=5) == 2
        assert processes.start_stamp(job.pid) is None
