"""Jobs whose processes are in sessions of their own: however such a job ends, they end with it, and write no more."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from support.project import Project

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="nobody is adopted elsewhere")

# A process that says its number, and writes to the output when it is told to, by a pipe that nobody else reads.
FAR = "setsid {wait} sh -c 'echo $$ > begun; read x < go; echo LATE > o'"
FILE = """
[tasks.o]
outputs = "o"
run = "{run}"
"""


@pytest.fixture
def mine(project: Project) -> Project:
    """Where the output is to be is a file of the user's."""
    project.write("o", "mine\n")
    for name in ("begun", "go"):
        os.mkfifo(project.folder / name)
    return project


def is_gone(project: Project, pid: int) -> bool:
    """Whether this process has ended, and with it all that could write to the output."""
    with pytest.raises(OSError, match="No such device or address"):
        os.open(project.folder / "go", os.O_WRONLY | os.O_NONBLOCK)
    return not Path(f"/proc/{pid}").exists() and not project.leftovers()


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 143)], ids=str
)
@pytest.mark.parametrize("wait", ["-w", ""], ids=["waited for", "left"])
def test_a_build_that_is_told_to_end(mine: Project, number: signal.Signals, code: int, wait: str) -> None:
    mine.taskfile(FILE.format(run=FAR.format(wait=wait) + " & wait"))
    process = mine.start("build")
    pid = int((mine.folder / "begun").read_text())
    process.send_signal(number)
    process.communicate()
    assert process.returncode == code
    assert is_gone(mine, pid)
    assert mine.read("o") == "mine\n"


def test_a_job_that_takes_too_long(mine: Project) -> None:
    mine.taskfile(FILE.format(run=FAR.format(wait="-w")) + 'timeout = "1s"\n')
    process = mine.start("build")
    pid = int((mine.folder / "begun").read_text())
    process.communicate()
    assert process.returncode == 1
    assert is_gone(mine, pid)
    assert mine.read("o") == "mine\n"


@pytest.mark.parametrize("code", [0, 1], ids=["a good end", "a bad end"])
def test_a_job_that_leaves_one(mine: Project, code: int) -> None:
    mine.taskfile(
        FILE.format(run=FAR.format(wait="") + f" & read x < begun; echo $x > pid; echo good > o; exit {code}")
    )
    run = mine.bt("build")
    assert run.code == code
    assert any("1 background process that it left running had to be ended" in text for text in run.warnings)
    assert is_gone(mine, int(mine.read("pid")))
    assert mine.read("o") == ("mine\n" if code else "good\n")


def test_a_build_in_a_job_is_killed(mine: Project) -> None:
    """Its job is in a session of its own, too."""
    mine.write(
        "inner/Taskfile.toml", "[tasks.deep]\nrun = 'echo $$ > ../begun; read x < ../go; echo LATE > ../o'\n"
    )
    inner = (
        f"cd inner; '{sys.executable}' -m buildtool build deep & read x < begun; echo $x > pid; kill -9 $!"
    )
    mine.taskfile(FILE.format(run=inner.replace("cd inner;", "(cd inner; exec").replace("deep &", "deep) &")))
    assert mine.bt("build").code == 1
    assert is_gone(mine, int(mine.read("pid")))
    assert mine.read("o") == "mine\n"
