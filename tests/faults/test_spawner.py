"""Builds of many commands, which a process beside `bt` starts: it, or `bt`, comes to an end while they run."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from support.project import Project

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only there is it used")

FILE = """
[tasks.small]
inputs = "in/{name}"
outputs = "small/{name}"
run = "cp {inputs} {outputs}"

[tasks.gate]
inputs = "small/*"
outputs = "gate"
run = "cat {inputs} > {outputs}; if [ -p open ]; then read x < open; fi"

[tasks.held]
inputs = "gate"
outputs = "held"
run = "echo half > {outputs}; if [ -p begun ]; then echo $PPID > begun; read x < go; fi; cat {inputs} > {outputs}"
"""


@pytest.fixture
def many(project: Project) -> Project:
    project.taskfile(FILE)
    for number in range(40):
        project.write(f"in/{number:02}", f"{number}\n")
    for name in ("open", "begun", "go"):
        os.mkfifo(project.folder / name)
    return project


def begin(project: Project) -> tuple[subprocess.Popen[str], int]:
    """A build in which `held` runs, and the process that has started it."""
    process = project.start("build")
    while not any(is_ready(child) for child in children(process.pid)):
        assert process.poll() is None
        time.sleep(0.01)
    (project.folder / "open").write_text("x\n")
    spawner = int((project.folder / "begun").read_text())
    assert spawner != process.pid
    assert spawner in children(process.pid)
    return process, spawner


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_ready(pid: int) -> bool:
    """Whether it starts programs, and waits for the next one."""
    where = Path(f"/proc/{pid}")
    with contextlib.suppress(OSError):  # it has ended
        return b"spawner.py" in (where / "cmdline").read_bytes() and "poll" in (where / "wchan").read_text()
    return False


def is_right_again(project: Project, *, ran: list[str]) -> None:
    """The next build ends right, and one more runs nothing."""
    for name in ("open", "begun", "go"):
        (project.folder / name).unlink(missing_ok=True)
    assert project.build().ran == ran
    assert project.read("held") == "".join(f"{number}\n" for number in range(40))
    assert project.build().ran == []
    assert not project.leftovers()


def test_bt_is_killed(many: Project) -> None:
    process, spawner = begin(many)
    process.kill()
    process.communicate()
    while Path(f"/proc/{spawner}").exists():
        time.sleep(0.01)
    assert len(many.leftovers()) == 1
    is_right_again(many, ran=["held"])


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_it_is_told_to_end(many: Project, number: signal.Signals, code: int) -> None:
    process, spawner = begin(many)
    process.send_signal(number)
    process.communicate()
    assert process.returncode == code
    assert not Path(f"/proc/{spawner}").exists()
    assert not many.exists("held")
    is_right_again(many, ran=["held"])


def test_what_starts_them_is_killed(many: Project) -> None:
    process, spawner = begin(many)
    for name in ("begun", "go"):
        many.remove(name)
    os.kill(spawner, signal.SIGKILL)
    out, err = process.communicate()
    assert process.returncode == 0, out + err
    assert "`held` runs once more: the process that starts commands has died" in out
    is_right_again(many, ran=[])


def test_what_starts_them_hangs(many: Project) -> None:
    process, spawner = begin(many)
    os.kill(spawner, signal.SIGSTOP)
    process.send_signal(signal.SIGINT)
    process.communicate()
    assert process.returncode == 130
    assert not Path(f"/proc/{spawner}").exists()
    assert not many.exists("held")
    is_right_again(many, ran=["held"])


def test_what_starts_them_hangs_and_a_job_takes_too_long(many: Project) -> None:
    many.taskfile(FILE + 'timeout = "1s"\n')
    process, spawner = begin(many)
    os.kill(spawner, signal.SIGSTOP)
    out, err = process.communicate()
    assert process.returncode == 1, out + err
    assert not many.leftovers()
    is_right_again(many, ran=["held"])
