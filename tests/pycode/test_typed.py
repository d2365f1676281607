"""`if TYPE_CHECKING:`: what only a type checker sees is no code of any job."""

from __future__ import annotations

import pytest

from support.sources import Bench

FUTURE = "from __future__ import annotations\n"
GUARDS = {
    "imported": ("from typing import TYPE_CHECKING", "TYPE_CHECKING"),
    "renamed": ("from typing_extensions import TYPE_CHECKING as T", "T"),
    "of a module": ("import typing as t", "t.TYPE_CHECKING"),
    "set": ("TYPE_CHECKING = False", "TYPE_CHECKING"),
    "tried": (
        "try:\n    from typing import TYPE_CHECKING\nexcept ImportError: TYPE_CHECKING = False",
        "TYPE_CHECKING",
    ),
}
PACKAGE = {
    "flow/__init__": "",
    "flow/models/__init__": "from .linear import Linear as Model\nprint('models')",
    "flow/models/linear": "class Linear:\n    def fit(self): return 1",
}


@pytest.mark.parametrize("guard", GUARDS)
@pytest.mark.parametrize("note", ["m: Model", "m: 'Model | None'", "m: list[Model] = ()", "m: models.Model"])
def test_a_model_that_only_annotations_name_is_not_reached(bench: Bench, guard: str, note: str) -> None:
    start, test = GUARDS[guard]
    text = (
        f"{FUTURE}{start}\nif {test}:\n    from . import models\n    from .models import Model\n"
        f"def main({note}) -> Model:\n    x: Model = m\n    return x\n"
    )
    bench.write({**PACKAGE, "flow/io": text})
    reach = bench.reach("flow.io:main")
    assert {piece.name for piece in reach.pieces} <= {"flow.io.main", "flow.io.TYPE_CHECKING"}
    assert reach.whole == ()


@pytest.mark.parametrize(
    ("block", "edited"),
    [
        ("    from a import X\n", "    from b import X, Y\n"),
        ("    from a import X\n", "    import c\n    from a import X\n"),
        ("    class X: ...\n", "    class X:\n        y: int\n"),
        ("    X = int\nelse:\n    X = 2\n", "    X = str\nelse:\n    X = 2\n"),
    ],
)
def test_edits_of_such_a_block_are_no_difference(bench: Bench, block: str, edited: str) -> None:
    start = f"{FUTURE}from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n%sdef main(x: X): return 1\n"
    files = {"steps": start % block, "a": "X = int", "b": "X = Y = print(1)", "c": "print(2)"}
    assert bench.changed(files, {"steps": start % edited}) == set()


@pytest.mark.parametrize(
    "text",
    [
        "class main:\n    if TYPE_CHECKING:\n        %s\n    y = 1\n",
        "def main():\n    if TYPE_CHECKING:\n        %s\n    return 1\n",
        "def main():\n    if not TYPE_CHECKING:\n        return 1\n    else:\n        %s\n",
        "try:\n    if TYPE_CHECKING:\n        %s\n    K = 1\nfinally:\n    pass\ndef main(): return K\n",
    ],
)
def test_neither_are_those_of_blocks_in_others(bench: Bench, text: str) -> None:
    text = "from typing import TYPE_CHECKING\n" + text
    files = {"steps": text % "x: int", "a": "class A: pass"}
    assert bench.changed(files, {"steps": text % "from a import A; x: A"}) == set()


def test_what_runs_in_its_place_counts(bench: Bench) -> None:
    text = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from a import X\nelse:\n    X = %s\n"
    files = {"steps": text % 1 + "def main(x: X): return X", "a": "X = 1"}
    assert bench.changed(files, {"steps": text % 2 + "def main(x: X): return X"}) == {"steps.X"}
    assert bench.changed(files, {"a": "X = 2"}) == set()


def test_to_move_an_import_out_of_it_is_a_difference(bench: Bench) -> None:
    inside = f"{FUTURE}from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from a import X\n"
    outside = f"{FUTURE}from a import X\n"
    body = "def main(x: X): pass"
    files = {"steps": inside + body, "a": "class X: pass"}
    assert bench.changed(files, {"steps": outside + body}) == {"steps.X", "a.X"}


def test_an_if_of_that_name_which_is_something_else_counts(bench: Bench) -> None:
    text = "import os\nTYPE_CHECKING = bool(os.getpid())\nif TYPE_CHECKING:\n    from a import X\ndef main(x: X): pass"
    assert bench.changed({"steps": text, "a": "X = int"}, {"a": "X = str"}) == {"a.X"}


def test_names_that_a_module_gives_on_demand_are_followed_by_it(bench: Bench) -> None:
    lazy = (
        "import importlib\nfrom typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from .heavy import run\n"
        "def __getattr__(name): return getattr(importlib.import_module('.heavy', __name__), name)"
    )
    files = {
        "pkg/__init__": lazy,
        "pkg/heavy": "def run(): return 1",
        "steps": "import pkg\ndef main(): return pkg.run()",
    }
    assert bench.changed(files, {"pkg/heavy": "def run(): return 2"}) == {"pkg.heavy.run"}
