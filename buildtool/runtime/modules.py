"""Modules of the project in this process: compiled from what their files hold now, and never mixed with older ones.

Does not know what is called.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import linecache
import os
import sys
import threading
from collections.abc import Callable
from types import CodeType
from typing import Any

Signature = tuple[int, int, int, int]  # of a file: size, mtime_ns, ctime_ns, inode

loaded: dict[str, Signature] = {}  # files of the project that were imported, as they were then
_names: dict[str, str] = {}  # the same files, by the names of their modules
_path: list[str] = []  # where modules of the project are looked up
_lock = threading.Lock()  # held while that is changed


class StaleError(Exception):
    """The process has imported code that has changed since."""


class _Loader(importlib.machinery.SourceFileLoader):
    """Compiles what stands in the file: a `.pyc` is trusted by time and size, and that is not enough here."""

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        with open(path, "rb") as file:
            st = os.fstat(file.fileno())
            source = file.read()
        _names[fullname] = os.path.abspath(path)
        loaded[os.path.abspath(path)] = (st.st_size, st.st_mtime_ns, st.st_ctime_ns, st.st_ino)
        code: CodeType = self.source_to_code(source, path)
        return code


def _hook(roots: list[str]) -> Callable[[str], importlib.machinery.FileFinder]:
    """Finds modules below `roots`, but for installed packages that lie there."""
    details = (
        (importlib.machinery.ExtensionFileLoader, importlib.machinery.EXTENSION_SUFFIXES),
        (_Loader, importlib.machinery.SOURCE_SUFFIXES),
    )

    def find(directory: str) -> importlib.machinery.FileFinder:
        where = os.path.abspath(directory or ".")
        ours = any(where == root or where.startswith(root + os.sep) for root in roots)
        if not ours or "site-packages" in where or where.startswith(os.path.abspath(sys.prefix) + os.sep):
            raise ImportError(f"`{directory}` is not of the project")
        return importlib.machinery.FileFinder(where, *details)

    return find


def set_path(path: list[str]) -> None:
    """Let modules be found in these directories first; those that were found elsewhere are forgotten."""
    with _lock:
        if _path == path:
            if sys.path[: len(path)] != path:  # a job has changed it, or it was put back after one
                sys.path[:0] = path
            return
        if _path:
            forget()
            sys.path[:] = [entry for entry in sys.path if entry not in _path]
            del sys.path_hooks[0]
        _path[:] = path
        sys.path[:0] = path
        sys.path_hooks.insert(0, _hook([os.path.abspath(root) for root in path]))
        sys.path_importer_cache.clear()
        _uncover(path)


def _uncover(path: list[str]) -> None:
    """Forget what our own start has imported of the standard library and the project has a module of that name for.

    A bare Python would not have imported these, so that the project's would be found first.
    """
    bare: set[str] | None = getattr(sys, "_bare_modules", None)
    if bare is None:
        return
    for name in list(sys.modules):
        top = name.partition(".")[0]
        if top in bare or top in ("buildtool", "__main__"):
            continue
        if any(os.path.exists(os.path.join(d, top + end)) for d in path for end in (".py", "/__init__.py")):
            del sys.modules[name]


def forget() -> None:
    """Take the project's modules out of this process, so that they are imported anew."""
    # All are found before the first one goes: a namespace package asks the one above it for its path.
    for name in [name for name, module in list(sys.modules.items()) if _is_ours(module)]:
        sys.modules.pop(name, None)
    loaded.clear()
    _names.clear()
    linecache.clearcache()


def _is_ours(module: Any) -> bool:
    where = getattr(module, "__file__", None)
    if where is not None:
        return where in loaded
    try:
        parts = list(getattr(module, "__path__", None) or ())
    except KeyError:  # a namespace package whose parent is gone
        return True
    return any(part.startswith(root) for part in parts for root in _path)


def refuse_other(code: list[tuple[str, Signature]]) -> None:
    """Raise StaleError if imports would find other files by now than those that modules were imported from."""
    for path in loaded:
        if not os.path.exists(path):
            raise StaleError(path)
    for path, _ in code:
        if path in loaded:
            continue
        for order, root in enumerate(_path):
            if not path.startswith(root + os.sep):
                continue
            name = _stem(path)[len(root) + 1 :].replace(os.sep, ".")
            if any(_names.get(name, "").startswith(later + os.sep) for later in _path[order + 1 :]):
                raise StaleError(path)


def refuse_stale(code: list[tuple[str, Signature]]) -> None:
    """Raise StaleError if one of these files, or its module from another file, was imported in another state."""
    known = {_stem(path): path for path in loaded}
    for path, signature in code:
        if loaded.get(path, tuple(signature)) != tuple(signature) or known.get(_stem(path), path) != path:
            raise StaleError(path)


def _stem(path: str) -> str:
    """What `a.py` and `a/__init__.py` have in common."""
    return path.removesuffix(".py").removesuffix("/__init__")


def load(target: str) -> Callable[..., Any]:
    """The function of `module:function`, without what `@coiled.function` makes of it."""
    found = find(target)
    if (
        type(found).__module__ == "coiled.function"
    ):  # where it runs is decided: it is not to go elsewhere by itself
        found = found.function
    return found  # type: ignore[no-any-return]  # whatever it is, it is called


def find(target: str) -> Any:
    """What `module:function` stands for."""
    module, _, name = target.partition(":")
    while module not in sys.modules:
        try:
            importlib.invalidate_caches()
            break
        except RuntimeError:  # another thread imports something at this very moment
            continue
    found: Any = importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    return found
