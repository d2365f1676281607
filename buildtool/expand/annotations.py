"""Whether a value can be what an annotation says, as far as the annotation is one of the plain ones.

Kinds of values: `path`, `paths`, `text`, `table`, and the names of Python's types for numbers, lists and times.
Does not know where values come from.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # slow to import, and most tasks call nothing
    import ast

_LISTS = frozenset(
    {"list", "List", "Sequence", "Iterable", "Collection", "MutableSequence", "Container", "Reversible"}
)
_PATHS = frozenset({"Path", "PosixPath", "PurePath", "PurePosixPath", "PathLike"})
_TABLES = frozenset({"dict", "Dict", "Mapping", "MutableMapping"})
# What a value of a kind may be called; an annotation outside of `_PLAIN` may mean anything.
_NAMES = {
    "path": _PATHS,
    "paths": _LISTS,
    "text": frozenset({"str"}),
    "table": _TABLES,
    "list": _LISTS,
    "bool": frozenset({"bool", "int"}),
    "int": frozenset({"int", "float", "complex"}),
    "float": frozenset({"float", "complex"}),
    "datetime": frozenset({"datetime", "date"}),
    "date": frozenset({"date"}),
    "time": frozenset({"time"}),
}
_PLAIN = frozenset({"bytes", "set", "frozenset", "tuple", "Tuple", "Set", "None"}).union(*_NAMES.values())


def kind_of(value: Any) -> str:
    """The kind of a value that stands in a Taskfile."""
    if isinstance(value, str):
        return "text"
    if isinstance(value, dict):
        return "table"
    return type(value).__name__


def fits(annotation: str, kind: str) -> bool:
    """Whether a value of this kind may be given where the annotation stands; True where nobody can tell."""
    import ast

    try:
        tree = ast.parse(annotation.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError):
        return True
    names = list(_alternatives(tree))
    return any(name not in _PLAIN or name in _NAMES.get(kind, frozenset({name})) for name in names)


def _alternatives(node: ast.expr) -> Iterator[str]:
    """The plain names among which a union chooses; something that is none of them for all else."""
    import ast

    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            yield name
        case ast.Constant(value=None):
            yield "None"
        case ast.Constant(value=str(text)):
            try:
                yield from _alternatives(ast.parse(text, mode="eval").body)
            except SyntaxError:
                yield "?"
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            yield from _alternatives(left)
            yield from _alternatives(right)
        case ast.Subscript(value=ast.Name(id=name) | ast.Attribute(attr=name), slice=inner):
            parts = inner.elts if isinstance(inner, ast.Tuple) else [inner]
            if name == "Union":
                for part in parts:
                    yield from _alternatives(part)
            elif name == "Optional":
                yield "None"
                yield from _alternatives(parts[0])
            elif name == "Annotated":
                yield from _alternatives(parts[0])
            else:
                yield name
        case _:
            yield "?"
