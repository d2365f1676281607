"""Whether a statement at the top of a module may raise, and so make an import fail that somebody tries.

What is not sure to go well may fail. Does not know who tries, nor what becomes of it.
"""

from __future__ import annotations

import ast
import builtins

from buildtool.pycode.calls import run_by
from buildtool.pycode.encode import does_nothing
from buildtool.pycode.finder import Finder
from buildtool.pycode.module import Module, Unit
from buildtool.pycode.origin import origin, unroll
from buildtool.pycode.pure import known, reads
from buildtool.pycode.scopes import bound_by, defaults, parameters

# Names that every Python from 3.11 on gives.
_GIVEN = frozenset(name for name in dir(builtins) if known(name)) - {"PythonFinalizationError"}
_TYPES = frozenset(name for name in _GIVEN if isinstance(getattr(builtins, name), type))
_FINAL = {"bool", "memoryview", "range", "slice", "type"}  # no plain class has one of these as its base
_HARMLESS = {"classmethod", "property", "staticmethod"}
_ROUTINES = (ast.FunctionDef, ast.AsyncFunctionDef)


def may_fail(module: Module, unit: Unit, finder: Finder, *, widely: bool) -> bool:
    """Whether a statement may raise: if not `widely`, only for want of something to import."""
    if widely:
        return not _Sure(module, unit.index).statement(unit.node)
    pending: list[ast.AST] = [unit.node]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Call) and _may_import(module, node, finder):
            return True
        pending += run_by(node)
    return False


def _may_import(module: Module, call: ast.Call, finder: Finder) -> bool:
    """Whether a function is called that is not known to import nothing."""
    name = origin(call.func, module.origins)
    if name is not None:
        return name.startswith(".") or finder.find(name.partition(".")[0]).local or not known(name)
    root, attributes = unroll(call.func)
    return isinstance(root, ast.Name) or not (attributes and reads(attributes[-1]))


class _Sure:
    """What is sure not to raise at one place of a module."""

    def __init__(self, module: Module, index: int) -> None:
        self._module = module
        self._index = index
        self._own: set[str] = set()  # what a class body has bound so far

    def statement(self, node: ast.stmt) -> bool:
        """Whether a statement does no more than define something by what is there."""
        if isinstance(node, _ROUTINES):
            types = [node.returns, *(item.annotation for item in parameters(node.args))]
            return (
                all(origin(item, self._module.origins) in _HARMLESS for item in node.decorator_list)
                and all(map(self._value, defaults(node.args)))
                and all(self._type(item) for item in types if item)
            )
        if isinstance(node, ast.ClassDef):
            return self._class(node)
        if isinstance(node, ast.Assign):
            return all(isinstance(item, ast.Name) for item in node.targets) and self._value(node.value)
        if isinstance(node, ast.AnnAssign):
            good = isinstance(node.target, ast.Name) and self._type(node.annotation)
            return good and (node.value is None or self._value(node.value))
        return does_nothing(node)

    def _class(self, node: ast.ClassDef) -> bool:
        """Whether a class is a plain one: a base or a decorator of any kind may refuse what is made."""
        if node.decorator_list or node.keywords or len(node.bases) > 1:
            return False
        if not all(
            isinstance(base, ast.Name) and self._is_type(base.id) and base.id not in _FINAL
            for base in node.bases
        ):
            return False
        for inner in node.body:
            if isinstance(inner, ast.ClassDef) or not self.statement(inner):
                return False
            if isinstance(inner, _ROUTINES):
                self._own.add(inner.name)
            elif isinstance(inner, ast.Assign | ast.AnnAssign) and inner.value:
                if any(isinstance(item, ast.Name) for item in ast.walk(inner.value)):
                    return False  # a thing with a `__set_name__`, perhaps
                self._own |= bound_by([inner]).names
        return "__slots__" not in self._own

    def _value(self, node: ast.AST) -> bool:
        pending = [node]
        while pending:
            item = pending.pop()
            if isinstance(item, ast.Name):
                if not (item.id in self._own or self._is_bound(item.id)):
                    return False
            elif isinstance(item, ast.Tuple | ast.List):
                pending += item.elts
            elif isinstance(item, ast.Dict):
                if not all(isinstance(key, ast.Constant) for key in item.keys):
                    return False
                pending += item.values
            elif isinstance(item, ast.Lambda):
                pending += defaults(item.args)
            elif isinstance(item, ast.UnaryOp):
                number = item.operand.value if isinstance(item.operand, ast.Constant) else None
                if not (isinstance(item.op, ast.USub) and isinstance(number, int | float)):
                    return False
            elif not isinstance(item, ast.Constant):
                return False
        return True

    def _type(self, node: ast.expr) -> bool:
        """Whether an annotation can be evaluated, if it is: a name, or built-in types with `[…]` and `|`."""
        if self._module.deferred or isinstance(node, ast.Name | ast.Constant):
            return self._module.deferred or self._value(node)
        pending: list[ast.AST] = [node]
        while pending:
            item = pending.pop()
            if isinstance(item, ast.BinOp) and isinstance(item.op, ast.BitOr):
                if not (isinstance(item.left, ast.Name) or isinstance(item.right, ast.Name)):
                    return False
                pending += (item.left, item.right)
            elif isinstance(item, ast.Subscript):
                if getattr(item.value, "id", "") not in {"dict", "list", "set", "tuple"}:
                    return False
                pending += (item.value, item.slice)
            elif isinstance(item, ast.Tuple | ast.List):
                pending += item.elts
            elif isinstance(item, ast.Constant):
                if item.value is not None and item.value is not ...:
                    return False
            elif not (isinstance(item, ast.Name) and self._is_type(item.id)):
                return False
        return True

    def _is_type(self, name: str) -> bool:
        return name in _TYPES and name not in self._module.names

    def _is_bound(self, name: str) -> bool:
        """Whether a global name is bound by now, and by nothing that could leave it unbound."""
        bindings = self._module.names.get(name)
        if bindings is None:
            return name in _GIVEN or name in {"__file__", "__name__"}
        places = [*(unit.index for unit in bindings.units), *(index for index, _ in bindings.imports)]
        return min(places) < self._index and all(_binds(unit.node, name) for unit in bindings.units)


def _binds(node: ast.stmt, name: str) -> bool:
    """Whether a statement binds a name in any case."""
    if isinstance(node, (*_ROUTINES, ast.ClassDef)):
        return node.name == name
    if isinstance(node, ast.AnnAssign):
        return node.value is not None and getattr(node.target, "id", "") == name
    return isinstance(node, ast.Assign) and name in {getattr(item, "id", "") for item in node.targets}
