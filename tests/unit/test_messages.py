"""Messages are of one style: lower case, names in backticks, no full stop. They are read in the sources."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from buildtool import errors

PACKAGE = Path(errors.__file__).parent
ERRORS = {
    name for name, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, errors.BtError)
}
TELLING = {"wrong", "note", "warn", "warning", "remark"}
PROPER = ("Coiled ", "Taskfile")  # what is written large anywhere
VALUE = "\0"  # stands for what is filled in


def spelt(node: ast.expr | None) -> Iterator[str]:
    """The texts that an expression can be, each value in it as `VALUE` and its source."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.JoinedStr):
        yield "".join(
            part.value if isinstance(part, ast.Constant) else f"{VALUE}{ast.unparse(part)}{VALUE}"
            for part in node.values
            if isinstance(part, ast.FormattedValue) or isinstance(part.value, str)
        )
    elif isinstance(node, ast.IfExp):
        yield from spelt(node.body)
        yield from spelt(node.orelse)
    elif isinstance(node, ast.BoolOp):
        for value in node.values:
            yield from spelt(value)


def messages() -> Iterator[tuple[str, str, str]]:
    """Where each message stands, what sort it is, and its text."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            where = f"{path.relative_to(PACKAGE)}:{node.lineno}"
            hints = [keyword.value for keyword in node.keywords if keyword.arg == "hint"]
            hints += node.args[2:3] if name == "wrong" and len(node.args) == 3 else []
            for hint in hints:
                yield from ((where, "hint", text) for text in spelt(hint))
            if (name in ERRORS or name.lstrip("_") in TELLING) and node.args:
                yield from ((where, "summary", text) for text in spelt(node.args[0]))


FOUND = sorted(set(messages()))


def shown(text: str) -> str:
    """The text with values as a person reads it in the source."""
    return re.sub(f"{VALUE}(.*?){VALUE}", r"\1", text)


def test_all_are_looked_at() -> None:
    assert len(FOUND) > 250
    assert {sort for _, sort, _ in FOUND} == {"hint", "summary"}


@pytest.mark.parametrize(("where", "sort", "text"), FOUND, ids=[f"{w}-{s}" for w, s, _ in FOUND])
def test_of_one_style(where: str, sort: str, text: str) -> None:
    words = f"{where}: {shown(text)}"
    plain = re.sub(f"{VALUE}.*?{VALUE}", "_", text)
    assert plain == plain.strip(), words
    assert "\n" not in plain, words
    assert not plain[:1].isupper() or plain.startswith(PROPER), f"lower case: {words}"
    assert not plain.endswith((".", "!", ":")) or plain.endswith("…"), f"no full stop: {words}"
    assert sort == "hint" or not plain.endswith("?"), f"a question is a hint: {words}"
    assert plain.count("`") % 2 == 0, f"a backtick too many: {words}"
    assert not re.search(r"'[^' ]*_[^' ]*'|\"_\"", re.sub(r"`[^`]*`", "", plain)), f"backticks: {words}"
    for found in re.finditer(f"{VALUE}(.*?){VALUE}", text):
        if "→" in text:  # a chain of names is no text
            continue
        if found[1].startswith(("{printable(", "{shown(", "{path", "{name}")) or ".name}" in found[1]:
            before = re.sub(f"{VALUE}.*?{VALUE}", "_", text[: found.start()])
            assert before.count("`") % 2, f"backticks around {found[1]}: {words}"
