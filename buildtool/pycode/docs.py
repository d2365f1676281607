"""Docstrings, where code reads them as data: everywhere else they count for nothing.

Reads the text anew, since the trees of others lose their docstrings when they are shown.
"""

from __future__ import annotations

import ast

from buildtool.pycode.scopes import DEFINITIONS, bound_by
from buildtool.pycode.source import parse

OWN = "__doc__"  # the docstring of the module itself
ALL = "*"  # every docstring of the module
TEXT = "<text>"  # the file as it is written


def docstrings(raw: bytes, name: str) -> list[str]:
    """`OWN`, `ALL`, or those in what binds a global name: each with the name of what it describes, sorted."""
    tree = parse(raw)
    nodes: list[ast.AST] = [tree] if name in {OWN, ALL} else []
    if name != OWN:
        for statement in tree.body:
            if name == ALL or name in bound_by([statement]).names:
                nodes += (node for node in ast.walk(statement) if isinstance(node, DEFINITIONS))
    found = []
    for node in nodes:
        if isinstance(node, (ast.Module, *DEFINITIONS)):
            text = ast.get_docstring(node, clean=False)
            found += [f"{getattr(node, 'name', '')}: {text}"] if text is not None else []
    return sorted(found)
