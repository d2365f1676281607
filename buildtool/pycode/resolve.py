"""Names to definitions, across modules: through imports, re-exports and packages, to all that stand on the way.

Does not know what a definition reaches in turn; `links` does.
"""

from __future__ import annotations

import ast
import builtins

from buildtool.paths import canonical
from buildtool.pycode.docs import OWN
from buildtool.pycode.finder import Finder, Found, Kind
from buildtool.pycode.imports import Imported
from buildtool.pycode.module import Module
from buildtool.pycode.source import Sources
from buildtool.tuples import NamedTuple

# Names that need no definition. Those of newer Pythons count for all, so that every Python sees the same.
_GIVEN = frozenset(
    {
        *dir(builtins),
        *(
            "__annotations__",
            "__builtins__",
            "__cached__",
            "__class__",
            "__file__",
            "__loader__",
            "__module__",
        ),
        *(
            "__package__",
            "__path__",
            "__qualname__",
            "__spec__",
            "copyright",
            "credits",
            "exit",
            "license",
            "quit",
        ),
        *("PythonFinalizationError", "WindowsError", "_IncompleteInputError", "get_ipython", "reveal_type"),
    }
)


# What a module has without a definition, and what nobody sees who looks at definitions alone.
_OF_A_MODULE = frozenset({"__annotations__", "__dict__", OWN})
NOT_FOLLOWED = "what it loads is not followed"


class What:
    """What a node of the graph of code is. Plain texts, since nodes are hashed very often."""

    NAME = "name"  # a global name of a module, with all that binds it
    TOP = "top"  # what a module does when it is imported, its bindings aside
    WHOLE = "whole"  # a module as a whole
    TRIED = "tried"  # whether its import succeeds; with a name: for whatever reason it may fail
    DOC = "doc"  # docstrings of a module: those of a name, or `docs.OWN` and the like
    DOCS = "docs"  # the same of all modules
    NOTE = "note"  # what is not followed in it, though it does not count as a whole
    WHY = "why"  # a reason why it is taken as a whole
    OPEN = (
        "open"  # it may be asked for any name that it imports; with a name: for those in its `__all__` alone
    )
    CLASSES = "classes"  # every class with a base in the project
    ORDER = "order"  # the order of what a module does when it is imported
    LOOK = "look"  # where a module was looked for
    PACKAGE = "package"  # a top-level name from outside
    UNKNOWN = "unknown"  # a top-level name that is nowhere


class Node(NamedTuple):
    """A node of the graph of code."""

    what: str  # one of `What`
    module: str
    name: str = ""  # of NAME: the name; of WHY: the reason; of ORDER: the text


class Resolved(NamedTuple):
    """What a name with attributes leads to; `values` are modules that are asked for nothing in particular."""

    nodes: frozenset[Node]
    values: frozenset[str]


class Resolver:
    """Follows names through the modules that one finder finds."""

    def __init__(self, finder: Finder, sources: Sources) -> None:
        self.finder = finder
        self._sources = sources
        self._modules: dict[str, Module] = {}
        self._known: dict[tuple[str, tuple[str, ...]], Resolved] = {}

    def canonical(self, where: str) -> str:
        """The canonical spelling of an absolute path."""
        return canonical(where, self.finder.root)

    def add(self, module: Module) -> None:
        """Make a module known that no look-up finds: a script."""
        self._modules[module.name] = module

    def module(self, found: Found) -> Module:
        """The module of a look-up that found source."""
        known = self._modules.get(found.name)
        if known is None:
            package = found.name if found.folders is not None else found.name.rpartition(".")[0]
            known = Module(found.name, package, self._sources.load(found.path))
            self._modules[found.name] = known
        return known

    def source(self, name: str) -> Module | None:
        """The module of that name, if it is Python of the project that can be read."""
        found = self.finder.find(name)
        module = self.module(found) if found.kind is Kind.SOURCE else None
        return module if module and module.source.tree is not None else None

    def chain(self, module: Module, chain: tuple[str, ...]) -> Resolved:
        """What a global name of a module, with attributes, leads to."""
        key = (module.name, chain)
        found = self._known.get(key)
        if found is None:
            walk = _Walk(self)
            walk.inside(module, chain)
            found = self._known[key] = walk.run()
        return found

    def outer(self, name: str, chain: tuple[str, ...]) -> Resolved:
        """What a name in a module leads to, asked for from outside of the project."""
        walk = _Walk(self)
        walk.start(name, chain)
        return walk.run()

    def imported(self, module: Module, target: Imported, attributes: tuple[str, ...]) -> Resolved:
        """What an import in a module, with attributes, leads to."""
        walk = _Walk(self)
        walk.follow(module, target, attributes)
        return walk.run()

    def definitions(self, resolved: Resolved) -> list[tuple[Module, ast.stmt]]:
        """The statements that define what a name led to, re-exports left out; later ones last."""
        found = []
        for node in sorted(resolved.nodes, key=lambda node: node[1:]):
            module = self.source(node.module) if node.what == What.NAME else None
            if module is not None and node.name in module.names:
                found += [(module, unit.node) for unit in module.names[node.name].units]
        return found


class _Walk:
    """One search, from a name to everything that it may stand for."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver
        self._nodes: set[Node] = set()
        self._values: set[str] = set()
        self._pending: list[tuple[str, tuple[str, ...]]] = []
        self._seen: set[tuple[str, tuple[str, ...]]] = set()

    def run(self) -> Resolved:
        """Go on until nothing is left to follow."""
        while self._pending:
            task = self._pending.pop()
            if task not in self._seen:
                self._seen.add(task)
                self._module(*task)
        return Resolved(frozenset(self._nodes), frozenset(self._values))

    def start(self, name: str, chain: tuple[str, ...]) -> None:
        """Go to a name in a module."""
        self._pending.append((name, chain))

    def follow(self, module: Module, target: Imported, attributes: tuple[str, ...]) -> None:
        """Go where an import leads."""
        name = target.absolute(module.package)
        if name is not None:
            self._pending.append((name, (target.name, *attributes) if target.name else attributes))

    def inside(self, module: Module, chain: tuple[str, ...]) -> None:
        """Go where a global name of a module leads; it may also be one that Python gives."""
        if chain[0] in module.names or chain[0] in _OF_A_MODULE or chain[0] not in _GIVEN:
            self._attribute(module, chain)

    def _module(self, name: str, chain: tuple[str, ...]) -> None:
        found = self._look(name)
        if found.kind in {Kind.OUTSIDE, Kind.MISSING}:
            self._outside(found)
        elif found.kind is Kind.NAMESPACE:
            if chain and chain[0] not in _OF_A_MODULE:
                self._pending.append((f"{name}.{chain[0]}", chain[1:]))
            else:
                self._values.add(name)
        elif found.kind is not Kind.STANDARD:
            module = self._resolver.source(name)
            if module is None:
                self._nodes |= {Node(What.WHOLE, name), Node(What.WHY, name, unreadable(found))}
                return
            self._nodes.add(Node(What.TOP, name))
            if chain:
                self._attribute(module, chain)
            else:
                self._values.add(name)

    def _outside(self, found: Found) -> None:
        top = found.name.partition(".")[0]
        start = self._resolver.finder.find(top)
        if start.kind is Kind.MISSING:
            self._nodes.add(Node(What.UNKNOWN, top))
        elif found.kind is Kind.OUTSIDE:
            self._nodes.add(Node(What.PACKAGE, top))

    def _look(self, name: str) -> Found:
        self._nodes.add(Node(What.LOOK, name))
        return self._resolver.finder.find(name)

    def _attribute(self, module: Module, chain: tuple[str, ...]) -> None:
        """A name that a module binds, or else (or if it binds it to just that) a submodule."""
        name = chain[0]
        inner = f"{module.name}.{name}"
        bindings = module.names.get(name)
        is_package = module.package == module.name
        if name == OWN:
            self._nodes.add(Node(What.DOC, module.name, OWN))
        if name == "__file__":
            why = "its `__file__` is asked for: what is read by that is not followed"
            self._nodes.add(Node(What.NOTE, module.name, why))
        meant = bindings is None  # whether a submodule of that name is meant
        if bindings is not None:
            self._nodes.add(Node(What.NAME, module.name, name))
            for _, item in bindings.imports:
                self.follow(module, item.target, chain[1:])
                meant = meant or (item.target.name, item.target.absolute(module.package)) == (
                    name,
                    module.name,
                )
        if is_package and meant and self._look(inner).local:
            self._pending.append((inner, chain[1:]))
        elif bindings is None and (name in _OF_A_MODULE or not module.stars):
            self._undefined(module, name)

    def _undefined(self, module: Module, name: str) -> None:
        if name in module.set_from_within:
            self._nodes.add(Node(What.NAME, module.name, name))
        elif name in _OF_A_MODULE - {OWN}:
            self._values.add(module.name)
        elif name not in _GIVEN or not name.startswith("__"):
            why = f"`{name}` is not defined in it"
            if "__getattr__" in module.names:
                why = f"it has a `__getattr__`: {NOT_FOLLOWED}"
            self._nodes |= {Node(What.WHOLE, module.name), Node(What.WHY, module.name, why)}


def unreadable(found: Found) -> str:
    """Why the code of a module of the project cannot be read."""
    return "nested too deeply to be read" if found.kind is Kind.SOURCE else "an extension module"
