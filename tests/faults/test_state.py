"""The state damaged, of another version, copied, moved, somebody else's, and read while it is written."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import subprocess
import sys

import pytest

from support.effort import LONG, amount, some
from support.project import Project, clean_environment

TASKS = """
    [tasks.up]
    inputs = "in/{n}"
    outputs = "up/{n}"
    run = "tr a-z A-Z < {input} > {output}; echo {n} >> log"
    [tasks.count]
    inputs = "up/*"
    outputs = "count"
    call = "steps:count"
"""
STEPS = "def count(input, output):\n    output.write_text(str(len(input)))\n"
LOOKS = (["list"], ["status"], ["why", "count"], ["graph"], ["log"], ["history"], ["check"], ["build", "-n"])


@pytest.fixture
def built(project: Project) -> Project:
    project.taskfile(TASKS)
    project.write("steps.py", STEPS)
    for name in "abc":
        project.write(f"in/{name}", name)
    project.build()
    return project


def survives(project: Project, name: str) -> None:
    """Commands that look end well, a build is right and warns once at most, and one more runs nothing."""
    for words in (["status"], ["why", "count"]):
        assert project.bt(*words).code == 0, name
    run = project.build()
    bad = [warning for warning in run.warnings if "state.db.bad" in warning]
    assert len(bad) <= 1, name
    assert run.ran in ([], ["count", "up a", "up b", "up c"]), name
    assert bad or not run.ran, name  # nothing is lost without a word
    assert [project.read(f"up/{n}") for n in "abc"] == ["A", "B", "C"], name
    assert project.read("count") == "3"
    assert project.build().ran == [], name


def test_the_database_is_cut_anywhere(built: Project) -> None:
    state, sealed = built.folder / ".bt/state.db", built.folder / ".bt/state.sum"
    raw, seal = state.read_bytes(), sealed.read_bytes()
    cuts = [(length, with_seal) for length in range(512, len(raw), 512) for with_seal in (True, False)]
    for length, with_seal in some(cuts, 5):
        state.write_bytes(raw[:length])
        sealed.write_bytes(seal) if with_seal else sealed.unlink(missing_ok=True)
        survives(built, f"{length} {with_seal}")


def test_bytes_of_the_database_are_flipped(built: Project) -> None:
    state, sealed = built.folder / ".bt/state.db", built.folder / ".bt/state.sum"
    raw, seal = state.read_bytes(), sealed.read_bytes()
    dice = random.Random(7)  # noqa: S311
    for at in some((dice.randrange(len(raw)) for _ in range(200)), 5):
        flipped = bytearray(raw)
        flipped[at] ^= dice.randrange(1, 256)
        state.write_bytes(flipped)
        sealed.write_bytes(seal)
        survives(built, f"{at} {flipped[at]}")


@pytest.mark.parametrize(
    "lost", ["state.db", "state.sum", "rest", "names", "running", "log", ".gitignore", "lock"]
)
@pytest.mark.parametrize("junk", [None, b"", b"\0" * 5000, b"\xff junk"])
def test_a_file_of_the_state_is_lost_or_junk(built: Project, lost: str, junk: bytes | None) -> None:
    path = built.folder / ".bt" / lost
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    if junk is not None:
        path.write_bytes(junk)
    if lost == "state.db" and not junk:
        assert built.build().ran == ["count", "up a", "up b", "up c"]
    elif lost == "log" and junk is not None:
        assert built.bt("build", "-B").code in (0, 1, 5)
        path.unlink(missing_ok=True)
    else:
        survives(built, lost)
    assert built.build().ran == []


def test_a_newer_state_is_refused_by_all_who_need_it_and_left_alone(built: Project) -> None:
    (built.folder / ".bt/state.sum").unlink()
    with sqlite3.connect(built.folder / ".bt/state.db") as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    before = (built.folder / ".bt/state.db").read_bytes()
    for words in (
        ["build"],
        ["clean"],
        ["accept"],
        ["status"],
        ["why", "count"],
        ["log"],
        ["history"],
        ["build", "-n"],
    ):
        run = built.bt(*words)
        assert run.code == 5, words
        assert "99" in run.err, words
        assert "up to 1" in run.err, words
    assert (built.folder / ".bt/state.db").read_bytes() == before
    assert built.read("up/a") == "A"
    assert built.look("list").code == 0


def test_the_project_is_moved(built: Project) -> None:
    moved = Project(built.folder.parent / "élsewhere\nx")
    built.folder.rename(moved.folder)
    assert moved.look("status", "--check").code == 0
    assert moved.build().ran == []
    moved.write("in/a", "z")
    assert moved.build().ran == ["count", "up a"]
    assert moved.build().ran == []


@pytest.mark.parametrize("how", [["cp", "-a"], ["cp", "-r"]], ids=["with times", "without"])
def test_the_project_is_copied(built: Project, how: list[str]) -> None:
    copy = Project(built.folder.parent / "copy")
    subprocess.run([*how, built.folder, copy.folder], check=True)
    assert copy.build().ran == []
    copy.write("in/a", "z")
    assert copy.build().ran == ["count", "up a"]
    assert built.build().ran == []
    assert built.read("up/a") == "A"
    known = b"".join(path.read_bytes() for path in (built.folder / ".bt").glob("state.db*"))
    assert os.fsencode(built.folder / "in") not in known  # paths are relative


def test_the_state_is_committed_and_checked_out_elsewhere(built: Project) -> None:
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@x"]
    for words in (["init", "-q"], ["add", "-Af"], ["commit", "-qm", "x"]):
        subprocess.run([*git, *words], cwd=built.folder, check=True)
    clone = Project(built.folder.parent / "clone")
    subprocess.run([*git, "clone", "-q", built.folder, clone.folder], check=True, capture_output=True)
    for words in LOOKS:
        clone.look(*words)
    assert clone.build().ran == []
    clone.write("in/a", "z")
    assert clone.build().ran == ["count", "up a"]


NOBODY = 65534


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_somebody_else_may_look_and_cannot_build(built: Project) -> None:
    for folder in (built.folder, *built.folder.parents):
        if not folder.stat().st_mode & 0o001:
            folder.chmod(0o755)
    before = built.traces()
    for words in (*LOOKS, ["build"], ["clean"], ["accept"]):
        run = as_nobody(built, words)
        assert "Traceback" not in run.stderr, (words, run.stderr)
        assert run.returncode in (0, 5) or words == ["log"], (words, run.stderr)
        assert run.returncode == 5 or words[0] not in ("build", "clean", "accept") or "-n" in words, words
    assert built.traces() == before
    subprocess.run(["chown", "-R", str(NOBODY), built.folder], check=True)
    run = as_nobody(built, ["build"])
    assert run.stdout.startswith("4 fresh"), run.stderr


AS_NOBODY = """
import importlib, os, pkgutil, sys
import buildtool
for module in pkgutil.walk_packages(buildtool.__path__, "buildtool."):  # nobody may read where Python is
    if "remote" not in module.name and "coiled" not in module.name:
        importlib.import_module(module.name)
import click.shell_completion, encodings.idna, encodings.unicode_escape, pydoc
from buildtool.__main__ import main
os.setgid(int(sys.argv[1]))
os.setuid(int(sys.argv.pop(1)))
main()
"""


def as_nobody(project: Project, words: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", AS_NOBODY, str(NOBODY), *words],
        cwd=project.folder,
        env=clean_environment() | {"HOME": "/nonexistent"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def test_readers_are_in_nobodys_way(project: Project) -> None:
    count = amount(40, 400)
    project.taskfile(f"""
        [tasks.one]
        foreach = {{ n = {list(map(str, range(count)))} }}
        outputs = "out/{{n}}"
        run = "sleep 0.05; echo {{n}} > {{output}}; echo {{n}} >> log"
    """)
    build = project.start("build", "-j", "2")
    readers = 0
    while build.poll() is None:
        for words in (["status"], ["why", "out/1"], ["list"], ["history"], ["log"], ["build", "-n"]):
            run = project.bt_plainly(*words)
            assert run.code == 0 or (words == ["log"] and "no job" in run.err + run.out), (words, run.err)
            readers += 1
    _, err = build.communicate()
    assert build.returncode == 0, err
    assert readers > 3
    assert sorted(project.read("log").split(), key=int) == list(map(str, range(count)))
    assert project.build().ran == []


def test_many_builds_at_once_do_each_job_once(project: Project) -> None:
    project.taskfile("""
        [tasks.one]
        inputs = "in/{n}"
        outputs = "out/{n}"
        run = "cp {input} {output}; echo {n} >> log"
        [tasks.all]
        inputs = "out/*"
        outputs = "all"
        run = "cat {input} > {output}; echo all >> log"
    """)
    for number in range(20):
        project.write(f"in/{number}", f"{number}\n")
    builds = [project.start("build", "-q") for _ in range(amount(20, 200))]
    for build in builds:
        _, err = build.communicate(timeout=550)
        assert build.returncode == 0, err
    assert sorted(project.read("log").split()) == sorted([*map(str, range(20)), "all"])
    assert project.build().ran == []


def test_very_many_jobs_at_once(project: Project) -> None:
    count = amount(300, 10_000)
    project.taskfile(f"""
        [tasks.one]
        foreach = {{ n = {list(map(str, range(count)))} }}
        outputs = "out/{{n}}"
        run = "echo {{n}} > {{output}}; echo {{n}} >> log"
    """)
    run = project.start("build", "-q", "-j", "64")
    out, err = run.communicate(timeout=1000)
    assert run.returncode == 0, err
    assert f"{count} ran" in out
    assert sorted(project.read("log").split(), key=int) == list(map(str, range(count)))
    assert project.bt_plainly("build").out.startswith(f"{count} fresh")


@pytest.mark.skipif(
    not LONG, reason="a hundred thousand files are only made with `--hypothesis-profile=long`"
)
def test_a_hundred_thousand_files(project: Project) -> None:
    (project.folder / "in").mkdir()
    for number in range(100_000):
        (project.folder / f"in/{number}").write_text(str(number))
    project.taskfile("""
        [tasks.up]
        inputs = "in/{n}"
        outputs = "up/{n}"
        run = "cp {input} {output}"
    """)
    run = project.start("build", "-q", "-j", "8")
    out, err = run.communicate(timeout=3000)
    assert run.returncode == 0, err
    assert "100000 ran" in out
    assert project.bt_plainly("build").out.startswith("100000 fresh")
    project.write("in/77", "other")
    assert project.bt_plainly("build").out.startswith("ran        up 77")


CHAIN = """
    [tasks.a]
    inputs = "in"
    outputs = "a"
    run = "cp in a"
    [tasks.b]
    inputs = "a"
    outputs = "b"
    run = "cp a b"
    [tasks.c]
    inputs = "b"
    outputs = "notes"
    run = "cp b notes; if [ -p begun ]; then exec 3<>go; echo > begun; read x <&3; fi; cp b notes"
"""


def kill_half_way(project: Project) -> None:
    """Kill a build once a job has said that it is half done; its processes go on."""
    for name in ("begun", "go"):
        os.mkfifo(project.folder / name)
    process = project.start("build")
    project.read("begun")
    process.kill()
    process.communicate()
    for name in ("begun", "go"):
        project.remove(name)


def kept(project: Project) -> list[str]:
    """What is in `.bt/kept/`."""
    return [path for path in project.files(state=True) if path.startswith(".bt/kept/")]


def test_the_journal_of_a_killed_build_is_cut_anywhere_or_gone(project: Project) -> None:
    """What a person wrote is neither lost nor moved without a word: before the build, and after it was killed."""
    project.taskfile(CHAIN)
    project.write("in", "1\n")
    project.write("notes", "mine\n")
    kill_half_way(project)
    project.end_leftovers()
    project.write("a", "edited\n")
    raw = (project.folder / ".bt/running").read_bytes()
    ends = [at for at, byte in enumerate(raw) if byte == ord("\n")]
    copy = Project(project.folder.parent / "copy")
    for cut in [None, 0, *ends, *(end + 1 for end in ends), *some(range(1, len(raw)), 5)]:
        shutil.copytree(project.folder, copy.folder, symlinks=True)
        if cut is None:
            copy.remove(".bt/running")
        else:
            (copy.folder / ".bt/running").write_bytes(raw[:cut])
        run = copy.build()
        for text in ("mine\n", "edited\n"):
            places = [path for path in kept(copy) if copy.read(path) == text]
            assert places, (cut, text, run.warnings)
            named = [place for place in places if f"`{place}`" in str(run.warnings)]
            assert named or ".bt/kept/aside-1/" in str(run.warnings), (cut, places, run.warnings)
        assert copy.read("notes") == "1\n", cut
        assert not copy.exists(".bt/aside"), cut
        assert copy.build().warnings == []
        shutil.rmtree(copy.folder)


def test_who_finds_no_state_of_a_killed_build_ends_its_processes(project: Project) -> None:
    project.taskfile(CHAIN)
    project.write("in", "1\n")
    kill_half_way(project)
    assert project.leftovers()
    for path in (project.folder / ".bt").glob("state.db*"):
        path.unlink()
    copy = Project(project.folder.parent / "copy")
    shutil.copytree(project.folder, copy.folder)
    try:
        copy.build()  # they are not its own
        assert project.leftovers()
        run = project.build()
        assert project.leftovers() == []
    finally:
        project.end_leftovers()
    assert "stopped" in run.warnings[0]
    assert project.build().warnings == []


@pytest.mark.parametrize("keep", ["true", "false"])
def test_who_finds_no_state_of_a_killed_build_names_what_it_had_kept(project: Project, keep: str) -> None:
    project.taskfile(CHAIN + f"keep = {keep}\n")
    project.write("in", "1\n")
    project.write("notes", "mine\n")
    kill_half_way(project)
    project.end_leftovers()
    for path in (project.folder / ".bt").glob("state.db*"):
        path.unlink()
    run = project.build()
    [place] = [path for path in kept(project) if project.read(path) == "mine\n"]
    assert f"`{place}`" in str(run.warnings) or ".bt/kept/aside-1/" in str(run.warnings)
    assert project.read("notes") == "1\n"
    assert project.build().warnings == []
