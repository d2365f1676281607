"""The floors of the house: a module imports from lower floors only. This list is the architecture."""

from __future__ import annotations

import ast
import functools
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "buildtool"

FLOORS: tuple[set[str], ...] = (
    {"regex", "runtime", "tuples"},
    {"errors", "paths", "door", "mounts", "text"},
    {"graph", "files", "depfile", "signals"},
    {"taskfile", "fingerprint", "pycode"},
    {"cache", "expand", "state", "plan", "meaning"},
    {"check", "environment", "estimate", "executors", "isolation"},
    {"project", "recover", "report"},
    {"naming"},
    {"audit", "clean", "clusters", "cone", "failures", "foresee", "luggage", "outside", "restoring", "texts"},
    {"accept", "perform", "ready"},
    {"build", "session", "rest"},
    {"watch"},
    {"cli"},
)
# Libraries that are slow to import and are needed by few: only inside functions, or in modules loaded late.
HEAVY = {"asyncio", "cloudpickle", "coiled", "distributed", "loky", "rich", "watchdog", "multiprocessing"}
_LATE = "account coiled contents courier dask drift futures kit messages parcels pool remote workers"
HEAVY_ROOMS = ("buildtool.pycode.code", *(f"buildtool.executors.{name}" for name in _LATE.split()))


def room(module: str) -> str:
    """The room that a module of the package lies in."""
    return module.split(".")[1]


def floor(name: str) -> int:
    """The floor of a room."""
    return next(number for number, rooms in enumerate(FLOORS) if name in rooms)


def modules() -> list[Path]:
    return [path for path in sorted(PACKAGE.rglob("*.py")) if path.parent != PACKAGE or path.stem[0] != "_"]


@functools.cache
def imports(path: Path) -> list[tuple[str, bool]]:
    """The modules that a file imports, and whether it does so inside a function."""
    found = []
    todo: list[tuple[ast.AST, bool]] = [(ast.parse(path.read_text()), False)]
    while todo:
        node, inside = todo.pop()
        if isinstance(node, ast.Import):
            found += [(alias.name, inside) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide where an arrow leads"
            found.append((node.module or "", inside))
        within = inside or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        todo += [(child, within) for child in ast.iter_child_nodes(node) if not isinstance(child, ast.expr)]
    return found


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_arrows_point_down(path: Path) -> None:
    own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    for name, _ in imports(path):
        if name == "buildtool":
            assert own in {"cli", "door"}, f"{path} imports the package root"
        elif name.startswith("buildtool.") and room(name) != own:
            assert floor(room(name)) < floor(own), f"{own} imports {name}, which is not below it"


def test_every_room_has_a_floor() -> None:
    rooms = {path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in modules()}
    assert rooms == set().union(*FLOORS)


def test_files_of_one_room_have_no_cycles() -> None:
    arrows = {
        ".".join(("buildtool", *path.relative_to(PACKAGE).with_suffix("").parts)): {
            name for name, inside in imports(path) if not inside
        }
        for path in modules()
    }
    done: set[str] = set()

    def visit(module: str, above: tuple[str, ...]) -> None:
        assert module not in above, " → ".join((*above, module))
        if module in done or module not in arrows:
            return
        for name in arrows[module]:
            visit(name, (*above, module))
        done.add(module)

    for module in arrows:
        visit(module, ())


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_heavy_libraries_come_late(path: Path) -> None:
    for name, inside in imports(path):
        assert inside or name.split(".")[0] not in HEAVY, f"{path} imports {name} at once"


def test_nobody_but_the_command_line_exits() -> None:
    for path in modules():
        if path.relative_to(PACKAGE).parts[0] != "cli" and path.stem != "lifeline":  # a program of its own
            assert "sys.exit" not in path.read_text(), path


def test_a_build_without_functions_loads_nothing_for_them(tmp_path: Path) -> None:
    (tmp_path / "Taskfile.toml").write_text('[tasks.a]\noutputs = "a"\nrun = "echo > a"\n')
    code = "import sys; from buildtool.cli.main import run; run(['build']); print(*sys.modules, sep='\\n')"
    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout.split()
    assert "buildtool.build" in loaded
    assert not {name.split(".")[0] for name in loaded} & HEAVY
    assert not {*loaded} & {*HEAVY_ROOMS, "concurrent.futures", "logging"}
