"""`fetch = "needed"`: what only jobs on the cluster read stays there until somebody asks for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.cluster import DaskCluster, kept
from support.project import Project

CHAIN = """
    [executors.lab]
    backend = "dask"
    address = "{address}"
    fetch = "needed"

    [tasks.first]
    inputs = "in.txt"
    outputs = "first.bin"
    executor = "lab"
    run = "head -c 100000 /dev/zero | tr '\\\\0' $(cat {{input}}) > {{output}}"

    [tasks.second]
    inputs = "first.bin"
    outputs = "second.bin"
    executor = "lab"
    run = "tr a-z A-Z < {{input}} > {{output}}"

    [tasks.third]
    inputs = ["second.bin", "words.txt"]
    outputs = "third.txt"
    executor = "lab"
    run = "cat words.txt > {{output}}; wc -c < second.bin >> {{output}}; head -c 4 second.bin >> {{output}}"
"""


@pytest.fixture
def chain(project: Project, tmp_path: Path) -> Iterator[tuple[Project, DaskCluster]]:
    """Three jobs in a row, built: only the last result is here."""
    cluster = DaskCluster(tmp_path / "cluster")
    project.taskfile(CHAIN.format(address=cluster.address))
    project.write("in.txt", "t\n")
    project.write("words.txt", "one\n")
    try:
        assert project.build().ran == ["first", "second", "third"]
        assert project.read("third.txt") == "one\n100000\nTTTT"
        assert [name for name in project.files() if name.endswith(".bin")] == []
        yield project, cluster
    finally:
        cluster.close()


def test_what_a_machine_made_that_has_just_come_is_there(project: Project, tmp_path: Path) -> None:
    cluster = DaskCluster(tmp_path / "cluster", 1)
    try:
        text = CHAIN.format(address=cluster.address)
        text = text.replace('fetch = "needed"', 'fetch = "needed"\n    resources = ["NEW"]')
        project.taskfile(
            text.replace(
                '"first.bin"\n    executor', '"first.bin"\n    resources = { NEW = 1 }\n    executor', 1
            )
        )
        project.write("in.txt", "t\n")
        project.write("words.txt", "one\n")
        with project.start("build", "--json") as process:
            assert process.stdout is not None
            assert any("no worker of `lab` offers NEW" in line for line in process.stdout)
            cluster.add_worker("NEW=1")
            out, err = process.communicate(timeout=60)
        assert process.returncode == 0, out + err
        assert "not on any machine" not in out
    finally:
        cluster.close()


def test_what_is_away_is_fresh_and_is_used_where_it_is(chain: tuple[Project, DaskCluster]) -> None:
    project, _ = chain
    assert project.build().ran == []
    assert project.bt("status", "--check").code == 0
    assert "is fresh" in project.bt("why", "third.txt").out
    assert "output second.bin is on other machines" in project.bt("why", "second.bin").out
    project.write("words.txt", "two\n")
    assert project.build().ran == ["third"]
    assert project.read("third.txt") == "two\n100000\nTTTT"
    project.write("in.txt", "n\n")
    assert project.build().ran == ["first", "second", "third"]
    assert project.read("third.txt") == "two\n100000\nNNNN"
    assert [name for name in project.files() if name.endswith(".bin")] == []


def test_what_is_asked_for_comes_home(chain: tuple[Project, DaskCluster]) -> None:
    project, _ = chain
    run = project.build("second.bin")
    assert run.by_status("restored") == ["second"]
    assert run.ran == []
    assert project.read("second.bin") == "T" * 100_000
    assert not project.exists("first.bin")
    assert project.build("second.bin").by_status("restored") == []
    assert project.build().ran == []


def test_what_a_job_of_this_machine_reads_comes_home(chain: tuple[Project, DaskCluster]) -> None:
    project, cluster = chain
    here = """
    [tasks.here]
    inputs = "first.bin"
    outputs = "here.txt"
    run = "wc -c < first.bin > here.txt"
    """
    project.taskfile(CHAIN.format(address=cluster.address) + here)
    run = project.build()
    assert (run.by_status("restored"), run.ran) == (["first"], ["here"])
    assert project.read("here.txt").strip() == "100000"


def test_what_the_machines_have_lost_is_made_again(chain: tuple[Project, DaskCluster]) -> None:
    project, cluster = chain
    for path in kept(cluster):
        path.unlink()
    project.write("words.txt", "two\n")
    assert project.build().ran == ["first", "second", "third"]
    assert project.read("third.txt") == "two\n100000\nTTTT"
    for path in kept(cluster):
        path.unlink()
    assert project.build("second.bin").ran == ["first", "second"]
    assert project.read("second.bin") == "T" * 100_000


def test_a_file_that_is_here_counts_and_not_the_one_that_is_away(chain: tuple[Project, DaskCluster]) -> None:
    project, _ = chain
    project.write("second.bin", "mine\n")
    run = project.build()
    assert run.finished["second"]["status"] == "unchanged"
    assert any("was edited" in text for text in run.warnings)
    assert project.build().ran == []
