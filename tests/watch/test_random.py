"""Whatever is edited, in whatever order and how fast: in the end there is what a clean build would have made."""

from __future__ import annotations

import os
import random

import pytest

from support.project import Project
from support.watching import Watching

TASKS = """
[tasks.up]
inputs = "in/{n}.txt"
outputs = "out/{n}.txt"
run = "tr a-z A-Z < {input} > {output}"

[tasks.code]
inputs = "out/{n}.txt"
outputs = "code/{n}"
call = "steps:count"

[tasks.all]
inputs = "code/*"
outputs = "all"
run = "cat {input} > {output}"
"""
STEPS = "def count(input, output):\n    output.write_text(f'{input.stem} {len(input.read_text())} %d\\n')\n"


@pytest.mark.parametrize("seed", range(2))
def test_a_thousand_random_edits(project: Project, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311  chance, not secrecy
    folder = project.folder / "in"
    project.taskfile(TASKS)
    version = 0
    project.write("steps.py", STEPS % version)
    project.write("in/a.txt", "a")
    with Watching(project, "--debounce", "5") as watch:
        watch.first()
        for number in range(500):
            path = folder / f"{chance.choice('abcdef')}.txt"
            match chance.randrange(8):
                case 0 if len(list(folder.glob("*.txt"))) > 1:
                    path.unlink(missing_ok=True)
                case 1 if path.exists():
                    os.replace(path, folder / f"{chance.choice('abcdef')}.txt")
                case 2:
                    version += 1
                    project.write("steps.py", STEPS % version)
                case 3 if path.exists():
                    os.utime(path)
                case _:
                    path.write_text("x" * chance.randrange(40))
            if not number % 50:
                watch.until("waiting")
        project.write("in/last.txt", "z")
        watch.until("finished", job="code last", status="ran")
        watch.until("waiting")
        assert watch.end() == 130
    assert project.build().ran == []
    names = sorted(path.stem for path in folder.glob("*.txt"))
    lengths = {name: len((folder / f"{name}.txt").read_text()) for name in names}
    assert project.read("all") == "".join(f"{name} {lengths[name]} {version}\n" for name in names)
