"""Orphans that go in a build (`orphans = "delete"`): before a job is looked at that reads their directory as a whole.

Whoever reads it would else find them gone in the next build.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from buildtool.clean import remove_orphans, removed_lines
from buildtool.errors import BtError
from buildtool.graph import Form, Job
from buildtool.project import Project
from buildtool.state.store import State


class Orphans:
    """For one build of all that there is. `note` is told what goes."""

    def __init__(self, project: Project, state: State, note: Callable[[str], None]) -> None:
        self._project = project
        self._state = state
        self._note = note

    def remove_before(self, job: Job) -> None:
        """Remove what the job would read as a part of a directory; it is known by now what else is made there."""
        files = self._project.expander.graph.files
        folders = {files[f].path for f in (*job.input_files(), *job.needs) if files[f].form is Form.DIRECTORY}
        for folder in sorted(folders):
            self.remove("" if folder == "./" else folder)

    def remove(self, folder: str = "") -> None:
        """Remove those in a directory, or all, that are known by now; those that were changed since stay."""
        project = self._project
        owned = {path: key for path, key in project.owned.items() if path.startswith(folder)}
        found: list[str] = []
        with contextlib.suppress(BtError):  # then it is told at the end what is wrong
            found = [path for path in project.expander.orphans(owned) if project.disk.exists(path)]
        if not found:
            return
        swept = remove_orphans(project.disk, self._state, found)
        for path in swept.removable:
            project.disown(path)
            project.disk.relist(path)
        for text in removed_lines(swept):
            self._note(text)
