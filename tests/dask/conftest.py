"""Clusters for stories about dask."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.cluster import DaskCluster


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskCluster]:
    """Two machines that all tests use, as people do: nothing of one build may harm the next."""
    found = DaskCluster(tmp_path_factory.mktemp("cluster"))
    yield found
    found.close()


@pytest.fixture
def own_cluster(tmp_path: Path) -> Iterator[DaskCluster]:
    """Two machines that may be harmed."""
    found = DaskCluster(tmp_path / "cluster")
    yield found
    found.close()
