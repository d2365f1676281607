"""Packages from outside the project: the distributions that a top-level name belongs to, with their versions.

Looks at the names in `sys.path` and at metadata; imports nothing.
"""

from __future__ import annotations

import importlib.metadata
import os
import re
import sys
from pathlib import Path

_SUFFIXES = (".dist-info", ".egg-info")


class Packages:
    """What is installed, looked up as it is needed."""

    def __init__(self) -> None:
        self._by_name: dict[str, tuple[str, str]] | None = None
        self._owners: dict[str, list[str]] | None = None

    def distributions(self, top: str) -> tuple[tuple[str, str], ...]:
        """Name and version of each distribution that brings the top-level name, sorted; none if unknown."""
        if self._by_name is None:
            self._by_name = _scan()
        same = self._by_name.get(_normal(top))
        if same is not None:
            return (same,)
        if self._owners is None:
            self._owners = dict(importlib.metadata.packages_distributions())
        return tuple(
            sorted((name, importlib.metadata.version(name)) for name in set(self._owners.get(top, ())))
        )


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _scan() -> dict[str, tuple[str, str]]:
    """Every distribution by its normal name, as the names of metadata folders tell: cheap, no file is read."""
    found: dict[str, tuple[str, str]] = {}
    for entry in sys.path:
        try:
            names = os.listdir(entry or ".")
        except OSError:
            continue
        for name in sorted(names):
            if name.endswith(_SUFFIXES):
                project, _, version = name.rpartition(".")[0].partition("-")
                known = version.partition("-py")[0] or _version(os.path.join(entry, name))
                found.setdefault(_normal(project), (project, known))
    return found


def _version(where: str) -> str:
    """The version of an egg that does not carry it in its name."""
    try:
        return importlib.metadata.PathDistribution(Path(where)).version or "no version known"
    except Exception:  # noqa: BLE001 - whatever is wrong with somebody's metadata, it is no reason to stop
        return "no version known"
