"""`bt` is killed before one call of the system after the other, those of SQLite included.

Each call gets its turn with `--hypothesis-profile=long`, else some do.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from support.faulty import RENAME, Fault, Faulty
from support.five import SCENES, scene, sweep

SOME = 8  # turns that are tried of each


@pytest.mark.parametrize("head", ["", "[bt]\ndurable = true\n"], ids=["usual", "durable"])
@pytest.mark.parametrize("name", SCENES)
def test_killed_at_any_call(tmp_path: Path, faulty: Faulty, thorough: bool, name: str, head: str) -> None:
    project = scene(tmp_path / "project", faulty, name, head)
    tried, wrong = sweep(project, faulty, Fault(), None if thorough else SOME)
    assert not wrong, "\n".join(wrong)
    assert tried >= SOME


def test_killed_between_two_moves(tmp_path: Path, faulty: Faulty) -> None:
    """Of two outputs one lies aside: the other one is where it was, and both are there afterwards."""
    project = scene(tmp_path / "project", faulty, "again")
    project.taskfile("""
        [tasks.pair]
        inputs = "in/a.txt"
        outputs = ["one", "two"]
        run = "cat {input} | tee one > two"
    """)
    run, _ = faulty.bt(project.folder, "build")
    assert run.code == 0
    project.write("in/a.txt", "changed\n")
    old = project.read("one")
    moves, turn = [], 1
    while True:  # whatever else is moved, the state's own files included
        run, _ = faulty.bt(project.folder, "build", fault=Fault(turn, RENAME))
        if run.code == 0:
            break
        there = (project.exists("one"), project.exists("two"))
        moves.append(there)
        run, _ = faulty.bt(project.folder, "build", "-k", "pair")
        assert run.code == 0
        assert project.read("one") == project.read("two") == "changed\n"
        project.write("in/a.txt", old)
        assert faulty.bt(project.folder, "build")[0].code == 0
        project.write("in/a.txt", "changed\n")
        turn += 1
    assert (False, True) in moves
