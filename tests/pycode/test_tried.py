"""Imports that are tried: whether they succeed is part of the code."""

from __future__ import annotations

import pytest

from support.sources import Bench

MISSING = "try:\n    import b\n    R = 1\nexcept ImportError:\n    R = 2\ndef main(): return R\n"
ANY = MISSING.replace("ImportError", "Exception")
NAMES = MISSING.replace("import b", "from b import K, J")
PLAIN = """\
import json
K = 1
T = [K, -2.5, None, {'a': K}]
class Base(Exception):
    '''Doc.'''
    x = 1
    def f(self, n: int | None = K, *a: list[str]) -> 'Base': return unknown
    @property
    def p(self): return 1
class Other: pass
def f(x: Base = T, y=lambda z=K: z) -> dict[str, int]: return 1
"""


@pytest.mark.parametrize("text", [MISSING, ANY, NAMES])
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("return 1\nclass", "return 2\nclass"),
        ("return unknown", "return 1"),
        ("x = 1", "x = 2"),
        ("K = 1", "K = 2"),
        ("T = [", "T = ['x', "),
        ("Doc.", "Word."),
        ("class Other", "# a comment\n\nclass Another"),
        ("dict[str, int]", "list[int]"),
    ],
)
def test_plain_definitions_cannot_fail(bench: Bench, text: str, old: str, new: str) -> None:
    assert old in PLAIN
    files = {"b": PLAIN + "J = 1\n", "steps": text}
    assert bench.changed(files, {"b": files["b"].replace(old, new)}) == set()
    assert bench.reach().whole == ()


@pytest.mark.parametrize(
    "line",
    [
        "X = int('x')",
        "X = nowhere",
        "X = later\nlater = 1",
        "X = json.nowhere",
        "X = T[9]",
        "X = 1 / 0",
        "X = {K: 1}",
        "X = {[]}",
        "X = -'a'",
        "X, Y = T",
        "X = f'{K:z}'",
        "X: int\nY = X",
        "X: nowhere = 1",
        "def X(a=nowhere): pass",
        "def X(a: nowhere): pass",
        "def X(a: json.nowhere): pass",
        "def X(a: 'T' | None): pass",
        "def X(a: callable | None): pass",
        "def X(a: T | None): pass",
        "@nowhere\ndef X(): pass",
        "class X(nowhere): pass",
        "class X(bool): pass",
        "class X(json.JSONDecoder): pass",
        "class X(Base): pass",
        "class X(int):\n    __slots__ = ('a',)",
        "class X:\n    y = nowhere",
        "class X:\n    y = Base",
        "class X:\n    def f(self, a=nowhere): pass",
        "class X:\n    class Y(nowhere): pass",
        "class X(metaclass=nowhere): pass",
        "import json\n@json.nowhere\nclass X: pass",
        "if K:\n    X = 1",
        "for X in T: pass",
        "X = 1\nX += 'a'",
        "X = 1\ndel X",
        "raise ValueError",
    ],
)
def test_what_may_fail_counts_where_it_would_be_caught(bench: Bench, line: str) -> None:
    files = {"b": PLAIN, "steps": ANY}
    assert bench.changed(files, {"b": PLAIN + line})
    bench.write({"c": PLAIN, "d": "import c\n", "b": "from d import c\n"})
    assert bench.changed({}, {"c": PLAIN + line})


def test_an_error_of_the_same_name_may_catch_more(bench: Bench) -> None:
    files = {"b": "K = 1", "steps": "ImportError = Exception\n" + MISSING}
    assert bench.changed(files, {"b": "K = nowhere"})


def test_a_name_that_is_bound_later_or_perhaps_not(bench: Bench) -> None:
    files = {"b": "J = 1\ndel J\ndef f(x=J): pass", "steps": ANY}
    assert "b.f" in bench.changed(files, {"b": files["b"].replace("x=J", "x=2")})
    files = {"b": "def f(x=J): pass\nJ = 1", "steps": ANY}
    assert "b.f" in bench.changed(files, {"b": "J = 1\ndef f(x=J): pass\n"})


@pytest.mark.parametrize(
    ("line", "counts"),
    [
        ("import c", True),
        ("from json import loads", False),
        ("X = load()", True),
        ("X = json.loads('1'), 'a'.strip(), int('1')", False),
        ("X = nowhere", False),
        ("if K:\n    import c", True),
        ("if K:\n    raise ImportError", True),
        ("import nowhere", True),
    ],
)
def test_only_what_is_missing_counts_where_that_alone_is_caught(
    bench: Bench, line: str, counts: bool
) -> None:
    base = "import json\nK = 1\ndef load():\n    import nowhere\n    return 1\n"
    assert bool(bench.changed({"b": base, "steps": MISSING}, {"b": base + line})) is counts


@pytest.mark.parametrize(
    "steps",
    [
        NAMES,
        NAMES.replace("ImportError", "(ImportError, OSError)"),
        NAMES.replace("except ImportError", "except"),
        "import contextlib\nR = 1\nwith contextlib.suppress(ImportError):\n from b import K, J\n R = 2\n"
        "def main(): return R",
        "from x import quiet\nR = 1\nwith quiet():\n from b import K, J\n R = 2\ndef main(): return R",
        "def main():\n try:\n  from b import K, J\n except ImportError: return 1\n return 2",
        "def main():\n try:\n  class C:\n   from b import K, J\n except ImportError: return 1\n return 2",
        "try:\n import through\n R = 1\nexcept ImportError:\n R = 2\ndef main(): return R",
        "try:\n from through import *\n R = 1\nexcept ImportError:\n R = 2\ndef main(): return R",
        "try:\n import pkg.sub\n R = 1\nexcept ImportError:\n R = 2\ndef main(): return R",
    ],
)
def test_a_name_that_appears(bench: Bench, steps: str) -> None:
    through = "from b import K, J\n"
    files = {"through": through, "pkg/__init__": through, "pkg/sub": "", "b": "K = 1\n", "steps": steps}
    assert bench.changed(files, {"b": "K = 1\nJ = 2\n"})
    assert bench.changed({"b": "K = 1\nJ = 2\nZ = 1"}, {"b": "K = 1\nJ = 2\nZ = 2"}) == set()


@pytest.mark.parametrize(
    "steps",
    [
        MISSING,
        "import importlib\n" + MISSING.replace("import b", "importlib.import_module('b')"),
        "import importlib.util\ndef main(): return importlib.util.find_spec('b') is None",
    ],
)
def test_a_module_that_appears(bench: Bench, steps: str) -> None:
    bench.write({"steps": steps})
    assert bench.changed({}, {"b": "def f(): pass"})


def test_imports_that_nobody_tries(bench: Bench) -> None:
    steps = (
        "with open('x') as f:\n    import b\ntry:\n    R = 1\nfinally:\n    import b\ndef main(): return R"
    )
    assert bench.changed({"b": "K = 1", "steps": steps}, {"b": "K = nowhere"}) == set()
    steps = "try:\n    def load():\n        import b\n    R = 1\nexcept KeyError: R = 2\ndef main(): return R"
    assert bench.changed({"b": "K = 1", "steps": steps}, {"b": "K = nowhere"}) == set()
