"""One call of the system after the other fails, those of SQLite included: nothing is lost, and no wrong file is fresh.

Each call gets its turn with `--hypothesis-profile=long`, else some do.
"""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from support.faulty import CHANGES, CREATE, MKDIR, READ, RENAME, UNLINK, Fault, Faulty
from support.five import CACHE, SCENES, expected, scene, sweep

FAULTS = {
    "the disk is full from then on": Fault(0, CHANGES, errno.ENOSPC, lasting=True),
    "the disk is full for a moment": Fault(0, CHANGES, errno.ENOSPC),
    "the disk is broken at one place": Fault(0, CHANGES | READ, errno.EIO),
    "too many files are open": Fault(0, CREATE | READ, errno.EMFILE),
    "it is forbidden": Fault(0, CREATE | READ | RENAME | UNLINK | MKDIR, errno.EACCES),
}
SOME = 3  # turns that are tried of each


@pytest.mark.parametrize("name", SCENES)
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_call_fails(tmp_path: Path, faulty: Faulty, thorough: bool, name: str, fault: Fault) -> None:
    project = scene(tmp_path / "project", faulty, name)
    tried, wrong = sweep(project, faulty, fault, None if thorough else SOME)
    assert not wrong, "\n".join(wrong)
    assert tried >= SOME


@pytest.mark.parametrize("name", SCENES)
def test_the_same_with_everything_brought_to_the_disk(
    tmp_path: Path, faulty: Faulty, thorough: bool, name: str
) -> None:
    project = scene(tmp_path / "project", faulty, name, "[bt]\ndurable = true\n")
    tried, wrong = sweep(project, faulty, Fault(0, CHANGES | READ, errno.EIO), None if thorough else SOME)
    assert not wrong, "\n".join(wrong)
    assert tried >= SOME


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_the_same_while_outputs_come_from_the_cache(
    tmp_path: Path, faulty: Faulty, thorough: bool, fault: Fault
) -> None:
    project = scene(tmp_path / "project", faulty, "back", CACHE)
    tried, wrong = sweep(project, faulty, fault, None if thorough else SOME)
    assert not wrong, "\n".join(wrong)
    assert tried >= SOME


def test_the_same_while_they_are_put_there(tmp_path: Path, faulty: Faulty, thorough: bool) -> None:
    project = scene(tmp_path / "project", faulty, "new", CACHE)
    fault = FAULTS["the disk is full for a moment"]
    tried, wrong = sweep(project, faulty, fault, None if thorough else 2 * SOME)
    assert not wrong, "\n".join(wrong)
    assert tried >= SOME


def test_outputs_do_come_from_the_cache(tmp_path: Path, faulty: Faulty) -> None:
    project = scene(tmp_path / "project", faulty, "back", CACHE)
    run, _ = faulty.bt(project.folder, "build")
    assert run.by_status("restored") == ["all", "count", "middle", "site", "upper"]


def test_a_failing_call_is_told_with_its_file_and_its_cause(tmp_path: Path, faulty: Faulty) -> None:
    project = scene(tmp_path / "project", faulty, "again")
    run, _ = faulty.bt(project.folder, "build", fault=Fault(1, RENAME, errno.ENOSPC))
    assert run.code in {1, 5}
    assert "no space left on device" in run.out + run.err


def test_faults_strike(tmp_path: Path, faulty: Faulty) -> None:
    """What fails nothing proves nothing."""
    project = scene(tmp_path / "project", faulty, "new")
    run, count = faulty.bt(project.folder, "build", fault=Fault(1, CHANGES, errno.ENOSPC))
    assert (run.code, count > 0) == (5, True)
    assert "no space left" in run.err.lower()
    clean = expected(project, faulty)
    run, count = faulty.bt(project.folder, "build", fault=Fault(0, CHANGES))
    assert (run.code, {name: project.read(name) for name in project.files()}) == (0, clean)
    assert count > 100
