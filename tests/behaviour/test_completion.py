"""Targets in the shell: asked as the shell's own completion asks."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from support.project import BT, Project, clean_environment

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


def test_names_are_never_shell_code(project: Project) -> None:
    project.taskfile("""
        [tasks.up]
        inputs = "src/{n}.txt"
        outputs = "out/{n}.up"
        run = "cp {input} {output}"
    """)
    live = ("$(touch PWNED)", "x;touch PWNED", "a b", "`touch PWNED`", "y\ntouch PWNED", "q*", "~", "é-1,2")
    for name in live:
        project.write(f"src/{name}.txt", "")
    assert complete(project, "bt why out/") == ["out/é-1,2.up"]
    project.build()  # now files of these names are there for globs to find
    project.write("bin/bt", f'#!/bin/sh\nexec {" ".join(BT)} "$@"\n').chmod(0o755)
    script = """
        PATH="$PWD/bin:$PATH"
        eval "$(_BT_COMPLETE=bash_source bt)"
        for word in out/ 'out/\\$' out/x out/y; do
            COMP_WORDS=(bt why "$word") COMP_CWORD=2 COMPREPLY=()
            _bt_completion bt "$word" why
            for found in "${COMPREPLY[@]}"; do eval "echo $found"; done
        done
    """
    told = subprocess.run(
        ["bash", "-c", script],
        cwd=project.folder,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.stdout == "out/é-1,2.up\n", told.stderr
    assert not project.exists("PWNED")
