"""One module's top level: its statements, what each binds, and which of them do more than that.

Does not know other modules, nor where any lie.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from functools import cached_property

from buildtool.pycode.encode import canonical, children, does_nothing
from buildtool.pycode.imports import Import, parse_import
from buildtool.pycode.origin import unroll
from buildtool.pycode.scopes import DEFINITIONS, bound_by
from buildtool.pycode.source import Source
from buildtool.pycode.typed import flags, parts, prune
from buildtool.pycode.uses import Uses, uses_of
from buildtool.tuples import NamedTuple

# Methods that change what they are called on; `x = TABLE.pop()` is more than a definition of `x`.
_CHANGING = frozenset(
    {
        *(
            "add",
            "add_argument",
            "append",
            "appendleft",
            "clear",
            "connect",
            "discard",
            "extend",
            "insert",
            "pop",
        ),
        *(
            "popitem",
            "popleft",
            "put",
            "register",
            "remove",
            "reverse",
            "setdefault",
            "sort",
            "subscribe",
            "update",
        ),
    }
)
_COMPOUND = (ast.If, ast.For, ast.While, ast.Try, ast.TryStar, ast.With, ast.Match)
_PLAIN = (ast.FunctionDef, ast.AsyncFunctionDef)


class Unit:
    """One top-level statement that counts, with all it binds."""

    def __init__(self, node: ast.stmt, index: int, effects_before: int, *, deferred: bool = False) -> None:
        self.node = node
        self.deferred = deferred and _is_annotated(node)  # its annotations are texts, not values
        self.index = index
        self.effects_before = effects_before
        self.bound = bound_by([node])

    @cached_property
    def raw(self) -> bytes:
        """The bytes that stand for the statement."""
        return canonical([self.node]) + b"(deferred)" * self.deferred

    @property
    def binds(self) -> set[str]:
        """The global names that it binds."""
        return self.bound.names - {"*"}

    @property
    def runs_at_once(self) -> bool:
        """Whether its value depends on what ran before it: all but plain functions."""
        return not isinstance(self.node, _PLAIN) or bool(self.node.decorator_list)


class Bindings(NamedTuple):
    """All that binds one name of a module, each in the order of the source."""

    units: list[Unit]
    imports: list[tuple[int, Import]]


class Module:
    """The top level of one file. `package` is what its relative imports start from."""

    def __init__(self, name: str, package: str, source: Source, *, script: bool = False) -> None:
        self.name = name
        self.package = package
        self.source = source
        self.names: dict[str, Bindings] = {}
        self.stars: list[tuple[int, Import]] = []
        self.effects: list[Unit] = []
        self.units: list[Unit] = []
        words = flags(source)
        body = source.tree.body if source.tree else []
        self.statements, aside = _statements(body, words, script=script)
        prune(self.statements, words)
        self._uses: dict[int, Uses] = {}
        self.deferred = any(map(_defers, self.statements))
        for index, statement in enumerate(self.statements):
            self._add(index, statement)
        # Names that a type checker alone knows: annotations may use them, and a `__getattr__` may give them.
        self.typed: set[str] = set()
        for index, statement in enumerate(aside, len(self.statements)):
            self._add_typed(index, statement)

    def _add(self, index: int, statement: ast.stmt) -> None:
        if isinstance(statement, ast.Import | ast.ImportFrom):
            self._add_imports(index, parse_import(statement))
            return
        unit = Unit(statement, index, len(self.effects), deferred=self.deferred)
        self.units.append(unit)
        self._add_imports(index, unit.bound.imports)
        if self._has_effect(unit):
            self.effects.append(unit)
        for name in unit.binds:
            self._bindings(name).units.append(unit)

    def _add_imports(self, index: int, found: Iterable[Import]) -> None:
        for item in found:
            if item.name == "*":
                self.stars.append((index, item))
            else:
                self._bindings(item.name).imports.append((index, item))

    def _add_typed(self, index: int, statement: ast.stmt) -> None:
        unit = Unit(statement, index, len(self.effects), deferred=self.deferred)
        known = self.names.keys() - self.typed
        self._add_imports(index, (item for item in unit.bound.imports if item.name not in known))
        imported = {item.name for item in unit.bound.imports}
        for name in unit.binds - known - imported:
            self._bindings(name).units.append(unit)
        self.typed |= unit.binds - known

    def _bindings(self, name: str) -> Bindings:
        return self.names.setdefault(name, Bindings([], []))

    def _has_effect(self, unit: Unit) -> bool:
        """Whether a statement does more than bind names."""
        if isinstance(unit.node, _COMPOUND) and not unit.bound.names:
            return True
        pending: list[ast.AST] = [unit.node]
        while pending:
            node = pending.pop()
            if isinstance(node, _COMPOUND):
                pending += [
                    inner for inner in children(node) if isinstance(inner, ast.stmt | ast.ExceptHandler)
                ]
                pending += getattr(node, "cases", [])
            elif isinstance(node, ast.ExceptHandler | ast.match_case | ast.ClassDef):
                pending += node.body
            elif self._does_something(node):
                return True
        return False

    def _does_something(self, node: ast.AST) -> bool:
        if isinstance(node, ast.Expr):  # what is exported is a definition, however it is put together
            root = unroll(node.value.func)[0] if isinstance(node.value, ast.Call) else None
            return not isinstance(node.value, ast.Constant) and getattr(root, "id", "") != "__all__"
        if isinstance(node, ast.Delete | ast.Raise | ast.Assert):
            return True
        if isinstance(node, ast.AugAssign):
            known = self.names.get(getattr(node.target, "id", ""))
            return known is None or bool(known.imports)
        if not isinstance(node, ast.Assign | ast.AnnAssign):
            return False
        targets = _flat(node.targets if isinstance(node, ast.Assign) else [node.target])
        if any(not isinstance(target, ast.Name) for target in targets):
            return True
        return all(target.id == "_" for target in targets if isinstance(target, ast.Name)) or _changes(
            node.value
        )

    @cached_property
    def origins(self) -> dict[str, str]:
        """What the global names stand for: dotted text for imports, "" for all else."""
        return {
            name: found.imports[0][1].target.dotted if found.imports else ""
            for name, found in self.names.items()
        }

    @cached_property
    def constants(self) -> dict[str, str]:
        """The global names that stand for one text and no other."""
        found = {}
        for name, (units, imports) in self.names.items():
            node = units[0].node if len(units) == 1 and not imports else None
            value = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                targets = node.targets if isinstance(node, ast.Assign) else ()
                if name not in self.set_from_within and all(isinstance(t, ast.Name) for t in targets):
                    found[name] = value.value
        return found

    def uses(self, unit: Unit) -> Uses:
        """What a statement uses."""
        found = self._uses.get(unit.index)
        if found is None:
            found = self._uses[unit.index] = uses_of([unit.node], self.origins, self.constants, self.typed)
        return found

    @cached_property
    def imports(self) -> tuple[tuple[int, Import], ...]:
        """Every import that runs when the module does, in order: in blocks and class bodies, too."""
        found: list[tuple[int, Import]] = []
        for index, statement in enumerate(self.statements):
            pending: list[ast.AST] = [statement]
            while pending:
                node = pending.pop()
                if isinstance(node, ast.Import | ast.ImportFrom):
                    found += ((index, item) for item in parse_import(node))
                elif isinstance(node, (*_COMPOUND, ast.ClassDef, ast.ExceptHandler, ast.match_case)):
                    pending += children(node)[::-1]
        return tuple(found)

    @cached_property
    def set_from_within(self) -> dict[str, list[Unit]]:
        """Names that no top-level statement binds, but functions do that declare them `global`."""
        found: dict[str, list[Unit]] = {}
        for unit in self.units:
            pending: list[ast.AST] = [unit.node]
            names: set[str] = set()
            while pending:
                node = pending.pop()
                if isinstance(node, ast.Global):
                    names.update(node.names)
                pending += children(node)
            for name in names:
                found.setdefault(name, []).append(unit)
        return found

    def decorated(self) -> Iterator[tuple[str, ast.expr]]:
        """Every decorator at the top level, in its blocks and in class bodies, with the global name it is for.

        Decorators that belong to the class itself (`@size.setter`) are left out.
        """
        pending: list[ast.AST] = [unit.node for unit in self.units]
        while pending:
            node = pending.pop()
            if isinstance(node, ast.ExceptHandler | ast.match_case):
                pending += node.body
            elif isinstance(node, _COMPOUND):
                pending += children(node)
            elif isinstance(node, DEFINITIONS):
                yield from ((node.name, decorator) for decorator in node.decorator_list)
            if isinstance(node, ast.ClassDef):
                own = bound_by(node.body).names
                for inner in node.body:
                    for decorator in inner.decorator_list if isinstance(inner, DEFINITIONS) else ():
                        if getattr(unroll(decorator)[0], "id", None) not in own:
                            yield node.name, decorator


def classes(statement: ast.stmt) -> Iterator[ast.ClassDef]:
    """The classes that a statement makes when it runs."""
    pending: list[ast.AST] = [statement]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.ClassDef):
            yield node
        if isinstance(node, (*_COMPOUND, ast.ClassDef, ast.ExceptHandler, ast.match_case)):
            pending += children(node)


def _defers(statement: ast.stmt) -> bool:
    """Whether it is `from __future__ import annotations`, by which annotations are never evaluated."""
    return (
        isinstance(statement, ast.ImportFrom)
        and statement.module == "__future__"
        and "annotations" in {alias.name for alias in statement.names}
    )


def _is_annotated(statement: ast.stmt) -> bool:
    """Whether a function or class in it keeps annotations; those of local names and of globals are not theirs."""
    pending: list[tuple[ast.AST, bool]] = [(statement, False)]
    while pending:
        node, in_class = pending.pop()
        if getattr(node, "returns", None) or (isinstance(node, ast.arg) and node.annotation):
            return True
        if isinstance(node, ast.AnnAssign) and in_class:
            return True
        in_class = isinstance(node, ast.ClassDef) or (in_class and not isinstance(node, _PLAIN))
        pending += ((inner, in_class) for inner in children(node))
    return False


def _statements(
    body: list[ast.stmt], words: frozenset[str], *, script: bool
) -> tuple[list[ast.stmt], list[ast.stmt]]:
    """The statements that an import runs, without those for a main program; those for type checkers aside."""
    found: list[ast.stmt] = []
    aside: list[ast.stmt] = []
    pending = body[::-1]
    while pending:
        statement = pending.pop()
        split = parts(statement, words)
        if does_nothing(statement) or isinstance(statement, ast.Global):
            continue
        if isinstance(statement, ast.If) and not script and _is_main(statement.test):
            pending += statement.orelse[::-1]
        elif split:
            pending += split[0][::-1]
            aside += split[1]
        else:
            found.append(statement)
    return found, aside


def _is_main(test: ast.expr) -> bool:
    """Whether it is `__name__ == "__main__"`, either way round."""
    if not (isinstance(test, ast.Compare) and len(test.ops) == 1 and isinstance(test.ops[0], ast.Eq)):
        return False
    sides = [test.left, test.comparators[0]]
    names = [getattr(side, "id", None) or getattr(side, "value", None) for side in sides]
    return sorted(map(str, names)) == ["__main__", "__name__"]


def _flat(targets: Iterable[ast.expr]) -> list[ast.expr]:
    """The targets of an assignment, tuples unpacked."""
    found: list[ast.expr] = []
    pending = list(targets)
    while pending:
        target = pending.pop()
        if isinstance(target, ast.Tuple | ast.List):
            pending += target.elts
        elif isinstance(target, ast.Starred):
            pending.append(target.value)
        else:
            found.append(target)
    return found


def _changes(value: ast.AST | None) -> bool:
    """Whether an expression calls a method that is known to change a thing that has a name."""
    pending = [value] if value is not None else []
    while pending:
        node = pending.pop()
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in _CHANGING
            and isinstance(unroll(node.func)[0], ast.Name)
        ):
            return True
        if not isinstance(node, ast.Lambda):
            pending += children(node)
    return False
