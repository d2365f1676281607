"""`bt init` and `bt schema`: where a project begins."""

from __future__ import annotations

import json

import jsonschema
import tomli

from support.project import Project


def test_the_start_can_be_built(project: Project) -> None:
    run = project.bt("init")
    assert run.code == 0
    assert run.out.startswith("wrote `Taskfile.toml`\n")
    assert project.look("check").out == "Taskfile.toml: 4 tasks, 5 jobs, nothing wrong\n"
    assert project.build().ran == ["greet Ada", "greet Grace", "letter", "test"]
    assert project.read("letter.md") == "Hello, Ada\nHello, Grace\n"
    assert project.build().ran == []
    assert project.build("show").ran == ["show"]
    assert "Put the greetings together" in project.look("list").out


def test_the_start_fits_the_schema(project: Project) -> None:
    project.bt("init")
    schema = json.loads(project.look("schema").out)
    jsonschema.validate(tomli.loads(project.read("Taskfile.toml")), schema)


def test_nothing_is_overwritten(project: Project) -> None:
    project.taskfile("# mine\n")
    for words in (["init"], ["init", "--force"]):
        run = project.look(*words, code=2)
        assert "`Taskfile.toml` is there already" in run.err
        assert "hint: " in run.err
    project.remove("Taskfile.toml")
    (project.folder / "Taskfile.toml").symlink_to("nowhere")
    project.look("init", code=2)


def test_beside_go_task(project: Project) -> None:
    project.write("Taskfile.yml", "version: '3'\n")
    run = project.look("init", code=2)
    assert "`Taskfile.yml` is here" in run.err
    assert "bt init --force" in run.err
    assert project.bt("init", "--force").code == 0
    assert project.read("Taskfile.yml") == "version: '3'\n"


def test_schema_into_a_file(project: Project) -> None:
    run = project.bt("schema", "--output", "schema.json")
    assert (run.code, run.out) == (0, "")
    assert json.loads(project.read("schema.json"))["title"] == "Taskfile.toml"
    assert "cannot write `no/where`" in project.look("schema", "-o", "no/where", code=5).err
