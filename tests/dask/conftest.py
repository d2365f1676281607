"""Clusters for stories about dask."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.cluster import DaskCluster, Lab


@pytest.fixture
def project(tmp_path: Path) -> Lab:
    """An empty project folder."""
    folder = tmp_path / "project"
    folder.mkdir()
    return Lab(folder)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskCluster]:
    """Two machines that all tests use, as people do: nothing of one build may harm the next."""
    found = DaskCluster(tmp_path_factory.mktemp("cluster"))
    yield found
    found.close()


@pytest.fixture
def own_cluster(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[DaskCluster]:
    """Machines that may be harmed: two, unless a test asks for another number of them."""
    found = DaskCluster(tmp_path / "cluster", getattr(request, "param", 2))
    yield found
    found.close()
