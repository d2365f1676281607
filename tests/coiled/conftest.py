"""A control plane and projects for stories about Coiled."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.cloud import Cloud
from support.farm import Farm


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """A control plane that all stories use, each with clusters of its own."""
    with Cloud(tmp_path_factory.mktemp("cloud") / "c") as found:
        yield found


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
