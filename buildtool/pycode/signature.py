"""Definitions to signatures: the parameters of a function, and what else its `def` line tells.

Does not look names up in other modules.
"""

from __future__ import annotations

import ast
import contextlib
import importlib.util

from buildtool.pycode.encode import children
from buildtool.pycode.model import Function, Parameter
from buildtool.pycode.module import Module
from buildtool.pycode.origin import origin
from buildtool.pycode.pure import called
from buildtool.pycode.scopes import DEFINITIONS, Routine

# Decorators that leave the signature as it is written.
_TRANSPARENT = frozenset(
    {"functools.cache", "functools.lru_cache", "staticmethod", "classmethod", "coiled.function"}
)
_NO_CALLABLES = (
    *(ast.Constant, ast.JoinedStr, ast.List, ast.Tuple, ast.Set, ast.Dict),
    *(ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp, ast.Compare),
)


def is_no_callable(value: ast.AST | None) -> bool:
    """Whether a value can be told to be nothing that one can call."""
    if isinstance(value, ast.UnaryOp):
        return is_no_callable(value.operand) or isinstance(value.op, ast.Not)
    return isinstance(value, _NO_CALLABLES)


def describe(module: Module, qualname: str, node: ast.AST, *, skip_first: bool = False) -> Function:
    """What a definition, or a value that is given a name, tells of how it is called."""
    decorators: tuple[str, ...] = ()
    if isinstance(node, DEFINITIONS):
        decorators = tuple(_whence(module, item) for item in node.decorator_list)
    routine: Routine | None = None
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        routine = node
    elif isinstance(node, ast.ClassDef):
        methods = [inner for inner in node.body if isinstance(inner, ast.FunctionDef)]
        routine = next((inner for inner in reversed(methods) if inner.name == "__init__"), None)
        skip_first = True
    told = all(
        origin(called(item), module.origins) in _TRANSPARENT
        for inner in {node, routine}
        if isinstance(inner, DEFINITIONS)
        for item in inner.decorator_list
    )
    found = _parameters(module, routine.args) if routine and told else None
    return Function(
        module=module.name,
        qualname=qualname,
        path=module.source.path,
        line=getattr(node, "lineno", 0),
        parameters=found[1:] if found and skip_first and found[0].kind != "args" else found,
        is_async=isinstance(node, ast.AsyncFunctionDef),
        is_generator=told and routine is not None and routine is node and _yields(routine),
        decorators=decorators,
        made_by=_whence(module, node) if isinstance(node, ast.Call) else "",
    )


def _whence(module: Module, node: ast.expr) -> str:
    """Where what is called, or decorates, comes from, in dotted text; "" if that is not known."""
    node = called(node)
    name = origin(node, module.origins)
    if name is None and isinstance(node, ast.Name) and node.id in module.names:
        return f"{module.name}.{node.id}"
    if name is not None and name.startswith("."):
        with contextlib.suppress(ImportError):
            return importlib.util.resolve_name(name, module.package)
    return name or ""


def _parameters(module: Module, arguments: ast.arguments) -> tuple[Parameter, ...]:
    plain = [*arguments.posonlyargs, *arguments.args]
    first_default = len(plain) - len(arguments.defaults)
    rows = []
    for index, item in enumerate(plain):
        kind = "positional" if index < len(arguments.posonlyargs) else "keyword"
        rows.append((item, index < first_default, kind))
    if arguments.vararg:
        rows.append((arguments.vararg, False, "args"))
    for item, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        rows.append((item, default is None, "keyword"))
    if arguments.kwarg:
        rows.append((arguments.kwarg, False, "kwargs"))
    return tuple(
        Parameter(item.arg, required, kind, _annotation(module, item.annotation), item.lineno)
        for item, required, kind in rows
    )


def _annotation(module: Module, node: ast.expr | None) -> str | None:
    if node is None:
        return None
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.Name) and node.id in module.names:
        imports = module.names[node.id].imports
        return (imports and imports[0][1].target.name) or node.id
    return ast.unparse(node)


def _yields(node: Routine) -> bool:
    pending = children(node) if isinstance(node, ast.Lambda) else list[ast.AST](node.body)
    while pending:
        inner = pending.pop()
        if isinstance(inner, ast.Yield | ast.YieldFrom):
            return True
        if not isinstance(inner, (*DEFINITIONS, ast.Lambda)):
            pending += children(inner)
    return False
