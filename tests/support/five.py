"""A project of five jobs (commands and functions, a temporary file, a directory), to which something happens."""

from __future__ import annotations

import errno
import os
import shutil
import zlib
from dataclasses import replace
from pathlib import Path

from support.faulty import Fault, Faulty
from support.project import Project, Run

TASKFILE = """
    [tasks.upper]
    inputs = "in/a.txt"
    outputs = "out/a.up"
    run = "tr a-z A-Z < {input} > {output}"

    [tasks.count]
    inputs = "out/a.up"
    outputs = "out/a.n"
    call = "steps:count"

    [tasks.middle]
    inputs = "in/b.txt"
    outputs = "tmp/b.mid"
    temp = true
    run = "cp {input} {output}"

    [tasks.site]
    inputs = "tmp/b.mid"
    outputs = "site/"
    run = "mkdir -p site/deep && cp {input} site/one && tr x y < {input} > site/deep/two"

    [tasks.all]
    inputs = ["out/a.n", "site/"]
    outputs = "all.txt"
    call = "steps:join"
"""
STEPS = """
    import os

    def count(input, output):
        output.write_text(f"{len(input.read_text())}\\n")

    def join(input, output):
        text = input[0].read_text()
        for name in ("one", "deep/two"):
            text += (input[1] / name).read_text()
        output.write_text(text)
"""
BEFORE, AFTER = ("abc\n", "xyz\n"), ("def ghi\n", "xx y z\n")  # texts of the sources
MINE = "written by hand\n"
MADE = {"all.txt", "out/a.n", "out/a.up", "site/deep/two", "site/one"}
SCENES = ("new", "again")
CACHE = '[bt.cache]\nsize = "1GB"\n'
CODES = {0, 1, 2, 5}  # of a build in which the disk is in trouble; 2: the Taskfile or code could not be read
# What SQLite makes of the causes.
TOLD = (
    "disk i/o error",
    "database or disk is full",
    "unable to open database",
    "attempt to write a readonly",
)


def scene(folder: Path, faulty: Faulty, name: str, head: str = "") -> Project:
    """`new`: nothing was built yet. `again`: all was, and is stale. `back`: all is as it was two builds ago.

    In all of them, a file of a person's is in the way. Each is built once, and copied for each test.
    """
    kept = faulty.folder / "scenes" / f"{name} {zlib.crc32(head.encode())}"
    if not kept.exists():
        _build(kept, faulty, name, head)
    shutil.copytree(kept, folder, symlinks=True)
    return Project(folder)


def _build(folder: Path, faulty: Faulty, name: str, head: str) -> None:
    project = Project(folder)
    project.write("Taskfile.toml", head + TASKFILE)
    project.write("steps.py", STEPS)
    project.write("in/a.txt", BEFORE[0])
    project.write("in/b.txt", BEFORE[1])
    for a, b in {"new": [], "again": [AFTER], "back": [AFTER, BEFORE]}[name]:
        run, _ = faulty.bt(folder, "build")
        assert run.code == 0, run.out + run.err
        project.write("in/a.txt", a)
        project.write("in/b.txt", b)
    project.write("all.txt", MINE)


def contents(project: Project) -> dict[str, str]:
    """All files that are not of the state."""
    return {name: project.read(name) for name in project.files()}


def expected(project: Project, faulty: Faulty) -> dict[str, str]:
    """What a clean build makes of it, in a copy; of the same sources always the same."""
    sources = tuple(project.read(name) for name in ("Taskfile.toml", "steps.py", "in/a.txt", "in/b.txt"))
    if sources in faulty.clean:
        return faulty.clean[sources]
    copy = project.folder.with_name("clean")
    shutil.copytree(project.folder, copy, symlinks=True, ignore=shutil.ignore_patterns(".bt", *MADE))
    run, _ = faulty.bt(copy, "build")
    assert run.code == 0, run.out + run.err
    found = contents(Project(copy))
    shutil.rmtree(copy)
    assert {*found} == {*MADE, "Taskfile.toml", "steps.py", "in/a.txt", "in/b.txt"}
    faulty.clean[sources] = found
    return found


def wrongs(run: Run, fault: Fault) -> list[str]:
    """What is wrong with how a build ended to which this happened."""
    said = run.out + run.err
    found = ["a traceback"] if "Traceback" in said else []
    if fault.error:
        if run.code not in CODES:
            found.append(f"exit code {run.code}")
        told = (os.strerror(fault.error).lower(), *TOLD)
        if run.code and not any(words in said.lower() for words in told):
            found.append("no cause is told")
    elif run.code not in {*CODES, -9}:
        found.append(f"exit code {run.code}")
    return found


def afterwards(
    project: Project, faulty: Faulty, clean: dict[str, str], *targets: str
) -> tuple[Run, list[str]]:
    """Build once what happened is over, and once more: the first of these builds, and all that is wrong."""
    found = []
    first, _ = faulty.bt(project.folder, "build", *targets)
    if first.code or "Traceback" in first.out + first.err:
        found.append(f"the next build ends with {first.code}: {first.out}{first.err}")
    if contents(project) != clean:
        other = {name for name, _ in contents(project).items() ^ clean.items()}
        found.append(f"files differ from those of a clean build: {sorted(other)}")
    if not any(path.is_file() and path.read_bytes() == MINE.encode() for path in project.folder.rglob("*")):
        found.append("a file that was written by hand is lost")
    found += [f".bt/{name} is left" for name in ("aside", "boxes") if project.exists(f".bt/{name}")]
    run, _ = faulty.bt(project.folder, "build", *targets)
    if run.code or run.by_status("fresh") != sorted(run.finished) or run.warnings:
        found.append(f"one more build does something: {run.code} {run.out}{run.err}")
    return first, found


def turns(project: Project, faulty: Faulty, fault: Fault, most: int | None) -> list[int]:
    """The calls of a build, as many as are wanted, far apart; None: all."""
    copy = project.folder.with_name("counted")
    shutil.copytree(project.folder, copy, symlinks=True)
    run, count = faulty.bt(copy, "build", fault=replace(fault, turn=0))
    assert run.code == 0, run.out + run.err
    shutil.rmtree(copy)
    step = 1 if most is None else max(1, count // most)
    return [*range(1, count + 1, step)]


def sweep(project: Project, faulty: Faulty, fault: Fault, most: int | None) -> tuple[int, list[str]]:
    """Have it happen to a build at each call, or some: how often that was, and all that went wrong."""
    clean = expected(project, faulty)
    found = turns(project, faulty, fault, most)
    wrong = [what for turn in found for what in trial(project, faulty, replace(fault, turn=turn), clean)]
    return len(found), wrong


def trial(master: Project, faulty: Faulty, fault: Fault, clean: dict[str, str]) -> list[str]:
    """What goes wrong if this happens to a build, in a copy of the project."""
    copy = Project(master.folder.with_name("copy"))
    shutil.copytree(master.folder, copy.folder, symlinks=True)
    try:
        run, _ = faulty.bt(copy.folder, "build", fault=fault)
        wrong = [*wrongs(run, fault), *afterwards(copy, faulty, clean)[1]]
        name = errno.errorcode.get(fault.error, "kill")
        said = f"\n{run.out}{run.err}" if wrong else ""
        return [f"{name} at call {fault.turn}: {what}{said}" for what in wrong]
    finally:
        shutil.rmtree(copy.folder)
