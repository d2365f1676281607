"""`bt status --follow`: a build of another terminal, seen as it goes on."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator

import pytest

from buildtool.state.store import StateReader
from support.project import Project
from support.terminal import Terminal

WAITING = """
[tasks.wait]
foreach = { n = [1, 2, 3] }
outputs = "out/{n}"
run = '''
echo "first words of {n}"
while [ ! -e go{n} ]; do sleep 0.02; done
touch {output}
'''
"""


@contextlib.contextmanager
def building(project: Project, *words: str) -> Iterator[subprocess.Popen[str]]:
    """A build in another terminal, once its first job runs; ended at last if it has not."""
    process = project.start("build", *words)
    try:
        until = time.monotonic() + 60
        while not running(project):
            assert time.monotonic() < until
            assert process.poll() is None, process.communicate()
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
        process.communicate()


def running(project: Project) -> list[str]:
    with StateReader.open(str(project.folder / ".bt")) as reader:
        return [job.key for job in reader.running()]


def test_a_build_is_seen_until_it_ends(project: Project) -> None:
    project.taskfile(WAITING)
    with (
        building(project, "-j2") as process,
        Terminal(project, "status", "--follow", columns=100) as terminal,
    ):
        lines = terminal.until(lambda lines: "words of 2" in "\n".join(lines))
        assert re.match(rf"under way: `bt build` \(pid {process.pid}, for ", lines[0])
        assert "0 of 3 jobs, 2 running" in lines[1]
        assert re.fullmatch(r"  wait 1  \d+\.\d s  first words of 1", lines[2])
        project.write("go1", "")
        lines = terminal.until(lambda lines: "words of 3" in "\n".join(lines))
        assert lines[1].startswith("ran        wait 1  (never built here)")
        assert "1 of 3 jobs, 2 running" in lines[2]
        project.write("go2", "")
        project.write("go3", "")
        lines = terminal.end()
        assert terminal.code == 0
        assert [line.split("  ")[0] for line in lines[1:4]] == ["ran"] * 3
        assert lines[4].startswith("3 ran in ")
        assert len(lines) == 5
        assert not terminal.cursor_is_hidden
        assert process.wait(60) == 0


def test_leaving_does_not_touch_the_build(project: Project) -> None:
    project.taskfile(WAITING)
    with building(project, "-j3") as process:
        with Terminal(project, "status", "--follow") as terminal:
            terminal.until(lambda lines: "words of 3" in "\n".join(lines))
            terminal.press(b"\x03")
            lines = terminal.end()
            assert terminal.code == 130
            assert "Traceback" not in "\n".join(lines)
            assert not [line for line in lines if " running" in line]
        assert process.poll() is None
        for n in (1, 2, 3):
            project.write(f"go{n}", "")
        out, err = process.communicate(timeout=60)
        assert (process.returncode, err) == (0, "")
        assert "3 ran in " in out
    assert project.look("build", "-n").out == "3 fresh\n"


def test_nothing_on_the_disk_changes(project: Project) -> None:
    project.taskfile(WAITING)
    with building(project, "-j3"):
        while len(running(project)) < 3:
            pass
        for n in (1, 2, 3):  # once a job is known by its process, nothing is written until it ends
            path = project.folder / ".bt" / "running"
            while path.read_text().count('"process"') < n:
                pass
        before = project.traces()
        with Terminal(project, "status", "--follow") as terminal:
            terminal.until(lambda lines: "words of 3" in "\n".join(lines))
            assert project.traces() == before
            terminal.press(b"\x03")
            terminal.end()
        assert project.traces() == before


def test_the_time_left_is_told_of_the_build_and_of_what_it_was_asked_for(project: Project) -> None:
    """Its targets and `-B` are those of the build: what it does not build is not counted."""
    project.taskfile(
        """
        [tasks.slow]
        foreach = { n = [1, 2] }
        outputs = "out/{n}"
        run = "sleep 1; while [ -e wait{n} ]; do sleep 0.02; done; touch {output}"

        [tasks.other]
        foreach = { n = [1, 2, 3] }
        outputs = "other/{n}"
        run = "touch {output}"
        """
    )
    project.build("slow", "-j2")
    project.write("wait1", "")
    project.write("wait2", "")
    with building(project, "-B", "-j1", "slow"), Terminal(project, "status", "--follow") as terminal:
        terminal.until(lambda lines: bool(re.search(r"0 of 2 jobs, 1 running, \d s left", "\n".join(lines))))
        project.remove("wait1")
        terminal.until(lambda lines: bool(re.search(r"1 of 2 jobs, 1 running, \d s left", "\n".join(lines))))
        project.remove("wait2")
        terminal.end()
        assert terminal.code == 0


def test_jobs_that_turn_out_fresh_are_counted(project: Project) -> None:
    project.taskfile(
        """
        [tasks.first]
        inputs = "in"
        outputs = "first"
        run = "while [ -e hold1 ]; do sleep 0.02; done; echo same > {output}"

        [tasks.second]
        inputs = "first"
        outputs = "second"
        run = "cp {input} {output}"

        [tasks.wait]
        inputs = ["in", "second"]
        outputs = "last"
        run = "while [ -e hold ]; do sleep 0.02; done; touch {output}"
        """
    )
    project.write("in", "1")
    project.build()
    project.write("in", "2")
    project.write("hold", "")
    project.write("hold1", "")
    with building(project), Terminal(project, "status", "--follow") as terminal:
        terminal.until(lambda lines: "0 of 3 jobs, 1 running" in "\n".join(lines))
        project.remove("hold1")
        terminal.until(lambda lines: "2 of 3 jobs, 1 running" in "\n".join(lines))
        project.remove("hold")
        assert "1 fresh" in terminal.end()[-1]


def test_plain_lines_where_there_is_no_terminal(project: Project) -> None:
    project.taskfile(WAITING.replace("touch {output}", "[ {n} != 2 ] && touch {output}"))
    with building(project, "-j3", "-k"):
        view = project.start("status", "--follow")
        try:
            assert view.stdout is not None
            assert view.stdout.readline().startswith("under way: `bt build`")
            project.write("go1", "")
            assert view.stdout.readline().startswith("ran        wait 1  (never built here)")
            project.write("go2", "")
            assert (
                view.stdout.readline()
                == "failed     wait 2  exit code 1; `bt log out/2` shows what it printed\n"
            )
            project.write("go3", "")
            out, err = view.communicate(timeout=60)
        finally:
            view.kill()
            view.communicate()
    assert view.returncode == 0
    assert err == ""
    assert [line.split(" in ")[0] for line in out.splitlines()][-1] == "2 ran, 1 failed"
    assert "first words" in project.look("log", "out/2").out


def test_why_jobs_fail_and_are_skipped_is_told_as_the_build_does(project: Project) -> None:
    project.taskfile(
        """
        [bt]
        secrets = ["TOKEN"]

        [tasks.wait]
        outputs = "it's $1.out"
        run = "while [ ! -e go ]; do sleep 0.02; done; echo no; exit 3"

        [tasks.sum]
        inputs = "it's $1.out"
        outputs = "sum"
        run = "touch sum"

        [tasks.chk]
        foreach = { k = ["p q"] }
        inputs = "in"
        run = "while [ ! -e go ]; do sleep 0.02; done; echo {k}; exit 4"
        """
    )
    project.write("in", "")
    with building(project, "-j2", "-k"):
        view = project.start("status", "--follow")
        assert view.stdout is not None
        view.stdout.readline()
        project.write("go", "")
        out, _ = view.communicate(timeout=60)
    assert sorted(out.splitlines()[:-1]) == [
        "failed     chk p q  exit code 4; `bt log 'chk p q'` shows what it printed",
        """failed     wait  exit code 3; `bt log 'it'"'"'s $1.out'` shows what it printed""",
        "skipped    sum  wait failed",
    ]
    assert project.look("log", "chk p q").out == "p q\n"


def test_a_build_that_is_killed_is_said_to_be_cut_short(project: Project) -> None:
    project.taskfile(WAITING)
    with building(project) as process:
        view = project.start("status", "--follow")
        assert view.stdout is not None
        view.stdout.readline()
        process.kill()
        out, _ = view.communicate(timeout=60)
        for n in (1, 2, 3):  # its jobs go on
            project.write(f"go{n}", "")
    assert view.returncode == 0
    assert out.splitlines()[-1] == "the build was cut short"


def test_without_a_build_it_is_the_usual_status(project: Project) -> None:
    project.taskfile(WAITING)
    assert project.look("status", "--follow").out == project.look("status").out == "wait  3 stale\n"
    for n in (1, 2, 3):
        project.write(f"go{n}", "")
    project.build()
    assert "wait  3 fresh\nlast build: number 1" in project.look("status", "--follow").out


@pytest.mark.parametrize("option", ["--check", "--json"])
def test_what_it_does_not_go_with(project: Project, option: str) -> None:
    project.taskfile(WAITING)
    run = project.look("status", "--follow", option, code=2)
    assert "`--follow` shows a build" in run.err


def test_watch_that_waits_has_nothing_to_follow(project: Project) -> None:
    project.taskfile('[tasks.a]\ninputs = "in"\noutputs = "a"\nrun = "cp in a"\n')
    project.write("in", "")
    watch = project.start("watch")
    try:
        assert watch.stdout is not None
        while "waiting for changes" not in (line := watch.stdout.readline()):
            assert line, watch.communicate()
        run = project.bt("status", "--follow")
        assert run.code == 0
        assert run.out.startswith("a  1 fresh\nlast build: number 1, ")
    finally:
        os.kill(watch.pid, signal.SIGTERM)
        watch.communicate()
