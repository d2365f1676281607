"""Taskfiles that are cut, changed or edited at the wrong moment, and modules that cannot be imported."""

from __future__ import annotations

import os
import random
import tempfile
from pathlib import Path

import pytest

from support.effort import LONG, some
from support.forked import forked
from support.project import Project

GOOD = '''\
[bt]
default = ["report", "check"]
pools = { db = 1 }

[vars]
out = "build"
ids = ["A", "B"]

[env]
LC_ALL = "C"

[tasks.up]
desc = "Up"
foreach = { id = ["A", "B"] }
inputs = "in/{id}.txt"
outputs = "{vars.out}/{id}.up"
params = { k = 21 }
resources = { cpus = 1, db = 1 }
retries = 1
timeout = "10m"
run = """
tr a-z A-Z < {input} > {output}
echo {params.k} "{id}" >> {output}
"""

[tasks.report]
inputs = { all = "build/*.up" }
outputs = "report"
track = { env = ["CC"] }
call = "steps:join"

[tasks.check]
inputs = "report"
run = "test -s {input}"
'''
STEPS = "def join(all, output):\n    output.write_text(str(len(all)))\n"


def prepared(folder: Path) -> Project:
    project = Project(folder)
    project.write("steps.py", STEPS)
    project.write("in/A.txt", "a")
    project.write("in/B.txt", "b")
    return project


def cases() -> list[bytes]:
    """Every beginning of a good file, and every change of one byte: one taken away, one more, another one."""
    raw = GOOD.encode()
    dice = random.Random(3)  # noqa: S311
    found = [raw[:length] for length in range(len(raw))]
    for at in range(len(raw)):
        found.append(raw[:at] + raw[at + 1 :])
        bytes_ = dice.sample(range(256), 256 if LONG else 2)
        found += [raw[:at] + bytes([byte]) + raw[at + 1 :] for byte in bytes_]
        found.append(
            raw[:at] + dice.choice([b'"', b"{", b"}", b"[", b"]", b"\n", b"\0", b"\xff", b"'''"]) + raw[at:]
        )
    return found


def test_every_change_of_a_good_file_is_told_or_makes_a_graph() -> None:
    with tempfile.TemporaryDirectory() as place:
        project = prepared(Path(place))
        for case in some(cases(), 60):
            project.write("Taskfile.toml", case)
            code, out, err = forked(project.folder, "build", "-n")
            assert code in (0, 2, 3), (case, code, out, err)
            assert "Traceback" not in err + out, (case, err)
            assert (code == 0) == ("error" not in err), (case, err)
            assert project.files(state=True) == ["Taskfile.toml", "in/A.txt", "in/B.txt", "steps.py"], case


def test_a_changed_file_is_refused_before_anything_runs(project: Project) -> None:
    prepared(project.folder)
    for number, case in enumerate(some(cases(), 6)):
        project.write("Taskfile.toml", case)
        run = project.bt("build")
        assert "Traceback" not in run.err + run.out, case
        assert run.code in (0, 1, 2, 3), (case, run.out, run.err)
        if run.code in (2, 3):
            assert not run.ran, case
            assert not project.exists("report") or number, case
        for name in ("report", "build/A.up", "build/B.up"):
            if project.exists(name):
                project.remove(name)
    project.write("Taskfile.toml", GOOD)
    project.build()
    assert project.read("report") == "2"
    assert project.build().ran == ["check"] or project.build().ran == []


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\n" * 100_000,
        b"x-a = [" + b"1," * 200_000 + b"]",
        b"x-a = " + b"[" * 5000 + b"]" * 5000,
        b"x-a." + b"b." * 3000 + b"c = 1",
        b"[" + b"x-a." * 3000 + b"b]",
        b"# " + b"x" * 1_000_000,
        b"x-a = " + b"9" * 10_000,
        b"x-a = 1e999",
        b"x-a = 0x" + b"f" * 5000,
        b"[bt]\njobs = " + b"9" * 10_000,
        b"[bt]\njobs = 1e300",
        b"[bt]\njobs = nan",
        b"[bt]\njobs = -1",
        b"[bt]\njobs = 0",
        b"[bt]\njobs = true",
    ],
    ids=lambda raw: ascii(raw[:20]) + str(len(raw)),
)
def test_strange_files_are_read_or_refused(project: Project, raw: bytes) -> None:
    project.write("Taskfile.toml", raw)
    for words in (["build"], ["check"], ["list"]):
        run = project.bt_plainly(*words)
        assert run.code in (0, 2), run.err
        assert "Traceback" not in run.err
        assert len(run.err) < 20_000


def test_a_taskfile_that_is_edited_while_it_is_built(project: Project) -> None:
    old = """
        [tasks.a]
        outputs = "a"
        run = "echo old > a; echo > begun; read x < go"
        [tasks.b]
        inputs = "a"
        outputs = "b"
        run = "cat a > b; echo old >> b"
    """
    project.taskfile(old)
    os.mkfifo(project.folder / "begun")
    os.mkfifo(project.folder / "go")
    process = project.start("build")
    (project.folder / "begun").read_text()
    project.taskfile(old.replace("echo > begun; read x < go", "true").replace("old", "new"))
    (project.folder / "go").write_text("go\n")
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert project.read("b") == "old\nold\n"  # the one that was read when it began
    assert project.build().ran == ["a", "b"]
    assert project.read("b") == "new\nnew\n"
    project.taskfile("[tasks")
    assert project.bt("build").code == 2
    project.taskfile(old.replace("echo > begun; read x < go", "true").replace("old", "new"))
    assert project.build().ran == []


MODULES = {
    "a syntax error": ("def step(output:\n", (1, 2)),
    "a missing library": ("import nowhere_to_be_found\ndef step(output): output.write_text('x')\n", (1,)),
    "an error at import": ("1 / 0\ndef step(output): output.write_text('x')\n", (1,)),
    "an exit at import": ("import sys\nsys.exit(3)\ndef step(output): output.write_text('x')\n", (1,)),
    "a kill at import": (
        "import os\nos.kill(os.getpid(), 9)\ndef step(output): output.write_text('x')\n",
        (1,),
    ),
    "no such function": ("def other(output): pass\n", (2,)),
    "another signature": ("def step(output, x): pass\n", (2,)),
    "NUL": (b"def step(output): pass\n\0", (1, 2)),
    "not UTF-8": (b"# \xff\ndef step(output): pass\n", (1, 2)),
    "deep": ("x = " + "(" * 3000 + "1" + ")" * 3000 + "\ndef step(output): output.write_text('x')\n", (1, 2)),
    "long": ("x = " + "1+" * 20_000 + "1\ndef step(output): output.write_text('x')\n", (0, 1, 2)),
}


@pytest.mark.parametrize("what", MODULES)
def test_a_module_that_cannot_be_used(project: Project, what: str) -> None:
    text, codes = MODULES[what]
    project.taskfile("""
        [tasks.bad]
        outputs = "bad"
        call = "steps:step"
        [tasks.fine]
        outputs = "fine"
        run = "echo > fine"
    """)
    (project.folder / "steps.py").write_bytes(text if isinstance(text, bytes) else text.encode())
    for words in (["list"], ["graph"], ["status"], ["why", "bad"], ["build", "-n"]):
        before = project.traces()
        run = project.bt(*words)
        assert run.code in (0, 2), words
        assert "Traceback" not in run.out + run.err, words
        assert project.traces() == before, words
    run = project.bt("build", "-k")
    assert run.code in codes, run.out + run.err
    assert "Traceback" not in run.err
    assert "buildtool/" not in run.err
    if run.code == 1:
        assert run.failed == ["bad"]
        assert run.ran == ["fine"]
    project.write("steps.py", "print('imported')\ndef step(output): output.write_text('x')\n")
    assert "bad" in project.build().ran
    assert project.build().ran == []
