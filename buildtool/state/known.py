"""Who has a record and who made what: a build asks that many times for each job that it looks at.

Builds that look at all jobs have it in memory; those that look at a few ask for each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Protocol

from buildtool.state.rows import to_bytes, to_text


class Knowledge(Protocol):
    """What is known of all jobs. A stray is a path that somebody made and that no record tells of any more."""

    @property
    def seconds(self) -> Mapping[str, float]:
        """How long the last run of each job with a record took, by key."""
        ...

    def owner(self, path: str) -> str | None:
        """The key of the job that made exactly this path."""
        ...

    def recorder(self, path: str) -> str | None:
        """The key of the job whose record tells of this path."""
        ...

    def record(self, key: str, seconds: float, paths: Iterable[str], gone: Iterable[str]) -> None:
        """A job has a new record with these paths, which tells of these others no more."""
        ...

    def drop(self, key: str, gone: Iterable[str]) -> None:
        """A job has lost its record, and these paths their mention."""
        ...

    def disown(self, paths: Iterable[str]) -> None:
        """Nobody made these paths."""
        ...


class Known:
    """All of it, in memory. Does not know when the database changes: whoever changes it tells."""

    def __init__(self, seconds: dict[str, float], outputs: Iterable[tuple[Any, ...]]) -> None:
        self.seconds = seconds
        self.owners: dict[str, str] = {}
        self.strays: set[str] = set()
        for raw, job, position in outputs:
            path = to_text(raw)
            self.owners[path] = path if job is None else to_text(job)
            if position is None:
                self.strays.add(path)

    def owner(self, path: str) -> str | None:
        """The key of the job that made exactly this path."""
        return self.owners.get(path)

    def recorder(self, path: str) -> str | None:
        """The key of the job whose record tells of this path."""
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


class Sought:
    """The same, looked up in the database each time: who asks for few jobs need not read all. Needs not be told."""

    def __init__(self, rows: Callable[[str, tuple[object, ...]], list[tuple[Any, ...]]]) -> None:
        self._rows = rows
        self.seconds = _Seconds(rows)

    def owner(self, path: str) -> str | None:
        """The key of the job that made exactly this path."""
        return self._maker(path, "")

    def recorder(self, path: str) -> str | None:
        """The key of the job whose record tells of this path."""
        return self._maker(path, " AND position NOT NULL")

    def record(self, key: str, seconds: float, paths: Iterable[str], gone: Iterable[str]) -> None:
        """Nothing is kept here."""

    def drop(self, key: str, gone: Iterable[str]) -> None:
        """Nothing is kept here."""

    def disown(self, paths: Iterable[str]) -> None:
        """Nothing is kept here."""

    def _maker(self, path: str, condition: str) -> str | None:
        sql = f"SELECT coalesce(job, path) FROM outputs WHERE path=?{condition}"  # noqa: S608  constants of ours
        rows = self._rows(sql, (to_bytes(path),))
        return to_text(rows[0][0]) if rows else None


class _Seconds(Mapping[str, float]):
    """How long the last run of each job took, looked up."""

    def __init__(self, rows: Callable[[str, tuple[object, ...]], list[tuple[Any, ...]]]) -> None:
        self._rows = rows

    def __getitem__(self, key: str) -> float:
        rows = self._rows("SELECT seconds FROM jobs WHERE key=?", (to_bytes(key),))
        if not rows:
            raise KeyError(key)
        return float(rows[0][0])

    def __iter__(self) -> Iterator[str]:
        return iter([to_text(key) for (key,) in self._rows("SELECT key FROM jobs", ())])

    def __len__(self) -> int:
        return int(self._rows("SELECT count(*) FROM jobs", ())[0][0])
