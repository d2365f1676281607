"""Across modules: imports of every form, packages, re-exports, and where modules are found."""

from __future__ import annotations

import importlib.machinery
import sys
from pathlib import Path

import pytest

from support.sources import Bench, Texts

TOOLS = "def f(): return g()\ndef g(): return K\nK = 1\ndef unrelated(): pass\n"


@pytest.mark.parametrize(
    "text",
    [
        "import tools\ndef main(): return tools.f()",
        "import tools as t\ndef main(): return t.f()",
        "from tools import f\ndef main(): return f()",
        "from tools import f as z\ndef main(): return z()",
        "def main():\n import tools\n return tools.f()",
        "def main():\n import tools as t\n return [t.f() for x in 'ab']",
        "def main():\n from tools import f as z\n def inner(): return z()\n return inner",
        "class main:\n from tools import f\n x = f()",
        "try:\n    import tools\nexcept ImportError:\n    tools = None\ndef main(): return tools.f()",
        "from tools import f\ndef main(x: 'f'): pass",
        "import tools\ndef main(): return getattr(tools, 'f')()",
        "import tools, builtins\ndef main(): return builtins.getattr(tools, 'f', None)()",
        "import importlib\ndef main(): return importlib.import_module('tools').f()",
        "from importlib import import_module as load\ndef main(): return load('tools').f()",
        "def main(): return __import__('tools').f()",
        "import tools\nmain = tools.f",
        "import tools\ndef main(f=tools.f): return f()",
    ],
)
def test_every_form_of_import_leads_to_the_definition(bench: Bench, text: str) -> None:
    bench.write({"tools": TOOLS, "steps": text})
    reach = bench.reach()
    names = {piece.name for piece in reach.pieces}
    assert {"tools.f", "tools.g", "tools.K", "steps.main"} <= names
    assert "tools.unrelated" not in names
    assert reach.whole == ()
    assert "tools.py" in reach.files


def test_both_ways_of_a_fallback_count(bench: Bench) -> None:
    bench.write(
        {
            "fast": "def f(): return 1",
            "slow": "def f(): return 2",
            "steps": "try:\n from fast import f\nexcept ImportError:\n from slow import f\ndef main(): return f()",
        }
    )
    assert {"fast.f", "slow.f"} <= bench.names()


@pytest.mark.parametrize(
    ("text", "reached"),
    [
        ("from . import b\ndef main(): return b.f()", "pkg.sub.b.f"),
        ("from .b import f\ndef main(): return f()", "pkg.sub.b.f"),
        ("from .. import c\ndef main(): return c.f()", "pkg.c.f"),
        ("from ..c import f\ndef main(): return f()", "pkg.c.f"),
        ("import pkg.c\ndef main(): return pkg.c.f()", "pkg.c.f"),
        ("import pkg.sub.b as b\ndef main(): return b.f()", "pkg.sub.b.f"),
        ("import importlib\ndef main(): return importlib.import_module('..c', __package__).f()", "pkg.c.f"),
        (
            "import importlib\ndef main(): return importlib.import_module('.b', package='pkg.sub').f()",
            "pkg.sub.b.f",
        ),
    ],
)
@pytest.mark.parametrize("namespace", [False, True])
def test_packages(bench: Bench, text: str, reached: str, namespace: bool) -> None:
    inits: Texts = {} if namespace else {"pkg/__init__": "", "pkg/sub/__init__": "print('sub')"}
    bench.write({**inits, "pkg/sub/b": "def f(): pass", "pkg/c": "def f(): pass", "pkg/sub/a": text})
    names = bench.names("pkg.sub.a:main")
    assert reached in names
    assert ("pkg.sub (top level)" in names) is not namespace
    assert len([name for name in names if name.endswith(".f")]) <= 2


def test_reexports_are_followed_and_count(bench: Bench) -> None:
    files = {
        "pkg/__init__": "from .api import f\nfrom .api import z",
        "pkg/api": "from pkg.one import f\nfrom pkg.two import f as z\n",
        "pkg/one": "def f(): return 1",
        "pkg/two": "def f(): return 2",
        "steps": "import pkg\ndef main(): return pkg.f() + pkg.z()",
    }
    swapped = {"pkg/api": "from pkg.two import f\nfrom pkg.one import f as z\n"}
    assert bench.changed(files, swapped) == {"pkg.api.f", "pkg.api.z"}
    assert bench.changed(files, {"pkg/api": "from .one import f\nfrom .two import f as z\n"}) == set()
    assert bench.changed(files, {"pkg/one": "def f(): return 3"}) == {"pkg.one.f"}


def test_a_function_named_like_its_module(bench: Bench) -> None:
    bench.write({"pkg/__init__": "from .f import f", "pkg/f": "def f(): pass\ndef g(): pass"})
    bench.write({"steps": "from pkg import f\ndef main(): return f()"})
    assert bench.names() == {"steps.f", "steps.main", "pkg.f", "pkg.f.f"}


def test_a_package_that_imports_its_own_submodule(bench: Bench) -> None:
    bench.write({"pkg/__init__": "from . import sub", "pkg/sub": "def f(): pass\ndef g(): pass"})
    bench.write({"steps": "import pkg\ndef main(): return pkg.sub.f()"})
    assert {"pkg.sub", "pkg.sub.f"} <= bench.names()
    assert "pkg.sub.g" not in bench.names()


def test_cycles_end(bench: Bench) -> None:
    bench.write(
        {
            "a": "import b\nfrom b import z\ndef f(): return b.g()\nfrom c import x",
            "b": "import a\nfrom a import z\ndef g(): return a.f() + z",
            "c": "from d import x",
            "d": "from c import x",
            "steps": "import a\ndef main(): return a.f() + a.x + even(3)\n"
            "def even(n): return odd(n - 1)\ndef odd(n): return even(n - 1)",
        }
    )
    assert {"a.f", "b.g", "steps.even", "steps.odd"} <= bench.names()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("from tools import *\ndef main(): return f()", "star import in steps.py line 1"),
        (
            "import tools\ndef main(n): return getattr(tools, n)()",
            "`getattr` with a computed name in steps.py line 2",
        ),
        ("import tools\ndef main(): return vars(tools)['f']", "`vars` in steps.py line 2"),
        ("import tools\ndef main(): return tools.__dict__", "used as a value in steps.py line 2"),
        ("import tools\ndef main(): return print(tools)", "used as a value in steps.py line 2"),
        ("import tools\nT = [tools]\ndef main(): return T", "used as a value in steps.py line 2"),
        (
            "import tools, sys\ndef main(): return sys.modules['tools'].f()",
            "`sys.modules` in steps.py line 2",
        ),
        ("import tools\ndef main(): return tools.nowhere", "`nowhere` is not defined in it"),
        ("import tools\n\ndef main():\n m = tools\n m.f()", "used as a value in steps.py line 4"),
    ],
)
def test_what_cannot_be_told_takes_the_whole_module(bench: Bench, text: str, why: str) -> None:
    bench.write({"tools": TOOLS, "steps": text})
    reach = bench.reach()
    assert reach.whole == (("tools", why),)
    names = {piece.name for piece in reach.pieces}
    assert "tools" in names
    assert not any(name.startswith("tools.") for name in names)
    assert bench.changed({}, {"tools": TOOLS.replace("unrelated(): pass", "unrelated(): return 1")}) == {
        "tools"
    }
    assert bench.changed({}, {"tools": "'''doc'''\n" + TOOLS.replace("pass", "return  1 # one")}) <= {"tools"}


@pytest.mark.parametrize(
    "body",
    [
        "globals()['f']()",
        "eval('f()')",
        "exec('f()')",
        "__import__(name)",
        "importlib.import_module(name)",
        "sys.modules[__name__].f()",
        "sys.modules[name].f()",
        "list(map(eval, 'f'))",
        "vars()",
    ],
)
def test_dynamic_code_takes_its_own_module(bench: Bench, body: str) -> None:
    bench.write({"tools": TOOLS})
    bench.write(
        {"steps": f"import importlib, sys, tools\ndef main(name): return {body}\ndef z(): return tools.f()"}
    )
    reach = bench.reach()
    names = {piece.name for piece in reach.pieces}
    assert "line 2" in reach.whole[0][1]
    if "import" in body:
        assert [module for module, _ in reach.whole] == ["steps"]
        assert reach.whole[0][1].endswith(": what it loads is not followed")
        assert {"steps", "tools.f", "tools.K"} <= names
    else:  # it may ask for what the module imports
        assert [module for module, _ in reach.whole] == ["steps", "tools"]
        assert {"steps", "tools"} <= names


def test_things_that_only_look_dynamic(bench: Bench) -> None:
    bench.write(
        {
            "steps": "def eval(x): return x\ndef main(obj, name): return eval(getattr(obj, name)), obj.globals()"
        }
    )
    assert bench.names() == {"steps.main", "steps.eval"}


def test_asking_what_is_loaded_is_not_dynamic(bench: Bench) -> None:
    bench.write(
        {"steps": "import sys\ndef main(): return 'numpy' in sys.modules and sys.modules.get('json')\nX = 1"}
    )
    assert bench.names() == {"steps.main", "steps.sys"}


def test_a_module_getattr_takes_the_whole_module(bench: Bench) -> None:
    bench.write(
        {"lazy": "def __getattr__(name): return 1\nX = 1", "steps": "import lazy\ndef main(): return lazy.y"}
    )
    assert bench.reach().whole == (("lazy", "it has a `__getattr__`: what it loads is not followed"),)
    bench.write({"steps": "import lazy\ndef main(): return lazy.X"})
    assert bench.reach().whole == ()


def test_star_imports_count_in_order(bench: Bench) -> None:
    files = {"a": "f = 1", "b": "f = 2", "steps": "from a import *\nfrom b import *\ndef main(): return f"}
    bench.write(files)
    assert [name for name, _ in bench.reach().whole] == ["a", "b"]
    assert bench.changed(files, {"steps": "from b import *\nfrom a import *\ndef main(): return f"})
    assert bench.changed(
        {"steps": "from math import *\ndef main(): return sin(1)"},
        {"steps": "from cmath import *\ndef main(): return sin(1)"},
    )
    bench.write({"p/__init__": "__all__ = ['sub']", "p/sub": "x = 1"})
    bench.write({"steps": "from p import *\ndef main(): return sub.x"})
    assert {"p", "p.sub"} <= bench.names()


def test_folders_of_the_python_path_come_after_the_root(bench: Bench) -> None:
    bench.write({"src/one": "def f(): pass", "src/two": "def f(): pass", "two": "def g(): pass"})
    bench.write({"steps": "import one, two\ndef main(): return one.f(), two.g()"})
    assert {"one.f", "two.g"} <= bench.names("steps:main", "src")
    assert bench.reach("steps:main", "src").files == ("src/one.py", "steps.py", "two.py")
    outside = bench.root.parent / "lib"
    outside.mkdir()
    (outside / "three.py").write_text("def f(): pass")
    assert bench.reach("three:f", str(outside)).files == (str(outside / "three.py"),)


def test_an_editable_source_folder_in_sys_path(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.write({"src/edited": "def f(): pass", "steps": "import edited\ndef main(): return edited.f()"})
    bench.write({".venv/lib/site-packages/edited2": "def f(): pass"})
    monkeypatch.syspath_prepend(str(bench.root / "src"))
    monkeypatch.syspath_prepend(str(bench.root / ".venv/lib/site-packages"))
    assert "edited.f" in bench.names()
    bench.write({"steps": "import edited2\ndef main(): return edited2.f()"})
    assert bench.names() == {"steps.main", "steps.edited2", "edited2"}
    assert bench.reach().pieces[-1].text == "no version known"


def test_the_project_shadows_the_standard_library(bench: Bench) -> None:
    bench.write({"json": "def loads(x): return x", "steps": "import json\ndef main(): return json.loads(1)"})
    bench.write({"statistics/data.txt": "only a folder"})
    assert "json.loads" in bench.names()
    bench.write({"steps": "import statistics, sys\ndef main(): return statistics.mean(sys.path)"})
    assert bench.names() == {"steps.main", "steps.statistics", "steps.sys"}


def test_packages_count_by_version(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = tmp_path / "site"
    (site / "fakery-1.0.dist-info").mkdir(parents=True)
    (site / "fakery.py").write_text("x = 1")
    monkeypatch.syspath_prepend(str(site))
    bench.write({"steps": "import fakery\nimport xxhash\ndef main(): return fakery.x"})
    before = bench.reach().pieces
    assert [(piece.name, piece.text) for piece in before if piece.kind == "package"] == [("fakery", "1.0")]
    (site / "fakery-1.0.dist-info").rename(site / "fakery-2.0.dist-info")
    after = bench.reach().pieces
    assert [old.name for old, new in zip(before, after, strict=True) if old != new] == ["fakery"]


def test_a_package_is_found_by_what_it_brings(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "site"
    for name in ("Fake-A", "Fake-B"):
        info = site / f"{name.replace('-', '_')}-3.1.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Name: {name}\nVersion: 3.1\n")
        (info / "top_level.txt").write_text("fakespace\n")
    (site / "fakespace").mkdir()
    monkeypatch.syspath_prepend(str(site))
    bench.write({"steps": "import fakespace.x\ndef main(): return fakespace.x.f()"})
    assert {"Fake-A", "Fake-B"} <= bench.names()
    bench.write({"fakespace/own": "def f(): pass"})
    bench.write({"steps": "import fakespace.own\ndef main(): return fakespace.own.f()"})
    assert "fakespace.own.f" in bench.names()


def test_what_is_nowhere_counts_as_such(bench: Bench) -> None:
    bench.write({"steps": "import nowhere_at_all\ndef main(): return nowhere_at_all.f()"})
    assert bench.reach().pieces[-1][1::2] == ("nowhere_at_all", "not installed")
    assert "nowhere_at_all.py" in bench.reach().absent
    assert "nowhere_at_all/" in bench.reach().absent


def test_extension_modules_count_by_their_bytes(bench: Bench) -> None:
    binary = bench.root / ("fast" + importlib.machinery.EXTENSION_SUFFIXES[0])
    binary.write_bytes(b"\x7fELF 1")
    bench.write({"fast": "def f(): pass", "steps": "import fast\ndef main(): return fast.f()"})
    before = bench.reach()
    assert before.whole == (("fast", "an extension module"),)
    assert binary.name in before.files
    binary.write_bytes(b"\x7fELF 2")
    assert before.pieces != bench.reach().pieces
    assert bench.function("fast:f").parameters is None
    assert [piece.name for piece in bench.reach("fast:f").pieces] == ["fast"]


def test_a_script_counts_as_a_whole(bench: Bench) -> None:
    script = "import near, tools\n'''x'''\nif __name__ == '__main__':\n    print(near.f(), tools.f()) # x\n"
    files = {
        "scripts/run": script,
        "scripts/near": "def f(): pass\ndef g(): pass",
        "near": "def f(): return 'another'",
        "tools": TOOLS,
    }
    bench.write(files)
    reach = bench.reach("scripts/run.py")
    assert {piece.name for piece in reach.pieces} == {
        "near.f",
        "scripts/run.py",
        "tools.K",
        "tools.f",
        "tools.g",
    }
    assert reach.files == ("scripts/near.py", "scripts/run.py", "tools.py")
    assert "scripts/tools.py" in reach.absent
    edited = {"scripts/run": script.replace("# x", "").replace("'''x'''", "\n\n")}
    assert bench.changed(files, edited, "scripts/run.py") == set()
    edited = {"scripts/run": script.replace("print", "repr")}
    assert bench.changed(files, edited, "scripts/run.py") == {"scripts/run.py"}


@pytest.mark.skipif(sys.version_info < (3, 12), reason="a syntax of Python 3.12")
def test_type_parameters(bench: Bench) -> None:
    bench.write({"steps": "A = B = T = 1\ntype X[T] = dict[T, A]\ndef main[T: B](x: T) -> X: return T"})
    assert bench.names() == {"steps.main", "steps.A", "steps.B", "steps.X"}


def test_a_whole_module_passes_on_what_it_imports(bench: Bench) -> None:
    files = {
        "deep": "K = 1",
        "deeper": "Z = 1",
        "helpers": "from deep import K\nimport deeper",
        "steps": "import helpers as hp\nT = {'a': hp}\ndef main(): return T['a'].K, T['a'].deeper.Z",
    }
    assert bench.changed(files, {"deep": "K = 2"}) == {"deep.K"}
    assert bench.changed(files, {"deeper": "Z = 2"}) == {"deeper"}
    files["steps"] = "from helpers import *\ndef main(): return K"
    assert bench.changed({**files, "deep": "K = 3"}, {"deep": "K = 4"}) == {"deep.K"}


@pytest.mark.parametrize("name", ["pkg", "pkg.deep"])
@pytest.mark.parametrize("namespace", [False, True])
@pytest.mark.parametrize(
    "use",
    ["getattr({}, X).run", "vars({})[X].run", "T[0].a.run", "{}.__dict__[X].run", "(lambda p: p.a)({}).run"],
)
def test_a_package_that_is_asked_for_any_name_has_its_submodules(
    bench: Bench, name: str, namespace: bool, use: str
) -> None:
    folder = name.replace(".", "/")
    text = f"import {name}.a\nX = 'a'\nT = [{name}]\ndef main(): return {use.format(name)}()"
    files = {f"{folder}/a": "def run(): return K\nK = 1", f"{folder}/b": "K = 1", "steps": text}
    inits = {} if namespace else {f"{folder}/__init__": "", "pkg/__init__": ""}
    assert bench.changed({**files, **inits}, {f"{folder}/a": "def run(): return K\nK = 2"}) == {f"{name}.a"}
    assert (f"{name}.a", f"imported, and `{name}` counts as a whole") in bench.reach().whole
    assert bench.changed({}, {f"{folder}/b": "K = 2"}) == set()


def test_a_star_import_gives_submodules_that_were_imported(bench: Bench) -> None:
    files = {
        "pkg/__init__": "from .a import f",
        "pkg/a": "def f(): pass\ndef g(): return 1",
        "steps": "from pkg import *\ndef main(): return a.g()",
    }
    edited = {"pkg/a": "def f(): pass\ndef g(): return 2"}
    assert bench.changed(files, edited) == {"pkg.a"}
    files["pkg/__init__"] += "\n__all__ = ['f']"
    assert bench.changed(files, edited) == set()


def test_imports_in_class_bodies_belong_to_the_class(bench: Bench) -> None:
    files = {
        "helpers": "def fmt(x): return 1",
        "steps": "class T:\n    from helpers import fmt\ndef main(): return T.fmt(1)",
    }
    assert bench.changed(files, {"helpers": "def fmt(x): return 2"}) == {"helpers.fmt"}
    files = {"steps": "class T:\n    import helpers\ndef main(): return T.helpers.fmt(1)"}
    assert bench.changed(files, {"helpers": "def fmt(x): return 3"}) == {"helpers"}


def test_an_import_to_a_nonlocal_name(bench: Bench) -> None:
    text = (
        "def main():\n h = None\n def load():\n  nonlocal h\n  import helpers as h\n load()\n return h.f()\n"
    )
    files = {"helpers": "def f(): return 1", "steps": text}
    assert bench.changed(files, {"helpers": "def f(): return 2"}) == {"helpers"}


def test_classes_that_are_found_by_their_base(bench: Bench) -> None:
    plugins = "import base\nclass A(base.Base):\n    x = 1\nclass B(A):\n    y = 1\nclass C:\n    z = 1\n"
    files = {
        "base": "class Base: pass",
        "plugins": plugins,
        "steps": "import base, plugins\ndef main(): return [c.x for c in base.Base.__subclasses__()]",
    }
    assert bench.changed(files, {"plugins": plugins.replace("x = 1", "x = 2")}) == {"plugins.A"}
    assert bench.changed(files, {"plugins": plugins.replace("y = 1", "y = 2")}) == {"plugins.B"}
    assert bench.changed(files, {"plugins": plugins.replace("z = 1", "z = 2")}) == set()


def test_a_module_by_a_name_that_is_a_constant(bench: Bench) -> None:
    text = "import importlib\nN = 'tools'\ndef main(): return importlib.import_module(N).f()"
    files = {"tools": TOOLS, "other": TOOLS, "steps": text}
    assert bench.changed(files, {"tools": TOOLS.replace("K = 1", "K = 2")}) == {"tools.K"}
    assert bench.reach().whole == ()
    assert "other.K" in bench.changed({}, {"steps": text.replace("'tools'", "'other'")})


@pytest.mark.parametrize(
    "body",
    [
        "importlib.import_module(n)",
        "importlib.import_module(f'{n}.x')",
        "list(pkgutil.iter_modules(n))",
        "importlib.util.spec_from_file_location('a', n)",
        "sys.path.insert(0, n)",
        "sys.path.append(n)",
        "n.__globals__['x']",
        "sys._getframe(1)",
    ],
)
def test_what_is_not_followed_is_told(bench: Bench, body: str) -> None:
    text = f"import importlib, importlib.util, pkgutil, sys\ndef main(n): return {body}\ndef other(): pass"
    bench.write({"steps": text})
    ((module, why),) = bench.reach().whole
    assert (module, why.endswith(" in steps.py line 2: what it loads is not followed")) == ("steps", True)
    bench.write({"steps": text.replace("return", "globals(); return")})
    assert "not followed" in bench.reach().whole[0][1]
