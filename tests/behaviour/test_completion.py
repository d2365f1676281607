"""Targets in the shell: asked as the shell's own completion asks."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from support.project import BT, Project, clean_environment
from support.terminal import Terminal

TASKFILE = """
    [vars]
    v = { sh = "touch canary" }
    [tasks.count]
    desc = "Count"
    inputs = "raw/{s}.txt"
    outputs = "build/{s}.n"
    run = "true"
    [tasks.report]
    inputs = "build/*.n"
    outputs = "out/report.html"
    run = "true {vars.v}"
    [tasks._hidden]
    run = "true"
"""


def complete(
    project: Project, line: str, *, cwd: Path | None = None, env: dict[str, str] | None = None
) -> list[str]:
    """What bash would be told for the last word of the line. Nothing but the note of it may change on the disk."""
    words = line.split(" ")
    asked = {
        "COMP_WORDS": "\n".join(words),
        "COMP_CWORD": str(len(words) - 1),
        "_BT_COMPLETE": "bash_complete",
    }
    before = traces(project)
    process = project.start(cwd=cwd or project.folder, env=clean_environment() | asked | (env or {}))
    out, err = process.communicate(timeout=60)
    assert err == ""
    assert process.returncode == 0
    assert traces(project) == before
    return [answer.removeprefix("plain,") for answer in out.splitlines() if answer]


def traces(project: Project) -> dict[str, tuple[int, ...]]:
    """All that shows a change, but for the note that completion leaves in a state folder that is there."""
    found = project.traces()
    return {path: trace for path, trace in found.items() if path not in (".bt", ".bt/names")}


def written(project: Project) -> Project:
    project.taskfile(TASKFILE)
    project.write("raw/A.txt", "")
    project.write("raw/B.txt", "")
    return project


@pytest.mark.parametrize("name", ["build", "why", "clean", "log", "graph", "status", "accept", "history"])
def test_tasks_and_files(project: Project, name: str) -> None:
    written(project)
    answers = complete(project, f"bt {name} ")
    assert answers == ["count", "report", "out/report.html", "build/A.n", "build/B.n"]


def test_what_was_typed_narrows_it(project: Project) -> None:
    written(project)
    assert complete(project, "bt build build/") == ["build/A.n", "build/B.n"]
    assert complete(project, "bt build -j 2 report rep") == ["report"]
    assert complete(project, "bt build _") == ["_hidden"]
    assert "history" in complete(project, "bt h")


def test_from_elsewhere(project: Project) -> None:
    written(project)
    assert complete(project, "bt build rep", cwd=project.folder / "raw") == ["report"]
    (project.folder / "out").mkdir()
    assert complete(project, "bt build rep", cwd=project.folder / "out") == ["report", "report.html"]
    assert complete(project, f"bt -C {project.folder} build out", cwd=project.folder.parent) == [
        "out/report.html"
    ]


def test_nothing_is_said_about_mistakes(project: Project) -> None:
    assert complete(project, "bt build ") == []
    project.taskfile("[tasks")
    assert complete(project, "bt build ") == []
    project.taskfile("[tasks.a]\noutputs = 'a{x}'\ninputs = '{y}'\nrun = '{z}'\n")
    assert complete(project, "bt build ") == ["a"]
    project.write(".bt/state.db", "rubbish")
    assert complete(project, "bt build ") == ["a"]


def test_the_shell_script(project: Project) -> None:
    for shell in ("bash", "zsh", "fish"):
        process = project.start(env=clean_environment() | {"_BT_COMPLETE": f"{shell}_source"})
        out, err = process.communicate(timeout=60)
        assert "_BT_COMPLETE" in out
        assert err == ""


def test_names_are_never_shell_code(project: Project) -> None:
    project.taskfile("""
        [tasks.up]
        inputs = "src/{n}.txt"
        outputs = "out/{n}.up"
        run = "cp {input} {output}"
    """)
    live = ("$(touch PWNED)", "x;touch PWNED", "a b", "`touch PWNED`", "y\ntouch PWNED", "q*", "~", "é-1,2")
    for name in live:
        project.write(f"src/{name}.txt", "")
    assert complete(project, "bt why out/") == ["out/é-1,2.up"]
    project.build()  # now files of these names are there for globs to find
    project.write("bin/bt", f'#!/bin/sh\nexec {" ".join(BT)} "$@"\n').chmod(0o755)
    script = """
        PATH="$PWD/bin:$PATH"
        eval "$(_BT_COMPLETE=bash_source bt)"
        for word in out/ 'out/\\$' out/x out/y; do
            COMP_WORDS=(bt why "$word") COMP_CWORD=2 COMPREPLY=()
            _bt_completion bt "$word" why
            for found in "${COMPREPLY[@]}"; do eval "echo $found"; done
        done
    """
    told = subprocess.run(
        ["bash", "-c", script],
        cwd=project.folder,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.stdout == "out/é-1,2.up\n", told.stderr
    assert not project.exists("PWNED")


NOTED = """
    include = ["more.toml"]
    [vars]
    fruit = { lines = "fruit.txt" }
    [tasks.copy]
    inputs = "raw/{s}.txt"
    outputs = "build/{s}.n"
    run = "cp {input} {output}"
    [tasks.deep]
    inputs = "deep/**/{s}.txt"
    outputs = "deep.out/{s}"
    run = "cp {input} {output}"
    [tasks.each]
    foreach = { w = "@who.txt" }
    outputs = "each/{w}"
    run = "echo > {output}"
    [tasks.row]
    foreach = { from = "rows.csv" }
    outputs = "row/{id}"
    run = "echo > {output}"
    [tasks.press]
    outputs = "juice/{vars.fruit}"
    run = "touch {output}"
"""
MORE = '[tasks.more]\noutputs = "more/file"\nrun = "echo > {output}"\n'


CHANGES: dict[str, Callable[[Project], object]] = {
    "nothing": lambda _: None,
    "a new source": lambda project: project.write("raw/C.txt", ""),
    "a source that is gone": lambda project: project.remove("raw/A.txt"),
    "a task": lambda project: project.write("Taskfile.toml", project.read("Taskfile.toml") + MORE),
    "an included task": lambda project: project.write("more.toml", MORE),
    "a line": lambda project: project.write("who.txt", "ann\neve\nian\n"),
    "a line of the same size and time": lambda project: same_time(project, "who.txt", "bob\nann\n"),
    "a row": lambda project: project.write("rows.csv", "id\n1\n3\n"),
    "a variable": lambda project: project.write("fruit.txt", "fig\n"),
    "a file far below": lambda project: project.write("deep/a/b/Z.txt", ""),
    "a directory that becomes a file": lambda project: relink(project, "deep/link", "../rows.csv"),
    "what a link leads to becomes a directory": lambda project: become_directory(project, "target.txt"),
    "a build": lambda project: project.build("-B", "copy"),
    "outputs that nothing makes": lambda project: project.write(
        "Taskfile.toml", project.read("Taskfile.toml").replace("build/{s}.n", "built/{s}.n")
    ),
    "no state": lambda project: project.remove(".bt/state.db"),
    "a damaged note": lambda project: project.write(".bt/names", project.read(".bt/names")[:-9]),
    "a note of nothing": lambda project: project.write(".bt/names", "[]"),
}


def same_time(project: Project, name: str, text: str) -> None:
    """Another content that looks the same but for the time of the change itself."""
    st = (project.folder / name).stat()
    project.write(name, text)
    assert (project.folder / name).stat().st_size == st.st_size
    os.utime(project.folder / name, ns=(st.st_atime_ns, st.st_mtime_ns))


def relink(project: Project, name: str, target: str) -> None:
    """Let a link lead elsewhere."""
    project.remove(name)
    (project.folder / name).symlink_to(target)


def become_directory(project: Project, name: str) -> None:
    """Put a directory where a file was."""
    project.remove(name)
    (project.folder / name).mkdir()


@pytest.fixture
def noted(project: Project) -> Project:
    """A project that was built and whose names are noted."""
    project.taskfile(NOTED)
    for name in ("raw/A.txt", "raw/B.txt", "deep/a/b/D.txt", "target.txt", "more.toml"):
        project.write(name, "")
    (project.folder / "deep/link").symlink_to("a")
    (project.folder / "raw/L.txt").symlink_to("../target.txt")
    project.write("fruit.txt", "kiwi\npear\n")
    project.write("who.txt", "ann\nbob\n")
    project.write("rows.csv", "id\n1\n2\n")
    project.build()
    for _ in range(20):  # until all files are older than a tick of the clock
        complete(project, "bt build ")
        if project.exists(".bt/names"):
            return project
    raise AssertionError("it is never noted")


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_noted_is_told_only_while_it_is_right(noted: Project, change: str) -> None:
    CHANGES[change](noted)
    told = complete(noted, "bt build ")
    (noted.folder / ".bt/names").unlink(missing_ok=True)
    assert told == complete(noted, "bt build ")
    assert len(told) > 10


def test_a_note_is_read_as_long_as_it_is_right(noted: Project) -> None:
    note = noted.folder / ".bt/names"
    note.write_text(note.read_text().replace('"build/A.n"', '"build/noted"'))
    assert "build/noted" in complete(noted, "bt build build/")
    assert complete(noted, f"bt -C {noted.folder} -f Taskfile.toml log build/n", cwd=noted.folder.parent) == [
        "build/noted"
    ]
    noted.write("elsewhere.toml", NOTED)
    assert "build/noted" not in complete(noted, "bt -f elsewhere.toml build build/")


def test_a_note_is_no_shell_code(noted: Project) -> None:
    note = noted.folder / ".bt/names"
    forged = note.read_text().replace('"build/A.n"', '"build/$(x)"').replace('"copy"', '"a\\nplain,b"')
    note.write_text(forged)
    told = complete(noted, "bt build ")
    assert "build/B.n" in told
    assert "b" not in told
    assert not any("$" in word for word in told)


def test_no_state_folder_is_made_for_it(project: Project) -> None:
    written(project)
    complete(project, "bt build ")
    assert not project.exists(".bt")


def test_executors(project: Project) -> None:
    project.taskfile('[executors.farm]\nbackend = "threads"\n[tasks.a]\nrun = "true"\n')
    assert complete(project, "bt build -e f") == ["farm"]
    assert complete(project, "bt watch --executor l") == ["local", "loky"]


def test_commands_and_options(project: Project) -> None:
    assert complete(project, "bt w") == ["watch", "why"]
    assert complete(project, "bt --c") == ["--color"]
    assert complete(project, "bt build --dry") == ["--dry-run"]


def test_a_shell_that_asks_for_nonsense_is_not_told_of_it(project: Project) -> None:
    for asked in ("bash_complete", "bash_rubbish", "nosuch_complete", "x"):
        process = project.start("build", env=clean_environment() | {"_BT_COMPLETE": asked})
        assert (*process.communicate(timeout=60), process.returncode) == ("", "", 0)


SHELLS = """
    [executors.farm]
    backend = "threads"
    [tasks.count]
    desc = "Count: 'each', and all"
    inputs = "raw/{s}.txt"
    outputs = "build/{s}.n"
    run = "true"
    [tasks.report]
    inputs = "build/*.n"
    outputs = "out/report.html"
    run = "true"
"""


@pytest.fixture
def on_path(project: Project) -> Project:
    """A project with `bt` as a command in `bin/`."""
    project.taskfile(SHELLS)
    for name in ("A", "B", "a b", "$(touch PWNED)"):
        project.write(f"raw/{name}.txt", "")
    project.write("bin/bt", f'#!/bin/sh\nexec {" ".join(BT)} "$@"\n').chmod(0o755)
    return project


@pytest.mark.skipif(shutil.which("fish") is None, reason="no fish is installed")
def test_fish_completes(on_path: Project) -> None:
    def told(line: str) -> list[str]:
        done = subprocess.run(
            ["fish", "--no-config", "-c", "_BT_COMPLETE=fish_source bt | source; complete -C $argv[1]", line],
            cwd=on_path.folder,
            env=clean_environment() | {"PATH": f"{on_path.folder}/bin:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.stderr, done.returncode) == ("", 0)
        return done.stdout.splitlines()

    words = [line.split("\t")[0] for line in told("bt build ")]
    assert sorted(words) == ["build/A.n", "build/B.n", "count", "out/report.html", "report"]
    assert told("bt why build/") == ["build/A.n", "build/B.n"]
    assert [line.split("\t")[0] for line in told("bt build rep")] == ["report"]
    assert told("bt build -e f") == ["farm"]
    assert told("bt hist")[0].split("\t") == ["history", "show past builds"]
    assert told("bt log co")[0].startswith("count\tCount: 'each'")
    assert not on_path.exists("PWNED")


@pytest.mark.skipif(shutil.which("zsh") is None, reason="no zsh is installed")
def test_zsh_completes(on_path: Project) -> None:
    path = f"{on_path.folder}/bin:{os.environ['PATH']}"
    with Terminal(on_path, env={"PATH": path, "PS1": "> "}, program=("zsh", "-f", "-i")) as terminal:

        def enter(line: str) -> None:
            terminal.press(f"{line}\r".encode())

        def typed(line: str, *words: str) -> list[str]:
            """What is seen once the words are, after the line and a tab; the line is taken away again."""
            terminal.press(f"{line}\t".encode())
            lines = terminal.until(lambda lines: all(word in "\n".join(lines) for word in words))
            terminal.press(b"\x15")
            enter("clear; echo cleared")
            terminal.until(lambda lines: "cleared" in lines)
            return lines

        enter("autoload -U compinit && compinit -D -u; echo ready $((6 * 7))")
        terminal.until(lambda lines: "ready 42" in lines)
        enter('eval "$(_BT_COMPLETE=zsh_source bt)"; clear; echo begun $((6 * 7))')
        terminal.until(lambda lines: "begun 42" in lines)
        lines = typed("bt build ", "out/report.html", "build/B.n")
        assert re.search(r"^count +-- Count: 'each', and all$", "\n".join(lines), re.MULTILINE)
        assert "$(touch" not in "".join(lines)
        typed("bt why build/", "build/A.n", "build/B.n")
        typed("bt build rep", "> bt build report")
        typed("bt build -e f", "> bt build -e farm")
        typed("bt hist", "> bt history")
        enter("exit")
        terminal.end()
    assert not on_path.exists("PWNED")
