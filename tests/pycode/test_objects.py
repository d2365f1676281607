"""Methods that run without being called by name, when a module is imported."""

from __future__ import annotations

import pytest

from support.sources import Bench

BASE = """\
from functools import cached_property
L = []
class R:
    def __init__(self, v=0): self.v = v
    def __add__(self, v): L.append(v)
    def __getitem__(self, v): L.append(v)
    def __str__(self): L.append(self.v)
    def __set_name__(self, owner, name): L.append(name)
    @property
    def p(self): L.append(1)
    @cached_property
    def c(self): return L.append(1)
    plain = 1
class Below(R): pass
class Quiet:
    def __init__(self, v=0): self.v = v
    def __add__(self, v): return Quiet(self.v + v)
    def __getitem__(self, v): return self.v
    def __str__(self): return f"<{self.v}>"
    @property
    def p(self): return self.v
class Lazy:
    def __getattr__(self, name): L.append(name)
class Named:
    def __set_name__(self, owner, name): L.append(name)
r = R()
q = Quiet()
lazy = Lazy()
same: R = r
def add(n): return r + n
"""
HEAD = "import a\nfrom a import R, Below, Quiet, Named, q, lazy, same, r as s\n"
STEPS = "import patch, a\ndef main(): return a.L"


def counts(bench: Bench, line: str) -> bool:
    files = {"a": BASE, "steps": STEPS, "patch": HEAD}
    return bool(bench.changed(files, {"patch": HEAD + line}))


@pytest.mark.parametrize(
    "line",
    [
        "X = s + 1",
        "X = 1 + a.r",
        "X = -s",
        "X = s[1]",
        "X = s[1:2]",
        "X = s.p",
        "X = a.r.p",
        "X = s.c",
        "X = a.R(1).p",
        "X = lazy.any",
        "X = f'{a.R(1)}'",
        "X = str(R(1))",
        "X = str(object=s)",
        "X = same + 1",
        "X = Below() + 1",
        "X = [1 for y in s]",
        "X = [*s]",
        "X = {s: 1}",
        "X = 1 if s else 2",
        "X = s < 1 < 2",
        "X = a.add(1)",
        "if s:\n    X = 1",
        "for X in s:\n    Y = 1",
        "class X:\n    y = Named()",
        "class X:\n    y: int = s",
        "t = Below(1)\nX = t + 1",
        "def X(n=s + 1): pass",
    ],
)
def test_what_may_change_something_counts(bench: Bench, line: str) -> None:
    assert counts(bench, line)


@pytest.mark.parametrize(
    "line",
    [
        "X = q + 1, q[1], q.p, str(q), f'{q}', Quiet(1) + 2",
        "X = s",
        "X = [s, 1]",
        "X = s.plain",
        "X = s.v",
        "X = R(1)",
        "class X:\n    y = q",
        "class X:\n    y = lazy",
        "def X(r): return r + s + 1",
        "X = lambda: s + 1",
        "X = unknown + 1",
        "y = 1\nX = y + 1",
        "s = 2\ndef X(): return s[0]",
    ],
)
def test_what_changes_nothing_does_not(bench: Bench, line: str) -> None:
    assert not counts(bench, line)


def test_an_edit_of_it_counts_and_so_does_its_order(bench: Bench) -> None:
    files = {"a": BASE, "steps": STEPS, "patch": HEAD + "X = s + 1", "other": HEAD + "X = s + 2"}
    assert bench.changed(files, {"patch": HEAD + "X = s + 3"}) == {"patch.X"}
    assert "a.R" in bench.names()
    files["steps"] = "import other\n" + STEPS
    assert bench.changed(files, {"steps": "import patch\nimport other\n" + STEPS}) == {"steps (order)"}


def test_classes_that_are_their_own_base(bench: Bench) -> None:
    assert not counts(bench, "class P(Q): pass\nclass Q(P): pass\nu = v\nv = u\nX = Q() + u")
