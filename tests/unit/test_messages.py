"""Messages are of one style: lower case, names in backticks, no full stop. They are read in the sources."""

from __future__ import annotations

import ast
import functools
import inspect
import re
from collections.abc import Iterator, Sequence
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


@functools.cache
def messages(path: Path) -> Sequence[tuple[str, str, str]]:
    """Where each message of a file stands, what sort it is, and its text."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
        where = f"{path.relative_to(PACKAGE)}:{node.lineno}"
        hints = [keyword.value for keyword in node.keywords if keyword.arg == "hint"]
        hints += node.args[2:3] if name == "wrong" and len(node.args) == 3 else []
        found.update((where, "hint", text) for hint in hints for text in spelt(hint))
        if (name in ERRORS or name.lstrip("_") in TELLING) and node.args:
            found.update((where, "summary", text) for text in spelt(node.args[0]))
    return sorted(found)


# What is read at collection is read by every worker: the files are found there, and what they say in the tests.
FILES = sorted(PACKAGE.rglob("*.py"))


def shown(text: str) -> str:
    """The text with values as a person reads it in the source."""
    return re.sub(f"{VALUE}(.*?){VALUE}", r"\1", text)


def test_all_are_looked_at() -> None:
    found = [message for path in FILES for message in messages(path)]
    assert len(found) > 250
    assert {sort for _, sort, _ in found} == {"hint", "summary"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_of_one_style(path: Path) -> None:
    for where, sort, text in messages(path):
        check(where, sort, text)


def check(where: str, sort: str, text: str) -> None:
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
