"""The two-step project `in -> mid -> out` through 22 perturbations: a step runs if, and only if, it must.

Step A drops comment lines, step B makes upper case; each writes a letter to `log` when it runs, and is held at a
FIFO where a test wants to do something while it runs.
"""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from support.project import BT, Project

TASKFILE = """
[tasks.a]
inputs = ["in", "a.sh"]
outputs = "mid"
run = "sh a.sh"

[tasks.b]
inputs = ["mid", "b.sh"]
outputs = "out"
track = { env = ["FLAVOUR"] }
run = "sh b.sh"
"""
A = """
printf A >> log
[ ! -e mode ] || . ./mode
grep -v '^#' in > mid
"""
B = """
printf B >> log
tr a-z A-Z < mid > out
"""


@pytest.fixture
def two(project: Project) -> Project:
    """The project, built once."""
    project.taskfile(TASKFILE)
    project.write("a.sh", A)
    project.write("b.sh", B)
    project.write("in", "# comment\none\ntwo\n")
    assert steps(project) == "AB"
    return project


def steps(project: Project, *words: str, code: int = 0, env: dict[str, str] | None = None) -> str:
    """The steps that run in one build, in order."""
    project.write("log", "")
    run = project.bt("build", *words, env=env)
    assert run.code == code, run.out + run.err
    return project.read("log")


def settled(project: Project, out: str = "ONE\nTWO\n") -> bool:
    """Whether `out` is right and one more build runs nothing."""
    return project.read("out") == out and steps(project) == ""


def restore_times(path: Path, st: os.stat_result) -> None:
    os.utime(path, ns=(st.st_atime_ns, st.st_mtime_ns))


def hold(project: Project) -> None:
    """Let step A say that it runs (`begun`), write half of its output, and wait until `go` is written to."""
    os.mkfifo(project.folder / "begun")
    os.mkfifo(project.folder / "go")
    project.write("mode", "echo half > mid; echo > begun; read x < go\n")


def wait_begun(project: Project) -> None:
    (project.folder / "begun").read_text()


def let_go(project: Project) -> None:
    (project.folder / "go").write_text("x\n")


def test_nothing(two: Project) -> None:
    assert steps(two) == ""


def test_touch(two: Project) -> None:
    os.utime(two.folder / "in", ns=(1, 2**60))
    assert steps(two) == ""
    assert settled(two)


def test_same_size_and_restored_mtime(two: Project) -> None:
    before = (two.folder / "in").stat()
    restore_times(two.write("in", "# comment\nsix\nten\n"), before)
    assert steps(two) == "AB"
    assert settled(two, "SIX\nTEN\n")


def test_new_content_with_an_old_mtime(two: Project) -> None:
    path = two.write("in", "new\n")
    os.utime(path, (1_000_000_000, 1_000_000_000))
    assert steps(two) == "AB"
    assert settled(two, "NEW\n")


def test_comment_edit_is_cut_off(two: Project) -> None:
    two.write("in", "# another comment\none\ntwo\n")
    assert steps(two) == "A"
    assert settled(two)


def test_command_text_of_a_changed(two: Project) -> None:
    two.taskfile(TASKFILE.replace('run = "sh a.sh"', 'run = "sh ./a.sh"'))
    assert steps(two) == "A"
    assert settled(two)


def test_out_deleted(two: Project) -> None:
    two.remove("out")
    assert steps(two) == "B"
    assert settled(two)


def test_mid_deleted(two: Project) -> None:
    """Nothing must be rebuilt from it, so it may stay away; asked for by name, it is made again."""
    two.remove("mid")
    assert steps(two) == ""
    assert not two.exists("mid")
    assert steps(two, "mid") == "A"
    assert two.exists("mid")
    assert settled(two)


def test_mid_deleted_and_needed(two: Project) -> None:
    two.remove("mid")
    two.remove("out")
    assert steps(two) == "AB"
    assert settled(two)


def test_out_edited_by_hand(two: Project) -> None:
    two.write("out", "mine\n")
    run = two.build()
    assert run.ran == ["b"]
    assert run.reasons["b"] == ["output out was edited since"]
    assert two.read("out") == "ONE\nTWO\n"
    [note] = run.warnings
    assert two.read(note.split("`")[-2]) == "mine\n"
    assert settled(two)


def test_mid_edited_by_hand(two: Project) -> None:
    two.write("mid", "mine\n")
    run = two.build()
    assert run.ran == ["a"]
    assert any("`mid` was edited: kept as" in warning for warning in run.warnings)
    assert two.read("mid") == "one\ntwo\n"
    assert settled(two)


def test_a_fails_half_way_then_again(two: Project) -> None:
    two.write("mode", "echo half > mid; exit 1\n")
    two.write("in", "three\n")
    assert steps(two, code=1) == "A"
    assert two.read("mid") == "one\ntwo\n"
    two.remove("mode")
    assert steps(two) == "AB"
    assert settled(two, "THREE\n")


def test_killed_half_way(two: Project) -> None:
    hold(two)
    two.write("in", "three\n")
    process = two.start("build")
    wait_begun(two)
    process.kill()
    process.communicate()
    two.remove("mode")
    run = two.build()
    assert run.ran == ["a", "b"]
    assert any("recovered" in warning and "1 half-written output" in warning for warning in run.warnings)
    assert settled(two, "THREE\n")


def test_killed_and_the_state_lost_keeps_a_file_of_the_users(project: Project) -> None:
    """A file that `bt` did not make was moved aside when it was killed; nobody knows any more whose it was."""
    project.taskfile('[tasks.t]\noutputs = "notes"\nrun = "echo > begun; read x < go; echo made > notes"\n')
    project.write("notes", "mine\n")
    os.mkfifo(project.folder / "begun")
    os.mkfifo(project.folder / "go")
    process = project.start("build")
    wait_begun(project)
    process.kill()
    process.communicate()
    (project.folder / ".bt/state.db").write_bytes(b"garbage")
    project.taskfile('[tasks.t]\noutputs = "notes"\nrun = "echo made > notes"\n')
    run = project.build()
    assert any(".bt/kept/aside-1/" in warning for warning in run.warnings)
    kept = [p for p in (project.folder / ".bt/kept").rglob("*notes") if p.read_text() == "mine\n"]
    assert len(kept) == 1


def test_clean_of_the_state_puts_back_what_was_aside(project: Project) -> None:
    project.taskfile('[tasks.t]\noutputs = "notes"\nrun = "echo > begun; read x < go; echo made > notes"\n')
    project.write("notes", "mine\n")
    os.mkfifo(project.folder / "begun")
    os.mkfifo(project.folder / "go")
    process = project.start("build")
    wait_begun(project)
    process.kill()
    process.communicate()
    assert project.bt("clean", "--state", "--yes").code == 0
    assert project.read("notes") == "mine\n"


def test_what_is_announced_is_kept(project: Project) -> None:
    project.taskfile("""
        [tasks.first]
        outputs = "first"
        run = "echo > first"
        [tasks.second]
        outputs = "second"
        run = "echo > begun; read x < go; echo > second"
    """)
    os.mkfifo(project.folder / "begun")
    os.mkfifo(project.folder / "go")
    process = project.start("build", "-j2")
    wait_begun(project)
    assert process.stdout is not None
    assert "first" in process.stdout.readline()
    process.kill()
    process.communicate()
    project.taskfile(project.read("Taskfile.toml").replace("echo > begun; read x < go; ", ""))
    assert project.build().ran == ["second"]


def test_an_intermediate_edited_while_its_reader_runs(two: Project) -> None:
    two.write("b.sh", "[ ! -e mode2 ] || . ./mode2\n" + B)
    steps(two)
    two.write("in", "three\n")
    os.mkfifo(two.folder / "begun")
    os.mkfifo(two.folder / "go")
    two.write("mode2", "echo > begun; read x < go\n")
    process = two.start("build")
    wait_begun(two)
    two.write("mid", "not what a made\n")
    two.remove("mode2")
    let_go(two)
    out, err = process.communicate()
    assert process.returncode == 0, out + err
    assert settled(two, "THREE\n")


def test_orphan_of_a_killed_build_does_not_write(two: Project) -> None:
    hold(two)
    two.write("in", "three\n")
    process = two.start("build")
    wait_begun(two)
    process.kill()
    process.communicate()
    two.remove("mode")
    run = two.build()
    assert any("1 leftover process" in w or "leftover processes stopped" in w for w in run.warnings)
    with pytest.raises(OSError, match="No such device or address"):  # nobody reads from it any more
        os.open(two.folder / "go", os.O_WRONLY | os.O_NONBLOCK)
    assert settled(two, "THREE\n")


def test_in_edited_while_a_runs(two: Project) -> None:
    hold(two)
    two.write("in", "three\n")
    process = two.start("build")
    wait_begun(two)
    two.write("in", "four\n")
    two.write("mode", "")
    let_go(two)
    out, err = process.communicate()
    assert process.returncode == 0, out + err
    assert settled(two, "FOUR\n")


def test_a_succeeds_without_mid(two: Project) -> None:
    two.write("mode", "exit 0\n")
    two.write("in", "three\n")
    run = two.bt("build")
    assert run.code == 1
    assert run.failed == ["a"]
    assert run.finished["a"]["details"][0] == "missing: mid"
    two.remove("mode")
    assert steps(two) == "AB"
    assert settled(two, "THREE\n")


def test_tracked_environment_variable(two: Project) -> None:
    two.write("b.sh", "printf B >> log\necho $FLAVOUR > out\n")
    assert steps(two, env={"FLAVOUR": "sweet"}) == "B"
    assert steps(two, env={"FLAVOUR": "sour"}) == "B"
    assert two.read("out") == "sour\n"
    assert steps(two, env={"FLAVOUR": "sour"}) == ""


def test_undeclared_environment_variable_is_not_seen(two: Project) -> None:
    two.write("b.sh", 'printf B >> log\necho "${SECRET_SAUCE-none}" > out\n')
    assert steps(two, env={"SECRET_SAUCE": "x"}) == "B"
    assert two.read("out") == "none\n"
    assert steps(two, env={"SECRET_SAUCE": "y"}) == ""


def test_helper_script_edited(two: Project) -> None:
    two.write("a.sh", A.replace("grep", "echo extra > /dev/null; grep"))
    assert steps(two) == "A"
    two.write("b.sh", "printf B >> log\ncat mid > out\n")
    assert steps(two) == "B"
    assert settled(two, "one\ntwo\n")


def test_tracked_helper_script_edited(two: Project) -> None:
    tracked = TASKFILE.replace('["in", "a.sh"]', '"in"\ntrack = { files = ["*.sh"] }')
    two.taskfile(tracked)
    steps(two)
    two.write("a.sh", A + "\ntrue\n")
    assert steps(two) == "A"


def test_two_at_once(two: Project) -> None:
    hold(two)
    two.write("in", "three\n")
    two.write("log", "")
    first = two.start("build")
    wait_begun(two)
    two.write("mode", "")
    second = two.start("build")
    assert second.stdout is not None
    assert "waiting for `bt build`" in second.stdout.readline()
    assert two.bt("build", "--no-wait").code == 6
    let_go(two)
    assert first.wait(60) == 0
    assert second.wait(60) == 0
    first.communicate()
    second.communicate()
    assert two.read("log") == "AB"
    assert settled(two, "THREE\n")


def test_state_deleted(two: Project) -> None:
    subprocess.run(["rm", "-rf", two.folder / ".bt"], check=True)
    run = two.build()
    assert run.ran == ["a", "b"]
    assert settled(two)


def test_state_truncated_and_garbled(two: Project) -> None:
    path = two.folder / ".bt/state.db"
    path.write_bytes(path.read_bytes()[:5000] + b"garbage" * 100)
    run = two.build()
    assert len([w for w in run.warnings if "state.db.bad" in w]) == 1
    assert run.ran == ["a", "b"]
    assert settled(two)


def test_ctrl_c(two: Project) -> None:
    hold(two)
    two.write("in", "three\n")
    process = two.start("build")
    wait_begun(two)
    process.send_signal(signal.SIGINT)
    process.communicate()
    assert process.returncode == 130
    assert two.read("mid") == "one\ntwo\n"
    two.remove("mode")
    assert steps(two) == "AB"
    assert settled(two, "THREE\n")


def test_sigterm_to_the_tool_alone(two: Project) -> None:
    hold(two)
    two.write("in", "three\n")
    process = two.start("build")
    wait_begun(two)
    process.send_signal(signal.SIGTERM)
    process.communicate()
    assert process.returncode == 143
    with pytest.raises(OSError, match="No such device or address"):
        os.open(two.folder / "go", os.O_WRONLY | os.O_NONBLOCK)
    assert two.read("mid") == "one\ntwo\n"
    two.remove("mode")
    assert steps(two) == "AB"
    assert settled(two, "THREE\n")


def test_a_copy_of_the_project_leaves_the_original_alone(two: Project) -> None:
    hold(two)
    two.write("in", "three\n")
    process = two.start("build")
    wait_begun(two)
    copy = two.folder.parent / "copy"
    skip = shutil.ignore_patterns("begun", "go", "mode")
    shutil.copytree(two.folder, copy, ignore=skip)
    run = Project(copy).build()
    assert not any("stopped" in warning for warning in run.warnings)
    two.write("mode", "")
    let_go(two)
    process.communicate()
    assert process.returncode == 0
    assert settled(two, "THREE\n")


def test_the_state_removed_during_a_build_is_told(two: Project) -> None:
    hold(two)
    two.write("in", "three\n")
    process = two.start("build")
    wait_begun(two)
    shutil.rmtree(two.folder / ".bt")
    two.write("mode", "")
    let_go(two)
    _, err = process.communicate()
    assert process.returncode == 5
    assert "removed or replaced" in err
    two.remove("mode")
    assert steps(two) == "AB"
    assert settled(two, "THREE\n")


def test_no_output_leaves_the_project_through_a_link(project: Project) -> None:
    outside = project.folder.parent / "outside"
    outside.mkdir()
    (outside / "f").write_text("theirs\n")
    (project.folder / "sub").symlink_to(outside)
    project.taskfile('[tasks.t]\noutputs = "sub/f"\nrun = "echo new > sub/f"\n')
    run = project.bt("build")
    assert run.code == 1
    assert "out of the project" in run.finished["t"]["error"]
    assert (outside / "f").read_text() == "theirs\n"


def test_a_kept_output_that_a_killed_job_or_a_person_since_has_changed_is_kept(project: Project) -> None:
    project.taskfile("""
        [tasks.t]
        inputs = "in"
        outputs = "grown"
        keep = true
        run = "cat in >> grown; [ ! -e begun ] || { echo > begun; read x < go; }"
    """)
    project.write("in", "1\n")
    project.build()
    project.write("in", "2\n")
    os.mkfifo(project.folder / "begun")
    os.mkfifo(project.folder / "go")
    process = project.start("build")
    wait_begun(project)
    process.kill()
    process.communicate()
    project.remove("begun")
    project.end_leftovers()
    project.write("grown", project.read("grown") + "mine\n")
    run = project.build()
    assert run.ran == ["t"]
    words = "`grown` was changed by a run that was cut short, or by hand since: kept as `.bt/kept/"
    assert any(words in warning for warning in run.warnings)
    assert project.read(".bt/kept/3/grown").endswith("mine\n")


def test_output_that_cannot_be_written(two: Project) -> None:
    with open("/dev/full", "w", encoding="utf-8") as full:
        done = subprocess.run(
            [*BT, "list"], cwd=two.folder, stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 5
    assert "Traceback" not in done.stderr


def test_too_few_descriptors_mean_fewer_jobs_at_a_time(project: Project) -> None:
    project.taskfile("""
        [tasks.a]
        foreach = { n = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12] }
        outputs = "{n}.a"
        run = "echo this is {n}; sleep 0.1; echo {n} > {output}"
    """)

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (32, 32))

    process = project.start("build", "-j12", preexec_fn=limit)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    assert out.count("warning:") == out.count("too many files open") == 1
    assert "12 ran in" in out
    assert project.bt("log", "a").out.count("this is") == 12


CALLS = """
    [tasks.f]
    foreach = { n = [1, 2, 3, 4, 5, 6] }
    outputs = "{n}.f"
    call = "steps:f"
"""
STEPS = """
    import time
    def f(output, n):
        print("this is", n)
        time.sleep(0.1)
        open(output, "w").write(str(n))
"""
BESIDE = """
    [tasks.c]
    foreach = { n = [1, 2, 3] }
    outputs = "{n}.c"
    run = "sleep 0.5; echo {n} > {output}"
"""


@pytest.mark.parametrize("more", ["", BESIDE])
def test_too_few_descriptors_mean_fewer_workers_at_a_time(project: Project, more: str) -> None:
    """Also while commands run beside them."""
    project.taskfile(CALLS + more)
    project.write("steps.py", STEPS)

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (24, 24))

    process = project.start("build", "-j4", preexec_fn=limit)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    assert out.count("no worker can be had: `bt` has too many files open") == 1
    assert f"{9 if more else 6} ran in" in out
    assert project.bt("log", "f").out.count("this is") == 6
    assert project.build().ran == []


def test_too_few_descriptors_for_any_worker(project: Project) -> None:
    """Idle workers of four other pools have them, and no job runs that could give some back."""
    names = ["a", "b", "c", "d", "e"]
    tasks = [
        f"""
        [executors.{name}]
        backend = "local"
        [tasks.{name}]
        executor = "{name}"
        after = {names[max(0, at - 1) : at]}
        outputs = "{name}.out"
        params = {{ n = "{name}" }}
        call = "steps:f"
        """
        for at, name in enumerate(names)
    ]
    project.taskfile("".join(tasks))
    project.write("steps.py", STEPS)

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (24, 24))

    process = project.start("build", preexec_fn=limit)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 5
    assert (
        "could not be started: no worker can be had: `bt` has too many files open (`ulimit -n`): allow more"
        in out
    )
    assert project.bt("build").code == 0
    assert project.build().ran == []
