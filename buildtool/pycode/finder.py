"""Where modules lie: a dotted name to a file of the project, or to the world outside.

Looks at the disk as Python's import would, with the project first, and remembers what was not there. Imports
nothing (a finder of an editable install may be asked for a top-level name). Does not read source files.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from enum import Enum

from buildtool.tuples import NamedTuple

_COMPILED = (*importlib.machinery.EXTENSION_SUFFIXES, ".pyc")


class Kind(Enum):
    """What a name turned out to be."""

    SOURCE = "a file of Python in the project"
    COMPILED = "an extension module in the project"
    NAMESPACE = "a folder without `__init__.py`"
    OUTSIDE = "installed"
    STANDARD = "part of Python"
    MISSING = "nowhere"


class Found(NamedTuple):
    """The result of one look-up. All paths are absolute."""

    name: str
    kind: Kind
    path: str = ""  # the file of a SOURCE or COMPILED module
    folders: tuple[str, ...] | None = None  # where submodules lie; None: it is no package
    absent: tuple[str, ...] = ()  # not there, and would be found instead; a folder ends in `/`
    also_outside: bool = False  # a NAMESPACE of which more is installed
    script: bool = False  # it was not looked for by name

    @property
    def local(self) -> bool:
        """Whether it is part of the project."""
        return self.kind in {Kind.SOURCE, Kind.COMPILED, Kind.NAMESPACE}


class Finder:
    """Looks modules up in `folders`, then in the rest of the project, then outside."""

    def __init__(self, root: str, folders: Sequence[str]) -> None:
        self.root = root
        self.folders = tuple(dict.fromkeys(folders))
        self._known: dict[str, Found] = {}
        self._later: tuple[str, ...] | None = None  # entries of `sys.path` that lie in the project

    def add(self, found: Found) -> None:
        """Make a module known that no look-up finds: a script."""
        self._known[found.name] = found

    def find(self, name: str) -> Found:
        """The module of that dotted name."""
        found = self._known.get(name)
        if found is None:
            head, _, last = name.rpartition(".")
            if not last or {"/", "\0"} & set(name):  # text that was never meant to be a module
                found = Found(name, Kind.MISSING)
            else:
                found = self._find_below(self.find(head), name, last) if head else self._find_top(name)
            self._known[name] = found
        return found

    def absent(self) -> Iterator[str]:
        """What was not there (absolute), and would have been found instead of what was; a folder ends in `/`."""
        for found in self._known.values():
            yield from found.absent

    def names(self, package: str) -> list[str]:
        """The dotted names of the modules right below a package of the project (`""`: at the top), for a hint."""
        folders = self.find(package).folders or () if package else self.folders
        prefix = package and package + "."
        return sorted({prefix + name for folder in folders for name in _modules(folder)})

    def _find_below(self, parent: Found, name: str, last: str) -> Found:
        if parent.kind in {Kind.OUTSIDE, Kind.STANDARD}:
            return Found(name, parent.kind)
        if parent.folders is None:
            return Found(name, Kind.MISSING)
        found = _search(name, last, parent.folders)
        if found.kind is Kind.MISSING and parent.also_outside:
            return found._replace(kind=Kind.OUTSIDE)
        return found

    def _find_top(self, name: str) -> Found:
        if name in sys.builtin_module_names:
            return Found(name, Kind.STANDARD)
        found = _search(name, name, self.folders)
        if found.kind in {Kind.SOURCE, Kind.COMPILED}:
            return found
        if name in sys.stdlib_module_names:
            return Found(name, Kind.STANDARD, absent=_sources_only(found.absent))
        if self._later is None:
            self._later = tuple(_project_entries(self.root, self.folders))
        later = _search(name, name, self._later)
        absent = (*found.absent, *later.absent)
        if later.kind in {Kind.SOURCE, Kind.COMPILED}:
            return later._replace(absent=absent)
        portions = (*(found.folders or ()), *(later.folders or ()))
        kind, origin, elsewhere = _installed(name, self.root)
        if kind is Kind.SOURCE:  # an editable install by a hook
            return Found(name, kind, origin, elsewhere, _files_only(absent))
        if kind is Kind.OUTSIDE:
            return Found(name, kind, absent=_sources_only(absent))
        if portions or kind is Kind.NAMESPACE:
            folders = tuple(dict.fromkeys((*portions, *(elsewhere or ()))))
            local = bool(portions)
            found = Found(name, Kind.NAMESPACE if local else Kind.OUTSIDE, "", folders, _files_only(absent))
            return found._replace(also_outside=kind is Kind.NAMESPACE)
        return Found(name, Kind.MISSING, absent=absent)


def _sources_only(absent: Sequence[str]) -> tuple[str, ...]:
    """What a person may write to stand before an installed module; nobody compiles one by that name."""
    return tuple(path for path in absent if path.endswith(".py"))


def _files_only(absent: Sequence[str]) -> tuple[str, ...]:
    return tuple(path for path in absent if not path.endswith("/"))


def _search(name: str, last: str, folders: Sequence[str]) -> Found:
    """What import would find in a row of folders: a package before a module, compiled before source."""
    absent: list[str] = []
    portions: list[str] = []
    for folder in folders:
        base = os.path.join(folder, last)
        if os.path.isdir(base):
            for path in _candidates(os.path.join(base, "__init__")):
                if os.path.isfile(path):
                    return Found(name, _kind(path), path, (base,), tuple(absent))
                absent.append(path)
            portions.append(base)
        else:
            absent += (base + "/__init__.py", base + "/")
        for path in _candidates(base):
            if os.path.isfile(path):
                return Found(name, _kind(path), path, None, _files_only(absent))
            absent.append(path)
    if portions:
        return Found(name, Kind.NAMESPACE, "", tuple(portions), _files_only(absent))
    return Found(name, Kind.MISSING, absent=tuple(absent))


def _candidates(base: str) -> Iterator[str]:
    for suffix in _COMPILED[:-1]:
        yield base + suffix
    yield base + ".py"
    yield base + ".pyc"


def _kind(path: str) -> Kind:
    return Kind.SOURCE if path.endswith(".py") else Kind.COMPILED


def _project_entries(root: str, known: Sequence[str]) -> Iterator[str]:
    """The entries of `sys.path` that are the project's own: sources that were installed to be edited."""
    for entry in sys.path:
        where = os.path.abspath(entry)
        if where not in known and _is_own(where, root):
            yield where


def _is_own(where: str, root: str) -> bool:
    """Whether a path lies in the project and is neither Python's own nor that of a virtual environment."""
    inner = _inside(where, root)
    if inner is None or {"site-packages", "dist-packages"} & set(inner.split(os.sep)):
        return False
    foreign = [sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")]
    foreign += [prefix for prefix in (sys.prefix, sys.base_prefix) if _inside(prefix, root)]
    return all(_inside(where, folder) is None for folder in foreign)


def _inside(path: str, folder: str) -> str | None:
    """The part of `path` below `folder`, with a `/` before it; None if it lies elsewhere."""
    base = folder.rstrip("/")
    return path[len(base) :] if path == base or path.startswith(base + "/") else None


def _installed(name: str, root: str) -> tuple[Kind, str, tuple[str, ...] | None]:
    """What Python itself says of a top-level name: its kind, file and folders."""
    if name == "__main__":
        return Kind.MISSING, "", None
    try:
        spec = importlib.util.find_spec(name)
    except Exception:  # noqa: BLE001 - a finder that somebody installed may raise anything
        spec = None
    if spec is None:
        return Kind.MISSING, "", None
    folders = tuple(spec.submodule_search_locations) if spec.submodule_search_locations is not None else None
    if spec.origin is None or spec.origin == "namespace":
        return Kind.NAMESPACE, "", folders
    if spec.origin.endswith(".py") and _is_own(os.path.abspath(spec.origin), root):
        return Kind.SOURCE, os.path.abspath(spec.origin), folders
    return Kind.OUTSIDE, "", None


def _modules(folder: str) -> Iterator[str]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries:
        name, dot, suffix = entry.name.partition(".")
        if name.isidentifier() and ((dot + suffix) in {".py", *_COMPILED} or (not dot and entry.is_dir())):
            yield name
