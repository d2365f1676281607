"""Values as JSON text for programs. Knows nothing of where they come from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def render_json(value: Any, indent: int | None = 2) -> str:
    """One JSON document; of names that are not UTF-8 the odd bytes are written in hexadecimal."""
    return json.dumps(_safe(value), indent=indent)


def _safe(value: Any) -> Any:
    if isinstance(value, str):
        return value if value.isascii() else _without_surrogates(value)
    if isinstance(value, Mapping):
        return {_safe(name): _safe(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_safe(inner) for inner in value]
    return value


def _without_surrogates(text: str) -> str:
    """The text with bytes that are not UTF-8 in hexadecimal, which every JSON parser takes."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
