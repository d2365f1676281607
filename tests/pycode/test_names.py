"""Scopes: which names of a function are global, by Python's rules."""

from __future__ import annotations

import pytest

from support.sources import Bench


def reached(bench: Bench, text: str) -> set[str]:
    """Which of the globals A to D a function reaches."""
    bench.write({"steps": "A = 1\nB = 2\nC = 3\nD = 4\n" + text})
    return {name[6:] for name in bench.names() if len(name) == 7}


@pytest.mark.parametrize(
    ("body", "names"),
    [
        ("def main(): return A", "A"),
        ("def main(A): return A", ""),
        ("def main(*A, **B): return A, B", ""),
        ("def main(x, /, A, *, B): return A, B, C", "C"),
        ("def main(x=A): pass", "A"),
        ("def main(*, x=A): pass", "A"),
        ("def main(A=A): return A", "A"),
        ("def main(x: A) -> B: pass", "AB"),
        ("def main(x: 'A') -> 'list[B]': pass", "AB"),
        ("from typing import Literal\ndef main(x: Literal['A', 'B']) -> C: pass", "C"),
        ("from typing import Annotated\ndef main(x: Annotated['A', 'B']) -> C: pass", "AC"),
        ("def main():\n x: A = 1", "A"),
        ("def main():\n A: int\n return B", "B"),
        ("def main():\n A = 1\n return A", ""),
        ("def main():\n global A\n A = 1", "A"),
        ("def main():\n global A\n A += 1", "A"),
        ("def main():\n for A in B: pass\n return A", "B"),
        ("def main():\n with B as A: return A", "B"),
        ("def main():\n try: C\n except B as A: return A", "BC"),
        ("def main():\n import A\n return A", ""),
        ("def main():\n from x import y as A\n return A", ""),
        ("def main():\n if (A := B): return A", "B"),
        ("def main(): return [A for A in B]", "B"),
        ("def main(): return [A for x in B for A in x if C]", "BC"),
        ("def main(): return [A for A in B], A", "AB"),
        ("def main(): return {A: B for A in C for B in A}", "C"),
        ("def main(): return [(A := x) for x in B], A", "B"),
        ("def main(): return [A for A in A]", "A"),
        ("def main(): return (lambda A: A + B)(C)", "BC"),
        ("def main(): return lambda x=A: x", "A"),
        ("def main():\n def f(A): return A + B\n return f(C)", "BC"),
        ("def main():\n A = 1\n def f(): return A + B\n return f", "B"),
        ("def main():\n A = 1\n def f():\n  nonlocal A\n  A = B\n return f", "B"),
        ("def main():\n def f():\n  A = 1\n return A", "A"),
        ("def main():\n A = 1\n def f():\n  global A\n  return A\n return f", "A"),
        ("def main():\n def A(): return B\n return A", "B"),
        ("def main():\n class A: x = B\n return A", "B"),
        ("def main():\n class X:\n  A = 1\n  def f(self): return A\n return X", "A"),
        ("class main:\n A = 1\n B = A", ""),
        ("class main:\n A = A", "A"),
        ("class main:\n x = A\n A = 2\n y = A", "A"),
        ("class main:\n A = 1\n def f(self, x=A): return B", "B"),
        ("class main:\n A = 1\n def f(self): return A", "A"),
        ("class main:\n A = [1]\n x = [B for y in A]", "B"),
        ("class main:\n A = [1]\n x = [A for y in B]", "AB"),
        ("class main:\n if B: A = 1\n x = A", "AB"),
        ("class main:\n for zz in A:\n  x = zz", "A"),
        ("class main(A, metaclass=B): pass", "AB"),
        ("@A\ndef main(): pass", "A"),
        ("@A(B)\nclass main:\n @C\n def f(self): pass", "ABC"),
        ("def main(x):\n match x:\n  case [A, *B]: return A, B\n  case {'k': C, **D}: return C, D", ""),
        ("def main(x):\n match x:\n  case A() as B: return B", "A"),
        ("def main():\n del A\n return A", ""),
        ("async def main():\n async for A in B: await A(C)", "BC"),
        ("def main(): return f'{A} {B!r:>{C}}'", "ABC"),
        ("def main(): yield from A", "A"),
        ("main = lambda: A", "A"),
        ("main, x = A, B", "AB"),
        ("def main(): return helper()\ndef helper(): return A if main else B", "AB"),
    ],
)
def test_global_names(bench: Bench, body: str, names: str) -> None:
    assert "".join(sorted(reached(bench, body))) == names


def test_builtins_count_when_the_module_defines_them(bench: Bench) -> None:
    bench.write({"steps": "def main(): return len(sum([1]))\ndef sum(x): return 1"})
    assert bench.names() == {"steps.main", "steps.sum"}


@pytest.mark.parametrize(
    "text",
    [
        "if x():\n    def main(): return f()\nelse:\n    def main(): return g()\n",
        "try:\n    main = f()\nexcept g: pass\n",
        "for main in f(): g()\n",
        "with f() as main: g()\n",
        "(main, z), *y = f(), g()\n",
        "main = 1\nmain += f() + g()\n",
        "main: f = g\n",
        "while (main := f()): g()\n",
        "def main(): f()\nmain = g(main)\n",
    ],
)
def test_every_way_to_bind_a_name(bench: Bench, text: str) -> None:
    bench.write({"steps": "def f(): pass\ndef g(): pass\ndef x(): pass\nother = 1\n" + text})
    bench.write({"use": "from steps import main\ndef run(): return main"})
    names = bench.names("use:run")
    assert {"steps.main", "steps.f", "steps.g"} <= names
    assert "steps.other" not in names


def test_a_name_that_only_a_function_sets(bench: Bench) -> None:
    bench.write(
        {"steps": "def init():\n    global T\n    T = K\nK = 1\ndef main(): return T\ndef other(): pass"}
    )
    assert bench.names() == {"steps.main", "steps.T", "steps.K"}


def test_a_name_that_nobody_defines_takes_the_whole_module(bench: Bench) -> None:
    bench.write({"steps": "def main(): return nowhere\nX = 1"})
    assert bench.reach().whole == (("steps", "`nowhere` is not defined in it"),)


def test_classes_count_with_their_bases_and_methods(bench: Bench) -> None:
    bench.write(
        {
            "base": "class Base:\n    def run(self): return help()\ndef help(): return 1\nclass Other: pass",
            "steps": "from dataclasses import dataclass\nimport base\n@dataclass\nclass Job(base.Base):\n n: int = 1\n"
            " def go(self): return K\nK = 1\ndef main(): return Job().run()",
        }
    )
    expected = {
        "base.Base",
        "base.help",
        "steps.Job",
        "steps.K",
        "steps.base",
        "steps.dataclass",
        "steps.main",
    }
    assert bench.names() == expected
    assert bench.names("steps:Job.go") == expected - {"steps.main"}
