"""What is known of a function without importing it, and what is told when there is none."""

from __future__ import annotations

import pytest

from buildtool.errors import TaskfileError
from support.sources import Bench

STEPS = """\
from functools import partial
from pathlib import Path as P
import pathlib
import elsewhere
from elsewhere import far as near
import ext_nowhere

def count(reads: P, ref: "list[P]", /, output: pathlib.Path, *rest: int, k=21, deep: bool, **more): pass

@partial(print, 1)
async def slow(): pass

def many():
    yield 1

def not_many():
    def inner(): yield 1
    return lambda: (yield)

short = lambda x, y=1: x
half = partial(count, 1)
alias = near
again = count
K = 5
WORDS = ["a"]
made = ext_nowhere.make()

class Model(elsewhere.Base):
    size = 3
    def __init__(self, a, b=1): pass
    def fit(self, x): pass
    @staticmethod
    def load(path): pass
    @classmethod
    def make(cls, n): pass
    class Inner:
        def deep(self): pass

class Plain: pass

if K:
    def either(x): pass
else:
    either = None
"""
ELSEWHERE = "def far(x): pass\nclass Base:\n    @staticmethod\n    def help(z): pass\n"


@pytest.fixture
def steps(bench: Bench) -> Bench:
    bench.write({"steps": STEPS, "elsewhere": ELSEWHERE})
    return bench


def test_parameters_are_as_written(steps: Bench) -> None:
    function = steps.function("steps:count")
    assert function[:4] == ("steps", "count", "steps.py", 8)
    assert function.parameters is not None
    assert [tuple(parameter) for parameter in function.parameters] == [
        ("reads", True, "positional", "Path", 8),
        ("ref", True, "positional", "list[P]", 8),
        ("output", True, "keyword", "pathlib.Path", 8),
        ("rest", False, "args", "int", 8),
        ("k", False, "keyword", None, 8),
        ("deep", True, "keyword", "bool", 8),
        ("more", False, "kwargs", None, 8),
    ]


@pytest.mark.parametrize(
    ("name", "where", "parameters"),
    [
        ("short", "steps.short", ["x", "y"]),
        ("half", "steps.half", None),
        ("made", "steps.made", None),
        ("alias", "elsewhere.far", ["x"]),
        ("near", "elsewhere.far", ["x"]),
        ("again", "steps.count", ["reads", "ref", "output", "rest", "k", "deep", "more"]),
        ("Model", "steps.Model", ["a", "b"]),
        ("Model.fit", "steps.Model.fit", ["self", "x"]),
        ("Model.load", "steps.Model.load", ["path"]),
        ("Model.make", "steps.Model.make", ["n"]),
        ("Model.Inner.deep", "steps.Model.Inner.deep", ["self"]),
        ("Model.help", "elsewhere.Base.help", ["z"]),
        ("Plain", "steps.Plain", None),
        ("either", "steps.either", ["x"]),
        ("elsewhere.far", "elsewhere.far", ["x"]),
        ("pathlib.Path", "pathlib.Path", None),
    ],
)
def test_whatever_can_be_called_is_found(
    steps: Bench, name: str, where: str, parameters: list[str] | None
) -> None:
    function = steps.function(f"steps:{name}")
    assert f"{function.module}.{function.qualname}" == where
    names = None if function.parameters is None else [item.name for item in function.parameters]
    assert names == parameters
    assert steps.reach(f"steps:{name}").pieces


def test_how_it_runs(steps: Bench) -> None:
    assert steps.function("steps:slow")[5:8] == (True, False, ("functools.partial",))
    assert steps.function("steps:many").is_generator
    assert not steps.function("steps:not_many").is_generator


def test_functions_from_outside_are_allowed(bench: Bench) -> None:
    assert bench.function("json:dumps")[:5] == ("json", "dumps", "", 0, None)
    assert bench.reach("json:dumps").pieces == ()
    assert [piece.name for piece in bench.reach("xxhash:xxh64").pieces] == ["xxhash"]


def failure(bench: Bench, target: str) -> TaskfileError:
    with pytest.raises(TaskfileError) as caught:
        bench.reach(target)
    assert caught.value.place is None
    return caught.value


@pytest.mark.parametrize(
    "target",
    [
        "",
        "steps",
        "steps:",
        ":f",
        "steps.f",
        "a b:f",
        "steps:f()",
        "a:b:c",
        "../a:f",
        "a..b:f",
        "\0:f",
    ],
)
def test_a_malformed_target(bench: Bench, target: str) -> None:
    with pytest.raises(TaskfileError, match="does not name a function") as caught:
        bench.code().reach(target)
    assert "module:function" in str(caught.value.hint)


def test_no_such_module(steps: Bench) -> None:
    error = failure(steps, "stpes:count")
    assert error.summary == "there is no module `stpes`"
    assert error.hint == "did you mean `steps`?"
    assert error.facts == (("looked in", "the project root"),)
    steps.write({"pkg/sub/mod": "", "src/x": ""})
    assert failure(steps, "pkg.sub.mdo:f").hint == "did you mean `pkg.sub.mod`?"
    with pytest.raises(TaskfileError) as caught:
        steps.code("src").function("zzz:f")
    assert caught.value.facts == (("looked in", "the project root and `src`"),)
    assert "python_path" in str(caught.value.hint)


def test_no_such_function(steps: Bench) -> None:
    error = failure(steps, "steps:cuont")
    assert error.summary == "module `steps` has no function `cuont`"
    assert error.hint == "did you mean `count`?"
    assert error.facts == (("file", "steps.py"),)
    assert failure(steps, "steps:Model.lod").hint == "did you mean `Model.load`?"


@pytest.mark.parametrize("name", ["K", "WORDS", "elsewhere", "Model.size"])
def test_what_cannot_be_called(steps: Bench, name: str) -> None:
    assert failure(steps, f"steps:{name}").summary == f"`steps:{name}` is not a function"


def test_a_name_that_leads_round(bench: Bench) -> None:
    bench.write({"a": "from b import f", "b": "from a import f", "c": "f = f"})
    assert "not a function" in failure(bench, "a:f").summary
    bench.function("c:f")


@pytest.mark.parametrize(
    ("raw", "what"),
    [
        (b"def f(:\n", "line 1 of `bad.py` is not valid Python: invalid syntax"),
        (b"x = 1\n  y = 2\n", "line 2 of `bad.py` is not valid Python: unexpected indent"),
        (b"x = '\xff'\n", "`bad.py` is not valid Python: (unicode error)"),
        (b"# coding: no-such-thing\nx = 1\n", "`bad.py` is not valid Python: unknown encoding"),
        (b"# coding: hex\nx = 1\n", "`bad.py` is not valid Python"),
        (b"x = 1\0\n", "`bad.py` is not valid Python: source code"),
        (
            b"x = " + b"(" * 300 + b")" * 300,
            "line 1 of `bad.py` is not valid Python: too many nested parentheses",
        ),
        (b"\xef\xbb\xbf# coding: latin-1\nx = 1\n", "`bad.py` is not valid Python: encoding problem"),
        (b"return = 1\r\r\n", "line 1 of `bad.py` is not valid Python: invalid syntax"),
        (b"print 'x'", "line 1 of `bad.py` is not valid Python: Missing parentheses"),
    ],
)
def test_a_file_that_is_no_python(bench: Bench, raw: bytes, what: str) -> None:
    bench.write({"steps": "import bad\ndef main(): return 1", "apart": "def other(): pass"})
    (bench.root / "bad.py").write_bytes(raw)
    error = failure(bench, "steps:main")
    assert what in error.summary
    assert error.facts[0][1].startswith("bad.py")
    assert bench.reach("apart:other").pieces
    assert what in failure(bench, "bad:f").summary
    assert what in failure(bench, "bad.py").summary


@pytest.mark.parametrize(
    "raw",
    [
        b"def f(): return '\xc3\xa9'",
        b"\xef\xbb\xbfdef f(): return '\xc3\xa9'",
        b"# -*- coding: latin-1 -*-\ndef f(): return '\xe9'",
        b"def f():\r\n    return '\xc3\xa9'\r\n",
        b"\x0cdef f():\r return '\\xe9'\r",
    ],
)
def test_encodings_and_line_ends_do_not_count(bench: Bench, raw: bytes) -> None:
    bench.write({"plain": "def f(): return '\\u00e9'"})
    expected = bench.reach("plain:f").pieces[0].digest
    (bench.root / "steps.py").write_bytes(raw)
    assert bench.reach("steps:f").pieces[0].digest == expected


def test_a_file_that_cannot_be_read(bench: Bench) -> None:
    bench.write({"steps": "import gone\ndef main(): return gone.f()"})
    assert failure(bench, "lost.py").summary.startswith("cannot read `lost.py`")
    (bench.root / "gone.py").symlink_to(bench.root / "gone.py")
    assert bench.reach().pieces


def test_an_empty_file(bench: Bench) -> None:
    bench.write({"steps": "", "run": ""})
    assert "has no function" in failure(bench, "steps:main").summary
    assert bench.reach("run.py").pieces[0].name == "run.py"


@pytest.mark.parametrize(
    "text",
    [
        "X = " + " + ".join(["helper()"] * 5000),
        "X = helper" + ".a()" * 5000,
        "X = " + "not " * 50000 + "helper",
        "X = " + " + ".join(["helper()"] * 900),
        "X = helper\nif X: pass\n" + "elif helper: pass\n" * 900,
        "X = " + "[" * 150 + "helper" + "]" * 150,
        "X = " + "lambda: " * 900 + "helper",
    ],
)
def test_deep_nesting(bench: Bench, text: str) -> None:
    bench.write(
        {
            "steps": f"def helper(): pass\n{text}\ndef main(): return X\n",
            "use": "import steps\ndef main(): return steps.main",
        }
    )
    reach = bench.reach("use:main")
    names = {piece.name for piece in reach.pieces}
    if reach.whole:
        assert reach.whole == (("steps", "nested too deeply to be read"),)
        assert "steps" in names
        assert bench.function("steps:main").parameters is None
    else:
        assert {"steps.helper", "steps.main"} <= names


def test_nothing_of_the_user_is_run(bench: Bench) -> None:
    bench.write(
        {"steps": "raise SystemExit\ndef main(): pass", "p/__init__": "raise SystemExit", "p/q": "def f(): 1"}
    )
    assert bench.reach().pieces
    assert bench.reach("p.q:f").pieces


@pytest.mark.parametrize(
    ("text", "parameters"),
    [
        ("@inject\ndef f(db, output): pass", None),
        ("@inject\ndef f(db): yield", None),
        ("import contextlib\n@contextlib.contextmanager\ndef f(db): yield", None),
        ("import functools\n@functools.wraps(inject)\ndef f(*a): pass", None),
        ("import functools\n@functools.cache\ndef f(a): pass", ["a"]),
        ("from functools import lru_cache\n@lru_cache(maxsize=1)\ndef f(a): pass", ["a"]),
        ("import sys\nif sys.version_info < (3, 8):\n def f(a): yield\nelse:\n def f(b): yield", None),
        ("try:\n from fast import f\nexcept ImportError:\n def f(b): yield", None),
        ("def f(a): pass\nif inject:\n def f(b): pass", None),
        ("def f(a): pass\nfrom nowhere_at_all import *", None),
        ("f = None\nif inject:\n def f(b): pass", ["b"]),
        ("try:\n def f(a): pass\nexcept KeyError:\n pass", ["a"]),
        ("def f(a): yield\ndef f(b): pass", ["b"]),
        ("if inject:\n def f(a): pass\ndef f(b): pass", ["b"]),
        ("@inject\nclass f:\n def __init__(self, a): pass", None),
    ],
)
def test_parameters_are_told_where_reading_can_tell(
    bench: Bench, text: str, parameters: list[str] | None
) -> None:
    bench.write({"steps": "def inject(f): return f\n" + text})
    function = bench.function("steps:f")
    found = None if function.parameters is None else [item.name for item in function.parameters]
    assert (found, function.is_generator) == (parameters, False)
