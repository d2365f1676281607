"""Reading the state while changing nothing on the disk, waiting for nobody and stopping nobody.

Does not know what the rows mean. A process that has the database open for writing must not use it too:
closing a file gives up all of a process's POSIX locks on it.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from typing import Any

from buildtool.state import schema, seal
from buildtool.state.directory import shown

FILE = "state.db"
SEAL = "state.sum"
SIDES = ("-wal", "-shm", "-journal")  # what SQLite puts beside a database
_BEGUN = 32  # bytes of a `-wal` in which nothing stands yet


class Snapshot:
    """A read-only database. Whatever is wrong with the file, it behaves like an empty one and says so."""

    def __init__(self, directory: str) -> None:
        self.warnings: list[str] = []
        self._path = os.path.join(directory, FILE)
        self._still = False  # opened as a file that nobody writes to
        self._copy: contextlib.ExitStack = contextlib.ExitStack()
        self._connection = self._open_anyhow()

    def rows(self, sql: str, values: tuple[object, ...] = ()) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        if self._still and self._is_busy():
            self._reopen()
        for _ in range(2):
            try:
                return self._connection.execute(sql, values).fetchall()
            except sqlite3.ProgrammingError:
                raise  # a mistake of ours
            except schema.FAULTS as error:
                cause = str(error)
                self._reopen()
        self.condemn(cause)
        return self._connection.execute(sql, values).fetchall()

    def condemn(self, cause: str) -> None:
        """From now on count as empty, since what was read makes no sense."""
        self.close()
        self._connection = self._nothing(cause)

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()
        self._copy.close()

    def _reopen(self) -> None:
        self.close()
        self._connection = self._open_anyhow()

    def _open_anyhow(self) -> sqlite3.Connection:
        for _ in range(3):  # a writer may start or end between two looks
            try:
                return self._open()
            except (*schema.FAULTS, OSError) as error:
                cause = error.strerror or "" if isinstance(error, OSError) else str(error)
        return self._nothing(cause)

    def _nothing(self, cause: str | None = None) -> sqlite3.Connection:
        if cause is not None:
            self.warnings.append(
                f"the state in `{shown(self._path)}` cannot be read and counts as empty: {cause}"
            )
        self._still = False
        connection = sqlite3.connect(":memory:", isolation_level=None)
        schema.create(connection)
        return connection

    def _open(self) -> sqlite3.Connection:
        try:
            os.stat(self._path)
        except (FileNotFoundError, NotADirectoryError):
            return self._nothing()
        if not os.path.isfile(self._path):
            raise schema.DamagedError("it is no regular file")
        self._still = not self._is_busy()
        if not self._still:
            return self._open_busy()
        rest = seal.look(self._path, os.path.join(os.path.dirname(self._path), SEAL))
        if rest is seal.Seal.BROKEN:
            raise schema.DamagedError("it is not as `bt` left it")
        schema.look_at_header(self._path)
        return self._accept(connect(self._path, "mode=ro&immutable=1"), check=rest is seal.Seal.ABSENT)

    def _open_busy(self) -> sqlite3.Connection:
        try:
            return self._accept(connect_beside_writer(self._path))
        except schema.FAULTS:
            return self._open_copy()

    def _is_busy(self) -> bool:
        """Whether somebody writes to the file, or died while he did."""
        return is_unmerged(self._path) or os.path.exists(self._path + "-journal")

    def _open_copy(self) -> sqlite3.Connection:
        """What a dead writer left can be recovered only by writing: so in a copy elsewhere."""
        import shutil  # some milliseconds, and seldom needed
        import tempfile

        self._copy.close()
        folder = self._copy.enter_context(tempfile.TemporaryDirectory(prefix="bt-"))
        target = os.path.join(folder, FILE)
        shutil.copyfile(self._path, target)
        for side in ("-wal", "-journal"):
            with contextlib.suppress(FileNotFoundError):
                shutil.copyfile(self._path + side, target + side)
        return self._accept(connect(target, "mode=rw"), check=True)

    def _accept(self, connection: sqlite3.Connection, *, check: bool = False) -> sqlite3.Connection:
        """The connection, if it leads to a state database or to one that is just being made."""
        try:
            if schema.is_new(connection):
                connection.close()
                return self._nothing()
            schema.prove(connection)
            if check:
                schema.check(connection)
        except BaseException:
            connection.close()
            raise
        return connection


def is_unmerged(path: str) -> bool:
    """Whether there are writes in the file `-wal` beside a database.

    One that was begun and holds none, of a writer who died then, has SQLite wait ten seconds for him to go on.
    """
    try:
        return os.stat(f"{path}-wal").st_size > _BEGUN
    except OSError:
        return False


def _quoted(path: str) -> str:
    """A path as SQLite reads it in a URI: these three alone mean anything else there."""
    return path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")


def connect(path: str, options: str) -> sqlite3.Connection:
    """Open a database file with the options of an SQLite URI; nothing is read yet."""
    uri = f"file:{_quoted(os.path.abspath(path))}?{options}"
    return schema.tolerate(sqlite3.connect(uri, uri=True, isolation_level=None, timeout=0))


def connect_beside_writer(path: str) -> sqlite3.Connection:
    """Open what may be written to at this moment, touching neither it nor the files beside it."""
    return connect(path, "mode=ro&readonly_shm=1")
