"""`bt list`."""

from __future__ import annotations

from buildtool.cli.context import Context
from buildtool.cli.printing import put, put_json
from buildtool.errors import ExitCode
from buildtool.report.tasks import render_tasks, task_data


def command(context: Context, everything: bool, verbose: bool, as_json: bool) -> int:
    """Show the tasks with their descriptions, by group."""
    taskfile = context.taskfile()
    if as_json:
        put_json(task_data(taskfile, everything=everything))
    else:
        put(render_tasks(taskfile, context.paint(), everything=everything, verbose=verbose))
    return ExitCode.DONE
