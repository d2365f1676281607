"""Calls that are made when a module is imported: which of them are known to change nothing that others see.

Methods that run without a call by name, such as `__add__`, are taken for calls. A call that is not known
counts as an effect. Does not know what becomes of it; `links` does.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from buildtool.pycode.encode import children
from buildtool.pycode.finder import Finder
from buildtool.pycode.imports import parse_import
from buildtool.pycode.module import Module
from buildtool.pycode.objects import implied
from buildtool.pycode.origin import origin, unroll
from buildtool.pycode.pure import is_pure, known, makes, only_wraps, reads
from buildtool.pycode.resolve import Resolver
from buildtool.pycode.scopes import DEFINITIONS, bound_by, defaults, parameters
from buildtool.tuples import NamedTuple

_FRESH = (
    *(ast.Constant, ast.JoinedStr, ast.List, ast.Dict, ast.Set, ast.BinOp, ast.Compare, ast.UnaryOp),
    *(ast.ListComp, ast.DictComp, ast.SetComp, ast.GeneratorExp),
)
_CALLING = frozenset({"map", "filter", "sorted", "min", "max", "functools.reduce", "itertools.starmap"})
_BODIES = (ast.FunctionDef, ast.AsyncFunctionDef)


class _Routine(NamedTuple):
    """A function of the project, and whether it makes the object that is its first parameter."""

    module: Module
    node: ast.FunctionDef
    makes: bool = False

    @property
    def key(self) -> tuple[str, int, bool]:
        return self.module.name, id(self.node), self.makes


class _Place(NamedTuple):
    """Where a piece of code stands: its module, and what it binds itself, with what was just made there."""

    module: Module
    own: frozenset[str] = frozenset()
    made: frozenset[str] = frozenset()
    self: str = ""  # the name of an object that is being made


class Calls:
    """The calls of one graph, judged by what they lead to."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver
        self._finder: Finder = resolver.finder
        self._facts: dict[tuple[str, int, bool], list[_Routine] | None] = {}
        self._quiet: dict[tuple[str, int, bool], bool] = {}

    def acts(self, module: Module, statement: ast.stmt) -> bool:
        """Whether a top-level statement makes a call, when it runs, that may change what others see."""
        place = _Place(module)
        pending: list[ast.AST] = [statement]
        while pending:
            node = pending.pop()
            if isinstance(node, ast.Call) and not self._is_quiet(place, node):
                return True
            if not all(map(self._is_quiet_routine, self._implied(place, node))):
                return True
            if isinstance(node, ast.Call) and origin(node.func, module.origins) in _CALLING:
                values = (*node.args, *(word.value for word in node.keywords))
                pending += (value.body for value in values if isinstance(value, ast.Lambda))
            pending += run_by(node)
        return False

    def _implied(self, place: _Place, node: ast.AST) -> Iterator[_Routine]:
        """What a node runs of an object of the project, without a call by name."""
        for module, method in implied(self._resolver, place.module, place.own, node):
            yield _Routine(module, method)

    def _is_quiet(self, place: _Place, call: ast.Call) -> bool:
        routines = self._called(place, call)
        return routines is not None and all(self._is_quiet_routine(routine) for routine in routines)

    def _is_quiet_routine(self, start: _Routine) -> bool:
        """Whether a function, and all that it calls, is known to change nothing."""
        known = self._quiet.get(start.key)
        if known is not None:
            return known
        seen, pending = {start.key}, [start]
        while pending:
            routine = pending.pop()
            if self._quiet.get(routine.key):
                continue
            facts = self._facts_of(routine)
            if facts is None or self._quiet.get(routine.key) is False:
                self._quiet[start.key] = False
                return False
            for other in facts:
                if other.key not in seen:
                    seen.add(other.key)
                    pending.append(other)
        self._quiet.update(dict.fromkeys(seen, True))
        return True

    # -- one function ----------------------------------------------------------------------------------------

    def _facts_of(self, routine: _Routine) -> list[_Routine] | None:
        """What a function calls in the project; None if it does, or may do, more than make a value."""
        if routine.key not in self._facts:
            found: list[_Routine] = []
            self._facts[routine.key] = found if self._look_at(routine, found) else None
        return self._facts[routine.key]

    def _look_at(self, routine: _Routine, found: list[_Routine]) -> bool:
        module, node = routine.module, routine.node
        if not all(
            is_pure(item, module.origins) or origin(item, module.origins) in {"staticmethod", "classmethod"}
            for item in node.decorator_list
        ):
            return False
        if only_wraps(node, 1, module.origins):
            return True
        names = [item.arg for item in parameters(node.args)]
        own = bound_by(node.body).names | set(names)
        for item in ast.walk(node):  # an inner function, and a lambda, may be called in it
            if item is not node and isinstance(item, (*_BODIES, ast.Lambda)):
                own |= {inner.arg for inner in parameters(item.args)}
                own |= bound_by(item.body).names if not isinstance(item, ast.Lambda) else set()
            elif isinstance(item, ast.comprehension):
                own |= bound_by([item.target]).names
        first = names[0] if routine.makes and names else ""
        place = _Place(module, frozenset(own), frozenset(self._just_made(node, module) - set(names)), first)
        pending: list[ast.AST] = [*node.body]
        while pending:
            inner = pending.pop()
            if not self._is_harmless(place, inner):
                return False
            if isinstance(inner, ast.Call):
                routines = self._called(place, inner)
                if routines is None:
                    return False
                found += routines
            found += self._implied(place, inner)
            pending += children(inner)
        return True

    def _just_made(self, node: ast.FunctionDef, module: Module) -> set[str]:
        """The names in a function that stand for nothing but things that it made."""
        made: set[str] = set()
        other: set[str] = set()
        plain: set[int] = set()
        for inner in ast.walk(node):
            if isinstance(inner, ast.Assign | ast.AnnAssign):
                value = inner.value
                fresh = isinstance(value, _FRESH) or (
                    isinstance(value, ast.Call) and makes(origin(value.func, module.origins))
                )
                for target in inner.targets if isinstance(inner, ast.Assign) else [inner.target]:
                    if isinstance(target, ast.Name) and fresh:
                        made.add(target.id)
                        plain.add(id(target))
            elif isinstance(inner, ast.AugAssign):
                plain.add(id(inner.target))
            elif isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store) and id(inner) not in plain:
                other.add(inner.id)
        return made - other

    def _is_harmless(self, place: _Place, node: ast.AST) -> bool:
        """Whether a node of a function's body, what is below it aside, changes nothing from outside of it."""
        if isinstance(node, ast.Global | ast.Nonlocal | ast.With | ast.AsyncWith):
            return isinstance(node, ast.With) and all(
                isinstance(item.context_expr, ast.Call) for item in node.items
            )
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [item.runs.absolute(place.module.package) or "" for item in parse_import(node)]
            return not any(self._finder.find(name.partition(".")[0]).local for name in names)
        if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
            return node.target.id in place.made
        if isinstance(node, ast.Attribute | ast.Subscript) and not isinstance(node.ctx, ast.Load):
            name = getattr(node.value, "id", "")
            return name in place.made or (
                bool(name) and isinstance(node, ast.Attribute) and name == place.self
            )
        return not isinstance(node, DEFINITIONS) or all(
            is_pure(item, place.module.origins) for item in node.decorator_list
        )

    # -- one call --------------------------------------------------------------------------------------------

    def _called(self, place: _Place, call: ast.Call) -> list[_Routine] | None:
        """The functions of the project that a call runs; None if that, or what they do, is not known."""
        root, attributes = unroll(call.func)
        module = place.module
        if isinstance(root, ast.Name) and root.id in place.own:
            made = root.id in place.made and len(attributes) == 1
            return [] if made or (attributes and reads(attributes[-1])) else None
        if not isinstance(root, ast.Name):
            if place.self and attributes == ("__init__",) and _is_super(root):
                return []  # those of the bases are looked at, too
            if not attributes and is_pure(call, module.origins):
                return []
            return [] if reads(attributes[-1] if attributes else "") and self._is_plain(place, root) else None
        name = origin(call.func, module.origins)
        if name is not None and not (name.startswith(".") or self._finder.find(name.partition(".")[0]).local):
            if name == "type" and len(call.args) > 1:  # it makes a class
                return None
            return self._handed_over(place, call, name) if known(name) else None
        return self._in_project(place, (root.id, *attributes))

    def _handed_over(self, place: _Place, call: ast.Call, name: str) -> list[_Routine] | None:
        """What a function from outside calls of what it is given."""
        if name.removeprefix("builtins.") not in _CALLING:
            return []
        found: list[_Routine] = []
        for value in (*call.args, *(word.value for word in call.keywords)):
            inner: list[_Routine] | None = []
            if isinstance(value, ast.Name | ast.Attribute):
                root = unroll(value)[0]
                where = origin(value, place.module.origins)
                if isinstance(root, ast.Name) and where is None and root.id not in place.own:
                    units = place.module.names[root.id].units if root.id in place.module.names else []
                    if any(isinstance(unit.node, DEFINITIONS) for unit in units):
                        inner = self._called(place, ast.Call(value, [], []))
                elif where and self._finder.find(where.partition(".")[0]).local:
                    inner = self._called(place, ast.Call(value, [], []))
            if inner is None:
                return None
            found += inner
        return found

    def _in_project(self, place: _Place, chain: tuple[str, ...]) -> list[_Routine] | None:
        resolved = self._resolver.chain(place.module, chain)
        definitions = self._resolver.definitions(resolved)
        if resolved.values or not definitions:
            return None
        found: list[_Routine] = []
        for module, node in definitions:
            if isinstance(node, ast.FunctionDef):
                found.append(_Routine(module, node))
            elif isinstance(node, ast.ClassDef):
                if chain[-1] == node.name or len(chain) == 1:
                    makers = self._makers(module, node, set())
                else:
                    makers = [_Routine(module, item) for item in _methods(node, {chain[-1]})] or None
                if makers is None:
                    return None
                found += makers
            elif not (len(chain) > 1 and reads(chain[-1]) and self._is_plain(_Place(module), node)):
                return None
        return found

    def _makers(
        self, module: Module, node: ast.ClassDef, above: set[tuple[str, str]]
    ) -> list[_Routine] | None:
        """What runs when an object of a class is made."""
        if (module.name, node.name) in above:
            return []
        above = above | {(module.name, node.name)}
        if node.keywords or not all(is_pure(item, module.origins) for item in node.decorator_list):
            return None
        found = [_Routine(module, item, makes=True) for item in _methods(node, {"__init__", "__post_init__"})]
        found += [_Routine(module, item) for item in _methods(node, {"__new__"})]
        for base in node.bases:
            root, attributes = unroll(base)
            if isinstance(root, ast.Name):
                for where, other in self._resolver.definitions(
                    self._resolver.chain(module, (root.id, *attributes))
                ):
                    more = self._makers(where, other, above) if isinstance(other, ast.ClassDef) else None
                    if more is None:
                        return None
                    found += more
        return found

    def _is_plain(self, place: _Place, node: ast.AST) -> bool:
        """Whether a value is sure to be no object of a class of the project."""
        value: ast.AST | None = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else node
        seen: set[str] = set()
        while value is not None:
            if isinstance(value, ast.Subscript | ast.Attribute):
                value = value.value
            elif isinstance(value, ast.BinOp):
                value = value.left
            elif isinstance(value, ast.Call):
                name = origin(value.func, place.module.origins)
                if name and not (name.startswith(".") or self._finder.find(name.partition(".")[0]).local):
                    return known(name)
                if not (isinstance(value.func, ast.Attribute) and reads(value.func.attr)):
                    return False
                value = value.func.value
            elif isinstance(value, ast.Name):
                if value.id in place.own or value.id in seen:
                    return True
                seen.add(value.id)
                bindings = place.module.names.get(value.id)
                if bindings is None or bindings.imports:
                    return bindings is None
                if len(bindings.units) != 1 or not isinstance(
                    bindings.units[0].node, ast.Assign | ast.AnnAssign
                ):
                    return all(
                        isinstance(unit.node, ast.Assign) and isinstance(unit.node.value, _FRESH)
                        for unit in bindings.units
                    )
                value, place = bindings.units[0].node.value, _Place(place.module)
            else:
                return isinstance(value, _FRESH)
        return True


def run_by(node: ast.AST) -> Iterator[ast.AST]:
    """What is run when a node is: not the bodies of functions."""
    if isinstance(node, _BODIES):
        for decorator in node.decorator_list:
            if isinstance(decorator, ast.Call):
                yield from (*decorator.args, *decorator.keywords)
        yield from defaults(node.args)
    elif isinstance(node, ast.ClassDef):
        for decorator in node.decorator_list:
            if isinstance(decorator, ast.Call):
                yield from (*decorator.args, *decorator.keywords)
        yield from (*node.bases, *node.keywords, *node.body)
    elif isinstance(node, ast.Lambda):
        yield from defaults(node.args)
    else:
        yield from children(node)


def _is_super(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "super"


def _methods(node: ast.ClassDef, names: set[str]) -> list[ast.FunctionDef]:
    return [item for item in node.body if isinstance(item, ast.FunctionDef) and item.name in names]
