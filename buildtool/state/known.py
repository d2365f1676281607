"""Who has a record and who made what, in memory: a build asks that many times for each job.

Does not know when the database changes: whoever changes it tells.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from buildtool.state.rows import to_text


class Known:
    """`seconds` of the last run of each job with a record; `owners`, the jobs that made a path; `strays` among these.

    A stray is a path that no record tells of any more.
    """

    def __init__(self, seconds: dict[str, float], outputs: Iterable[tuple[Any, ...]]) -> None:
        self.seconds = seconds
        self.owners: dict[str, str] = {}
        self.strays: set[str] = set()
        for raw, job, position in outputs:
            path = to_text(raw)
            self.owners[path] = path if job is None else to_text(job)
            if position is None:
                self.strays.add(path)

    def recorder(self, path: str) -> str | None:
        """The job whose record tells of this path."""
        return None if path in self.strays else self.owners.get(path)

    def record(self, key: str, seconds: float, paths: Iterable[str], gone: Iterable[str]) -> None:
        """A job has a new record with these paths, which tells of these others no more."""
        self.seconds[key] = seconds
        self.strays.update(gone)
        for path in paths:
            self.owners[path] = key
            self.strays.discard(path)

    def drop(self, key: str, gone: Iterable[str]) -> None:
        """A job has lost its record, and these paths their mention."""
        self.seconds.pop(key, None)
        self.strays.update(gone)

    def disown(self, paths: Iterable[str]) -> None:
        """Nobody made these paths."""
        for path in paths:
            self.owners.pop(path, None)
            self.strays.discard(path)
