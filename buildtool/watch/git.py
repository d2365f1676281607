"""Whether git is at work in the project's repository: what it has half done is not worth building.

Does not know what changed.
"""

from __future__ import annotations

import os


class Repository:
    """The repository that a directory lies in, if it does."""

    def __init__(self, directory: str) -> None:
        self._folder = _git_folder(directory)

    def is_busy(self) -> bool:
        """Whether git holds the lock of its index, or goes through a rebase that has not stopped for somebody."""
        if self._folder is None:
            return False
        if os.path.lexists(os.path.join(self._folder, "index.lock")):
            return True
        rebase = os.path.join(self._folder, "rebase-merge")
        # It is written when a rebase stops, and git waits for a person.
        return os.path.isdir(rebase) and not os.path.lexists(os.path.join(self._folder, "REBASE_HEAD"))


def _git_folder(directory: str) -> str | None:
    """The directory in which git keeps the index of a work tree; of a linked one, a file says where that is."""
    while True:
        path = os.path.join(directory, ".git")
        if os.path.isdir(path):
            return path
        if os.path.isfile(path):
            try:
                with open(path, encoding="utf-8") as file:
                    words = file.read().strip()
            except (OSError, UnicodeDecodeError):
                return None
            return os.path.join(directory, words.removeprefix("gitdir: "))
        above = os.path.dirname(directory)
        if above == directory:
            return None
        directory = above
