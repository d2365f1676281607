"""`bt status`."""

from __future__ import annotations

import os

from buildtool.cli.clusters import status_data, status_lines
from buildtool.cli.context import Context, settings
from buildtool.cli.printing import put, remark
from buildtool.errors import ExitCode, UsageError
from buildtool.expand.targets import missing_files
from buildtool.fingerprint import Maybe, Stale
from buildtool.foresee import Forecast, foresee
from buildtool.graph import Kind
from buildtool.paths import STATE
from buildtool.project import Project, Request
from buildtool.report.data import render_json
from buildtool.report.status import STATES, render_status
from buildtool.state.lock import Holder, read_holder


def command(
    context: Context,
    targets: tuple[str, ...],
    check: bool,
    follow_: bool,
    given: tuple[str, ...],
    as_json: bool,
) -> int:
    """Say for each task how many of its jobs are fresh, stale, failed or running."""
    if follow_:
        if check or as_json:
            raise UsageError("`--follow` shows a build: it does not go with `--check` and `--json`")
        from buildtool.cli.follow import follow

        taskfile = context.taskfile()
        request = Request(targets, context.folder(taskfile), settings(given), where=context.where)
        code = follow(context, taskfile, request)
        if code is not None:
            return code
    project = context.look(targets, given)
    holder = read_holder(os.path.join(project.taskfile.root, STATE))
    want = project.want(keep_going=True)
    forecast = foresee(project, want, lenient=True)
    for error in missing_files(project.expander):
        remark(f"warning: {error.summary}")
    table = by_task(project, forecast, busy=holder is not None)
    if as_json:
        clusters = status_data(project.reader)
        put([render_json({"tasks": table, "building": _told(holder), "clusters": clusters}, None)])
    else:
        builds = project.reader.builds(1)
        paint = context.paint()
        lines = render_status(table, holder, builds[0] if builds else None, paint)
        lines += status_lines(project.taskfile, project.reader)
        put(lines)
    work = any(counts[state] for counts in table.values() for state in STATES if state != "fresh")
    return int(ExitCode.WORK if check and work else ExitCode.DONE)


def _told(holder: Holder | None) -> dict[str, object] | None:
    if holder is None:
        return None
    return {"pid": holder.pid, "command": holder.command, "started": holder.started}


def by_task(project: Project, forecast: Forecast, *, busy: bool) -> dict[str, dict[str, int]]:
    """Jobs by state, for each task."""
    running = {job.key for job in project.reader.running()} if busy else set()
    table: dict[str, dict[str, int]] = {}
    for number, look in forecast.looks.items():
        job = project.graph_jobs[number]
        if job.kind is Kind.GROUP:
            continue
        counts = table.setdefault(job.task, dict.fromkeys(STATES, 0))
        record = project.reader.job(job.key)
        if job.key in running:
            counts["running"] += 1
        elif isinstance(look.verdict, Stale | Maybe):
            failed = record is not None and record.status == "failed"
            counts["failed" if failed else "stale" if isinstance(look.verdict, Stale) else "waiting"] += 1
        else:
            counts["fresh"] += 1
    return table
