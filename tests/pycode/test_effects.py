"""What a module does when it is imported: calls, registries, tables that are filled, imports for their effect."""

from __future__ import annotations

import pytest

from support.sources import Bench


@pytest.mark.parametrize(
    "statement",
    [
        "print(K)",
        "TABLE['a'] = f",
        "TABLE.append(f)",
        "f.flag = 1",
        "import os\nos.environ['X'] = 'y'",
        "if K:\n    TABLE.clear()",
        "for x in 'ab':\n    TABLE[x] = f",
        "try:\n    TABLE.clear()\nexcept f: pass",
        "with f(): TABLE.clear()",
        "del TABLE[0]",
        "assert K",
        "x = TABLE.pop()",
        "_ = f(K)",
        "while f(): pass",
        "TABLE[0] += K",
        "class C:\n    TABLE[0] = f",
    ],
)
def test_statements_with_an_effect_count(bench: Bench, statement: str) -> None:
    base = "K = 1\nTABLE = []\ndef f(): pass\ndef main(): return 1\n"
    assert "steps (top level)" in bench.changed({"steps": base}, {"steps": base + statement})


@pytest.mark.parametrize(
    "statement",
    [
        "X = f()",
        "if K:\n    def g(): pass\nelse:\n    g = None",
        "try:\n    import numpy\nexcept ImportError:\n    numpy = None",
        "class C:\n    x = f()",
        "@staticmethod\ndef g(): pass",
        "import functools\n@functools.lru_cache(maxsize=None)\ndef g(): pass",
        "import dataclasses as d\n@d.dataclass(frozen=True)\nclass C: pass",
        "class C:\n    @property\n    def x(self): pass\n    @x.setter\n    def x(self, v): pass",
        "@timed\ndef g(): pass",
        "@timed2('x')\ndef g(): pass",
        "class C(Plain): pass",
        "if __name__ == '__main__':\n    f()",
        "...",
        "'text'",
        "__all__ = ['main']\n__all__ += ['f']\n__all__.extend(['K'])",
        "K2: int",
    ],
)
def test_definitions_that_nothing_uses_do_not(bench: Bench, statement: str) -> None:
    base = """
from functools import wraps
K = 1
class Plain: pass
def f(): pass
def timed(f):
    @wraps(f)
    def inner(*a): return f(*a)
    inner.calls = 0
    return inner
def timed2(name):
    def wrap(f):
        def inner(*a): return f(*a)
        return inner
    return wrap
def main(): return 1
"""
    assert bench.changed({"steps": base}, {"steps": base + statement}) == set()


@pytest.mark.parametrize(
    "statement",
    [
        "@register\ndef g(): pass",
        "@register('x')\ndef g(): pass",
        "@nowhere.register\nclass g: pass",
        "class g:\n    @register\n    def m(self): pass",
        "class g(Watcher): pass",
        "class Middle(Watcher): pass\nclass g(Middle): pass",
        "class g(metaclass=Meta): pass",
        "if K:\n    @register\n    def g(): pass",
    ],
)
def test_what_is_entered_somewhere_counts(bench: Bench, statement: str) -> None:
    base = """
import nowhere
K = 1
TABLE = {}
def register(f):
    TABLE[f.__name__] = f
    return f
class Watcher:
    def __init_subclass__(cls): pass
class Meta(type): pass
def main(): return 1
"""
    assert "steps.g" in bench.changed({"steps": base}, {"steps": base + statement})


def test_a_registration_counts_where_its_holder_is_reached(bench: Bench) -> None:
    text = """
import functools
import outside
app = outside.App()
@functools.singledispatch
def show(x): pass
@show.register
def _(x: int): pass
@app.command()
def go(): pass
def one(): return show(1)
def two(): return app
def three(): return 1
"""
    bench.write({"steps": text})
    assert {"steps.show", "steps._"} <= bench.names("steps:one")
    assert {"steps.app", "steps.go"} <= bench.names("steps:two")
    assert bench.names("steps:three") == {"steps.three"}


def test_what_an_effect_uses_is_followed(bench: Bench) -> None:
    bench.write(
        {"tools": "def f(): return g()\ndef g(): pass", "steps": "import tools\ntools.f()\ndef main(): pass"}
    )
    assert bench.names() == {"steps.main", "steps (top level)", "steps.tools", "tools.f", "tools.g"}


def test_an_import_for_its_effect(bench: Bench) -> None:
    files = {"plugins": "import registry\nregistry.T['a'] = 1", "registry": "T = {}", "quiet": "X = 1"}
    steps = "import registry\ndef main(): return registry.T\n"
    assert "plugins (top level)" in bench.changed(
        {**files, "steps": steps}, {"steps": "import plugins\n" + steps}
    )
    assert bench.changed({**files, "steps": steps}, {"steps": "import quiet\n" + steps}) == set()
    used = "import plugins\ndef other(): return plugins.registry\n" + steps
    assert "plugins (top level)" in bench.changed({**files, "steps": steps}, {"steps": used})
    inside = steps.replace("return", "\n import plugins\n return")
    assert "plugins (top level)" in bench.changed({**files, "steps": steps}, {"steps": inside})


def test_a_package_that_collects_its_plugins(bench: Bench) -> None:
    bench.write(
        {
            "models/__init__": "from .registry import get, register\nfrom .a import A\nfrom . import b",
            "models/registry": "T = {}\ndef register(c):\n    T[c] = c\n    return c\ndef get(x): return T[x]",
            "models/a": "from .registry import register\n@register\nclass A: pass",
            "models/b": "from models import register\n@register\nclass B: pass\nclass C: pass",
            "steps": "from models import get\ndef main(): return get('a')()",
        }
    )
    names = bench.names()
    assert {"models.a.A", "models.b.B", "models.registry.T"} <= names
    assert "models.b.C" not in names


def test_parents_run_first(bench: Bench) -> None:
    bench.write({"p/__init__": "print(1)", "p/q/__init__": "print(2)", "p/q/r": "def main(): pass"})
    assert bench.names("p.q.r:main") == {"p (top level)", "p.q (top level)", "p.q.r.main"}
    assert bench.reach("p.q.r:main").files == ("p/__init__.py", "p/q/__init__.py", "p/q/r.py")
