"""Disks that are full, read-only or elsewhere, names that are too long, and what is no file."""

from __future__ import annotations

import errno
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from support.faulty import COPY, CREATE, MKDIR, RENAME, WRITE, Fault, Faulty
from support.five import turns
from support.mounted import READ_ONLY, SMALL, mounted, needs_root
from support.project import Project

SOME = 5  # turns that are tried
RULE = """
    [tasks.t]
    inputs = "in"
    outputs = "out/t"
    run = "echo it runs; cp {input} {output}"
"""


@pytest.fixture
def copied(project: Project) -> Project:
    """A copy that was made, and is stale."""
    project.taskfile(RULE)
    project.write("in", "1\n")
    project.build()
    project.write("in", "2\n")
    return project


@pytest.fixture
def far(tmp_path: Path) -> Iterator[Path]:
    """A directory on another file system."""
    if not os.access("/dev/shm", os.W_OK) or os.stat("/dev/shm").st_dev == tmp_path.stat().st_dev:  # noqa: S108
        pytest.skip("there is no other file system here")
    folder = Path(tempfile.mkdtemp(dir="/dev/shm"))
    yield folder
    shutil.rmtree(folder)


@needs_root
def test_a_job_fills_the_disk(copied: Project) -> None:
    copied.write("big", b"x" * 3_000_000)
    copied.taskfile(RULE.replace("cp {input} {output}", "cat {input} big > {output}"))
    full = mounted(
        copied,
        SMALL.format("out", "1m"),
        "bt build; echo $?; ls out; rm big; touch big; bt build -q; bt build",
    )
    assert "No space left on device" in full.stdout
    assert "\n1\n" in full.stdout, full.stdout  # exit code, and then no output
    assert "\n1\nout" not in full.stdout
    assert full.stdout.endswith("1 fresh in 0.0 s\n")


@needs_root
def test_a_disk_that_is_full_when_the_build_begins(copied: Project, tmp_path: Path) -> None:
    """The state lies on it, too: there is room for a job's output, and then none for what is known of it."""
    copied.write("../save/Taskfile.toml", RULE)
    script = f"""
        cp -r {tmp_path}/save/. . && echo 1 > in && bt build -q && echo 2 > in
        cat /dev/zero > filler 2> nothing
        bt build; echo "code $?"; cat out/t
        rm filler nothing; bt build -q; cat out/t; bt build
    """
    full = mounted(copied, SMALL.format("$PWD", "1m"), script)
    assert "Traceback" not in full.stdout + full.stderr
    lines = full.stdout.splitlines()
    [at] = [number for number, line in enumerate(lines) if line.startswith("code ")]
    assert lines[at] in {"code 1", "code 5"}
    assert "no space left on device" in (full.stdout + full.stderr).lower()
    assert lines[at + 1] == "1"
    assert lines[-2:] == ["2", "1 fresh in 0.0 s"]


@needs_root
def test_the_cache_of_a_full_disk_can_be_emptied(copied: Project, tmp_path: Path) -> None:
    copied.write("../save/Taskfile.toml", '[bt.cache]\nsize = "1MB"\n' + RULE)
    script = f"""
        cp -r {tmp_path}/save/. . && head -c 300000 /dev/urandom > in && bt build -q
        cat /dev/zero > filler 2> nothing
        bt clean --cache; echo "code $?"
        echo 2 > in; bt build -q; cat out/t
    """
    full = mounted(copied, SMALL.format("$PWD", "2m"), script)
    assert full.stdout.splitlines()[1:] == ["removed 300 kB of past outputs", "code 0", "1 ran in 0.0 s", "2"]
    assert full.stderr == ""


@needs_root
@pytest.mark.parametrize("words", ["", "t", "--orphans", "--logs"])
def test_what_lies_on_a_full_disk_can_be_removed(copied: Project, tmp_path: Path, words: str) -> None:
    copied.write("../save/Taskfile.toml", RULE)
    copied.write(
        "../other/Taskfile.toml", RULE.replace("tasks.t", "tasks.other").replace("out/t", "out/other")
    )
    taskfile = "other" if words == "--orphans" else "save"
    script = f"""
        cp {tmp_path}/save/Taskfile.toml . && head -c 300000 /dev/urandom > in && bt build -q
        cp {tmp_path}/{taskfile}/Taskfile.toml .
        cat /dev/zero > filler 2> nothing
        bt clean {words}; echo "code $?"; ls out
        bt clean {words}; rm filler
        cp {tmp_path}/save/Taskfile.toml . && echo 2 > in; bt build -q; cat out/t; bt build
    """
    full = mounted(copied, SMALL.format("$PWD", "1m"), script)
    last = ["1 ran in 0.0 s", "2", "1 fresh in 0.0 s"]
    if words == "--logs":
        assert full.stdout.splitlines()[1:] == ["removed 1 log", "code 0", "t", "removed 0 logs", *last]
    else:
        gone = ["removed out/t", "removed 1 output", "code 0"]
        assert full.stdout.splitlines()[1:] == [*gone, "removed 0 outputs", *last]
        assert full.stderr == "ls: cannot access 'out': No such file or directory\n"


@needs_root
def test_a_project_that_cannot_be_written(copied: Project) -> None:
    looks = ("list", "status", "build -n", "graph", "check", "why t", "log", "history")
    script = "".join(f"bt {words} > /dev/null; echo $?\n" for words in looks) + "bt build; echo $?; cat out/t"
    run = mounted(copied, READ_ONLY.format("$PWD"), script)
    assert run.stdout.split() == [*["0"] * len(looks), "5", "1"]
    assert run.stderr.startswith("error: cannot write to `.bt/lock`\n  cause  read-only file system\n")
    assert copied.build().ran == ["t"]


@needs_root
def test_a_directory_of_outputs_that_cannot_be_written(copied: Project) -> None:
    run = mounted(copied, READ_ONLY.format("out"), "bt build; echo $?; cat out/t")
    assert "t: cannot move `out/t`: read-only file system" in run.stdout
    assert run.stdout.endswith("1\n1\n")
    assert "it runs" not in run.stdout
    assert copied.build().ran == ["t"]
    assert copied.build().ran == []


def test_a_directory_that_cannot_be_made(tmp_path: Path, faulty: Faulty) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    project = Project(folder)
    project.taskfile(RULE)
    project.write("in", "1\n")
    faulty.bt(folder, "history")
    run, _ = faulty.bt(folder, "build", fault=Fault(2, MKDIR, errno.EACCES))  # after that of `.bt`
    assert run.code in {1, 5}
    assert "permission denied" in (run.out + run.err).lower()
    assert project.build().ran == ["t"]


@pytest.mark.parametrize("kind", ["file", "directory"])
def test_outputs_on_another_file_system(project: Project, far: Path, kind: str) -> None:
    """What was there comes back when the job fails, and a person's file is kept when it does not."""
    place = f"{far}/one" + "/" * (kind == "directory")
    file = far / "one" / "inner" if kind == "directory" else far / "one"
    text = f"""
        [bt]
        allow = ["{far}"]
        [tasks.t]
        inputs = "in"
        outputs = "{place}"
        run = "mkdir -p {file.parent}; cp in {file}; test ! -e bad"
    """
    project.taskfile(text)
    file.parent.mkdir(exist_ok=True)
    file.write_text("mine\n")
    project.write("in", "1\n")
    project.write("bad", "")
    assert project.bt("build").failed == ["t"]
    assert file.read_text() == "mine\n"
    project.remove("bad")
    run = project.build()
    [warning] = run.warnings
    kept = project.folder / warning.rsplit("kept as `", 1)[1].rstrip("`")
    assert (kept / "inner" if kind == "directory" else kept).read_text() == "mine\n"
    assert file.read_text() == "1\n"
    assert project.build().ran == []
    assert [path.name for path in far.iterdir()] == ["one"]


@pytest.mark.parametrize(
    "fault", [Fault(), Fault(0, CREATE | WRITE | RENAME, errno.ENOSPC)], ids=["killed", "full"]
)
def test_nothing_is_lost_on_the_way_to_another_file_system(
    tmp_path: Path, faulty: Faulty, thorough: bool, far: Path, fault: Fault
) -> None:
    """A person's file is moved aside and back: it is there as a whole all the time, here or there."""
    folder, mine = tmp_path / "project", "by hand\n" * 100_000
    folder.mkdir()
    project = Project(folder)
    project.taskfile(f"""
        [bt]
        allow = ["{far}"]
        [tasks.t]
        outputs = "{far}/one"
        run = "echo made > {far}/one"
    """)
    (far / "one").write_text(mine)
    found = [replace(fault, turn=turn) for turn in turns(project, faulty, fault, None if thorough else SOME)]
    for strikes in [replace(fault, turn=1, kinds=COPY), *found]:
        (far / "one").write_text(mine)
        for happens in (strikes, None):
            run, _ = faulty.bt(folder, "build", fault=happens)
            there = [path for top in (folder, far) for path in top.rglob("*") if path.is_file()]
            assert any(path.read_text(errors="replace") == mine for path in there), f"lost by {strikes}"
        assert (run.code, (far / "one").read_text()) == (0, "made\n")
        assert [path.name for path in far.iterdir()] == ["one"]
        shutil.rmtree(folder / ".bt")


@pytest.mark.parametrize(
    "made", ["mkfifo out", "python3 -c \"import socket as s; s.socket(s.AF_UNIX).bind('out')\""]
)
def test_an_output_that_is_no_file(project: Project, made: str) -> None:
    project.taskfile(f"""
        [tasks.t]
        outputs = "out"
        run = '''{made}'''
    """)
    run = project.bt("build")
    assert run.code == 1
    assert "out (it is no regular file)" in str(run.finished["t"])
    assert not project.exists("out")


def test_an_input_that_is_a_device(project: Project) -> None:
    project.taskfile('[tasks.t]\ninputs = "/dev/zero"\noutputs = "out"\nrun = "echo > out"\n')
    run = project.bt("build")
    assert run.code == 1
    assert run.finished["t"]["error"] == "`/dev/zero` is no regular file"


def test_a_file_that_is_edited_under_another_of_its_names(copied: Project) -> None:
    copied.build()
    os.link(copied.folder / "in", copied.folder / "other")
    assert copied.build().ran == []
    copied.write("other", "3\n")
    assert copied.build().ran == ["t"]
    assert copied.read("out/t") == "3\n"


def test_a_name_that_is_too_long(project: Project) -> None:
    name = "x" * 300
    project.taskfile(f'[tasks.t]\noutputs = "{name}"\nrun = "echo > {{output}}"\n')
    run = project.bt("build")
    assert run.code in {1, 5}
    assert "file name too long" in (run.out + run.err).lower()
    assert "Traceback" not in run.err


def test_folders_of_the_state_that_are_deleted_while_a_job_runs(copied: Project) -> None:
    copied.taskfile(RULE.replace("echo it runs", "rm -rf .bt/log .bt/aside; echo it runs"))
    run = copied.build()
    assert (run.ran, run.warnings) == (["t"], [])
    assert copied.bt("log", "t").out == "it runs\n"
    assert copied.build().ran == []


def test_a_directory_with_a_pipe_and_a_socket_is_in_the_way(project: Project) -> None:
    """It is kept as it is, although these cannot be brought to the disk."""
    project.taskfile('[tasks.t]\noutputs = "site/"\nrun = "mkdir -p site; echo made > site/page"\n')
    project.write("site/mine", "mine\n")
    (project.folder / "site/link").symlink_to("nowhere")
    os.mkfifo(project.folder / "site/pipe")
    with socket.socket(socket.AF_UNIX) as place:
        before = Path.cwd()
        os.chdir(project.folder / "site")
        place.bind("socket")
        os.chdir(before)
    project.build()
    assert project.build().ran == []
    [mine] = (project.folder / ".bt/kept").rglob("mine")
    assert sorted(os.listdir(mine.parent)) == ["link", "mine", "pipe", "socket"]


@pytest.mark.parametrize("was", ["mine", "edited"])
@pytest.mark.parametrize("end", ["exit 1", "kill -INT $PPID; sleep 60", "kill -KILL $PPID; sleep 60"])
def test_what_cannot_be_put_back_is_kept(project: Project, was: str, end: str) -> None:
    """A file stands where the folder of the outputs was: they have no place to go back to."""
    text = '[tasks.t]\noutputs = ["o/x", "o/d/"]\nrun = "COMMAND"\n'
    if was == "edited":
        project.taskfile(text.replace("COMMAND", "mkdir -p o/d; echo > o/x; echo > o/d/y"))
        project.build()
    project.write("o/x", "mine\n")
    project.write("o/d/y", "mine, too\n")
    project.taskfile(text.replace("COMMAND", f"rm -rf o; echo f > o; {end}"))
    first = project.start("build")
    told = "".join(first.communicate())
    project.end_leftovers()
    again = project.bt_plainly("build")
    told += again.out + again.err
    number = 2 if was == "edited" else 1
    for path, content in (("o/x", "mine\n"), ("o/d/y", "mine, too\n")):
        assert project.read(f".bt/kept/{number}/{path}") == content, told
    assert f"`o/x` as `.bt/kept/{number}/o/x`" in told or f"kept as `.bt/kept/{number}/o/x`" in told


def test_what_can_neither_be_put_back_nor_be_kept_stays_aside(project: Project) -> None:
    """No later build takes it for garbage, and it is kept as soon as that can be."""
    project.taskfile("""
        [tasks.t]
        outputs = "o/x"
        run = "rm -rf o; echo f > o; echo f > .bt/kept; exit 1"
        [tasks.u]
        run = "true"
    """)
    project.write("o/x", "mine\n")
    for words in (["build", "t"], ["build", "u"], ["build", "u"]):
        run = project.bt(*words)
        [warning] = run.warnings
        [aside] = (project.folder / ".bt/aside").rglob("*o%x")
        assert aside.read_text() == "mine\n"
        assert ".bt/aside/" in warning
    project.remove(".bt/kept")
    assert "`o/x` as `.bt/kept/1/o/x`" in str(project.bt("build", "u").warnings)
    assert project.read(".bt/kept/1/o/x") == "mine\n"
    assert project.bt("build", "u").warnings == []


def test_a_file_that_a_pattern_of_outputs_matches_comes_back(project: Project) -> None:
    """The job fails, and what it had found there is not in the way of anybody any more."""
    project.taskfile('[tasks.t]\noutputs = "o/*.txt"\nrun = "echo made > o/made.txt; exit 1"\n')
    project.write("o/mine.txt", "mine\n")
    assert project.bt("build").failed == ["t"]
    assert (project.read("o/mine.txt"), project.exists("o/made.txt")) == ("mine\n", False)
