"""Syntax trees to bytes: two trees have the same bytes if and only if they mean the same code.

Positions, comments, layout, docstrings and statements that do nothing leave no trace; neither does the version
of Python that read the text. Knows nothing of names or modules, and needs the standard library alone.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence

# Fields that say nothing of what the code does. `ctx` follows from where a name stands.
_SILENT = frozenset({"ctx", "type_comment", "kind", "type_ignores"})
_LEAVES = frozenset({"ctx", "op", "ops", "id", "attr", "type_comment", "kind"})  # no nodes below these
_STATEMENTS = frozenset({"body", "orelse", "finalbody"})
# Per class of nodes: its opening bytes, and its fields with theirs, last one first.
_PLANS: dict[type[ast.AST], tuple[bytes, tuple[tuple[str, bytes], ...]]] = {}


def canonical(nodes: Iterable[ast.AST]) -> bytes:
    """The bytes that stand for a row of nodes.

    Every part carries its type and length, and what is empty is left out, so fields that a newer Python adds
    change nothing. Works without recursion: the depth of a tree does not matter.
    """
    out: list[bytes] = []
    pending: list[object] = list[object](nodes)[::-1]
    while pending:
        item = pending.pop()
        if isinstance(item, bytes):
            out.append(item)
        elif isinstance(item, ast.Constant):
            out.append(b"(Constant%s)" % _constant(item.value))
        elif isinstance(item, ast.Name):
            out.append(b"(Name%s)" % _text(item.id))
        elif isinstance(item, ast.JoinedStr):
            _open_joined(item, pending)
        elif isinstance(item, ast.AST):
            _open(item, out, pending)
        else:
            out.append(_constant(item))
    return b"".join(out)


def does_nothing(statement: ast.AST) -> bool:
    """Whether a statement is a docstring, another bare constant, or `pass`."""
    return isinstance(statement, ast.Pass) or (
        isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    )


def strip(root: ast.AST) -> None:
    """Take the statements that do nothing out of a tree, in place; its bytes stay the same."""
    pending = [root]
    while pending:
        node = pending.pop()
        for name in _STATEMENTS & set(node._fields):
            body = getattr(node, name)
            if isinstance(body, list):
                kept = [statement for statement in body if not does_nothing(statement)]
                body[:] = kept or [ast.Pass()] * bool(body)
        pending += children(node)


def children(node: ast.AST) -> list[ast.AST]:
    """The nodes right below a node, in the order of the source, operators and contexts left out."""
    found: list[ast.AST] = []
    for name in node._fields:
        if name in _LEAVES:
            continue
        value = getattr(node, name, None)
        if value.__class__ is list:
            for item in value:
                if isinstance(item, ast.AST):
                    found.append(item)  # noqa: PERF401 - twice as fast as a list of its own for each field
        elif isinstance(value, ast.AST):
            found.append(value)
    return found


def _open(node: ast.AST, out: list[bytes], pending: list[object]) -> None:
    plan = _PLANS.get(type(node)) or _plan(type(node))
    out.append(plan[0])
    pending.append(b")")
    for name, label in plan[1]:
        value = getattr(node, name, None)
        if isinstance(value, list):
            if name in _STATEMENTS:
                value = [item for item in value if not does_nothing(item)]
            if value:
                pending += (b"]", *value[::-1], label + b"[")
        elif value is not None and not _is_empty_format(name, value):
            pending += (value, label)


def _plan(kind: type[ast.AST]) -> tuple[bytes, tuple[tuple[str, bytes], ...]]:
    names = [name for name in kind._fields if name not in _SILENT]
    fields = tuple((name, b"." + name.encode()) for name in reversed(names))
    plan = _PLANS[kind] = (b"(" + kind.__name__.encode(), fields)
    return plan


def _is_empty_format(name: str, value: object) -> bool:
    """`f"{x:}"` is `f"{x}"`; whether it has a tree of its own depends on the version."""
    return name == "format_spec" and isinstance(value, ast.JoinedStr) and not _joined(value.values)


def _open_joined(node: ast.JoinedStr, pending: list[object]) -> None:
    pending += (b"])", *_joined(node.values)[::-1], b"(JoinedStr[")


def _joined(values: Sequence[ast.AST]) -> list[object]:
    """The parts of an f-string: neighbouring texts as one, empty ones left out, nested ones unpacked."""
    parts: list[object] = []
    pending = list(values)[::-1]
    while pending:
        value = pending.pop()
        if isinstance(value, ast.JoinedStr):
            pending += value.values[::-1]
        elif not isinstance(value, ast.Constant):
            parts.append(value)
        elif parts and isinstance(parts[-1], str):
            parts[-1] += str(value.value)
        elif value.value != "":
            parts.append(str(value.value))
    return parts


def _constant(value: object) -> bytes:
    """A constant with its type: `1`, `True`, `1.0`, `"1"` and `b"1"` all differ, as do `0.0` and `-0.0`."""
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, bool):
        return b"t" if value else b"f"
    if isinstance(value, int):
        return b"i%x;" % value
    if isinstance(value, bytes):
        return b"b%d:%s" % (len(value), value)
    if isinstance(value, float):
        return b"d%s;" % value.hex().encode()
    if isinstance(value, complex):
        return b"c%s,%s;" % (value.real.hex().encode(), value.imag.hex().encode())
    return {None: b"n", ...: b"e"}[value]  # type: ignore[index]  # a parser makes no other constant


def _text(value: str) -> bytes:
    raw = value.encode("utf-8", "surrogatepass")
    return b"s%d:%s" % (len(raw), raw)
