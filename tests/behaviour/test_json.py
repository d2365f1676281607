"""`bt build --json`: what programs can rely on."""

from __future__ import annotations

import json
import os
import signal
from typing import Any

from support.project import Project


def events(project: Project, *words: str) -> list[dict[str, Any]]:
    """The events of a build, whatever becomes of it."""
    return project.bt("build", *words).events


def test_the_summary_is_the_last_word(project: Project) -> None:
    project.taskfile("[tasks.a]\noutputs = 'a'\nrun = 'touch {output}'\n[tasks.b]\nrun = 'true'\n")
    project.build()
    project.taskfile("[tasks.b]\nrun = 'true'\n")
    told = events(project)
    assert [event["event"] for event in told] == ["plan", "warning", "summary"]
    assert "1 orphan" in told[1]["text"]


def test_an_interrupted_job_is_told_of(project: Project) -> None:
    project.taskfile("[tasks.slow]\noutputs = 'a'\nrun = 'echo > begun; sleep 60'\n")
    os.mkfifo(project.folder / "begun")
    process = project.start("build", "--json")
    with open(project.folder / "begun"):  # opened when the job is there, too
        pass
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    told = [json.loads(line) for line in out.splitlines()]
    assert [event["event"] for event in told] == ["plan", "started", "finished", "summary"]
    assert (told[2]["status"], told[2]["error"]) == ("skipped", "interrupted")
    assert (told[3]["skipped"], told[3]["exit_code"]) == (1, 130)


def test_names_that_are_not_utf8(project: Project) -> None:
    project.taskfile("[tasks.a]\ninputs = 'in/{n}'\noutputs = 'out/{n}'\nrun = 'cp {input} {output}'\n")
    name = os.fsdecode(b"\xff")
    project.write(f"in/{name}", "")
    told = events(project, f"out/{name}")
    assert told[0]["targets"] == ["out/\\xff"]
    assert "\\ud" not in json.dumps(told)
    for words in (["why", "--json", f"out/{name}"], ["status", "--json"], ["graph", "--format", "json"]):
        out = project.bt(*words).out
        assert "\\ud" not in out
        json.loads(out)


def test_errors_are_events(project: Project) -> None:
    project.taskfile("[tasks.a]\ninputs = 'a.txt'\noutputs = 'x'\nrun = 'true'\n")
    project.write("b.txt", "")
    error, summary = events(project)
    assert error["event"] == "error"
    assert error["text"] == "`a.txt`: no such file, and no task makes it"
    assert error["place"] == {"file": "Taskfile.toml", "line": 2, "column": 10}
    assert error["facts"] == [["needed by", "`a`"]]
    assert error["hint"] == "did you mean `b.txt`?"
    assert summary["exit_code"] == 3
    project.taskfile("[tasks.a]\nrnu = 1\n[tasks.b]\nrnu = 2\n")
    assert [event["event"] for event in events(project)] == ["error", "error", "summary"]
