"""A control plane and projects for stories about Coiled."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.cloud import Cloud
from support.farm import Farm
from support.network import loopback_alone


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """A control plane that all stories use, each with clusters of its own."""
    with loopback_alone():
        found = Cloud(tmp_path_factory.mktemp("cloud") / "c")
    with found:
        yield found


@pytest.fixture(autouse=True)
def _nobody_else() -> Iterator[None]:
    """Not even by mistake does a story about the cloud talk to anybody but the control plane."""
    if "BT_COILED_LIVE" in os.environ:
        yield
        return
    with loopback_alone():
        yield


@pytest.fixture
def farm(tmp_path: Path, cloud: Cloud) -> Iterator[Farm]:
    """A project; its clusters are gone afterwards."""
    folder = tmp_path / "project"
    folder.mkdir()
    found = Farm(folder, cloud)
    yield found
    for cluster in cloud.clusters(found.cluster):
        if cluster.state not in ("stopped", "stopping", "error"):
            cloud.stop(found.cluster)
