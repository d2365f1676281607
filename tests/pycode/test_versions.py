"""Every Python from 3.11 on sees the same digests."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support.sources import Bench

ROOT = Path(__file__).parents[2]
# Without the library, or with one of another version, any stable digest will do.
SCRIPT = """\
import hashlib, sys, types
class Digest:
    def __init__(self, data=b""): self.state = hashlib.blake2b(data, digest_size=16)
    def update(self, data): self.state.update(data)
    def hexdigest(self): return self.state.hexdigest()
sys.modules["xxhash"] = types.SimpleNamespace(xxh3_128=Digest)
sys.path.insert(0, sys.argv[1])
from buildtool.pycode.code import Code
code = Code(sys.argv[2])
reaches = [code.reach("steps:main"), code.reach("steps:dynamic"), code.reach_script("run.py")]
for reach in reaches:
    for piece in reach.pieces:
        print(*piece[:3])
    print(reach.files, reach.whole)
"""
STEPS = '''\
"""Doc."""
from __future__ import annotations
import functools, json, tools
from dataclasses import dataclass, field
from typing import Annotated, Literal

try: import tried
except Exception: tried = None

X, *Y = 1, -1.0, 2j, b"x", "\\u00e9\\ud800", None, ..., True, 10 ** 40, 0xFFFF_FFFF_FFFF_FFFF_FFFF
T = {"a": 1, **{"b": [i for i in range(3) if (z := i)]}}
T["c"] = lambda x, /, y=1, *, k, **m: (x, y, k, m)

@dataclass(frozen=True)
class Base:
    """Doc."""
    n: int = 1
    names: list[str] = field(default_factory=list)

    @property
    def size(self) -> "Annotated[int, 'x']": return self.n

@functools.singledispatch
def show(x: Literal["a"]): ...

@show.register
def _(x: int) -> str:
    return f"{x!r:>{10}} {x=} {x:} {'a' 'b'}" f"" "tail" f"{f'{x}'}" rf"\\d{x:%Y-%m-%d}" f'{{}}{x:{X}.{X}f}'

async def work(a, *b):
    async with a as c, c: yield [d async for d in b]
    try: await a
    except* ValueError as e: raise TypeError from e
    else: pass
    finally: del a

def choose(v):
    match v:
        case [1, *rest] | (2, rest): return rest
        case {"k": w, **more} if more: return w
        case Base(n=None | True) as b: return b
        case -1 | 1 + 2j | "s" | str.x: pass
    while v: break
    else: global Z; Z = 1
    return [*v, v[1:2, ::3], v if v else not v, v @ v, v < X <= 2 != 3, *"ab"]

def main(p):
    """Doc."""
    def inner(): nonlocal p; p += 1; return p
    with (open(p) as f, open(p)): assert f, "x"
    return tools.f(inner, json.dumps(T)), choose(p), tried.K, work, show, Base, X, len(Y), print, zip

def dynamic(): return globals(), __doc__, Base.__doc__, Base().__doc__, __annotations__
'''
TRIED = """\
import json
def f(x: "json.x", y: list[int] | None = None, *z: PythonFinalizationError, k: json.JSONDecoder = 1): pass
class E(Exception):
    'Doc.'
    def __add__(self, n): print(n)
    @property
    def p(self) -> int: return 1
K: float = -1.5
T = {"a": (K, [len, exit, aiter]), **{}}
S = E() + 1, f"{E().p:>3}", [i for i in E()], int("1")
"""


def found_by(interpreter: str, root: Path) -> str:
    run = subprocess.run(
        [interpreter, "-c", SCRIPT, str(ROOT), str(root)],
        capture_output=True,
        text=True,
        check=False,
        cwd=root,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": ""},
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13", "3.14"])
def test_every_python_sees_the_same(bench: Bench, version: str) -> None:
    other = shutil.which(f"python{version}")
    if other is None or subprocess.run([other, "-c", ""], capture_output=True, check=False).returncode:
        pytest.skip(f"there is no Python {version}")
    bench.write(
        {
            "steps": STEPS,
            "tools": "def f(*a): return a",
            "tried": TRIED,
            "run": "import steps\nprint(f'{steps.X}')\n",
        }
    )
    expected = found_by(sys.executable, bench.root)
    assert "steps.main" in expected
    assert "tried.f" in expected
    assert found_by(other, bench.root) == expected
