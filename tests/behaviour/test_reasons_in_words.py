"""Reasons for people: `bt why` by words and by how often, and dry runs of many jobs."""

from __future__ import annotations

import re

from support.project import Project

TASKS = """
[tasks.count]
inputs = ["config.toml", "a.txt"]
outputs = "out"
run = '''
wc -w < a.txt > {output}
true'''
"""


def counting(project: Project) -> Project:
    project.taskfile(TASKS)
    project.write("a.txt", "a\n")
    for number in range(3):
        project.write("config.toml", f"{number}\n")
        project.build()
    return project


def test_a_command_is_compared_by_words(project: Project) -> None:
    counting(project)
    project.taskfile(TASKS.replace("wc -w <", "wc -l -c <").replace("true", "true\nfalse"))
    lines = project.look("why", "out").out.splitlines()
    at = lines.index("  the command changed")
    assert lines[at + 1 : at + 3] == ["    wc [--w-]{+-l -c+} < a.txt > out", "    true{+"]
    assert lines[at + 3].strip() == "false+}"


def test_what_it_ran_for_most_often(project: Project) -> None:
    counting(project)
    assert "  ran        3 times, 2 because input config.toml changed" in project.look("why", "out").out
    project.write("a.txt", "b\n")
    assert "  ran 3 times, 2 because input config.toml changed" in project.look("why", "out").out


MANY = """
[tasks.slow]
foreach = { n = "{range}" }
outputs = "out/{n}"
params = { level = 1 }
run = "echo {params.level} {n} > {output}"

[tasks.all]
inputs = "out/*"
outputs = "all"
run = "cat {inputs} > {output}"
"""


def test_many_jobs_are_told_by_task(project: Project) -> None:
    text = MANY.replace('"{range}"', str(list(range(40))))
    project.taskfile(text)
    lines = project.look("build", "-n").out.splitlines()
    assert lines == [
        "task  will run  may run  fresh  because",
        "slow        40        0      0  never built here (40)",
        "all          1        0      0  never built here (1)",
        "41 will run",
    ]
    project.build()
    project.remove("out/7")
    project.taskfile(text.replace("level = 1", "level = 2"))
    lines = project.look("build", "-n").out.splitlines()
    assert lines[1].startswith("slow        40        0      0  the command changed (")
    assert lines[2].startswith("all          0        1      0  if slow 0 changes something (1)")
    verbose = project.look("build", "-n", "-v").out.splitlines()
    assert len(verbose) == 42


def test_how_long_it_will_take_is_learnt(project: Project) -> None:
    text = """
        [tasks.slow]
        foreach = { n = [1, 2, 3, 4] }
        inputs = "level"
        outputs = "out/{n}"
        run = "sleep 0.6; cat {input} > {output}"

        [tasks.all]
        inputs = "out/*"
        outputs = "all"
        run = "sleep 0.6; cat {inputs} > {output}"
        """
    project.taskfile(text)
    project.write("level", "1\n")
    assert "about" not in project.look("build", "-n").out
    project.build("-j4")
    project.write("level", "2\n")
    told = project.look("build", "-n", "-j2").out.splitlines()[-1]
    found = re.fullmatch(r"about (\d\.\d) s to (\d\.\d) s with 2 jobs at a time, as earlier runs took", told)
    assert found is not None, told
    will, most = map(float, found.groups())
    assert 1.1 < will < most
    assert (
        project.look("build", "-n", "-j1")
        .out.splitlines()[-1]
        .endswith("1 job at a time, as earlier runs took")
    )
