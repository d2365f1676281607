"""A project whose graph grows in every way, edited at random: one build makes it right, and the next does nothing.

What the edits lead to is told by a few lines of Python, and a dry run must agree with the build that follows it.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from support.forked import forked_build, forked_look
from support.project import Project

TASKS = """
    [bt]
    shell = "sh"

    [tasks.split]
    inputs = "src"
    outputs = "parts/*.txt"
    temp = {temp}
    run = "while IFS== read -r n t; do echo $t > parts/$n.txt; done < src"

    [tasks.upper]
    inputs = "parts/{{p}}.txt"
    outputs = "upper/{{p}}.txt"
    run = "tr a-z {to} < {{input}} > {{output}}"

    [tasks.all]
    inputs = "upper/*.txt"
    outputs = "all.txt"
    run = "cat {{input}} > {{output}}"

    [tasks.tab]
    inputs = "src.csv"
    outputs = "t.csv"
    run = "grep -v '^#' {{input}} > {{output}}"

    [tasks.row]
    foreach = {{ from = "t.csv" }}
    outputs = "out/{{name}}.txt"
    run = "echo {{name}} {{val}} > {{output}}"

    [tasks.rows]
    inputs = "out/*.txt"
    outputs = "rows.txt"
    run = "cat {{input}} > {{output}}"

    [tasks.plan]
    inputs = "names"
    outputs = "made.list"
    run = "cp {{input}} {{output}}"

    [tasks.pick]
    inputs = ["one", "@made.list"]
    outputs = "picked.txt"
    run = "cat {{input}} > {{output}}"

    [tasks.gen]
    inputs = "hdr"
    outputs = "gen.h"
    run = "cp {{input}} {{output}}"

    [tasks.obj]
    inputs = "a.c"
    outputs = "a.o"
    depfile = "a.d"
    run = "cat a.c gen.h > a.o 2> /dev/null || true; echo a.o: a.c gen.h > a.d"
"""
FINAL = ("all.txt", "rows.txt", "picked.txt", "a.o")
LETTERS = "abcd"
values = st.sampled_from(("x", "y", "xy"))
tables = st.dictionaries(st.sampled_from(LETTERS), values, min_size=1)
EDITS = ("source", "table", "names", "header", "code", "command", "delete", "edit", "stray", "comment")
edits = st.lists(
    st.tuples(st.sampled_from(EDITS), st.integers(0, 1000), tables, values), min_size=1, max_size=3
)
targets = st.sampled_from(((), (), ("all",), ("a.o",), ("rows", "picked.txt"), ("upper",), ("row",)))


class Growing(RuleBasedStateMachine):
    """One project, and what it is to become."""

    def __init__(self) -> None:
        super().__init__()
        self.project = Project(Path(tempfile.mkdtemp(prefix="bt-growing-")).resolve())
        self.parts: dict[str, str] = {}
        self.table: dict[str, str] = {}
        self.listed: list[str] = []
        self.to = "A-Z"
        self.temp = False

    def teardown(self) -> None:
        shutil.rmtree(self.project.folder)

    @initialize(parts=tables, table=tables, temp=st.booleans())
    def begin(self, parts: dict[str, str], table: dict[str, str], temp: bool) -> None:
        self.parts, self.table, self.temp = parts, table, temp
        for name in ("one", "hdr", "a.c"):
            self.project.write(name, f"{name}\n")
        self.write()

    def write(self) -> None:
        self.project.taskfile(TASKS.format(temp=str(self.temp).lower(), to=self.to))
        self.project.write("src", "".join(f"{n}={t}\n" for n, t in sorted(self.parts.items())))
        table = "".join(f"{n},{v}\n" for n, v in sorted(self.table.items()))
        self.project.write("src.csv", "name,val\n" + table)
        made = [f"upper/{n}.txt" for n in self.parts] + [f"out/{n}.txt" for n in self.table]
        self.listed = [name for name in self.listed if name in made]
        self.project.write("names", "".join(f"{name}\n" for name in self.listed))

    # -- edits -----------------------------------------------------------------------------------------------

    def outputs(self) -> list[str]:
        skip = {"Taskfile.toml", "src", "src.csv", "names", "one", "hdr", "a.c", "parts/z.txt"}
        return [name for name in self.project.files() if name not in skip]

    def edit(self, kind: str, index: int, table: dict[str, str], value: str) -> None:
        there = self.outputs()
        match kind:
            case "source":
                self.parts = table
            case "table":
                self.table = table
            case "names":
                self.listed = [f"upper/{n}.txt" for n in self.parts][: index % 3]
                self.listed += [f"out/{n}.txt" for n in self.table][: index % 2]
            case "header" | "code":
                self.project.write({"header": "hdr", "code": "a.c"}[kind], f"{value}\n")
            case "command":
                self.to = ("A-Z", "'A-Z'")[index % 2]
            case "delete" if there:
                self.project.remove(there[index % len(there)])
            case "edit" if there:
                self.project.write(there[index % len(there)], f"edited {value}\n")
            case "stray":
                self.project.write("parts/z.txt", f"{value}\n")
            case "comment":
                text = self.project.read("src.csv").replace("#\n", "")
                self.project.write("src.csv", text + "#\n" * (index % 2))

    # -- building --------------------------------------------------------------------------------------------

    @rule(edits=edits, count=st.sampled_from((1, 2, 4)), words=targets, force=st.integers(0, 7))
    def edit_and_build(
        self,
        edits: list[tuple[str, int, dict[str, str], str]],
        count: int,
        words: tuple[str, ...],
        force: int,
    ) -> None:
        for one in edits:
            self.edit(*one)
            if one[0] != "comment":
                self.write()
        self.build(f"-j{count}", *(["-B"] if not force else []), *words)
        if words:
            self.build(f"-j{count}")
        self.check_contents()

    def build(self, *words: str) -> None:
        folder = self.project.folder
        will, may = forked_look(folder, "build", "-n", *words)
        run = forked_build(folder, *words)
        told = f"{words} {sorted(will)} {sorted(may)}\n{run.reasons}\n{run.out}{run.err}"
        assert run.code == 0, told
        if "-B" not in words:  # else jobs that may vanish are told of as forced, too
            assert will <= {*run.ran}, told
        found = {"gen"} if "obj" in will | may else set()  # its first run tells that it reads the header
        more = {"split", "tab", "plan"} & (will | may)  # what they make may bring jobs
        assert more or {*run.ran} <= will | may | found, told
        again = forked_build(folder, *(word for word in words if word != "-B"))
        assert again.ran == [], again.out
        assert forked_look(folder, "build", "-n", *(w for w in words if w != "-B")) == (set(), set())

    def check_contents(self) -> None:
        parts = dict(self.parts)
        if self.project.exists("parts/z.txt"):
            parts["z"] = self.project.read("parts/z.txt").strip()
        expected = {f"upper/{n}.txt": f"{text.upper()}\n" for n, text in parts.items()}
        rows = {f"out/{n}.txt": f"{n} {val}\n" for n, val in self.table.items()}
        final = {
            "all.txt": "".join(expected[name] for name in sorted(expected)),
            "rows.txt": "".join(rows[name] for name in sorted(rows)),
            "picked.txt": "one\n" + "".join({**expected, **rows}[name] for name in self.listed),
            "a.o": self.project.read("a.c") + self.project.read("hdr"),
        }
        expected |= final | rows | {f"parts/{n}.txt": f"{text}\n" for n, text in parts.items()}
        for name, text in expected.items():
            assert name not in final or self.project.exists(name), name
            if self.project.exists(name):
                assert self.project.read(name) == text, name


Growing.TestCase.settings = settings(
    max_examples=max(1, settings().max_examples // 20), stateful_step_count=6
)
TestGrowing = Growing.TestCase
