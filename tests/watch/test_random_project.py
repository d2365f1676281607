"""A project of everything, and edits of every kind in any order: what the watch leaves is what a clean build makes."""

from __future__ import annotations

import os
import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from support.project import Project
from support.watching import Watching

TASKS = """
include = ["more.toml"]
[bt]
python_path = ["lib"]
[vars]
level = "{level}"
[tasks.up]
inputs = "in/{{n}}.txt"
outputs = "out/up/{{n}}.txt"
run = "tr a-z A-Z < {{input}} > {{output}}"
[tasks.count]
inputs = "out/up/{{n}}.txt"
outputs = "out/count/{{n}}"
call = "steps:count"
[tasks.join]
inputs = "deep/**/*.d"
outputs = "out/join"
call = "pack.mod:join"
[tasks.all]
inputs = "out/count/*"
outputs = "out/all"
params = {{ level = "{{vars.level}}" }}
run = "echo {{params.level}} > {{output}}; cat {{input}} >> {{output}}"
[tasks.compile]
inputs = "c/{{m}}.c"
outputs = "out/c/{{m}}"
depfile = "{{m}}.dep"
run = "sh tools/cc.sh {{input}} {{output}} {{m}}.dep"
track = {{ files = ["tools/*.sh"] }}
[tasks.mark]
inputs = "mark"
outputs = "out/mark"
run = "cp {{input}} {{output}}"
"""
GROWING = """
[tasks.names]
inputs = "names.txt"
outputs = "out/names"
run = "sort -u {input} > {output}"
[tasks.each]
foreach = { c = "@out/names" }
outputs = "out/each/{c}"
run = "echo {c} > {output}"
[tasks.copies]
inputs = "in/*.txt"
outputs = "out/copies/"
run = "mkdir -p {output}; cp {input} {output}"
[tasks.sum]
inputs = "out/copies/"
outputs = "out/sum"
run = "ls {input} > {output}"
"""
STEPS = """
from helper import more
@more
def count(input, output):
    output.write_text(f'{{input.stem}} {version}\\n')
"""
HELPER = """
import functools
def more(f):
    @functools.wraps(f)
    def inner(input, output):
        f(input, output)
        output.write_text(output.read_text() + 'helped {version}\\n')
    return inner
"""
PACK = "from .sub import sep\ndef join(input, output):\n    output.write_text(sep.join(p.read_text() for p in input))\n"
CC = 'inc=$(grep -o "h/[a-z]*.h" $1 | tr "\\n" " ")\ncat $1 $inc > $2\necho "$2: $1 $inc" > $3\n# {version}\n'


class Person:
    """Somebody at work, fast, with an editor, a file manager and a version control system."""

    def __init__(self, project: Project, chance: random.Random) -> None:
        self.project = project
        self.folder = project.folder
        self.chance = chance
        self.version = 0
        self.habits: list[Callable[[], object]] = [
            *(self.write_input, self.delete_input, self.move_input, self.touch),
            *(lambda: self.broken("steps.py", STEPS), lambda: self.broken("lib/helper.py", HELPER)),
            *(lambda: self.broken("Taskfile.toml", TASKS, "level"), lambda: self.save("tools/cc.sh", CC)),
            *(lambda: self.save("pack/sub.py", "sep = '{version}'\n"), self.replace_package),
            *(self.write_deep, self.delete_deep, self.move_directory, self.away_and_back),
            *(self.include_headers, lambda: self.save(f"h/{self.chance.choice('ab')}.h", "{version}")),
            *(lambda: self.save(f"c/{self.chance.choice('mno')}.c", "h/a.h\n"), self.rename_values),
            *(lambda: self.toggle("tools/more.sh"), lambda: self.toggle("lib/sub.py"), self.shadow_helper),
        ]

    def work(self) -> None:
        """One edit."""
        self.version += 1
        self.chance.choice(self.habits)()
        if self.chance.random() < 0.5:
            time.sleep(self.chance.random() * 0.1)

    def save(self, path: str, text: str, name: str = "version") -> None:
        self.project.write(path, text.format(**{name: self.version}))

    def broken(self, path: str, text: str, name: str = "version") -> None:
        if self.chance.random() < 0.4:
            self.project.write(path, "def [(\n")
            time.sleep(self.chance.choice([0, 0.08]))
        self.save(path, text, name)

    def any_input(self) -> Path:
        return self.folder / f"in/{self.chance.choice('abcd')}.txt"

    def inputs(self) -> list[Path]:
        return sorted((self.folder / "in").glob("*.txt"))

    def write_input(self) -> None:
        self.any_input().write_text("x" * self.chance.randrange(30))

    def delete_input(self) -> None:
        if len(self.inputs()) > 1:
            self.chance.choice(self.inputs()).unlink()

    def move_input(self) -> None:
        os.replace(self.chance.choice(self.inputs()), self.any_input())

    def touch(self) -> None:
        for path in self.inputs():
            os.utime(path)

    def write_deep(self) -> None:
        self.save(f"deep/{self.chance.choice(['', 'x/', 'y/z/'])}{self.chance.choice('123')}.d", "{version}")

    def delete_deep(self) -> None:
        found = sorted(self.folder.glob("deep/**/*.d"))
        if len(found) > 1:
            self.chance.choice(found).unlink()

    def move_directory(self) -> None:
        here, there = self.chance.sample(["deep/x", "deep/w"], 2)
        if (self.folder / here).is_dir() and not (self.folder / there).exists():
            os.rename(self.folder / here, self.folder / there)

    def away_and_back(self) -> None:
        os.rename(self.folder / "in", self.folder / "away")
        time.sleep(self.chance.choice([0, 0.08]))
        os.rename(self.folder / "away", self.folder / "in")

    def replace_package(self) -> None:
        shutil.copytree(self.folder / "pack", self.folder / "next")
        self.save("next/sub.py", "sep = '{version}'\n")
        shutil.rmtree(self.folder / "pack")
        time.sleep(self.chance.choice([0, 0.08]))
        os.rename(self.folder / "next", self.folder / "pack")

    def include_headers(self) -> None:
        names = self.chance.sample("ab", self.chance.randrange(1, 3))
        self.save("c/m.c", "".join(f"h/{name}.h\n" for name in names) + "{version}")

    def rename_values(self) -> None:
        self.project.write("names.txt", "\n".join(self.chance.sample("pqrs", 2)) + "\n")

    def toggle(self, path: str) -> None:
        if (self.folder / path).exists():
            (self.folder / path).unlink()
        else:
            self.save(path, "# {version}\n")

    def shadow_helper(self) -> None:
        if (self.folder / "helper.py").exists():
            (self.folder / "helper.py").unlink()
        else:
            self.save("helper.py", HELPER.replace("helped", "shadowed"))


def made(folder: Path) -> dict[str, bytes]:
    files = (path for path in (folder / "out").rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.mark.parametrize(("seed", "growing"), [(0, False), (1, True)])
def test_every_kind_of_edit(project: Project, seed: int, growing: bool) -> None:
    chance = random.Random(seed)  # noqa: S311  chance, not secrecy
    person = Person(project, chance)
    person.save("Taskfile.toml", TASKS, "level")
    project.write("more.toml", GROWING if growing else "")
    person.save("steps.py", STEPS)
    person.save("lib/helper.py", HELPER)
    project.write("pack/mod.py", PACK)
    person.save("tools/cc.sh", CC)
    for path, text in {
        "pack/sub.py": "sep = '0'\n",
        "in/a.txt": "a",
        "deep/x/1.d": "1",
        "deep/0.d": "0",
        "mark": "",
        "names.txt": "p\nq\n",
        "c/m.c": "h/a.h\n",
        "h/a.h": "A",
        "h/b.h": "B",
    }.items():
        project.write(path, text)
    with Watching(project, "--debounce", chance.choice(["0", "5", "50"]), "-j", "2") as watch:
        watch.first()
        for number in range(8):
            for _ in range(chance.randrange(1, 8)):
                person.work()
            project.write("mark", str(number))
            watch.until("finished", job="mark", status="ran")
            watch.until("waiting")
        assert watch.end() == 130
    assert project.build().ran == []
    project.bt("clean", "--orphans")
    left = made(project.folder)
    shutil.rmtree(project.folder / "out")
    shutil.rmtree(project.folder / ".bt")
    project.build()
    assert left == made(project.folder)
