"""Values as JSON text for programs. Knows nothing of where they come from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def render_json(value: Any) -> str:
    """One JSON document; of names that are not UTF-8 the odd bytes are written in hexadecimal."""
    return json.dumps(_safe(value), indent=2)


def _safe(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    if isinstance(value, Mapping):
        return {_safe(name): _safe(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_safe(inner) for inner in value]
    return value
