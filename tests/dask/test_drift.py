"""Machines of a dask cluster that differ from this one are told of before the first job, however busy they are."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from support.cluster import LAB, DaskCluster, kill
from support.project import Project

TASK = """
    [tasks.version]
    outputs = "version.txt"
    call = "steps:version"
"""


@pytest.fixture
def env(tmp_path: Path, own_cluster: DaskCluster) -> dict[str, str]:
    """A package that is there in another version than here."""
    site = tmp_path / "site"
    for folder, version in ((own_cluster.folder / "poison", "1.0"), (site, "2.0")):
        (folder / f"humanlib-{version}.dist-info").mkdir(parents=True)
        (folder / f"humanlib-{version}.dist-info/METADATA").write_text(
            f"Name: humanlib\nVersion: {version}\n"
        )
        (folder / "humanlib.py").write_text(f"VERSION = '{version}'\n")
    return {"PYTHONPATH": os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])])}


def versioned(project: Project, cluster: DaskCluster, drift: str) -> None:
    project.taskfile(LAB.format(address=cluster.address) + f'    drift = "{drift}"\n' + TASK)
    project.write("steps.py", "import humanlib\ndef version(output): output.write_text(humanlib.VERSION)\n")


def test_what_comes_of_a_difference_is_chosen(
    project: Project, own_cluster: DaskCluster, env: dict[str, str]
) -> None:
    versioned(project, own_cluster, "error")
    run = project.bt("build", env=env)
    assert run.code == 7
    assert "humanlib: 2.0 here, 1.0 there" in run.err
    versioned(project, own_cluster, "warn")
    run = project.build(env=env)
    assert project.read("version.txt") == "1.0"
    [told] = [text for text in run.warnings if "differs from this machine" in text]
    assert "humanlib: 2.0 here, 1.0 there (imported by tasks)" in told
    assert "humanlib: 2.0 here, 1.0 there" in project.bt("why", "version.txt", env=env).out
    versioned(project, own_cluster, "ignore")
    assert not [text for text in project.build("-B", env=env).warnings if "differs" in text]


def test_busy_machines_are_compared_at_once(
    project: Project, own_cluster: DaskCluster, env: dict[str, str]
) -> None:
    from distributed import Client

    versioned(project, own_cluster, "warn")
    with Client(own_cluster.address, set_as_default=False) as other:
        busy = [other.submit(time.sleep, 60, pure=False) for _ in own_cluster.workers]
        with project.start("build", "--json", env=env) as process:
            assert process.stdout is not None
            assert any("humanlib: 2.0 here, 1.0 there" in line for line in process.stdout)
            assert [future.status for future in busy] == ["pending"] * len(busy)
            process.terminate()
            process.communicate(timeout=40)


def waits(address: str) -> None:
    """Wait until a build has sent something that waits for a machine."""
    from distributed import Client

    keys = "[str(key) for s in __import__('distributed').Scheduler._instances for key in s.tasks]"
    until = time.monotonic() + 30
    with Client(address, set_as_default=False) as other:
        while all(key.startswith(("bt-kit-", "bt-code-")) for key in other.run_on_scheduler(eval, keys)):
            assert time.monotonic() < until
            time.sleep(0.02)


@pytest.mark.parametrize("own_cluster", [0], indirect=True)
def test_machines_that_come_later_are_compared_before_the_first_job(
    project: Project, own_cluster: DaskCluster, env: dict[str, str]
) -> None:
    versioned(project, own_cluster, "error")
    process = project.start("build", "--json", env=env)
    waits(own_cluster.address)
    own_cluster.add_worker()
    out, err = process.communicate(timeout=40)
    assert process.returncode == 7, out + err
    assert "humanlib: 2.0 here, 1.0 there" in err
    assert '"started"' not in out
    kill(own_cluster.workers.pop())
    versioned(project, own_cluster, "warn")
    process = project.start("build", "--json", env=env)
    waits(own_cluster.address)
    own_cluster.add_worker()
    out, err = process.communicate(timeout=40)
    assert process.returncode == 0, out + err
    assert out.count("humanlib: 2.0 here, 1.0 there") == 1
    assert out.index("humanlib: 2.0 here, 1.0 there") < out.index('"started"')
    assert project.read("version.txt") == "1.0"


@pytest.mark.parametrize("own_cluster", [0], indirect=True)
def test_an_interrupt_ends_a_build_that_waits_for_machines(
    project: Project, own_cluster: DaskCluster, env: dict[str, str]
) -> None:
    versioned(project, own_cluster, "warn")
    process = project.start("build", "--json", env=env)
    waits(own_cluster.address)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=40)
    assert process.returncode == 130, out + err
    own_cluster.add_worker()
    assert project.build(env=env).ran == ["version"]
