"""Functions from outside that look things up by name, or load code: what is reached by them cannot be told."""

from __future__ import annotations

from collections.abc import Iterable


def _builtin(names: Iterable[str]) -> frozenset[str]:
    return frozenset(names) | {f"builtins.{name}" for name in names}


# They look a name up in what they are given.
BY_NAME = _builtin({"getattr", "setattr", "hasattr", "delattr"})
# They import what they are told.
IMPORTERS = frozenset({"importlib.import_module", "runpy.run_module", *_builtin({"__import__"})})
# They may load code that nobody sees.
LOADERS = IMPORTERS | {
    *("importlib.util.spec_from_file_location", "importlib.util.spec_from_loader", "imp.load_source"),
    *("importlib.machinery.SourceFileLoader", "importlib.reload", "importlib.metadata.entry_points"),
    *("pkgutil.iter_modules", "pkgutil.walk_packages", "runpy.run_path"),
    *("sys.path.insert", "sys.path.append", "sys.path.extend"),
    *("sys._getframe", "inspect.currentframe", "inspect.stack"),
}
# Where one of these is used, anything of the module may be.
OPEN = LOADERS | _builtin({"globals", "locals", "vars", "eval", "exec"}) | {"sys.modules"}
