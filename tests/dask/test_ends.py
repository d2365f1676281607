"""How builds end while a dask cluster is in trouble."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from support.cluster import DaskCluster, kill, lab
from support.project import Project


@pytest.mark.parametrize("known", [True, False], ids=["known to be gone", "just gone"])
def test_an_interrupt_ends_a_build_whose_machines_are_all_gone(
    project: Project, tmp_path: Path, known: bool
) -> None:
    """What began on a machine that died waits for another: nobody will ever answer for it."""
    cluster = DaskCluster(tmp_path / "cluster", workers=1)
    try:
        lab(
            project,
            cluster,
            """
    [tasks.slow]
    outputs = "out.txt"
    run = "echo begun; exec sleep 60"
    """,
        )
        process = project.start("build", "--json")
        for line in process.stdout or ():
            if "begun" in line and '"output"' in line:
                kill(cluster.workers[0])
                if not known:
                    break
            if "has no workers" in line:
                break
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=40)
        assert process.returncode == 130, out + err
    finally:
        cluster.close()
