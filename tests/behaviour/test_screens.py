"""Whole screens, as a person sees them: `BT_GOLDEN=write` renews those that are kept."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from support.golden import golden
from support.project import Project
from support.terminal import Terminal, seen

WIDTHS = (120, 80, 40)
ROWS = 24

TASKFILE = """
[bt]
default = ["report", "figures"]

[vars]
words = "texts"

[tasks.clean]
desc = "Write a text in small letters"
inputs = "{vars.words}/{name}.txt"
outputs = "build/{name}.clean"
run = "echo cleaning {name}; tr A-Z a-z < {input} > {output}"

[tasks.count]
desc = "Count the words of a text, those that come often first, and leave out all that are too rare to be told"
inputs = "build/{name}.clean"
outputs = "build/{name}.count"
call = "steps:count"
params = { least = 1 }

[tasks.report]
desc = "All counts in one table"
inputs = "build/*.count"
outputs = "out/report.txt"
run = '''
echo "words by number" > {output}
sort -r {inputs} >> {output}
'''

[tasks.figure]
desc = "Draw a count"
group = "figures"
inputs = "build/{name}.count"
outputs = "out/{name}.svg"
run = '''
echo "looking for roses in {input}"
grep rose {input} > {output} || { echo "there is no rose in {input}, so nothing can be drawn of it" >&2; exit 3; }
'''

[tasks.figures]
desc = "All figures"
group = "figures"
needs = ["figure"]

[tasks.publish]
desc = "Show it to the world"
group = "by hand"
needs = ["out/report.txt"]
run = "echo published"
"""
STEPS = """
from collections import Counter
from pathlib import Path


def words(text):
    return text.split()


def count(input, output, least):
    found = Counter(words(Path(input).read_text()))
    Path(output).write_text("".join(f"{n} {word}\\n" for word, n in found.items() if n >= least))
"""
LONG = "a text whose name is rather long, as names of texts are"


def edit(project: Project, name: str, old: str, new: str) -> None:
    """Put a text in the place of another one, which must be there."""
    text = project.read(name)
    assert old in text
    project.write(name, text.replace(old, new))


def as_built(project: Project) -> None:
    """Nothing has changed."""


def just_built(project: Project) -> None:
    """It was built this moment, for the first time."""
    for folder in (".bt", "build", "out"):
        shutil.rmtree(project.folder / folder)
    project.build("-j1")


def some_to_do(project: Project) -> None:
    """One text looks different and means the same, one is new, and one has nothing to draw."""
    project.write("texts/emma.txt", "The Rose of Emma\nthe ROSE of Emma\n")
    project.write(f"texts/{LONG}.txt", "a rose\n")
    project.write("texts/thorn.txt", "A thorn.\n")


def failed(project: Project) -> None:
    """It was built and one job failed."""
    some_to_do(project)
    assert project.bt("build", "-k", "-j1").code == 1


def other_command(project: Project) -> None:
    """Another command, of several lines."""
    edit(project, "Taskfile.toml", "sort -r {inputs}", "sort -n -r {inputs}")


def other_function(project: Project) -> None:
    """A function that a function calls."""
    edit(project, "steps.py", "text.split()", 'text.replace(".", " ").split()')


def other_text(project: Project) -> None:
    """A line of an input."""
    project.write(
        "texts/emma.txt", "the rose of emma\nthe roses of emma, who had more of them than anybody else\n"
    )


def other_parameter(project: Project) -> None:
    """A parameter of a task with several jobs."""
    edit(project, "Taskfile.toml", "least = 1", "least = 2")


def misspelt(project: Project) -> None:
    """A key that does not exist."""
    edit(project, "Taskfile.toml", 'outputs = "out/report.txt"', 'output = "out/report.txt"')


def misspelt_far_right(project: Project) -> None:
    """A mistake at the end of a long line."""
    edit(project, "Taskfile.toml", '> {output}"\n\n[tasks.count]', '> {outputs.cleaned}"\n\n[tasks.count]')


def no_toml(project: Project) -> None:
    """A text that is no TOML."""
    edit(project, "Taskfile.toml", 'words = "texts"', "words = texts")


def many_mistakes(project: Project) -> None:
    """Mistakes of several kinds."""
    misspelt(project)
    edit(project, "Taskfile.toml", 'needs = ["figure"]', 'needs = ["figurs"]')
    edit(project, "Taskfile.toml", "steps:count", "steps:cuont")
    edit(project, "Taskfile.toml", "grep rose {input}", "grep rose {inptu}")


class Scene(NamedTuple):
    """What was done before, what is typed, and with which exit code it ends."""

    before: Callable[[Project], object]
    words: Sequence[str]
    code: int = 0


SCENES = {
    "build": Scene(some_to_do, ("build", "-j1", "-k"), 1),
    "build-nothing": Scene(as_built, ("build",)),
    "build-dry": Scene(some_to_do, ("build", "-n")),
    "build-no-target": Scene(as_built, ("build", "reprot"), 3),
    "build-wrong": Scene(misspelt, ("build",), 2),
    "build-wrong-far-right": Scene(misspelt_far_right, ("build",), 2),
    "build-no-toml": Scene(no_toml, ("build",), 2),
    "why-command": Scene(other_command, ("why", "out/report.txt")),
    "why-function": Scene(other_function, ("why", "out/report.txt")),
    "why-text": Scene(other_text, ("why", "out/report.txt")),
    "why-parameter": Scene(other_parameter, ("why", "out/rose.svg")),
    "why-fresh": Scene(just_built, ("why", "out/report.txt", "build/rose.count")),
    "status": Scene(failed, ("status",)),
    "list": Scene(as_built, ("list",)),
    "list-verbose": Scene(as_built, ("list", "-v")),
    "graph": Scene(some_to_do, ("graph", "--format", "text")),
    "history": Scene(failed, ("history",)),
    "history-build": Scene(failed, ("history", "2")),
    "check": Scene(many_mistakes, ("check",), 2),
    "check-well": Scene(as_built, ("check",)),
    "log": Scene(failed, ("log", "clean")),
    "wrong-command": Scene(as_built, ("biuld",), 2),
    "wrong-option": Scene(as_built, ("build", "--kep-going"), 2),
    "no-argument": Scene(as_built, ("why",), 2),
    "help": Scene(as_built, ("--help",)),
}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that was built once."""
    project = Project(tmp_path_factory.mktemp("built"))
    project.taskfile(TASKFILE)
    project.write("steps.py", STEPS)
    project.write("texts/rose.txt", "A rose is a rose.\n")
    project.write("texts/emma.txt", "the rose of emma\nthe rose of emma\n")
    project.build("-j1")
    return project.folder


# What is not the same twice.
VARYING = {
    rb"\d\d\d\d-\d\d-\d\d \d\d:\d\d:\d\d": b"2000-01-01 00:00:00",
    rb"(?:\d+ min )?(?<![\d.])\d+(?:\.\d)? s\b": b"0.0 s",
    rb"\d+(?:\.\d)? [kM]B\b": b"40 MB",
}


def steady(raw: bytes) -> bytes:
    """The same with times and sizes that are always the same."""
    for pattern, always in VARYING.items():
        raw = re.sub(pattern, always, raw)
    return raw


@pytest.mark.parametrize("scene", SCENES)
def test_golden_screens(scene: str, built: Path, tmp_path: Path) -> None:
    before, words, code = SCENES[scene]
    made = Project(Path(shutil.copytree(built, tmp_path / "made", symlinks=True)))
    before(made)
    for colour in (False, True):
        shown = ""
        for width in WIDTHS:
            project = Project(Path(shutil.copytree(made.folder, tmp_path / f"{width}{colour}" / "project")))
            env = {} if colour else {"NO_COLOR": "1"}
            with Terminal(project, *words, columns=width, rows=ROWS, env=env) as terminal:
                terminal.end()
            assert terminal.code == code, terminal.lines
            screen = seen(steady(terminal.raw), width, ROWS, colour=colour)
            shown += f"{f' {width} columns '.center(width, '=')}\n{screen}\n"
        golden(f"screens/{scene}-{'colour' if colour else 'plain'}", shown)
