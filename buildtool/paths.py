"""One spelling per path: relative to the project root, with `/`; outside the project, absolute.

A directory ends in `/`. Bytes that are not UTF-8 are carried as `surrogateescape` does. Never asks the disk.
"""

from __future__ import annotations

import posixpath

STATE = ".bt"  # the folder of the state, in the project root
ASIDE = ".bt/aside/"  # where old outputs lie while their jobs run


def canonical(path: str, root: str) -> str:
    """The one spelling of `path`, which is relative to the absolute directory `root`, or absolute.

    A trailing `/` is kept. The root itself is `./`.
    """
    directory = path.endswith("/")
    if "//" not in path and "./" not in path and path[:1] != "/" and not path.endswith("."):
        return path or "./"
    whole = posixpath.normpath(posixpath.join(root, path))
    prefix = root.rstrip("/") + "/"
    if whole.startswith("//"):
        whole = whole[1:]
    if whole == root:
        return "./"
    inner = whole.removeprefix(prefix)
    return inner + "/" if directory and inner != "/" else inner


def is_outside(path: str) -> bool:
    """Whether a canonical path lies outside the project."""
    return path.startswith("/")


def twin(path: str) -> str:
    """The path of a directory where `path` is that of a file, and the other way round: both are one place."""
    return path[:-1] if path.endswith("/") else path + "/"


def parents(path: str) -> list[str]:
    """The directories that hold a canonical path, nearest first, each with its `/`."""
    found = []
    end = path.rstrip("/").rfind("/")
    while end > 0:
        found.append(path[: end + 1])
        end = path.rfind("/", 0, end)
    return found
