"""A command of plain words is run without a shell: nobody can tell, except by how soon it begins."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildtool.executors import processes
from buildtool.executors.direct import direct, seen
from tests.support.project import Project

BASH = ("bash", "-e", "-u", "-o", "pipefail", "-c")
DASH = ("dash", "-e", "-c")
PATH = os.environ["PATH"]
SHOW = "import os, sys; print(sys.argv[1:], sorted(os.environb.items()), os.getcwd())"


def run(argv: tuple[str, ...], env: dict[str, str], cwd: Path, program: str | None = None) -> bytes:
    """What a program prints."""
    return subprocess.run(
        argv, executable=program, env=env, cwd=cwd, check=True, stdin=subprocess.DEVNULL, capture_output=True
    ).stdout


@pytest.mark.parametrize("shell", [BASH, DASH])
@pytest.mark.parametrize(
    "more", [{}, {"SHLVL": "3", "PWD": "/", "_": "x", "A": "ü"}, {"SHLVL": "-2", "PWD": "b"}]
)
def test_a_program_sees_what_a_shell_would_hand_it(
    tmp_path: Path, shell: tuple[str, ...], more: dict[str, str]
) -> None:
    show = tmp_path / "show"
    show.write_text(f"#!{sys.executable} -IS\n{SHOW}\n")
    show.chmod(0o755)
    env = {"PATH": PATH, **more}
    argv = (*shell, f"{show} a -b c=d ./e,f  x:y@z%^ \n")
    found = direct(argv, env, str(tmp_path))
    assert found is not None
    there = os.path.realpath(tmp_path)
    assert run(found.argv, seen(env, found.program, there, shell[0]), tmp_path, found.program) == run(
        argv, env, tmp_path
    )


def test_a_directory_keeps_the_name_that_it_was_reached_by(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    env = {"PATH": PATH, "PWD": str(tmp_path / "link")}
    found = direct((*BASH, "env"), env, str(tmp_path))
    assert found is not None
    where = os.path.realpath(tmp_path / "real")
    assert seen(env, found.program, where, "bash")["PWD"] == str(tmp_path / "link")
    assert f"PWD={tmp_path}/link".encode() in run((*BASH, "env"), env, tmp_path / "link").splitlines()


@given(st.text(st.characters(codec="ascii"), min_size=1, max_size=12))
def test_what_a_shell_reads_is_left_to_it(text: str) -> None:
    """Words that are taken apart without a shell are those that it would have passed on."""
    found = direct((*DASH, f"/bin/echo {text}"), {"PATH": PATH}, "/")
    if found is not None and found.source is found.target is None:
        told = subprocess.run((*DASH, f"/bin/echo {text}"), check=True, capture_output=True).stdout
        assert told == " ".join(found.argv[1:]).encode() + b"\n"


@pytest.mark.parametrize(
    "command",
    [
        *(
            "echo a",
            "true",
            "time cp a b",
            "cp a b; true",
            "cp $A b",
            "cp ~/a b",
            "A=1 env",
            "cp * b",
            "cp {a,b} c",
        ),
        *(
            "cp a b\ncp b c",
            "cp 'a' b",
            "cp a b &",
            "no-such-program a",
            "./script",
            "! cp a b",
            "cp a b # c",
            "-x",
            "cat a >> b",
            "cat a 2> b",
            "cat a > b c",
            "cat a > b > c",
            "cat a > b < c",
            "cat a >& b",
            "cat < no-such-file > b",
            "cat <a >b <c",
            "cat a > tmp",
        ),
    ],
)
def test_everything_else_is_a_shells(command: str) -> None:
    assert direct((*BASH, command), {"PATH": PATH}, "/") is None


def test_a_shell_that_does_more_is_asked() -> None:
    more = ({"BASH_ENV": "x"}, {"BASH_FUNC_cp%%": "() { :; }"}, {"SHELLOPTS": "xtrace"}, {"EXECIGNORE": "/x"})
    for env in more:
        assert direct((*BASH, "cp a b"), {"PATH": PATH, **env}, "/") is None
    for argv in (
        ("bash", "-l", "-c", "cp a b"),
        ("fish", "-c", "cp a b"),
        ("bash", "-x", "-e", "-c", "cp a b"),
    ):
        assert direct(argv, {"PATH": PATH}, "/") is None
    for path in ("", ".:/usr/bin", "bin:/usr/bin"):
        assert direct((*BASH, "cp a b"), {"PATH": path}, "/") is None


def test_a_script_that_names_no_interpreter_is_read_by_the_shell(project: Project) -> None:
    script = project.write("bin/hello", "echo hello > $1\n")
    script.chmod(0o755)
    project.taskfile(f"""
        [tasks.t]
        outputs = "a"
        run = "{script} {{output}}"
    """)
    assert project.bt("build").ran == ["t"]
    assert project.read("a") == "hello\n"


@given(
    st.lists(
        st.sampled_from(["a", "-b", "<", ">", "< ", "> ", "<in", ">out", "in", "out", "2>", "new"]),
        max_size=6,
    )
)
def test_files_are_given_to_a_program_as_a_shell_does(
    tmp_path_factory: pytest.TempPathFactory, words: list[str]
) -> None:
    """Whatever is not left to the shell leaves the same files and the same exit code."""
    command = " ".join(["/bin/cat", *words])
    ends = []
    for started in (True, False):
        folder = tmp_path_factory.mktemp("d")
        for name, text in (("in", "read\n"), ("a", "argument\n"), ("out", "old and longer\n")):
            (folder / name).write_text(text)
        found = direct((*DASH, command), {"PATH": PATH}, str(folder))
        if found is None:
            return
        argv = found.argv if started else (*DASH, command)
        told = tmp_path_factory.mktemp("told") / "told"
        with told.open("wb") as output:
            before = os.getcwd()
            os.chdir(folder)
            try:
                files = (found.source, found.target) if started else (None, None)
                pid = processes.start(argv, str(folder), {"PATH": PATH}, output.fileno(), files=files)
            finally:
                os.chdir(before)
            code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        left = {path.name: (path.read_bytes(), path.stat().st_mode) for path in folder.iterdir()}
        ends.append((code, left, told.read_bytes()))
    assert ends[0] == ends[1]


def test_a_pipe_is_opened_by_the_shell(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for command in ("cat < pipe", "cat a > pipe"):
        assert direct((*DASH, command), {"PATH": PATH}, str(tmp_path)) is None
    assert direct((*DASH, "cat > /dev/null"), {"PATH": PATH}, str(tmp_path)) is not None


def test_what_cannot_be_written_is_told_in_the_words_of_the_shell(project: Project) -> None:
    project.taskfile(
        """
        [tasks.t]
        outputs = "a"
        run = "ls > no/such/folder"
        """
    )
    run = project.bt_plainly("build")
    assert run.code == 1
    assert "no/such/folder: No such file or directory" in run.out
