"""Outputs that change hands: to another task, to a person, to a source. What a person wrote is not lost."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import subprocess

import pytest

from support.effort import some
from support.project import Project

HAND = "by hand\n"


def is_there(project: Project, text: str = HAND) -> bool:
    return any(path.is_file() and path.read_bytes() == text.encode() for path in project.folder.rglob("*"))


TWO = """
    [tasks.x]
    outputs = "x"
    run = "echo > x"
    [tasks.y]
    outputs = "y"
    run = "echo y > y"
"""
TAKEN = {
    "a list": 'outputs = ["x", "y"]\nrun = "echo > x; echo y > y"',
    "kept": 'outputs = ["x", "y"]\nkeep = true\nrun = "echo > x; echo y > y"',
}


@pytest.mark.parametrize("task", TAKEN.values(), ids=TAKEN)
def test_an_edited_output_that_another_task_makes_by_now(project: Project, task: str) -> None:
    project.taskfile(TWO)
    project.build()
    project.write("y", HAND)
    project.taskfile(f"[tasks.x]\n{task}")
    run = project.build()
    assert is_there(project)
    assert "`y` was edited: kept as" in str(run.warnings)
    assert project.read("y") == "y\n"
    assert project.build().ran == []


@pytest.mark.parametrize("keep", ["", "keep = true"])
def test_an_edited_output_that_a_pattern_takes_over(project: Project, keep: str) -> None:
    pattern = f'[tasks.x]\noutputs = "g/*"\n{keep}\nrun = "mkdir -p g; echo > g/x; %s"\n'
    project.taskfile(pattern % "true" + '[tasks.y]\noutputs = "h/y"\nrun = "echo y > h/y"')
    project.build()
    project.taskfile('[tasks.y]\noutputs = "g/y"\nrun = "echo y > g/y"')
    project.build()
    project.write("g/y", HAND)
    project.taskfile(pattern % "echo y > g/y")
    project.build()
    assert is_there(project)


def test_a_directory_with_a_persons_file_that_another_task_makes_by_now(project: Project) -> None:
    project.taskfile("""
        [tasks.x]
        outputs = "x"
        run = "echo > x"
        [tasks.d]
        outputs = "d/"
        run = "mkdir -p d; echo > d/own"
    """)
    project.build()
    project.write("d/mine", HAND)
    project.taskfile('[tasks.x]\noutputs = ["x", "d/"]\nrun = "echo > x; mkdir -p d; echo > d/own"')
    project.build()
    assert is_there(project)


def test_what_nobody_changed_goes_over_without_a_word(project: Project) -> None:
    project.taskfile(TWO)
    project.build()
    project.taskfile(f"[tasks.x]\n{TAKEN['a list']}")
    assert project.build().warnings == []
    assert not project.exists(".bt/kept")


KEEP = """
    [tasks.k]
    inputs = "s"
    outputs = "k"
    keep = true
    run = "cat s > k; ! grep -q bad s"
"""


@pytest.mark.parametrize("first", [True, False])
def test_an_edit_after_a_failed_run_that_keeps_its_output(project: Project, first: bool) -> None:
    project.taskfile(KEEP)
    if not first:
        project.write("s", "ok\n")
        project.build()
    project.write("s", "bad\n")
    assert project.bt("build").code == 1
    project.write("k", HAND)
    project.write("s", "ok again\n")
    run = project.build()
    assert is_there(project)
    assert "`k` was edited" in str(run.warnings)
    assert project.read("k") == "ok again\n"
    assert project.build().ran == []


def test_a_failed_run_that_keeps_its_output_is_not_fresh(project: Project) -> None:
    """Although all that it reads is as in its last good run."""
    project.taskfile(KEEP.replace("! grep -q bad s", "! test -e fail"))
    project.write("s", "ok\n")
    project.build()
    project.write("fail", "")
    assert project.bt("build", "-B").code == 1
    project.remove("fail")
    run = project.build()
    assert run.ran == ["k"]
    assert run.warnings == []
    assert project.build().ran == []


@pytest.mark.parametrize("jobs", ["-j1", "-j2"])
def test_a_directory_in_which_another_task_makes_a_file_by_now(project: Project, jobs: str) -> None:
    project.taskfile('[tasks.a]\noutputs = ["m", "x/"]\nrun = "echo > m; echo > x/q"')
    project.build()
    project.taskfile("""
        [tasks.b]
        outputs = "x/z"
        run = "echo z > x/z"
        [tasks.a]
        outputs = "m"
        run = "echo > m"
    """)
    project.build(jobs)
    assert project.read("x/z") == "z\n"
    assert project.build().ran == []


def test_a_directory_of_which_a_task_makes_one_file_by_now(project: Project) -> None:
    project.taskfile('[tasks.a]\noutputs = ["m", "x/"]\nrun = "touch m x/old x/new"')
    project.build()
    project.taskfile('[tasks.a]\noutputs = ["m", "x/new"]\nrun = "touch m x/new"')
    project.build()
    assert [path.name for path in (project.folder / "x").iterdir()] == ["new"]


def test_a_former_output_that_is_a_source_by_now(project: Project) -> None:
    project.taskfile('[tasks.u]\noutputs = ["c", "b"]\nrun = "echo 1 > b; cp b c"')
    project.build()
    project.write("b", HAND)
    project.taskfile('[tasks.u]\ninputs = "b"\noutputs = "c"\nrun = "cp b c"')
    project.build()
    assert project.read("b") == project.read("c") == HAND


def test_a_former_output_that_another_task_reads_by_now(project: Project) -> None:
    project.taskfile('[tasks.u]\noutputs = ["c", "b"]\nrun = "echo 1 > b; cp b c"')
    project.build()
    project.taskfile("""
        [tasks.u]
        outputs = "c"
        run = "echo 2 > c"
        [tasks.v]
        inputs = "b"
        outputs = "d"
        run = "cp b d"
    """)
    project.build()
    assert (project.read("b"), project.read("d")) == ("1\n", "1\n")
    assert project.build().ran == []


PATTERN = """
    [tasks.p]
    inputs = "s"
    outputs = "g/*.txt"
    keep = true
    run = [
        "echo a > g/a.txt; [ -e g/b.txt ] || cat s > g/b.txt",
        "[ ! -p hold ] || read x < hold || true",
        "if grep -q bad s; then exit 1; fi",
    ]
    [tasks.all]
    inputs = "g/*.txt"
    outputs = "all"
    run = "cat {inputs} > all"
"""


def is_the_jobs_own(project: Project, made: str) -> None:
    """What `PATTERN` left counts as its own: gone or edited, it is made again, and read."""
    for name in ("g/b.txt", "g/a.txt"):
        project.remove(name)
        project.remove("all")
        assert project.build().ran == ["all", "p"]
        assert project.read("all") == f"a\n{made}"
        assert project.build().ran == []
    project.write("g/a.txt", HAND)
    assert project.build().reasons["p"] == ["output g/a.txt was edited since"]
    assert project.read("all") == f"a\n{made}"
    assert is_there(project)
    assert project.build().ran == []


@pytest.mark.parametrize("retries", [0, 1])
def test_what_a_failed_first_run_left_of_a_pattern_is_its_own(project: Project, retries: int) -> None:
    project.taskfile(PATTERN.replace("keep = true", f"keep = true\n    retries = {retries}"))
    project.write("s", "bad\n")
    assert project.bt("build").code == 1
    project.write("s", "good\n")
    assert project.build().warnings == []
    assert project.read("all") == "a\nbad\n"
    is_the_jobs_own(project, "good\n")
    assert project.bt("clean").code == 0
    assert project.files()[:2] == ["Taskfile.toml", "s"]


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_what_a_first_run_left_of_a_pattern_that_was_cut_short(project: Project, how: signal.Signals) -> None:
    project.taskfile(PATTERN)
    project.write("s", "good\n")
    os.mkfifo(project.folder / "hold")
    process = project.start("build")
    with (project.folder / "hold").open("w"):  # it waits there
        process.send_signal(how)
        process.communicate(timeout=60)
        project.end_leftovers()
    project.remove("hold")
    project.build()
    is_the_jobs_own(project, "good\n")


def test_what_lies_at_a_pattern_when_the_state_is_lost(project: Project) -> None:
    project.taskfile(PATTERN)
    project.write("s", "good\n")
    project.build()
    shutil.rmtree(project.folder / ".bt")
    project.write("g/c.txt", HAND)
    project.build()
    assert project.read("all") == f"a\ngood\n{HAND}"
    project.remove("g/c.txt")
    assert project.build().reasons["p"] == ["file among the outputs g/c.txt is gone"]
    is_the_jobs_own(project, "good\n")


def test_a_persons_file_at_a_pattern_stays_a_persons(project: Project) -> None:
    project.taskfile(PATTERN)
    project.write("s", "good\n")
    project.write("g/c.txt", HAND)
    project.build()
    project.write("g/c.txt", "another\n")
    assert "file among the outputs g/c.txt changed" in project.look("why", "p").out
    run = project.build()
    assert (run.ran, run.warnings) == (["all", "p"], [])
    assert project.read("all") == "a\ngood\nanother\n"
    assert project.build().ran == []
    project.bt("clean")
    assert project.read("g/c.txt") == "another\n"


UPPER = """
    [tasks.up]
    inputs = "g/{x}.in"
    outputs = "h/{x}.out"
    run = "cp {input} {output}"
    [tasks.all]
    inputs = "g/*.in"
    outputs = "all"
    run = "cat {inputs} > all"
"""
MAKES = """
    [tasks.m]
    outputs = "g/m.in"
    run = "echo made > g/m.in"
"""


@pytest.mark.parametrize("between", [True, False])
def test_an_orphan_that_a_person_wrote_anew_is_read_by_patterns(project: Project, between: bool) -> None:
    project.taskfile(MAKES + UPPER)
    project.write("g/a.in", "a\n")
    project.build()
    assert project.read("all") == "a\nmade\n"
    project.taskfile(UPPER)
    assert "2 orphans" in str(project.build().warnings)
    assert project.read("all") == "a\n"
    if between:
        project.remove("g/m.in")
        assert project.build().ran == []
    project.write("g/m.in", HAND)
    run = project.build()
    assert (run.ran, run.warnings) == (["all", "up m"], [])
    assert project.read("all") == f"a\n{HAND}"
    assert project.build().ran == []
    assert "g/m.in" not in project.bt("clean", "--orphans").out
    project.write("g/m.in", "more\n")
    assert project.build().ran == ["all", "up m"]
    project.taskfile(MAKES + UPPER)
    project.build()
    assert is_there(project, "more\n")
    assert project.read("all") == "a\nmade\n"


def test_clean_of_the_state_says_that_what_was_kept_stays(project: Project) -> None:
    project.taskfile(MAKES)
    project.build()
    project.write("g/m.in", HAND)
    project.build()
    assert "but for .bt/kept/" in project.look("clean", "--state", "-n").out
    assert project.bt("clean", "--state", "--yes").out == "removed .bt/, but for .bt/kept/\n"
    assert is_there(project)
    (project.folder / ".bt/kept").rename(project.folder / "mine")
    project.build()
    assert project.bt("clean", "--state", "--yes").out == "removed .bt/\n"


OLD = {
    "name": ('outputs = "old"', 'inputs = "old"'),
    "list": ('outputs = "old"', 'inputs = "@old"'),
    "line": ('outputs = "old"', 'inputs = "@names"'),
    "table": ('outputs = "old"', 'foreach = { s = "@old" }\ninputs = "{s}"'),
    "need": ('outputs = "old"', 'inputs = "s"\nneeds = "old"'),
    "directory": ('outputs = "d/"', 'inputs = "d/"'),
    "inside": ('outputs = "d/"', 'inputs = "d/old"'),
}


@pytest.mark.parametrize("how", list(OLD))
def test_an_orphan_that_is_read_all_the_same_is_told_of_until_it_is_accepted(
    project: Project, how: str
) -> None:
    outputs, inputs = OLD[how]
    file = "d/old" if "d/" in outputs else "old"
    path = "d/" if how == "directory" else file
    makes = f"[tasks.m]\n{outputs}\nrun = 'echo s > {file}'\n"
    new = "{s}.new" if how == "table" else "new"
    reads = f"[tasks.r]\n{inputs}\noutputs = '{new}'\nrun = 'cat s > {{output}}'\n"
    project.write("s", "s\n")
    project.write("names", "old\n")
    project.taskfile(makes + reads)
    assert project.build().warnings == []
    project.taskfile(reads)
    told = [text for text in project.build().warnings if "still read" in text]
    assert told == [f"no task makes {path} any more, and it is still read (`bt accept {path}`: it is yours)"]
    assert project.build().warnings[:1] == told
    assert project.bt("accept", path).out == f"accepted {path}: it is yours from now on\n"
    assert [text for text in project.build().warnings if path in text] == []
    project.bt("clean", "--orphans")
    assert project.exists(path)
    project.taskfile(makes + reads)
    project.build()
    assert project.build().ran == []


WHOLE = {"d/": "mkdir -p d; for i in 1 2 3; do cat s > d/$i; done", "d/1": "cat s > d/1"}


@pytest.mark.parametrize(
    ("outputs", "path"), [("g/m.in", "g/m.in"), ("g/", "g/m.in")], ids=["file", "inside"]
)
def test_the_very_bytes_of_an_orphan_are_a_persons_once_they_are_accepted(
    project: Project, outputs: str, path: str
) -> None:
    """Whether they lie in the place of an output, or in a directory that was one."""
    project.write("a.in", "a\n")
    reads = '[tasks.all]\ninputs = ["a.in", "g/*.in"]\noutputs = "all"\nrun = "cat {input} > all"\n'
    project.taskfile(f"[tasks.m]\noutputs = '{outputs}'\nrun = 'mkdir -p g; echo m > {path}'\n{reads}")
    project.build()
    project.taskfile(reads)
    assert project.build().ran == ["all"]
    before = project.read("all")
    project.remove(path)
    project.write(path, "m\n")
    project.build()
    assert project.read("all") == before
    assert project.bt("accept", path).out == f"accepted {path}: it is yours from now on\n"
    assert project.build().ran == ["all"]
    assert "m\n" in project.read("all")
    project.bt("clean", "--orphans")
    assert project.read(path) == "m\n"
    assert project.build().ran == []


def makes(*outputs: str) -> str:
    run = "; ".join([*(WHOLE.get(path, f"cat s > {path}") for path in outputs), "! grep BAD s"])
    return f"[tasks.a]\ninputs = 's'\noutputs = {list(outputs)}\nrun = '{run}'\n"


@pytest.mark.parametrize("first", [(), ("x",)], ids=["first", "second"])
def test_what_was_a_directory_and_is_a_file_in_it(project: Project, first: tuple[str, ...]) -> None:
    """What else the task has made in there goes, if the job goes well; and the other way round nobody is in the way."""
    project.write("s", "1\n")
    project.taskfile(makes(*first, "d/"))
    project.build()
    project.taskfile(makes(*first, "d/1"))
    project.write("s", "BAD\n")
    assert project.bt("build").failed == ["a"]
    assert {*project.files()} == {*first, "Taskfile.toml", "d/1", "d/2", "d/3", "s"}
    project.write("s", "2\n")
    run = project.build()
    assert run.warnings == ["`a`: `d/` is no output of it any more, and was removed"]
    assert {*project.files()} == {*first, "Taskfile.toml", "d/1", "s"}
    assert project.build().ran == []
    assert "d/" not in project.bt("clean", "-n").out.splitlines()
    project.taskfile(makes(*first, "d/"))
    run = project.build()
    assert first == () or run.warnings == []
    assert {*project.files()} == {*first, "Taskfile.toml", "d/1", "d/2", "d/3", "s"}
    assert project.build().ran == []


@pytest.mark.parametrize("first", [(), ("x",)], ids=["first", "second"])
@pytest.mark.parametrize("path", ["d/1", "d/2", "d/mine"])
def test_a_persons_file_in_what_was_a_directory_is_kept(
    project: Project, first: tuple[str, ...], path: str
) -> None:
    project.write("s", "1\n")
    project.taskfile(makes(*first, "d/"))
    project.build()
    project.write(path, HAND)
    project.taskfile(makes(*first, "d/1"))
    project.build()
    assert is_there(project)
    project.write(path, "2" + HAND)
    project.taskfile(makes(*first, "d/"))
    project.build()
    assert is_there(project, "2" + HAND)
    assert project.build().ran == []


def test_half_of_an_output_whose_task_is_gone_is_no_source(project: Project) -> None:
    """With `keep` it lies in its place when `bt` was killed."""
    holding = MAKES.replace("[tasks.m]", '[tasks.m]\n    inputs = "s"\n    keep = true')
    project.taskfile(holding.replace('> g/m.in"\n', '> g/m.in; [ ! -p hold ] || read x < hold"\n') + UPPER)
    project.write("g/a.in", "a\n")
    project.write("s", "1\n")
    project.build()
    os.mkfifo(project.folder / "hold")
    project.write("s", "2\n")
    project.taskfile(project.read("Taskfile.toml").replace("echo made", "echo half"))
    process = project.start("build")
    with (project.folder / "hold").open("w"):
        process.kill()
        process.communicate(timeout=60)
        project.end_leftovers()
    assert project.read("g/m.in") == "half\n"
    project.taskfile(UPPER)
    project.build()
    assert project.read("all") == "a\n"


LATE = """
    [tasks.list]
    outputs = "list"
    run = "printf 'out/a.txt\\nout/b.txt\\n' > list"
    [tasks.table]
    outputs = "t.csv"
    after = "list"
    run = "printf 'name\\na\\nb\\n' > t.csv"
    [tasks.row]
    inputs = "s"
    outputs = "out/{name}.txt"
    foreach = { from = "t.csv" }
    run = "cat s > {output}"
    [tasks.all]
    inputs = INPUTS
    outputs = "all"
    run = "cat {inputs} > all"
"""


@pytest.mark.parametrize("inputs", ['"@list"', '["out/a.txt", "out/b.txt"]', '["s", "out/*.txt"]'])
def test_what_is_made_is_no_source_when_the_state_is_lost(project: Project, inputs: str) -> None:
    """Although it is there, and it is known only later that a task makes it."""
    project.taskfile(LATE.replace("INPUTS", inputs))
    project.write("s", "1\n")
    project.build()
    shutil.rmtree(project.folder / ".bt")
    project.remove("t.csv")
    project.write("s", "2\n")
    project.build()
    assert project.read("all").endswith("2\n2\n")
    assert project.build().ran == []


def test_a_source_that_looks_like_what_a_table_may_name(project: Project) -> None:
    """The table is made from it, so that it cannot wait for the table."""
    project.taskfile("""
        [tasks.clean]
        inputs = "out/index.txt"
        outputs = "clean"
        run = "cp out/index.txt clean"
        [tasks.table]
        inputs = "clean"
        outputs = "t.csv"
        run = "cp clean t.csv"
        [tasks.row]
        outputs = "out/{name}.txt"
        foreach = { from = "t.csv" }
        run = "echo {name} > {output}"
        [tasks.all]
        inputs = ["out/index.txt", "out/mine.txt"]
        outputs = "all"
        run = "cat {inputs} > all"
    """)
    project.write("out/index.txt", "name\na\n")
    project.write("out/mine.txt", HAND)
    assert project.build().ran == ["all", "clean", "row a", "table"]
    assert project.read("all") == f"name\na\n{HAND}"
    assert project.build().ran == []
    assert project.look("build", "-n").out.startswith("4 fresh")


def test_a_made_table_that_is_missing_stops_nobody_who_cleans_or_accepts(project: Project) -> None:
    """What its rows would make is no orphan, and cannot be accepted; all else can."""
    project.taskfile(
        LATE.replace("INPUTS", '"out/*.txt"') + '\n[tasks.old]\noutputs = "old"\nrun = "echo > old"'
    )
    project.write("s", "1\n")
    project.build()
    project.remove("t.csv")
    project.taskfile(LATE.replace("INPUTS", '"out/*.txt"'))
    assert project.look("clean", "-n", "--orphans").out == "would remove old\nwould remove 1 output\n"
    assert project.bt("clean", "--orphans").out == "removed old\nremoved 1 output\n"
    project.write("list", HAND)
    project.write("out/a.txt", HAND)
    run = project.bt("accept")
    assert (run.code, run.out.splitlines()) == (
        0,
        [
            "accepted list",
            "not accepted table: t.csv is missing",
            "not accepted row: `t.csv`: no such file",
            "not accepted all: `t.csv`: no such file",
            "1 job accepted",
        ],
    )
    run = project.bt("accept", "row")
    assert (run.code, run.out) == (1, "not accepted row: `t.csv`: no such file\n0 jobs accepted\n")
    assert project.read("out/a.txt") == HAND


def test_a_persons_file_in_the_way_of_a_folder_is_named(project: Project) -> None:
    project.taskfile('[tasks.t]\noutputs = "a/b/c"\nrun = "echo > a/b/c"')
    project.write("a", HAND)
    run = project.bt("build")
    assert run.code == 1
    assert run.finished["t"]["error"] == "cannot make the directory of `a/b/c`: `a` is none"
    assert project.read("a") == HAND


@pytest.mark.parametrize("outputs", ['["x", "y"]', '["x", "g/*"]'])
def test_an_output_that_a_task_makes_no_more_is_told_when_it_goes(project: Project, outputs: str) -> None:
    task = '[tasks.t]\noutputs = %s\nrun = "echo > x; mkdir -p g; echo %s > g/%s; echo > y"'
    project.taskfile(task % (outputs, "1", "one"))
    project.build()
    project.taskfile(task % (outputs, "2", "two"))
    assert project.build().warnings == []
    project.taskfile('[tasks.t]\noutputs = "x"\nrun = "echo > x"')
    gone = "y" if "y" in outputs else "g/two"
    assert project.build().warnings == [f"`t`: `{gone}` is no output of it any more, and was removed"]
    assert not project.exists(gone)
    assert project.build().warnings == []


def test_a_link_to_an_input_was_not_edited_with_it(project: Project) -> None:
    project.taskfile('[tasks.t]\ninputs = "in"\noutputs = "o/link"\nrun = "ln -sf ../in o/link"')
    project.write("in", "1\n")
    project.build()
    project.write("in", "2\n")
    run = project.build()
    assert (run.reasons["t"], run.warnings) == (["input in changed"], [])
    assert project.build().ran == []
    project.write("in", "3\n")
    project.remove("o/link")
    project.write("mine", HAND)
    (project.folder / "o/link").symlink_to("../mine")
    run = project.build()
    assert run.reasons["t"] == ["input in changed", "output o/link was edited since"]
    assert "`o/link` was edited: kept as" in str(run.warnings)


def test_clean_says_what_stays_in_a_directory(project: Project) -> None:
    project.taskfile('[tasks.t]\noutputs = "d/"\nkeep = true\nrun = "mkdir -p d; echo > d/own"')
    project.write("d/mine", HAND)
    project.build()
    assert project.look("clean", "-n").out == "would remove what bt made in d/\nwould remove 1 output\n"
    assert project.bt("clean").out == "removed what bt made in d/\nremoved 1 output\n"
    assert project.files() == ["Taskfile.toml", "d/mine"]


def test_an_orphan_that_goes_says_what_stays(project: Project) -> None:
    head = '[bt]\norphans = "delete"\n'
    project.taskfile(head + '[tasks.t]\noutputs = "d/"\nkeep = true\nrun = "mkdir -p d; echo > d/own"')
    project.write("d/mine", HAND)
    project.build()
    project.taskfile(head + '[tasks.u]\nrun = "true"')
    assert "removed what bt made in d/: it holds more" in project.bt_plainly("build").out
    assert project.files() == ["Taskfile.toml", "d/mine"]


def test_an_output_that_was_a_file_is_a_directory_by_now_and_back(project: Project) -> None:
    """All of it is `bt`'s own: nothing is kept aside, and nothing is an orphan."""
    file = '[tasks.t]\ninputs = "in"\noutputs = "out"\nrun = "cp {input} {output}"\n'
    folder = '[tasks.t]\ninputs = "in"\noutputs = "out/"\nrun = "mkdir -p out; cp {input} out/a"\n'
    project.write("in", "1\n")
    for text, made in ((file, "out"), (folder, "out/a"), (file, "out"), (folder, "out/a")):
        project.taskfile(text)
        run = project.build()
        assert list(run.finished) == ["t"]
        assert run.warnings == []
        assert project.read(made) == "1\n"
        assert project.build().ran == []
    assert not (project.folder / ".bt" / "kept").exists()
    project.write("out/a", "a person's\n")
    project.taskfile(file)
    [warning] = project.build().warnings
    assert "kept as `.bt/kept/" in warning
    assert project.build().ran == []


def test_an_orphan_directory_that_was_removed_and_that_a_person_made_is_not_what_its_task_made(
    project: Project,
) -> None:
    text = '[tasks.t]\ninputs = "in"\noutputs = "out/"\nrun = "mkdir -p out; cp {input} out/a"\n'
    project.write("in", "1\n")
    project.taskfile(text)
    project.build()
    project.taskfile('[tasks.u]\nrun = "true"\n')
    project.bt("clean", "--orphans")
    project.write("out/a", "a person's\n")
    project.taskfile(text)
    run = project.build()
    assert list(run.finished) == ["t"]
    assert "kept as `.bt/kept/" in run.warnings[0]
    assert project.read("out/a") == "1\n"


TEMPORARY = """
    [tasks.a]
    inputs = "s"
    outputs = "d/"
    keep = true
    temp = true
    run = "mkdir -p d; cp s d/made"
    [tasks.b]
    inputs = "d/"
    outputs = "sum"
    run = "ls d > {output}"
"""


@pytest.mark.parametrize("before", [True, False])
def test_a_temporary_directory_with_a_persons_file_stays(project: Project, before: bool) -> None:
    project.taskfile(TEMPORARY)
    project.write("s", "1\n")
    if not before:
        project.build()
        assert not project.exists("d")
    project.write("d/mine", HAND)
    run = project.build()
    assert project.read("d/mine") == HAND
    assert run.warnings == ["`d/` is not removed, although it is `temp`: bt did not make `d/mine`"]
    again = project.build()
    assert (again.ran, again.warnings) == ([], [])
    project.remove("d/mine")
    project.build()
    assert not project.exists("d")
    assert project.build().ran == []


@pytest.mark.parametrize("outputs", ["d/*", "d/", "d/f"])
def test_what_a_persons_link_in_the_place_of_an_output_leads_to_is_kept(
    project: Project, outputs: str
) -> None:
    project.taskfile(f'[tasks.o]\ninputs = "s"\noutputs = "{outputs}"\nkeep = true\nrun = "cat s > d/f"')
    project.write("s", "1\n")
    project.write("real", HAND)
    project.write("d/other", "")
    (project.folder / "d/f").symlink_to("../real")
    run = project.build()
    assert run.warnings == ["`o`: `d/f` was not made by bt: kept as `.bt/kept/1/d/f`"]
    assert project.read(".bt/kept/1/d/f") == HAND
    assert (project.read("real"), os.readlink(project.folder / "d/f")) == ("1\n", "../real")
    assert project.build().ran == []


THROUGH = """
    [tasks.o]
    inputs = "s"
    outputs = "%s"
    keep = true
    run = ["cat s > o/l/f", "echo run >> o/own", "[ ! -p begun ] || echo > begun", "[ ! -p go ] || read x < go"]
"""
PLACES = {"a pattern": "o/*", "a deep pattern": "o/**", "a directory": "o/"}


def linked(project: Project, outputs: str, to: str = "../mine") -> None:
    """A job that writes `mine/f` through a link of a person's."""
    project.taskfile(THROUGH % outputs)
    project.write("s", "1\n")
    project.write("mine/f", HAND)
    project.write("mine/other", "mine\n")
    (project.folder / "o").mkdir()
    (project.folder / "o/l").symlink_to(to)


def kept(project: Project) -> list[str]:
    return [path for path in project.files(state=True) if path.startswith(".bt/kept/")]


@pytest.mark.parametrize("outputs", PLACES.values(), ids=PLACES)
def test_what_a_persons_link_to_a_directory_among_outputs_leads_to_is_kept(
    project: Project, outputs: str
) -> None:
    linked(project, outputs)
    (project.folder / "o/round").symlink_to("..")
    (project.folder / "mine/round").symlink_to(".")
    told = "`o`: `mine/f` was changed through the link `o/l`: kept as `.bt/kept/%d/mine/f`"
    assert project.build().warnings == [told % 1]
    assert (kept(project), project.read(".bt/kept/1/mine/f")) == ([".bt/kept/1/mine/f"], HAND)
    assert project.build().ran == []
    project.write("s", "2\n")  # what the job wrote itself needs no copy
    assert project.build().warnings == []
    assert (kept(project), project.read("mine/f")) == ([".bt/kept/1/mine/f"], "2\n")
    project.write("mine/f", "again by hand\n")
    project.write("s", "3\n")
    assert project.build().warnings == [told % 4]
    assert project.read(".bt/kept/4/mine/f") == "again by hand\n"
    assert os.readlink(project.folder / "o/l") == "../mine"


def test_what_is_behind_a_link_in_the_place_of_a_file_is_kept(project: Project) -> None:
    """The job fails, since a directory is no file, and has written there."""
    linked(project, "o/l")
    run = project.bt("build")
    assert (run.code, project.read(".bt/kept/1/mine/f")) == (1, HAND)
    assert run.warnings == ["`o`: `mine/f` was changed through the link `o/l`: kept as `.bt/kept/1/mine/f`"]


@pytest.mark.parametrize("outputs", PLACES.values(), ids=PLACES)
def test_what_a_link_leads_to_that_a_job_made_itself_is_kept(project: Project, outputs: str) -> None:
    project.taskfile((THROUGH % outputs).replace("cat s > o/l/f", "sh link"))
    project.write("s", "1\n")
    project.write("mine/f", HAND)
    project.write("link", "ln -s ../mine o/l; mkdir own; ln -s ../own o/k; cat s > o/k/f")
    project.build()
    project.write("link", "cat s > o/l/f; cat s > o/k/f")
    for text in ("2\n", "3\n"):
        project.write("s", text)
        project.build()
    assert (project.read("mine/f"), project.read("own/f")) == ("3\n", "3\n")
    assert [(path, project.read(path)) for path in kept(project)] == [(".bt/kept/2/mine/f", HAND)]


def test_what_others_make_behind_a_link_needs_no_copy(project: Project) -> None:
    """What a person writes there does: edited, accepted, or beside it."""
    linked(project, "o/*", "../made")
    for name, outputs in (("m", "made/f"), ("d", "made/d/")):
        path = outputs + "f" * outputs.endswith("/")
        more = f'\n[tasks.{name}]\noutputs = "{outputs}"\nkeep = true\nrun = "mkdir -p made/d; echo made > {path}"\n'
        project.taskfile(project.read("Taskfile.toml") + more)
    project.build("m", "d")
    run = "rm -r o/l/f o/l/d o/l/g || true"
    project.taskfile(project.read("Taskfile.toml").replace("cat s > o/l/f", run))
    project.write("made/g", HAND)
    assert project.build("--only", "o").warnings == [
        "`o`: `made/g` was changed through the link `o/l`: kept as `.bt/kept/2/made/g`"
    ]
    project.build("m", "d")
    project.write("made/f", "edited\n")
    project.write("made/d/mine", "beside\n")
    project.write("made/d/f", "accepted\n")
    project.bt("accept", "d")
    project.write("s", "2\n")
    project.build("--only", "o")
    there = {project.read(path) for path in kept(project)}
    assert there == {HAND, "edited\n", "beside\n", "accepted\n"}


@pytest.mark.parametrize("outputs", ["o/*", "o/"])
def test_links_and_files_that_go_behind_a_link_are_kept(project: Project, outputs: str) -> None:
    linked(project, outputs)
    (project.folder / "mine/d").symlink_to("../deeper")
    (project.folder / "mine/x").symlink_to("../elsewhere/x")
    project.write("deeper/y", "deep\n")
    project.write("elsewhere/x", "far\n")
    run = "rm o/l/f; echo > o/l/x; echo > o/l/d/y; rm o/l/d o/l; mkdir o/l; echo > o/l/new"
    project.taskfile((THROUGH % outputs).replace("cat s > o/l/f", run))
    project.build()
    found = {path.removeprefix(".bt/kept/1/") for path in kept(project)}
    assert found == {"mine/f", "elsewhere/x", "deeper/y", "mine/d", "o/l"}
    assert [project.read(f".bt/kept/1/{name}") for name in ("elsewhere/x", "deeper/y")] == ["far\n", "deep\n"]
    assert os.readlink(project.folder / ".bt/kept/1/mine/d") == "../deeper"
    assert os.readlink(project.folder / ".bt/kept/1/o/l") == "../mine"


@pytest.mark.parametrize("outputs", ["o/*", "o/"])
@pytest.mark.parametrize("how", ["fails", "is tried again", "is interrupted", "is killed"])
def test_what_a_run_that_ends_badly_changed_behind_a_link_is_told(
    project: Project, outputs: str, how: str
) -> None:
    linked(project, outputs)
    (project.folder.parent / "home").mkdir()
    (project.folder / "mine/home").symlink_to("../../home")
    out = ""
    if how in ("fails", "is tried again"):
        bad = project.read("Taskfile.toml").replace("[ ! -p go ]", "! grep -q bad s || exit 1; [ ! -p go ]")
        project.taskfile(bad.replace("keep = true", f"keep = true\nretries = {int(how != 'fails')}"))
        project.write("s", "bad\n")
        run = project.bt("build")
        assert run.code == 1
    else:
        for name in ("begun", "go"):
            os.mkfifo(project.folder / name)
        process = project.start("build")
        (project.folder / "begun").read_text()
        process.send_signal(signal.SIGINT if how == "is interrupted" else signal.SIGKILL)
        out = "".join(process.communicate(timeout=60))
        for name in ("begun", "go"):
            project.remove(name)
        project.end_leftovers()
        run = project.bt("build")
    out += run.out + run.err
    assert project.read(".bt/kept/1/mine/f") == HAND
    assert out.count("`.bt/kept/1/mine/f`") == 1
    assert {*kept(project)} <= {".bt/kept/1/mine/f", ".bt/kept/2/o/own"}  # that is what a killed run left
    if how != "is killed":  # what that left may be a person's by now
        project.write("s", "2\n")
        assert project.build().warnings == []
        assert kept(project) == [".bt/kept/1/mine/f"]
    assert project.read("mine/other") == "mine\n"


def test_a_link_to_a_file_among_outputs(project: Project) -> None:
    project.taskfile((THROUGH % "o/*").replace("o/l/f", "o/l"))
    project.write("s", "1\n")
    project.write("mine/f", HAND)
    (project.folder / "o").mkdir()
    (project.folder / "o/l").symlink_to("../mine/f")
    project.build()
    project.write("s", "2\n")
    project.write("mine/f", "edited\n")
    project.build()
    assert [project.read(f".bt/kept/{number}/o/l") for number in (1, 2)] == [HAND, "edited\n"]
    assert project.read("mine/f") == "2\n"


ACCEPTED = """
    [tasks.t]
    inputs = "s"
    outputs = ["o", "p"]
    %s
    run = "cat s > o; cat s > p"
    [tasks.d]
    inputs = "s"
    outputs = "d/"
    %s
    run = "mkdir -p d; cat s > d/own"
    [tasks.g]
    inputs = "s"
    outputs = "g/*"
    %s
    run = "cat s > g/own"
"""


@pytest.mark.parametrize("keep", ["", "keep = true"])
def test_what_was_written_by_hand_and_accepted_is_kept_when_its_task_runs(
    project: Project, keep: str
) -> None:
    project.taskfile(ACCEPTED % (keep, keep, keep))
    project.write("s", "1\n")
    project.build()
    hands = {name: f"by hand: {name}\n" for name in ("o", "d/own", "d/mine", "g/own")}
    for name, text in hands.items():
        project.write(name, text)
    project.bt("accept")
    assert project.build().ran == []
    cleaned = project.bt("clean").out.splitlines()
    assert cleaned == [
        "removed p",
        *(f"kept {path}: it was accepted, not made" for path in ("d/", "g/own", "o")),
        "removed 1 output",
    ]
    project.write("s", "2\n")
    told = " ".join(project.build().warnings)
    assert all(is_there(project, text) for text in hands.values())
    assert [project.read(name) for name in ("o", "p", "d/own", "g/own")] == ["2\n"] * 4
    assert [f"`{name}` was accepted: kept as `.bt/kept/" in told for name in ("o", "p", "g/own")] == [
        True,
        False,
        True,
    ]
    assert ("`d/own` was" if keep else "`d/` was accepted") in told
    assert "removed g/own" in project.bt("clean").out


def test_what_a_job_made_and_was_accepted_is_not_kept(project: Project) -> None:
    """Its sources alone had changed; nor is what the job makes once more as it was accepted."""
    project.taskfile(ACCEPTED % ("", "", ""))
    project.write("s", "1\n")
    project.build()
    project.write("s", "2\n")
    project.bt("accept")
    for name in ("o", "d/own"):
        project.write(name, "3\n")
    project.bt("accept")
    project.write("s", "3\n")
    assert project.build().warnings == []
    assert not project.exists(".bt/kept")
    assert "removed 4 outputs" in project.bt("clean").out


def test_what_was_accepted_survives_a_failed_run_and_another_task(project: Project) -> None:
    other = '[tasks.u]\noutputs = "x"\nrun = "echo > x"\n'
    project.taskfile(other + '[tasks.t]\ninputs = "s"\noutputs = "o"\nrun = "cat s > o; ! grep bad s"')
    project.write("s", "1\n")
    project.build()
    project.write("o", HAND)
    project.bt("accept")
    project.write("s", "bad\n")
    assert project.bt("build").code == 1
    assert project.read("o") == HAND
    project.taskfile('[tasks.u]\noutputs = ["x", "o"]\nrun = "echo > x; echo > o"')
    run = project.build()
    assert run.warnings == ["`u`: `o` was accepted: kept as `.bt/kept/3/o`"]
    assert project.read(".bt/kept/3/o") == HAND


def test_a_temporary_output_that_was_accepted_stays(project: Project) -> None:
    project.taskfile("""
        [tasks.a]
        inputs = "s"
        outputs = "o"
        temp = true
        run = "cp s o"
        [tasks.b]
        inputs = ["o", "x"]
        outputs = "p"
        run = "cat o x > p"
    """)
    for name in "sx":
        project.write(name, "1\n")
    project.build()
    project.write("o", HAND)
    project.bt("accept")
    project.write("x", "2\n")
    project.build()
    assert (project.read("o"), project.read("p")) == (HAND, HAND + "2\n")


def test_an_orphan_whose_value_is_gone_can_be_accepted(project: Project) -> None:
    project.taskfile("""
        [tasks.w]
        inputs = "src/{n}.in"
        outputs = "o/{n}.out"
        run = "cat {input} > {output}"
        [tasks.u]
        inputs = "o/*.out"
        outputs = "u.txt"
        run = "cat {input} > {output}"
    """)
    project.write("src/a.in", "a\n")
    project.write("src/b.in", "b\n")
    project.build()
    project.remove("src/a.in")
    project.build()
    assert project.read("u.txt") == "b\n"
    assert "accepted o/a.out: it is yours from now on" in project.bt("accept", "o/a.out").out
    assert project.build().ran == ["u"]
    assert project.read("u.txt") == "a\nb\n"
    assert project.build().ran == []


@pytest.mark.parametrize("keep", ["", "keep = true"])
def test_a_persons_file_that_others_read_survives_a_failed_job_with_a_pattern(
    project: Project, keep: str
) -> None:
    project.taskfile(f"""
        [tasks.g]
        inputs = "s"
        outputs = "g/**"
        {keep}
        run = "echo A > g/a.txt; mkdir -p g/sub; echo D > g/sub/d.txt"
        [tasks.u]
        inputs = ["s", "g/**"]
        outputs = "u.txt"
        run = "ls -R g > {{output}}"
    """)
    project.write("s", "1\n")
    project.build()
    shutil.rmtree(project.folder / "g/sub")
    project.write("g/sub", HAND)
    assert project.bt("build").code == 1
    assert is_there(project)


def test_a_directory_in_the_place_of_a_file_gives_way_to_a_job_that_keeps(project: Project) -> None:
    project.taskfile('[tasks.k]\noutputs = "k.txt"\nkeep = true\nrun = "rm -rf k.txt; echo K > k.txt"')
    project.write("k.txt/mine", HAND)
    run = project.build()
    assert run.warnings == ["`k`: `k.txt` is a directory: kept as `.bt/kept/1/k.txt`"]
    assert project.read(".bt/kept/1/k.txt/mine") == HAND
    assert project.read("k.txt") == "K\n"
    assert project.build().ran == []


def test_a_job_that_keeps_and_leaves_a_directory_for_a_file_fails_alone(project: Project) -> None:
    project.taskfile("""
        [tasks.k]
        inputs = "s"
        outputs = "k.txt"
        keep = true
        run = "if grep -q bad s; then rm -f k.txt; mkdir k.txt; exit 1; fi; echo K > k.txt"
        [tasks.o]
        inputs = "s"
        outputs = "o.txt"
        run = "cat s > o.txt"
    """)
    project.write("s", "1\n")
    project.build()
    project.write("s", "bad\n")
    assert project.bt("build", "-k").code == 1
    assert project.read("o.txt") == "bad\n"
    project.write("s", "2\n")
    assert project.bt("build").code == 0
    assert project.read("k.txt") == "K\n"


@pytest.mark.parametrize("is_directory", [True, False])
def test_what_is_no_file_or_no_directory_gives_way_and_comes_back_if_the_job_fails(
    project: Project, is_directory: bool
) -> None:
    """With `keep`, and also if the job has left something in its place."""
    output, writes, mine = (
        ("k/", "mkdir -p k; echo K > k/own", "k") if is_directory else ("k", "echo K > k", "k/mine")
    )
    project.taskfile(f'[tasks.k]\noutputs = "{output}"\nkeep = true\nrun = "{writes}; test -e go"\n')
    project.write(mine, HAND)
    for _ in range(2):
        run = project.bt("build")
        assert (run.code, run.warnings, project.read(mine)) == (1, [], HAND)
        assert kept(project) == []
    project.write("go", "")
    [told] = project.build().warnings
    assert told.endswith("kept as `.bt/kept/3/k`")
    assert kept(project) == [f".bt/kept/3/{mine}"]
    assert is_there(project)
    assert project.build().ran == []


NO_FILES = {
    "a pipe": "mkfifo k",
    "a socket": "python3 -c \"import socket as s; s.socket(s.AF_UNIX).bind('k')\"",
    "a link to a pipe": "mkfifo pipe; ln -s pipe k",
    "a link to nowhere": "ln -s nowhere k",
    "a link to itself": "ln -s k k",
}


@pytest.mark.parametrize(
    ("made", "output", "built"),
    some([(m, o, b) for m in NO_FILES.values() for o, b in (("k", False), ("k", True), ("k*", True))], 5),
)
def test_what_is_no_file_gives_way_to_a_job_that_keeps_and_comes_back_if_it_fails(
    project: Project, made: str, output: str, built: bool
) -> None:
    """The job would wait in a pipe for ever."""
    project.taskfile(f'[tasks.k]\noutputs = "{output}"\nkeep = true\nrun = "test -e go; echo K > k"\n')
    if built:
        project.write("go", "")
        project.build()
        project.remove("k")
        project.remove("go")
    subprocess.run(["bash", "-c", made], cwd=project.folder, check=True)
    before = os.lstat(project.folder / "k")
    run = project.bt("build")
    assert (run.code, run.warnings, kept(project)) == (1, [], [])
    assert os.path.samestat(os.lstat(project.folder / "k"), before)
    project.write("go", "")
    number = 3 if built else 2
    [told] = project.build().warnings
    assert told.endswith(f"kept as `.bt/kept/{number}/k`")
    assert os.path.samestat(os.lstat(project.folder / f".bt/kept/{number}/k"), before)
    assert (project.read("k"), project.exists("nowhere")) == ("K\n", False)
    assert project.build().ran == []
    assert project.bt("build", "-B").warnings == []


def test_a_link_to_nowhere_that_a_job_with_keep_made_itself_stays(project: Project) -> None:
    project.taskfile('[tasks.k]\noutputs = "k"\nkeep = true\nrun = "test -L k || ln -s nowhere k"\n')
    project.build()
    assert project.bt("build", "-B").warnings == []
    assert kept(project) == []


@pytest.mark.parametrize("retries", [0, 1])
def test_a_persons_file_that_a_failing_job_keeps_is_copied_once(project: Project, retries: int) -> None:
    """Once the job has written there, what lies there is its own; as long as it has not, nothing is kept."""

    def failing() -> list[str]:
        run = project.bt("build")
        assert run.code == 1
        return [text for text in run.warnings if "kept as" in text]

    task = f'[tasks.k]\ninputs = "s"\noutputs = ["k", "l"]\nkeep = true\nretries = {retries}\nrun = "%s"\n'
    project.taskfile(task % "echo l > l; exit 1")
    project.write("s", "")
    project.write("k", HAND)
    for _ in range(2):
        assert (failing(), kept(project)) == ([], [])
    project.taskfile(task % "echo half >> k; exit 1")
    assert failing() == ["`k`: `k` was not made by bt: kept as `.bt/kept/3/k`"]
    for _ in range(2):
        assert (failing(), kept(project)) == ([], [".bt/kept/3/k"])
    project.taskfile(task % "true")
    run = project.build()
    assert (run.warnings, kept(project)) == ([], [".bt/kept/3/k"])
    project.write("k", "edited\n")
    project.taskfile(task % "exit 1")
    assert (failing(), kept(project), project.read("k")) == ([], [".bt/kept/3/k"], "edited\n")
    project.taskfile(task % "echo > k")
    [told] = project.build().warnings
    assert told.startswith("`k`: `k` was edited: kept as")
    assert is_there(project, "edited\n")
    assert is_there(project)


BAD = {
    "it fails": ("exit 1", ""),
    "it is tried once more": ("rm once; exit 1", "retries = 1"),
    "it takes too long": ("sleep 60", "timeout = 0.2"),
    "it is interrupted": ("read x < hold", ""),
}


@pytest.mark.parametrize(
    ("how", "output", "link"), some(itertools.product(BAD, ["g/u.dat", "g/*.dat"], [False, True]), 6)
)
def test_an_edit_that_a_bad_run_with_keep_has_not_touched_stays_a_persons(
    project: Project, how: str, output: str, link: bool
) -> None:
    """Also one that lies where a link leads that a person has put there."""
    bad, more = BAD[how]
    task = f"""
        [tasks.p]
        outputs = "{output}"
        %s
        {more}
        run = "if [ -e once ]; then {bad}; fi; echo made > g/u.dat"
        [tasks.r]
        inputs = "{output}"
        outputs = "r"
        run = "cat g/u.dat > r"
    """
    project.taskfile(task % "keep = true")
    project.build()
    project.write("once", "")
    if link:
        project.remove("g/u.dat")
        (project.folder / "g/u.dat").symlink_to("../mine")
    project.write("mine" if link else "g/u.dat", HAND)
    if how == "it is interrupted":
        os.mkfifo(project.folder / "hold")
        process = project.start("build")
        with (project.folder / "hold").open("w"):  # it waits there
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=60)
    else:
        project.bt("build")
    if project.exists("once"):
        project.remove("once")
        assert project.read("g/u.dat") == HAND
        assert project.bt("clean", "p").out == "kept g/u.dat: it was changed since\nremoved 0 outputs\n"
        project.taskfile(task % ("keep = true" if link else ""))
        assert "p" in project.build().ran
    assert HAND in [project.read(path) for path in kept(project)]
    assert project.read("r") == "made\n"
    assert project.build().ran == []


def test_what_is_read_by_its_name_and_whose_value_is_gone_is_told_with_a_way_out(project: Project) -> None:
    project.taskfile("""
        [tasks.row]
        inputs = "s/{n}"
        outputs = "d/{n}.txt"
        run = "echo {n} > {output}"
        [tasks.all]
        inputs = "d/b.txt"
        outputs = "all"
        run = "cat d/b.txt > all"
    """)
    project.write("s/a", "")
    project.write("s/b", "")
    project.build()
    project.remove("s/b")
    for words in (("build",), ("build", "-n"), ("check",)):
        run = project.bt(*words)
        assert run.code == 3
        assert "Taskfile.toml:2:10: error: `s/b`: no such file" in run.err
        assert "needed by  `row b`, which makes `d/b.txt` for `all`" in run.err
        assert "hint: `d/b.txt` is still there: `bt accept d/b.txt` makes it yours" in run.err
    assert project.bt("accept", "d/b.txt").code == 0
    assert project.build().ran == []
    project.remove("d/b.txt")  # then there is nothing to accept
    run = project.bt("build")
    assert (run.code, "accept" in run.err) == (3, False)


def test_what_a_pattern_of_outputs_does_not_bring_is_told_with_its_place(project: Project) -> None:
    project.taskfile("""
        [tasks.g]
        outputs = "g/*.txt"
        run = "echo > g/a.txt"
        [tasks.all]
        inputs = ["g/a.txt", "g/c.txt"]
        outputs = "all"
        run = "cat {inputs} > all"
    """)
    assert project.bt_plainly("build").code == 1
    run = project.look("build", "-n", code=3)
    assert "Taskfile.toml:5:22: error: `g/c.txt` is not among what `g` made" in run.err
    assert "hint: let `g` make it, or read something else" in run.err
    assert "Taskfile.toml:5" in project.bt_plainly("build").out


def test_a_directory_that_was_accepted_and_has_a_task_again_is_not_missing(project: Project) -> None:
    makes = '[tasks.m]\noutputs = "d/"\nrun = "mkdir -p d; echo > d/x"\n'
    reads = '[tasks.u]\ninputs = "d/"\noutputs = "u"\nrun = "ls d > u"\n'
    project.taskfile(makes + reads)
    project.build()
    project.taskfile(reads)
    project.bt("accept", "d/")
    project.taskfile(makes + reads)
    assert project.build().reasons["m"] == ["output d/ was not made by bt"]
    assert project.build().ran == []
