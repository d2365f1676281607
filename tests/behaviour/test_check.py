"""`bt check`: all that is wrong, at once, and nothing is run."""

from __future__ import annotations

from textwrap import dedent

import pytest

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
    err = project.look("check", code=2).err
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


@pytest.mark.parametrize("second", ['["y", "x"]', '["x", "y"]', '{ one = "x", two = "y" }', '["y", "x/z"]'])
def test_two_tasks_for_one_file_hide_nothing_else(project: Project, second: str) -> None:
    first = "x/" if "x/z" in second else "x"
    project.taskfile(f"""
        [tasks.a]
        outputs = "{first}"
        run = "true {{output}}"
        [tasks.b]
        inputs = "nope"
        outputs = {second}
        run = "true {{outputs[1]}}"
        [tasks.c]
        inputs = "d.out"
        outputs = "c.out"
        run = "true"
        [tasks.d]
        inputs = "c.out"
        outputs = "d.out"
        run = "true"
        [tasks.e]
        inputs = "y"
        outputs = "e.out"
        run = "true"
        [tasks.last]
        outputs = "b"
        run = "true"
    """)
    run = project.look("check", code=2)
    for part in ("`x", "these jobs wait for each other: c.out → d.out → c.out", "`nope`: no such file"):
        assert part in run.err
    assert "3 errors" in run.err
    assert "warning" not in run.err
    assert project.bt("build").code == 2


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


def told(project: Project, code: int = 2) -> list[str]:
    """The errors of `bt check`, each as line and summary."""
    err = project.look("check", code=code).err
    return [line.removeprefix("Taskfile.toml:") for line in err.splitlines() if ": error: " in line]


def test_everything_in_one_round(project: Project) -> None:
    project.taskfile("""
        [bt]
        jobs = "many"
        default = ["nope", "one", "neither"]
        [vars]
        odd = { csv = 3, column = "x" }
        gone = { csv = "gone.csv", column = "x" }
        [tasks.one]
        outputs = "one"
        timeout = "soon"
        params = { k = 1979-01-01, l = 2 }
        run = "echo {output} {params.k} {nope} {vars.odd}"
        ignore = ["env.m", "inputs.foo"]
        [tasks.two]
        inputs = "nowhere.txt"
        outputs = "{vars.odd}/two"
        run = "echo {input.x}"
        [tasks.three]
        foreach = { n = ["", "a/b", "c", "a/b"] }
        outputs = "three/{n}"
        run = "true {depfile}"
    """)
    assert told(project) == [
        "2:8: error: `jobs` must be a whole number, not text",
        "5:15: error: `vars.odd.csv` must be text, not a number",
        "6:1: error: `gone.csv`: no such file",
        "9:11: error: `timeout` cannot be `soon`",
        "10:16: error: `params.k` must be text, a number, `true` or `false`, a list or a table, "
        "not a date or time",
        "11:33: error: unknown `{nope}`",
        "12:1: error: `ignore` names `env.m`, which the task does not have",
        "12:1: error: `ignore` names `inputs.foo`, which the task does not have",
        "16:13: error: `{input.x}`: `inputs` has no name `x`",
        "18:1: error: `` cannot be a value of `{n}`: it is empty",
        "18:1: error: `a/b` cannot be a value of `{n}`: it holds `/` (write `{n:**}` to allow that)",
        "20:13: error: `{depfile}` is used, and the task has no `depfile`",
    ]


def test_graphs_are_looked_at_as_far_as_they_are_known(project: Project) -> None:
    project.taskfile("""
        [bt]
        default = ["nope", "one", "neither"]
        [tasks.one]
        inputs = "missing.txt"
        outputs = "one"
        retries = "twice"
        run = "echo {nope}"
    """)
    assert [line.split(":")[0] for line in told(project)] == ["2", "2", "4", "6", "7"]
    # What a wrong task makes is not known: nothing is said of files that nobody seems to make.
    project.taskfile("""
        [tasks.one]
        ouputs = "one"
        run = "touch one"
        [tasks.two]
        inputs = "one"
        outputs = "two"
        run = "touch two"
    """)
    assert told(project) == ["2:1: error: unknown key `ouputs`"]


def test_a_table_that_is_misspelt_says_nothing_of_what_is_in_it(project: Project) -> None:
    project.taskfile("""
        [var]
        x = "1"
        [tasks.one]
        run = "echo {vars.x}"
    """)
    assert told(project) == ["1:2: error: unknown key `var`"]


def test_an_output_in_what_is_a_file(project: Project) -> None:
    project.taskfile(
        '[tasks.a]\noutputs = ["a", "a/b"]\nrun = "true"\n[tasks.b]\noutputs = ["{x}", "{x}/b"]\n'
        'foreach = { x = ["c"] }\nrun = "true"'
    )
    err = project.look("check", code=2).err
    assert "`a/b` cannot lie in `a`, which is a file" in err
    assert "`{x}/b` cannot lie in `{x}`, which is a file" in err
    assert "hint: declare `a/` as a directory" in err


def test_directories_and_shells_that_are_not_there(project: Project) -> None:
    project.taskfile("""
        [tasks.a]
        cwd = "none"
        inputs = "in"
        run = "true"
        [tasks.b]
        outputs = "made/b"
        cwd = "made"
        run = "touch b"
        [tasks.c]
        shell = "none/sh -e"
        inputs = "in"
        run = "true"
        [tasks.d]
        shell = "bt-has-no-such-shell"
        inputs = "in"
        run = "true"
        [tasks.e]
        needs = "b"
        inputs = "in"
        cwd = "later"
        run = "true"
        [tasks.f]
        cwd = "nowhere"
        shell = "/no/such/shell"
        inputs = "in"
        run = "true"
    """)
    project.write("in", "")
    err = project.look("check", code=2).err
    assert "`nowhere/`: no such directory" in err
    assert "no such program: `/no/such/shell`" in err
    for part in ("`none/`: no such directory", "`none/sh`", "`bt-has-no-such-shell`", "5 errors"):
        assert part in err
    assert project.build("b").ran == ["b"]


def test_a_missing_file_of_variables_is_told_once(project: Project) -> None:
    project.taskfile('[tasks.t]\noutputs = "a"\ndotenv = "x.env"\nrun = "touch a"')
    assert project.look("check", code=3).err.count("x.env`") == 1


def test_the_way_out_of_a_circle_is_where_it_is(project: Project) -> None:
    project.taskfile('[tasks.a]\nneeds = "b"\nrun = "true"\n[tasks.b]\nneeds = "a"\nrun = "true"')
    assert "out of the `needs` or `after` of another" in project.look("check", code=3).err


def test_values_that_mean_nothing(project: Project) -> None:
    project.taskfile("""
        [tasks.t]
        outputs = "a"
        hash = "bits"
        resources = { cpus = 0 }
        env = { "A B" = "1" }
        run = "touch a"
    """)
    err = project.look("check", code=2).err
    assert "must be more than 0" in err
    assert "`A B` cannot be the name of an environment variable" in err
    project.taskfile('[tasks.t]\noutputs = "a"\nhash = "bits"\nrun = "touch a"')
    assert "hint: did you mean `bytes`?" in project.look("check", code=2).err
    project.taskfile('[tasks.t]\noutputs = "a"\nhash = "sort"\nrun = "touch a"')
    project.look("check")


WAYS_OUT = {
    "run = 'echo {params.k}'": "add `k` to `params`",
    "run = 'echo {vars.k}'": "add `k` to `[vars]`",
    "run = 'echo {input}'": "add `inputs`, or write `{{input}}` for plain braces",
    "inputs = ['s']\nrun = 'echo {input[1]}'": "there is only one, `{input[0]}`",
    "inputs = { one = 's' }\nrun = 'echo {input.other}'": "there is `one`",
    "run = 'echo {output.x}'": 'give it that name: `outputs = { x = "…" }`',
    "script = 'none.py'": "paths begin at the folder of the Taskfile",
    "inputs = 'raw/*'\nrun = 'true'": "paths begin at the folder of the Taskfile",
    "foreach = { from = 'none.csv' }\nrun = 'true'": "paths begin at the folder of the Taskfile",
}


@pytest.mark.parametrize(("task", "way"), WAYS_OUT.items(), ids=WAYS_OUT)
def test_there_is_a_way_out(project: Project, task: str, way: str) -> None:
    project.write("s", "")
    project.taskfile(f"[tasks.t]\noutputs = 'a'\n{task}")
    run = project.bt("check")
    assert run.code in (2, 3)
    assert way in run.err


CERTAIN = """
    [tasks.a]
    inputs = "b.out"
    outputs = "a.out"
    run = "true"
    [tasks.b]
    inputs = "a.out"
    outputs = "b.out"
    run = "true"
    [tasks.c]
    inputs = ["nope.txt", "made/x.txt", "made/dir/y.txt"]
    outputs = "c.out"
    run = "true"
"""
CIRCLE = "these jobs wait for each other: a.out → b.out → a.out"
LACKS, X, Y = (f"`{name}`: no such file" for name in ("nope.txt", "made/x.txt", "made/dir/y.txt"))


@pytest.mark.parametrize(
    ("task", "told_of"),
    [
        ('outputs = "made/**"\nrun = 3', [CIRCLE, LACKS]),
        ('outputs = ["made/x.txt", "made/dir/"]\ninputs = "{n"\nrun = "true"', [CIRCLE, LACKS]),
        ('inputs = "nope.txt"\nrun = 3', [CIRCLE, LACKS, X, Y]),
        ('outputs = "{n"\nrun = "true"', [CIRCLE]),
        ('ouputs = "nope.txt"\nrun = "true"', [CIRCLE]),
    ],
    ids=["run", "inputs", "no outputs", "outputs", "misspelt"],
)
def test_a_task_that_cannot_be_read_hides_nothing_that_it_cannot_change(
    project: Project, task: str, told_of: list[str]
) -> None:
    project.taskfile(CERTAIN + f"    [tasks.wrong]\n{task}")
    err = project.look("check", code=2).err
    assert f"{1 + len(told_of)} errors" in err
    for part in (CIRCLE, LACKS, X, Y):
        assert (part in err) == (part in told_of), part


def test_a_file_to_include_that_is_not_there_hides_no_circle(project: Project) -> None:
    project.taskfile('include = "more.toml"\n' + dedent(CERTAIN))
    err = project.look("check", code=2).err
    assert "no file `more.toml` to include" in err
    assert CIRCLE in err
    assert "2 errors" in err
    project.write("more.toml", "[tasks.d]\noutputs = ")
    assert CIRCLE in project.look("check", code=2).err
    assert CIRCLE not in project.bt("build").err
