"""What code finds in this Python: its version, the system, the installed packages. Runs here and on other machines.

Needs nothing but the standard library: its text travels.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import sys
from typing import Any

_SPLIT = re.compile(r"(?P<name>.+?)-(?P<version>\d[^-]*)(-py\d.*)?\.(dist|egg)-info")


def environs(names: tuple[str, ...] = ()) -> dict[str, Any]:
    """`python`, `system`, `machine`, `packages` (name to version), and `env`: digests of these variables.

    Package names are as the packaging standard normalizes them. A variable that is not set is None.
    """
    return {
        "python": platform.python_version(),
        "system": platform.system(),
        "machine": platform.machine(),
        "packages": packages(),
        "env": {name: _digest(os.environ.get(name)) for name in names},
    }


def packages() -> dict[str, str]:
    """Name and version of each installed distribution, told by the names of its metadata: a thousandth of a second."""
    found: dict[str, str] = {}
    for folder in dict.fromkeys(os.path.realpath(entry or ".") for entry in sys.path):
        try:
            entries = os.listdir(folder)
        except OSError:
            continue
        for entry in entries:
            match = _SPLIT.fullmatch(entry)
            if match is not None:
                name = re.sub(r"[-_.]+", "-", match["name"]).lower()
                found.setdefault(name, match["version"])
    return found


def _digest(value: str | None) -> str | None:
    return None if value is None else hashlib.sha256(os.fsencode(value)).hexdigest()[:16]
