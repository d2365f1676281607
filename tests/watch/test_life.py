"""How `bt watch` lives and ends: broken Taskfiles, failures, running jobs, services, signals, other `bt`s, keys."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from support.project import BT, Project, Run, clean_environment
from support.watching import PATIENCE, Watching

COPY = '[tasks.t]\ninputs = "in"\noutputs = "out"\nrun = "cp {input} {output}"\n'


@pytest.fixture
def copy(project: Project) -> Project:
    """One file, copied."""
    project.taskfile(COPY)
    project.write("in", "1")
    return project


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and waits for its parent does not."""
    try:
        return ") Z" not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


def gone(pid: int) -> bool:
    """Whether a process ends in time."""
    until = time.monotonic() + PATIENCE
    while alive(pid) and time.monotonic() < until:
        time.sleep(0.01)
    return not alive(pid)


def test_a_broken_taskfile_is_shown_and_the_last_good_one_stays_in_force(copy: Project) -> None:
    with Watching(copy) as watch:
        watch.first()
        copy.taskfile(COPY + "[tasks")
        error = watch.round().events
        assert "expected ']'" in next(e["text"] for e in error if e["event"] == "error")
        assert error[-1]["exit_code"] == 2
        copy.write("in", "2")
        assert watch.round().ran == ["t"]
        assert copy.read("out") == "2"
        copy.taskfile(COPY.replace("cp {input}", "cat {input} {input} >"))
        assert watch.round().ran == ["t"]
        assert copy.read("out") == "22"


def test_a_taskfile_that_is_broken_from_the_start_is_refused(project: Project) -> None:
    project.taskfile("[tasks")
    process = project.start("watch")
    assert "expected ']'" in process.communicate(timeout=PATIENCE)[1]
    assert process.returncode == 2


def test_an_included_taskfile_that_appears(copy: Project) -> None:
    copy.taskfile('include = ["more/*.toml"]\n' + COPY)
    copy.write("more/a.toml", '[tasks.a]\noutputs = "a"\nrun = "echo a > {output}"\n')
    with Watching(copy) as watch:
        assert watch.first().ran == ["a", "t"]
        copy.write("more/b.toml", '[tasks.b]\noutputs = "b"\nrun = "echo b > {output}"\n')
        assert watch.round().ran == ["b"]


@pytest.mark.parametrize(
    ("include", "words"),
    [
        ("more.toml", ()),
        ("far/off/more.toml", ()),
        ("far/*/more.toml", ()),
        ("far/**/*.toml", ()),
        ("far/off/more.toml", ("--poll",)),
    ],
)
def test_what_is_to_be_included_is_waited_for(copy: Project, include: str, words: tuple[str, ...]) -> None:
    with Watching(copy, *words) as watch:
        watch.first()
        copy.taskfile(f"include = ['{include}']\n" + COPY)
        if "*" not in include:
            assert f"no file `{include}` to include" in watch.until("error")[-1]["text"]
        watch.until("waiting")
        name = "more.toml" if include == "more.toml" else "far/off/more.toml"
        for text in ("a", "b"):
            copy.write(name, f'[tasks.{text}]\noutputs = "{text}"\nrun = "echo > {{output}}"\n')
            assert watch.round().ran == [text]
            copy.remove(name)
            watch.until("waiting")


def test_a_missing_input_is_told_and_waited_for(copy: Project) -> None:
    with Watching(copy) as watch:
        watch.first()
        copy.remove("in")
        run = watch.round()
        assert run.finished["t"]["error"] == "`in`: no such file, and no task makes it"
        assert run.summary["exit_code"] == 3
        copy.write("in", "back")
        assert watch.round().ran == ["t"]


def test_a_failure_is_done_again_only_when_what_it_reads_changes(project: Project) -> None:
    project.taskfile("""
        [tasks.a]
        inputs = "a.in"
        outputs = "a"
        run = "grep good {input} > {output}"
        [tasks.b]
        inputs = "b.in"
        outputs = "b"
        run = "cp {input} {output}"
        [tasks.ab]
        inputs = ["a", "b"]
        outputs = "ab"
        run = "cat {input} > {output}"
    """)
    project.write("a.in", "bad\n")
    project.write("b.in", "1\n")
    with Watching(project) as watch:
        first = watch.first()
        assert first.failed == ["a"]
        assert first.ran == ["b"]
        project.write("b.in", "2\n")
        run = watch.round()
        assert run.ran == ["b"]
        assert run.failed == []
        project.write("a.in", "good\n")
        assert watch.round().ran == ["a", "ab"]
        assert project.read("ab") == "good\n2\n"


def test_a_running_job_whose_input_changes_begins_anew_and_the_others_go_on(project: Project) -> None:
    project.taskfile("""
        [tasks.slow]
        inputs = "in/{n}"
        outputs = "out/{n}"
        run = "echo $$ >> pids; echo > begun.{n}; cp {input} {output}; read x < go.{n}"
    """)
    for name in "ab":
        project.write(f"in/{name}", "1")
        os.mkfifo(project.folder / f"go.{name}")
        os.mkfifo(project.folder / f"begun.{name}")
    with Watching(project, "-j2") as watch:
        for name in "ab":
            (project.folder / f"begun.{name}").read_text()
        first = [int(pid) for pid in project.read("pids").split()]
        project.write("in/a", "2")
        (project.folder / "begun.a").read_text()  # it has begun once more
        for name in "ab":
            (project.folder / f"go.{name}").write_text("x\n")
        run = Run(0, "", "", watch.until("summary"))
        assert run.ran == ["slow a", "slow b"]
        assert any("`slow a` begins anew: `in/a` changed" in text for text in run.warnings)
        assert project.read("out/a") == "2"
        assert len(project.read("pids").split()) == len(first) + 1


def test_a_running_function_whose_code_changes_begins_anew(project: Project, tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    os.mkfifo(begun)
    project.taskfile('[tasks.t]\ncall = "m:f"\noutputs = "o"\n[tasks.u]\ncall = "m:g"\noutputs = "p"\n')
    text = "import time\ndef f(output):\n    open('{}', 'w').close()\n    {}\ndef g(output): output.write_text('')\n"
    project.write("m.py", text.format(begun, "time.sleep(600)"))
    with Watching(project, "-j", "2") as watch:
        begun.read_text()
        project.write("m.py", text.format(begun, "output.write_text('new')"))
        begun.read_text()
        watch.until("finished", job="t", status="ran")
        assert project.read("o") == "new"
        assert not [told for told in watch.seen if told["event"] == "output"], "no traceback of the first"


def test_a_tracked_file_that_changes_while_another_job_runs(project: Project, tmp_path: Path) -> None:
    """Its job was found fresh in this build, which was planned anew."""
    begun, go = tmp_path / "begun", tmp_path / "go"
    os.mkfifo(begun)
    os.mkfifo(go)
    project.taskfile(
        '[tasks.t]\ntrack = { files = ["tools/*.sh"] }\noutputs = "o"\nrun = "sh tools/x.sh > {output}"\n'
        '[tasks.held]\ninputs = "in/{n}"\noutputs = "out/{n}"\n'
        f'run = "cp {{input}} {{output}}; echo > {begun}; read x < {go}"\n'
    )
    project.write("tools/x.sh", "echo 1")
    project.write("in/a", "")
    with Watching(project, "-j", "2") as watch:
        begun.read_text()
        go.write_text("on\n")
        watch.first()
        project.write("in/b", "")
        begun.read_text()
        project.write("tools/x.sh", "echo 2")
        go.write_text("on\n")
        watch.until("finished", job="t", status="ran")
        assert project.read("o") == "2\n"


def test_a_worker_stays_warm_between_builds(project: Project) -> None:
    project.taskfile('[tasks.f]\ninputs = "in"\noutputs = "out"\ncall = "steps:f"\n')
    project.write("steps.py", "import os\ndef f(output): output.write_text(str(os.getpid()))\n")
    project.write("in", "1")
    with Watching(project) as watch:
        watch.first()
        worker = project.read("out")
        project.write("in", "2")
        watch.round()
        assert project.read("out") == worker
        assert watch.end() == 130
    assert gone(int(worker))


SERVE = """
[tasks.page]
inputs = "in"
outputs = "page"
run = "cp {input} {output}"

[tasks.web]
needs = ["page"]
serve = true
run = "echo $$ > pid; cat page > served; echo up > said; sleep 1000 & wait"
"""


def served(project: Project) -> int:
    """The process of the service once it is up."""
    (project.folder / "said").read_text()
    return int(project.read("pid"))


@pytest.fixture
def site(project: Project) -> Project:
    """A page, and something that serves it."""
    project.taskfile(SERVE)
    project.write("in", "1")
    os.mkfifo(project.folder / "said")
    return project


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_a_service_starts_anew_with_what_it_needs_and_ends_with_the_watch(site: Project, number: int) -> None:
    with Watching(site, "web") as watch:
        first = served(site)
        site.write("in", "2")
        second = served(site)
        assert gone(first)
        assert site.read("served") == "2"
        watch.end(number)
        assert gone(second)
    assert site.build("page").ran == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_that_a_service_has_started_gets_away(site: Project, number: int) -> None:
    """In a session of its own, and deaf to TERM."""
    far = "setsid sh -c 'trap : TERM; echo $$ > far; echo up > said; while :; do sleep 0.1; done' & wait"
    site.taskfile(SERVE.replace("echo up > said; sleep 1000 & wait", far))
    with Watching(site, "web") as watch:
        served(site)
        pid = int(site.read("far"))
        watch.end(number)
        assert gone(pid)


def test_only_a_command_can_be_a_service(project: Project) -> None:
    project.taskfile('[tasks.t]\nserve = true\ncall = "steps:f"\n')
    assert "`serve` needs `run`" in project.look("check", code=2).err


def test_a_service_that_ends_is_told_of_and_started_when_something_changes(site: Project) -> None:
    site.taskfile(SERVE.replace("sleep 1000 & wait", "exit 3"))
    with Watching(site, "web") as watch:
        served(site)
        while "`web` has ended (exit code 3)" not in watch.until("warning")[-1]["text"]:
            pass
        site.write("in", "2")
        served(site)
        assert site.read("served") == "2"


def test_another_build_may_run_while_it_waits(copy: Project) -> None:
    with Watching(copy) as watch:
        watch.first()
        copy.taskfile(COPY + '[tasks.u]\noutputs = "u"\nrun = "echo > {output}"\n')
        watch.round()
        assert copy.build("-B").ran == ["t", "u"]
        copy.write("in", "2")
        assert watch.round().ran == ["t"]
        assert watch.end() == 130
    assert copy.build().ran == []


def test_it_ends_at_once_while_another_build_runs(project: Project, tmp_path: Path) -> None:
    """Whether it waits for a change then, or for that build."""
    begun, go = tmp_path / "begun", tmp_path / "go"
    os.mkfifo(begun)
    os.mkfifo(go)
    project.taskfile(
        '[tasks.t]\ninputs = "in"\noutputs = "o"\nrun = "cp {input} {output}"\n'
        f'[tasks.long]\nrun = "echo > {begun}; read x < {go}"\n'
    )
    project.write("in", "1")
    with Watching(project, "t") as watch, Watching(project, "t") as other:
        watch.first()
        other.first()
        with project.start("build", "long") as build:
            begun.read_text()
            assert watch.end() == 130
            project.write("in", "2")
            assert "waiting for `bt build long`" in other.until("warning")[-1]["text"]
            assert other.end() == 130
            go.write_text("on\n")
            build.communicate(timeout=PATIENCE)
    assert project.build("t").ran == ["t"]


def test_a_project_that_is_deleted_is_told_of(project: Project) -> None:
    project.taskfile('[tasks.t]\ninputs = "in/a"\noutputs = "o"\nrun = "cp {input} {output}"\n')
    project.write("in/a", "1")
    with Watching(project) as watch:
        watch.first()
        shutil.rmtree(project.folder)
        _, err = watch.process.communicate(timeout=PATIENCE)
    assert watch.process.returncode == 5
    assert f"the project at `{project.folder}` was moved or removed" in err


@pytest.mark.parametrize("words", [(), ("--poll",)], ids=["told", "polling"])
@pytest.mark.parametrize("above", [False, True], ids=["itself", "a directory above it"])
def test_a_project_that_is_moved_is_told_of(project: Project, above: bool, words: tuple[str, ...]) -> None:
    inner = Project(project.folder / "above/inner")
    inner.taskfile('[tasks.t]\ninputs = "in/a"\noutputs = "o"\nrun = "cp {input} {output}"\n')
    inner.write("in/a", "1")
    with Watching(inner, *words) as watch:
        watch.first()
        moved = inner.folder.parent if above else inner.folder
        moved.rename(project.folder / "elsewhere")
        _, err = watch.process.communicate(timeout=PATIENCE)
    assert watch.process.returncode == 5
    assert f"the project at `{inner.folder}` was moved or removed" in err
    assert not inner.folder.exists()


def test_the_state_may_be_removed_while_it_waits(copy: Project) -> None:
    with Watching(copy) as watch:
        watch.first()
        subprocess.run(["rm", "-rf", ".bt"], cwd=copy.folder, check=True)
        copy.write("in", "2")
        assert watch.round().ran == ["t"]
        assert watch.end(signal.SIGTERM) == 143
    assert copy.build().ran == []


def test_it_looks_by_itself_if_told_to(copy: Project) -> None:
    with Watching(copy, "--poll") as watch:
        watch.first()
        copy.write("in", "22")
        assert watch.round().ran == ["t"]
        assert watch.end() == 130


def test_at_the_limit_of_the_system_it_says_so_and_looks_by_itself(copy: Project) -> None:
    program = (
        "import errno, runpy, sys\n"
        "from watchdog.observers import inotify_c\n"
        "def full(*a): raise OSError(errno.ENOSPC, 'no space')\n"
        "inotify_c.InotifyFD.add_callback = full\n"
        "sys.argv[0] = 'bt'\n"
        "runpy.run_module('buildtool', run_name='__main__')\n"
    )
    (copy.folder.parent / "full.py").write_text(program)
    command = [sys.executable, str(copy.folder.parent / "full.py"), "watch", "--json"]
    process = subprocess.Popen(
        command, cwd=copy.folder, stdout=subprocess.PIPE, text=True, env=clean_environment()
    )
    try:
        assert process.stdout is not None
        lines = iter(process.stdout)
        assert any("fs.inotify.max_user_watches" in line for line in lines)
        assert any('"waiting"' in line for line in lines)
        copy.write("in", "22")
        assert any('"status": "ran"' in line and '"t"' in line for line in lines)
    finally:
        process.terminate()
        assert process.wait(PATIENCE) == 143
        assert process.stdout is not None
        process.stdout.close()


def test_a_job_that_writes_what_it_reads_does_not_go_round_for_ever(project: Project) -> None:
    project.taskfile(
        '[tasks.t]\ninputs = "in"\noutputs = "out"\nrun = "date +%s%N >> in; cp {input} {output}; sleep 0.1"\n'
    )
    project.write("in", "1")
    with Watching(project) as watch:
        told = watch.until("waiting")
        texts = [event["text"] for event in told if event["event"] == "warning"]
        assert any("in changed in each of 3 builds in a row" in text for text in texts)
        assert watch.end() == 130


class Terminal:
    """`bt watch` on a terminal."""

    def __init__(self, project: Project, bt: list[str] = BT) -> None:
        pid, self.descriptor = pty.fork()
        if not pid:
            os.chdir(project.folder)
            environment = {**clean_environment(), "TERM": "xterm", "NO_COLOR": "1"}
            os.execve(bt[0], [*bt, "watch"], environment)  # noqa: S606  just what a terminal does
        self.pid = pid
        self.text = ""

    def until(self, pattern: str) -> str:
        """Wait until this is on the screen; what came since the last call."""
        deadline = time.monotonic() + PATIENCE
        while (found := re.search(pattern, self.text)) is None:
            ready, _, _ = select.select([self.descriptor], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"no {pattern!r} in {self.text!r}"
            self.text += os.read(self.descriptor, 4096).decode()
        seen, self.text = self.text[: found.end()], self.text[found.end() :]
        return seen

    def press(self, key: str) -> None:
        """Type something."""
        os.write(self.descriptor, key.encode())

    def wait(self) -> int:
        """The exit code."""
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        os.close(self.descriptor)
        return code


def test_keys(project: Project) -> None:
    project.taskfile(
        '[tasks.t]\ninputs = "in"\noutputs = "out"\nrun = "cat {input}; test -e there && cp {input} {output}"\n'
    )
    project.write("in", "some words\n")
    terminal = Terminal(project)
    terminal.until(r"failed +t")
    terminal.until(r"waiting for changes of 1 file in 1 directory · r rebuild, f force")
    terminal.press("l")
    terminal.until("some words")
    project.write("there", "")
    terminal.press("f")
    terminal.until(r"ran +t")
    terminal.until("waiting")
    project.remove("out")
    terminal.press("r")
    terminal.until(r"rebuild\r\n")
    terminal.until(r"unchanged +t +\(output out is missing\)")
    terminal.until("waiting")
    terminal.press("q")
    assert terminal.wait() == 0


def test_a_closed_terminal_ends_it(copy: Project) -> None:
    terminal = Terminal(copy)
    terminal.until("waiting")
    os.close(terminal.descriptor)
    assert os.waitstatus_to_exitcode(os.waitpid(terminal.pid, 0)[1]) == 143


def test_a_terminal_that_closes_just_before_keys_are_listened_to_ends_it(copy: Project) -> None:
    program = (
        "import contextlib, os, runpy, sys, termios, tty\n"
        "def gone(*_):\n"
        "    with contextlib.suppress(OSError):\n"
        "        os.write(1, b'closing')\n"
        "    raise termios.error(5, 'Input/output error')\n"
        "tty.setcbreak = gone\n"
        "sys.argv[0] = 'bt'\n"
        "runpy.run_module('buildtool', run_name='__main__')\n"
    )
    (copy.folder.parent / "gone.py").write_text(program)
    terminal = Terminal(copy, [sys.executable, str(copy.folder.parent / "gone.py")])
    terminal.until("closing")
    os.close(terminal.descriptor)
    assert os.waitstatus_to_exitcode(os.waitpid(terminal.pid, 0)[1]) == 143


def test_what_failed_stays_in_sight(project: Project) -> None:
    project.taskfile("""
        [tasks.bad]
        inputs = "a"
        outputs = "bad.out"
        run = "exit 7"
        [tasks.good]
        inputs = "b"
        outputs = "good.out"
        run = "cp {input} {output}"
    """)
    project.write("a", "")
    project.write("b", "1")
    terminal = Terminal(project)
    terminal.until("waiting")
    project.write("b", "2")
    terminal.until(r"changed: b")
    terminal.until(r"ran +good")
    terminal.until(r"still failed +bad +exit code 7")
    terminal.until("waiting")
    terminal.press("q")
    assert terminal.wait() == 0
