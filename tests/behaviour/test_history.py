"""`bt history`: past builds, and what jobs did in them."""

from __future__ import annotations

import json
import os
import re

from support.project import Project

TASKFILE = """
    [tasks.up]
    inputs = "in/{s}"
    outputs = "out/{s}"
    run = "tr a-z A-Z < {input} > {output}; test {s} != bad"
"""


def lines(text: str) -> list[str]:
    """Lines without times and repeated blanks."""
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "WHEN", text)
    return [" ".join(line.split()) for line in re.sub(r"\b\d+\.\d s", "TIME", text).splitlines()]


def built(project: Project) -> Project:
    project.taskfile(TASKFILE)
    project.write("in/A", "a")
    project.build()
    project.write("in/bad", "b")
    assert project.bt("build").code == 1
    return project


def test_a_source_has_no_runs(project: Project) -> None:
    built(project)
    assert project.look("history", "in/A", code=3).err == "`in/A` is a source: no job makes it\n"


def test_builds(project: Project) -> None:
    project.taskfile(TASKFILE)
    assert project.look("history").err == "nothing was built here yet\n"
    built(project)
    assert lines(project.look("history").out) == [
        "build began took exit jobs command",
        "2 WHEN TIME 1 1 fresh, 1 failed bt build",
        "1 WHEN TIME 0 1 ran bt build",
    ]
    assert len(project.look("history", "-n1").out.splitlines()) == 2


def test_one_build(project: Project) -> None:
    built(project).write("in/A", "aa")
    project.remove("in/bad")
    project.build()
    assert lines(project.look("history", "1").out) == [
        "ended result took job because",
        "WHEN ran TIME up A never built here",
    ]
    assert lines(project.look("history", "3").out)[1:] == ["WHEN ran TIME up A input in/A changed"]
    project.build()
    assert project.look("history", "4").err == "every job was fresh\n"
    run = project.look("history", "9", code=2)
    assert "there is no build 9" in run.err
    assert "builds 1 to 4 are known" in run.err


def test_one_job(project: Project) -> None:
    built(project)
    assert lines(project.look("history", "out/bad").out) == [
        "build ended result took job because",
        "2 WHEN failed TIME up bad never built here",
    ]
    assert len(project.look("history", "up").out.splitlines()) == 3
    assert "no task makes `nope`" in project.look("history", "nope", code=3).err


def test_a_job_that_is_gone(project: Project) -> None:
    built(project).taskfile("")
    assert len(project.look("history", "out/A").out.splitlines()) == 2


def test_json(project: Project) -> None:
    built(project)
    builds = json.loads(project.look("history", "--json").out)
    assert [(b["number"], b["exit_code"], b["counts"], b["running"]) for b in builds] == [
        (2, 1, {"fresh": 1, "failed": 1}, False),
        (1, 0, {"ran": 1}, False),
    ]
    [entry] = json.loads(project.look("history", "2", "--json").out)
    assert (entry["job"], entry["status"], entry["reasons"]) == ("up bad", "failed", ["never built here"])


def test_the_running_build_and_one_that_was_killed(project: Project) -> None:
    project.taskfile("[tasks.wait]\nrun = 'echo > begun; read x < go'\n")
    os.mkfifo(project.folder / "begun")
    os.mkfifo(project.folder / "go")
    process = project.start("build", "wait")
    (project.folder / "begun").read_text()
    assert lines(project.bt("history").out)[1] == "1 WHEN TIME running - bt build wait"
    assert json.loads(project.bt("history", "--json").out)[0]["running"]
    process.kill()
    process.communicate()
    assert lines(project.look("history").out)[1] == "1 WHEN broken off - bt build wait"
    (project.folder / "go").write_text("\n")  # lets the command end that outlived its build
