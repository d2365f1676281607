"""Where the Taskfile lies. Does not read it; imports nothing that costs time."""

from __future__ import annotations

import os

FILE_NAME = "Taskfile.toml"


def find_taskfile(start: str) -> str | None:
    """The nearest `Taskfile.toml` in the absolute directory `start` or above it, as an absolute path."""
    folder = start
    while True:
        path = os.path.join(folder, FILE_NAME)
        if os.path.lexists(path):
            return path
        above = os.path.dirname(folder)
        if above == folder:
            return None
        folder = above
