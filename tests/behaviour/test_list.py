"""`bt list`: what there is to do."""

from __future__ import annotations

import json
from textwrap import dedent

from support.project import Project

TASKFILE = """
    [tasks.trim]
    desc = "Trim the adapters"
    inputs = "raw/{s}.fq"
    outputs = "build/{s}.fq"
    run = "cp {input} {output}"
    [tasks.lint]
    desc = "Look for mistakes"
    group = "checks"
    inputs = ["a.py", "b.py", "c.py", "d.py", "e.py"]
    run = "true {input}"
    [tasks._secret]
    run = "true"
    [tasks.deploy]
    run = "true"
    [tasks.all]
    group = "checks"
    needs = ["lint", "deploy"]
"""


def lines(text: str) -> str:
    return dedent(text).lstrip("\n")


def test_tasks_by_group(project: Project) -> None:
    project.taskfile(TASKFILE)
    assert project.look("list").out == lines("""
        trim    Trim the adapters
        deploy  (command)

        checks
          lint    Look for mistakes  (check)
          all     (group)
    """)


def test_files_of_foreach_with_verbose(project: Project) -> None:
    project.taskfile(
        """
        [tasks.table]
        foreach = { from = "samples.csv" }
        inputs = "raw/{s}"
        outputs = "build/{s}"
        run = "cp {input} {output}"
        [tasks.lines]
        foreach = { chunk = "@chunks.txt" }
        outputs = "chunk/{chunk}"
        run = "echo > {output}"
        """
    )
    out = project.look("list", "-v").out
    assert "  samples.csv, raw/{s} → build/{s}\n" in out
    assert "  chunks.txt → chunk/{chunk}\n" in out


def test_patterns_with_verbose(project: Project) -> None:
    project.taskfile(TASKFILE)
    assert project.look("list", "-v").out == lines("""
        trim    Trim the adapters
                raw/{s}.fq → build/{s}.fq
        deploy  (command)

        checks
          lint    Look for mistakes  (check)
                  a.py, b.py, c.py and 2 more →
          all     (group)
                  needs lint, deploy
    """)


def test_hidden_tasks_on_request(project: Project) -> None:
    project.taskfile(TASKFILE)
    assert "_secret" not in project.look("list").out
    assert "_secret" in project.look("list", "--all").out


def test_json(project: Project) -> None:
    project.taskfile(TASKFILE)
    tasks = json.loads(project.look("list", "--json").out)
    assert [task["name"] for task in tasks] == ["trim", "deploy", "lint", "all"]
    assert tasks[0] == {
        "name": "trim",
        "desc": "Trim the adapters",
        "group": "",
        "kind": "rule",
        "inputs": ["raw/{s}.fq"],
        "outputs": ["build/{s}.fq"],
        "needs": [],
        "file": "Taskfile.toml",
        "line": 1,
    }


def test_a_wrong_graph_can_be_listed(project: Project) -> None:
    project.taskfile("""
        [tasks.a]
        inputs = "b"
        outputs = "a"
        run = "{nothing}"
        [tasks.b]
        inputs = ["a", "missing"]
        outputs = "a"
        run = "true"
    """)
    assert project.look("list").out == "a\nb\n"


def test_no_tasks(project: Project) -> None:
    project.taskfile("")
    assert project.look("list").out == "Taskfile.toml has no tasks\n"
    project.taskfile("[tasks._a]\nrun = 'true'\n")
    assert project.look("list").out == "Taskfile.toml: 1 hidden task (`bt list --all` shows them)\n"


def test_no_user_code(project: Project) -> None:
    project.taskfile("""
        [vars]
        v = { sh = "touch canary" }
        [tasks.a]
        outputs = "{vars.v}.out"
        track = { cmd = "touch canary" }
        run = "true"
    """)
    project.look("list", "-v")
