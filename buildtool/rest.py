"""Notes what a build saw that had nothing to do, so that the next one needs to look for differences only (see `door`).

Nothing is noted where more decides than files, directories and the environment: commands that tell something, jobs
whose outputs turn out while they run, directories as a whole, clusters, file systems with times of other machines.
"""

from __future__ import annotations

import array
import contextlib
import marshal
import os
import stat
import sys
from collections.abc import Callable
from typing import Any

import buildtool.door as front
from buildtool.files import granularity
from buildtool.graph import Form
from buildtool.mounts import silent_kind
from buildtool.project import Project


class _UnsureError(Exception):
    """Something may have changed since it was looked at, or is no plain file."""


def saw(project: Project, arguments: list[str], closing: str) -> bytes | None:
    """What is to be noted, but for the seal: everything that this build looked at; None if that is not enough.

    To be called when the build is over: what has changed since it began is not to be trusted.
    """
    if not _is_plain(project):
        return None
    try:
        return marshal.dumps(_saw(project, arguments, closing))
    except (_UnsureError, OSError):
        return None


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
    )


def _saw(project: Project, arguments: list[str], closing: str) -> dict[str, Any]:
    disk = project.disk
    there, absent = {*project.taskfile.sources, *disk.texts, *disk.found}, set(disk.missed)
    directories = {disk.absolute(name) if name else disk.root for name in disk.listed()}
    for path, is_one in disk.folders.items():
        if is_one:
            directories.add(disk.absolute(path))
        else:
            (there if disk.exists(path) else absent).add(path.rstrip("/"))
    coded = [t for t in project.expander.tasks.values() if t.spec.call or t.spec.script is not None]
    for task in coded:
        for path, is_same in project.functions.files(task):
            if not is_same:
                raise _UnsureError
            (there if os.path.lexists(disk.absolute(path)) else absent).add(path)
    if coded:  # versions of packages count then, and which of them come first
        directories |= {os.path.abspath(entry) for entry in sys.path}
    absent |= {path for path in directories if not os.path.exists(path)}
    files, targets = _Signatures(os.lstat), _Signatures(os.stat)
    for path in sorted(there):
        where = disk.absolute(path)
        if files.add(where):
            targets.add(where)
    prefix = disk.root.rstrip("/") + "/"
    return {
        "words": front.words(
            disk.root, os.path.join(disk.root, project.request.folder).rstrip("/"), arguments
        ),
        "closing": closing,
        "environment": tuple(project.outside.asked.items()),
        "absent": tuple(_short(disk.absolute(path), prefix) for path in sorted(absent)),
        "files": b"\0".join(_short(path, prefix) for path in files.paths),
        "signatures": files.numbers.tobytes(),
        "followed": b"\0".join(_short(path, prefix) for path in targets.paths),
        "targets": targets.numbers.tobytes(),
        "directories": tuple(
            _directory(path, prefix) for path in sorted(directories) if os.path.exists(path)
        ),
    }


class _Signatures:
    """How files look, as `door` compares them."""

    def __init__(self, look: Callable[[str], os.stat_result]) -> None:
        self._look = look
        self.paths: list[str] = []
        self.numbers = array.array("q")

    def add(self, where: str) -> bool:
        """Take in a file; whether it is a link. Raises _UnsureError if it is neither, or too young."""
        st = self._look(where)
        _be_sure(st)
        self.paths.append(where)
        self.numbers.extend((st.st_size, st.st_mtime_ns, st.st_ctime_ns, st.st_ino))
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
    if st.st_ctime_ns >= front.BEGUN - granularity(st.st_ctime_ns):
        raise _UnsureError


def _short(where: str, prefix: str) -> bytes:
    """A path as it is looked at from the project root."""
    return os.fsencode(where.removeprefix(prefix) or ".")


def put(root: str, noted: bytes) -> None:
    """Note that. The state is closed and sealed, and nobody else writes to it: the lock is held."""
    where = os.path.join(root, front.STATE)
    with contextlib.suppress(OSError):
        with open(os.path.join(where, front.SEAL), "rb") as file:
            found = marshal.loads(noted) | {"seal": file.read()}  # noqa: S302  made above
        st = os.stat(os.path.join(where, front.DATABASE))
        found["database"] = (st.st_size, st.st_mtime_ns, st.st_ino)
        data = marshal.dumps(found)
        fresh = os.path.join(where, front.NOTE + ".new")
        with open(fresh, "wb") as file:
            file.write(front.checksum(data) + data)
        os.replace(fresh, os.path.join(where, front.NOTE))
