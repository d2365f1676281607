"""Between the values of `records` and the rows of the database. Nothing is ever unpickled.

Does not know how rows are found.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from buildtool.fingerprint import Fingerprint, Item
from buildtool.state.records import Away, BuildRecord, ClusterRecord, HistoryRecord, JobRecord, Made, Running
from buildtool.tuples import NamedTuple

LONGEST = 64 * 1024  # characters of an item's text that are kept
BIGGEST = 2**63  # SQLite's integers are smaller
_LITTLE = 3072  # bytes; with the dictionary, the window of 4096 holds them
IS_DIGEST = re.compile(r"[0-9a-f]{32}").fullmatch
IS_CONTENT = re.compile(r"[dflx][0-9a-f]{32}").fullmatch  # of a file: a letter says what it is

# Details begin with the letter of their form. In form `d`, raw deflate has this dictionary: what most jobs
# have in common, the most frequent last. It can never be changed, only be joined by another form.
FORM = b"d"
DICTIONARY = (
    b'["track.cmd","["track.file","["track.env","["package","["need","["found","["param","["code","'
    b'["cwd","."],["env","LC_ALL","C"],["shell","","bash"],["input","["output","[[["command","","python '
)

# size, mtime_ns, ctime_ns, inode, mode, digest, hashed_at (nanoseconds since the epoch)
Stamp = tuple[int, int, int, int, int, str, int]

# What decoding a damaged value may raise.
UNREADABLE = (ValueError, TypeError, KeyError, IndexError, AttributeError, zlib.error)


def to_bytes(text: str) -> bytes:
    """A name as bytes, whatever the locale."""
    return text.encode("utf-8", "surrogateescape")


def to_text(raw: bytes) -> str:
    """The name that `to_bytes` was given."""
    return raw.decode("utf-8", "surrogateescape")


def pack_digest(digest: str) -> str | bytes:
    """A digest in half the space, if it is one of ours; anything else as it is."""
    if len(digest) == 33 and IS_CONTENT(digest):
        return digest[0].encode("ascii") + bytes.fromhex(digest[1:])
    return bytes.fromhex(digest) if IS_DIGEST(digest) else digest


def unpack_digest(stored: str | bytes) -> str:
    """The digest that `pack_digest` was given."""
    if isinstance(stored, str):
        return stored
    return stored.hex() if len(stored) == 16 else stored[:1].decode("ascii") + stored[1:].hex()


_encode = json.JSONEncoder(separators=(",", ":")).encode


def to_json(value: object) -> str:
    """Compact, and pure ASCII, so that lone surrogates survive."""
    return _encode(value)


@lru_cache(maxsize=64)
def _words_to_json(words: tuple[str, ...]) -> str:
    """The same of a few words that many rows have in common."""
    return _encode(words)


def pack_details(job: JobRecord) -> bytes:
    """Fingerprint, wildcards and found inputs in little space, without texts that are too long to show.

    They are compressed JSON. Digests do not compress: those of the usual form follow it, 16 bytes each; the letter of
    those of files stays.
    """
    items: list[Sequence[str | None]] = []
    digests = []
    for kind, name, digest, text in job.fingerprint.items:
        short = text if text is None or len(text) <= LONGEST else None
        size = len(digest) if digest is not None else 0
        if digest is not None and size == 33 and IS_CONTENT(digest):
            items.append((kind, name, short, digest[0], None))
            digests.append(digest[1:])
            continue
        if digest is None or size != 32 or not IS_DIGEST(digest):
            items.append((kind, name, short, digest))
            continue
        items.append((kind, name) if short is None else (kind, name, short))
        digests.append(digest)
    values = (items, job.wildcards, job.found, *((job.drift,) if job.drift else ()))
    raw = to_json(values).encode("ascii")
    # For little text, little memory: to have and to clear a quarter of a megabyte takes longer than all else here.
    small = len(raw) < _LITTLE
    deflate = zlib.compressobj(wbits=-12 if small else -15, memLevel=5 if small else 8, zdict=DICTIONARY)
    packed = deflate.compress(raw) + deflate.flush()
    return FORM + packed + bytes.fromhex("".join(digests))


def pack_text(text: str) -> bytes:
    """A text as bytes in little space."""
    raw = to_bytes(text)
    small = len(raw) < _LITTLE  # as for details
    deflate = zlib.compressobj(wbits=12 if small else 15, memLevel=5 if small else 8)
    return deflate.compress(raw) + deflate.flush()


class Details(NamedTuple):
    """What `pack_details` was given."""

    fingerprint: Fingerprint
    wildcards: tuple[tuple[str, str], ...]
    found: tuple[str, ...]
    drift: str


def unpack_details(stored: bytes) -> Details:
    """What `pack_details` was given; one of UNREADABLE if it is damaged."""
    if stored[:1] != FORM:
        raise ValueError("unknown form of a record")
    inflate = zlib.decompressobj(wbits=-15, zdict=DICTIONARY)
    items, wildcards, found, *drift = json.loads(inflate.decompress(stored[1:]))
    digests = inflate.unused_data.hex()
    at = 0
    whole = []
    for kind, name, *rest in items:
        if len(rest) == 3:
            whole.append(Item(kind, name, rest[1] + digests[at : at + 32], rest[0]))
            at += 32
            continue
        if len(rest) == 2:
            whole.append(Item(kind, name, rest[1], rest[0]))
            continue
        whole.append(Item(kind, name, digests[at : at + 32], rest[0] if rest else None))
        at += 32
    if at != len(digests):
        raise ValueError("a record has lost digests")
    return Details(Fingerprint(tuple(whole)), to_pairs(wildcards), tuple(found), *map(str, drift or ("",)))


STAMP = "path, size, mtime_ns, ctime_ns, inode, mode, digest, hashed_at"


def stamp_rows(stamps: Mapping[str, Stamp]) -> Iterator[tuple[object, ...]]:
    """Path and stamp; those with a time that no integer of SQLite can hold are left out."""
    for path, (size, mtime, ctime, inode, mode, digest, at) in stamps.items():
        if -BIGGEST <= mtime < BIGGEST and -BIGGEST <= ctime < BIGGEST:
            narrow = inode if inode < BIGGEST else inode - 2 * BIGGEST
            yield to_bytes(path), size, mtime, ctime, narrow, mode, pack_digest(digest), at


def to_stamps(rows: list[tuple[Any, ...]]) -> dict[str, Stamp]:
    """All stamps by path; written out in full because there may be a million of them."""
    return {
        path.decode("utf-8", "surrogateescape"): (
            size,
            mtime,
            ctime,
            inode if inode >= 0 else inode + 2 * BIGGEST,
            mode,
            unpack_digest(digest),
            at,
        )
        for path, size, mtime, ctime, inode, mode, digest, at in rows
    }


JOB = "key, task, status, build, ended, seconds, peak_memory, executor, runs, accepted, details, code"


def job_row(job: JobRecord) -> tuple[object, ...]:
    """The columns named in JOB."""
    return (
        to_bytes(job.key),
        to_bytes(job.task),
        job.status,
        job.build,
        job.ended,
        job.seconds,
        job.peak_memory,
        to_bytes(job.executor),
        job.runs,
        int(job.accepted),
        pack_details(job),
        next((pack_digest(i.digest) for i in job.fingerprint.items if i.kind == "code" and i.digest), None),
    )


def to_job(row: tuple[Any, ...], outputs: list[tuple[Any, ...]]) -> JobRecord:
    """A job from the columns named in JOB and its (path, digest) rows; one of UNREADABLE if damaged."""
    key, task, status, build, ended, seconds, memory, executor, runs, accepted, stored, _ = row
    details = unpack_details(stored)
    return JobRecord(
        key=to_text(key),
        task=to_text(task),
        wildcards=details.wildcards,
        status=status,
        fingerprint=details.fingerprint,
        outputs=tuple(Made(to_text(path), unpack_digest(digest)) for path, digest in outputs),
        found=details.found,
        build=build,
        ended=ended,
        seconds=seconds,
        peak_memory=memory,
        executor=to_text(executor),
        runs=runs,
        accepted=bool(accepted),
        drift=details.drift,
    )


def to_seconds(rows: list[tuple[Any, ...]]) -> dict[str, float]:
    """How long jobs took, by key."""
    return {to_text(key): float(seconds) for key, seconds in rows}


def code_row(digest: str, parts: Sequence[Item]) -> tuple[object, ...]:
    """Digest and parts of a job's code, without texts."""
    return pack_digest(digest), to_json([part[:3] for part in parts])


def text_row(part: Item) -> tuple[object, ...]:
    """Digest and text of a part; nothing for one that is too long to show."""
    text = part.text or ""
    return pack_digest(part.digest or ""), pack_text(text if len(text) <= LONGEST else "")


def to_parts(stored: str, texts: Mapping[str, str]) -> tuple[Item, ...]:
    """The parts of a job's code, with those of their texts that are known."""
    return tuple(Item(kind, name, digest, texts.get(digest)) for kind, name, digest in json.loads(stored))


def to_texts(rows: list[tuple[Any, ...]]) -> dict[str, str]:
    """Texts by digest."""
    return {unpack_digest(digest): to_text(zlib.decompress(text)) for digest, text in rows}


RUNNING = "key, task, outputs, aside, pid, stamp"  # that a job began, and not when


def running_row(job: Running) -> tuple[object, ...]:
    """The columns named in RUNNING."""
    stamp = None if job.stamp is None else to_bytes(job.stamp)
    written = to_json(pack_written(job))
    return to_bytes(job.key), to_bytes(job.task), written, to_json(job.aside), job.pid, stamp


def pack_written(job: Running) -> list[object]:
    """Where a running job may write, for JSON: its paths, and after them what few jobs have."""
    more = {"patterns": job.patterns, "spared": job.spared, "copies": job.copies, "waits": job.waits}
    found = {name: value for name, value in more.items() if value}
    return [*job.outputs, found] if found else [*job.outputs]


def with_written(job: Running, written: list[Any]) -> Running:
    """The job with what `pack_written` tells of it."""
    more = written.pop() if written and isinstance(written[-1], dict) else {}
    return job._replace(
        outputs=tuple(written),
        patterns=tuple(more.get("patterns", ())),
        spared=tuple(more.get("spared", ())),
        copies=to_pairs(more.get("copies", ())),
        waits=bool(more.get("waits")),
    )


def to_running(row: tuple[Any, ...]) -> Running:
    """A running job from the columns named in RUNNING."""
    key, task, outputs, aside, pid, stamp = row
    job = Running(
        to_text(key),
        to_text(task),
        (),
        to_pairs(json.loads(aside)),
        pid,
        None if stamp is None else to_text(stamp),
    )
    return with_written(job, json.loads(outputs))


def left_row(name: str, moved: Sequence[tuple[str, str]], *, is_torn: bool) -> tuple[object, ...]:
    """The row of what a dead writer's journal says beyond what is running."""
    return to_bytes(name), to_json([is_torn, moved])


def to_left(stored: str) -> tuple[bool, tuple[tuple[str, str], ...]]:
    """Whether a journal was damaged, and what it says was moved."""
    is_torn, moved = json.loads(stored)
    return bool(is_torn), to_pairs(moved)


BUILD = "number, started, ended, command, exit_code, counts"


def to_build(row: tuple[Any, ...]) -> BuildRecord:
    """A build from the columns named in BUILD."""
    number, started, ended, command, exit_code, counts = row
    return BuildRecord(number, started, ended, to_text(command), exit_code, json.loads(counts))


HISTORY = "build, key, name, status, reasons, seconds, ended"


def history_row(entry: HistoryRecord) -> tuple[object, ...]:
    """The columns named in HISTORY."""
    build, key, name, status, reasons, seconds, ended, cause = entry
    told = None
    if cause:
        told = to_json({"reasons": reasons, "cause": cause})
    elif reasons:
        told = _words_to_json(reasons)
    return build, to_bytes(key), to_bytes(name), status, told, seconds, ended


def to_history(row: tuple[Any, ...]) -> HistoryRecord:
    """An entry from the columns named in HISTORY."""
    build, key, name, status, reasons, seconds, ended = row
    told = json.loads(reasons) if reasons else ()
    cause = ""
    if isinstance(told, dict):
        told, cause = told["reasons"], str(told["cause"])
    return HistoryRecord(build, to_text(key), to_text(name), status, tuple(told), seconds, ended, cause)


def to_pairs(lists: Iterable[Sequence[str]]) -> tuple[tuple[str, str], ...]:
    """Pairs from JSON; ValueError if they are none."""
    return tuple((first, second) for first, second in lists)


def cluster_row(cluster: ClusterRecord) -> tuple[bytes, str]:
    """The row of a cluster."""
    values = cluster._asdict()
    return cluster_key(values.pop("name"), cluster.account), to_json(values)


def cluster_key(name: str, account: str | None) -> bytes:
    """What tells a cluster from others: its name, and the account that has it, as far as that is known."""
    return to_bytes(name if account is None else f"{name}\0{account}")


def to_cluster(row: Sequence[Any]) -> ClusterRecord:
    """The cluster of a row."""
    return ClusterRecord(to_text(row[0]).partition("\0")[0], **json.loads(row[1]))


def away_row(away: Away) -> tuple[object, ...]:
    """The row of an output that is elsewhere."""
    return to_bytes(away.path), pack_digest(away.digest), away.size, to_bytes(away.executor)


def to_away(row: Sequence[Any]) -> Away:
    """The output of a row."""
    path, digest, size, executor = row
    return Away(to_text(path), unpack_digest(digest), int(size), to_text(executor))
