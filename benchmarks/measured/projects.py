"""The same project for each tool: N jobs that each make one small file.

Shapes:
  wide  `out/I` is a copy of `src/I`
  deep  ten layers of N / 10 jobs; each is `cat` of two files of the layer before, or of `src/`
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

LAYERS = 10
WIDE = """
[tasks.cp]
inputs = "src/{i}"
outputs = "out/{i}"
run = "cp {input} {output}"
"""
DEEP = """
[tasks.first]
foreach = { from = "first.csv" }
inputs = ["src/{i}", "src/{j}"]
outputs = "out/0_{i}"
run = "cat {input} > {output}"

[tasks.later]
foreach = { from = "later.csv" }
inputs = ["out/{before}_{i}", "out/{before}_{j}"]
outputs = "out/{layer}_{i}"
run = "cat {input} > {output}"
"""
SNAKE = """
rule all:
    input: expand("out/{{i}}", i=range({jobs}))
rule cp:
    input: "src/{{i}}"
    output: "out/{{i}}"
    shell: "cp {{input}} {{output}}"
"""
DOIT = """
DOIT_CONFIG = {{"reporter": "zero", "verbosity": 0}}

def task_cp():
    for i in range({jobs}):
        a, b = f"src/{{i}}", f"out/{{i}}"
        yield {{"name": str(i), "file_dep": [a], "targets": [b], "actions": [["cp", a, b]]}}
"""
PYTASK = """
import shutil
from pathlib import Path
from typing import Annotated
from pytask import Product, task

for i in range({jobs}):
    @task(id=str(i))
    def task_cp(
        source: Path = Path(f"src/{{i}}").absolute(),
        made: Annotated[Path, Product] = Path(f"out/{{i}}").absolute(),
    ):
        shutil.copyfile(source, made)
"""


def width(shape: str, jobs: int) -> int:
    """How many sources there are."""
    return jobs if shape == "wide" else max(jobs // LAYERS, 2)


def edges(shape: str, jobs: int) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each output with its inputs, in an order in which they can be made."""
    count = width(shape, jobs)
    if shape == "wide":
        for i in range(count):
            yield f"out/{i}", (f"src/{i}",)
        return
    for layer in range(LAYERS):
        before = f"out/{layer - 1}_" if layer else "src/"
        for i in range(count):
            yield f"out/{layer}_{i}", (f"{before}{i}", f"{before}{(i + 1) % count}")


def _command(output: str, inputs: tuple[str, ...]) -> str:
    return f"cp {inputs[0]} {output}" if len(inputs) == 1 else f"cat {' '.join(inputs)} > {output}"


def _bt(shape: str, jobs: int) -> dict[str, str]:
    if shape == "wide":
        return {"Taskfile.toml": WIDE}
    count = width(shape, jobs)
    pairs = [f"{i},{(i + 1) % count}\n" for i in range(count)]
    later = (f"{layer},{layer - 1},{pair}" for layer in range(1, LAYERS) for pair in pairs)
    return {
        "Taskfile.toml": DEEP,
        "first.csv": "i,j\n" + "".join(pairs),
        "later.csv": "layer,before,i,j\n" + "".join(later),
    }


def _ninja(shape: str, jobs: int) -> dict[str, str]:
    command = "cp $in $out" if shape == "wide" else "cat $in > $out"
    builds = "".join(f"build {output}: r {' '.join(inputs)}\n" for output, inputs in edges(shape, jobs))
    return {"build.ninja": f"rule r\n  command = {command}\n{builds}"}


def _make(shape: str, jobs: int) -> dict[str, str]:
    found = list(edges(shape, jobs))
    rules = "".join(f"{out}: {' '.join(inputs)}\n\t@{_command(out, inputs)}\n" for out, inputs in found)
    return {"Makefile": f"all: {' '.join(out for out, _ in found)}\n{rules}"}


def _gotask(shape: str, jobs: int) -> dict[str, str]:
    names = ", ".join(f"t{i}" for i in range(jobs))
    tasks = "".join(
        f"  t{i}: {{sources: [{inputs[0]}], generates: [{out}], cmds: ['{_command(out, inputs)}']}}\n"
        for i, (out, inputs) in enumerate(edges(shape, jobs))
    )
    return {"Taskfile.yml": f"version: '3'\nsilent: true\ntasks:\n  default:\n    deps: [{names}]\n{tasks}"}


class Tool(NamedTuple):
    """How a tool is asked: the files of its project, and its commands."""

    files: Callable[[str, int], dict[str, str]]
    build: list[str]
    plan: list[str] | None  # says what would be done
    version: list[str]

    @property
    def there(self) -> bool:
        """Whether it is installed."""
        return shutil.which(self.build[0]) is not None


BT = ["bt"]
_PYTASK = ["--verbose", "0"]
TOOLS = {
    "bt": Tool(_bt, [*BT, "build", "-q", "-j2"], [*BT, "build", "-n"], [*BT, "--version"]),
    "ninja": Tool(_ninja, ["ninja", "--quiet", "-j2"], ["ninja", "-n"], ["ninja", "--version"]),
    "make": Tool(_make, ["make", "-rRs", "-j2"], ["make", "-rRn"], ["make", "--version"]),
    "Snakemake": Tool(
        lambda _, jobs: {"Snakefile": SNAKE.format(jobs=jobs)},
        ["snakemake", "-j2", "-q", "all"],
        ["snakemake", "-n", "-q", "all"],
        ["snakemake", "--version"],
    ),
    "doit": Tool(
        lambda _, jobs: {"dodo.py": DOIT.format(jobs=jobs)},
        ["doit", "-n", "2", "-P", "thread"],
        None,
        ["doit", "--version"],
    ),
    "pytask": Tool(
        lambda _, jobs: {"task_cp.py": PYTASK.format(jobs=jobs)},
        ["pytask", "build", "-n", "2", "--parallel-backend", "loky", *_PYTASK, "."],
        None,
        ["pytask", "--version"],
    ),
    "go-task": Tool(_gotask, ["task", "-s", "-C2"], None, ["task", "--version"]),
}


def write_sources(folder: Path, shape: str, jobs: int) -> None:
    """A fresh folder with the sources."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "src").mkdir(parents=True)
    (folder / "out").mkdir()
    for number in range(width(shape, jobs)):
        (folder / f"src/{number}").write_text(f"{number:07}\n")


def write_project(folder: Path, tool: str, shape: str, jobs: int) -> None:
    """The files by which a tool knows what to do."""
    for name, text in TOOLS[tool].files(shape, jobs).items():
        (folder / name).write_text(text)


def change(folder: Path, number: int) -> None:
    """Give one source a content that it never had."""
    (folder / "src/0").write_text(f"{number:07}x\n")
