"""`bt log`: what jobs printed."""

from __future__ import annotations

import json
import subprocess

from support.project import BT, Project

TASKFILE = """
    [tasks.say]
    inputs = "in/{s}"
    outputs = "out/{s}"
    run = "echo I am {s}; cp {input} {output}"
    [tasks.last]
    inputs = "out/*"
    outputs = "last"
    run = "cat {input} > {output}; printf '\\\\377\\\\n'"
    [tasks.mute]
    outputs = "mute"
    run = "touch {output}"
    [tasks.both]
    needs = ["out/A", "last"]
    [tasks.never]
    run = "true"
"""


def built(project: Project) -> Project:
    project.taskfile(TASKFILE)
    project.write("in/A", "a")
    project.write("in/B", "b")
    project.build("both", "mute", "-j1")
    project.build("last", "-B", "--only")
    return project


def test_the_last_job(project: Project) -> None:
    project.taskfile(TASKFILE)
    assert project.look("log", code=3).err == "no job has run here yet\n"
    built(project).build()
    before = project.traces()
    done = subprocess.run([*BT, "log"], cwd=project.folder, capture_output=True, check=True)
    assert done.stdout == b"\xff\n"  # bytes as they are
    assert project.traces() == before


def test_a_task_a_file_and_a_group(project: Project) -> None:
    built(project)
    assert project.look("log", "out/B").out == "I am B\n"
    assert project.look("log", "say").out == "==> say A <==\nI am A\n==> say B <==\nI am B\n"
    assert project.look("log", "both").out == "==> say A <==\nI am A\n==> last <==\n\udcff\n"


def test_nothing_to_show(project: Project) -> None:
    built(project)
    run = project.look("log", "mute")
    assert (run.out, run.err) == (
        "",
        "no output of `mute` is kept: it printed nothing, or its log was removed\n",
    )
    assert project.look("log", "never", code=3).err == "it has not run yet\n"
    assert project.look("log", "in/A", code=3).err == "`in/A` is a source: no job makes it\n"
    assert "no task makes `nope`" in project.look("log", "nope", code=3).err
    project.write("in/C", "c")
    run = project.look("log", "say")
    assert run.err == "1 job has not run yet\n"
    assert run.out.startswith("==> say A <==\n")


def test_where_it_is_kept(project: Project) -> None:
    built(project)
    path = project.look("log", "--path", "out/A").out
    assert path.startswith(f"{project.folder}/.bt/log/say_A-")
    with open(path.strip()) as file:
        assert file.read() == "I am A\n"


def test_a_failed_job_and_a_missing_input(project: Project) -> None:
    project.taskfile("""
        [tasks.bad]
        outputs = "x"
        inputs = "in"
        run = "echo oh no; exit 3"
    """)
    project.write("in", "")
    assert project.bt("build").code == 1
    project.remove("in")
    assert project.look("log", "bad").out == "oh no\n"
    assert project.look("log").out == "oh no\n"


def test_a_renamed_task(project: Project) -> None:
    project.taskfile('[tasks.old]\noutputs = "x"\nrun = "echo hi; touch x"\n')
    project.build()
    project.taskfile('[tasks.new]\noutputs = "x"\nrun = "echo hi; touch x"\n')
    project.build()
    assert project.look("log", "new").out == "hi\n"


def test_a_broken_taskfile_hides_nothing(project: Project) -> None:
    built(project)
    project.taskfile("[tasks")
    assert project.look("log").code == 0


def test_a_damaged_state_is_told(project: Project) -> None:
    built(project)
    project.write(".bt/state.db", "rubbish")
    told = project.bt("status").err
    assert told.startswith("warning: ")
    assert project.bt("build", "-n").err == told
    assert project.bt("log").err == told + "no job has run here yet\n"
    process = project.start("build", "-n", "--json")
    out, _ = process.communicate(timeout=60)
    assert [json.loads(line)["event"] for line in out.splitlines()] == ["warning", "plan", "summary"]
