"""What a Taskfile names, `module:function`, to the definition that it means.

Follows imports, aliases and base classes; does not know what a definition reaches.
"""

from __future__ import annotations

import ast
import contextlib
import unicodedata
from collections.abc import Sequence

from buildtool.errors import TaskfileError
from buildtool.pycode.encode import children
from buildtool.pycode.finder import Finder, Found, Kind
from buildtool.pycode.imports import Import, parse_import
from buildtool.pycode.model import Function
from buildtool.pycode.module import Bindings, Module
from buildtool.pycode.origin import unroll
from buildtool.pycode.resolve import Resolver
from buildtool.pycode.scopes import DEFINITIONS, bound_by
from buildtool.pycode.signature import describe, is_no_callable
from buildtool.text import did_you_mean, listing, printable

Chain = tuple[str, ...]


def parse_target(target: str) -> tuple[str, Chain]:
    """`pkg.mod:Class.method` as `pkg.mod` and (`Class`, `method`)."""
    module, colon, name = unicodedata.normalize("NFKC", target).partition(":")
    words = [*module.split("."), *name.split(".")]
    if not colon or not all(word.isidentifier() for word in words):
        raise TaskfileError(
            f"`{printable(target)}` does not name a function",
            hint="write `module:function`, such as `steps:count`; for a file, use `script`",
        )
    return module, tuple(name.split("."))


class Targets:
    """Finds definitions through the modules that one resolver knows."""

    def __init__(self, resolver: Resolver, folders: Sequence[str]) -> None:
        self._resolver = resolver
        self._finder: Finder = resolver.finder
        self._folders = folders  # as a person would name them

    def function(self, target: str) -> Function:
        """What is known of the callable that a target names; a `TaskfileError` if there is none."""
        name, chain = parse_target(target)
        return _Search(self._resolver, target, self).run(name, chain)

    def no_module(self, name: str) -> TaskfileError:
        """The error for a module that is nowhere."""
        head = name.rpartition(".")[0]
        while head and self._finder.find(head).folders is None:
            head = head.rpartition(".")[0]
        places = ["the project root" if place == "./" else f"`{printable(place)}`" for place in self._folders]
        hint = did_you_mean(name, self._finder.names(head))
        return TaskfileError(
            f"there is no module `{printable(name)}`",
            facts=(("looked in", listing(places)),),
            hint=hint or "modules are looked up from the project root; name more folders in `python_path`",
        )


class _Search:
    """One search, which goes from module to module."""

    def __init__(self, resolver: Resolver, target: str, targets: Targets) -> None:
        self._resolver = resolver
        self._finder = resolver.finder
        self._target = target
        self._targets = targets
        self._seen: set[tuple[str, Chain]] = set()

    def run(self, name: str, chain: Chain) -> Function:
        found = self._finder.find(name)
        if found.kind is Kind.MISSING:
            raise self._targets.no_module(name)
        return self._in_module(name, chain)

    def _in_module(self, name: str, chain: Chain) -> Function:
        """A name in a module, seen from outside."""
        found = self._finder.find(name)
        step = (name, chain)
        if step in self._seen or not chain:
            raise self._not_callable("it is a module" if not chain else "it is imported from itself")
        self._seen.add(step)
        if found.kind is Kind.NAMESPACE:
            if len(chain) > 1:
                return self._in_module(f"{name}.{chain[0]}", chain[1:])
            raise self._no_function(found, chain, [])
        module = self._resolver.source(name) if found.kind is Kind.SOURCE else None
        if module is None:
            return self._unknown(found, chain)
        return self._in_source(found, module, chain)

    def _in_source(self, found: Found, module: Module, chain: Chain) -> Function:
        bindings = module.names.get(chain[0])
        if bindings is not None:
            certain = _is_certain(module, bindings, chain[0])
            try:
                known = self._bound(module, bindings, chain)
            except TaskfileError:
                if certain:
                    raise
                return self._unknown(found, chain)
            return known if certain else known._replace(parameters=None, is_generator=False)
        if (
            found.folders is not None
            and len(chain) > 1
            and self._finder.find(f"{module.name}.{chain[0]}").local
        ):
            return self._in_module(f"{module.name}.{chain[0]}", chain[1:])
        for _, item in reversed(module.stars):
            name = item.target.absolute(module.package)
            inner = self._resolver.source(name) if name else None
            if name is None or inner is None or chain[0] in inner.names or inner.stars:
                return self._in_module(name or "", chain) if inner else self._unknown(found, chain)
        if "__getattr__" in module.names:
            return self._unknown(found, chain)
        raise self._no_function(found, chain, list(module.names))

    def _bound(self, module: Module, bindings: Bindings, chain: Chain) -> Function:
        """The last thing that binds a name."""
        unit = bindings.units[-1] if bindings.units else None
        if unit is not None and all(index <= unit.index for index, _ in bindings.imports):
            return self._in_statement(module, unit.node, chain)
        return self._imported(module, bindings.imports[-1][1], chain)

    def _imported(self, module: Module, item: Import, chain: Chain) -> Function:
        name = item.target.absolute(module.package)
        if name is None or self._finder.find(name).kind is Kind.MISSING:
            return self._unknown(self._finder.find(module.name), chain)
        if item.target.name is None:
            return self._in_module(name, chain[1:])
        inner = f"{name}.{item.target.name}"
        source = self._resolver.source(name)
        if (source is None or item.target.name not in source.names) and self._finder.find(inner).local:
            return self._in_module(inner, chain[1:])
        return self._in_module(name, (item.target.name, *chain[1:]))

    def _in_statement(self, module: Module, statement: ast.stmt, chain: Chain) -> Function:
        """The definition of a name in a top-level statement: a block may hold several, functions come first."""
        candidates = _candidates(statement, chain[0])
        candidates.sort(key=lambda node: not isinstance(node, DEFINITIONS))
        node = candidates[0] if candidates else statement
        if isinstance(node, ast.Import | ast.ImportFrom):
            item = next(item for item in parse_import(node) if item.name == chain[0])
            return self._imported(module, item, chain)
        if isinstance(node, ast.ClassDef) and len(chain) > 1:
            return self._in_class(module, node, chain, node.name)
        if isinstance(node, DEFINITIONS):
            if len(chain) > 1:
                return self._unknown(self._finder.find(module.name), chain)
            return describe(module, ".".join(chain), node)
        value = _value(node, chain[0])
        root, attributes = unroll(value) if value is not None else (None, ())
        step = (module.name + " alias", chain)
        if isinstance(root, ast.Name) and root.id in module.names and step not in self._seen:
            self._seen.add(step)
            return self._in_source(self._finder.find(module.name), module, (root.id, *attributes, *chain[1:]))
        if len(chain) == 1 and is_no_callable(value):
            raise self._not_callable(f"{module.source.path}:{statement.lineno} gives it a plain value")
        return describe(module, ".".join(chain), node if value is None or len(chain) > 1 else value)

    def _in_class(self, module: Module, node: ast.ClassDef, chain: Chain, qualname: str) -> Function:
        """An attribute of a class, or of one of its bases."""
        name = chain[1]
        for statement in reversed(node.body):
            if name not in bound_by([statement]).names:
                continue
            if isinstance(statement, ast.ClassDef) and len(chain) > 2:
                return self._in_class(module, statement, chain[1:], f"{qualname}.{name}")
            value = _value(statement, name)
            if is_no_callable(value):
                raise self._not_callable(f"{module.source.path}:{statement.lineno} gives it a plain value")
            words = {getattr(item, "id", "") for item in getattr(statement, "decorator_list", ())}
            is_bound = "classmethod" in words
            return describe(module, f"{qualname}.{name}", value or statement, skip_first=is_bound)
        for base in node.bases:
            root, attributes = unroll(base)
            step = (module.name + " base", (node.name, *chain))
            if isinstance(root, ast.Name) and root.id in module.names and step not in self._seen:
                self._seen.add(step)
                with contextlib.suppress(TaskfileError):
                    place = self._finder.find(module.name)
                    return self._in_source(place, module, (root.id, *attributes, *chain[1:]))
        known = [f"{chain[0]}.{own}" for own in bound_by(node.body).names]
        raise self._no_function(self._finder.find(module.name), chain, known)

    # -- ends ------------------------------------------------------------------------------------------------

    def _unknown(self, found: Found, chain: Chain) -> Function:
        """Something that is there, but of which reading tells no more."""
        path = ""
        if found.kind is Kind.SOURCE:
            path = self._resolver.module(found).source.path
        elif found.kind is Kind.COMPILED:
            path = self._resolver.canonical(found.path)
        return Function(
            found.name, ".".join(chain), path, 0, None, is_async=False, is_generator=False, decorators=()
        )

    def _no_function(self, found: Found, chain: Chain, known: list[str]) -> TaskfileError:
        name = ".".join(chain)
        return TaskfileError(
            f"module `{printable(found.name)}` has no function `{printable(name)}`",
            facts=(("file", printable(self._resolver.canonical(found.path))),) if found.path else (),
            hint=did_you_mean(name, known),
        )

    def _not_callable(self, why: str) -> TaskfileError:
        return TaskfileError(
            f"`{printable(self._target)}` is not a function",
            facts=(("because", printable(why)),),
            hint="name a function",
        )


def _candidates(statement: ast.stmt, name: str) -> list[ast.stmt]:
    """The simple statements in a statement that bind a name."""
    return [node for node in _binding(statement) if name in bound_by([node]).names]


def _is_certain(module: Module, bindings: Bindings, name: str) -> bool:
    """Whether reading tells which of the things that bind a name is the last to do so."""
    last = max([index for index, _ in bindings.imports] + [unit.index for unit in bindings.units])
    if any(index > last for index, _ in module.stars):
        return False
    block = next((unit.node for unit in bindings.units if unit.index == last), None)
    if block is None or _binding(block) == [block]:
        return True
    nodes = [node for unit in bindings.units for node in _candidates(unit.node, name)]
    nodes = [node for node in nodes if not is_no_callable(_value(node, name))]
    return len(nodes) <= 1 and all(index == last for index, _ in bindings.imports)


def _binding(statement: ast.stmt) -> list[ast.stmt]:
    """A statement, or the simple ones in its blocks."""
    found: list[ast.stmt] = []
    pending: list[ast.AST] = [statement]
    while pending:
        node = pending.pop()
        inner = [
            child
            for child in children(node)
            if isinstance(child, ast.stmt | ast.ExceptHandler | ast.match_case)
        ]
        if inner and not isinstance(node, DEFINITIONS):
            pending += inner[::-1]
        elif isinstance(node, ast.stmt):
            found.append(node)
    return found


def _value(node: ast.AST, name: str) -> ast.expr | None:
    """The value that a plain assignment gives a name; None if it is not that plain."""
    if isinstance(node, ast.Assign):
        plain = any(isinstance(target, ast.Name) and target.id == name for target in node.targets)
        return node.value if plain else None
    if isinstance(node, ast.AnnAssign):
        return node.value
    return None
