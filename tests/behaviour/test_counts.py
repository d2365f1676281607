"""What must not grow, counted: modules, looks at files, files opened, processes, SQL statements, scans of /proc.

No time is asserted.

Numbers of each job are exact: of two projects that differ in their jobs alone, the difference. Who makes one smaller
writes the new number down; who makes one larger has a reason that is worth it for every job of every build.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from support.counting import Counts, counts, modules
from support.project import Project

FEW, MANY = 30, 60  # both more than those after which another process starts them
TASKFILE = """
    [tasks.copy]
    inputs = "in/{n}.txt"
    outputs = "out/{n}.txt"
    run = "cp {input} {output}"
"""
SLOWLY = (
    "build",
    "-j",
    "1",
)  # at once, jobs end in another order each time, and what they left is put down together


def rest() -> None:
    """Files that are younger than a tick of the clock are looked at once more."""
    time.sleep(0.05)


def written(folder: Path, jobs: int) -> Project:
    """A project that was never built."""
    folder.mkdir()
    project = Project(folder)
    project.taskfile(TASKFILE)
    for number in range(jobs):
        project.write(f"in/{number}.txt", f"{number}\n")
    rest()
    return project


def settled(folder: Path, jobs: int) -> Project:
    """One in which nothing is to be done, and that is noted."""
    project = written(folder, jobs)
    for _ in range(3):
        counts(project, *SLOWLY)  # as it is counted: a note holds for one way to start `bt`
        rest()
    return project


def full(folder: Path, jobs: int) -> Counts:
    return counts(written(folder, jobs), *SLOWLY)


def forced(folder: Path, jobs: int) -> Counts:
    return counts(settled(folder, jobs), *SLOWLY, "-B")


def nothing(folder: Path, jobs: int) -> Counts:
    return counts(settled(folder, jobs), *SLOWLY)


def one(folder: Path, jobs: int) -> Counts:
    project = settled(folder, jobs)
    project.write("in/3.txt", "changed\n")
    rest()
    return counts(project, *SLOWLY)


def status(folder: Path, jobs: int) -> Counts:
    return counts(settled(folder, jobs), "status")


# What each job costs, and what a call costs at most beside its jobs. Looks of the second sort are more where the
# folder lies deeper, so that they are told with 20 to spare.
KINDS: dict[Callable[[Path, int], Counts], tuple[Counts, Counts]] = {
    # Its command; its input and its output read once, and the input once more for its text (of the first 1000);
    # 9 statements for what is known of it from then on, or fewer where jobs end so fast that they are written down
    # together. Of the looks, two go to the folder of its output, before and after it, since links are put there by
    # jobs: behind one that leads out of the project, nothing is written, taken for an output, moved or removed.
    full: (Counts(looks=16, opened=3, spawned=1, statements=9), Counts(85, 1, 1, 70)),
    # Its input is known; 2 statements more for what was known of it.
    forced: (Counts(looks=16, opened=1, spawned=1, statements=11), Counts(85, 1, 1, 60)),
    # At the door: a look at its input, one at its output.
    nothing: (Counts(looks=2, opened=0, spawned=0, statements=0), Counts(24, 0, 0, 0)),
    # As before for all; the one that runs is looked at beside them, and what is known of it looked up.
    one: (Counts(looks=2, opened=0, spawned=0, statements=0), Counts(100, 4, 1, 65)),
    status: (Counts(looks=11, opened=0, spawned=0, statements=4), Counts(60, 1, 0, 15)),
}


@pytest.mark.parametrize("build", KINDS, ids=lambda build: build.__name__)
def test_what_each_job_costs(tmp_path: Path, build: Callable[[Path, int], Counts]) -> None:
    each, beside = KINDS[build]
    few, many = build(tmp_path / "few", FEW), build(tmp_path / "many", MANY)
    found = few.without(each, FEW)
    assert many.without(each, MANY).within(found), f"more than {each} a job: {few} {many}"
    assert found.within(beside), f"more than {beside} beside the jobs: {found}"


# What `bt` imports of its own to answer at once. Help and completion need click beside it.
DOOR = {"buildtool", "buildtool.__main__", "buildtool.door"}
WORDS = DOOR | {
    "buildtool.cli",
    "buildtool.cli.commands",
    "buildtool.cli.context",
    "buildtool.cli.main",
    "buildtool.cli.printing",
    "buildtool.errors",
    "buildtool.paths",
    "buildtool.report",
    "buildtool.regex",
    "buildtool.report.paint",
    "buildtool.taskfile",
    "buildtool.taskfile.find",
    "buildtool.text",
    "buildtool.tuples",
}
COMPLETION = WORDS | {"buildtool.cli.complete", "buildtool.cli.names", "buildtool.cli.words"}
HELP = {"buildtool.cli.layout"}
MOST = 102  # of its own that a build imports which has something to do
# What a build of targets alone does not need, unless it calls functions, copies or removes trees, or tells of an error.
RARE = {
    *(
        "ast",
        "bz2",
        "click",
        "dataclasses",
        "difflib",
        "fnmatch",
        "gettext",
        "inspect",
        "locale",
        "lzma",
        "platform",
    ),
    *("shutil", "subprocess", "tempfile", "textwrap", "threading", "uuid"),
}
LATE = {"asyncio", "concurrent", "rich", "sqlite3", "tomli", "watchdog", "xxhash"}


def ours(found: set[str]) -> set[str]:
    return {name for name in found if name.split(".")[0] == "buildtool"}


def tops(found: set[str]) -> set[str]:
    return {name.split(".")[0] for name in found}


@pytest.mark.parametrize("words", [["--help"], ["--version"]])
def test_help_imports_its_words_alone(tmp_path: Path, words: list[str]) -> None:
    found = modules(written(tmp_path / "project", 1), *words)
    assert ours(found) <= WORDS | HELP
    assert not tops(found) & LATE


def test_completion_imports_its_words_alone(tmp_path: Path) -> None:
    project = settled(tmp_path / "project", 1)
    noted = tmp_path / "project/.bt/names"
    for line in ("bt build ", "bt ", "bt build --", "bt log out/", "bt build -e ", "bt build -h"):
        words = line.split(" ")
        asked = {"_BT_COMPLETE": "zsh_complete", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
        if not noted.exists():
            modules(project, env=asked)
        found = modules(project, env=asked)
        assert ours(found) <= COMPLETION, line
        assert not tops(found) & LATE, line


def test_help_of_a_command_imports_its_words_alone(tmp_path: Path) -> None:
    for name in ("build", "watch", "check"):
        found = modules(written(tmp_path / name, 1), name, "--help")
        assert ours(found) <= COMPLETION | HELP
        assert not tops(found) & LATE


def test_a_build_with_nothing_to_do_imports_the_door(tmp_path: Path) -> None:
    project = settled(tmp_path / "project", 1)
    for _ in range(2):  # the first one notes it for this way to start
        found = modules(project, *SLOWLY)
    assert ours(found) == DOOR
    assert found - DOOR <= {"__future__", "gc", "zlib"}


def test_a_build_with_something_to_do_imports_what_it_needs(tmp_path: Path) -> None:
    project = settled(tmp_path / "project", 1)
    project.write("in/0.txt", "changed\n")
    found = modules(project, *SLOWLY)
    assert len(ours(found)) <= MOST
    assert not tops(found) & (LATE - {"sqlite3", "tomli", "xxhash"} | RARE)
    assert not {name for name in ours(found) if name.startswith("buildtool.pycode")}
