"""`bt accept`."""

from __future__ import annotations

import click

from buildtool.accept import UNDONE, accept
from buildtool.cli.context import Context
from buildtool.cli.printing import put
from buildtool.project import Project, Request
from buildtool.session import writing
from buildtool.text import count, printable


def command(context: Context, targets: tuple[str, ...]) -> int:
    """Take the present outputs of stale jobs as right, so that they do not run: all, or those of targets.

    A target that no task makes any more is yours from then on.
    """
    taskfile = context.taskfile()

    def tell(text: str) -> None:
        click.echo(text, err=True)

    with writing(taskfile.root, "bt accept", wait=True, warn=tell, note=tell) as state:
        project = Project(taskfile, state, Request(targets, context.folder(taskfile)))
        accepted, adopted, lacking = accept(project, state)
    for name in accepted:
        put([f"accepted {printable(name)}"])
    for path in adopted:
        put([f"accepted {printable(path)}: it is yours from now on"])
    for name, cause in lacking:
        put([f"not accepted {printable(name)}: {cause}"])
    if accepted or not adopted:
        put([f"{count(len(accepted), 'job')} accepted"])
    return 1 if any(targets or cause == UNDONE for _, cause in lacking) else 0
