"""Which names a piece of code binds, and where a name that it uses belongs: Python's scoping rules.

Knows nothing of modules. Works without recursion.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from buildtool.pycode.encode import children
from buildtool.pycode.imports import Import, parse_import

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
Routine = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


@dataclass(slots=True)
class Bound:
    """What the statements of one scope bind."""

    names: set[str] = field(default_factory=set)
    globals: set[str] = field(default_factory=set)
    nonlocals: set[str] = field(default_factory=set)
    imports: list[Import] = field(default_factory=list)


def bound_by(nodes: Iterable[ast.AST]) -> Bound:
    """What nodes bind in the scope they stand in; scopes inside of it are not entered."""
    bound = Bound()
    pending = list(nodes)
    while pending:
        node = pending.pop()
        if isinstance(node, DEFINITIONS):
            bound.names.add(node.name)
            pending += outside_of(node)
        elif isinstance(node, ast.Lambda):
            pending += defaults(node.args)
        elif isinstance(node, COMPREHENSIONS):  # its targets are its own, but not what `:=` binds
            pending += results(node)
            for part in node.generators:
                pending += (part.iter, *part.ifs)
        elif isinstance(node, ast.Name):
            if not isinstance(node.ctx, ast.Load):
                bound.names.add(node.id)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            for item in parse_import(node):
                bound.names.add(item.name)
                bound.imports.append(item)
        elif isinstance(node, ast.Global):
            bound.globals.update(node.names)
        elif isinstance(node, ast.Nonlocal):
            bound.nonlocals.update(node.names)
        else:
            if isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
                bound.names.add(node.name)
            elif isinstance(node, ast.MatchMapping) and node.rest:
                bound.names.add(node.rest)
            pending += children(node)
    return bound


def outside_of(node: Definition) -> list[ast.AST]:
    """The parts of a definition that are evaluated where it stands, annotations excepted."""
    if isinstance(node, ast.ClassDef):
        return [*node.decorator_list, *node.bases, *node.keywords]
    return [*node.decorator_list, *defaults(node.args)]


def defaults(arguments: ast.arguments) -> list[ast.expr]:
    """The default values of parameters."""
    return [*arguments.defaults, *(value for value in arguments.kw_defaults if value)]


def parameters(arguments: ast.arguments) -> Iterator[ast.arg]:
    """All parameters, `*args` and `**kwargs` too."""
    yield from (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)
    yield from (star for star in (arguments.vararg, arguments.kwarg) if star)


def results(node: Comprehension) -> list[ast.expr]:
    """What a comprehension makes for each turn."""
    return [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]


class Scope:
    """The names of one function, lambda, comprehension or list of type parameters."""

    def __init__(self, above: Scope | None, bound: Bound) -> None:
        self.above = above
        self.names = bound.names - bound.globals - bound.nonlocals
        self.globals = bound.globals
        self.nonlocals = bound.nonlocals
        self.imports: dict[str, list[Import]] = {}
        for item in bound.imports:
            self.imports.setdefault(item.name, []).append(item)

    def binds(self, name: str) -> bool:
        """Whether a name that is used in this very scope is its own."""
        return name in self.names


class ClassScope(Scope):
    """A class body after some of its statements: what comes later, or perhaps not at all, does not bind yet."""

    def __init__(self, above: Scope | None, bound: Bound, so_far: set[str]) -> None:
        super().__init__(above, bound)
        self._so_far = so_far - self.globals

    def binds(self, name: str) -> bool:
        """Whether a name is bound here by now."""
        return name in self._so_far


def owner(name: str, scope: Scope | None) -> Scope | None:
    """The scope that a name belongs to; None: it is global. A class body's names are not seen from within."""
    inside = False
    while scope is not None:
        if not (inside and isinstance(scope, ClassScope)):
            if name in scope.globals:
                return None
            if scope.binds(name):
                return scope
        scope, inside = scope.above, True
    return None
