"""What a piece of code uses from outside itself: global names with the attributes asked of them, and imports.

Follows Python's scoping rules; does not know what the names stand for, but for the imports of its module, by
which it tells `eval` or `importlib.import_module` from things of the same name. Works without recursion.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from buildtool.pycode.docs import ALL, OWN
from buildtool.pycode.encode import children
from buildtool.pycode.guards import catches
from buildtool.pycode.imports import Imported, parse_import
from buildtool.pycode.loaders import BY_NAME, IMPORTERS, LOADERS, NOTED, OPEN, reads_text
from buildtool.pycode.origin import Origins, origin, unroll
from buildtool.pycode.quoted import names_in
from buildtool.pycode.scopes import (
    COMPREHENSIONS,
    DEFINITIONS,
    Bound,
    ClassScope,
    Comprehension,
    Routine,
    Scope,
    bound_by,
    defaults,
    owner,
    parameters,
    results,
)
from buildtool.tuples import NamedTuple

VALUE = "used as a value"  # why a module counts as a whole if nothing better is known


class Seen(NamedTuple):
    """Where a thing was used first, and how."""

    line: int
    how: str = VALUE
    loads: bool = False  # whether code may be loaded by it that nobody sees


@dataclass(slots=True)
class Uses:
    """What one piece of code uses."""

    # A global name and the attributes asked of it: `h.sub.f(1).x` is `("h", "sub", "f")`.
    chains: dict[tuple[str, ...], Seen] = field(default_factory=dict)
    # The same for what is imported in the code itself.
    imports: dict[tuple[Imported, tuple[str, ...]], Seen] = field(default_factory=dict)
    # Imports in the code itself, used or not.
    runs: dict[Imported, None] = field(default_factory=dict)
    # Imports whose failing would be caught, and whether more is caught than that something is missing.
    tried: dict[Imported, bool] = field(default_factory=dict)
    # Whether it asks a class for the classes that are made from it.
    subclasses: bool = False
    # What it reads of texts, without saying whose: `docs.ALL`, `docs.TEXT`.
    texts: set[str] = field(default_factory=set)
    # Functions that may load code which nobody sees, with the first line of each.
    notes: dict[str, int] = field(default_factory=dict)
    # Why it may use anything of its module, if so.
    dynamic: Seen | None = None


def uses_of(
    nodes: list[ast.AST], origins: Origins, constants: Mapping[str, str], typed: Collection[str] = ()
) -> Uses:
    """What top-level statements (or parts of them) use; annotations by `typed` names are never evaluated."""
    reader = _Reader(origins, constants, typed)
    reader.push(None, *nodes)
    reader.run()
    return reader.uses


class _Task(NamedTuple):
    node: ast.AST
    scope: Scope | None
    annotation: bool


class _Reader:
    """Walks a piece of code; the order does not matter."""

    def __init__(self, origins: Origins, constants: Mapping[str, str], typed: Collection[str]) -> None:
        self.uses = Uses()
        self._typed = typed
        self._constants = constants
        self._origins = origins
        self._pending: list[_Task] = []

    def push(self, scope: Scope | None, *nodes: ast.AST | None, annotation: bool = False) -> None:
        """Put nodes on the list of what is to be read, in the scope they stand in."""
        self._pending += [_Task(node, scope, annotation) for node in nodes if node is not None]

    def run(self) -> None:
        """Read until nothing is left."""
        while self._pending:
            node, scope, annotation = self._pending.pop()
            handler = _HANDLERS.get(type(node))
            if handler is not None:
                handler(self, node, scope, annotation)
            else:
                self.push(scope, *children(node), annotation=annotation)

    # -- names -----------------------------------------------------------------------------------------------

    def use(
        self,
        node: ast.expr,
        scope: Scope | None,
        more: tuple[str, ...] = (),
        how: str = VALUE,
        *,
        safe: bool = False,
    ) -> None:
        """A name with attributes is used; `safe`: what it stands for is known to be used harmlessly."""
        root, attributes = unroll(node)
        attributes += more
        if "__globals__" in attributes:
            self._open("__globals__", node, loads=True)
        self.uses.subclasses = self.uses.subclasses or "__subclasses__" in attributes
        if OWN in attributes and not (isinstance(root, ast.Name) and self._is_told(root.id, scope)):
            self.uses.texts.add(ALL)
        seen = Seen(node.lineno, how)
        if isinstance(root, ast.Name):
            if not safe and (stands_for := origin(node, self._origins, scope)) is not None:
                self._check_open(stands_for, node)
            where = owner(root.id, scope)
            if where is None and not self._is_bound_somehow(root.id, scope):
                self.uses.chains.setdefault((root.id, *attributes), seen)
            for item in where.imports.get(root.id, ()) if where else ():
                self.uses.imports.setdefault((item.target, attributes), seen)
        elif isinstance(root, ast.Call) and (target := self._constant_import(root, scope)):
            self._fetch(root, target, attributes, scope)
        else:
            self.push(scope, root)

    def _is_told(self, name: str, scope: Scope | None) -> bool:
        """Whether it is known what a name stands for: it is global, or imported right here."""
        where = owner(name, scope)
        return where is None or name in where.imports

    def _is_bound_somehow(self, name: str, scope: Scope | None) -> bool:
        """Whether a name is bound in a block of a class body and nowhere else, as the target of a loop may be."""
        return isinstance(scope, ClassScope) and name in scope.names and name not in self._origins

    def _check_open(self, stands_for: str, node: ast.expr) -> None:
        name = "sys.modules" if stands_for.startswith("sys.modules.") else stands_for
        if name in NOTED:
            self.uses.notes[name] = min(node.lineno, self.uses.notes.get(name, node.lineno))
        if texts := reads_text(name):
            self.uses.texts.add(texts)
        if name in OPEN:
            self._open(name.removeprefix("builtins."), node, loads=name in LOADERS)

    def _open(self, what: str, node: ast.expr, *, loads: bool) -> None:
        known = self.uses.dynamic
        if known is None or (loads, -node.lineno) > (known.loads, -known.line):
            self.uses.dynamic = Seen(node.lineno, f"`{what}`", loads)

    def _fetch(
        self, call: ast.Call, target: Imported, attributes: tuple[str, ...], scope: Scope | None
    ) -> None:
        """An import by a call with the name written out."""
        self.use(call.func, scope, safe=True)
        self.uses.imports.setdefault((target, attributes), Seen(call.lineno))
        self.uses.runs[target] = None

    def _constant_import(self, call: ast.Call, scope: Scope | None) -> Imported | None:
        """What `import_module("a.b")` and its like fetch, if that is written out."""
        if origin(call.func, self._origins, scope) not in IMPORTERS or not call.args:
            return None
        word = call.args[0]
        name = word.value if isinstance(word, ast.Constant) else None
        if isinstance(word, ast.Name) and owner(word.id, scope) is None:
            name = self._constants.get(word.id)
        if not isinstance(name, str):
            return None
        dots = len(name) - len(name.lstrip("."))
        if not dots:
            return Imported(name)
        package = call.args[1] if len(call.args) > 1 else None
        package = next((word.value for word in call.keywords if word.arg == "package"), package)
        if isinstance(package, ast.Name) and package.id == "__package__":
            return Imported(name[dots:], dots)
        if isinstance(package, ast.Constant) and isinstance(package.value, str):
            absolute = Imported(name[dots:], dots).absolute(package.value)
            return Imported(absolute) if absolute else None
        return None

    # -- expressions -----------------------------------------------------------------------------------------

    def _is_typed(self, node: ast.AST, scope: Scope | None) -> bool:
        """Whether it is a name that only a type checker knows."""
        root = unroll(node)[0]
        return isinstance(root, ast.Name) and root.id in self._typed and owner(root.id, scope) is None

    def name(self, node: ast.Name, scope: Scope | None, annotation: bool) -> None:
        """A name; one that is only stored counts if it was declared global in a function."""
        if annotation and self._is_typed(node, scope):
            return
        if isinstance(node.ctx, ast.Load) or (scope is not None and node.id in scope.globals):
            self.use(node, scope)

    def attribute(self, node: ast.Attribute, scope: Scope | None, annotation: bool) -> None:
        """A chain of attributes; to give a docstring is not to read one."""
        if annotation and self._is_typed(node, scope):
            return
        self.use(node if isinstance(node.ctx, ast.Load) or node.attr != OWN else node.value, scope)

    def assigned(self, node: ast.Assign, scope: Scope | None, _annotation: bool) -> None:
        """An assignment; a docstring that is only passed on, as decorators do, is not read."""
        value = node.value
        if isinstance(value, ast.Attribute) and value.attr == OWN:
            passed = all(isinstance(target, ast.Attribute) and target.attr == OWN for target in node.targets)
            value = value.value if passed else value
        self.push(scope, *node.targets, value)

    def call(self, node: ast.Call, scope: Scope | None, annotation: bool) -> None:
        """A call; some functions are known to look things up by name."""
        arguments: list[ast.AST] = [*node.args, *node.keywords]
        called = origin(node.func, self._origins, scope)
        if target := self._constant_import(node, scope):
            self._fetch(node, target, (), scope)
        elif called == "importlib.util.find_spec" and (text := _text(node.args)):
            self.use(node.func, scope, safe=True)
            self._try(Imported(text), widely=False)
        elif called == "sys.modules.get" and node.args and isinstance(node.args[0], ast.Constant):
            self.use(node.func, scope, safe=True)
            self.uses.imports.setdefault(
                (Imported(str(node.args[0].value)), ()), Seen(node.lineno, "`sys.modules`")
            )
        elif called in {"vars", "builtins.vars"} and arguments:
            self.use(node.func, scope, safe=True)
            if isinstance(node.args[0] if node.args else None, ast.Name | ast.Attribute):
                self.use(node.args[0], scope, how="`vars`")
        elif called in BY_NAME and len(node.args) > 1 and isinstance(node.args[0], ast.Name | ast.Attribute):
            self.use(node.func, scope)
            name = node.args[1]
            if isinstance(name, ast.Constant) and isinstance(name.value, str):
                self.use(node.args[0], scope, (name.value,))
            else:
                self.use(node.args[0], scope, how=f"`{called}` with a computed name")
            arguments = arguments[1:]
        else:
            self.push(scope, node.func)
        self.push(scope, *arguments, annotation=annotation)

    def subscript(self, node: ast.Subscript, scope: Scope | None, annotation: bool) -> None:
        """A subscript; `sys.modules["x"]` is an import, and strings in annotations are code."""
        word = node.slice
        if origin(node.value, self._origins, scope) == "sys.modules" and isinstance(word, ast.Constant):
            self.use(node.value, scope, safe=True)
            self.uses.imports.setdefault((Imported(str(word.value)), ()), Seen(node.lineno, "`sys.modules`"))
            return
        name = unroll(node.value)[1][-1:] or (getattr(node.value, "id", None),)
        literal = name[0] == "Literal"
        self.push(scope, node.value)
        if name[0] == "Annotated" and isinstance(word, ast.Tuple):
            self.push(scope, word.elts[0], annotation=annotation)
            self.push(scope, *word.elts[1:])
        else:
            self.push(scope, word, annotation=annotation and not literal)

    def compare(self, node: ast.Compare, scope: Scope | None, _annotation: bool) -> None:
        """A comparison; `"x" in sys.modules` gives nothing away."""
        for side in (node.left, *node.comparators):
            if origin(side, self._origins, scope) == "sys.modules" and isinstance(
                side, ast.Name | ast.Attribute
            ):
                self.use(side, scope, safe=True)
            else:
                self.push(scope, side)

    def constant(self, node: ast.Constant, scope: Scope | None, annotation: bool) -> None:
        """A string in an annotation is an annotation itself."""
        if not annotation or not isinstance(node.value, str):
            return
        self.push(scope, *names_in(node.value, node.lineno, self._origins, scope), annotation=True)

    # -- scopes ----------------------------------------------------------------------------------------------

    def routine(self, node: Routine, scope: Scope | None, _annotation: bool) -> None:
        """A function or a lambda: what is outside of it, then its body in a scope of its own."""
        arguments = node.args
        self.push(scope, *defaults(arguments))
        if not isinstance(node, ast.Lambda):
            self.push(scope, *node.decorator_list)
            scope = self._type_parameters(node, scope)
            self.push(scope, node.returns, annotation=True)
            self.push(scope, *(item.annotation for item in parameters(arguments)), annotation=True)
        body: list[ast.AST] = [node.body] if isinstance(node, ast.Lambda) else list(node.body)
        bound = bound_by(body)
        bound.names.update(item.arg for item in parameters(arguments))
        self.push(Scope(scope, bound), *body)

    def class_body(self, node: ast.ClassDef, scope: Scope | None, _annotation: bool) -> None:
        """A class: its body sees its own names once they are bound, and the functions in it never do."""
        self.push(scope, *node.decorator_list)
        scope = self._type_parameters(node, scope)
        self.push(scope, *node.bases, *node.keywords)
        whole, so_far = bound_by(node.body), set[str]()
        for statement in node.body:
            self.push(ClassScope(scope, whole, set(so_far)), statement)
            if not isinstance(statement, _BRANCHES):
                so_far |= bound_by([statement]).names

    def _type_parameters(self, node: ast.AST, scope: Scope | None) -> Scope | None:
        """The scope in which `T` of `def f[T](x: T)` is known (Python 3.12)."""
        found: list[ast.AST] = getattr(node, "type_params", [])
        if not found:
            return scope
        inner = Scope(scope, Bound(names={str(getattr(item, "name", "")) for item in found}))
        self.push(inner, *found)
        return inner

    def type_alias(self, node: ast.AST, scope: Scope | None, _annotation: bool) -> None:
        """`type X[T] = …` (Python 3.12)."""
        scope = self._type_parameters(node, scope)
        self.push(scope, getattr(node, "value", None), annotation=True)

    def comprehension(self, node: Comprehension, scope: Scope | None, _annotation: bool) -> None:
        """A comprehension: its first source is read outside, all else in a scope of its own."""
        inner = Scope(scope, bound_by([part.target for part in node.generators]))
        self.push(inner, *results(node))
        for number, part in enumerate(node.generators):
            self.push(inner if number else scope, part.iter)
            self.push(inner, part.target, *part.ifs)

    # -- statements ------------------------------------------------------------------------------------------

    def annotated(self, node: ast.AnnAssign, scope: Scope | None, _annotation: bool) -> None:
        """`x: int = 1`."""
        self.push(scope, node.annotation, annotation=True)
        self.push(scope, node.target, node.value)

    def guarded(self, node: ast.Try | ast.With, scope: Scope | None, _annotation: bool) -> None:
        """A block that may catch what is raised in it: whether an import in it succeeds decides what comes next."""
        self.push(scope, *children(node))
        widely = catches(node, self._origins, scope)
        pending: list[ast.AST] = list(node.body) if widely is not None else []
        while pending:
            inner = pending.pop()
            if isinstance(inner, ast.Import | ast.ImportFrom):
                for item in parse_import(inner):
                    self._try(item.executed, widely=bool(widely))
            elif isinstance(inner, ast.Call) and (called := self._constant_import(inner, scope)):
                self._try(called, widely=bool(widely))
            if not isinstance(inner, (*DEFINITIONS[:2], ast.Lambda)):
                pending += children(inner)

    def _try(self, target: Imported, *, widely: bool) -> None:
        self.uses.tried[target] = widely or self.uses.tried.get(target, False)

    def imported(self, node: ast.Import | ast.ImportFrom, scope: Scope | None, _annotation: bool) -> None:
        """An import in a function or class; those at the top are bindings of the module."""
        if scope is None:
            return
        for item in parse_import(node):
            self.uses.runs[item.runs] = None
            if item.name in scope.globals:  # what others do with it is not known
                self.uses.imports.setdefault(
                    (item.target, ()), Seen(node.lineno, "imported as a global name")
                )
            elif item.name in scope.nonlocals:
                self.uses.imports.setdefault(
                    (item.target, ()), Seen(node.lineno, "imported as a nonlocal name")
                )
            elif isinstance(scope, ClassScope):
                self.uses.imports.setdefault((item.target, ()), Seen(node.lineno, "imported in a class body"))


_BRANCHES = (ast.If, ast.For, ast.While, ast.Try, ast.TryStar, ast.With, ast.Match, ast.Delete)
_HANDLERS: dict[type[ast.AST], Callable[..., None]] = {
    ast.Name: _Reader.name,
    ast.Attribute: _Reader.attribute,
    ast.Call: _Reader.call,
    ast.Subscript: _Reader.subscript,
    ast.Constant: _Reader.constant,
    ast.Compare: _Reader.compare,
    ast.AnnAssign: _Reader.annotated,
    ast.Assign: _Reader.assigned,
    ast.Import: _Reader.imported,
    ast.ImportFrom: _Reader.imported,
    ast.ClassDef: _Reader.class_body,
    **dict.fromkeys((ast.Try, ast.TryStar, ast.With, ast.AsyncWith), _Reader.guarded),
    **dict.fromkeys((ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda), _Reader.routine),
    **dict.fromkeys(COMPREHENSIONS, _Reader.comprehension),
}
if hasattr(ast, "TypeAlias"):
    _HANDLERS[ast.TypeAlias] = _Reader.type_alias


def _text(arguments: list[ast.expr]) -> str | None:
    """The first argument, if it is a text that is written out."""
    word = arguments[0] if arguments else None
    return word.value if isinstance(word, ast.Constant) and isinstance(word.value, str) else None
