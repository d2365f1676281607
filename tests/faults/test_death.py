"""`bt` is killed before one call of the system after the other, those of SQLite included.

Each call gets its turn with `--hypothesis-profile=long`, else some do.
"""

from __future__ import annotations

import ctypes
import os
import resource
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest

from support.effort import some
from support.faulty import RENAME, Fault, Faulty
from support.five import CACHE, SCENES, scene, sweep, turns
from support.project import Project, clean_environment

SOME = 4  # turns that are tried of each


@pytest.mark.parametrize(
    ("name", "head"),
    [*product(SCENES, ["", "[bt]\ndurable = true\n"]), ("new", CACHE), ("back", CACHE)],
    ids=[*("-".join(ids) for ids in product(SCENES, ["usual", "durable"])), "new-cache", "back-cache"],
)
def test_killed_at_any_call(tmp_path: Path, faulty: Faulty, thorough: bool, name: str, head: str) -> None:
    project = scene(tmp_path / "project", faulty, name, head)
    tried, wrong = sweep(project, faulty, Fault(), None if thorough else SOME)
    assert not wrong, "\n".join(wrong)
    assert tried >= SOME


def test_killed_between_two_moves(tmp_path: Path, faulty: Faulty) -> None:
    """Of two outputs one lies aside: the other one is where it was, and both are there afterwards."""
    project = scene(tmp_path / "project", faulty, "again")
    project.taskfile("""
        [tasks.pair]
        inputs = "in/a.txt"
        outputs = ["one", "two"]
        run = "cat {input} | tee one > two"
    """)
    run, _ = faulty.bt(project.folder, "build")
    assert run.code == 0
    project.write("in/a.txt", "changed\n")
    old = project.read("one")
    moves, turn = [], 1
    while True:  # whatever else is moved, the state's own files included
        run, _ = faulty.bt(project.folder, "build", fault=Fault(turn, RENAME))
        if run.code == 0:
            break
        there = (project.exists("one"), project.exists("two"))
        moves.append(there)
        run, _ = faulty.bt(project.folder, "build", "-k", "pair")
        assert run.code == 0
        assert project.read("one") == project.read("two") == "changed\n"
        project.write("in/a.txt", old)
        assert faulty.bt(project.folder, "build")[0].code == 0
        project.write("in/a.txt", "changed\n")
        turn += 1
    assert (False, True) in moves


HELD = """
    [tasks.held]
    inputs = "in"
    outputs = "out"
    run = '''
    test ! -e deaf || trap "" INT TERM
    cp in out
    if test -p begun; then echo half > out; echo > begun; read x < go; fi
    '''
"""


def held(project: Project) -> subprocess.Popen[str]:
    """A build whose job runs and has written half of its output."""
    project.taskfile(HELD)
    project.write("in", "1\n")
    project.build()
    project.write("in", "2\n")
    os.mkfifo(project.folder / "begun")
    os.mkfifo(project.folder / "go")
    process = project.start("build")
    (project.folder / "begun").read_text()
    return process


def test_those_who_look_count_what_the_next_build_will_put_back(project: Project) -> None:
    process = held(project)
    process.kill()
    process.communicate(timeout=60)
    project.end_leftovers()
    assert project.read("out") == "half\n"
    project.remove("begun")
    project.write("in", "1\n")
    assert "fresh     held" in project.look("build", "-n", "-v").out
    assert "held is fresh" in project.look("why", "held").out
    assert "1 fresh" in project.look("status").out
    assert project.build().ran == []
    assert project.read("out") == "1\n"


@pytest.mark.parametrize("words", [(), ("held",)])
def test_what_a_killed_build_left_is_not_accepted_for_what_was_put_back(
    project: Project, words: tuple[str, ...]
) -> None:
    """The old output does not count as made from the new input, before a person has seen it there."""
    process = held(project)
    process.kill()
    process.communicate(timeout=60)
    project.end_leftovers()
    project.remove("begun")
    project.write("out", "by hand\n")
    run = project.bt("accept", *words)
    assert "1 half-written output discarded (`out`), 1 earlier output put back" in run.err
    assert run.out.splitlines()[0].startswith("not accepted held: what a killed build left of it")
    assert (run.code, run.out.splitlines()[1:], project.read("out")) == (1, ["0 jobs accepted"], "1\n")
    assert "stale" in project.look("status").out
    if words:
        assert project.bt("accept", *words).out == "accepted held\n1 job accepted\n"
        assert project.build().ran == []
    else:
        assert project.build().ran == ["held"]
        assert project.read("out") == "2\n"


def test_those_who_look_take_a_check_that_was_killed_as_not_done(project: Project) -> None:
    project.taskfile(
        '[tasks.check]\ninputs = "in"\nrun = "if test -p begun; then echo > begun; read x < go; fi"'
    )
    project.write("in", "")
    project.build()
    os.mkfifo(project.folder / "begun")
    os.mkfifo(project.folder / "go")
    process = project.start("build", "--force")
    (project.folder / "begun").read_text()
    process.kill()
    process.communicate(timeout=60)
    project.end_leftovers()
    project.remove("begun")
    assert "will run  check  (the last run failed)" in project.look("build", "-n").out
    assert project.build().reasons["check"] == ["the last run failed"]


def test_those_who_look_count_a_whole_directory_that_lies_aside(project: Project) -> None:
    project.write("in", "1\n")
    text = """
        [tasks.held]
        inputs = "in"
        outputs = "folder/"
        run = "mkdir -p folder/in; cp in folder/in/it; if test -p begun; then echo > begun; read x < go; fi"
        [tasks.other]
        inputs = "folder/in/it"
        outputs = "copy"
        run = "cp {input} {output}"
        """
    project.taskfile(text)
    project.build()
    project.write("in", "2\n")
    os.mkfifo(project.folder / "begun")
    os.mkfifo(project.folder / "go")
    process = project.start("build")
    (project.folder / "begun").read_text()
    assert "input in changed" in project.bt("why", "held").out  # a living build is no dead one
    process.kill()
    process.communicate(timeout=60)
    project.end_leftovers()
    project.remove("begun")
    project.write("in", "1\n")
    plan = project.look("build", "-n", "-v").out
    assert "fresh     held" in plan
    assert "fresh     other" in plan
    assert project.build().ran == []


@pytest.mark.parametrize(
    ("numbers", "code"),
    [((signal.SIGHUP,), 143), ((signal.SIGINT, signal.SIGTERM), 130)],
    ids=["the terminal is closed", "twice, since it takes long"],
)
def test_it_is_told_to_end(project: Project, numbers: tuple[signal.Signals, ...], code: int) -> None:
    if len(numbers) > 1:
        project.write("deaf", "")
    process = held(project)
    for number in numbers:
        process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == code, out + err
    assert project.read("out") == "1\n"
    assert project.leftovers() == []
    project.remove("begun")
    assert project.build().ran == ["held"]
    assert project.build().ran == []


def test_a_command_that_gets_no_memory(project: Project) -> None:
    project.taskfile("""
        [tasks.large]
        inputs = "in"
        outputs = "large"
        run = "cp in large; ulimit -v 300000; python3 -c 'bytearray(int(open(\\"in\\").read()))'"
        [tasks.other]
        inputs = "in"
        outputs = "other"
        run = "cp in other"
    """)
    project.write("in", "1000\n")
    project.build()
    project.write("in", "1000000000\n")
    run = project.bt("build", "-k")
    assert (run.code, run.ran, run.failed) == (1, ["other"], ["large"])
    assert "MemoryError" in project.bt("log", "large").out
    assert project.read("large") == "1000\n"
    project.write("in", "2000\n")
    assert project.build().ran == ["large", "other"]
    assert project.build().ran == []


def limited(project: Project, kind: int, most: int) -> tuple[int, str]:
    """The exit code of a build that the system gives no more than this, and what it says is wrong."""
    process = project.start("build", preexec_fn=lambda: resource.setrlimit(kind, (most, most)))
    _, err = process.communicate(timeout=60)
    return process.returncode, err


def test_bt_itself_gets_no_memory(project: Project) -> None:
    project.write("Taskfile.toml", b"# much\n" * 9_000_000)
    code, err = limited(project, resource.RLIMIT_AS, 150_000_000)
    assert (code, err.splitlines()[0]) == (5, "error: there is not enough memory")
    assert "Traceback" not in err


def test_too_few_descriptors_for_any_job(project: Project) -> None:
    project.taskfile(HELD)
    project.write("in", "1\n")
    code, err = limited(project, resource.RLIMIT_NOFILE, 16)
    assert (code, err.splitlines()[0]) == (
        5,
        "error: no job can run: only 16 files may be open at once, and `bt` needs 24",
    )
    assert project.build().ran == ["held"]


# -- the processes of pools ----------------------------------------------------------------------------------

POOL = """
    [tasks.f]
    foreach = { n = ["1", "2"] }
    outputs = "{n}.txt"
    call = "steps:f"
"""
POOL_STEPS = """
    def f(output, n):
        open("begun", "w").close()
        open("go").readline()
"""
# Whoever is started by such a command says so, and waits before it does anything.
WAITING = """
    import os, sys
    if any({word!r} in text for text in sys.orig_argv) and os.path.exists("held"):
        os.unlink("held")
        open("begun", "w").close()
        open("go").readline()
"""
BEGINS = {"processes": "multiprocessing.forkserver", "loky": "popen_loky_posix"}


def in_a_pool(project: Project, executor: str, *, held: bool = False) -> subprocess.Popen[str]:
    """A build with functions in a pool, in a process group of its own. One process has opened `begun`, and reads `go`.

    `held`: it is the first of the pool, at its very start.
    """
    project.taskfile(POOL)
    project.write("steps.py", POOL_STEPS)
    for name in ("begun", "go"):
        os.mkfifo(project.folder / name)
    if held:
        project.write("sitecustomize.py", WAITING.format(word=BEGINS[executor]))
        project.write("held", "")
    path = os.pathsep.join([str(project.folder), os.environ.get("PYTHONPATH", "")])
    process = project.start("build", "-j3", "-e", executor, env={"PYTHONPATH": path}, start_new_session=True)
    project.read("begun")
    return process


def wait_until(is_so: Callable[[], bool]) -> None:
    until = time.monotonic() + 40
    while not is_so() and time.monotonic() < until:
        time.sleep(0.02)
    assert is_so()


def let_go(project: Project) -> None:
    """Whoever reads `go`, or will."""
    go = os.open(project.folder / "go", os.O_RDWR | os.O_NONBLOCK)
    os.write(go, b"\n")
    wait_until(lambda: not select.select([go], [], [], 0)[0] or not project.leftovers())
    os.close(go)


def sleeps(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "S"


@pytest.mark.parametrize("executor", BEGINS)
def test_a_build_that_is_killed_as_its_pool_begins_leaves_nobody(project: Project, executor: str) -> None:
    """Also where it is not the first process of the system that takes in those whose parent has died."""
    prctl = ctypes.CDLL(None).prctl
    prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER
    try:
        process = in_a_pool(project, executor, held=True)
        wait_until(lambda: sleeps(process.pid))  # it has asked for a worker
        process.kill()
        process.wait()
        let_go(project)
        wait_until(lambda: project.leftovers() == [])
    finally:
        prctl(36, 0, 0, 0, 0)
        project.end_leftovers()
        process.communicate()


@pytest.mark.parametrize("held", [False, True])
@pytest.mark.parametrize("executor", BEGINS)
def test_ctrl_c_shows_no_traceback_of_a_pool(project: Project, executor: str, held: bool) -> None:
    """The terminal sends it to all of them: those that run, that are idle, and that begin."""
    process = in_a_pool(project, executor, held=held)
    try:
        os.killpg(process.pid, signal.SIGINT)
        if held:
            let_go(project)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
        project.end_leftovers()
    assert process.returncode == 130
    assert "Traceback" not in out + err
    assert project.leftovers() == []


@pytest.mark.parametrize("at", ["buildtool", "buildtool.__main__", "buildtool.door", "buildtool.cli.main"])
def test_ctrl_c_before_anything_has_begun(project: Project, at: str) -> None:
    """From the first line of our own on: before that, it is for Python to say."""
    root = Path(__file__).parents[2]
    project.taskfile(HALF)
    project.write(
        "hooks/sitecustomize.py",
        f"""
        import os, signal, sys
        sys.addaudithook(lambda event, given: event == "import" and given[0] == "{at}"
            and os.kill(os.getpid(), signal.SIGINT))
        """,
    )
    found = subprocess.run(
        [sys.executable, root / "bin/bt", "build", "none"],
        cwd=project.folder,
        env=clean_environment() | {"PYTHONPATH": f"{project.folder / 'hooks'}:{root}"},
        capture_output=True,
        check=False,
    )
    assert (found.returncode, found.stdout, found.stderr) == (130, b"", b"")


HALF = """
    [tasks.g]
    inputs = "names"
    outputs = "g/*.txt"
    run = "for n in $(cat names); do echo half > g/$n.txt; test ! -p begun || sh wait; echo $n > g/$n.txt; done"

    [tasks.all]
    inputs = "g/*.txt"
    outputs = "all"
    run = "cat {inputs} > all"
"""


def kill_half_way(project: Project) -> None:
    """Kill a build once a job of it has said that it is half done."""
    project.write("wait", "echo > begun; read x < go")
    for name in ("begun", "go"):
        os.mkfifo(project.folder / name)
    process = project.start("build")
    (project.folder / "begun").read_text()
    process.kill()
    process.communicate()
    for name in ("begun", "go"):
        project.remove(name)


@pytest.mark.parametrize("is_first", [True, False])
def test_a_half_written_file_of_a_pattern_is_no_source(project: Project, is_first: bool) -> None:
    project.taskfile(HALF)
    project.write("g/mine.log", "mine\n")
    if not is_first:
        project.write("names", "a\n")
        project.build()
    project.write("names", "c a\n")
    kill_half_way(project)
    assert project.read("g/c.txt") == "half\n"
    assert "g/c.txt" not in project.look("status", "--json").out
    run = project.bt("build", "--only", "all")
    assert run.code == (3 if is_first else 0), run.out + run.err
    [kept] = [path for path in project.files(state=True) if path.startswith(".bt/kept/")]
    assert kept.endswith("/g/c.txt")
    assert f"`g/c.txt` as `{kept}`" in run.out + run.err
    assert project.build().warnings == []
    assert project.read("all") == "a\nc\n"
    assert project.build().ran == []


def test_a_half_written_file_is_no_source_whatever_becomes_of_its_task(project: Project) -> None:
    project.taskfile(HALF)
    project.write("names", "a b\n")
    kill_half_way(project)
    project.taskfile(
        HALF.replace('outputs = "g/*.txt"', 'outputs = "g/b.txt"').replace("cat names", "echo b")
    )
    project.build()
    assert project.read("all") == "b\n"
    assert project.build().ran == []


KEEPS = """
    [tasks.g]
    inputs = "in"
    outputs = %s
    keep = true
    run = "echo half > g/a.txt; if [ -p begun ]; then echo > begun; read x < go; fi; cat in > g/a.txt"
"""


@pytest.mark.parametrize("outputs", ['"g/a.txt"', '"g/*.txt"', '"g/"'])
@pytest.mark.parametrize("is_first", [True, False])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_what_a_broken_off_run_has_written_over_is_told(
    project: Project, outputs: str, is_first: bool, number: signal.Signals
) -> None:
    project.taskfile(KEEPS % outputs)
    if not is_first:
        project.write("in", "1\n")
        project.build()
    project.write("in", "2\n")
    project.write("g/a.txt", "mine\n")
    for name in ("begun", "go"):
        os.mkfifo(project.folder / name)
    process = project.start("build")
    (project.folder / "begun").read_text()
    process.send_signal(number)
    out, err = process.communicate()
    for name in ("begun", "go"):
        project.remove(name)
    run = project.bt("build")
    kept = [p for p in project.files(state=True) if p.startswith(".bt/kept/")]
    [place] = [path for path in kept if project.read(path) == "mine\n"]
    assert place in out + err + run.out + run.err
    assert project.read("g/a.txt") == "2\n"
    assert project.build().ran == []


def test_what_a_killed_run_did_not_touch_needs_no_copy(project: Project) -> None:
    project.taskfile(KEEPS % '"g/*.txt"')
    project.write("in", "2\n")
    project.write("g/mine.txt", "mine\n")
    kill_half_way(project)
    run = project.build()
    assert not any("mine.txt" in warning for warning in run.warnings)
    assert not [p for p in project.files(state=True) if p.startswith(".bt/kept/") and "mine" in p]
    assert project.read("g/mine.txt") == "mine\n"


def test_a_pipe_where_a_killed_run_had_copied_a_file_stops_nobody(project: Project) -> None:
    project.taskfile(KEEPS % '"g/*.txt"')
    project.write("in", "2\n")
    project.write("g/mine.txt", "mine\n")
    kill_half_way(project)
    project.remove("g/mine.txt")
    os.mkfifo(project.folder / "g/mine.txt")
    assert project.bt("list").code == 0
    run = project.bt("clean")
    [kept] = [p for p in project.files(state=True) if p.startswith(".bt/kept/") and "mine" in p]
    assert (run.code, project.read(kept)) == (0, "mine\n")
    assert f"`g/mine.txt` as `{kept}`" in run.out + run.err


EDITED = """
    [tasks.made]
    inputs = "in"
    outputs = %s
    keep = %s
    run = "mkdir -p g; cat in > g/a.txt; if [ -L g/l ]; then cat in > g/l/a.txt; fi"
"""
EDITS = {
    "a file": ('"g/a.txt"', "g/a.txt", "true"),
    "a file aside": ('"g/a.txt"', "g/a.txt", "false"),
    "a pattern": ('"g/*.txt"', "g/a.txt", "true"),
    "a pattern aside": ('"g/*.txt"', "g/a.txt", "false"),
    "a directory": ('"g/"', "g/a.txt", "true"),
    "a directory aside": ('"g/"', "g/a.txt", "false"),
    "behind a link at a pattern": ('"g/*"', "real/a.txt", "true"),
    "behind a link in a directory": ('"g/"', "real/a.txt", "true"),
}


@pytest.mark.parametrize(("outputs", "edited", "keep"), some(EDITS.values(), 5))
def test_an_edit_is_never_lost_nor_kept_without_a_word(
    tmp_path: Path, faulty: Faulty, thorough: bool, outputs: str, edited: str, keep: str
) -> None:
    """Wherever the build is killed that runs over it: while it is copied, waits aside, or goes to `.bt/kept/`."""
    (tmp_path / "project").mkdir()
    project, copy = Project(tmp_path / "project"), Project(tmp_path / "copy")
    project.taskfile(EDITED % (outputs, keep))
    project.write("in", "1\n")
    if edited == "real/a.txt":
        project.write("real/other", "")
        (project.folder / "g").mkdir()
        (project.folder / "g/l").symlink_to("../real")
    assert faulty.bt(project.folder, "build")[0].code == 0
    project.write("in", "2\n")
    project.write(edited, "mine\n")
    wrong = []
    for turn in turns(project, faulty, Fault(), None if thorough else 16):
        shutil.copytree(project.folder, copy.folder, symlinks=True)
        killed, _ = faulty.bt(copy.folder, "build", fault=Fault(turn))
        copy.end_leftovers()
        run, _ = faulty.bt(copy.folder, "build")
        said = killed.out + killed.err + run.out + run.err
        kept = [path for path in copy.files(state=True) if path.startswith(".bt/kept/")]
        if run.code or (copy.read("g/a.txt"), copy.read(edited)) != ("2\n", "2\n"):
            wrong.append(f"{turn}: the next build did not go well")
        if "mine\n" not in map(copy.read, kept):
            wrong.append(f"{turn}: the edit is lost")
        wrong += [f"{turn}: {path} is not named" for path in kept if path.split("/a.")[0] not in said]
        if (again := faulty.bt(copy.folder, "build")[0]).ran or again.warnings:
            wrong.append(f"{turn}: one more build does something")
        shutil.rmtree(copy.folder)
    assert not wrong, "\n".join(wrong)


GAVE_WAY = {"a directory for a file": ("k", "k", "k/mine"), "a file for a directory": ("k/", "k/own", "k")}


@pytest.mark.parametrize(
    ("output", "own", "mine", "fails"),
    some([(*given, fails) for given in GAVE_WAY.values() for fails in (False, True)], 2),
)
def test_what_gives_way_to_a_job_that_keeps_is_never_lost(
    tmp_path: Path, faulty: Faulty, thorough: bool, output: str, own: str, mine: str, fails: bool
) -> None:
    """It is where it was, or in `.bt/kept/` and named."""
    (tmp_path / "project").mkdir()
    project, copy = Project(tmp_path / "project"), Project(tmp_path / "copy")
    run = f'mkdir -p "$(dirname {own})"; echo K > {own}; test ! -e bad'
    project.taskfile(f"[tasks.k]\noutputs = '{output}'\nkeep = true\nrun = '{run}'\n")
    project.write(mine, "mine\n")
    found = turns(project, faulty, Fault(), None if thorough else 16)
    if fails:
        project.write("bad", "")
        found += range(found[-1], found[-1] + 20, 1 if thorough else 4)  # it is put back
    wrong = []
    for turn in found:
        shutil.copytree(project.folder, copy.folder, symlinks=True)
        killed, _ = faulty.bt(copy.folder, "build", fault=Fault(turn))
        copy.end_leftovers()
        run, _ = faulty.bt(copy.folder, "build")
        said = killed.out + killed.err + run.out + run.err
        [there] = [p for p in copy.files(state=True) if (copy.folder / p).read_bytes() == b"mine\n"]
        if there != mine and (not there.startswith(".bt/kept/") or there.removesuffix("/mine") not in said):
            wrong.append(f"{turn}: {there} is not named")
        if run.code != fails or (not fails and copy.read(own) != "K\n"):
            wrong.append(f"{turn}: the next build came out as {run.code}")
        shutil.rmtree(copy.folder)
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("numbers", "code"),
    [((signal.SIGINT,), 130), ((signal.SIGINT, signal.SIGINT), 130), ((signal.SIGTERM,), 143)],
    ids=["once", "twice", "TERM"],
)
def test_a_job_does_not_start_if_a_signal_comes_while_an_edit_is_copied(
    project: Project, numbers: tuple[signal.Signals, ...], code: int
) -> None:
    project.taskfile("""
        [tasks.t]
        inputs = "in"
        outputs = "out"
        keep = true
        run = "cat in > out; echo >> ran"
    """)
    project.write("in", "1\n")
    project.build()
    project.write("in", "2\n")
    with open(project.folder / "out", "ab") as file:
        file.write(b"mine\n")
        file.truncate(1 << 29)
    process = project.start("build")
    while not any(file.is_file() for file in (project.folder / ".bt/kept").rglob("*")):
        assert process.poll() is None
    for number in numbers:
        process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == code, out + err
    assert project.read("ran") == "\n"
    assert not [path for path in project.files(state=True) if path.startswith(".bt/kept/")]
    project.write("out", "mine\n")
    run = project.build()
    assert [warning for warning in run.warnings if "was edited: kept as" in warning]
    assert project.read("out") == "2\n"
