"""Against Coiled itself, which costs money: only when `BT_COILED_LIVE` is set, with the user's own login."""

from __future__ import annotations

import os
import uuid

import pytest

from support.project import Project

pytestmark = pytest.mark.skipif("BT_COILED_LIVE" not in os.environ, reason="BT_COILED_LIVE is not set")

TASKS = """
    [bt]
    executor = "farm"

    [executors.farm]
    backend = "coiled"
    name = "{name}"
    workers = [0, 2]
    worker = {{ cpus = 2, memory = "8GiB" }}
    idle_timeout = "5m"

    [tasks.up]
    inputs = "in/{{n}}.txt"
    outputs = "up/{{n}}.txt"
    call = "steps:up"

    [tasks.all]
    inputs = "up/*"
    outputs = "all.txt"
    run = "echo on $COILED_CLUSTER_NAME; cat {{input}} > {{output}}"
"""


def test_from_nothing_to_a_build_in_the_cloud_and_back_to_no_cluster(project: Project) -> None:
    name = f"bt-live-{uuid.uuid4().hex[:8]}"
    project.taskfile(TASKS.format(name=name))
    project.write("steps.py", "def up(input, output): output.write_text(input.read_text().upper())\n")
    project.write("in/a.txt", "a\n")
    project.write("in/b.txt", "b\n")
    try:
        run = project.build()
        assert sorted(run.ran) == ["all", "up a", "up b"]
        assert project.read("all.txt") == "A\nB\n"
        assert name in project.bt("status").out
        project.write("steps.py", "def up(input, output): output.write_text(input.read_text() * 2)\n")
        assert sorted(project.build().ran) == ["all", "up a", "up b"]
        assert project.read("all.txt") == "a\na\nb\nb\n"
    finally:
        done = project.bt("clean", "--cluster", "--yes")
    assert f"stopped {name}" in done.out
    assert "there is no cluster" in project.bt("clean", "--cluster", "--yes").out
