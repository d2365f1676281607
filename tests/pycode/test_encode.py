"""Trees to bytes: what means the same is the same, what does not is not."""

from __future__ import annotations

import ast

import pytest

from buildtool.pycode.encode import canonical, strip


def encoded(text: str) -> bytes:
    return canonical([ast.parse(text)])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("x=1", "x  =  (1) # one"),
        ("x = 0x10", "x = 16"),
        ("x = 'a' 'b'", 'x = "ab"'),
        ("x = u'a'", "x = 'a'"),
        ("def f(): 'doc'", "def f(): pass"),
        ("def f():\n 'doc'\n return 1", "def f(): return 1"),
        ("class A: 'doc'", "class A: ..."),
        ("if x:\n 'a'\nelse:\n pass", "if x: pass"),
        ("x = 1\n'''text'''", "x = 1"),
        ("x = f'a' f'{b}' 'c' 'd'", "x = f'a{b}cd'"),
        ("x = f'{b:}'", "x = f'{b}'"),
        ("x = f'{b}' ''", "x = f'{b}'"),
        ("x = 1_000", "x = 1000"),
        ("for x in (1, 2): pass", "for x in 1, 2: pass"),
        ("x = [1, 2,]", "x = [1, 2]"),
        ("x = 1 # type: int", "x = 1"),
    ],
)
def test_what_means_the_same_is_the_same(one: str, other: str) -> None:
    assert encoded(one) == encoded(other)


def test_what_does_not_is_not() -> None:
    texts = """1|True|1.0|1j|"1"|b"1"|None|...|-1|0.0|-0.0|0|False|""|b""|f"1"|"a"|"b"|a|a()|a.b|(1,)|[1]|{1}|{1: 1}|
        f"{a}"|f"{a!r}"|f"{a!s}"|f"{a:1}"|f"{a:{b}}"|f"a"|f"{a}b"|f"b{a}"|f"{a}{b}"|"a" + "b"|(a, b)|((a, b),)|
        {**a}|{a: b}|f(*a)|f(**a)|f(a=b)|lambda: a|lambda a: a|lambda *, a: a|lambda *a: a|lambda a, /: a|
        lambda a, b=1: a|lambda *, a, b=1: a|lambda *, a=1, b: a|1e400|10 ** 9|99999999999999999999999999|
        a if b else c|[a for b in c]|{a for b in c}|(a for b in c)|a[1]|a[1:]|a[:1]|a[::1]|a < b|a <= b|
        "\\ud800"|"\\ufffd"|a @ b|not a|~a|await_|(a := b)|(yield_)|a and b|a or b|a and b and c|(a and b) and c"""
    pieces = ["x = " + text.strip() for text in texts.replace("\n", "").split("|")]
    pieces += [
        "x: int",
        "x: int = 1",
        "(x): int = 1",
        "x += 1",
        "del x",
        "async def f(): pass",
        "def f(): pass",
    ]
    pieces += [
        "def f(): return",
        "def f() -> x: pass",
        "def f(x: y): pass",
        "@x\ndef f(): pass",
        "class f: pass",
    ]
    pieces += [
        "import a",
        "import a as b",
        "from a import b",
        "from . import b",
        "from .a import b",
        "import a.b",
    ]
    pieces += [
        "match x:\n case None: y",
        "match x:\n case True: y",
        "match x:\n case _: y",
        "match x:\n case a: y",
    ]
    pieces += ["try: x\nexcept: y", "try: x\nexcept* y: z", "try: x\nfinally: y", "try: x\nexcept y: z"]
    seen = dict[bytes, str]()
    for piece in pieces:
        assert piece == seen.setdefault(encoded(piece), piece)


@pytest.mark.parametrize(
    "text", ["'a'\nx = 1", "def f(): 'a'", "class A:\n 'a'\n def f(self): 'b'", "if x: 'a'\nelse: 'b'"]
)
def test_stripping_changes_no_byte(text: str) -> None:
    tree = ast.parse(text)
    before = canonical([tree])
    strip(tree)
    assert canonical([tree]) == before
    assert canonical([ast.parse(ast.unparse(tree))]) == before
    assert "'" not in ast.unparse(tree)


def test_depth_does_not_matter() -> None:
    node: ast.expr = ast.Name("x", ast.Load())
    for _ in range(100_000):
        node = ast.UnaryOp(ast.Not(), node)
    assert len(canonical([node])) > 100_000
    strip(node)
    while isinstance(node, ast.UnaryOp):  # taken apart by hand: the interpreter would do it with recursion
        node = node.operand
