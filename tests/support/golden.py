"""Screens that are kept as files: what is shown must be what is kept, to the last blank."""

from __future__ import annotations

import os
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "golden"


def golden(name: str, text: str) -> None:
    """The text is that of `golden/NAME.txt`; with `BT_GOLDEN=write` in the environment it becomes so."""
    path = FOLDER / f"{name}.txt"
    if os.environ.get("BT_GOLDEN") == "write":
        path.write_text(text)
    assert text == path.read_text(), (
        f"if this is what should be shown: BT_GOLDEN=write, and look at {path.name}"
    )
