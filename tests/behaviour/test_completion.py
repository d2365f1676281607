"""Targets in the shell: asked as the shell's own completion asks."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.project import Project, clean_environment

TASKFILE = """
    [vars]
    v = { sh = "touch canary" }
    [tasks.count]
    desc = "Count"
    inputs = "raw/{s}.txt"
    outputs = "build/{s}.n"
    run = "true"
    [tasks.report]
    inputs = "build/*.n"
    outputs = "out/report.html"
    run = "true {vars.v}"
    [tasks._hidden]
    run = "true"
"""


def complete(project: Project, line: str, *, cwd: Path | None = None) -> list[str]:
    """What bash would be told for the last word of the line."""
    words = line.split(" ")
    asked = {
        "COMP_WORDS": "\n".join(words),
        "COMP_CWORD": str(len(words) - 1),
        "_BT_COMPLETE": "bash_complete",
    }
    before = project.traces()
    process = project.start(cwd=cwd or project.folder, env=clean_environment() | asked)
    out, err = process.communicate(timeout=60)
    assert err == ""
    assert project.traces() == before
    return [answer.removeprefix("plain,") for answer in out.splitlines() if answer]


def written(project: Project) -> Project:
    project.taskfile(TASKFILE)
    project.write("raw/A.txt", "")
    project.write("raw/B.txt", "")
    return project


@pytest.mark.parametrize("name", ["build", "why", "clean", "log", "graph", "status", "accept", "history"])
def test_tasks_and_files(project: Project, name: str) -> None:
    written(project)
    answers = complete(project, f"bt {name} ")
    assert answers == ["count", "report", "out/report.html", "build/A.n", "build/B.n"]


def test_what_was_typed_narrows_it(project: Project) -> None:
    written(project)
    assert complete(project, "bt build build/") == ["build/A.n", "build/B.n"]
    assert complete(project, "bt build -j 2 report rep") == ["report"]
    assert complete(project, "bt build _") == ["_hidden"]
    assert "history" in complete(project, "bt h")


def test_from_elsewhere(project: Project) -> None:
    written(project)
    assert complete(project, "bt build rep", cwd=project.folder / "raw") == ["report"]
    (project.folder / "out").mkdir()
    assert complete(project, "bt build rep", cwd=project.folder / "out") == ["report", "report.html"]
    assert complete(project, f"bt -C {project.folder} build out", cwd=project.folder.parent) == [
        "out/report.html"
    ]


def test_nothing_is_said_about_mistakes(project: Project) -> None:
    assert complete(project, "bt build ") == []
    project.taskfile("[tasks")
    assert complete(project, "bt build ") == []
    project.taskfile("[tasks.a]\noutputs = 'a{x}'\ninputs = '{y}'\nrun = '{z}'\n")
    assert complete(project, "bt build ") == ["a"]
    project.write(".bt/state.db", "rubbish")
    assert complete(project, "bt build ") == ["a"]


def test_the_shell_script(project: Project) -> None:
    for shell in ("bash", "zsh", "fish"):
        process = project.start(env=clean_environment() | {"_BT_COMPLETE": f"{shell}_source"})
        out, err = process.communicate(timeout=60)
        assert "_BT_COMPLETE" in out
        assert err == ""
