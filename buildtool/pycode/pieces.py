"""Nodes of the graph of code to pieces: digests that decide and texts to show.

Does not know how nodes are found.
"""

from __future__ import annotations

import ast

import xxhash

from buildtool.files import Disk
from buildtool.paths import canonical as canonical_path
from buildtool.pycode.docs import ALL, OWN, TEXT, docstrings
from buildtool.pycode.encode import canonical, strip
from buildtool.pycode.finder import Kind
from buildtool.pycode.imports import Import
from buildtool.pycode.model import Piece
from buildtool.pycode.module import Module, Unit
from buildtool.pycode.packages import Packages
from buildtool.pycode.resolve import Node, Resolver, What

SHOWN = 64 << 10  # longer texts are not kept, so they are not made; measured in bytes of the encoded tree


class Pieces:
    """The pieces of the nodes of one graph, each made once."""

    def __init__(self, resolver: Resolver, packages: Packages, disk: Disk) -> None:
        self._resolver = resolver
        self._packages = packages
        self._disk = disk
        self._known: dict[Node, tuple[Piece, ...]] = {}

    def of(self, node: Node) -> tuple[Piece, ...]:
        """The pieces of a node; many have none."""
        found = self._known.get(node)
        if found is None:
            found = self._known[node] = self._make(node)
        return found

    def _make(self, node: Node) -> tuple[Piece, ...]:
        if node.what == What.PACKAGE:
            return self._package(node.module)
        if node.what == What.UNKNOWN:
            return (Piece("package", node.module, digest("package", node.module, None), "not installed"),)
        if node.what == What.ORDER:
            return (Piece("code", f"{node.module} (order)", digest("order", node.name), node.name),)
        if node.what in {What.LOOK, What.WHY, What.CLASSES, What.OPEN, What.TRIED, What.DOCS, What.NOTE}:
            return ()
        module = self._resolver.source(node.module)
        if module is None:
            if self._resolver.finder.find(node.module).kind is Kind.NAMESPACE:
                return ()  # no file of its own
            return (self._unread(node.module),)
        if node.what == What.DOC:
            return _documents(module, node.name)
        if node.what == What.NAME:
            return (_name(module, node.name),)
        return _top(module) if node.what == What.TOP else (_whole(module),)

    def _package(self, top: str) -> tuple[Piece, ...]:
        found = self._packages.distributions(top) or ((top, "no version known"),)
        return tuple(
            Piece("package", name, digest("package", name, version), version) for name, version in found
        )

    def _unread(self, name: str) -> Piece:
        """A module whose code cannot be read counts by its bytes."""
        found = self._resolver.finder.find(name)
        if found.kind is Kind.SOURCE:
            return Piece("code", name, digest("file", self._resolver.module(found).source.raw), None)
        path = canonical_path(found.path, self._disk.root)
        return Piece("code", name, digest("file", self._disk.digest(path)), None)


def digest(kind: str, *parts: str | bytes | None) -> str:
    """32 hex digits of parts that are tagged with their kind, each preceded by its type and length."""
    state = xxhash.xxh3_128()
    for part in (kind, *parts):
        raw = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
        letter = b"n" if raw is None else b"s" if isinstance(part, str) else b"b"
        state.update(b"%s%d:%s" % (letter, len(raw or b""), raw or b""))
    return state.hexdigest()


def _name(module: Module, name: str) -> Piece:
    """All that binds a name, in order; a star import may bind any."""
    bindings = module.names.get(name)
    units = bindings.units if bindings else module.set_from_within[name]
    rows = [(unit.index, 0, _encoded(module, unit), "") for unit in units]
    imports = [*(bindings.imports if bindings else ()), *module.stars]
    bound: dict[bytes, tuple[int, int, bytes, str]] = {}  # `import a.b` and `import a.c` bind the same
    for at, (index, item) in enumerate(sorted(imports, key=lambda pair: pair[0])):
        encoded, shown = _imported(module, item)
        bound[encoded] = (index, at, encoded, shown)
    rows = sorted([*rows, *bound.values()])
    text = _texts(units) if units else "\n".join(row[3] for row in rows)
    parts = [row[2] for row in rows]
    return Piece("code", f"{module.name}.{name}", digest("name", *parts), text)


def _top(module: Module) -> tuple[Piece, ...]:
    found = []
    if module.effects:
        parts = [_encoded(module, unit) for unit in module.effects]
        found.append(
            Piece("code", f"{module.name} (top level)", digest("top", *parts), _texts(module.effects))
        )
    if module.stars:
        rows = [_imported(module, item) for _, item in module.stars]
        text = "\n".join(row[1] for row in rows)
        found.append(Piece("code", f"{module.name}.*", digest("stars", *(row[0] for row in rows)), text))
    return tuple(found)


def _documents(module: Module, name: str) -> tuple[Piece, ...]:
    """Docstrings that are read, and texts."""
    if name == TEXT:
        return (Piece("code", f"{module.name} (text)", digest("text", module.source.raw), None),)
    found = docstrings(module.source.raw, name)
    if not found:
        return ()
    label = {OWN: " (docstring)", ALL: " (docstrings)"}.get(name, f".{name} (docstring)")
    return (Piece("code", f"{module.name}{label}", digest("docs", *found), "\n".join(found)),)


def _whole(module: Module) -> Piece:
    return Piece(
        "code", module.name, digest("module", canonical(module.statements)), _texts(list(module.units))
    )


def _encoded(module: Module, unit: Unit) -> bytes:
    """A statement, and where it stands among those that may change what it sees when it runs."""
    if not unit.runs_at_once:
        return unit.raw
    before = [b"%d" % unit.effects_before]
    for name in sorted({chain[0] for chain in module.uses(unit).chains}):
        bindings = module.names.get(name)
        if bindings and len(bindings.units) > 1:
            earlier = sum(other.index < unit.index for other in bindings.units)
            before.append(b"%s=%d" % (name.encode("utf-8", "surrogatepass"), earlier))
    return unit.raw + b"@" + b",".join(before)


def _imported(module: Module, item: Import) -> tuple[bytes, str]:
    """An import by where it leads, however that is written, and a text of it."""
    name = item.target.absolute(module.package) or item.target.dotted
    inner = item.target.name
    alias = "" if item.name in {inner, name} else f" as {item.name}"
    text = f"from {name} import {inner}{alias}" if inner else f"import {name}{alias}"
    return digest("import", name, inner).encode(), text


def _texts(units: list[Unit]) -> str | None:
    texts = [_text(unit) for unit in units]
    return None if None in texts else "\n".join(filter(None, texts))


def _text(unit: Unit) -> str | None:
    """The source of a statement without comments and docstrings; None if it is too long or too deep."""
    if len(unit.raw) > SHOWN * 4:
        return None
    strip(unit.node)
    try:
        text = ast.unparse(unit.node)
    except (RecursionError, ValueError):
        return None
    text = "from __future__ import annotations\n" * unit.deferred + text
    return text if len(text) <= SHOWN else None
