"""Finds what a shell can be told, and notes it for the next time. Runs nothing."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from typing import Any

from buildtool import door
from buildtool.cli import names as note
from buildtool.cli.names import Names
from buildtool.executors.choose import known_executors
from buildtool.expand.expander import Expander
from buildtool.files import granularity
from buildtool.graph import Form
from buildtool.mounts import silent_kind
from buildtool.paths import STATE
from buildtool.project import Project, Request
from buildtool.state.store import StateReader
from buildtool.taskfile.load import load_taskfile
from buildtool.text import printable

PATIENCE = 0.3  # seconds; after that, files of more wildcard tasks are not looked for


class _UnsureError(Exception):
    """Not all was found, or it may have changed while it was looked for."""


def propose(path: str) -> Names:
    """The tasks of the Taskfile at this absolute path, the files that they make as far as they are found, executors.

    Raises what is wrong with the Taskfile. Where all was found and a state folder is there, it is noted.
    """
    taskfile = load_taskfile(path)
    names = Names(
        [(spec.name, printable(spec.desc)) for spec in taskfile.tasks.values()],
        [],
        known_executors(taskfile),
    )
    state = None
    with contextlib.suppress(OSError):
        state = note.state(taskfile.root)
    # What cannot be found is not proposed, and what could not be found is looked for again the next time.
    with contextlib.suppress(Exception), StateReader.open(os.path.join(taskfile.root, STATE)) as reader:
        project = Project(taskfile, reader, Request())
        found: dict[str, None] = {}
        try:
            for file in _files(project.expander):
                found[file] = None
        finally:
            names.files.extend(found)
        if state is not None and not reader.warnings and not project.errors:
            drawn = _drawn(project, state)
            if state == note.state(taskfile.root):
                note.put(path, names, drawn)
    return names


def _files(expander: Expander) -> Iterator[str]:
    """The literal outputs, and those of wildcard tasks. Raises `_UnsureError` at the end if these were not all."""
    yield from expander.index.names()
    end = time.monotonic() + PATIENCE
    is_all = True
    for name, task in expander.tasks.items():
        if task.is_literal:
            continue
        if time.monotonic() > end:
            raise _UnsureError
        try:
            for job in expander.jobs_of(name):
                for file in expander.graph.jobs[job].output_files():
                    known = expander.graph.files[file]
                    if known.form is not Form.GLOB:
                        yield known.path
        except Exception:  # noqa: BLE001  one task with a mistake is no reason to be silent about the others
            is_all = False
    if not is_all:
        raise _UnsureError


def _drawn(project: Project, state: list[Any]) -> dict[str, Any]:
    """All that was looked at, for `names.put`. Raises `_UnsureError` where that cannot tell of every change."""
    disk, taskfile = project.disk, project.taskfile
    asked = project.outside.asked
    if (
        taskfile.is_open
        or silent_kind(taskfile.root) is not None
        or not asked.keys().isdisjoint(taskfile.settings.secrets)  # never written down
    ):
        raise _UnsureError
    listed = disk.listed()
    # Whether a name is in a directory whose names are compared need not be asked again.
    there = dict.fromkeys(disk.found, True) | dict.fromkeys(disk.missed, False)
    return {
        "state": state,
        "environment": asked,
        "there": {path: seen for path, seen in there.items() if path[: path.rfind("/") + 1] not in listed},
        "folders": disk.folders,
        "files": {path: _look(disk.absolute(path)) for path in (*taskfile.sources, *disk.texts)},
        "directories": {
            path: (
                # Where a link leads to, its directory does not tell: then its names are always read.
                None if any(entry.is_link for entry in entries) else _look(disk.absolute(path or "./")),
                note.look_into(disk.absolute(path or "./")),
            )
            for path, entries in listed.items()
        },
    }


def _look(path: str) -> list[int] | None:
    """How a file or directory looks, and looked when it was read. Raises `_UnsureError` if it is too young to tell."""
    seen = note.look(path)
    if seen is not None and seen[3] >= door.BEGUN - granularity(seen[3]):
        raise _UnsureError
    return seen
