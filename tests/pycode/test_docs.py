"""Texts as data: docstrings count where they are read, and nowhere else."""

from __future__ import annotations

import pytest

from support.sources import Bench, Texts

HELPERS = '''\
"""Of helpers."""
def f():
    """Of f."""
def g():
    """Of g."""
class C:
    """Of C."""
    def m(self):
        """Of m."""
'''
STEPS = (
    '"""Of steps."""\nimport inspect, functools, helpers\nfrom helpers import f\ndef main(x):\n    return '
)
WORDS = ["steps", "helpers", "f", "g", "C", "m"]


def read_by(bench: Bench, body: str) -> list[str]:
    """Of which docstrings an edit is a difference."""
    files: Texts = {"helpers": HELPERS, "steps": STEPS + body}
    return [
        word
        for word in WORDS
        if bench.changed(
            files, {name: text.replace(f"Of {word}.", f"About {word}.") for name, text in files.items()}
        )
    ]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("__doc__", "steps"),
        ("helpers.__doc__", "helpers"),
        ("f.__doc__", "f"),
        ("helpers.g.__doc__.strip()", "g"),
        ("getattr(helpers.g, '__doc__')", "g"),
        ("helpers.C.__doc__", "C m"),
        ("helpers.C.m.__doc__", "C m"),
        ("None\ndef other(): return __doc__", ""),
        ("f(), helpers.C", ""),
        ("vars(helpers)", ""),
        ("x.__doc__", "steps helpers f g C m"),
        ("type(x).__doc__", "steps helpers f g C m"),
        ("inspect.getdoc(f)", "steps helpers f g C m"),
        ("help(x)", "steps helpers f g C m"),
        ("inspect.getsource(f)", "steps helpers f g C m"),
        ("deco(x)\ndef deco(x):\n    f.__doc__ = x.__doc__\n    f.__doc__ = 'y'\n    return f", ""),
        ("deco(x)\ndef deco(x):\n    f.text = x.__doc__", "steps helpers f g C m"),
        ("y(x)\ndef y(x):\n    from helpers import g as h\n    return h.__doc__", "g"),
        ("y(x)\ndef y(x):\n    import helpers as h\n    return h.__doc__", "helpers"),
        ("__doc__\n__doc__ += 'x'", "steps"),
    ],
)
def test_docstrings_that_are_read(bench: Bench, body: str, words: str) -> None:
    assert " ".join(read_by(bench, body)) == words


def test_a_docstring_in_a_script(bench: Bench) -> None:
    before, after = "'''One.'''\nprint(__doc__)\n", "'''Two.'''\nprint(__doc__)\n"
    assert bench.changed({"run.py": before}, {"run.py": after}, "run.py") == {"run.py (docstring)"}


def test_a_docstring_that_goes_elsewhere(bench: Bench) -> None:
    text = "def a():\n    'x'\ndef b():\n    0\ndef main(x): return x.__doc__\n"
    assert bench.changed({"steps": text}, {"steps": text.replace("'x'", "0").replace("    0", "    'x'")})


def test_comments_count_where_the_source_is_read(bench: Bench) -> None:
    files = {"helpers": HELPERS, "steps": STEPS + "inspect.getsource(f)"}
    assert bench.changed(files, {"helpers": HELPERS + "# a comment\n"}) == {"helpers (text)"}
    bench.write({"steps": STEPS + "inspect.getdoc(f)"})
    assert bench.changed({}, {"helpers": HELPERS + "# another\n"}) == set()


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("pickle.load(x)", "`pickle.load` in steps.py line 2: what it loads is not followed"),
        ("inspect.getmodule(x).n", "`inspect.getmodule` in steps.py line 2: what it loads is not followed"),
        ("find_spec(x)", "`importlib.util.find_spec` in steps.py line 2: what it loads is not followed"),
    ],
)
def test_what_is_not_followed_is_told_and_no_more_counts(bench: Bench, body: str, why: str) -> None:
    head = "import inspect, pickle; from importlib.util import find_spec\n"
    bench.write({"steps": f"{head}def main(x): return {body}\ndef other(): return 1"})
    assert (bench.reach().whole, bench.reach().notes) == ((), (("steps", why),))
    assert "steps.other" not in bench.names()


def test_a_path_of_another_module_is_told(bench: Bench) -> None:
    bench.write({"tools": "x = 1", "steps": "import tools\ndef main(): return tools.__file__, __file__"})
    assert (bench.reach().whole, [name for name, _ in bench.reach().notes]) == ((), ["tools"])
