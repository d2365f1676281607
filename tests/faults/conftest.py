"""What stories of trouble need: a `bt` to which it can happen."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator

import pytest

from support.faulty import Faulty


@pytest.fixture(scope="session")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Faulty]:
    """Runs `bt` so that calls of the system fail."""
    if not sys.platform.startswith("linux") or not shutil.which("gcc"):
        pytest.skip("needs Linux and gcc")
    found = Faulty(tmp_path_factory.mktemp("faulty"))
    yield found
    found.close()


@pytest.fixture(scope="session")
def thorough(pytestconfig: pytest.Config) -> bool:
    """Whether each call gets its turn, not some of them."""
    return bool(pytestconfig.getoption("--hypothesis-profile") == "long")
