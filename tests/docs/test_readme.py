"""The README is short, and what it and the docs show works.

In the README's tour every `sh` block is typed into one fresh directory, and a `text` block behind it is what it prints.
Every `toml` block of the README and of `docs/` is a whole Taskfile that can be read, unless its first line is a
comment that names another file; those marked `toml run` are also built, and are fresh then. The directory
holds the Python files that the page shows: `python` blocks whose first line is a comment that names a file.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from buildtool.taskfile.load import load_taskfile
from support.project import Project, clean_environment

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")
INSTALL = "python3 -m venv .venv && .venv/bin/pip install -q . && .venv/bin/bt -C examples/wordcount build"
TEST = (
    "python3 -m venv .venv && .venv/bin/pip install -q -e '.[test]' && .venv/bin/python -m pytest -q -n auto"
)


class Block(NamedTuple):
    """A fenced block of a page."""

    page: str
    line: int
    info: str
    text: str


def blocks(page: Path) -> list[Block]:
    text = page.read_text()
    return [
        Block(page.name, text.count("\n", 0, found.start()) + 1, found[1], found[2])
        for found in BLOCK.finditer(text)
    ]


def named(block: Block) -> str:
    return f"{block.page}:{block.line}"


ALL = [block for page in PAGES for block in blocks(page)]
TOML = [block for block in ALL if block.info.split()[:1] == ["toml"]]


def whole(block: Block) -> bool:
    """Whether it is a Taskfile, not the file of another tool."""
    first = block.text.split("\n", 1)[0]
    return first == "# Taskfile.toml" or not re.fullmatch(r"# [\w.-]+\.toml", first)


def python_file(block: Block) -> str | None:
    """The name of the Python file that a block shows, if it shows one."""
    found = re.match(r"# ([\w/-]+\.py)\n", block.text) if block.info == "python" else None
    return found[1] if found else None


def normal(output: str) -> list[str]:
    """The lines of a build without what differs from run to run: times, and the order of jobs that run together."""
    return sorted(re.sub(r"\d+\.\d s\b", "0.0 s", line).rstrip() for line in output.splitlines())


def test_readme_is_short() -> None:
    assert len(README.read_text().splitlines()) < 200


def test_the_two_commands_are_there() -> None:
    lines = README.read_text().splitlines()
    assert INSTALL in lines
    assert TEST in lines
    ci = ROOT / ".ci/run"
    if ci.exists():
        assert TEST in ci.read_text().splitlines()


def test_the_tour(project: Project, tmp_path: Path) -> None:
    tour = README.read_text().split("## Five minutes")[1].split("\n## ")[0]
    found = [(info, text) for info, text in BLOCK.findall(tour)]
    assert len([info for info, _ in found if info == "sh"]) >= 5
    door = tmp_path / "bin"
    door.mkdir()
    (door / "bt").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m buildtool "$@"\n')
    (door / "bt").chmod(0o755)
    env = {**clean_environment(), "PATH": f"{door}{os.pathsep}{os.environ['PATH']}"}
    printed = ""
    for info, text in found:
        if info == "text":
            assert normal(printed) == normal(text)
            continue
        assert info == "sh"
        run = subprocess.run(
            ["sh", "-e", "-c", text], cwd=project.folder, env=env, capture_output=True, text=True, check=False
        )
        assert run.returncode == 0, f"{text}\n{run.stdout}\n{run.stderr}"
        printed = run.stdout + run.stderr


@pytest.mark.parametrize("block", [b for b in TOML if whole(b)], ids=named)
def test_toml_blocks_are_taskfiles(project: Project, block: Block) -> None:
    project.taskfile(block.text)
    load_taskfile(str(project.folder / "Taskfile.toml"))


def test_files_of_a_page_have_names_of_their_own() -> None:
    shown = [(block.page, name) for block in ALL if (name := python_file(block)) is not None]
    assert len(shown) == len({*shown}) > 0


@pytest.mark.parametrize("block", [b for b in TOML if b.info == "toml run"], ids=named)
def test_runnable_blocks_build(project: Project, block: Block) -> None:
    for other in ALL:
        name = python_file(other)
        if name is not None and other.page == block.page:
            project.write(name, other.text)
    project.taskfile(block.text)
    first = project.build()
    assert first.ran
    again = project.build()
    assert again.by_status("ran", "failed", "skipped") == []


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CONTRIBUTING.md"], ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(page.read_text()):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_the_design_names_every_room() -> None:
    entries = [path for path in (ROOT / "buildtool").iterdir() if path.name[0] not in "_."]
    rooms = {path.stem for path in entries if path.suffix == ".py" or (path / "__init__.py").exists()}
    named_rooms = re.findall(
        r"^\| \d+ \| `(\w+)` \|", (ROOT / "docs/design.md").read_text(), flags=re.MULTILINE
    )
    assert {*named_rooms} == rooms
