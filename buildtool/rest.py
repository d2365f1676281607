"""Notes what a build saw that left nothing to do, so that the next one needs to look for differences only (see `door`).

A file that looks different may hold the same: then the note is made anew, and nothing is planned.
No secret is written down. Nothing is noted where more decides than files, directories and the environment: commands
that tell something, jobs whose outputs turn out while they run, directories as a whole, clusters, file systems with
times of other machines.
"""

from __future__ import annotations

import array
import contextlib
import os
import stat
import sys
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import buildtool.door as front
from buildtool.cone import noted
from buildtool.errors import DiskError
from buildtool.expand.targets import Wanted
from buildtool.files import Disk, Stamp, granularity, racy
from buildtool.graph import Form, JobId
from buildtool.mounts import silent_kind
from buildtool.project import Project
from buildtool.state.directory import overwrite
from buildtool.state.store import StateReader
from buildtool.tuples import NamedTuple

YOUNG = (-1, 0, 0, 0)  # how no file looks: what is noted of one that may change and look the same
MANY = 1000  # files of which less is read than of all


class _UnsureError(Exception):
    """Something may have changed since it was looked at, or is no plain file."""


class Seen(NamedTuple):
    """What is in files that look different. `changed`: those with something else in them; `gone`: those of them."""

    disk: Disk
    changed: list[int]
    gone: list[int]

    @property
    def digests(self) -> dict[str, str]:
        """What was read in each of them, by path."""
        return {path: stamp[5] for path, stamp in self.disk.memory.items()}


def saw(
    project: Project,
    want: Wanted,
    arguments: list[str],
    closing: str,
    jobs: Collection[JobId],
    made: Iterable[Mapping[str, str]],
) -> dict[str, Any] | None:
    """What is to be noted, but for the seal: everything that this build looked at; None if that is not enough.

    To be called when the build is over: what has changed since it began is not to be trusted, unless jobs made it.
    `closing`: what is said when all these jobs are fresh; `made`: digests of what they left, by path.
    """
    if not _is_plain(project):
        return None
    try:
        seen = _saw(project, arguments, {path: digest for own in made for path, digest in own.items()})
    except (_UnsureError, OSError):
        return None
    names, decisive, found = seen
    graph = noted(project, want, jobs, names, decisive)
    return None if graph is None else found | graph | {"jobs": len(jobs), "closing": closing}


def look(reader: StateReader, root: str, note: dict[str, Any], different: Sequence[int]) -> Seen | None:
    """Read the files that do not look as it was noted; None if the note does not hold any more, or one is no file."""
    paths = front.paths(note)
    names = [os.fsdecode(paths[at]) for at in different]
    disk = Disk(root)
    try:
        if not front.is_sealed(note, root):
            return None
        known = reader.stamps(names if len(names) < MANY else None)
        found = {at: (known.get(name), disk.digest(name)) for at, name in zip(different, names, strict=True)}
    except (OSError, DiskError):
        return None
    changed = [at for at, (stamp, digest) in found.items() if stamp is None or digest != stamp[5]]
    return Seen(disk, changed, [at for at in changed if found[at][1] is None])


def renewed(
    note: dict[str, Any], files: Collection[int], disk: Disk, digests: Mapping[str, str]
) -> dict[str, Any] | None:
    """The note with how these files look now, as they were last read.

    None if one came or went since the note was made, or holds something else than the digest that was built with:
    then some jobs have seen it before that, and some after.
    """
    if not files:
        return note
    signatures = bytearray(note["signatures"])
    numbers = memoryview(signatures).cast("q")
    paths = front.paths(note)
    followed = {*bytes(note["followed"]).split(b"\0")} if note["followed"] else set()
    for at in files:
        if at >= len(paths):  # it was not there
            if os.path.lexists(disk.absolute(os.fsdecode(note["absent"][at - len(paths)]))):
                return None
            continue
        path = os.fsdecode(paths[at])
        stamp = disk.memory.get(path)
        if stamp is None or stamp[5] != digests.get(path) or paths[at] in followed:
            return None
        numbers[4 * at : 4 * at + 4] = array.array("q", YOUNG if racy(stamp) else stamp[:4])
    return note | {"signatures": signatures}


def _is_plain(project: Project) -> bool:
    """Whether files, directories and the environment decide all."""
    expander = project.expander
    return not (
        project.taskfile.is_open
        or project.disk.away
        or project.reader.clusters()
        or any(spec.sh is not None for spec in project.taskfile.vars.values())
        or any(file.form is Form.DIRECTORY for file in expander.graph.files)
        or any(
            task.rows_from is not None
            or task.spec.track.cmd
            or task.spec.hash != "bytes"
            or task.spec.max_age is not None
            or any(entry.is_list for entry in task.input_entries())
            or any(entry.pattern.is_glob for entry in task.output_entries())
            for task in expander.tasks.values()
        )
        or silent_kind(project.taskfile.root) is not None
        or not project.outside.asked.keys().isdisjoint(project.taskfile.settings.secrets)
    )


def _saw(
    project: Project, arguments: list[str], made: Mapping[str, str]
) -> tuple[list[str], set[str], dict[str, Any]]:
    """Every path that was looked at, those of them whose text decides about the graph, and what is to be noted."""
    disk = project.disk
    there, absent = {*project.taskfile.sources, *disk.texts, *_outside(disk.found)}, _outside(disk.missed)
    absent -= there & made.keys()  # a job has made it since
    directories = {disk.absolute(name) if name else disk.root for name in disk.listed()}
    for path, is_one in disk.folders.items():
        if is_one:
            directories.add(disk.absolute(path))
        else:
            (there if disk.exists(path) else absent).add(path.rstrip("/"))
    coded = [t for t in project.expander.tasks.values() if t.spec.call or t.spec.script is not None]
    decisive = {*project.taskfile.sources, *disk.texts}
    for task in coded:
        for path, is_same in project.functions.files(task):
            if not is_same:
                raise _UnsureError
            is_there = os.path.lexists(disk.absolute(path))
            (there if is_there else absent).add(path)
            decisive.add(path)
    if coded:  # versions of packages count then, and which of them come first
        directories |= {os.path.abspath(entry) for entry in sys.path}
    absent |= {path for path in directories if not os.path.exists(path)}
    files, targets = _Signatures(os.lstat), _Signatures(os.stat)
    found = sorted(there, key=os.fsencode)
    missing = sorted(absent, key=os.fsencode)
    for path in found:
        where = disk.absolute(path)
        stamp = disk.memory.get(path)
        if files.add(where, stamp if stamp is not None and made.get(path) == stamp[5] else None):
            targets.add(where)
    prefix = disk.root.rstrip("/") + "/"
    note = {
        "words": front.words(
            disk.root, os.path.join(disk.root, project.request.folder).rstrip("/"), arguments
        ),
        "environment": tuple(project.outside.asked.items()),
        "absent": tuple(_short(disk.absolute(path), prefix) for path in missing),
        "files": b"\0".join(_short(path, prefix) for path in files.paths),
        "signatures": files.numbers.tobytes(),
        "followed": b"\0".join(_short(path, prefix) for path in targets.paths),
        "targets": targets.numbers.tobytes(),
        "directories": tuple(
            _directory(path, prefix) for path in sorted(directories, key=os.fsencode) if os.path.exists(path)
        ),
    }
    return [*found, *missing], decisive, note


class _Signatures:
    """How files look, as `door` compares them."""

    def __init__(self, look: Callable[[str], os.stat_result]) -> None:
        self._look = look
        self.paths: list[str] = []
        self.numbers = array.array("q")

    def add(self, where: str, stamp: Stamp | None = None) -> bool:
        """Take in a file; whether it is a link. Raises _UnsureError if it is neither, or too young.

        `stamp`: that of what a job made. It may be young: then it will be read once more.
        """
        st = self._look(where)
        found = (st.st_size, st.st_mtime_ns, st.st_ctime_ns, st.st_ino)
        if _is_young(st) and stamp is not None and stamp[:4] == found:
            found = YOUNG if racy(stamp) else found
        else:
            _be_sure(st)
        self.paths.append(where)
        self.numbers.extend(found)
        if not stat.S_ISREG(st.st_mode) and not stat.S_ISLNK(st.st_mode):
            raise _UnsureError
        return stat.S_ISLNK(st.st_mode)


def _directory(path: str, prefix: str) -> tuple[bytes, int, int, int]:
    st = os.stat(path)
    _be_sure(st)
    if not stat.S_ISDIR(st.st_mode):
        raise _UnsureError
    return _short(path, prefix), st.st_mtime_ns, st.st_ino, front.listing(os.fsencode(path))


def _be_sure(st: os.stat_result) -> None:
    """It has not changed since this process began, so that it is as it was when it was looked at."""
    if _is_young(st):
        raise _UnsureError


def _is_young(st: os.stat_result) -> bool:
    return st.st_ctime_ns >= front.BEGUN - granularity(st.st_ctime_ns)


def _outside(paths: Iterable[str]) -> set[str]:
    """Those that are not in the state folder, which the seal tells of."""
    return {path for path in paths if not path.startswith(front.STATE + "/")}


def _short(where: str, prefix: str) -> bytes:
    """A path as it is looked at from the project root."""
    return os.fsencode(where.removeprefix(prefix) or ".")


def put(root: str, noted: dict[str, Any]) -> None:
    """Note that. The state is closed and sealed, and nobody else writes to it: the lock is held."""
    where = os.path.join(root, front.STATE)
    with contextlib.suppress(OSError):
        with open(os.path.join(where, front.SEAL), "rb") as file:
            found = noted | {"seal": file.read()}
        st = os.stat(os.path.join(where, front.DATABASE))
        found["database"] = (st.st_size, st.st_mtime_ns, st.st_ino)
        fresh = os.path.join(where, front.NOTE + ".new")
        with overwrite(fresh) as file:
            file.writelines(front.written(found))
        os.replace(fresh, os.path.join(where, front.NOTE))
