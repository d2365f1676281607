"""Builds in GitHub Actions: what failed is marked where it is written, and its words are folded."""

from __future__ import annotations

from support.project import Project

ENVIRONMENT = {"GITHUB_ACTIONS": "true"}
TASKS = """
[tasks.bad]
foreach = { n = ["50%, or so: much"] }
outputs = "out/{n}"
run = "echo the cause >&2; exit 3"
"""


def test_a_failure_is_an_error_at_its_task(project: Project) -> None:
    project.taskfile(TASKS)
    env = {**ENVIRONMENT, "GITHUB_WORKSPACE": str(project.folder.parent)}
    run = project.bt_plainly("build", env=env)
    assert run.code == 1
    lines = run.out.splitlines()
    assert lines[1] == "::group::bad 50%, or so: much"
    end = lines.index("::endgroup::")
    assert "    the cause" in lines[1:end]
    place = f"file={project.folder.name}/Taskfile.toml,line=4"
    assert lines[end + 1] == f"::error {place},title=bad 50%25%2C or so%3A much::exit code 3"
    assert lines[end + 2].startswith("1 failed in ")


def test_outside_of_the_workspace_paths_are_those_of_the_project(project: Project) -> None:
    project.taskfile(TASKS)
    run = project.bt_plainly("build", env=ENVIRONMENT)
    assert "::error file=Taskfile.toml,line=4," in run.out


def test_a_warning_is_one(project: Project) -> None:
    project.taskfile("[tasks.a]\noutputs = 'a'\nrun = 'echo > a'\n")
    project.build()
    project.write("a", "edited\n")
    run = project.bt_plainly("build", env=ENVIRONMENT)
    assert run.out.startswith("::warning::`a`: `a` was edited: kept as `.bt/kept/2/a`\n")


def test_mistakes_in_a_taskfile_are_marked_each_where_it_is(project: Project) -> None:
    project.taskfile("[tasks.a]\noutput = 'a'\nrun = 'true'\n\n[tasks.b]\nouputs = 'a'\nrun = 'true'\n")
    run = project.bt_plainly("build", env=ENVIRONMENT)
    assert run.code == 2
    assert [line for line in run.err.splitlines() if line.startswith("::")] == [
        "::error file=Taskfile.toml,line=2,col=1::unknown key `output`",
        "::error file=Taskfile.toml,line=6,col=1::unknown key `ouputs`",
    ]
