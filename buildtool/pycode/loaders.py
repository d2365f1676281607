"""Functions from outside that look things up by name, or load code: what is reached by them cannot be told."""

from __future__ import annotations

from collections.abc import Iterable

from buildtool.pycode.docs import ALL, TEXT


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
    *("pkgutil.iter_modules", "pkgutil.walk_packages", "pkgutil.resolve_name", "runpy.run_path"),
    *("sys.path.insert", "sys.path.append", "sys.path.extend"),
    *("sys._getframe", "inspect.currentframe", "inspect.stack"),
}
# They may, too, but what is used of the module that calls them is known.
NOTED = frozenset(
    {
        *("importlib.util.find_spec", "inspect.getfile", "inspect.getmodule", "inspect.getsourcefile"),
        *("pickle.load", "pickle.loads", "pickle.Unpickler", "dill.load", "dill.loads", "joblib.load"),
        *("cloudpickle.load", "cloudpickle.loads", "shelve.open"),
    }
)
# Where one of these is used, anything of the module may be.
OPEN = LOADERS | _builtin({"globals", "locals", "vars", "eval", "exec"}) | {"sys.modules"}


def reads_text(name: str) -> str | None:
    """What a function from outside reads of the project's texts, if it does: `docs.ALL`, `docs.TEXT`."""
    if name in {"inspect.getcomments", "inspect.getsource", "inspect.getsourcelines", "inspect.findsource"}:
        return TEXT
    if name.startswith("linecache.get"):
        return TEXT
    return ALL if name in {"help", "inspect.getdoc"} or name.startswith(("pydoc.", "doctest.")) else None
