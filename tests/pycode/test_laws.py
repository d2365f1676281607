"""Laws, with random programs: what a function reaches is what a plain walk of the calls says."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path
from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from buildtool.errors import TaskfileError
from support.sources import Bench, Texts

NOISE = ["", "\n\n", "# words\n", "'''words'''\n", "pass\n", "...\n", "\t\n"]
AT_THE_TOP = [
    *NOISE,
    "import json\n",
    "if __name__ == '__main__': x()\n",
    "UNUSED = 1\n",
    "def unused(): pass\n",
]


class Program(NamedTuple):
    """Functions by number: the module of each, its constant, how it spells its calls, and whom it calls."""

    modules: list[int]
    constants: list[int]
    forms: list[int]
    calls: list[list[int]]


@st.composite
def programs(draw: st.DrawFn) -> Program:
    size = draw(st.integers(1, 8))
    numbers = st.integers(0, size - 1)
    exactly = {"min_size": size, "max_size": size}
    return Program(
        draw(st.lists(st.integers(0, 2), **exactly)),
        draw(st.lists(st.integers(0, 9), **exactly)),
        draw(st.lists(st.integers(0, 4), **exactly)),
        draw(st.lists(st.lists(numbers, max_size=3), **exactly)),
    )


def call(program: Program, caller: int, callee: int) -> tuple[str, str, str]:
    """A call from one function to another: an import at the top, one in the body, the expression."""
    module = f"m{program.modules[callee]}"
    if program.modules[caller] == program.modules[callee]:
        return "", "", f"f{callee}()"
    return [
        (f"import {module}", "", f"{module}.f{callee}()"),
        (f"from {module} import f{callee} as g{callee}", "", f"[g{callee}() for _ in 'a']"),
        ("", f"import {module} as z{callee}", f"z{callee}.f{callee}()"),
        ("", f"from {module} import f{callee}", f"(lambda: f{callee})()"),
        (f"from m0 import through{callee}", "", f"through{callee}()"),
    ][program.forms[caller]]


def texts(program: Program, noise: random.Random | None = None) -> Texts:
    """The files of a program, with or without words in between that mean nothing."""

    def some(indent: str = "") -> str:
        return (
            indent + noise.choice(NOISE if indent else AT_THE_TOP).replace("\n", "\n" + indent) + "\n"
            if noise
            else ""
        )

    files = {f"m{number}": some() for number in range(3)}
    heads = {f"m{number}": dict[str, None]() for number in range(3)}
    for number, module in enumerate(program.modules):
        if module:
            files["m0"] += f"from m{module} import f{number} as through{number}\n"
        parts = [call(program, number, callee) for callee in program.calls[number]]
        heads[f"m{module}"].update(dict.fromkeys(part[0] + "\n" for part in parts))
        body = "".join(f"    {part[1]}\n" for part in parts if part[1])
        values = ", ".join([f"K{number}", *(part[2] for part in parts)])
        files[f"m{module}"] += (
            f"K{number} = {program.constants[number]}\n{some()}def f{number}():\n"
            f"{some('    ')}{body}{some('    ')}    return {values}\n{some()}"
        )
    return {name: "".join(heads[name]) + text for name, text in files.items()}


def reached(program: Program, start: int) -> set[int]:
    """The oracle: everything that can be got to by calls."""
    found, pending = {start}, [start]
    while pending:
        fresh = set(program.calls[pending.pop()]) - found
        found |= fresh
        pending += fresh
    return found


def digests(bench: Bench, program: Program) -> list[set[tuple[str, str, str]]]:
    code = bench.code()
    return [
        {piece[:3] for piece in code.reach(f"m{module}:f{number}").pieces}
        for number, module in enumerate(program.modules)
    ]


@given(programs(), st.data())
def test_a_constant_is_a_difference_for_those_who_reach_it(program: Program, data: st.DataObject) -> None:
    # Through a name that is passed on in `m0`, nothing but that name and its definition is reached.
    edited = data.draw(st.integers(0, len(program.modules) - 1))
    constants = [*program.constants]
    constants[edited] += 1
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        bench.write({**texts(program), "m0": texts(program)["m0"] + "".join(aliases(program))})
        before = digests(bench, program)
        after_program = program._replace(constants=constants)
        bench.write({**texts(after_program), "m0": texts(after_program)["m0"] + "".join(aliases(program))})
        after = digests(bench, after_program)
    for number in range(len(program.modules)):
        if edited in reached(program, number):
            name = f"m{program.modules[edited]}.K{edited}"
            assert {item[1] for item in before[number] ^ after[number]} == {name}
        else:
            assert before[number] == after[number]


def aliases(program: Program) -> list[str]:
    return [f"through{number} = f{number}\n" for number, module in enumerate(program.modules) if not module]


@given(programs(), st.randoms(use_true_random=False))
def test_noise_is_no_difference(program: Program, noise: random.Random) -> None:
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        bench.write({**texts(program), "m0": texts(program)["m0"] + "".join(aliases(program))})
        before = digests(bench, program)
        noisy = texts(program, noise)
        bench.write({**noisy, "m0": noisy["m0"] + "".join(aliases(program))})
        assert digests(bench, program) == before


@given(st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        (bench.root / "run.py").write_bytes(raw)
        try:
            assert bench.reach("run.py").pieces
        except TaskfileError as error:
            assert "run.py" in error.summary  # noqa: PT017 - either end is right
