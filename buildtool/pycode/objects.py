"""Objects of the project's classes, and the methods of theirs that run without being called by name.

`r + 1`, `r[0]`, `f"{r}"`, `r.size` of a property. Only where the class is written out: `R(1)`, or a global name that is
given one. Does not know what such a method does.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator

from buildtool.pycode.encode import children
from buildtool.pycode.module import Module
from buildtool.pycode.origin import unroll
from buildtool.pycode.resolve import Resolver, What

# What may run a special method of the things right below it.
_OPERATING = (
    *(ast.AugAssign, ast.BinOp, ast.BoolOp, ast.Call, ast.Compare, ast.Dict, ast.For, ast.FormattedValue),
    *(ast.If, ast.IfExp, ast.Match, ast.Set, ast.Slice, ast.Starred, ast.Subscript, ast.UnaryOp, ast.While),
    *(ast.comprehension, ast.keyword, ast.withitem),
)
# Those that run when an object or a class is made are looked at where that is.
_MAKING = {"__init__", "__init_subclass__", "__new__", "__post_init__", "__set_name__"}
_ANY_NAME = {"__getattr__", "__getattribute__"}
_FAR = (
    20  # names for names, or attributes of attributes: more than anybody writes, and few enough to stay quick
)
Method = tuple[Module, ast.FunctionDef]
Class = tuple[Module, ast.ClassDef]


def implied(resolver: Resolver, module: Module, own: Collection[str], node: ast.AST) -> Iterator[Method]:
    """The methods that a node runs, as far as it can be told; `own`: names that are not the module's."""
    if isinstance(node, ast.Attribute):
        if isinstance(node.value, ast.Name | ast.Attribute | ast.Call):
            for found in _classes(resolver, module, own, node.value):
                yield from _methods(resolver, found, {node.attr, *_ANY_NAME})
    elif isinstance(node, ast.ClassDef):
        values = [inner.value for inner in node.body if isinstance(inner, ast.Assign | ast.AnnAssign)]
        for found in (found for value in values for found in _classes(resolver, module, own, value)):
            yield from _methods(resolver, found, {"__set_name__"})
    elif isinstance(node, _OPERATING):
        for inner in children(node):
            for found in _classes(resolver, module, own, inner):
                yield from _methods(resolver, found, None)


def _classes(
    resolver: Resolver, module: Module, own: Collection[str], node: ast.AST | None
) -> Iterator[Class]:
    """The classes of the project that a value is known to be an object of."""
    pending: list[tuple[Module, ast.AST | None]] = [(module, node)]
    seen: set[tuple[str, bool, tuple[str, ...]]] = set()
    while pending:
        module, value = pending.pop()
        is_call = isinstance(value, ast.Call)
        root, attributes = unroll(value.func if isinstance(value, ast.Call) else value or ast.Pass())
        if not isinstance(root, ast.Name) or (root.id in own and not seen):
            continue
        if len(attributes) > _FAR or len(seen) > _FAR:
            return
        key = (module.name, is_call, (root.id, *attributes))
        if key in seen:
            continue
        seen.add(key)
        resolved = resolver.chain(module, key[2])
        names = {found.name for found in resolved.nodes if found.what == What.NAME}
        for where, statement in resolver.definitions(resolved):
            if is_call and isinstance(statement, ast.ClassDef):
                yield where, statement
            elif not is_call and isinstance(statement, ast.Assign | ast.AnnAssign) and key[2][-1] in names:
                pending.append((where, statement.value))


def _methods(resolver: Resolver, start: Class, names: Collection[str] | None) -> Iterator[Method]:
    """The methods of those names, of a class and its bases in the project; None: all special ones."""
    pending, seen = [start], set[int]()
    while pending:
        module, node = pending.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        for item in node.body:
            if isinstance(item, ast.FunctionDef) and (
                item.name in names if names is not None else _is_special(item.name)
            ):
                yield module, item
        for base in node.bases:
            root, attributes = unroll(base)
            if isinstance(root, ast.Name):
                resolved = resolver.chain(module, (root.id, *attributes))
                pending += (
                    (where, found)
                    for where, found in resolver.definitions(resolved)
                    if isinstance(found, ast.ClassDef)
                )


def _is_special(name: str) -> bool:
    return name.startswith("__") and name.endswith("__") and name not in _MAKING | _ANY_NAME
