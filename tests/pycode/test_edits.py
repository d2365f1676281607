"""Which edits of a file are a difference for a function, and which are none."""

from __future__ import annotations

import pytest

from support.sources import Bench

BEFORE = '''\
"""About this."""
import json
import helpers
from helpers import scale as by

K = 3
LIMIT, FLOOR = 9, 1


def main(x, k=K):
    """Count."""
    # a comment
    return helpers.one(x) + by(x) + json.loads("1")


def other():
    return LIMIT
'''
HELPERS = """\
def one(x):
    return two(x)


def two(x):
    return x + 2


def three(x):
    return x + 3


def scale(x):
    return x * FACTOR


FACTOR = 10
"""
FILES = {"steps": BEFORE, "helpers": HELPERS}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"""About this."""\n', ""),
        ('"""About this."""', '"""About that."""'),
        ('    """Count."""\n', ""),
        ('"""Count."""', "'Other'"),
        ("# a comment", "# another"),
        ("    # a comment\n", "\n\n\n"),
        ("helpers.one(x) + by(x)", "(helpers . one( x,\n )  +\\\n  by(x))"),
        ("    # a comment", "    ...\n    pass\n    'text'"),
        ("return LIMIT", "return LIMIT + 1"),
        ("def other", "def another"),
        ("LIMIT, FLOOR = 9, 1", "LIMIT, FLOOR = 7, 1"),
        ("import json\n", "import json\nimport os\nfrom pathlib import Path\nimport numpy\n"),
        ("def other():\n    return LIMIT\n", ""),
        ('"1"', "'1'"),
        ("x, k=K", "x, k=K,"),
        ("import helpers\nfrom", "import helpers, re\nfrom"),
        ("K = 3\n", "K = 3  # three\n\n\n"),
        ("def other", "UNUSED = 1\ndef other"),
        ("def other", "if __name__ == '__main__':\n    print(main(1))\ndef other"),
        ("def other", "import typing\nif typing.TYPE_CHECKING:\n    import nothing\ndef other"),
    ],
)
def test_an_edit_that_changes_nothing_is_no_difference(bench: Bench, old: str, new: str) -> None:
    assert old in BEFORE
    assert bench.changed(FILES, {"steps": BEFORE.replace(old, new)}) == set()


@pytest.mark.parametrize(
    ("old", "new", "changed"),
    [
        ('loads("1")', 'loads("2")', {"steps.main"}),
        ("x, k=K", "x, k=4", {"steps.main", "steps.K"}),
        ("x, k=K", "x, *, k=K", {"steps.main"}),
        ("x, k=K", "x: int, k=K", {"steps.main"}),
        ("K = 3", "K = 4", {"steps.K"}),
        ("K = 3", "K = 3.0", {"steps.K"}),
        ("K = 3", "K = True", {"steps.K"}),
        ("K = 3", "K = 3\nK += 1", {"steps.K"}),
        ("K = 3", "K: int = 3", {"steps.K"}),
        ("K = 3", "if K := 3:\n    pass", {"steps.K"}),
        (
            "import scale as by",
            "import three as by",
            {"steps.by", "helpers.scale", "helpers.three", "helpers.FACTOR"},
        ),
        ("import json", "import simplejson as json", {"steps.json", "simplejson"}),
        ("def main", "@print\ndef main", {"steps.main"}),
        ("helpers.one", "helpers.three", {"steps.main", "helpers.one", "helpers.two", "helpers.three"}),
    ],
)
def test_an_edit_is_a_difference_by_name(bench: Bench, old: str, new: str, changed: set[str]) -> None:
    assert old in BEFORE
    assert bench.changed(FILES, {"steps": BEFORE.replace(old, new, 1)}) == changed


@pytest.mark.parametrize(
    ("old", "new", "changed"),
    [
        ("return x + 2", "return x + 1 + 1", {"helpers.two"}),
        ("return x + 3", "return x + 4", set()),
        ("FACTOR = 10", "FACTOR = 11", {"helpers.FACTOR"}),
        ("return two(x)", "return three(x)", {"helpers.one", "helpers.two", "helpers.three"}),
        ("FACTOR = 10", "FACTOR = 10\nprint('loaded')", {"helpers (top level)"}),
        ("FACTOR = 10", "FACTOR = 10\nFACTOR = 10", {"helpers.FACTOR"}),
        ("FACTOR = 10", "FACTOR = 10\nUNUSED = 10", set()),
    ],
)
def test_helpers_count_if_they_are_reached(bench: Bench, old: str, new: str, changed: set[str]) -> None:
    assert bench.changed(FILES, {"helpers": HELPERS.replace(old, new)}) == changed


def test_the_texts_are_for_showing(bench: Bench) -> None:
    bench.write(FILES)
    texts = {piece.name: piece.text for piece in bench.reach().pieces}
    assert texts["steps.main"] == ("def main(x, k=K):\n    return helpers.one(x) + by(x) + json.loads('1')")
    assert texts["steps.by"] == "from helpers import scale as by"
    assert texts["steps.K"] == "K = 3"
    assert all(piece.kind == "code" and len(piece.digest) == 32 for piece in bench.reach().pieces)


def test_the_order_of_what_runs_counts(bench: Bench) -> None:
    start = "X = 1\nY = X\nX = 2\ndef main(): return Y\n"
    assert bench.changed({"steps": start}, {"steps": "X = 1\nX = 2\nY = X\ndef main(): return Y\n"})
    start = "T = [1]\nY = list(T)\nT.append(2)\ndef main(): return Y\n"
    assert bench.changed(
        {"steps": start}, {"steps": "T = [1]\nT.append(2)\nY = list(T)\ndef main(): return Y\n"}
    )


def test_the_order_of_functions_does_not_count(bench: Bench) -> None:
    start = "print(1)\ndef f(): pass\ndef main(): return f() + X\nX = 1\n"
    assert not bench.changed(
        {"steps": start}, {"steps": "X = 1\nprint(1)\ndef main(): return f() + X\ndef f(): pass\n"}
    ) - {"steps.X"}


def test_files_that_were_read_and_places_that_were_empty(bench: Bench) -> None:
    bench.write({**FILES, "unrelated": "x = 1"})
    reach = bench.reach()
    assert reach.files == ("helpers.py", "steps.py")
    assert {"helpers/__init__.py", "json.py", "steps/__init__.py"} <= set(reach.absent)
    assert reach.whole == ()
    assert not any((bench.root / path).exists() for path in reach.absent)


def test_what_appears_at_an_empty_place_is_a_difference(bench: Bench) -> None:
    bench.write(FILES)
    before = bench.reach()
    assert "json.py" in before.absent
    bench.write({"json": "def loads(x): return 0"})
    assert "json.loads" in bench.names()


FUTURE = "from __future__ import annotations\n"


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ("def main(x: int): pass", True),
        ("def main() -> int: pass", True),
        ("class main:\n    x: int", True),
        ("main: type = print", False),
        ("def main():\n    class C:\n        x: int\n    return C", True),
        ("def main():\n    x: int = 1\n    return x", False),
        ("def main(x): return x\ndef other(x: int): pass", False),
    ],
)
def test_whether_annotations_are_evaluated(bench: Bench, text: str, counts: bool) -> None:
    bench.write({"steps": text})
    assert bench.changed({"steps": text}, {"steps": FUTURE + text}) == ({"steps.main"} if counts else set())
    bench.write({"steps": FUTURE + text})
    shown = {piece.name: piece.text or "" for piece in bench.reach().pieces}["steps.main"]
    assert shown.startswith(FUTURE) is counts


@pytest.mark.parametrize("head", ["", "from math import *\n"])
def test_the_annotations_of_a_module(bench: Bench, head: str) -> None:
    text = head + "K: int = 1\ndef main(): return __annotations__"
    assert bench.changed({"steps": text}, {"steps": text.replace("int", "str")}) == {"steps"}
    files = {"use": "import steps\ndef main(): return steps.__annotations__", "steps": text}
    assert bench.changed(files, {"steps": text.replace("int", "float")}, "use:main") == {"steps"}
