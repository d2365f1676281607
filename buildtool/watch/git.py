"""Whether git is at work in the project's repository: what it has half done is not worth building.

Does not know what changed.
"""

from __future__ import annotations

import contextlib
import os


class Repository:
    """The repository that a directory lies in, if it does."""

    def __init__(self, directory: str) -> None:
        self._folder = _git_folder(directory)

    def busy_with(self) -> tuple[str, int, int] | None:
        """The lock of git's index, or a rebase that has not stopped for somebody: its path, inode and time."""
        if self._folder is None:
            return None
        lock = os.path.join(self._folder, "index.lock")
        rebase = os.path.join(self._folder, "rebase-merge")
        for path in (lock, rebase):
            # It is written when a rebase stops, and git waits for a person.
            if path == rebase and os.path.lexists(os.path.join(self._folder, "REBASE_HEAD")):
                continue
            with contextlib.suppress(OSError):
                st = os.lstat(path)
                return path, st.st_ino, st.st_ctime_ns if path == lock else 0
        return None


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
