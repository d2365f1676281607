"""The commands that a failure tells of, pasted into a shell: they meet the same failure again."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from support.project import BT, Project, Run, clean_environment

TASKS = """
[vars]
heat = 1

[tasks.cook]
outputs = "cook.txt"
run = "test {vars.heat} = 1 && touch {output}"

[tasks.greet]
outputs = "greeting"
run = "test {args} = fish && touch {output}"
"""


def plainly(project: Project, *words: str, cwd: Path | None = None) -> Run:
    """A build that must fail, as a person sees it."""
    code, out, err = project.call("build", *words, cwd=cwd or project.folder, env=None)
    assert code == 1, f"{out}{err}"
    return Run(code, out, err)


def told(text: str, label: str = "again") -> str:
    """The one command that stands behind the label."""
    [found] = re.findall(rf"^  {label} +(.*)$", text, re.MULTILINE)
    return str(found)


def paste(project: Project, command: str, *, cwd: Path | None = None, keys: str = "") -> Run:
    """Type a command into a shell, and then `keys`."""
    folder = project.folder.parent / "bin"
    folder.mkdir(exist_ok=True)
    program = folder / "bt"
    program.write_text(f'#!/bin/sh\nexec {" ".join(BT)} "$@"\n')
    program.chmod(0o755)
    environment = clean_environment()
    environment["PATH"] = f"{folder}{os.pathsep}{environment['PATH']}"
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=cwd or project.folder,
        env=environment,
        input=keys,
        capture_output=True,
        text=True,
        errors="surrogateescape",
        check=False,
    )
    return Run(done.returncode, done.stdout, done.stderr)


def block(text: str) -> str:
    """What is told of the failed job, without what other jobs did."""
    return text[text.index("\n\n") :].rpartition("\n\n")[0]


def meets_it_again(project: Project, *words: str) -> str:
    """A build that fails, and once more as it tells; how."""
    first = plainly(project, *words)
    second = paste(project, told(first.out))
    assert second.code == 1, second.err
    assert block(second.out) == block(first.out)
    return told(first.out)


@pytest.mark.parametrize("words", [["cook", "-s", "heat=9"], ["greet", "--", "a cow"]])
def test_what_was_set_and_what_stood_behind_is_repeated(project: Project, words: list[str]) -> None:
    project.taskfile(TASKS)
    meets_it_again(project, *words)
    first = plainly(project, *words)
    shell = paste(project, told(first.out, "by hand"))
    assert shell.code == 0, shell.err
    assert told(shell.out, "command") == told(first.out, "command")


def test_how_it_is_written(project: Project) -> None:
    project.taskfile(TASKS)
    first = plainly(project, "cook", "-j1", "-s", "heat=two words", "-e", "threads", "--", "a cow")
    assert told(first.out) == "bt build cook.txt -s 'heat=two words' -e threads -- 'a cow'"
    assert told(first.out, "by hand") == "bt build cook.txt -s 'heat=two words' -e threads --shell -- 'a cow'"


def test_the_folder_and_the_taskfile_are_repeated(project: Project) -> None:
    project.write("Alt.toml", TASKS)
    project.write("deep/x", "")
    words = ("-C", f"{project.folder.name}/deep", "-f", "../Alt.toml", "build", "cook", "-s", "heat=2")
    above = project.folder.parent
    code, out, err = project.call(*words, cwd=above, env=None)
    assert code == 1, err
    second = paste(project, told(out), cwd=above)
    assert (second.code, block(second.out)) == (1, block(out)), second.err


def test_secrets_are_not_repeated(project: Project) -> None:
    project.taskfile(f'[bt]\nsecrets = ["TOKEN"]\n{TASKS}')
    words = ("build", "cook", "-s", "heat=it's 0xC0FFEE", "--", "0xC0FFEE")
    _, out, _ = project.call(*words, cwd=project.folder, env={"TOKEN": "0xC0FFEE"})
    assert "cook: exit code 1" in out
    assert "0xC0FFEE" not in out
    assert told(out).endswith(" -- '***'")


@pytest.mark.parametrize(
    "name",
    [
        "b",
        "-dash",
        "--force",
        "two words",
        "it's $HOME",
        "a*c",
        "tab\there",
        "line\nline",
        "zw\u200cnj\\'",
        "\u200b1",
    ],
)
def test_outputs_of_any_name(project: Project, name: str) -> None:
    """It may be the name of a task, or of an option."""
    escaped = "".join(c if c.isprintable() and c != "\\" else f"\\u{ord(c):04x}" for c in name)
    project.write("fail.py", 'import sys\nprint("for", ascii(sys.argv[1]))\nsys.exit(5)\n')
    project.taskfile(
        f"""
        [tasks.a]
        outputs = "{escaped.replace("*", "[*]")}"
        run = "python3 fail.py {{output}}"

        [tasks.b]
        run = "echo another one"
        """
    )
    meets_it_again(project, "a")


def test_outputs_with_names_that_are_no_text(project: Project) -> None:
    project.write("in/no\udcffutf8", "")
    project.taskfile('[tasks.a]\ninputs = "in/{n}"\noutputs = "{n}"\nrun = "exit 5"\n')
    meets_it_again(project, "a")


def test_outputs_are_named_from_where_the_command_was_typed(project: Project) -> None:
    project.taskfile(
        """
        [tasks.outer]
        outputs = ["x/out.txt", "side"]
        run = "exit 3"

        [tasks.inner]
        outputs = "x/x/out.txt"
        run = "touch {output}"

        [tasks.folder]
        outputs = "made/"
        run = "exit 4"
        """
    )
    project.write("x/y/in", "")
    here = project.folder / "x"
    first = plainly(project, "outer", cwd=here)
    assert told(first.out) == "bt build out.txt"
    assert told(plainly(project, "folder", cwd=here / "y").out) == "bt build ../../made/"
    for command in (told(first.out), "bt build ../../made/"):
        where = here if command == told(first.out) else here / "y"
        assert told(paste(project, command, cwd=where).out) == command


CHECKS = """
[tasks.wild]
foreach = { n = [1, 2] }
inputs = "in"
run = "echo say {n}; exit 6"

[tasks.each]
inputs = "parts/{name}.c"
run = "grep -q good {input}"

[tasks.pair]
foreach = { a = ["q r", "p"], b = [1, 2] }
inputs = "in"
run = "exit 7"
"""


def checking(project: Project) -> Project:
    project.taskfile(CHECKS)
    project.write("in", "")
    project.write("parts/a.c", "good")
    project.write("parts/it's [b].c", "bad")
    return project


def test_a_job_without_outputs_goes_by_the_name_that_people_see(project: Project) -> None:
    checking(project)
    assert meets_it_again(project, "wild", "-j1") == "bt build 'wild 1'"
    assert project.bt("build", "wild 1").failed == ["wild 1"]
    assert project.bt("build", "wild 2").failed == ["wild 2"]
    assert meets_it_again(project, "each").startswith("bt build 'each it")
    assert project.build("each a").by_status("ran", "fresh") == ["each a"]
    assert project.build("each a", cwd=project.folder / "parts").by_status("fresh") == ["each a"]
    assert project.bt("build", "wild 3").code == 3
    assert "say 2" in project.look("log", "wild 2").out
    assert "wild 2" in project.look("why", "wild 2").out
    assert "1 failed" in project.look("status", "wild 2").out
    assert "failed" in project.look("history", "wild 2").out
    shell = paste(project, "bt build 'wild 2' --shell", keys="pwd\n")
    assert (shell.code, shell.out.splitlines()[-1]) == (0, str(project.folder))


def test_the_shell_tells_names_that_mean_one_job(project: Project) -> None:
    checking(project)
    code, _, err = project.call("build", "wild", "--shell", cwd=project.folder, env=None)
    hint = err.splitlines()[-1]
    assert code == 2
    assert hint.strip() == "hint: name one: `'wild 1'` and `'wild 2'`"
    for name in re.findall("`(.*?)`", hint):
        assert paste(project, f"bt build {name} --shell", keys="exit 8\n").code == 8


def test_what_may_mean_several_jobs_or_a_file_is_not_told(project: Project) -> None:
    checking(project)
    out = plainly(project, "pair", "-j1", "-k").out
    again = re.findall("^  again +bt build (.*)$", out, re.MULTILINE)
    assert again == ["pair", "pair", "'pair p 1'", "'pair p 2'"]
    project.write("wild 1", "")
    assert told(plainly(project, "wild", "-j1").out) == "bt build wild"
    assert project.build("wild 1").finished == {}


def test_a_job_that_is_known_late_goes_by_its_task(project: Project) -> None:
    project.taskfile(
        """
        [tasks.rows]
        outputs = "rows.csv"
        run = "printf 'n\\\\n1\\\\n2\\\\n' > {output}"

        [tasks.late]
        foreach = { from = "rows.csv" }
        inputs = "rows.csv"
        run = "exit {n}"
        """
    )
    assert told(plainly(project, "-j1").out) == "bt build late"


def test_jobs_that_do_not_run_are_not_looked_at(project: Project) -> None:
    """What another job of the task misses is nobody's business here."""
    project.taskfile('[tasks.t]\nforeach = { n = [1, 2] }\ninputs = "in{n}"\nrun = "true"\n')
    project.write("in1", "")
    assert project.build("t 1").ran == ["t 1"]


def test_what_stands_before_it_is_left_alone_again(project: Project) -> None:
    project.taskfile("""
        [tasks.before]
        inputs = "in"
        outputs = "middle"
        run = "cp {input} {output}"
        [tasks.t]
        inputs = "middle"
        outputs = "out"
        run = "exit 3"
    """)
    project.write("in", "")
    project.write("middle", "")
    assert told(plainly(project, "--only", "out").out) == "bt build out --only"
