"""The front door: a build with nothing to do is answered by looking alone, and never when something may be to do."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from support.project import BT, Project, clean_environment

TASKS = """
    [tasks.up]
    inputs = "in/{n}.txt"
    outputs = "out/{n}.txt"
    run = "tr a-z A-Z < {input} > {output}"
    track = { env = ["LEVEL"], files = ["tools/*.sh"] }

    [tasks.count]
    inputs = "out/*.txt"
    outputs = "count.txt"
    call = "steps:count"
"""
STEPS = "from helper import width\ndef count(input, output): output.write_text(str(len(input) * width))\n"
SCRIPT = Path(__file__).parents[2] / "bin/bt"


@pytest.fixture
def resting(project: Project) -> Project:
    """A project in which nothing is to be done, and that is noted."""
    project.taskfile(TASKS)
    project.write("in/a.txt", "a\n")
    project.write("tools/x.sh", "")
    project.write("steps.py", STEPS)
    project.write("helper.py", "width = 3\n")
    project.write("../real.txt", "z")
    os.symlink("../../real.txt", project.folder / "in/link.txt")
    settle(project)
    return project


def settle(project: Project, *words: str) -> None:
    """Build until a build has had nothing to do with files that are older than itself."""
    for _ in range(20):
        if at_the_door(project, *words):
            return
        project.build(*words)
    raise AssertionError("it never rests")


def at_the_door(project: Project, *words: str, **env: str) -> bool:
    return project.rests("build", *words, cwd=project.folder, env=env)


def touch_back(path: Path) -> None:
    """Another content of the same size and time."""
    st = path.stat()
    path.write_text(path.read_text().swapcase())
    os.utime(path, ns=(st.st_atime_ns, st.st_mtime_ns))


def add(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


def package(folder: Path) -> None:
    folder.mkdir()
    (folder / "__init__.py").write_text("width = 5\n")


EDITS: dict[str, Callable[[Path], object]] = {
    "an input": lambda root: (root / "in/a.txt").write_text("b\n"),
    "an input, with the time of before": lambda root: touch_back(root / "in/a.txt"),
    "an input that is replaced": lambda root: os.replace(root / "../real.txt", root / "in/a.txt"),
    "a new input": lambda root: (root / "in/b.txt").write_text("b"),
    "an input that is gone": lambda root: (root / "in/a.txt").unlink(),
    "what a link leads to": lambda root: (root / "../real.txt").write_text("y"),
    "an output": lambda root: (root / "out/a.txt").write_text("edited"),
    "an output that is gone": lambda root: (root / "count.txt").unlink(),
    "its folder": lambda root: os.rename(root / "out", root / "out2"),
    "the Taskfile": lambda root: add(root / "Taskfile.toml", "# more\n"),
    "a function": lambda root: (root / "steps.py").write_text(STEPS.replace("*", "+")),
    "a helper": lambda root: (root / "helper.py").write_text("width = 4\n"),
    "a module that stands before it": lambda root: package(root / "helper"),
    "a tracked file": lambda root: (root / "tools/x.sh").write_text("# more\n"),
    "a new tracked file": lambda root: (root / "tools/y.sh").write_text(""),
    "the state": lambda root: add(root / ".bt/state.db", "x"),
    "its seal": lambda root: (root / ".bt/state.sum").unlink(),
    "the note": lambda root: (root / ".bt/rest").write_bytes((root / ".bt/rest").read_bytes()[:-1]),
}


@pytest.mark.parametrize("edit", EDITS)
def test_any_difference_is_for_the_house(resting: Project, edit: str) -> None:
    EDITS[edit](resting.folder)
    assert not at_the_door(resting)
    resting.bt("build")  # which asserts that the door was right


def test_what_is_no_difference_is_answered(resting: Project) -> None:
    assert at_the_door(resting)
    (resting.folder / "in/a.txt").read_text()
    (resting.folder / "in/other").write_text("")
    (resting.folder / "in/other").unlink()
    assert at_the_door(resting), "a name that came and went"
    assert not at_the_door(resting, LEVEL="2")
    assert at_the_door(resting, OTHER="2")
    assert not at_the_door(resting, "up")
    assert at_the_door(resting, "-q", "-j", "3", "-k")
    assert at_the_door(resting, "-j2", "--jobs=4", "--quiet")
    assert not at_the_door(resting, "--", "-q")
    assert not at_the_door(resting, "-B")


@pytest.mark.parametrize(
    "words", ["-j 0", "-j0", "-j -3", "-j abc", "--jobs=abc", "--jobs=", "--jobs 00", "-j", "--jobs"]
)
def test_wrong_use_is_wrong_also_if_there_is_nothing_to_do(resting: Project, words: str) -> None:
    assert not at_the_door(resting, *words.split())
    ran = resting.bt_plainly("build", *words.split())
    assert (ran.code, "-j" in ran.err) == (2, True)


def test_other_commands_that_write_are_noticed(resting: Project) -> None:
    resting.bt("clean")
    assert not at_the_door(resting)


@pytest.mark.parametrize(
    "more",
    [
        '[vars]\nv = { sh = "date +%N" }\n',
        '[tasks.c]\noutputs = "c"\nrun = ": > c"\ntrack = { cmd = ["date +%N"] }\n',
        '[tasks.c]\noutputs = "c"\nrun = ": > c"\nmax_age = "1h"\n',
        '[tasks.c]\noutputs = "c/"\nrun = "mkdir -p c"\n',
        '[tasks.c]\ninputs = "in/"\noutputs = "c"\nrun = ": > c"\n',
        '[tasks.c]\ninputs = "in/a.txt"\noutputs = "c"\nhash = "text"\nrun = ": > c"\n',
    ],
)
def test_where_more_than_files_decides_nothing_is_noted(project: Project, more: str) -> None:
    project.taskfile(more)
    project.write("in/a.txt", "")
    for _ in range(3):
        project.bt("build")
    assert not (project.folder / ".bt/rest").exists()


def test_an_include_that_may_grow_is_not_noted(project: Project) -> None:
    project.taskfile('include = ["more*.toml"]\n[tasks.c]\noutputs = "c"\nrun = ": > c"\n')
    for _ in range(3):
        project.build()
    assert not (project.folder / ".bt/rest").exists()


def test_it_says_what_a_build_would_say_and_imports_nothing(resting: Project) -> None:
    command = [*BT, "build"]
    house = subprocess.run(
        [*command, "-q"], cwd=resting.folder, capture_output=True, env=clean_environment(), check=True
    )
    settle(resting)
    program = (
        "import sys; before = set(sys.modules); sys.path.insert(0, ''); sys.argv[1:] = ['build']\n"
        f"exec({SCRIPT.read_text()!r})\n"
        "print(*sorted(set(sys.modules) - before))"
    )
    for _ in range(2):  # the first one notes it for this way to start
        door = subprocess.run(
            [sys.executable, "-c", program],
            cwd=resting.folder,
            capture_output=True,
            text=True,
            env=clean_environment(),
            check=True,
        )
    said, modules = door.stdout.splitlines()
    assert said.rpartition(" in ")[0] == house.stdout.decode().rpartition(" in ")[0] == "3 fresh"
    assert set(modules.split()) <= {
        "buildtool",
        "buildtool.__main__",
        "buildtool.door",
        "__future__",
        "gc",
        "zlib",
    }


def look_at(project: Project, *words: str) -> list[str]:
    """Build as a person does; the lines that were printed, without times."""
    run = project.bt_plainly("build", *words)
    assert run.code == 0, run.out + run.err
    return [line.rpartition("  ")[0] or line.rpartition(" in ")[0] for line in run.out.splitlines()]


CONE = """
    [tasks.up]
    inputs = "in/{n}.txt"
    outputs = "out/{n}.txt"
    run = "tr a-z A-Z < {input} > {output}"

    [tasks.twice]
    inputs = "out/{n}.txt"
    outputs = "twice/{n}.txt"
    run = "! grep -q FAIL {input} && cat {input} {input} > {output}"
"""


@pytest.fixture
def many(project: Project) -> Project:
    """Twenty files, all up to date; that is noted."""
    project.taskfile(CONE)
    for n in range(20):
        project.write(f"in/{n}.txt", f"{n}\n")
    settle(project)
    return project


def test_what_changed_alone_is_looked_at(many: Project) -> None:
    many.write("in/3.txt", "three\n")
    concerned = many.concerned("build", cwd=many.folder, env={})
    assert concerned == {"up 3", "twice 3"}
    lines = look_at(many)
    assert lines == [
        "ran        up 3  (input in/3.txt changed)",
        "ran        twice 3  (input out/3.txt changed)",
        "2 ran, 38 fresh",
    ]
    assert many.read("twice/3.txt") == "THREE\nTHREE\n"
    assert many.concerned("build", cwd=many.folder, env={}) == set(), "that is noted, too"
    many.write("twice/4.txt", "edited\n")
    assert many.concerned("build", cwd=many.folder, env={}) == {"twice 4"}
    assert look_at(many)[-1] == "1 unchanged after running, 39 fresh"
    assert many.build().ran == []


def test_a_failure_among_what_changed_is_mended_and_not_forgotten(many: Project) -> None:
    many.write("in/3.txt", "fail\n")
    failed = many.bt_plainly("build")
    assert failed.code == 1
    assert "1 ran, 38 fresh, 1 failed in" in failed.out
    assert many.bt_plainly("build").code == 1
    many.write("in/3.txt", "three\n")
    assert look_at(many)[-1] == "2 ran, 38 fresh"
    assert many.build().ran == []


def test_what_came_or_went_is_planned(many: Project) -> None:
    many.write("in/new.txt", "new\n")
    assert many.concerned("build", cwd=many.folder, env={}) is None
    assert look_at(many)[-1] == "2 ran, 40 fresh"
    settle(many)
    many.remove("in/3.txt")
    assert many.concerned("build", cwd=many.folder, env={}) is None
    assert "2 orphans" in many.bt_plainly("build").out


def test_files_that_look_different_and_are_not_are_read_and_nothing_is_planned(many: Project) -> None:
    for n in range(5):
        (many.folder / f"in/{n}.txt").touch()
    assert many.concerned("build", cwd=many.folder, env={}) == set()
    assert look_at(many) == ["40 fresh"]
    run = many.bt_plainly("history", "--json")
    assert '"fresh": 40' in run.out, "it is a build as any other"


def test_a_state_that_somebody_else_wrote_is_not_trusted(many: Project) -> None:
    many.write("in/3.txt", "three\n")
    many.bt("clean", "out/4.txt")
    assert many.concerned("build", cwd=many.folder, env={}) is None
    assert look_at(many)[-1] == "2 ran, 38 fresh"


def test_secrets_are_not_noted(project: Project) -> None:
    project.taskfile(
        """
        [bt]
        secrets = ["TOKEN"]
        [tasks.c]
        outputs = "c"
        run = ": > c"
        track = { env = ["TOKEN"] }
        """
    )
    for _ in range(3):
        assert project.bt("build", env={"TOKEN": "hunter2"}).code == 0
    for path in (project.folder / ".bt").iterdir():
        assert b"hunter2" not in path.read_bytes(), path


def test_whoever_reads_the_answer_may_have_gone(resting: Project) -> None:
    with open("/dev/full", "w") as full:
        run = subprocess.run(
            [*BT, "build"],
            check=False,
            cwd=resting.folder,
            stdout=full,
            stderr=subprocess.PIPE,
            env=clean_environment(),
        )
    assert run.returncode == 5
    assert b"cannot write to standard output" in run.stderr


def test_what_one_of_them_only_waits_for_is_made_again(project: Project) -> None:
    project.taskfile(
        """
        [tasks.tool]
        inputs = "tool.src"
        outputs = "tool"
        temp = true
        run = "cp {input} {output}"

        [tasks.use]
        inputs = "in/{n}.txt"
        outputs = "out/{n}.txt"
        after = ["tool"]
        run = "cat tool {input} > {output}"
        """
    )
    project.write("tool.src", "tool\n")
    for n in range(3):
        project.write(f"in/{n}.txt", f"{n}\n")
    settle(project)
    assert not project.exists("tool")
    project.write("in/1.txt", "one\n")
    assert project.concerned("build", cwd=project.folder, env={}) == {"use 1"}
    assert look_at(project) == [
        "unchanged  tool  (tool is needed again)",
        "ran        use 1  (input in/1.txt changed)",
        "1 ran, 1 unchanged after running, 2 fresh",
    ]
    assert project.read("out/1.txt") == "tool\none\n"
    assert project.build().ran == []


def test_a_source_that_changes_while_what_changed_is_built_is_noticed(project: Project) -> None:
    project.taskfile(
        """
        [tasks.early]
        inputs = "x"
        outputs = "early.out"
        run = "cp {input} {output}"

        [tasks.person]
        inputs = "y"
        outputs = "person.out"
        after = ["early"]
        run = "cp {input} {output}; if [ -e now ]; then rm now; echo edited > x; fi"

        [tasks.late]
        inputs = "x"
        outputs = "late.out"
        after = ["person"]
        run = "cp {input} {output}"
        """
    )
    project.write("x", "one\n")
    project.write("y", "one\n")
    settle(project)
    for name in ("x", "y", "now"):
        project.write(name, "two\n")
    assert project.concerned("build", cwd=project.folder, env={}) == {"early", "person", "late"}
    assert project.bt_plainly("build").code == 0
    assert (project.read("early.out"), project.read("late.out")) == ("two\n", "edited\n")
    assert project.build().ran == ["early"]
    assert project.read("early.out") == "edited\n"


def test_what_fails_stops_those_that_wait_for_it_through_others(project: Project) -> None:
    project.taskfile(
        """
        [tasks.first]
        inputs = "first.txt"
        run = "! grep BAD {input}"

        [tasks.second]
        inputs = "second.txt"
        needs = ["first"]
        run = "test -s {input}"

        [tasks.third]
        inputs = "third.txt"
        outputs = "third.out"
        needs = ["second"]
        run = "cp {input} {output}"

        [tasks.fourth]
        inputs = "third.txt"
        outputs = "fourth.out"
        after = ["second"]
        run = "cp {input} {output}"
        """
    )
    for name in ("first.txt", "second.txt", "third.txt"):
        project.write(name, "one\n")
    settle(project)
    project.write("first.txt", "BAD\n")
    project.write("third.txt", "two\n")
    everything = {"first", "second", "third", "fourth"}
    assert project.concerned("build", cwd=project.folder, env={}) == everything
    run = project.bt_plainly("build")
    assert run.code == 1
    assert "3 skipped" in run.out
    assert (project.read("third.out"), project.read("fourth.out")) == ("one\n", "one\n")
