"""Builds that look at what changed alone: after any edits, the files are right and nothing else was to be done."""

from __future__ import annotations

import re
import tempfile
import time
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from buildtool.files import TICK
from support.forked import forked, forked_build
from support.project import Project

TASKS = """
    [tasks.up]
    inputs = "in/{n}.txt"
    outputs = "up/{n}.txt"
    track = { files = ["mode"] }
    run = "! grep FAIL {input} && tr a-z $(cat mode) < {input} > {output}"

    [tasks.mid]
    inputs = "up/{n}.txt"
    outputs = "mid/{n}.txt"
    temp = true
    run = "sed s/^/m/ {input} > {output}"

    [tasks.all]
    inputs = "mid/*.txt"
    outputs = "all.txt"
    run = "cat {inputs} > {output}"

    [tasks.gen]
    inputs = "seed"
    outputs = "made.h"
    run = "cp {input} {output}"

    [tasks.obj]
    inputs = "a.c"
    outputs = "a.o"
    depfile = "a.d"
    run = "cat {input} $(cat {input}) > {output}; echo a.o: a.c $(cat {input}) > a.d"

    [tasks.two]
    inputs = { left = "up/a.txt", right = "a.o" }
    outputs = ["two.txt", "copy.txt"]
    after = ["looks", "mid/a.txt"]
    run = "test -e mid/a.txt && cat {inputs.left} {inputs.right} > two.txt; cp two.txt copy.txt"

    [tasks.looks]
    inputs = "all.txt"
    run = "test -s all.txt"

    [tasks.every]
    needs = ["two", "looks"]
"""
NAMES = ("a", "b", "c")
edits = st.lists(
    st.tuples(
        st.sampled_from(("source", "fail", "mode", "seed", "code", "delete", "edit", "touch", "new")),
        st.integers(0, 30),
    ),
    max_size=3,
)
targets = st.sampled_from(((), (), (), ("every",), ("two.txt",)))


class Cone(RuleBasedStateMachine):
    """A small project, and a person who edits it."""

    def __init__(self) -> None:
        super().__init__()
        self.home = tempfile.TemporaryDirectory()
        self.project = Project(Path(self.home.name).resolve() / "p")

    def teardown(self) -> None:
        self.home.cleanup()

    @initialize()
    def begin(self) -> None:
        self.sources = {"mode": "A-Z", "seed": "s", "a.c": "made.h", "own.h": "own"}
        self.sources |= {f"in/{name}.txt": name for name in NAMES}
        self.project.taskfile(TASKS)
        for name, text in self.sources.items():
            self.project.write(name, f"{text}\n")
        self.build()

    def edit(self, kind: str, value: int) -> None:
        name, text = {
            "source": (f"in/{NAMES[value % 3]}.txt", "xyz"[value % 2]),
            "fail": (f"in/{NAMES[value % 3]}.txt", "FAIL"),
            "mode": ("mode", ("A-Z", "b-z")[value % 2]),
            "seed": ("seed", "st"[value % 2]),
            "code": ("a.c", ("made.h", "own.h", "own.h made.h")[value % 3]),
            "new": (f"in/{'de'[value % 2]}.txt", "new"),
            "touch": ("own.h", self.sources["own.h"]),
        }.get(kind, ("", ""))
        if name:
            self.sources[name] = text
            self.project.write(name, f"{text}\n")
        there = [path for path in self.project.files() if path not in {*self.sources, "Taskfile.toml"}]
        path = there[value % len(there)] if there else ""
        if kind == "delete" and path:
            self.project.remove(path)
        elif kind == "edit" and path:
            self.project.write(path, f"edited {value}\n")

    @rule(edits=edits, words=targets)
    def edit_and_build(self, edits: list[tuple[str, int]], words: tuple[str, ...]) -> None:
        for one in edits:
            self.edit(*one)
        self.build(*words)

    def build(self, *words: str) -> None:
        folder = self.project.folder
        self.grow_old()
        code, out, err = forked(folder, "build", *words, by_the_door=True)
        if "FAIL" in self.sources.values():
            assert code == 1, out + err
            return
        assert code == 0, out + err
        wrong = self.wrong(*words)
        assert not wrong, f"{wrong}\n{out}{err}"
        self.grow_old()
        full = forked_build(folder, *words)  # the door is for people: with `--json` all is planned
        assert full.ran == [], f"{out}{err}\n{full.out}"
        told = out.splitlines()[-1].rpartition(" in ")[0]
        counted = sum(int(number) for number in re.findall(r"\b\d+\b", told))
        # Fewer if the compiler has just told that it does not read a generated header any more.
        assert counted - ("obj" in out) <= len(full.finished) <= counted, f"{out}{full.out}"

    def grow_old(self) -> None:
        """Wait until all files are so old that the next change of them is sure to show; nothing else tells."""
        newest = max(path.lstat().st_ctime_ns for path in self.project.folder.rglob("*"))
        while time.time_ns() < newest + 2 * TICK:
            time.sleep(0.005)

    def wrong(self, *words: str) -> dict[str, str]:
        """The files that are not what they should be."""
        low, high = "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
        table = str.maketrans(low, high if self.sources["mode"] == "A-Z" else "bcdefghijklmnopqrstuvwxyzz")
        up = {name: f"{text.translate(table)}\n" for name, text in self.sources.items() if name[:3] == "in/"}
        headers = {"made.h": self.sources["seed"] + "\n", "own.h": self.sources["own.h"] + "\n"}
        code = self.sources["a.c"]
        obj = f"{code}\n" + "".join(headers[name] for name in code.split())
        two = up["in/a.txt"] + obj
        expected = {
            "all.txt": "".join(f"m{up[name]}" for name in sorted(up)),
            "a.o": obj,
            "two.txt": two,
            "copy.txt": two,
        }
        found = {name: self.project.read(name) for name in expected if self.project.exists(name)}
        asked = {
            "two.txt",
            "copy.txt",
            *(found if not words else ()),
        }  # of what others read, only what is there
        return {name: found.get(name, "-") for name in asked if found.get(name) != expected[name]}


Cone.TestCase.settings = settings(max_examples=max(1, settings().max_examples // 20), stateful_step_count=12)
TestCone = Cone.TestCase
