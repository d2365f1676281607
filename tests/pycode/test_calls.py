"""Calls at the top of a module: those that may change what others see count."""

from __future__ import annotations

import pytest

from support.sources import Bench

BASE = """\
import random, functools, itertools, re, json, os, logging
from collections import namedtuple
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar
import outside
REG = {}
C = itertools.count()
def enroll(n, f):
    REG[n] = f
    return f
def direct(f): return enroll("d", f)
def alias(f):
    reg = REG
    reg["a"] = f
def default(f, reg=REG): reg.update(a=f)
def through(f):
    here = getattr(outside, "x")
    here.append(f)
def counted():
    global TOTAL
    TOTAL = 1
def even(n): return odd(n) if n else 1
def odd(n):
    even(n)
    REG[n] = n
def apply(f, *a): return f(*a)
class Config:
    known = []
    def __init__(self): self.x = {}
    def configure(self, n): self.x[n] = n
    @classmethod
    def make(cls, n): cls.known.append(n)
class Entered:
    def __init__(self, n): REG[n] = self
class Below(Entered): pass
CFG = Config()
def load(path):
    out = {}
    total = 0
    for line in Path(path).read_text().splitlines():
        key, value = line.split("=")
        out[key] = int(value)
        total += 1
    with open(path) as file:
        out["all"] = file.read()
    names = [key.strip() for key in out]
    return names, total
def twice(n): return sum(add(k) for k in range(n))
def add(n): return n + 1
class Plain:
    def __init__(self, n):
        super().__init__()
        self.n = n
@dataclass
class Point:
    x: int = 1
    y: list = field(default_factory=list)
def main(): return REG["double"]
"""


@pytest.mark.parametrize(
    "line",
    [
        "X = enroll('double', lambda x: 2 * x)",
        "X: int = enroll('double', 1)",
        "X = [enroll(n, 1) for n in 'ab']",
        "X = list(map(direct, 'ab'))",
        "X = list(map(lambda n: enroll(n, 1), 'ab'))",
        "X = direct(1)",
        "X = alias(1)",
        "X = default(1)",
        "X = through(1)",
        "X = counted()",
        "X = even(1)",
        "X = odd(1)",
        "X = apply(enroll, 'a', 1)",
        "X = CFG.configure(1)",
        "X = Config.make(1)",
        "X = Entered(1)",
        "X = Below(1)",
        "X = next(C)",
        "X = random.seed(1)",
        "X = os.putenv('A', 'b')",
        "X = outside.configure()",
        "def X(x=enroll('a', 1)): pass",
        "class X:\n    y = enroll('a', 1)",
        "if enroll('a', 1):\n    X = 1",
        "try:\n    X = enroll('a', 1)\nexcept KeyError:\n    X = 2",
        "X = 1 + (enroll('a', 1) or 0)",
        "X = [a for a in [enroll]][0]('a', 1)",
        "X = type('X', (Below,), {})",
    ],
)
def test_calls_that_may_change_something_count(bench: Bench, line: str) -> None:
    assert "steps.X" in bench.changed({"steps": BASE}, {"steps": BASE + line})


def test_an_edit_of_what_is_entered_counts(bench: Bench) -> None:
    line = "double = enroll('double', lambda x: 2 * x)\n"
    files = {"steps": BASE + line}
    assert bench.changed(files, {"steps": BASE + line.replace("2 *", "3 *")}) == {"steps.double"}
    assert "steps.enroll" in bench.names()


@pytest.mark.parametrize(
    "line",
    [
        "X = Path(__file__).parent / 'x'",
        "X = re.compile('a').pattern",
        "X = namedtuple('X', 'a b')",
        "X = dict(a=1), list('a'), set(), tuple(), frozenset(), len('a'), int('1'), str(1), float('1')",
        "X = range(3), zip('a'), sorted('ab', key=len)",
        "X = os.environ.get('A', os.path.join('a', 'b'))",
        "X = logging.getLogger(__name__)",
        "X = TypeVar('X')",
        "X = Plain(1)",
        "X = Point(1, y=[])",
        "X = load('x')",
        "X = twice(4)",
        "X = list(map(add, [1]))",
        "X = sorted([1], key=add)",
        "X = json.loads(Path('x').read_text().strip())",
        "X = outside.Thing(1)",
        "X = functools.partial(enroll, 'a')",
        "X = functools.lru_cache(maxsize=None)(add)",
        "X = lambda: enroll('a', 1)",
        "class X:\n    y = field(default_factory=dict)\n    def f(self): enroll('a', 1)",
        "def X(x=Path('a')): return enroll('a', 1)",
        "X = 'a b'" + ".strip()" * 900,
    ],
)
def test_ordinary_values_do_not(bench: Bench, line: str) -> None:
    assert bench.changed({"steps": BASE}, {"steps": BASE + line}) == set()


def test_calls_across_modules(bench: Bench) -> None:
    files = {
        "base": "REG = {}\ndef enroll(f):\n    REG[1] = f\n    return f\ndef same(f): return f",
        "ext": "import base\nfrom base import enroll as e\nX = e(lambda: 1)\nY = base.same(lambda: 1)",
        "steps": "import base, ext\ndef main(): return base.REG",
    }
    assert bench.changed(files, {"ext": files["ext"].replace("e(lambda: 1", "e(lambda: 2")}) == {"ext.X"}
    assert bench.changed(files, {"ext": files["ext"].replace("same(lambda: 1", "same(lambda: 2")}) == set()
