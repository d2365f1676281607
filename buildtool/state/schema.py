"""The shape of the state database, and what proves that a file has it.

Paths, keys and whatever else may hold bytes that are not UTF-8 are BLOBs. Does not know where the file lies.
"""

from __future__ import annotations

import sqlite3

from buildtool.errors import StateError

APPLICATION = 0x62745F73  # `bt_s`, for `file` and for us
VERSION = 1
NO_VERSION = 1000  # from here on it is damage, not progress

STATEMENTS = (
    # what is known of files without reading them
    """CREATE TABLE files (path BLOB PRIMARY KEY, size INTEGER, mtime_ns INTEGER,
    ctime_ns INTEGER, inode INTEGER, mode INTEGER, digest, hashed_at INTEGER) WITHOUT ROWID""",
    # the last run of each job
    """CREATE TABLE jobs (key BLOB PRIMARY KEY, task BLOB, status TEXT, build INTEGER, ended REAL,
    seconds REAL, peak_memory INTEGER, executor BLOB, runs INTEGER, accepted INTEGER,
    details BLOB, code) WITHOUT ROWID""",
    # what the code of jobs consists of, and the text of its parts: many jobs share one code
    "CREATE TABLE codes (digest PRIMARY KEY, parts TEXT) WITHOUT ROWID",
    "CREATE TABLE texts (digest PRIMARY KEY, text BLOB) WITHOUT ROWID",
    # what small sources said, the latest of them
    "CREATE TABLE contents (digest UNIQUE, text BLOB)",
    # paths that jobs made; `job` is null where it is the path itself, as most often; without `position` the
    # last record of the job does not tell of the path any more
    """CREATE TABLE outputs (path BLOB PRIMARY KEY, job BLOB, position INTEGER, digest) WITHOUT ROWID""",
    "CREATE INDEX outputs_job ON outputs (job) WHERE job NOT NULL",
    # what of a content counts, for each way to look at it
    "CREATE TABLE meanings (how BLOB, content, meaning TEXT, PRIMARY KEY (how, content)) WITHOUT ROWID",
    """CREATE TABLE running (key BLOB PRIMARY KEY, task BLOB, outputs TEXT, aside TEXT, pid INTEGER,
    stamp BLOB) WITHOUT ROWID""",
    """CREATE TABLE builds (number INTEGER PRIMARY KEY, started REAL, ended REAL, command BLOB,
    exit_code INTEGER, counts TEXT, logged INTEGER)""",
    """CREATE TABLE history (build INTEGER, key BLOB, name BLOB, status TEXT, reasons TEXT, seconds REAL,
    ended REAL, PRIMARY KEY (build, key)) WITHOUT ROWID""",
    "CREATE TABLE vars (name BLOB PRIMARY KEY, value TEXT) WITHOUT ROWID",
    # outputs that are on other machines
    "CREATE TABLE away (path BLOB PRIMARY KEY, digest, size INTEGER, executor BLOB) WITHOUT ROWID",
    # clusters that were asked for, and are not known to be gone
    "CREATE TABLE clusters (name BLOB PRIMARY KEY, details TEXT) WITHOUT ROWID",
)

# Primary result codes of SQLite that say that the file is wrong; others say that the disk or the access is.
DAMAGE = {
    sqlite3.SQLITE_ERROR,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_FORMAT,
    sqlite3.SQLITE_TOOBIG,
    sqlite3.SQLITE_MISMATCH,
}


# What SQLite raises; it quotes a damaged database in its own words, which then may not be text.
FAULTS = (sqlite3.Error, UnicodeDecodeError)


class DamagedError(sqlite3.DatabaseError):
    """The file is a database, and not one that a `bt` left like that."""


def create(connection: sqlite3.Connection) -> None:
    """Make the tables in one transaction."""
    connection.execute("BEGIN IMMEDIATE")
    for statement in STATEMENTS:
        connection.execute(statement)
    connection.execute(f"PRAGMA application_id={APPLICATION}")
    connection.execute(f"PRAGMA user_version={VERSION}")
    connection.execute("COMMIT")


def look_at_header(path: str) -> None:
    """DamagedError unless the first bytes are those of a writable database, or there are none."""
    with open(path, "rb") as file:
        head = file.read(20)
    if head and (head[:16] != b"SQLite format 3\0" or head[18:] not in (b"\1\1", b"\2\2")):
        raise DamagedError("it is not a database")


def is_new(connection: sqlite3.Connection) -> bool:
    """Whether nothing was ever put in."""
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    return tables == 0 and _pragma(connection, "application_id") == 0


def prove(connection: sqlite3.Connection) -> None:
    """Raise unless the tables are ours and of this version: StateError for a newer one, else DamagedError."""
    if _pragma(connection, "application_id") != APPLICATION:
        raise DamagedError("it is not a state database of `bt`")
    version = _pragma(connection, "user_version")
    if VERSION < version < NO_VERSION:
        raise StateError(
            "the state of this project was written by a newer `bt`",
            facts=(("its version", str(version)), ("known here", f"up to {VERSION}")),
            hint="update `bt`, or run `bt clean --state` to start from nothing",
        )
    rows = connection.execute("SELECT sql FROM sqlite_master WHERE sql NOT NULL")
    if version != VERSION or {sql for (sql,) in rows} != set(STATEMENTS):
        raise DamagedError("its tables are not those of `bt`")


def tolerate(connection: sqlite3.Connection) -> sqlite3.Connection:
    """Read text with wrong bytes in it as text, so that damage is found where its meaning is known."""
    connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
    return connection


def is_damage(error: Exception) -> bool:
    """Whether the error says that the file is damaged, not that the disk or the access is in trouble."""
    code = getattr(error, "sqlite_errorcode", None)
    return code is None or code & 0xFF in DAMAGE or code == sqlite3.SQLITE_IOERR_SHORT_READ


def check(connection: sqlite3.Connection) -> None:
    """Look at every page, which takes about a second for a GB; DamagedError if one is wrong."""
    found = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
    if found != "ok":
        raise DamagedError(found.rpartition("\n")[2])


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])
