"""Fixtures and guards for every test."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from support.project import Project

# `bt` is started thousands of times: it may keep its compiled modules, as it does where people use it.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# In the background of a shell, Ctrl-C is ignored, by all that is started, too.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# A gate must give the same answer twice; new cases are looked for with `--hypothesis-profile=long`.
hypothesis.settings.register_profile("ci", deadline=None, print_blob=True, derandomize=True, database=None)
hypothesis.settings.register_profile("long", deadline=None, max_examples=5000, print_blob=True)
hypothesis.settings.load_profile("ci")


def pytest_xdist_auto_num_workers() -> int:
    """With `-n auto`: a third of the time is spent waiting for clusters and clocks."""
    return (os.cpu_count() or 1) + 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Stories about the cloud mostly wait: spread between the others, they leave the processors to these.

    Quick tests come last: so nobody waits long for the last test.
    """
    paths = {item: item.path.as_posix() for item in items}
    quick = [item for item in items if "/unit/" in paths[item] or "/tests/test_" in paths[item]]
    waiting = [item for item in items if "/coiled/" in paths[item]]
    others = {*items}.difference(quick, waiting)
    found = [item for item in items if item in others]
    places = [at for at, item in enumerate(found) if "/dask/" not in paths[item]]  # share clusters
    for number, item in reversed(list(enumerate(waiting))):
        if places:
            found.insert(places[number * len(places) // len(waiting)], item)
        else:
            found.append(item)
    items[:] = found + quick


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """An empty project folder."""
    folder = tmp_path / "project"
    folder.mkdir()
    return Project(folder)


@pytest.fixture(autouse=True)
def _same_place() -> Iterator[None]:
    """A test leaves the working directory as it was."""
    before = os.getcwd()
    yield
    os.chdir(before)
