"""`bt graph`: what is made from what."""

from __future__ import annotations

import json
import os
from textwrap import dedent

from support.project import Project

TASKFILE = """
    [tasks.count]
    inputs = ["raw/{s}.txt", "common"]
    outputs = "build/{s}.n"
    run = "cat {input} > {output}"
    [tasks.sum]
    inputs = "build/*.n"
    outputs = "sum"
    run = "cat {input} > {output}"
    [tasks.report]
    inputs = ["sum", "build/A.n"]
    outputs = ["report.html", "report.css"]
    after = "setup"
    run = "touch {output}"
    [tasks.setup]
    run = "true"
"""


def lines(text: str) -> str:
    return dedent(text).lstrip("\n")


def written(project: Project) -> Project:
    project.taskfile(TASKFILE)
    project.write("raw/A.txt", "")
    project.write("raw/B.txt", "")
    return project


def test_a_tree_with_shared_parts_once(project: Project) -> None:
    assert written(project).look("graph").out == lines("""
        report.html, report.css  (report)
        ├── sum  (sum)
        │   ├── build/A.n  (count A)
        │   │   ├── raw/A.txt
        │   │   └── common  (missing)
        │   └── build/B.n  (count B)
        │       ├── raw/B.txt
        │       └── common  (missing)
        ├── build/A.n  (count A), see above
        └── setup  (command), after
    """)


def test_targets(project: Project) -> None:
    assert written(project).look("graph", "build/B.n", "setup").out == lines("""
        build/B.n  (count B)
        ├── raw/B.txt
        └── common  (missing)
        setup  (command)
    """)
    assert "no task makes `nope`" in project.look("graph", "nope", code=3).err


def test_tasks(project: Project) -> None:
    assert written(project).look("graph", "--tasks").out == lines("""
        report  (1 job)
        ├── count  (2 jobs)
        ├── sum  (1 job)
        │   └── count  (2 jobs)
        └── setup  (command), after
    """)
    assert project.look("graph", "--tasks", "sum").out == "sum  (1 job)\n└── count  (2 jobs)\n"


def test_dot(project: Project) -> None:
    assert written(project).look("graph", "--format=dot", "build/A.n").out == lines(r"""
        digraph bt {
          rankdir=LR;
          node [shape=box];
          n0 [label="build/A.n\n(count A)"];
          n1 [label="raw/A.txt", shape=plaintext];
          n2 [label="common\n(missing)", shape=plaintext];
          n1 -> n0;
          n2 -> n0;
        }
    """)


def test_mermaid(project: Project) -> None:
    assert written(project).look("graph", "--format=mermaid", "build/A.n", "setup").out == lines("""
        flowchart LR
          n0["build/A.n<br>(count A)"]
          n1["setup<br>(command)"]
          n2(["raw/A.txt"])
          n3(["common<br>(missing)"])
          n2 --> n0
          n3 --> n0
    """)
    assert " -.->|after| " in project.look("graph", "--format=mermaid", "report").out


def test_any_file_name(project: Project) -> None:
    project.taskfile('[tasks.a]\ninputs = "raw/*"\noutputs = "out"\nrun = "true"\n')
    (project.folder / "raw").mkdir()
    for name in (b'"q\\', b"new\nline", b"\xff", b"a&lt;b", b"`#x;`", "é".encode()):
        with open(os.path.join(os.fsencode(project.folder), b"raw", name), "wb"):
            pass
    assert {line[4:] for line in project.look("graph").out.splitlines()[1:]} == {
        'raw/"q\\',
        "raw/`#x;`",
        "raw/a&lt;b",
        "raw/new\\nline",
        "raw/é",
        "raw/\\xff",
    }
    dot = project.look("graph", "--format=dot").out
    for label in (r"raw/\"q\\", r"raw/new\\nline", r"raw/\\xff", "raw/a&amp;lt;b"):
        assert f'label="{label}"' in dot
    mermaid = project.look("graph", "--format=mermaid").out
    for label in ("raw/#34;q#92;", "raw/#92;xff", "raw/a#38;lt#59;b", "raw/#96;#35;x#59;#96;", "raw/é"):
        assert f'(["{label}"])' in mermaid
    files = json.loads(project.look("graph", "--format=json").out)["files"]
    assert {"raw/\\xff", "raw/new\nline"} < {file["path"] for file in files}


def test_json(project: Project) -> None:
    found = json.loads(written(project).look("graph", "--format=json", "build/A.n").out)
    assert found == {
        "jobs": [
            {
                "id": 0,
                "name": "count A",
                "task": "count",
                "kind": "rule",
                "wildcards": {"s": "A"},
                "inputs": ["raw/A.txt", "common"],
                "found": [],
                "outputs": ["build/A.n"],
                "needs": [],
                "requires": [],
                "after": [],
                "growing": False,
            }
        ],
        "files": [
            {"path": "raw/A.txt", "form": "file", "producer": None, "missing": False},
            {"path": "common", "form": "file", "producer": None, "missing": True},
            {"path": "build/A.n", "form": "file", "producer": 0, "missing": False},
        ],
    }
    tasks = json.loads(project.look("graph", "--format=json", "--tasks").out)["tasks"]
    assert {"name": "report", "needs": ["count", "sum"], "after": ["setup"]} in tasks


def test_set(project: Project) -> None:
    project.taskfile('[vars]\nn = "x"\n[tasks.a]\noutputs = "{vars.n}.out"\nrun = "true"\n')
    assert project.look("graph", "-s", "n=y").out == "y.out  (a)\n"


def test_a_cycle_is_told(project: Project) -> None:
    project.taskfile("""
        [tasks.a]
        inputs = "b"
        outputs = "a"
        run = "true"
        [tasks.b]
        inputs = "a"
        outputs = "b"
        run = "true"
    """)
    assert "wait for each other" in project.look("graph", code=3).err


def test_what_the_last_build_found_out(project: Project) -> None:
    project.taskfile("""
        [tasks.split]
        outputs = "parts/*.txt"
        run = "touch parts/1.txt"
        [tasks.copy]
        inputs = "parts/{n}.txt"
        outputs = "copies/{n}.txt"
        run = "cp {input} {output}"
        [tasks.all]
        inputs = "copies/*.txt"
        outputs = "all"
        run = "cat {input} > {output}"
    """)
    assert "all  (all, not all known yet)" in project.look("graph", "all").out
    project.build()
    assert project.look("graph", "all").out == lines("""
        all  (all)
        └── copies/1.txt  (copy 1)
            └── parts/*.txt  (split)
    """)


def test_long_chains(project: Project) -> None:
    tasks = ["[tasks.t0]\noutputs = 'o0'\nrun = 'true'\n"]
    tasks += [f"[tasks.t{n}]\ninputs = 'o{n - 1}'\noutputs = 'o{n}'\nrun = 'true'\n" for n in range(1, 2000)]
    project.taskfile("\n".join(tasks))
    out = project.look("graph").out
    assert len(out) < 2000 * 200
    for n in (0, 1000, 1999):
        assert f"o{n}  (t{n})" in out
    assert out.count("see below") == 2000 // 40 - 1


def test_found_inputs(project: Project) -> None:
    project.taskfile("""
        [tasks.head]
        outputs = "made.h"
        run = "touch {output}"
        [tasks.cc]
        inputs = "a.c"
        outputs = "a.o"
        after = "head"
        depfile = "a.d"
        run = "touch {output}; echo 'a.o: a.c my.h made.h' > {depfile}"
    """)
    project.write("a.c", "")
    project.write("my.h", "")
    assert "my.h" not in project.look("graph", "a.o").out
    project.build("a.o")
    assert project.look("graph", "a.o").out == dedent("""\
        a.o  (cc)
        ├── a.c
        ├── my.h, found
        └── made.h  (head), found
    """)
    assert 'n3 -> n0 [label="found"];' in project.look("graph", "a.o", "--format", "dot").out
    assert "n3 -->|found| n0" in project.look("graph", "a.o", "--format", "mermaid").out
    jobs = json.loads(project.look("graph", "a.o", "--format", "json").out)["jobs"]
    assert [job["found"] for job in jobs if job["name"] == "cc"] == [["my.h", "made.h"]]
