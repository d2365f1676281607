"""Blocks that only a type checker looks at: `if TYPE_CHECKING:`. When the module is imported they are skipped.

Does not know what is in them, nor who uses it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable

from buildtool.pycode.encode import children
from buildtool.pycode.origin import unroll
from buildtool.pycode.source import Source

_WORD = "TYPE_CHECKING"
_TYPING = {"typing", "typing_extensions"}
_BODIES = ("body", "orelse", "finalbody")


def flags(source: Source) -> frozenset[str]:
    """How a file writes what is true for a type checker alone: `TYPE_CHECKING`, `t.TYPE_CHECKING`.

    A name that is anything else somewhere in the file is left out.
    """
    found: set[str] = set()
    other: set[str] = set()
    pending: list[ast.AST] = [source.tree] if source.tree and _WORD.encode() in source.raw else []
    while pending:
        node = pending.pop()
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                is_it = alias.name == _WORD and node.module in _TYPING and not node.level
                (found if is_it else other).add(alias.asname or alias.name)
        elif isinstance(node, ast.Import):
            for alias in node.names:
                (found if alias.name in _TYPING else other).add(f"{alias.asname or alias.name}.{_WORD}")
        elif isinstance(node, ast.Assign | ast.AnnAssign) and _is_false(node.value):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            words = [getattr(target, "id", "") for target in targets]
            (found if words == [_WORD] else other).update(words)
        elif isinstance(node, ast.Name | ast.Attribute) and not isinstance(node.ctx, ast.Load):
            other |= {_dotted(node), f"{_dotted(node)}.{_WORD}"}
        elif isinstance(node, ast.arg):
            other |= {node.arg, f"{node.arg}.{_WORD}"}
        if not (isinstance(node, ast.Assign | ast.AnnAssign) and _is_false(node.value)):
            pending += children(node)
    return frozenset(found - other)


def parts(statement: ast.AST, words: frozenset[str]) -> tuple[list[ast.stmt], list[ast.stmt]] | None:
    """What an `if` for type checkers leads to when it runs, and what else is in it; None for all else."""
    if not (words and isinstance(statement, ast.If)):
        return None
    if _dotted(statement.test) in words:
        return statement.orelse, statement.body
    test = statement.test
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not) and _dotted(test.operand) in words:
        return statement.body, statement.orelse
    return None


def prune(statements: Iterable[ast.AST], words: frozenset[str]) -> None:
    """Take such blocks out of what is below some statements, in place."""
    pending = list(statements) if words else []
    while pending:
        node = pending.pop()
        for name in _BODIES:
            body = getattr(node, name, None)
            if isinstance(body, list) and any(parts(item, words) for item in body):
                body[:] = _flat(body, words) or [ast.Pass()] * (name == "body")
        pending += children(node)


def _flat(body: list[ast.stmt], words: frozenset[str]) -> list[ast.stmt]:
    found = []
    pending = body[::-1]
    while pending:
        statement = pending.pop()
        split = parts(statement, words)
        if split:
            pending += split[0][::-1]
        else:
            found.append(statement)
    return found


def _is_false(value: ast.AST | None) -> bool:
    return isinstance(value, ast.Constant) and value.value is False


def _dotted(node: ast.AST) -> str:
    root, attributes = unroll(node)
    return ".".join((getattr(root, "id", ""), *attributes))
