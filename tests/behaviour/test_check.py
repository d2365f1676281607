"""`bt check`: all that is wrong, at once, and nothing is run."""

from __future__ import annotations

from textwrap import dedent

from support.project import Project


def test_nothing_wrong(project: Project) -> None:
    project.taskfile("""
        [tasks.up]
        inputs = "in/{s}"
        outputs = "out/{s}"
        run = "cp {input} {output}"
        [tasks.all]
        needs = "out/*"
    """)
    project.write("in/A", "")
    project.write("in/B", "")
    assert project.look("check").out == "Taskfile.toml: 2 tasks, 2 jobs, nothing wrong\n"


def test_wrong_keys(project: Project) -> None:
    project.taskfile("[tasks.a]\nrnu = 'true'\n[tasks.b]\nrun = 3\n")
    run = project.look("check", code=2)
    assert "rnu" in run.err
    assert "Taskfile.toml:4:" in run.err


def test_wrong_meanings(project: Project) -> None:
    project.taskfile("""
        [vars]
        unused = { csv = "none.csv", column = "x" }
        [tasks.a]
        outputs = "x"
        run = "echo {inptus}"
        [tasks.b]
        outputs = "y"
        run = "echo {input}"
    """)
    err = project.look("check", code=3).err
    for part in ("`none.csv`: no such file", "unknown `{inptus}`", "the task has no `inputs`", "3 errors"):
        assert part in err


def test_two_tasks_for_one_file(project: Project) -> None:
    project.taskfile("""
        [tasks.a]
        outputs = "x"
        run = "true"
        [tasks.b]
        outputs = "x"
        run = "true"
    """)
    assert "tasks `a` and `b` can both make `x`" in project.look("check", code=2).err


def test_wrong_graphs(project: Project) -> None:
    project.taskfile("""
        [tasks.a]
        inputs = "b.out"
        outputs = "a.out"
        run = "true"
        [tasks.b]
        inputs = "a.out"
        outputs = "b.out"
        run = "true"
        [tasks.self]
        inputs = "self.out"
        outputs = "self.out"
        run = "true"
        [tasks.command]
        needs = "nope.txt"
        run = "true"
        [tasks.unzip]
        inputs = "{name}.zip"
        outputs = "{name}.unzipped"
        run = "true"
        [tasks.on_demand]
        outputs = "{name}.made"
        run = "true"
    """)
    err = project.look("check", code=3).err
    for part in (
        "a.out → b.out → a.out",
        "`nope.txt`: no such file, and no task makes it",
        "task `unzip` has nothing to do: nothing matches `{name}.zip`",
    ):
        assert part in err
    assert "on_demand" not in err


def test_two_circles(project: Project) -> None:
    tasks = [
        f'[tasks.{one}]\ninputs = "{other}.out"\noutputs = "{one}.out"\nrun = "true"'
        for one, other in ("ab", "ba", "cd", "dc")
    ]
    project.taskfile("\n".join(tasks))
    err = project.look("check", code=3).err
    assert "a.out → b.out → a.out" in err
    assert "c.out → d.out → c.out" in err
    assert "2 errors" in err


def test_a_file_with_variables_that_is_missing(project: Project) -> None:
    project.taskfile('[tasks.a]\ndotenv = ".env"\nrun = "true"\n')
    assert "`.env`: no such file" in project.look("check", code=3).err


def test_commands_that_give_values(project: Project) -> None:
    project.taskfile("""
        [vars]
        rev = { sh = "touch canary; echo 1" }
        [tasks.a]
        outputs = "{vars.rev}.out"
        track = { cmd = "touch canary" }
        run = "true"
    """)
    assert project.look("check", "-v").out == dedent("""\
        vars.rev: `touch canary; echo 1` is run by `bt build`
        tasks.a.track: `touch canary` is run by `bt build`
        Taskfile.toml: 1 task, 1 job, nothing wrong
    """)
    for words in (["graph"], ["graph", "--tasks"], ["history"], ["list"]):
        project.look(*words)
    project.look("log", code=3)
    project.look("log", "a", code=3)
    assert project.files() == ["Taskfile.toml"]
