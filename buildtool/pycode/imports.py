"""Import statements as values: what a name is bound to, and what is run.

Knows nothing of where modules lie.
"""

from __future__ import annotations

import ast

from buildtool.tuples import NamedTuple


class Imported(NamedTuple):
    """The thing that an import fetches, as written: a module, or a name in one."""

    module: str  # "" for `from . import x`
    level: int = 0  # leading dots
    name: str | None = None  # of `from module import name`; "*" for all

    @property
    def dotted(self) -> str:
        """As one would write it to use it, such as `functools.cache`."""
        return ".".join(part for part in ("." * self.level + self.module, self.name) if part)

    def absolute(self, package: str) -> str | None:
        """The dotted name of the module, seen from a package; None if the dots lead out of the top."""
        if not self.level:
            return self.module or None
        parts = package.split(".") if package else []
        if self.level > len(parts):
            return None
        return ".".join([*parts[: len(parts) - self.level + 1], *filter(None, [self.module])])


class Import(NamedTuple):
    """One name that an import statement binds."""

    name: str
    target: Imported  # what the name stands for: of `import a.b`, `a`
    runs: Imported  # what is executed: of `import a.b`, `a.b`
    line: int

    @property
    def executed(self) -> Imported:
        """What must be there for the import to succeed."""
        return self.runs._replace(name=None) if self.name == "*" else self.runs


def parse_import(node: ast.Import | ast.ImportFrom) -> list[Import]:
    """The names that a statement binds; a star import binds `*`."""
    if isinstance(node, ast.ImportFrom):
        found = []
        for alias in node.names:
            target = Imported(node.module or "", node.level or 0, alias.name)
            found.append(Import(alias.asname or alias.name, target, target, node.lineno))
        return found
    found = []
    for alias in node.names:
        runs = Imported(alias.name)
        top = alias.name.partition(".")[0]
        target = runs if alias.asname else Imported(top)
        found.append(Import(alias.asname or top, target, runs, node.lineno))
    return found
