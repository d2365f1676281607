"""What is known from earlier builds, in the words of `records`: `StateReader` looks, `State` also writes.

Does not know how verdicts are reached, nor what the graph looks like today: so whether a recorded output is
an orphan is for others to say.
"""
# ruff: noqa: S608 -- SQL is put together from constants of ours alone; values are always bound

from __future__ import annotations

import gc
import json
import os
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, Protocol, Self, TypeVar

from buildtool.fingerprint import Item
from buildtool.paths import ASIDE
from buildtool.state import journal
from buildtool.state.database import Database
from buildtool.state.journal import Journal
from buildtool.state.known import Knowledge, Known, Sought
from buildtool.state.records import Away, BuildRecord, ClusterRecord, HistoryRecord, JobRecord, Left, Running
from buildtool.state.rows import (
    BUILD,
    HISTORY,
    JOB,
    RUNNING,
    STAMP,
    UNREADABLE,
    Stamp,
    away_row,
    cluster_key,
    cluster_row,
    code_row,
    history_row,
    job_row,
    left_row,
    pack_digest,
    pack_text,
    running_row,
    stamp_rows,
    text_row,
    to_away,
    to_build,
    to_bytes,
    to_cluster,
    to_history,
    to_job,
    to_json,
    to_left,
    to_parts,
    to_running,
    to_seconds,
    to_stamps,
    to_text,
    to_texts,
    unpack_digest,
)
from buildtool.state.snapshot import Snapshot
from buildtool.text import printable
from buildtool.tuples import NamedTuple

BUILDS_KEPT = 1000
CODES_KEPT = 200  # versions of code that are kept without a look at who needs them
CONTENTS_KEPT = 4000  # texts of sources
_MANY = 500  # values in one query
HISTORY_KEPT = 500_000  # entries; the last build keeps all of its own
MAKER = "coalesce(job, path)"  # of an output: the key of its job
MADE_BY = "(job=? OR (path=? AND job IS NULL))"  # of outputs: those of one job
_MARK = "journal"  # in `vars`: which journal tells of running jobs beside the table
_SETTLED = "settled"  # in `vars`: what it may tell of although it was settled in the last transactions
_LEFT = "left"  # in `vars`: what the journal of a dead writer says beyond what is running
RUN = "run"  # in `vars`: the mark of the processes of the last build
PLACE = "place"  # and what tells this state folder from a copy of it, before the first NUL
_PUT_JOB = f"INSERT OR REPLACE INTO jobs ({JOB}) VALUES ({', '.join('?' * len(JOB.split(',')))})"
_PUT_RUNNING = (
    f"INSERT OR REPLACE INTO running ({RUNNING}) VALUES ({', '.join('?' * len(RUNNING.split(',')))})"
)
_PUT_HISTORY = (
    f"INSERT OR REPLACE INTO history ({HISTORY}) VALUES ({', '.join('?' * len(HISTORY.split(',')))})"
)
_PUT_VALUE = "INSERT OR REPLACE INTO vars VALUES (?, ?)"
_PUT_OUTPUT = "INSERT OR REPLACE INTO outputs (path, job, position, digest) VALUES (?, ?, ?, ?)"

Rows = list[tuple[Any, ...]]
T = TypeVar("T")


class Stray(NamedTuple):
    """A path that a job made once and that no record tells of any more."""

    job: str  # the key of the job that made it
    digest: str


class Source(Protocol):
    """Where rows come from."""

    warnings: list[str]

    def rows(self, sql: str, values: tuple[object, ...] = ()) -> list[tuple[Any, ...]]:
        """All rows of a query."""

    def condemn(self, cause: str) -> None:
        """What was read makes no sense: be empty from now on, or raise."""

    def close(self) -> None:
        """Let go of the file."""


class StateReader:
    """What earlier builds left, read without changing anything on the disk."""

    def __init__(self, source: Source, directory: str) -> None:
        self._source = source
        self._directory = directory
        self._knowledge: Knowledge | None = None
        self._ahead: dict[
            bytes, tuple[tuple[Any, ...], Rows]
        ] = {}  # records nobody asked for yet, by raw key
        self._interrupted: frozenset[str] = frozenset()

    @classmethod
    def open(cls, directory: str) -> StateReader:
        """Look into the state folder `directory`; without one, or with a damaged one, everything is empty."""
        return StateReader(Snapshot(directory), directory)

    @property
    def warnings(self) -> list[str]:
        """What a person should know about the state itself, such as damage."""
        return self._source.warnings

    def close(self) -> None:
        """Let go of the file."""
        self._source.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def stamps(self, paths: Iterable[str] | None = None) -> dict[str, Stamp]:
        """All that is known of files, or of these, without reading them."""
        sql = f"SELECT {STAMP} FROM files"
        if paths is not None:
            each = (self._read(f"{sql} WHERE path=?", to_stamps, raw) for (raw,) in _raw(paths))
            return {path: stamp for found in each for path, stamp in found.items()}
        with _no_collection():
            return self._read(sql, to_stamps)

    def digests_below(self, folder: str) -> dict[str, str]:
        """What the files in a directory (its path ends in `/`) held when they were read last."""
        sql = f"SELECT {STAMP} FROM files WHERE path>? AND path<?"
        found = self._read(
            sql, to_stamps, to_bytes(folder), to_bytes(folder[:-1] + "0")
        )  # which is next to `/`
        return {path: stamp[5] for path, stamp in found.items()}

    def job(self, key: str) -> JobRecord | None:
        """The last run of a job; None if it never ran, or if its record cannot be read."""
        if key not in self._known().seconds:
            return None
        raw = to_bytes(key)
        found = self._ahead.pop(raw, None) or self._stored(raw)
        if found is None:
            return None
        try:
            record = to_job(*found)
            return record._replace(status="interrupted") if key in self._interrupted else record
        except UNREADABLE:
            self.warnings.append(f"the record of `{printable(key)}` is damaged and does not count")
            return None

    def take_as_interrupted(self, keys: Iterable[str]) -> None:
        """From now on the last runs of these jobs count as cut short."""
        self._interrupted = frozenset(keys)

    def read_ahead(self) -> None:
        """Read all records at once, since many are going to be asked for; each is kept until it is."""
        outputs: dict[bytes, Rows] = {}
        with _no_collection():
            made = f"SELECT {MAKER}, path, digest FROM outputs WHERE position NOT NULL ORDER BY position"
            for key, path, digest in self._source.rows(made):
                outputs.setdefault(key, []).append((path, digest))
            rows = self._source.rows(f"SELECT {JOB} FROM jobs")
            self._ahead = {row[0]: (row, outputs.get(row[0], [])) for row in rows}

    def _stored(self, raw: bytes) -> tuple[tuple[Any, ...], Rows] | None:
        """The row of a job, and those of its outputs."""
        rows = self._source.rows(f"SELECT {JOB} FROM jobs WHERE key=?", (raw,))
        if not rows:
            return None
        outputs = f"SELECT path, digest FROM outputs WHERE {MADE_BY} AND position NOT NULL ORDER BY position"
        return rows[0], self._source.rows(outputs, (raw, raw))

    def code(self, digest: str) -> tuple[Item, ...]:
        """The parts of a job's code, by the digest of the whole; nothing if it is not known."""
        parts = self._read(
            "SELECT parts FROM codes WHERE digest=?",
            lambda rows: to_parts(rows[0][0], {}) if rows else (),
            pack_digest(digest),
        )
        found: dict[str, str] = {}
        for at in range(0, len(parts), _MANY):
            wanted = [pack_digest(part.digest) for part in parts[at : at + _MANY] if part.digest is not None]
            marks = ", ".join("?" * len(wanted))
            found |= self._read(
                f"SELECT digest, text FROM texts WHERE digest IN ({marks})", to_texts, *wanted
            )
        return tuple(part._replace(text=found.get(part.digest or "")) for part in parts)

    def content(self, digest: str) -> str | None:
        """What a source with this digest said, if that was kept."""
        return self._read(
            "SELECT text FROM contents WHERE digest=?",
            lambda rows: zlib.decompress(rows[0][0]).decode("utf-8") if rows else None,
            pack_digest(digest),
        )

    def kept_contents(self) -> set[str]:
        """The digests of the sources whose texts are kept."""
        return self._read(
            "SELECT digest FROM contents", lambda rows: {unpack_digest(digest) for (digest,) in rows}
        )

    def keys(self) -> list[str]:
        """The keys of all jobs that have a record."""
        return self._read("SELECT key FROM jobs ORDER BY key", lambda rows: [to_text(key) for (key,) in rows])

    def durations(self) -> Mapping[str, float]:
        """How many seconds each job took when it last ran, by key; as it is at any moment."""
        return MappingProxyType(self._known().seconds)

    def usual_durations(self) -> dict[str, float]:
        """How many seconds the jobs of each task took when they last ran, on average; of every task that ran."""
        return self._read(
            "SELECT task, avg(seconds) FROM jobs GROUP BY task",
            lambda rows: {to_text(task): float(seconds) for task, seconds in rows},
        )

    def owner(self, path: str) -> str | None:
        """The key of the job that made exactly this path, even if no record tells of it any more."""
        return self._known().owner(path)

    def is_empty(self) -> bool:
        """Whether no job ever left anything."""
        known = self._known()
        return isinstance(known, Known) and not known.seconds and not known.owners

    def owned(self) -> dict[str, str]:
        """Every path that a job made, strays included, with the key of that job; as it is now."""
        known = self._known()
        return dict(known.owners if isinstance(known, Known) else self._load().owners)

    def recorded(self, path: str) -> str | None:
        """The digest of what the job that made a path left there; None: nobody did."""
        return self._read(
            "SELECT digest FROM outputs WHERE path=?",
            lambda rows: unpack_digest(rows[0][0]) if rows else None,
            to_bytes(path),
        )

    def strays(self) -> dict[str, Stray]:
        """The paths among `owned` that no record tells of any more.

        Their job made other outputs in its last run, failed in it, or gave way to another job.
        """
        return self._read(
            f"SELECT path, {MAKER}, digest FROM outputs WHERE position IS NULL",
            lambda rows: {
                to_text(path): Stray(to_text(job), unpack_digest(made)) for path, job, made in rows
            },
        )

    def running(self) -> list[Running]:
        """The jobs that were started and have not been settled."""
        return _by_key(self._noted(), self._journaled())

    def _noted(self) -> list[Running]:
        """Those that stand in the table."""
        rows = f"SELECT {RUNNING} FROM running"
        return self._read(rows, lambda found: [to_running(row) for row in found])

    def _journaled(self) -> list[Running]:
        """Those of a journal that a writer has not closed."""
        mark = self.value(_MARK)
        return [] if mark is None else journal.read(self._directory, mark, self._told_settled())

    def _told_settled(self) -> set[int]:
        """What a journal may tell of although it was settled in the last transaction."""
        return self._read(
            "SELECT value FROM vars WHERE name=?",
            lambda rows: {*json.loads(rows[0][0])} if rows else set(),
            to_bytes(_SETTLED),
        )

    def builds(self, limit: int | None = None) -> list[BuildRecord]:
        """Builds, the latest first."""
        return self._read(
            f"SELECT {BUILD} FROM builds ORDER BY number DESC LIMIT ?",
            lambda rows: [to_build(row) for row in rows],
            _limit(limit),
        )

    def history(
        self, *, build: int | None = None, key: str | None = None, limit: int | None = None
    ) -> list[HistoryRecord]:
        """What jobs did, the latest first: in one build, of one job, or both."""
        wanted: dict[str, object] = {}
        if build is not None:
            wanted["build=?"] = build
        if key is not None:
            wanted["key=?"] = to_bytes(key)
        return self._read(
            f"SELECT {HISTORY} FROM history WHERE {' AND '.join(wanted) or '1'}"
            " ORDER BY build DESC, ended DESC, key LIMIT ?",
            lambda rows: [to_history(row) for row in rows],
            *wanted.values(),
            _limit(limit),
        )

    def meaning(self, how: str, content: str) -> str | None:
        """What of a content counts, if it was worked out before (see `meaning`)."""
        return self._read(
            "SELECT meaning FROM meanings WHERE how=? AND content=?",
            lambda rows: str(rows[0][0]) if rows else None,
            to_bytes(how),
            content,
        )

    def away(self) -> dict[str, Away]:
        """The outputs that other machines have, and this one has not, by path."""
        rows = "SELECT path, digest, size, executor FROM away"
        return self._read(rows, lambda found: {away.path: away for away in map(to_away, found)})

    def clusters(self) -> list[ClusterRecord]:
        """The clusters that were asked for and are not known to be gone, by name."""
        return self._read(
            "SELECT name, details FROM clusters ORDER BY name", lambda rows: [to_cluster(row) for row in rows]
        )

    def value(self, name: str) -> str | None:
        """What `set_value` kept under this name."""
        return self._read(
            "SELECT value FROM vars WHERE name=?",
            lambda rows: str(json.loads(rows[0][0])) if rows else None,
            to_bytes(name),
        )

    def _known(self) -> Knowledge:
        """Read once; who writes keeps it right."""
        if self._knowledge is None:
            self._knowledge = self._load()
        return self._knowledge

    def _load(self) -> Known:
        """All that is known of all jobs, in memory."""
        with _no_collection():
            seconds = self._read("SELECT key, seconds FROM jobs", to_seconds)
            return self._read("SELECT path, job, position FROM outputs", lambda rows: Known(seconds, rows))

    def _read(self, sql: str, convert: Callable[[Rows], T], *values: object) -> T:
        """What the rows mean; if they make no sense, the database is damaged."""
        try:
            return convert(self._source.rows(sql, values))
        except UNREADABLE as error:
            self._source.condemn(f"{type(error).__name__}: {error}")
            return convert([])

    def inside(self, folder: str) -> dict[str, str] | None:
        """The files that `bt` made in an output directory which `keep` left in place, with their digests."""
        text = self.value(f"inside {folder}")
        return None if text in (None, "") else dict(json.loads(str(text)))


class State(StateReader):
    """The state of a project, for the one process that holds its lock.

    Writes gather until `commit`, which makes them durable together; what was written is read at once.
    """

    def __init__(self, database: Database, directory: str, *, durable: bool = False) -> None:
        super().__init__(database, directory)
        self._database = database
        self._durable = durable
        self._journal: Journal | None = None
        self._settled: list[int] = []  # of the journal, since the last commit
        self._told: list[int] = []  # and what it was told of these, if that may not be on the disk
        self._is_noted = True  # there may be running jobs in the table
        self._coded: set[str] = set()  # codes that were written by this process
        self._is_sure = durable  # which journal counts stands on the disk
        self.lost: Left | None = None  # what the journal of another state says, which is not there any more
        self.undone: frozenset[str] = (
            frozenset()
        )  # keys of jobs that were cut short, and that were put right since

    @classmethod
    def open(cls, directory: str, *, durable: bool = False) -> State:
        """Open the state in the folder `directory`, which is made if need be.

        A damaged database is moved aside, and `warnings` says so. StateError if there can be none, or if the
        one that is there comes from a newer `bt`. `durable`: a power cut costs no commit either.
        """
        state = State(Database(directory, durable=durable), directory, durable=durable)
        try:
            state._take_in_left()
        except BaseException:
            state._database.close()
            raise
        return state

    def close(self, *, seal: bool = True) -> None:
        """Commit and let go of the file; `seal` it as what it is to be found as."""
        whole = self._database.is_in_place()
        if self._journal is not None and whole:
            self._take_in(self._journal.running(), self._journal.moved())
        self._database.close(seal=seal)
        if self._journal is not None:
            self._journal.close(remove=whole)
            self._journal = None

    def commit(self) -> None:
        """Make everything written so far durable, as one."""
        if self._settled:
            self._database.write_later(_PUT_VALUE, (to_bytes(_SETTLED), to_json(self._told + self._settled)))
        self._database.commit()
        if self._settled and self._journal is not None:
            self._journal.settled(self._settled)
            if self._durable:  # else a power cut may cost commits in any case
                self._told += self._settled
            self._settled.clear()

    def is_in_place(self) -> bool:
        """Whether the file that was opened still is the state of the project."""
        return self._database.is_in_place()

    def begin_build(self, command: str) -> int:
        """Note that a build begins; its number."""
        sql = "INSERT INTO builds (started, command, counts) VALUES (?, ?, '{}')"
        return self._database.write(sql, (time.time(), to_bytes(command)))

    def end_build(self, number: int, exit_code: int, counts: Mapping[str, int]) -> None:
        """Note how a build ended, and forget builds that are long past."""
        self._database.write(
            "UPDATE builds SET ended=?, exit_code=?, counts=?,"
            " logged=(SELECT count(*) FROM history WHERE build=number) WHERE number=?",
            (time.time(), exit_code, to_json(dict(counts)), number),
        )
        self._prune_history()
        self._prune_codes()
        self._prune_contents()

    def start(self, jobs: Iterable[Running], *, durable: bool = False) -> None:
        """Note that these jobs may write their outputs from now on; that needs no commit.

        The first call commits. `durable`: a power cut does not cost this either, as if the whole state was opened so.
        """
        if self._journal is None:
            mark = os.urandom(8).hex()
            run, place = self.value(RUN) or "", (self.value(PLACE) or "").split("\0")[0]
            self._journal = Journal(self._directory, mark, run, place)
            self.set_value(_MARK, mark)
            self._database.write("DELETE FROM vars WHERE name=?", (to_bytes(_SETTLED),))
            self.commit()
            self._is_sure = self._durable
        self._journal.begin(jobs)
        if durable or self._durable:
            self._journal.sync()
            self._told.clear()
        if durable and not self._is_sure:
            self.commit()
            self._database.sync()  # it tells which journal counts
            self._is_sure = True

    def set_process(self, key: str, pid: int, stamp: str | None) -> None:
        """Note which process does a running job; that needs no commit."""
        if self._journal is not None:
            self._journal.set_process(key, pid, stamp)

    def add_copies(self, key: str, copies: tuple[tuple[str, str], ...], *, durable: bool = False) -> None:
        """Note where copies are about to be made of what a running job may write over; that needs no commit.

        `durable`: a power cut does not cost it either, if it did not cost that the job was started.
        """
        if self._journal is not None:
            self._journal.add_copies(key, copies)
            if durable:
                self._journal.sync()

    def add_aside(self, key: str, places: tuple[tuple[str, str], ...]) -> None:
        """Note where what lies aside for a running job is about to go; a power cut does not cost that."""
        if self._journal is not None:
            self._journal.add_aside(key, places)

    def set_ready(self, key: str) -> None:
        """Note that a running job that waited may write its outputs from now on; that needs no commit."""
        if self._journal is not None:
            self._journal.set_ready(key)

    def left_behind(self) -> tuple[bool, tuple[tuple[str, str], ...]]:
        """Whether the journal of a dead writer was damaged, and (path, place) of the jobs that it settled."""
        return self._read(
            "SELECT value FROM vars WHERE name=?",
            lambda rows: to_left(rows[0][0]) if rows else (False, ()),
            to_bytes(_LEFT),
        )

    def forget_left(self) -> None:
        """It is put right; what the journal of a lost state says is, too."""
        self._database.write("DELETE FROM vars WHERE name=?", (to_bytes(_LEFT),))
        if self.lost is not None:
            journal.discard(self._directory)
            self.lost = None

    def stop(self, key: str) -> None:
        """Note that a job is not running any more, and nothing else."""
        number = self._journal.settle(key) if self._journal is not None else None
        if number is not None:
            self._settled.append(number)
        if self._is_noted:
            self._database.write_later("DELETE FROM running WHERE key=?", (to_bytes(key),))

    def record(self, job: JobRecord, codes: Mapping[str, Sequence[Item]] | None = None) -> None:
        """Note the last run of a job: it is not running any more, and owns its outputs.

        Another job that owned one of them is forgotten. What either owned and this record does not tell of
        stays known as a stray. `codes`: the parts of the code that it was made by, by the digest of the whole.
        """
        for item in job.fingerprint.items if codes else ():
            if item.kind == "code" and item.digest is not None and item.digest not in self._coded:
                self._add_code(item.digest, (codes or {}).get(item.digest, ()))
        known = self._known()
        self.stop(job.key)
        self._ahead.pop(to_bytes(job.key), None)
        now = {path for path, _ in job.outputs}
        for path in now:
            other = known.recorder(path)
            if other is not None and other != job.key:
                self._drop(other)
        before = self._recorded(job.key) if job.key in known.seconds else ()
        gone = [path for path in before if path not in now]
        if gone:
            self._database.write_many("UPDATE outputs SET position=NULL WHERE path=?", _raw(gone))
        self._database.write_later(_PUT_JOB, job_row(job))
        key = to_bytes(job.key)
        for at, (path, digest) in enumerate(job.outputs):
            values = (to_bytes(path), None if path == job.key else key, at, pack_digest(digest))
            self._database.write_later(_PUT_OUTPUT, values)
        known.record(job.key, job.seconds, now, gone)

    def forget(self, key: str) -> None:
        """Drop the record of a job, its outputs and strays included."""
        self.stop(key)
        raw = to_bytes(key)
        self._ahead.pop(raw, None)
        rows = self._database.rows(f"SELECT path FROM outputs WHERE {MADE_BY}", (raw, raw))
        self._database.write("DELETE FROM jobs WHERE key=?", (raw,))
        self._database.write(f"DELETE FROM outputs WHERE {MADE_BY}", (raw, raw))
        paths = [to_text(path) for (path,) in rows]
        self._known().drop(key, ())
        self._known().disown(paths)

    def forget_outputs(self, paths: Iterable[str]) -> None:
        """Disown these paths: nobody made them."""
        gone = [*paths]
        self._ahead.clear()
        self._database.write_many("DELETE FROM outputs WHERE path=?", _raw(gone))
        self._known().disown(gone)

    def remember(self, stamps: Mapping[str, Stamp]) -> None:
        """Keep what is known of these files; a time that no integer of SQLite can hold is not kept."""
        if stamps:
            self._database.write_many(
                "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?, ?, ?)", stamp_rows(stamps)
            )

    def forget_stamps(self, paths: Iterable[str]) -> None:
        """Drop what is known of these files."""
        self._database.write_many("DELETE FROM files WHERE path=?", _raw(paths))

    def add_history(self, entries: Iterable[HistoryRecord]) -> None:
        """Note what jobs did; a job has one entry in one build, the last."""
        self._database.write_many(_PUT_HISTORY, (history_row(entry) for entry in entries))

    def add_meanings(self, meanings: Mapping[tuple[str, str], str]) -> None:
        """Keep what of some contents counts."""
        if meanings:
            self._database.write_many(
                "INSERT OR REPLACE INTO meanings VALUES (?, ?, ?)",
                ((to_bytes(how), content, meaning) for (how, content), meaning in meanings.items()),
            )

    def add_contents(self, texts: Mapping[str, str]) -> None:
        """Keep what sources say, by their digests."""
        if texts:
            rows = ((pack_digest(digest), pack_text(text)) for digest, text in texts.items())
            self._database.write_many("INSERT OR IGNORE INTO contents VALUES (?, ?)", rows)

    def set_away(self, outputs: Iterable[Away]) -> None:
        """Note that other machines have these."""
        self._database.write_many("INSERT OR REPLACE INTO away VALUES (?, ?, ?, ?)", map(away_row, outputs))

    def forget_away(self, paths: Iterable[str]) -> None:
        """Note that these are here, or nowhere."""
        self._database.write_many("DELETE FROM away WHERE path=?", _raw(paths))

    def set_cluster(self, cluster: ClusterRecord) -> None:
        """Note that there is a cluster, or will be."""
        self._database.write("INSERT OR REPLACE INTO clusters VALUES (?, ?)", cluster_row(cluster))

    def forget_cluster(self, name: str, account: str | None) -> None:
        """Note that a cluster is gone."""
        keys = (cluster_key(name, None), cluster_key(name, account))
        self._database.write("DELETE FROM clusters WHERE name IN (?, ?)", keys)

    def note_inside(self, folder: str, own: dict[str, str] | None) -> None:
        """Keep what `inside` tells; None: all that is in the directory belongs to `bt`."""
        self.set_value(f"inside {folder}", "" if own is None else json.dumps(own))

    def set_value(self, name: str, value: str) -> None:
        """Keep a text under a name."""
        self._database.write(_PUT_VALUE, (to_bytes(name), to_json(value)))

    def expect_few(self) -> None:
        """From now on few jobs are asked for, so that not all is read for them."""
        if self._knowledge is None:
            self._knowledge = Sought(self._database.rows)

    def _journaled(self) -> list[Running]:
        return super()._journaled() if self._journal is None else self._journal.running()

    def _take_in_left(self) -> None:
        """Put what the journal of a dead writer tells into the database."""
        mark = self.value(_MARK)
        left = journal.look(self._directory, self._told_settled() if mark is not None else ())
        if left is not None and (mark is None or left.mark != mark):
            self.lost, left = left, None
        if mark is None:
            self._is_noted = bool(self._noted())
        elif left is None:
            self._take_in([], [], is_torn=True)
        else:
            self._take_in([*left.jobs], left.moved, is_torn=left.is_torn)

    def _take_in(
        self,
        jobs: list[Running],
        moved: Sequence[tuple[str, str]],
        *,
        is_torn: bool = False,
    ) -> None:
        """Put what a journal tells into the database, so that the journal is not needed any more."""
        is_dead = self._journal is None
        if not is_dead and not os.path.isdir(os.path.join(self._directory, os.path.basename(ASIDE[:-1]))):
            moved = [(path, place) for path, place in moved if not place.startswith(ASIDE)]
        names = [(to_bytes(name),) for name in (_MARK, _SETTLED)]
        self._database.write_many("DELETE FROM vars WHERE name=?", names)
        self._database.write_many(_PUT_RUNNING, map(running_row, jobs))
        if is_dead or moved:
            self._database.write(_PUT_VALUE, left_row(_LEFT, moved, is_torn=is_torn))
        self._settled.clear()
        self._told.clear()
        self._is_noted = True
        if is_dead:
            self._database.commit()
            journal.discard(self._directory)

    def _add_code(self, digest: str, parts: Sequence[Item]) -> None:
        self._coded.add(digest)
        self._database.write("INSERT OR IGNORE INTO codes VALUES (?, ?)", code_row(digest, parts))
        self._database.write_many("INSERT OR IGNORE INTO texts VALUES (?, ?)", map(text_row, parts))

    def _recorded(self, key: str) -> list[str]:
        """The paths that the record of a job tells of."""
        raw = to_bytes(key)
        rows = self._database.rows(
            f"SELECT path FROM outputs WHERE {MADE_BY} AND position NOT NULL", (raw, raw)
        )
        return [to_text(path) for (path,) in rows]

    def _drop(self, key: str) -> None:
        """Remove a job's record; its outputs become strays."""
        gone = self._recorded(key)
        self._ahead.pop(to_bytes(key), None)
        self._database.write("DELETE FROM jobs WHERE key=?", (to_bytes(key),))
        self._database.write_many("UPDATE outputs SET position=NULL WHERE path=?", _raw(gone))
        self._known().drop(key, gone)

    def _prune_codes(self) -> None:
        """Drop what no record tells of any more, once there is much of it."""
        rows = self._database.rows("SELECT count(*) FROM codes")
        used = "SELECT DISTINCT code FROM jobs WHERE code NOT NULL"
        if rows[0][0] <= CODES_KEPT or rows[0][0] <= 2 * len(self._database.rows(used)):
            return
        self._database.write(f"DELETE FROM codes WHERE digest NOT IN ({used})")
        parts = [
            part
            for (stored,) in self._database.rows("SELECT parts FROM codes")
            for part in to_parts(stored, {})
        ]
        kept = {part.digest for part in parts}
        texts = [digest for (digest,) in self._database.rows("SELECT digest FROM texts")]
        gone = ((digest,) for digest in texts if unpack_digest(digest) not in kept)
        self._database.write_many("DELETE FROM texts WHERE digest=?", gone)

    def _prune_contents(self) -> None:
        last = "SELECT max(rowid) FROM contents"
        self._database.write(f"DELETE FROM contents WHERE rowid<=({last})-?", (CONTENTS_KEPT,))

    def _prune_history(self) -> None:
        rows = self._database.rows("SELECT number, logged FROM builds ORDER BY number DESC")
        total = 0
        for at, (number, logged) in enumerate(rows):
            total += logged or 0
            if at and (at >= BUILDS_KEPT or total > HISTORY_KEPT):
                self._database.write("DELETE FROM builds WHERE number<=?", (number,))
                self._database.write("DELETE FROM history WHERE build<=?", (number,))
                return


@contextmanager
def _no_collection() -> Iterator[None]:
    """Hundreds of thousands of tuples would set off the garbage collector again and again, for nothing."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _by_key(*found: list[Running]) -> list[Running]:
    """Running jobs in order; of those with one key, the last."""
    return [job for _, job in sorted({job.key: job for jobs in found for job in jobs}.items())]


def _limit(limit: int | None) -> int:
    return -1 if limit is None else limit


def _raw(paths: Iterable[str]) -> Iterator[tuple[bytes]]:
    return ((to_bytes(path),) for path in paths)
