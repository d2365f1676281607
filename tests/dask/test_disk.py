"""Machines of a dask cluster whose disk is full."""

from __future__ import annotations

import resource
import sys

import pytest

from support.cluster import DaskCluster, lab
from support.project import Project


@pytest.mark.skipif(sys.platform != "linux", reason="nobody else can limit another process")
def test_what_does_not_fit_is_told_and_leaves_nothing(project: Project, own_cluster: DaskCluster) -> None:
    """A file that was half written would fill the disk for good, and fail all later jobs with it."""
    lab(
        project,
        own_cluster,
        """
    [tasks.count]
    inputs = "large.bin"
    outputs = "size.txt"
    run = "wc -c < large.bin > size.txt"
    """,
    )
    project.write("large.bin", "x" * 3_000_000)
    endless = resource.RLIM_INFINITY
    for worker in own_cluster.workers:
        resource.prlimit(worker.pid, resource.RLIMIT_FSIZE, (1_000_000, endless))
    run = project.bt("build")
    assert run.code == 1, run.out + run.err
    assert "cannot write down what is sent to it: file too large" in run.out + run.err
    assert "tcp://" in run.out + run.err
    assert not [path for path in own_cluster.folder.rglob("bt/*") if path.is_file()]
    for worker in own_cluster.workers:
        resource.prlimit(worker.pid, resource.RLIMIT_FSIZE, (endless, endless))
    assert project.build().ran == ["count"]
