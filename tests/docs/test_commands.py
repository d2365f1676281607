"""`docs/commands.md` names every command and every option, and no others."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from buildtool.cli.commands import COMMANDS, bt
from buildtool.errors import ExitCode
from buildtool.report.jsonl import JsonLines
from support.project import Project

PAGE = (Path(__file__).parents[2] / "docs/commands.md").read_text()
OPTION = re.compile(r"(?<![\w-])-{1,2}[a-zA-Z][\w-]*")


def sections() -> dict[str, str]:
    """The text below each heading."""
    return {part.split("\n", 1)[0].strip(): part for part in re.split(r"^## ", PAGE, flags=re.MULTILINE)}


def command(name: str) -> click.Command:
    found = bt.get_command(click.Context(bt), name)
    assert found is not None
    return found


def options(of: click.Command) -> set[str]:
    """All spellings of all options, without `--help`."""
    return {text for param in of.params if isinstance(param, click.Option) for text in param.opts}


def test_every_command_has_a_section() -> None:
    assert [name for name in COMMANDS if name not in sections()] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_named(name: str) -> None:
    section = sections()[name]
    missing = {text for text in options(command(name)) if not re.search(rf"`{text}[ `]", section)}
    assert missing == set()


@pytest.mark.parametrize("name", COMMANDS)
def test_help_is_what_the_docs_know(name: str, project: Project) -> None:
    run = project.bt(name, "--help")
    assert run.code == 0
    shown = {*OPTION.findall(re.sub(r"`[^`]*`", "", run.out))} - {"-h", "--help"}
    assert {text for text in shown if f"`{text}" not in PAGE} == set()


@pytest.mark.parametrize("name", COMMANDS)
def test_no_option_is_made_up(name: str) -> None:
    rows = re.findall(r"^\| (`-[^|]*)\|", sections()[name], flags=re.MULTILINE)
    assert {*OPTION.findall(" ".join(rows))} - options(command(name)) == set()


def test_the_common_options_are_named() -> None:
    assert {text for text in options(bt) if f"`{text}" not in PAGE} == set()


def test_exit_codes_are_listed() -> None:
    rows = re.findall(r"^\| ([\d, ]+) \|", PAGE, re.MULTILINE)
    listed = {int(number) for row in rows for number in row.split(",")}
    assert listed == {int(code) for code in ExitCode}


def test_events_are_listed() -> None:
    docs = [getattr(JsonLines, name).__doc__ or "" for name in dir(JsonLines)]
    told = {found[1] for found in (re.match(r"`(\w+)`", text) for text in docs) if found}
    assert {event for event in told if f"| `{event}` |" not in PAGE} == set()


@pytest.mark.parametrize("name", COMMANDS)
def test_help_fits_a_screen_and_ends_with_an_example(name: str, project: Project) -> None:
    lines = project.bt(name, "--help").out.rstrip().splitlines()
    assert len(lines) <= 30
    assert max(map(len, lines)) <= 80
    program, called, *words = lines[-1].strip().removeprefix("Example: ").split()
    assert (program, called) == ("bt", name)
    command(name).make_context(name, words)  # which would raise for wrong use
