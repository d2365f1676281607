"""The fixture of this room's tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.sources import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """An empty project of Python files."""
    root = tmp_path / "code"
    root.mkdir()
    return Bench(root)
