"""`bt build --trace FILE`: what was done when, for trace viewers."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

from support.project import Project

TASKS = """
[tasks.part]
foreach = { n = [1, 2, 3, 4] }
outputs = "out/{n}"
run = "sleep 0.05; touch {output}"

[tasks.all]
inputs = "out/*"
outputs = "all"
call = "steps:join"
"""
STEPS = "def join(inputs, output): output.write_text(str(len(inputs)))\n"


def events(project: Project, name: str = "trace.json") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(project.read(name))
    return found


def test_jobs_lie_in_as_many_rows_as_there_are_slots(project: Project) -> None:
    project.taskfile(TASKS)
    project.write("steps.py", STEPS)
    project.build("-j2", "--trace", "trace.json")
    jobs = [e for e in events(project) if e.get("cat") == "job"]
    assert sorted(e["name"] for e in jobs) == ["all", "part 1", "part 2", "part 3", "part 4"]
    assert {e["tid"] for e in jobs} == {1, 2}
    assert all(e["args"]["exit code"] == 0 for e in jobs)
    for row in (1, 2):
        spans = sorted((e["ts"], e["ts"] + e["dur"]) for e in jobs if e["tid"] == row)
        assert all(end <= begin for (_, end), (begin, _) in pairwise(spans))
    last = max(jobs, key=lambda e: e["ts"])
    assert last["name"] == "all"
    assert all(e["dur"] >= 50_000 for e in jobs if e is not last)


def test_what_bt_does_itself_is_there(project: Project) -> None:
    project.taskfile(TASKS)
    project.write("steps.py", STEPS)
    project.build("-j2", "--trace", "trace.json")
    found = events(project)
    names = {(e["pid"], e["args"]["name"]) for e in found if e["ph"] == "M"}
    assert {(0, "bt"), (1, "local")} <= names
    ours = [e for e in found if e["ph"] == "X" and e["pid"] == 0]
    assert {e["cat"] for e in ours} == {"look", "judge", "state"}
    assert {e["name"] for e in ours if e["cat"] == "judge"} == {"all", "part 1", "part 2", "part 3", "part 4"}


def test_a_failure_is_in_it_and_it_is_whole(project: Project) -> None:
    project.taskfile('[tasks.bad]\noutputs = "a"\nrun = "exit 7"\n')
    assert project.bt("build", "--trace", "t.json").code == 1
    (job,) = (e for e in events(project, "t.json") if e.get("cat") == "job")
    assert job["args"]["exit code"] == 7


def test_a_file_that_cannot_be_made_is_told_before_anything_runs(project: Project) -> None:
    project.taskfile('[tasks.a]\noutputs = "a"\nrun = "touch a"\n')
    run = project.bt_plainly("build", "--trace", "no/such/folder")
    assert run.code == 5
    assert "cannot write the trace" in run.err
    assert "Traceback" not in run.err
    assert project.files() == ["Taskfile.toml"]


def test_it_goes_with_a_build(project: Project) -> None:
    project.taskfile('[tasks.a]\noutputs = "a"\nrun = "touch a"\n')
    run = project.bt_plainly("build", "-n", "--trace", "t.json")
    assert run.code == 2
    assert not (project.folder / "t.json").exists()
