"""Standard output that ends before `bt` does."""

from __future__ import annotations

import os
import signal
import subprocess

import pytest

from support.project import BT, Project, clean_environment

TASKFILE = """
    [tasks.slow]
    inputs = "in"
    outputs = "slow"
    run = "cat {input} > {output}; if test -p begun; then echo > begun; sleep 60; fi"
    [tasks.quick]
    outputs = "quick"
    run = "if test -p begun; then until test -e go; do sleep 0.02; done; fi; echo one; touch {output}"
    [tasks.later]
    inputs = "slow"
    outputs = "later"
    run = "touch {output}"
"""


def into(project: Project, line: str) -> subprocess.CompletedProcess[str]:
    """A line of bash in which `bt` is this one, the exit code is that of the first command of a pipe."""
    script = f'bt() {{ {" ".join(BT)} "$@"; }}\n{line}\nexit "${{PIPESTATUS[0]}}"'
    return subprocess.run(
        ["bash", "-c", script],
        cwd=project.folder,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("option", ["--json", "--verbose"])
def test_a_build_whose_reader_leaves_ends_in_order(project: Project, option: str) -> None:
    project.taskfile(TASKFILE)
    project.write("in", "old")
    project.build("slow")
    project.write("in", "new")
    os.mkfifo(project.folder / "begun")
    process = project.start("build", "-j2", option, "slow", "quick", "later")
    assert process.stdout is not None
    assert process.stderr is not None
    with open(project.folder / "begun"):  # as soon as `slow` has written its output
        process.stdout.close()
    project.write("go", "")  # now `quick` ends, and there is nobody to be told
    assert process.wait(timeout=60) == 141
    with process.stderr:
        assert process.stderr.read() == ""
    assert project.read("slow") == "old"
    assert not project.exists("later")
    assert '"exit_code": 141' in project.bt("history", "-n1", "--json").out
    project.remove("begun")
    again = project.build("slow")
    assert again.warnings == []
    assert project.read("slow") == "new"


@pytest.mark.parametrize(
    "words", ["--help", "history", "graph", "list", "check", "log", "status", "why slow"]
)
def test_nobody_reads_the_answer(project: Project, words: str) -> None:
    project.taskfile(TASKFILE)
    project.write("in", "old")
    project.build("slow", "quick", "-j1")
    end = into(project, f"bt {words} | true")
    assert end.stderr == ""
    assert end.returncode == 141


@pytest.mark.parametrize("words", ["graph", "log quick", "build -n", "build -B slow", "status"])
def test_a_full_disk_takes_no_answer(project: Project, words: str) -> None:
    project.taskfile(TASKFILE)
    project.write("in", "old")
    project.build("slow", "quick", "-j1")
    end = into(project, f"bt {words} > /dev/full")
    assert "error: cannot write to standard output: no space left on device" in end.stderr
    assert "Traceback" not in end.stderr
    assert end.returncode == 5


def test_what_a_command_prints_is_safe_to_show(project: Project) -> None:
    project.write("said", b"plain\n\n\ttab\nred \x1b[31mink\nup \x1b[2A\r\x07\nbyte \xff\nend")
    project.taskfile("[tasks.say]\nrun = 'cat said; exit'\n")
    process = project.start("build", "say")
    out, _ = process.communicate(timeout=60)
    shown = ["plain", "", "    tab", "red \x1b[31mink\x1b[0m", "up ", "\\x07", "byte \ufffd", "end"]
    assert out.split("\n")[:8] == [f"  {line}" for line in shown]


def test_an_interrupted_build_says_so(project: Project) -> None:
    project.taskfile('[tasks.slow]\noutputs = "x"\nrun = "echo > begun; sleep 60"\n')
    os.mkfifo(project.folder / "begun")
    process = project.start("build")
    with open(project.folder / "begun"):
        pass
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert out.splitlines()[0] == "skipped    slow  interrupted"
    assert out.splitlines()[-1].startswith("interrupted: 1 skipped in ")


def test_the_tail_of_a_failure_is_bounded(project: Project) -> None:
    project.taskfile("""
        [tasks.long]
        run = "head -c 3000000 /dev/zero | tr '\\\\0' x; exit 3"
        [tasks.wide]
        run = "for n in 1 2; do head -c 3000 /dev/zero | tr '\\\\0' $n; echo; done; echo end; exit 3"
        [tasks.many]
        run = "seq 10000; exit 3"
    """)
    for name, lines in {
        "long": [f"    … {'x' * 400}"],
        "wide": [f"    {'1' * 400} …", f"    {'2' * 400} …", "    end"],
        "many": [f"    {number}" for number in range(9981, 10001)],
    }.items():
        process = project.start("build", "-q", name)
        out, _ = process.communicate(timeout=60)
        told = out.partition("last lines of its output:\n")[2].splitlines()
        assert told[:-2] == lines
