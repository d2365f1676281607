"""`bt why`."""

from __future__ import annotations

import json

import click

from buildtool.cli.complete import complete_target
from buildtool.cli.context import Context
from buildtool.fingerprint import Fresh, Maybe
from buildtool.foresee import Forecast, foresee
from buildtool.graph import JobId
from buildtool.project import Project
from buildtool.report.why import Explained, as_json, render_why


@click.command("why")
@click.argument("targets", nargs=-1, shell_complete=complete_target, required=True)
@click.option(
    "-s", "--set", "given", multiple=True, metavar="NAME=VALUE", help="Set a variable or parameter."
)
@click.option("--json", "as_json_", is_flag=True, help="Print one JSON value a target.")
@click.pass_obj
def command(context: Context, targets: tuple[str, ...], given: tuple[str, ...], as_json_: bool) -> int:
    """Say why a target is stale, down to the root cause; of a fresh one, what it was built from."""
    project = context.look(targets, given)
    want = project.want()
    forecast = foresee(project, want)
    paint = context.paint()
    for job in want.roots:
        explained = explain(project, forecast, job, set())
        if as_json_:
            click.echo(json.dumps(as_json(explained), ensure_ascii=True))
        else:
            click.echo("\n".join(render_why(explained, paint)), color=paint.colour)
    if not want.roots:
        click.echo(f"{', '.join(targets)}: a source; nothing makes it")
    return 0


def explain(project: Project, forecast: Forecast, job: JobId, seen: set[JobId]) -> Explained:
    """A job with the chain of those before it that are the cause."""
    known = project.graph_jobs[job]
    look = forecast.looks[job]
    if job in seen:
        return Explained(known.name, look.verdict, look.record, seen=True)
    seen.add(job)
    causes = []
    if isinstance(look.verdict, Maybe):
        before: set[JobId | None] = {*(project.expander.graph.prerequisites(known) - set(known.after))}
        before |= {project.expander.maker(path) for path in (look.record.found if look.record else ())}
        looks = {p: forecast.looks[p] for p in before if p is not None and p in forecast.looks}
        causes = [p for p in sorted(looks) if not isinstance(looks[p].verdict, Fresh)]
    history = project.reader.history(key=known.key, limit=1)
    return Explained(
        known.name,
        look.verdict,
        look.record,
        tuple(explain(project, forecast, cause, seen) for cause in causes),
        tuple(history),
    )
