"""`bt watch` with jobs on a cluster."""

from __future__ import annotations

import os
from pathlib import Path

from support.cluster import DaskCluster
from support.project import Project
from support.watching import Watching

LAB = '[executors.lab]\nbackend = "dask"\naddress = "{address}"\n\n[bt]\nexecutor = "lab"\n'


def test_functions_and_commands_follow_their_inputs_and_code(project: Project, cluster: DaskCluster) -> None:
    project.taskfile(
        LAB.format(address=cluster.address)
        + '[tasks.f]\ninputs = "in"\noutputs = "f"\ncall = "steps:f"\n'
        + '[tasks.r]\ninputs = "f"\noutputs = "r"\nrun = "tr a-z A-Z < {input} > {output}"\n'
    )
    project.write("steps.py", "def f(input, output): output.write_text(input.read_text() + 'one')\n")
    project.write("in", "a")
    with Watching(project) as watch:
        assert watch.first().ran == ["f", "r"]
        project.write("in", "b")
        assert watch.round().ran == ["f", "r"]
        assert project.read("r") == "BONE"
        project.write("steps.py", "def f(input, output): output.write_text(input.read_text() + 'two')\n")
        assert watch.round().ran == ["f", "r"]
        assert project.read("r") == "BTWO"
        assert watch.end() == 130
    assert project.build().ran == []


def test_a_job_that_runs_there_begins_anew_when_its_input_changes(
    project: Project, cluster: DaskCluster, tmp_path: Path
) -> None:
    begun, go = tmp_path / "begun", tmp_path / "go"
    os.mkfifo(begun)
    os.mkfifo(go)
    project.taskfile(
        LAB.format(address=cluster.address)
        + f'[tasks.r]\ninputs = "in"\noutputs = "r"\nrun = "cp in r; cat in > {begun}; read x < {go}"\n'
    )
    project.write("in", "1")
    with Watching(project) as watch:
        assert begun.read_text() == "1"
        project.write("in", "2")
        assert begun.read_text() == "2"
        go.write_text("on\n")
        watch.until("finished", job="r", status="ran")
        assert project.read("r") == "2"


def test_a_lost_cluster_is_told_and_asked_for_again(project: Project, own_cluster: DaskCluster) -> None:
    project.taskfile(
        f'[executors.lab]\nbackend = "dask"\nscheduler_file = "{own_cluster.file}"\n\n[bt]\nexecutor = "lab"\n'
        '[tasks.r]\ninputs = "in"\noutputs = "r"\nrun = "cp {input} {output}"\n'
    )
    project.write("in", "1")
    with Watching(project) as watch:
        assert watch.first().ran == ["r"]
        own_cluster.close()
        project.write("in", "2")
        while not any(told["event"] == "error" for told in watch.until("waiting")):
            pass
        own_cluster.__init__(own_cluster.folder)  # type: ignore[misc]  # the same cluster once more
        project.write("in", "3")
        watch.until("finished", job="r", status="ran")
        assert project.read("r") == "3"
