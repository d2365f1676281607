"""`bt list`."""

from __future__ import annotations

import click

from buildtool.cli.context import Context
from buildtool.cli.printing import put, put_json
from buildtool.errors import ExitCode
from buildtool.report.tasks import render_tasks, task_data


@click.command("list")
@click.option("-a", "--all", "everything", is_flag=True, help="Also tasks whose names begin with `_`.")
@click.option("-v", "--verbose", is_flag=True, help="Show what each task reads and writes.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def command(context: Context, everything: bool, verbose: bool, as_json: bool) -> int:
    """Show the tasks with their descriptions, by group."""
    taskfile = context.taskfile()
    if as_json:
        put_json(task_data(taskfile, everything=everything))
    else:
        put(render_tasks(taskfile, context.paint(), everything=everything, verbose=verbose))
    return ExitCode.DONE
