"""Annotations that are written as text: the names in them."""

from __future__ import annotations

import ast

from buildtool.pycode.encode import children
from buildtool.pycode.origin import Origins, unroll
from buildtool.pycode.scopes import Scope, owner
from buildtool.pycode.source import parse


def names_in(text: str, line: int, origins: Origins, scope: Scope | None) -> list[ast.AST]:
    """The names in a text, unless nobody knows them: it need not be code."""
    try:
        tree = parse(text.strip())
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    found: list[ast.AST] = []
    pending: list[ast.AST] = [ast.increment_lineno(tree, line - 1)]
    while pending:
        node = pending.pop()
        root = unroll(node)[0]
        if isinstance(root, ast.Name):
            if root.id in origins or owner(root.id, scope) is not None:
                found.append(node)
        elif not (isinstance(node, ast.Subscript) and (unroll(node.value)[1][-1:] == ("Literal",))):
            pending += children(node)
    return found
