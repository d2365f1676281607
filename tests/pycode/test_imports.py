"""What is executed when modules are imported counts, whether or not what they define is used."""

from __future__ import annotations

import pytest

from support.sources import Bench, Texts

USE = "def main(): return base.REG\n"
BASE = {"base": "REG = {}\nK = 1\ndef reg(f):\n    REG[f.__name__] = f\n    return f\n"}


def test_a_module_that_patches_another(bench: Bench) -> None:
    files = {
        "helpers": "K = 1",
        "patch": "import helpers\nhelpers.K = 5\nfoo = 1",
        "steps": "import patch\nimport helpers\ndef main(output): output.write_text(str(helpers.K))\n"
        "def g(): return patch.foo\n",
    }
    assert bench.changed(files, {"patch": files["patch"].replace("5", "6")}) == {"patch (top level)"}


@pytest.mark.parametrize(
    "line",
    [
        "import ext",
        "from ext import Z",
        "from ext import *",
        "import ext.z",
        "import ext as e",
        "if True:\n    import ext",
        "try:\n    from ext import Z\nexcept ImportError:\n    Z = 1",
        "class C:\n    import ext",
        "with open('x'):\n    class C:\n        from ext import Z",
        "import between",
    ],
)
@pytest.mark.parametrize("used", ["", "def other(): return ext, Z, between, C, e\n"])
@pytest.mark.parametrize(
    ("text", "new"),
    [
        ("import base\nbase.REG['k'] = 1\nZ = 0\n", ("1", "2")),
        ("import base\nZ = 0\n@base.reg\ndef handler(): return 1\n", ("return 1", "return 2")),
        (
            "from outside import show\nZ = 0\n@show.register\ndef _(x: int): return 1\n",
            ("return 1", "return 2"),
        ),
        ("import os\nZ = 0\nos.environ['A'] = 'x'\n", ("'x'", "'y'")),
    ],
)
def test_what_an_import_executes(bench: Bench, line: str, used: str, text: str, new: tuple[str, str]) -> None:
    where = "ext/__init__" if "ext.z" in line else "ext"
    files: Texts = {
        **BASE,
        where: text,
        "between": "from ext import Z\ndef f(): return Z",
        "steps": f"import base\n{line}\n{used}{USE}",
    }
    if "ext.z" in line:
        files["ext/z"] = ""
    assert bench.changed(files, {where: text.replace(*new)})


def test_a_package_above_a_folder_without_init_is_executed(bench: Bench) -> None:
    files = {"p/__init__": "print(1)", "p/q/r": "def main(): pass"}
    assert bench.changed(files, {"p/__init__": "print(2)"}, "p.q.r:main") == {"p (top level)"}


def test_the_order_of_imports_counts_where_it_may_matter(bench: Bench) -> None:
    files = {
        **BASE,
        "one": "import base\nbase.K = 1",
        "two": "import three",
        "three": "import base\nbase.K = 2",
        "quiet": "X = 1",
        "steps": "import quiet\nimport one\nimport two\nimport base\ndef main(): return base.K",
    }
    line = "import one\nimport two\n"
    assert bench.changed(files, {"steps": files["steps"].replace(line, "import two\nimport one\n")}) == {
        "steps (order)"
    }
    silent = files["steps"].replace("import quiet\n" + line, line + "import quiet\n")
    assert bench.changed(files, {"steps": silent}) == set()
    own = "import one\nbase.K = 3\nimport base\n" + USE
    swapped = "import base\nbase.K = 3\nimport one\n" + USE
    assert bench.changed({"steps": own}, {"steps": swapped}) == {"steps (order)"}


ONE_LINE = {
    "modules": "import {0}, {1}",
    "of a package": "from p import {0}, {1}",
    "as one name": "import {0} as v, {1} as v",
    "of a package as one name": "from p import {0} as v, {1} as v",
    "in a block": "if 1:\n    import {0}, {1}",
}


@pytest.mark.parametrize("line", ONE_LINE.values(), ids=ONE_LINE)
@pytest.mark.parametrize("where", ["steps", "helper"])
def test_the_order_of_names_in_one_import_counts(bench: Bench, line: str, where: str) -> None:
    parts = {name: f"import c\nc.L.append({name[-1]!r})\n" for name in ("a", "b", "p/a", "p/b")}
    rest = {"c": "L = []\n", "p/__init__": "", **parts}
    steps = "import c\ndef main(output):\n    output.write_text(str(c.L))\n"

    def files(text: str) -> dict[str, str]:
        return {**rest, "steps": (text if where == "steps" else "import helper\n") + steps, "helper": text}

    before = files(line.format("a", "b") + "\n")
    assert bench.changed(before, files(line.format("b", "a") + "\n")) == {f"{where} (order)"}
    assert bench.changed(before, files("# words\n\n" + line.format("a", "b") + "  # more\n")) == set()


def test_the_last_of_the_imports_of_one_name_counts(bench: Bench) -> None:
    parts = {name: f"N = {name!r}\n" for name in "ab"}
    use = "\ndef main(output):\n    output.write_text(v.N)\n"
    before = {"steps": "import a as v, b as v" + use, **parts}
    assert bench.changed(before, {"steps": "import b as v, a as v" + use}) == {"steps.v"}
    assert bench.changed(before, {"steps": "import a as v, b as v\nimport a as v" + use}) == {"steps.v"}


def test_the_order_of_registrations_counts(bench: Bench) -> None:
    first, second = "@base.reg\ndef a(): pass\n", "@base.reg\ndef b(): pass\n"
    before = {**BASE, "steps": "import base\n" + first + second + USE}
    assert bench.changed(before, {"steps": "import base\n" + second + first + USE}) == {"steps (order)"}
