"""`Taskfile.toml.example` shows every key there is, and builds as it stands."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tomli

from buildtool.taskfile import keys
from buildtool.taskfile.kinds import Either, ListOf
from buildtool.taskfile.tables import Table, TableOf
from support.project import Project

TEXT = (Path(__file__).parents[2] / "Taskfile.toml.example").read_text()
# With the keys that need files of their own, which stand there as comments:
SHOWN = re.sub(r"^# (\w+ += .*|\[tasks\.\w+\])$", r"\1", TEXT, flags=re.MULTILINE)
FILES = {
    "names.txt": "Ada\nGrace\n",
    "samples.csv": "id,city\n1,London\n2,New York\n",
    "steps/page.py": """
        from buildtool import job
        job.output.write_text(f"<h1>{job.params.title}</h1><pre>{job.inputs.text.read_text()}</pre>")
    """,
}
LOOKS = ("check", "list", "status", "graph", "build --dry-run", "why report.txt")


def declared(kind: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The path of every supported key; `*` stands for a name of the user's choice."""
    if isinstance(kind, Table):
        for key in kind.keys if kind.shown else ():
            if key.supported:
                yield (*path, key.name)
                yield from declared(key.kind, (*path, key.name))
    elif isinstance(kind, TableOf):
        yield from declared(kind.of, (*path, "*"))
    elif isinstance(kind, Either):
        for one in kind.kinds:
            yield from declared(one, path)
    elif isinstance(kind, ListOf):
        yield from declared(kind.of, path)


def used(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The path of every key that is written, likewise."""
    own = path in {("vars",), ("env",), ("tasks",), ("executors",)}
    for name, inner in value.items() if isinstance(value, dict) else ():
        here = (*path, "*" if own else name)
        yield here
        yield from used(inner, here)


def test_it_uses_every_key() -> None:
    missing = {*declared(keys.FILE)} - {*used(tomli.loads(SHOWN))}
    assert sorted(".".join(path) for path in missing) == []


def test_it_shows_every_form_of_foreach() -> None:
    forms = [task["foreach"] for task in tomli.loads(TEXT)["tasks"].values() if "foreach" in task]
    assert any(isinstance(form, dict) and "from" in form for form in forms)
    values = [
        value for form in forms if isinstance(form, dict) and "from" not in form for value in form.values()
    ]
    assert any(isinstance(value, list) for value in values)
    assert any(isinstance(value, str) and value.startswith("@") for value in values)
    assert any(isinstance(form, list) for form in forms)


def test_it_builds_and_is_fresh_then(project: Project) -> None:
    project.write("Taskfile.toml", TEXT.encode())
    first = project.build()
    assert len(first.ran) == len(first.finished) > 10
    assert first.warnings == []
    second = project.build()
    assert {*second.by_status("fresh")} == {*second.finished}


def test_what_stands_there_as_a_comment_builds_with_its_files(project: Project) -> None:
    project.write("Taskfile.toml", SHOWN.encode())
    for name, text in FILES.items():
        project.write(name, text)
    assert project.bt("check").code == 0
    assert "page" in project.build("page").ran
    shown = tomli.loads(SHOWN)
    assert {*shown["tasks"]} - {*tomli.loads(TEXT)["tasks"]} == {"page"}
    assert {name for name in FILES if "steps" not in name} == {
        value.get("lines") or value["csv"]
        for name, value in shown["vars"].items()
        if name not in tomli.loads(TEXT)["vars"]
    }


@pytest.mark.parametrize("look", LOOKS)
def test_it_can_be_looked_at_before_anything_is_built(project: Project, look: str) -> None:
    project.write("Taskfile.toml", TEXT.encode())
    run = project.bt(*look.split())
    assert run.code == 0, run.out + run.err


def test_every_task_of_it_builds(project: Project) -> None:
    project.write("Taskfile.toml", TEXT.encode())
    for task in json.loads(project.bt("list", "--json").out):
        project.build(task["name"])
