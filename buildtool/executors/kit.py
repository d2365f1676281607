"""What travels to machines that have neither the project nor `buildtool`: our runtime and its modules, as zips.

A zip is named by what is in it. Does not know how it gets there.
"""

from __future__ import annotations

import io
import os
import time
import zipfile
from collections.abc import Iterable, Iterator

import xxhash

from buildtool.tuples import NamedTuple

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_RUNTIME = "buildtool/runtime/remote.py"
_FIXED = (1980, 1, 1, 0, 0, 0)  # the time of every file in a zip: the same content is the same zip
_PATIENCE = 0.5  # seconds for which the look at the project's files counts as new
_LEFT_OUT = {"__pycache__", "node_modules", "site-packages"}


def _boot(file: str) -> str:
    """An expression that gives a module, made from a file of the zip `kit` where `name` is not there yet."""
    return (
        "(lambda sys, types, io, zipfile: sys.modules.get(name) or (lambda m: (exec(compile(zipfile.ZipFile("
        f"io.BytesIO(kit)).read({file!r}), name, 'exec'), m.__dict__), sys.modules.setdefault(name, m))[1])("
        "types.ModuleType(name)))(*map(__import__, ('sys', 'types', 'io', 'zipfile')))"
    )


BOOT = _boot(_RUNTIME)
ENVIRONS = _boot("buildtool/runtime/environs.py")


class Zip(NamedTuple):
    """A zip and its name."""

    name: str
    data: bytes


def runtime() -> Zip:
    """The rooms of `buildtool` that a job needs."""
    folder = os.path.join(_PACKAGE, "runtime")
    files = ["__init__.py", *(f"runtime/{name}" for name in os.listdir(folder) if name.endswith(".py"))]
    return _zipped((f"buildtool/{name}", os.path.join(_PACKAGE, name)) for name in sorted(files))


class Modules:
    """The Python files of a project, as they are now."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._looked = -_PATIENCE
        self._signatures: list[tuple[str, int, int, int]] = []
        self._zip = Zip("", b"")

    def zip(self) -> Zip:
        """All `.py` files below the root but those of environments, of installed packages and below hidden folders."""
        if time.monotonic() - self._looked >= _PATIENCE:
            found = sorted(self._look())
            if found != self._signatures or not self._zip.name:
                self._zip = _zipped((path, os.path.join(self._root, path)) for path, *_ in found)
                self._signatures = found
            self._looked = time.monotonic()
        return self._zip

    def _look(self) -> Iterator[tuple[str, int, int, int]]:
        for where, folders, files in os.walk(self._root):
            folders[:] = [name for name in folders if not _is_foreign(where, name)]
            for name in files:
                if name.endswith(".py"):
                    path = os.path.join(where, name)
                    try:
                        st = os.stat(path)
                    except OSError:
                        continue
                    yield os.path.relpath(path, self._root), st.st_size, st.st_mtime_ns, st.st_ino


def _is_foreign(where: str, name: str) -> bool:
    """Whether a folder holds what is not the project's own."""
    hidden = name.startswith(".") or name in _LEFT_OUT
    return hidden or os.path.exists(os.path.join(where, name, "pyvenv.cfg"))


def _zipped(files: Iterable[tuple[str, str]]) -> Zip:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as target:
        for name, path in files:
            try:
                with open(path, "rb") as file:
                    data = file.read()
            except FileNotFoundError:  # gone since
                continue
            target.writestr(zipfile.ZipInfo(name.replace(os.sep, "/"), _FIXED), data, zipfile.ZIP_DEFLATED)
    data = packed.getvalue()
    return Zip(xxhash.xxh3_128_hexdigest(data), data)
