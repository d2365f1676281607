"""The door of the room: what a target is, and what it reaches.

Knows how the parts of this room are put together, and nothing of syntax trees.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Sequence

from buildtool.files import Disk
from buildtool.paths import canonical
from buildtool.pycode.finder import Finder, Found, Kind
from buildtool.pycode.links import Links
from buildtool.pycode.model import Function, Piece, Reach
from buildtool.pycode.module import Module
from buildtool.pycode.order import orders
from buildtool.pycode.packages import Packages
from buildtool.pycode.pieces import Pieces
from buildtool.pycode.resolve import NOT_FOLLOWED, Node, Resolver, What
from buildtool.pycode.source import Sources
from buildtool.pycode.targets import Targets, parse_target


class Code:
    """The code of one project, as it is now: one object is one look, and reads each file at most once.

    `root` is an absolute folder; `python_path` lists folders (relative to it, or absolute) where modules are
    looked up after it. `disk` remembers the digests of extension modules. Nothing of the user's is imported
    or run. Every method raises `TaskfileError`, without a place, for what a user can put right.
    """

    def __init__(self, root: str, python_path: Sequence[str] = (), disk: Disk | None = None) -> None:
        self._root = root
        self._folders = (root, *(os.path.normpath(os.path.join(root, folder)) for folder in python_path))
        self._disk = disk or Disk(root)
        self._sources = Sources(root)
        self._packages = Packages()
        self._graphs: dict[tuple[str, ...], _Graph] = {}
        self._functions: dict[str, Function] = {}
        self._reached: dict[str, Reach] = {}

    def function(self, target: str) -> Function:
        """What is known of `module:function` (or `module:Class.method`), as far as reading can tell."""
        found = self._functions.get(target)
        if found is None:
            found = self._functions[target] = self._graph(self._folders).targets.function(target)
        return found

    def reach(self, target: str) -> Reach:
        """All that `module:function` is built from; its own definition is one of the pieces."""
        found = self._reached.get(target)
        if found is None:
            self.function(target)
            name, chain = parse_target(target)
            graph = self._graph(self._folders)
            found = self._reached[target] = graph.reach(graph.resolver.outer(name, chain).nodes)
        return found

    def reach_script(self, path: str) -> Reach:
        """All that a script (a canonical path) is built from; the script as a whole is the piece of that name.

        Modules are looked up in the folder of the script first.
        """
        where = os.path.join(self._root, path)
        return self._graph((os.path.dirname(where), *self._folders)).script(where, self._sources)

    def looked(self) -> list[str]:
        """All that was looked at so far (canonical), there or not; a folder ends in `/`."""
        found = [*self._sources.looked(), *(path for g in self._graphs.values() for path in g.absent())]
        return list(dict.fromkeys(found))

    def _graph(self, folders: Iterable[str]) -> _Graph:
        key = tuple(dict.fromkeys(folders))
        found = self._graphs.get(key)
        if found is None:
            found = self._graphs[key] = _Graph(self._root, key, self._sources, self._packages, self._disk)
        return found


class _Graph:
    """The graph of code as seen from one row of folders."""

    def __init__(
        self, root: str, folders: tuple[str, ...], sources: Sources, packages: Packages, disk: Disk
    ) -> None:
        self._root = root
        self._paths: dict[frozenset[str], tuple[tuple[str, ...], tuple[str, ...]]] = {}
        self._orders: dict[frozenset[str], frozenset[Node]] = {}
        self.resolver = Resolver(Finder(root, folders), sources)
        self.targets = Targets(self.resolver, [canonical(folder, root) for folder in folders])
        self._links = Links(self.resolver)
        self._pieces = Pieces(self.resolver, packages, disk)

    def absent(self) -> list[str]:
        """What was not there (canonical) for any module that was looked for."""
        return [canonical(path, self._root) for path in self.resolver.finder.absent()]

    def script(self, where: str, sources: Sources) -> Reach:
        """What a script reaches."""
        source = sources.load(where)
        name = source.path
        if not self.resolver.finder.find(name).script:
            self.resolver.finder.add(Found(name, Kind.SOURCE, where, script=True))
            self.resolver.add(Module(name, "", source, script=True))
        return self.reach({Node(What.WHOLE, name)})

    def reach(self, start: Iterable[Node]) -> Reach:
        """Everything that can be got to from some nodes."""
        seen = set(start)
        pending = list(seen)
        asked = set[str]()  # modules that were asked for their classes
        while pending:
            fresh = self._links.next(pending.pop()) - seen
            seen |= fresh
            pending += fresh
            if not pending and any(node.what == What.CLASSES for node in seen):
                modules = {node.module for node in seen if node.what == What.TOP} - asked
                asked |= modules
                fresh = frozenset[Node]().union(*map(self._links.subclasses, modules)) - seen
                seen |= fresh
                pending += fresh
            if not pending:
                fresh = self._links.inner(seen) - seen
                seen |= fresh
                pending += fresh
        tops = frozenset(node.module for node in seen if node.what == What.TOP)
        seen |= self._ordered(tops)
        texts = {node.name for node in seen if node.what == What.DOCS}
        seen |= {Node(What.DOC, name, text) for name in tops for text in texts}
        whole = {node.module for node in seen if node.what == What.WHOLE}
        pieces: set[Piece] = set()
        for node in seen:
            if node.module not in whole or node.what in {What.WHOLE, What.PACKAGE, What.DOC}:
                pieces.update(self._pieces.of(node))
        files, absent = self._looked(frozenset(node.module for node in seen if node.what == What.LOOK))
        why: dict[str, str] = {}
        for node in sorted(
            (node for node in seen if node.what == What.WHY),
            key=lambda node: (NOT_FOLLOWED not in node.name, node),
        ):
            why.setdefault(node.module, node.name)
        notes = sorted({node[1:] for node in seen if node.what == What.NOTE})
        return Reach(_distinct(pieces), files, absent, tuple(sorted(why.items())), tuple(notes))

    def _ordered(self, names: frozenset[str]) -> frozenset[Node]:
        """The order in which modules do things when they are imported, where it may matter."""
        known = self._orders.get(names)
        if known is None:
            steps = {name: self._links.steps(name) for name in names}
            known = frozenset(Node(What.ORDER, name, text) for name, text in orders(steps))
            self._orders[names] = known
        return known

    def _looked(self, names: frozenset[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The files that were read in looking modules up, and the paths where there was nothing."""
        known = self._paths.get(names)
        if known is None:
            found = [self.resolver.finder.find(name) for name in names]
            files = {canonical(one.path, self._root) for one in found if one.path}
            absent = {canonical(path, self._root) for one in found for path in one.absent}
            known = self._paths[names] = (tuple(sorted(files)), tuple(sorted(absent)))
        return known


def _distinct(pieces: Collection[Piece]) -> tuple[Piece, ...]:
    """Sorted pieces; of two with one name (`pkg.f` in `pkg`, and the module `pkg.f`) the later says so."""
    ordered = sorted(pieces)
    names = {piece[:2] for piece in ordered}
    if len(names) < len(ordered):
        seen: set[tuple[str, str]] = set()
        for index, piece in enumerate(ordered):
            name = piece.name
            while (piece.kind, name) in seen:
                name += " (again)"
            seen.add((piece.kind, name))
            ordered[index] = piece._replace(name=name)
        ordered.sort()
    return tuple(ordered)
