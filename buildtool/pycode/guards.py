"""Blocks that catch what is raised in them, and how much of it."""

from __future__ import annotations

import ast

from buildtool.pycode.origin import Origins, origin
from buildtool.pycode.scopes import Scope

_MISSING = {"ImportError", "ModuleNotFoundError"}
_CATCH_NOTHING = {"open", "builtins.open", "warnings.catch_warnings"}


def catches(node: ast.Try | ast.With, origins: Origins, scope: Scope | None) -> bool | None:
    """Whether a block may catch more than that something is missing; None if it catches nothing."""
    caught: list[ast.expr | None] = []
    if isinstance(node, ast.With | ast.AsyncWith):
        for call in (item.context_expr for item in node.items):
            name = origin(call.func if isinstance(call, ast.Call) else call, origins, scope)
            if name == "contextlib.suppress" and isinstance(call, ast.Call):
                caught += call.args
            elif name not in _CATCH_NOTHING:
                caught.append(None)  # nobody knows
    else:
        for kind in (handler.type for handler in node.handlers):
            caught += kind.elts if isinstance(kind, ast.Tuple) else [kind]
    if not caught:
        return None
    return any(kind is None or origin(kind, origins, scope) not in _MISSING for kind in caught)
