"""A command of plain words is run without a shell: nobody can tell, except by how soon it begins."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
    words = direct(argv, env)
    assert words is not None
    there = os.path.realpath(tmp_path)
    assert run(words[1:], seen(env, words[0], there, shell[0]), tmp_path, words[0]) == run(
        argv, env, tmp_path
    )


def test_a_directory_keeps_the_name_that_it_was_reached_by(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    env = {"PATH": PATH, "PWD": str(tmp_path / "link")}
    words = direct((*BASH, "env"), env)
    assert words is not None
    where = os.path.realpath(tmp_path / "real")
    assert seen(env, words[0], where, "bash")["PWD"] == str(tmp_path / "link")
    assert f"PWD={tmp_path}/link".encode() in run((*BASH, "env"), env, tmp_path / "link").splitlines()


@given(st.text(st.characters(codec="ascii"), min_size=1, max_size=12))
def test_what_a_shell_reads_is_left_to_it(text: str) -> None:
    """Words that are taken apart without a shell are those that it would have passed on."""
    words = direct((*DASH, f"/bin/echo {text}"), {"PATH": PATH})
    if words is not None:
        told = subprocess.run((*DASH, f"/bin/echo {text}"), check=True, capture_output=True).stdout
        assert told == " ".join(words[2:]).encode() + b"\n"


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
        ),
    ],
)
def test_everything_else_is_a_shells(command: str) -> None:
    assert direct((*BASH, command), {"PATH": PATH}) is None


def test_a_shell_that_does_more_is_asked() -> None:
    more = ({"BASH_ENV": "x"}, {"BASH_FUNC_cp%%": "() { :; }"}, {"SHELLOPTS": "xtrace"}, {"EXECIGNORE": "/x"})
    for env in more:
        assert direct((*BASH, "cp a b"), {"PATH": PATH, **env}) is None
    for argv in (
        ("bash", "-l", "-c", "cp a b"),
        ("fish", "-c", "cp a b"),
        ("bash", "-x", "-e", "-c", "cp a b"),
    ):
        assert direct(argv, {"PATH": PATH}) is None
    for path in ("", ".:/usr/bin", "bin:/usr/bin"):
        assert direct((*BASH, "cp a b"), {"PATH": path}) is None


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
