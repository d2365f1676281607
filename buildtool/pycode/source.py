"""Files to syntax trees: each file is read and parsed at most once.

Knows nothing of modules. A text that no Python can read is a clear error, whatever its bytes are.
"""

from __future__ import annotations

import ast
import warnings

from buildtool.errors import TaskfileError
from buildtool.paths import canonical
from buildtool.text import cause_of, printable
from buildtool.tuples import NamedTuple


class Source(NamedTuple):
    """One file of Python."""

    path: str  # canonical
    raw: bytes
    tree: ast.Module | None  # None: nested too deeply to be parsed (Python could not run it either)


class Sources:
    """The source files of a project, parsed as they are asked for."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._known: dict[str, Source | TaskfileError] = {}

    def load(self, where: str) -> Source:
        """The file at an absolute path; a `TaskfileError` if it cannot be read or is no Python."""
        found = self._known.get(where)
        if found is None:
            path = canonical(where, self._root)
            try:
                found = _parse(path, _read(path, where))
            except TaskfileError as error:
                found = error
            self._known[where] = found
        if isinstance(found, TaskfileError):
            raise TaskfileError(found.summary, facts=found.facts, hint=found.hint)
        return found

    def looked(self) -> list[str]:
        """The files that were asked for (canonical)."""
        return [canonical(where, self._root) for where in self._known]


def _read(path: str, where: str) -> bytes:
    try:
        with open(where, "rb") as file:
            return file.read()
    except OSError as error:
        cause = cause_of(error)
        gone = isinstance(error, FileNotFoundError)
        hint = "paths begin at the folder of the Taskfile: correct it, or write the file" if gone else None
        raise TaskfileError(f"cannot read `{printable(path)}`: {cause}", hint=hint) from error


def _parse(path: str, raw: bytes) -> Source:
    try:
        return Source(path, raw, parse(raw))
    except (RecursionError, MemoryError):
        return Source(path, raw, None)
    except SyntaxError as error:
        what = printable((error.msg or "invalid syntax").splitlines()[0])
        line, text = error.lineno or 0, (error.text or "").strip()
    except (ValueError, LookupError) as error:  # a NUL, a codec that is none for text
        what, line, text = printable(str(error)), 0, ""
    place = f"line {line} of `{printable(path)}`" if line else f"`{printable(path)}`"
    facts = (("line", printable(text[:200])),) if text else ()
    raise TaskfileError(
        f"{place} is not valid Python: {what}",
        facts=(("file", printable(path) + (f":{line}" if line else "")), *facts),
        hint="repair the file; the code that a job runs is read before it runs",
    )


def parse(text: bytes | str) -> ast.Module:
    """The syntax tree of a text, without the warnings that Python has about it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(text)
