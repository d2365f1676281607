"""A project made ready for a build: planned, with all refused that can be refused before anything runs."""

from __future__ import annotations

import os
from collections.abc import Callable

from buildtool.errors import UsageError, raise_all
from buildtool.expand.targets import Wanted, idle_tasks, open_tasks
from buildtool.outside import Outside
from buildtool.project import Project, Request
from buildtool.state.store import State
from buildtool.taskfile.specs import Taskfile


def opened(taskfile: Taskfile, state: State, request: Request, *, few: bool = False) -> Project:
    """The project over its files, with what its commands print. `few`: see `Project`."""
    settings = taskfile.settings
    outside = Outside(state, taskfile.root, settings.shell, settings.secrets)
    return Project(taskfile, state, request, outside, few=few)


def planned(
    project: Project, note: Callable[[str], None], *, keep_going: bool = False, only: bool = False
) -> Wanted:
    """The jobs that are asked for. Raises everything that is wrong with them; notes why tasks have no job."""
    raise_all(project.code_problems())
    want = project.want(keep_going=keep_going, only=only)
    project.refuse_commands(want)
    tasks = project.expander.tasks.values()
    if project.request.args and not any("{args}" in (task.spec.run or "") for task in tasks):
        raise UsageError("no task uses `{args}`, so nothing can stand behind `--`")
    if not project.request.targets and project.taskfile.settings.default is None:
        for idle in (*idle_tasks(project.expander), *open_tasks(project.expander)):
            note(idle)
    return want


def mask(taskfile: Taskfile) -> tuple[bytes, ...]:
    """The values that are not to be shown."""
    values = (os.environ.get(name, "") for name in taskfile.settings.secrets)
    return tuple(os.fsencode(value) for value in values if value)
