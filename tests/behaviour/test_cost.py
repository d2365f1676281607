"""What a build will cost on executors that have a price: told by a dry run, learnt from earlier runs."""

from __future__ import annotations

import json
from typing import Any

import pytest

from support.project import Project

# A worker costs 36 million an hour, ten thousand a second: so the shortest of jobs are worth something.
TASKS = """
[executors.dear]
backend = "threads"
workers = 1
price = 36000000

[executors.free]
backend = "threads"

[tasks.first]
foreach = { n = [1, 2] }
inputs = "in{n}"
outputs = "first/{n}"
call = "steps:wait"
executor = "dear"

[tasks.second]
inputs = "first/1"
outputs = "second"
call = "steps:wait"
executor = "dear"

[tasks.here]
inputs = "in1"
outputs = "here"
call = "steps:wait"
executor = "free"
"""
STEPS = """
import time
def wait(output):
    time.sleep(0.2)
    output.write_text("")
"""


@pytest.fixture
def priced(project: Project) -> Project:
    project.taskfile(TASKS)
    project.write("steps.py", STEPS)
    project.write("in1", "")
    project.write("in2", "")
    return project


def told(project: Project, *words: str) -> list[str]:
    return [
        line
        for line in project.look("build", "-n", *words).out.splitlines()
        if "`dear`" in line or "`free`" in line
    ]


def costs(project: Project, *words: str) -> list[dict[str, Any]]:
    plan = json.loads(project.look("build", "-n", "--json", *words).out.splitlines()[0])
    found: list[dict[str, Any]] = plan.get("costs", [])
    return found


def took(project: Project, *names: str) -> float:
    entries = json.loads(project.look("history", "1", "--json").out)
    return sum(entry["seconds"] for entry in entries if entry["job"] in names)


def test_nothing_is_known_before_anything_ran(priced: Project) -> None:
    assert told(priced) == ["what it costs on `dear` is not known: 3 jobs never ran"]
    (cost,) = costs(priced)
    assert (cost["executor"], cost["will"], cost["jobs"], cost["unknown"]) == ("dear", 0.0, 3, 3)


def test_it_is_learnt_from_earlier_runs(priced: Project) -> None:
    priced.build()
    assert told(priced) == []  # nothing is to be done
    first, both = took(priced, "first 1") * 1e4, took(priced, "first 1", "second") * 1e4
    priced.write("in1", "changed")
    assert told(priced) == [f"about {first:.2f} to {both:.2f} on `dear`, as earlier runs took"]
    (cost,) = costs(priced)
    assert (cost["price"], cost["jobs"], cost["unknown"]) == (36_000_000, 2, 0)
    assert (cost["will"], cost["all"]) == (pytest.approx(first), pytest.approx(both))
    assert min(first, both - first) > 2000


def test_jobs_that_never_ran_are_not_in_it(priced: Project) -> None:
    priced.build("first")
    one = took(priced, "first 2") * 1e4
    priced.write("in2", "changed")
    assert told(priced) == [f"at least {one:.2f} on `dear`, as earlier runs took: 1 job never ran"]


def test_new_jobs_take_what_is_usual_for_their_task(priced: Project) -> None:
    priced.build("first")
    usual = took(priced, "first 1", "first 2") * 1e4 / 2
    priced.taskfile(TASKS.replace("[1, 2]", "[1, 2, 3]"))
    priced.write("in3", "")
    assert told(priced, "first") == [f"about {usual:.2f} on `dear`, as earlier runs took"]


def test_it_is_where_the_jobs_are_to_run_that_counts(priced: Project) -> None:
    priced.build()
    whole = took(priced, "first 1", "first 2", "second", "here") * 1e4
    assert told(priced, "-B", "-e", "dear") == [f"about {whole:.2f} on `dear`, as earlier runs took"]
    assert told(priced, "-B", "-e", "free") == []


def test_a_price_runs_no_job_and_what_is_next_to_nothing_is_said_so(priced: Project) -> None:
    priced.build()
    priced.taskfile(TASKS.replace("36000000", "0.2"))
    assert priced.build().ran == []
    assert told(priced, "-B") == ["less than 0.01 on `dear`, as earlier runs took"]
    priced.taskfile(TASKS.replace("36000000", "0"))
    assert told(priced, "-B") == ["about 0.00 on `dear`, as earlier runs took"]


def test_a_price_that_is_none(project: Project) -> None:
    project.taskfile(
        '[executors.a]\nbackend = "local"\nprice = "1 EUR"\n[executors.b]\nbackend = "dask"\nprice = -1\n'
    )
    run = project.look("check", code=2)
    assert "`executors.a.price` must be a number" in run.err
    assert "`executors.b.price` must not be less than 0" in run.err
