"""`bt build TARGET --shell`: where a job runs, with the variables that it is given."""

from __future__ import annotations

import subprocess

from support.project import BT, Project, clean_environment
from support.terminal import Terminal

TASKS = """
[env]
LEVEL = "high"

[tasks.count]
inputs = "texts/{name}.txt"
outputs = "build/{name}.count"
cwd = "texts"
env = { WHO = "{name}" }
run = "wc -w < {input} > {output}"

[tasks.report]
inputs = "build/*.count"
outputs = "report.txt"
call = "steps:report"
"""
STEPS = "def report(inputs, output): output.write_text(str(len(inputs)))\n"


def words_to(project: Project, target: str, text: str) -> subprocess.CompletedProcess[str]:
    """Type into the shell."""
    return subprocess.run(
        [*BT, "build", target, "--shell"],
        input=text,
        cwd=project.folder,
        env=clean_environment() | {"STRAY": "yes"},
        capture_output=True,
        text=True,
        check=False,
    )


def counting(project: Project) -> Project:
    project.taskfile(TASKS)
    project.write("steps.py", STEPS)
    project.write("texts/fish.txt", "one fish\n")
    project.write("texts/swallow.txt", "one swallow\n")
    return project


def test_it_is_where_the_job_runs_with_its_variables(project: Project) -> None:
    counting(project)
    done = words_to(project, "build/fish.count", 'pwd; echo "$LEVEL $WHO [${STRAY-}]"; exit 3\n')
    assert done.returncode == 3
    lines = done.stdout.splitlines()
    assert lines[0] == "count fish: `exit` leaves"
    assert lines[1].split() == ["in", "texts/"]
    assert lines[2].split(None, 1) == ["command", "wc -w < fish.txt > ../build/fish.count"]
    assert lines[3:] == [f"{project.folder}/texts", "high fish []"]


def test_the_command_that_is_shown_does_what_the_job_does(project: Project) -> None:
    counting(project)
    shown = words_to(project, "build/fish.count", "").stdout.splitlines()[2].split(None, 1)[1]
    assert words_to(project, "build/fish.count", shown).returncode == 0
    assert project.read("build/fish.count").split() == ["2"]


def test_a_command_of_several_lines_is_shown_as_it_is(project: Project) -> None:
    project.taskfile('[tasks.a]\noutputs = \'a\'\nrun = """\nif true\nthen\n  echo b > {output}\nfi\n"""\n')
    lines = words_to(project, "a", "").stdout.splitlines()[2:]
    assert lines == ["  command  if true", *(" " * 11 + line for line in ("then", "  echo b > a", "fi"))]


def test_functions_can_be_imported_there(project: Project) -> None:
    counting(project)
    done = words_to(project, "report.txt", 'python3 -c "import steps; print(steps.report.__name__)"')
    assert done.stdout.splitlines()[-1] == "report"
    assert not (project.folder / ".bt/state.db").exists()


def test_it_is_for_one_job(project: Project) -> None:
    counting(project)
    done = words_to(project, "count", "")
    assert done.returncode == 2
    assert "`--shell` is for one job, and 2 jobs are meant" in done.stderr
    assert "`build/fish.count`" in done.stderr
    assert project.bt_plainly("build", "--shell").code == 2
    assert project.bt_plainly("build", "report", "--shell", "-n").code == 2


def test_on_a_terminal_it_asks_for_words(project: Project) -> None:
    counting(project)
    with Terminal(project, "build", "build/fish.count", "--shell") as terminal:
        terminal.until(lambda lines: lines[-1:] == ["(count fish) $"])
        terminal.press(b"echo $WHO\n")
        terminal.until(lambda lines: "fish" in lines)
        terminal.press(b"exit 4\n")
        terminal.end()
        assert terminal.code == 4


def test_a_failure_tells_of_it(project: Project) -> None:
    project.taskfile('[tasks.bad]\noutputs = "a"\nrun = "exit 7"\n')
    run = project.bt_plainly("build")
    assert "\n  again      bt build a\n  by hand    bt build a --shell\n" in run.out
