"""`bt` is killed before one call of the system after the other, those of SQLite included.

Each call gets its turn with `--hypothesis-profile=long`, else some do.
"""

from __future__ import annotations

import os
import signal
import subprocess
from itertools import product
from pathlib import Path

import pytest

from support.faulty import RENAME, Fault, Faulty
from support.five import CACHE, SCENES, scene, sweep
from support.project import Project

SOME = 4  # turns that are tried of each


@pytest.mark.parametrize(
    ("name", "head"),
    [*product(SCENES, ["", "[bt]\ndurable = true\n"]), ("new", CACHE), ("back", CACHE)],
    ids=[*("-".join(ids) for ids in product(SCENES, ["usual", "durable"])), "new-cache", "back-cache"],
)
def test_killed_at_any_call(tmp_path: Path, faulty: Faulty, thorough: bool, name: str, head: str) -> None:
    project = scene(tmp_path / "project", faulty, name, head)
    tried, wrong = sweep(project, faulty, Fault(), None if thorough else SOME)
    assert not wrong, "\n".join(wrong)
    assert tried >= SOME


def test_killed_between_two_moves(tmp_path: Path, faulty: Faulty) -> None:
    """Of two outputs one lies aside: the other one is where it was, and both are there afterwards."""
    project = scene(tmp_path / "project", faulty, "again")
    project.taskfile("""
        [tasks.pair]
        inputs = "in/a.txt"
        outputs = ["one", "two"]
        run = "cat {input} | tee one > two"
    """)
    run, _ = faulty.bt(project.folder, "build")
    assert run.code == 0
    project.write("in/a.txt", "changed\n")
    old = project.read("one")
    moves, turn = [], 1
    while True:  # whatever else is moved, the state's own files included
        run, _ = faulty.bt(project.folder, "build", fault=Fault(turn, RENAME))
        if run.code == 0:
            break
        there = (project.exists("one"), project.exists("two"))
        moves.append(there)
        run, _ = faulty.bt(project.folder, "build", "-k", "pair")
        assert run.code == 0
        assert project.read("one") == project.read("two") == "changed\n"
        project.write("in/a.txt", old)
        assert faulty.bt(project.folder, "build")[0].code == 0
        project.write("in/a.txt", "changed\n")
        turn += 1
    assert (False, True) in moves


HELD = """
    [tasks.held]
    inputs = "in"
    outputs = "out"
    run = '''
    test ! -e deaf || trap "" INT TERM
    cp in out
    if test -p begun; then echo half > out; echo > begun; read x < go; fi
    '''
"""


def held(project: Project) -> subprocess.Popen[str]:
    """A build whose job runs and has written half of its output."""
    project.taskfile(HELD)
    project.write("in", "1\n")
    project.build()
    project.write("in", "2\n")
    os.mkfifo(project.folder / "begun")
    os.mkfifo(project.folder / "go")
    process = project.start("build")
    (project.folder / "begun").read_text()
    return process


def test_those_who_look_count_what_the_next_build_will_put_back(project: Project) -> None:
    process = held(project)
    process.kill()
    process.communicate(timeout=60)
    project.end_leftovers()
    assert project.read("out") == "half\n"
    project.remove("begun")
    project.write("in", "1\n")
    assert "fresh     held" in project.look("build", "-n", "-v").out
    assert "held is fresh" in project.look("why", "held").out
    assert "1 fresh" in project.look("status").out
    assert project.build().ran == []
    assert project.read("out") == "1\n"


def test_those_who_look_take_a_check_that_was_killed_as_not_done(project: Project) -> None:
    project.taskfile(
        '[tasks.check]\ninputs = "in"\nrun = "if test -p begun; then echo > begun; read x < go; fi"'
    )
    project.write("in", "")
    project.build()
    os.mkfifo(project.folder / "begun")
    os.mkfifo(project.folder / "go")
    process = project.start("build", "--force")
    (project.folder / "begun").read_text()
    process.kill()
    process.communicate(timeout=60)
    project.end_leftovers()
    project.remove("begun")
    assert "will run  check  (the last run failed)" in project.look("build", "-n").out
    assert project.build().reasons["check"] == ["the last run failed"]


def test_those_who_look_count_a_whole_directory_that_lies_aside(project: Project) -> None:
    project.write("in", "1\n")
    text = """
        [tasks.held]
        inputs = "in"
        outputs = "folder/"
        run = "mkdir -p folder/in; cp in folder/in/it; if test -p begun; then echo > begun; read x < go; fi"
        [tasks.other]
        inputs = "folder/in/it"
        outputs = "copy"
        run = "cp {input} {output}"
        """
    project.taskfile(text)
    project.build()
    project.write("in", "2\n")
    os.mkfifo(project.folder / "begun")
    os.mkfifo(project.folder / "go")
    process = project.start("build")
    (project.folder / "begun").read_text()
    assert "input in changed" in project.bt("why", "held").out  # a living build is no dead one
    process.kill()
    process.communicate(timeout=60)
    project.end_leftovers()
    project.remove("begun")
    project.write("in", "1\n")
    plan = project.look("build", "-n", "-v").out
    assert "fresh     held" in plan
    assert "fresh     other" in plan
    assert project.build().ran == []


@pytest.mark.parametrize(
    ("numbers", "code"),
    [((signal.SIGHUP,), 143), ((signal.SIGINT, signal.SIGTERM), 130)],
    ids=["the terminal is closed", "twice, since it takes long"],
)
def test_it_is_told_to_end(project: Project, numbers: tuple[signal.Signals, ...], code: int) -> None:
    if len(numbers) > 1:
        project.write("deaf", "")
    process = held(project)
    for number in numbers:
        process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == code, out + err
    assert project.read("out") == "1\n"
    assert project.leftovers() == []
    project.remove("begun")
    assert project.build().ran == ["held"]
    assert project.build().ran == []


def test_a_command_that_gets_no_memory(project: Project) -> None:
    project.taskfile("""
        [tasks.large]
        inputs = "in"
        outputs = "large"
        run = "cp in large; ulimit -v 300000; python3 -c 'bytearray(int(open(\\"in\\").read()))'"
        [tasks.other]
        inputs = "in"
        outputs = "other"
        run = "cp in other"
    """)
    project.write("in", "1000\n")
    project.build()
    project.write("in", "1000000000\n")
    run = project.bt("build", "-k")
    assert (run.code, run.ran, run.failed) == (1, ["other"], ["large"])
    assert "MemoryError" in project.bt("log", "large").out
    assert project.read("large") == "1000\n"
    project.write("in", "2000\n")
    assert project.build().ran == ["large", "other"]
    assert project.build().ran == []
