"""The graph of code: from each name or module to all that it reaches next.

Does not know where a search begins, nor how what it finds is shown.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Sequence

from buildtool.pycode.calls import Calls
from buildtool.pycode.docs import OWN
from buildtool.pycode.failing import may_fail
from buildtool.pycode.finder import Kind
from buildtool.pycode.imports import Import, Imported
from buildtool.pycode.module import Module, Unit, classes
from buildtool.pycode.order import Step
from buildtool.pycode.origin import origin, unroll
from buildtool.pycode.pure import called, is_pure, only_wraps
from buildtool.pycode.resolve import NOT_FOLLOWED, Node, Resolved, Resolver, What
from buildtool.pycode.uses import Seen


class Links:
    """The arrows of the graph, each worked out once."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver
        self._finder = resolver.finder
        self._calls = Calls(resolver)
        self._known: dict[Node, frozenset[Node]] = {}
        self._units: dict[tuple[str, int], frozenset[Node]] = {}
        self._entered: dict[str, tuple[set[Node], dict[str, set[Node]]]] = {}
        self._steps: dict[str, Sequence[Step]] = {}
        self._enrolling: dict[tuple[str, str], tuple[bool, frozenset[Node]]] = {}

    def next(self, node: Node) -> frozenset[Node]:
        """What a node leads to."""
        found = self._known.get(node)
        if found is None:
            module = None
            if node.what in {What.NAME, What.TOP, What.WHOLE, What.OPEN, What.TRIED}:
                module = self._resolver.source(node.module)
            if module is None:
                found = frozenset(self._look(node))
            elif node.what == What.NAME:
                found = frozenset(self._name(module, node.name))
            elif node.what == What.TOP:
                found = frozenset(self._top(module))
            elif node.what == What.OPEN:
                found = frozenset(self._open(module))
            elif node.what == What.TRIED:
                found = frozenset(self._outcome(module, widely=bool(node.name)))
            else:
                found = frozenset(self._whole(module))
            self._known[node] = found
        return found

    # -- nodes -----------------------------------------------------------------------------------------------

    def _look(self, node: Node) -> Iterator[Node]:
        """What is left of a node without readable source: where it was looked for, and its packages."""
        if node.what == What.WHOLE:
            yield Node(What.LOOK, node.module)
        elif node.what == What.LOOK and self._parent(node.module):
            yield Node(What.LOOK, self._parent(node.module))

    def _parent(self, name: str) -> str:
        found = self._finder.find(name)
        return "" if found.script else name.rpartition(".")[0]

    def _name(self, module: Module, name: str) -> Iterator[Node]:
        yield Node(What.TOP, module.name)
        bindings = module.names.get(name)
        for unit in bindings.units if bindings else module.set_from_within[name]:
            yield from self._unit(module, unit)
        yield from self._registrations(module)[1].get(name, ())

    def _top(self, module: Module) -> Iterator[Node]:
        yield Node(What.LOOK, module.name)
        parent = self._parent(module.name)
        while parent and self._finder.find(parent).kind is Kind.NAMESPACE:
            parent = self._parent(parent)
        if parent and self._resolver.source(parent):
            yield Node(What.TOP, parent)
        for unit in module.effects:
            yield from self._unit(module, unit)
        for _, item in module.imports:
            yield from self._executed(module, item)
        for _, item in module.stars:
            yield from self._star(module, item.target, item.line)
        yield from self._registrations(module)[0]

    def _whole(self, module: Module) -> Iterator[Node]:
        yield Node(What.TOP, module.name)
        for unit in module.units:
            yield from self._unit(module, unit)

    def _open(self, module: Module) -> Iterator[Node]:
        """A module that may be asked for any name may be asked for what it imports."""
        for item in (item for found in module.names.values() for _, item in found.imports):
            for target in (item.target, item.runs):
                resolved = self._resolver.imported(module, target, ())
                yield from self._used(module, resolved, Seen(item.line, "imported by a whole module"))

    def inner(self, seen: Collection[Node]) -> frozenset[Node]:
        """Modules of packages that may be asked for any name: once imported, by whomever, they are such names."""
        opened = {node.module for node in seen if node.what == What.OPEN and not node.name}
        found = set[Node]()
        for name in {node.module for node in seen if node.what == What.TOP} - opened if opened else ():
            parent = name.rpartition(".")[0]
            while parent and parent not in opened:
                parent = parent.rpartition(".")[0]
            if parent:
                why = f"imported, and `{parent}` counts as a whole"
                found |= {Node(What.WHOLE, name), Node(What.OPEN, name), Node(What.WHY, name, why)}
        return frozenset(found)

    def steps(self, name: str) -> Sequence[Step]:
        """What a module does when it is imported, in order: effects, registrations, imports of the project."""
        found = self._steps.get(name)
        module = self._resolver.source(name) if found is None else None
        if found is None:
            found = self._steps[name] = sorted(self._doings(module)) if module else []
        return found

    def _doings(self, module: Module) -> Iterator[Step]:
        last = len(module.imports)  # of what one statement does: its imports are first, as they are written
        for unit in module.effects:
            yield (unit.index, last), f"(statement {unit.effects_before + 1})", ()
        for node in self._registrations(module)[0]:
            if node.what == What.NAME and node.module == module.name:
                yield (module.names[node.name].units[-1].index, last), node.name, ()
        for at, (index, item) in enumerate(module.imports):
            tops = {node.module for node in self._executed(module, item) if node.what == What.TOP}
            targets = set[str]()
            for target in tops:
                while target and not f"{module.name}.".startswith(f"{target}."):
                    targets.add(target)
                    target = self._parent(target)  # noqa: PLW2901 - from a module to its packages
            if targets:
                yield (index, at), "", tuple(sorted(targets))

    # -- statements ------------------------------------------------------------------------------------------

    def _unit(self, module: Module, unit: Unit) -> frozenset[Node]:
        key = (module.name, unit.index)
        found = self._units.get(key)
        if found is None:
            found = self._units[key] = frozenset(self._statement(module, unit))
        return found

    def _statement(self, module: Module, unit: Unit) -> Iterator[Node]:
        uses = module.uses(unit)
        for chain, seen in uses.chains.items():
            yield from self._used(module, self._resolver.chain(module, chain), seen, chain[1:])
        for (target, attributes), seen in uses.imports.items():
            resolved = self._resolver.imported(module, target, attributes)
            yield from self._used(module, resolved, seen, attributes)
        for target in uses.runs:
            yield from self._run(module, target)
        for target, widely in uses.tried.items():
            yield from self._tried(module, target, widely=widely)
        if uses.dynamic is not None:
            yield from _as_whole(module.name, module, uses.dynamic)
        for name, line in uses.notes.items():
            yield Node(
                What.NOTE, module.name, f"`{name}` in {module.source.path} line {line}: {NOT_FOLLOWED}"
            )
        yield from (Node(What.DOCS, module.name, texts) for texts in uses.texts)
        if uses.subclasses:
            yield Node(What.CLASSES, module.name)

    def _used(
        self, module: Module, resolved: Resolved, seen: Seen, attributes: tuple[str, ...] = ()
    ) -> Iterator[Node]:
        yield from resolved.nodes
        if OWN in attributes:
            yield from (Node(What.DOC, *node[1:]) for node in resolved.nodes if node.what == What.NAME)
        for name in resolved.values:
            yield from _as_whole(name, module, seen)

    def _executed(self, module: Module, item: Import) -> Iterator[Node]:
        """An import at the top counts for what it runs, whether or not its name is used."""
        name = item.runs.absolute(module.package)
        if name is None:
            return
        top = name.partition(".")[0]
        if not self._finder.find(top).local:
            yield Node(What.LOOK, top)
        else:
            yield from self._run(module, item.executed)

    def _run(self, module: Module, target: Imported) -> Iterator[Node]:
        """An import for what it runs: the tops of the modules of the project that it executes."""
        for node in self._resolver.imported(module, target, ()).nodes:
            unread = node.what in {What.WHOLE, What.WHY} and self._resolver.source(node.module) is None
            if node.what in {What.LOOK, What.TOP} or unread:
                yield node

    def _star(self, module: Module, target: Imported, line: int) -> Iterator[Node]:
        name = target.absolute(module.package)
        if name is None:
            return
        inner = self._resolver.source(name)
        listed = inner.names["__all__"].units if inner and "__all__" in inner.names else []
        resolved = self._resolver.imported(module, Imported(name), ())
        for node in self._used(module, resolved, Seen(line, "star import")):
            yield node._replace(name="listed") if node.what == What.OPEN and listed else node
        for unit in listed:
            for word in ast.walk(unit.node):  # `__all__` may name submodules, which a star import loads
                if isinstance(word, ast.Constant) and isinstance(word.value, str):
                    resolved = self._resolver.imported(module, Imported(name, 0, word.value), ())
                    yield from self._used(module, resolved, Seen(line, "star import"))

    # -- imports that may fail -------------------------------------------------------------------------------

    def _tried(self, module: Module, target: Imported, *, widely: bool) -> Iterator[Node]:
        """An import of which it matters whether it succeeds: what it asks for must be there."""
        for node in self._resolver.imported(module, target, ()).nodes:
            if node.what != What.NAME:
                yield node
            if node.what == What.TOP:
                yield Node(What.TRIED, node.module, "widely" * widely)

    def _outcome(self, module: Module, *, widely: bool) -> Iterator[Node]:
        """What decides whether a module can be imported: statements that may raise, and what it imports itself."""
        parent = self._parent(module.name)
        if parent and self._resolver.source(parent):
            yield Node(What.TRIED, parent, "widely" * widely)
        for unit in module.units:
            if may_fail(module, unit, self._finder, widely=widely):
                yield from (Node(What.NAME, module.name, name) for name in unit.binds)
        for _, item in module.imports:
            yield from self._tried(module, item.executed, widely=widely)

    # -- registries ------------------------------------------------------------------------------------------

    def _registrations(self, module: Module) -> tuple[set[Node], dict[str, set[Node]]]:
        """Definitions that are entered somewhere when the module is imported.

        First those that always count; then, by name, those that count when that name is reached: it alone can
        hold them, since it is an object of the module that something from outside made.
        """
        found = self._entered.get(module.name)
        if found is None:
            always, by_name = found = self._entered[module.name] = (set(), {})
            for name, decorator in module.decorated():
                root, _ = unroll(called(decorator))
                holder = root.id if isinstance(root, ast.Name) else ""
                if is_pure(decorator, module.origins):
                    continue
                if self._holds(module, holder):
                    by_name.setdefault(holder, set()).add(Node(What.NAME, module.name, name))
                else:
                    always |= self._decorated(module, name, decorator)
            effects = {unit.index for unit in module.effects}
            for unit in module.units:
                if unit.index not in effects and self._calls.acts(module, unit.node):
                    always.update(Node(What.NAME, module.name, name) for name in unit.binds)
                if isinstance(unit.node, ast.ClassDef):
                    enrols, looks = self._enrols(module, unit.node)
                    always |= looks
                    if enrols:
                        always.add(Node(What.NAME, module.name, unit.node.name))
        return found

    def _holds(self, module: Module, name: str) -> bool:
        """Whether what is registered with a global name stays with it: `app = Flask()`, a `singledispatch`."""
        bindings = module.names.get(name)
        if bindings is None or bindings.imports or len(bindings.units) != 1:
            return False
        node = bindings.units[0].node
        if isinstance(node, ast.FunctionDef):
            words = [origin(decorator, module.origins) for decorator in node.decorator_list]
            return "functools.singledispatch" in words
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            made_by = origin(called(node.value), module.origins) or "."
            return not (made_by.startswith(".") or self._finder.find(made_by.partition(".")[0]).local)
        return False

    def _decorated(self, module: Module, name: str, decorator: ast.expr) -> set[Node]:
        calls, inner = 1, decorator
        while isinstance(inner, ast.Call):
            calls, inner = calls + 1, inner.func
        looks: set[Node] = set()
        root, attributes = unroll(inner)
        if isinstance(root, ast.Name):
            resolved = self._resolver.chain(module, (root.id, *attributes))
            looks = {node for node in resolved.nodes if node.what == What.LOOK}
            found = self._resolver.definitions(resolved)
            if found and all(only_wraps(node, calls, where.origins) for where, node in found):
                return looks
        return looks | {Node(What.NAME, module.name, name)}

    def subclasses(self, name: str) -> frozenset[Node]:
        """The names of a module that hold classes with a base in the project: `__subclasses__` finds them."""
        module = self._resolver.source(name)
        found = set[Node]()
        for unit in module.units if module else ():
            if module and any(self._is_derived(module, node) for node in classes(unit.node)):
                found |= {Node(What.NAME, name, bound) for bound in unit.binds}
        return frozenset(found)

    def _is_derived(self, module: Module, node: ast.ClassDef) -> bool:
        for base in node.bases:
            root, attributes = unroll(base.value if isinstance(base, ast.Subscript) else base)
            if not isinstance(root, ast.Name):
                return True
            resolved = self._resolver.chain(module, (root.id, *attributes))
            if self._resolver.definitions(resolved):
                return True
        return False

    def _enrols(self, module: Module, node: ast.ClassDef) -> tuple[bool, frozenset[Node]]:
        """Whether a class is made known to others by being defined: a base or a metaclass sees to it.

        With it, where that was looked for.
        """
        key = (module.name, node.name)
        found = self._enrolling.get(key)
        if found is None:
            self._enrolling[key] = (
                False,
                frozenset(),
            )  # while it is worked out: a class that is its own base
            answers = [self._watches(module, base) for base in _bases(node)]
            looks = frozenset[Node]().union(*(looks for _, looks in answers))
            found = self._enrolling[key] = (any(watches for watches, _ in answers), looks)
        return found

    def _watches(self, module: Module, base: ast.expr) -> tuple[bool, frozenset[Node]]:
        """Whether a base or metaclass, as named in a module, sees the classes that are made from it."""
        root, attributes = unroll(base)
        if not isinstance(root, ast.Name):
            return False, frozenset()
        resolved = self._resolver.chain(module, (root.id, *attributes))
        watches = False
        looks = frozenset(node for node in resolved.nodes if node.what == What.LOOK)
        for where, found in self._resolver.definitions(resolved):
            if isinstance(found, ast.ClassDef):
                above, deeper = self._enrols(where, found)
                methods = {getattr(inner, "name", "") for inner in found.body}
                is_metaclass = "type" in {getattr(inner, "id", "") for inner in found.bases}
                watches = watches or above or is_metaclass or "__init_subclass__" in methods
                looks |= deeper
        return watches, looks


def _bases(node: ast.ClassDef) -> list[ast.expr]:
    return [*node.bases, *(word.value for word in node.keywords if word.arg == "metaclass")]


def _as_whole(name: str, module: Module, seen: Seen) -> Iterator[Node]:
    yield Node(What.WHOLE, name)
    if not seen.loads:
        yield Node(What.OPEN, name)
    note = f": {NOT_FOLLOWED}" if seen.loads else ""
    yield Node(What.WHY, name, f"{seen.how} in {module.source.path} line {seen.line}{note}")
