"""What a name with attributes stands for, by the imports of its module and by Python's scoping rules."""

from __future__ import annotations

import ast
from collections.abc import Mapping

from buildtool.pycode.scopes import Scope, owner

# What the global names of a module stand for: dotted text for imports, "" for anything else it defines.
Origins = Mapping[str, str]


def origin(node: ast.AST, origins: Origins, scope: Scope | None = None) -> str | None:
    """What a name with attributes stands for, in dotted text: `functools.cache`, `eval`.

    None if it is no such thing, or stands for something that the module itself defines.
    """
    root, attributes = unroll(node)
    if not isinstance(root, ast.Name):
        return None
    where = owner(root.id, scope)
    if where is not None:
        imports = where.imports.get(root.id)
        start = imports[0].target.dotted if imports else ""
    else:
        start = origins.get(root.id, root.id)
    return ".".join((start, *attributes)) if start else None


def unroll(node: ast.AST) -> tuple[ast.AST, tuple[str, ...]]:
    """`a.b.c` as its root `a` and the attributes `b`, `c`."""
    attributes: list[str] = []
    while isinstance(node, ast.Attribute):
        attributes.append(node.attr)
        node = node.value
    return node, tuple(reversed(attributes))
