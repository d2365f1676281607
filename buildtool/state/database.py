"""The state database as its one writer sees it: opening, damage, transactions, closing.

Does not know what the rows mean. Opening it needs the lock of the project.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator
from typing import Any, NoReturn

from buildtool.errors import FullError, StateError
from buildtool.state import schema
from buildtool.state import seal as seals
from buildtool.state.directory import prepare, shown, unwritable
from buildtool.state.snapshot import FILE, SEAL, SIDES, connect, connect_beside_writer, is_unmerged

_FULL = (
    "free some space on the disk of the project (`bt clean --cache` and `bt clean` do, too), "
    "then run `bt build` again"
)
PATIENCE = 5000  # milliseconds that SQLite waits for a lock of somebody else's program


class Database:
    """The open database. Writes gather in one transaction until `commit`.

    What was damaged is moved aside, and `warnings` says so. To be used from one thread.
    """

    def __init__(self, directory: str, *, durable: bool = False) -> None:
        self.warnings: list[str] = []
        self._path = os.path.join(directory, FILE)
        self._seal = os.path.join(directory, SEAL)
        self._durable = durable
        self._written = False
        self._failed = False
        self._later: dict[str, list[tuple[object, ...]]] = {}
        prepare(directory)
        with self._guarded("open"):
            try:
                self._connection = self._open()
            except schema.FAULTS as error:
                if not schema.is_damage(error):
                    raise
                self._move_aside(str(error))
                self._connection = self._open()
        self._identity = _identity(self._path)

    def rows(self, sql: str, values: tuple[object, ...] = ()) -> list[tuple[Any, ...]]:
        """All rows of a query, what is not committed yet included."""
        self._catch_up()
        with self._guarded("read"):
            return self._connection.execute(sql, values).fetchall()

    def condemn(self, cause: str) -> NoReturn:
        """Have the database replaced at the next start, since what was read makes no sense: StateError."""
        self._failed = self._written = True
        seals.condemn(self._seal)
        raise StateError(
            f"the state database `{shown(self._path)}` is damaged",
            facts=(("cause", cause),),
            hint="run `bt build` again: it moves the damaged database aside and makes a new one",
        )

    def write(self, sql: str, values: tuple[object, ...] = ()) -> int:
        """Change something; the number of the row that was inserted last."""
        self._catch_up()
        with self._guarded("write"):
            self._begin()
            return self._connection.execute(sql, values).lastrowid or 0

    def write_many(self, sql: str, values: Iterable[tuple[object, ...]]) -> None:
        """Do one change for each of many rows."""
        self._catch_up()
        with self._guarded("write"):
            self._begin()
            self._connection.executemany(sql, values)

    def write_later(self, sql: str, values: tuple[object, ...]) -> None:
        """Change something before anything else is read or written.

        Those of one `sql` are made in one go and keep their order; among others the order must not matter.
        """
        self._later.setdefault(sql, []).append(values)

    def _catch_up(self) -> None:
        if not self._later:
            return
        later, self._later = self._later, {}
        with self._guarded("write"):
            self._begin()
            for sql, rows in later.items():
                self._connection.executemany(sql, rows)

    def is_in_place(self) -> bool:
        """Whether the file that was opened still is at its place, and nothing went wrong with it."""
        return not self._failed and _identity(self._path) == self._identity

    def commit(self) -> None:
        """Make everything written so far durable, as one."""
        self._catch_up()
        with self._guarded("write"):
            if not self._connection.in_transaction:
                return
            if _identity(self._path) != self._identity:
                self._failed = True
                raise StateError(
                    f"`{shown(self._path)}` was removed or replaced while `bt` was at work",
                    hint="run `bt build` again: what this build made since is not remembered",
                )
            self._connection.execute("COMMIT")

    def sync(self) -> None:
        """Wait until what was committed is on the disk, which `durable` does with each commit."""
        with self._guarded("write"):
            self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

    def close(self, *, seal: bool = True) -> None:
        """Commit, leave one file and seal it, unless others may have it open; a second call does nothing."""
        try:
            if not self._failed:
                self.commit()
        finally:
            with self._guarded("close"):
                self._connection.close()
        if seal and self._written and not self._failed and not os.path.exists(f"{self._path}-wal"):
            seals.put(self._path, self._seal)
        self._written = False
        self._failed = True

    def _begin(self) -> None:
        self._break_seal()
        if not self._connection.in_transaction:
            self._connection.execute("BEGIN IMMEDIATE")

    def _refuse_newer(self) -> None:
        """Look at the version before anything is touched; all other trouble shows up later."""
        with contextlib.suppress(*schema.FAULTS):
            connection = (
                connect_beside_writer(self._path)
                if is_unmerged(self._path)
                else connect(self._path, "mode=ro&immutable=1")
            )
            with contextlib.closing(connection):
                schema.prove(connection)

    def _open(self) -> sqlite3.Connection:
        """The database ready for use; one of FAULTS if it cannot be had or trusted."""
        there = os.path.lexists(self._path)
        if there and not os.path.isfile(self._path):
            raise schema.DamagedError("it is no regular file")
        rest = seals.look(self._path, self._seal) if there else seals.Seal.ABSENT
        if rest is seals.Seal.BROKEN:
            raise schema.DamagedError("it is not as `bt` left it")
        if there:
            self._refuse_newer()
        unclean = there and (rest is seals.Seal.ABSENT or os.path.exists(f"{self._path}-wal"))
        if unclean:
            schema.look_at_header(self._path)
        if unclean or not there:
            self._break_seal()
        connection = schema.tolerate(
            sqlite3.connect(self._path, isolation_level=None, timeout=PATIENCE / 1000)
        )
        try:
            self._prepare(connection, unclean)
        except BaseException:
            with contextlib.suppress(*schema.FAULTS):
                connection.close()
            raise
        return connection

    def _prepare(self, connection: sqlite3.Connection, unclean: bool) -> None:
        if schema.is_new(connection):
            self._break_seal()
            schema.create(connection)
        else:
            schema.prove(connection)
        if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
            self._break_seal()
            connection.execute(f"PRAGMA journal_mode={'WAL' if _can_write_ahead(self._path) else 'DELETE'}")
        connection.execute(f"PRAGMA synchronous={'FULL' if self._durable else 'NORMAL'}")
        if unclean:
            schema.check(connection)

    def _break_seal(self) -> None:
        if not self._written:
            seals.take_off(self._seal)
            self._written = True

    def _move_aside(self, cause: str) -> None:
        """Give the file and what lies beside it another name."""
        stem = f"{self._path}.bad-{time.strftime('%Y%m%d-%H%M%S')}"
        name, number = stem, 1
        while os.path.lexists(name):
            number += 1
            name = f"{stem}-{number}"
        seals.take_off(self._seal)
        os.rename(self._path, name)
        for side in SIDES:
            with contextlib.suppress(FileNotFoundError):
                os.rename(self._path + side, name + side)
        self.warnings.append(
            f"the state database was damaged ({cause}) and is now `{shown(name)}`; "
            "whatever cannot be proven without it is built again"
        )

    @contextlib.contextmanager
    def _guarded(self, action: str) -> Iterator[None]:
        """Turn trouble with the disk into a StateError; nothing is written after it."""
        try:
            yield
        except OSError as error:
            self._failed = True
            raise unwritable(error.filename or self._path, error) from error
        except sqlite3.ProgrammingError:
            raise  # a mistake of ours
        except schema.FAULTS as error:
            if action != "open" and schema.is_damage(error):
                self.condemn(str(error))
            self._failed = True
            is_full = _code(error) == sqlite3.SQLITE_FULL or self._is_out_of_space(error)
            raise (FullError if is_full else StateError)(
                f"cannot {action} the state database `{shown(self._path)}`",
                facts=(("cause", os.strerror(errno.ENOSPC).lower() if is_full else str(error)),),
                hint=_FULL if is_full else _way_out(error),
            ) from error

    def _is_out_of_space(self, error: Exception) -> bool:
        """Whether an error that SQLite tells no cause of comes from a full disk."""
        if _code(error) != sqlite3.SQLITE_IOERR:
            return False
        try:
            return os.statvfs(os.path.dirname(self._path)).f_bavail == 0
        except OSError:
            return False


def _can_write_ahead(path: str) -> bool:
    """Whether the file system has the shared memory and the locks that write-ahead needs; tried out."""
    probe = f"{path}.probe"
    try:
        with contextlib.closing(sqlite3.connect(probe, isolation_level=None)) as connection:
            mode = connection.execute("PRAGMA journal_mode=WAL").fetchone()[0]
            connection.execute("CREATE TABLE probe (value)")
        return bool(mode == "wal")
    except sqlite3.OperationalError:
        return False
    finally:
        for side in ("", *SIDES):
            with contextlib.suppress(OSError):
                os.unlink(probe + side)


def _code(error: Exception) -> int:
    """SQLite's word for what went wrong, without its details."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def _way_out(error: Exception) -> str:
    if _code(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return "another program has the database open: close it, then run `bt build` again"
    return "check the disk and the rights of the `.bt` folder, then run `bt build` again"


def _identity(path: str) -> tuple[int, int] | None:
    """Which file is at `path`: its device and inode."""
    try:
        st = os.stat(path)
    except OSError:
        return None
    return st.st_dev, st.st_ino
