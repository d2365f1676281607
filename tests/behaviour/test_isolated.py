"""`isolated`: a job that sees its declared inputs alone."""

from __future__ import annotations

import os
import signal

import pytest

from support.project import Project


def test_it_sees_its_inputs_alone_and_its_outputs_come_out(project: Project) -> None:
    project.taskfile('''
        [tasks.a]
        inputs = { one = "in/one", folder = "deep/", many = "m/*" }
        needs = "needed"
        outputs = ["out/a b", "dir/", "parts/*"]
        isolated = true
        run = """
        find . -type l | sort > {output[0]}
        cat {input.one} m/* deep/x needed
        mkdir -p dir; echo > dir/f; echo > parts/p
        """
    ''')
    for name in ("in/one", "in/two", "deep/x", "m/1", "m/2", "needed", "undeclared"):
        project.write(name, name)
    assert project.build().ran == ["a"]
    assert project.read("out/a b").splitlines() == [
        "./deep",
        "./in/one",
        "./m/1",
        "./m/2",
        "./needed",
    ]
    assert project.exists("dir/f")
    assert project.exists("parts/p")
    assert not project.exists(".bt/isolated/1-1")
    assert project.build().ran == []
    project.write("in/one", "changed")
    assert project.build().ran == ["a"]


@pytest.mark.parametrize(
    "body",
    [
        'run = "cat in ref.fa > {output}"',
        'call = "steps:f"',
        'cwd = "sub"\nrun = "cat ../in ../ref.fa > {output}"',
    ],
)
def test_an_undeclared_input_is_not_there_and_is_named(project: Project, body: str) -> None:
    project.taskfile(f'[tasks.a]\ninputs = "in"\noutputs = "out"\nisolated = true\n{body}\n')
    project.write("steps.py", "def f(input, output): output.write_text(open('ref.fa').read())\n")
    (project.folder / "sub").mkdir()
    project.write("in", "1")
    project.write("ref.fa", "2")
    run = project.bt("build")
    assert run.code == 1
    assert (
        "`ref.fa` is in the project and not among its inputs: add it to `inputs`"
        in run.finished["a"]["details"]
    )
    project.write("Taskfile.toml", project.read("Taskfile.toml").replace('"in"', '["in", "ref.fa"]').encode())
    assert project.build().ran == ["a"]


@pytest.mark.parametrize("executor", ["local", "threads", "processes", "loky"])
def test_functions_are_isolated_on_every_executor(project: Project, executor: str) -> None:
    project.taskfile("""
        [tasks.f]
        foreach = { n = [1, 2, 3] }
        inputs = "in/{n}"
        outputs = "out/{n}"
        isolated = true
        call = "steps:f"
    """)
    project.write(
        "steps.py",
        "import os\ndef f(input, output): output.write_text(input.read_text() + str(os.listdir('in')))\n",
    )
    for n in "123":
        project.write(f"in/{n}", n)
    project.build("-j3", "-e", executor)
    assert [project.read(f"out/{n}") for n in "123"] == [f"{n}['{n}']" for n in "123"]


def test_what_it_wrote_elsewhere_stays_there(project: Project) -> None:
    project.taskfile("""
        [tasks.a]
        outputs = "out/x"
        isolated = true
        run = "echo > out/y"
    """)
    run = project.bt("build")
    assert run.code == 1
    assert "did you mean `out/y`?" in run.finished["a"]["details"]
    assert not project.exists("out/y")


def test_a_depfile_comes_out_too(project: Project) -> None:
    project.taskfile("""
        [tasks.a]
        inputs = ["in", "h"]
        outputs = "out"
        depfile = "out.d"
        isolated = true
        run = "cat in h > out; echo 'out: h' > out.d"
    """)
    project.write("in", "")
    project.write("h", "")
    assert project.build().ran == ["a"]
    assert not project.exists("out.d")
    assert project.build().ran == []


def test_a_killed_build_leaves_no_box(project: Project) -> None:
    project.taskfile("""
        [tasks.a]
        inputs = "in"
        outputs = "out"
        isolated = true
        run = "echo half > out; echo > $FIFO; sleep 60"
        env = { FIFO = "begun" }
    """)
    project.write("in", "")
    os.mkfifo(project.folder / "begun")
    project.write(
        "Taskfile.toml",
        project.read("Taskfile.toml").replace('"begun"', f'"{project.folder}/begun"').encode(),
    )
    process = project.start("build")
    try:
        project.read("begun")
        process.send_signal(signal.SIGKILL)
    finally:
        process.kill()
        process.communicate()
    assert os.listdir(project.folder / ".bt/isolated")
    project.write(
        "Taskfile.toml", project.read("Taskfile.toml").replace("echo > $FIFO; sleep 60", "").encode()
    )
    assert project.build().ran == ["a"]
    assert not os.listdir(project.folder / ".bt/isolated") if project.exists(".bt/isolated") else True
