"""`bt build --trace` with a cluster: every file that passes between this machine and the workers."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

from support.cluster import DaskCluster
from support.project import Project

LARGE = 300_000  # bytes: more than travel with a job or its answer
TASKS = """
    [executors.lab]
    backend = "dask"
    address = "{address}"

    [tasks.double]
    foreach = {{ n = [1, 2, 3] }}
    inputs = ["large", "small{{n}}"]
    outputs = ["double{{n}}", "count{{n}}"]
    executor = "lab"
    run = "cat large large > double{{n}}; wc -c < small{{n}} > count{{n}}"

    [tasks.here]
    inputs = "count1"
    outputs = "here"
    run = "cp count1 here"
"""


def traced(project: Project) -> list[dict[str, Any]]:
    project.build("--trace", "trace.json", "-j4")
    found: list[dict[str, Any]] = json.loads(project.read("trace.json"))
    return found


def files(events: list[dict[str, Any]], way: str) -> list[tuple[str, int, str]]:
    return sorted(
        (e["name"], e["args"]["bytes"], e["args"]["job"])
        for e in events
        if e.get("cat") == "file" and e["args"].get(way) == "workers"
    )


def end(event: dict[str, Any]) -> int:
    return int(event["ts"]) + int(event["dur"])


def test_files_that_pass_are_events_with_their_sizes(project: Project, cluster: DaskCluster) -> None:
    project.taskfile(TASKS.format(address=cluster.address))
    project.write("large", project.folder.as_posix().encode() + bytes(LARGE))
    size = len(project.folder.as_posix().encode()) + LARGE
    for n in (1, 2, 3):
        project.write(f"small{n}", "x" * n)
    events = traced(project)
    sent = files(events, "to")
    assert [(name, bytes_) for name, bytes_, _ in sent] == [  # a content goes there once, whoever reads it
        ("large", size),
        ("small1", 1),
        ("small2", 2),
        ("small3", 3),
    ]
    assert [job for name, _, job in sent if name != "large"] == ["double 1", "double 2", "double 3"]
    assert files(events, "from") == [
        *((f"count{n}", 2, f"double {n}") for n in (1, 2, 3)),
        *((f"double{n}", 2 * size, f"double {n}") for n in (1, 2, 3)),
    ]

    jobs = {e["name"]: e for e in events if e.get("cat") == "job"}
    moved = [e for e in events if e.get("cat") == "file"]
    for event in moved:  # within the time of its job, on its executor
        job = jobs[event["args"]["job"]]
        assert job["pid"] == event["pid"]
        assert 0 <= job["ts"] <= event["ts"] + 1
        assert end(event) <= end(job) + 1
    rows = {(e["pid"], e["tid"]): e["args"]["name"] for e in events if e["name"] == "thread_name"}
    for row in {(e["pid"], e["tid"]) for e in moved}:
        assert rows[row].startswith("files ")
        spans = sorted((e["ts"], end(e)) for e in moved if (e["pid"], e["tid"]) == row)
        assert all(before[1] <= after[0] + 1 for before, after in pairwise(spans))

    project.write("small2", "xxxx")
    events = traced(project)
    assert files(events, "to") == [("small2", 4, "double 2")]  # the large one is there
    assert files(events, "from") == [("count2", 2, "double 2"), ("double2", 2 * size, "double 2")]


def test_what_stays_there_does_not_come_home(project: Project, cluster: DaskCluster) -> None:
    project.taskfile(f"""
        [executors.lab]
        backend = "dask"
        address = "{cluster.address}"
        fetch = "needed"

        [tasks.first]
        inputs = "in"
        outputs = "first"
        executor = "lab"
        run = "cat in in > first"

        [tasks.second]
        inputs = "first"
        outputs = "second"
        executor = "lab"
        run = "wc -c < first > second"
    """)
    project.write("in", project.folder.as_posix().encode() + bytes(LARGE))
    events = traced(project)
    assert [name for name, _, _ in files(events, "to")] == ["in"]
    assert [name for name, _, _ in files(events, "from")] == ["second"]
