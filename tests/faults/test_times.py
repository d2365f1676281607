"""Times that are wrong, equal or restored; files that change under a job; outputs that were touched by others."""

from __future__ import annotations

import mmap
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from support.effort import amount
from support.project import Project

TEN_YEARS = 315_360_000
FAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)


@pytest.fixture
def two(project: Project) -> Project:
    """`in` makes `mid` makes `out`; `log` tells which steps ran."""
    project.taskfile("""
        [tasks.a]
        inputs = "in"
        outputs = "mid"
        run = "tr a-z A-Z < in > mid; printf a >> log"
        [tasks.b]
        inputs = "mid"
        outputs = "out"
        run = "cat mid mid > out; printf b >> log"
    """)
    project.write("in", "one\n")
    project.write("log", "")
    assert steps(project) == "ab"
    return project


def steps(project: Project, **options: dict[str, str]) -> str:
    """Build; which steps ran."""
    project.write("log", "")
    project.build(**options)
    return project.read("log")


def set_times(project: Project, stamp: float) -> None:
    for path in project.folder.rglob("*"):
        if ".bt" not in path.parts:
            os.utime(path, (stamp, stamp))


@pytest.mark.parametrize("stamp", [0, 1, 1e9, 1e9 + 0.5, 4e9, 2**33])
def test_times_of_files_decide_nothing(two: Project, stamp: float) -> None:
    set_times(two, stamp)
    assert steps(two) == ""
    two.write("in", "six\n")  # as long as before
    set_times(two, stamp)
    assert steps(two) == "ab"
    assert two.read("out") == "SIX\nSIX\n"
    set_times(two, stamp)
    two.write("out", "BAD\nBAD\n")
    set_times(two, stamp)
    assert steps(two) == "b"
    assert steps(two) == ""


@pytest.mark.skipif(FAKETIME is None, reason="libfaketime is not installed")
@pytest.mark.parametrize(
    "clock", ["+10y", "-10y", "-1d", "+1s x1000", "@1970-01-02 00:00:00", "@2038-01-19 03:14:00"]
)
def test_the_clock_jumps(two: Project, clock: str) -> None:
    env = {
        "LD_PRELOAD": str(FAKETIME),
        "FAKETIME": clock,
        "NO_FAKE_STAT": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    assert steps(two, env=env) == ""
    two.write("in", "six\n")
    assert steps(two, env=env) == "ab"
    two.write("in", "ten\n")
    assert steps(two) == "ab"
    assert two.read("out") == "TEN\nTEN\n"
    assert steps(two, env=env) == ""
    assert two.bt_plainly("history", env=env).code == 0
    assert two.bt_plainly("status", env=env).code == 0
    assert steps(two) == ""


def with_mmap(path: Path) -> None:
    with open(path, "r+b") as file, mmap.mmap(file.fileno(), 0) as view:
        view[0:3] = b"two"


def with_pwrite(path: Path) -> None:
    handle = os.open(path, os.O_WRONLY)
    os.pwrite(handle, b"two", 0)
    os.close(handle)


def by_renaming(path: Path) -> None:
    fresh = path.with_name("in~")
    fresh.write_bytes(b"two\n")
    os.utime(fresh, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    fresh.replace(path)


def by_copying(path: Path) -> None:
    backup = path.with_name("backup")
    backup.write_bytes(b"two\n")
    os.utime(backup, (1e9, 1e9))
    shutil.copy2(backup, path)


@pytest.mark.parametrize("edit", [with_mmap, with_pwrite, by_renaming, by_copying])
@pytest.mark.parametrize("restored", [False, True])
def test_every_way_to_write_is_noticed(two: Project, edit: Callable[[Path], None], restored: bool) -> None:
    path = two.folder / "in"
    before = path.stat()
    edit(path)
    if restored:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert steps(two) == "ab"
    assert two.read("out") == "TWO\nTWO\n"
    assert steps(two) == ""


def test_edits_that_follow_a_build_at_once_are_noticed(two: Project) -> None:
    path = two.folder / "in"
    for number in range(amount(15, 300)):
        handle = os.open(path, os.O_WRONLY)
        os.pwrite(handle, b"%03d" % number, 0)
        os.close(handle)
        assert steps(two) == "ab", number
        assert two.read("out") == f"{number:03}\n" * 2


def test_what_git_checks_out_is_compared_by_content(two: Project) -> None:
    def git(*words: str) -> None:
        subprocess.run(
            ["git", "-c", "user.name=x", "-c", "user.email=x@x", *words],
            cwd=two.folder,
            check=True,
            capture_output=True,
        )

    two.write(".gitignore", "log\nmid\nout\n")
    git("init", "-q", "-b", "main")
    git("add", "-A")
    git("commit", "-qm", "one")
    git("switch", "-qc", "other")
    two.write("in", "two\n")
    git("commit", "-qam", "two")
    for branch, text in (("main", "ONE\n"), ("other", "TWO\n"), ("main", "ONE\n")):
        git("switch", "-q", branch)
        two.build()
        assert two.read("out") == text * 2
        git("switch", "-q", "other" if branch == "main" else "main")
        git("switch", "-q", branch)
        assert steps(two) == ""


@pytest.mark.parametrize("executor", ["run", "call"])
def test_an_input_that_goes_while_its_job_runs(project: Project, executor: str) -> None:
    body = 'run = "cat in > out; rm in"' if executor == "run" else 'call = "steps:take"'
    project.taskfile(f'[tasks.t]\ninputs = "in"\noutputs = "out"\n{body}\n')
    project.write(
        "steps.py",
        "def take(input, output):\n    output.write_bytes(input.read_bytes())\n    input.unlink()\n",
    )
    project.write("in", "x")
    run = project.bt("build")
    assert run.code in (1, 3), run.out
    assert "Traceback" not in run.err
    assert not project.exists("out")
    assert project.bt("build").code == 3  # it is not there
    project.taskfile('[tasks.t]\ninputs = "in"\noutputs = "out"\nrun = "cat in > out"\n')
    project.write("in", "y")
    assert project.build().ran == ["t"]
    assert project.build().ran == []


def test_an_input_that_joins_a_glob_while_its_job_runs(project: Project) -> None:
    project.taskfile(
        '[tasks.t]\ninputs = "in/*"\noutputs = "out"\nrun = "cat {input} > out; [ -e in/b ] || echo b > in/b"\n'
    )
    project.write("in/a", "a\n")
    project.build()
    project.build()  # at the latest now it counts
    assert project.read("out") == "a\nb\n"
    assert project.build().ran == []


OUTPUTS: dict[str, tuple[Callable[[Path], object], bool]] = {
    "touched": (lambda path: os.utime(path, (1e9, 1e9)), False),
    "emptied": (lambda path: path.write_bytes(b""), True),
    "made executable": (lambda path: path.chmod(0o755), True),
    "closed to others": (lambda path: path.chmod(0o600), False),
    "replaced by the same": (lambda path: path.write_bytes(path.read_bytes()), False),
    "a directory": (lambda path: (path.unlink(), path.mkdir(), (path / "mine").write_text("x")), True),
    "a link to the same": (
        lambda path: (path.rename(path.with_name("moved")), path.symlink_to("moved")),
        True,
    ),
    "a dangling link": (lambda path: (path.unlink(), path.symlink_to("nowhere")), True),
    "a link that loops": (lambda path: (path.unlink(), path.symlink_to("out")), True),
    "a pipe": (lambda path: (path.unlink(), os.mkfifo(path)), True),
    "deleted": (lambda path: path.unlink(), True),
}


@pytest.mark.parametrize("what", OUTPUTS)
def test_an_output_in_other_hands(two: Project, what: str) -> None:
    change, counts = OUTPUTS[what]
    change(two.folder / "out")
    assert steps(two) == ("b" if counts else "")
    assert two.read("out") == "ONE\nONE\n"
    assert (two.folder / "out").is_file()
    assert not (two.folder / "out").is_symlink()
    assert steps(two) == ""
    if what == "a directory":
        assert [p.name for p in (two.folder / ".bt/kept").rglob("mine")] == ["mine"]
    if what == "a link to the same":
        assert two.read("moved") == "ONE\nONE\n"


def test_another_job_writes_over_an_output_that_it_does_not_declare(project: Project) -> None:
    project.taskfile("""
        [tasks.a]
        outputs = "a"
        run = "echo a > a"
        [tasks.bad]
        inputs = "a"
        outputs = "bad"
        run = "echo bad > a; echo > bad"
        [tasks.reader]
        inputs = ["a", "bad"]
        outputs = "out"
        run = "cat a > out"
    """)
    run = project.bt("build", "-j1")
    assert run.code == 1, run.out
    assert "a" in str(run.finished["bad"].get("error"))
    assert not project.exists("out")


def test_what_comes_out_different_each_time_is_made_once(project: Project) -> None:
    project.taskfile("""
        [tasks.now]
        outputs = "now"
        run = "date +%s.%N > now; echo $RANDOM >> now"
        [tasks.copy]
        inputs = "now"
        outputs = "copy"
        run = "cp now copy"
    """)
    assert project.build().ran == ["copy", "now"]
    for _ in range(3):
        assert project.build().ran == []
    project.remove("copy")
    assert project.build().ran == ["copy"]
    project.remove("now")
    assert project.build().ran == []  # nobody needs it
