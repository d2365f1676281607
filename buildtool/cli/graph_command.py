"""`bt graph`."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable

from buildtool.cli.context import Context
from buildtool.cli.printing import put, put_json, remark
from buildtool.errors import BtError, DiskError, ExitCode, UsageError
from buildtool.expand.targets import Wanted
from buildtool.foresee import foresee
from buildtool.graph import JobId
from buildtool.project import Project
from buildtool.report.drawing import (
    Drawing,
    draw_jobs,
    draw_tasks,
    graph_data,
    render_dot,
    render_mermaid,
    render_text,
    task_graph_data,
)
from buildtool.text import cause_of, printable

FORMATS = {"dot": render_dot, "mermaid": render_mermaid}


def command(
    context: Context,
    targets: tuple[str, ...],
    form: str,
    of_tasks: bool,
    output: str | None,
    given: tuple[str, ...],
) -> int:
    """Draw what targets (tasks or files) are made from; without any, the default ones."""
    if output is not None and form != "html":
        raise UsageError("`--output` is for `--format html`; the others are printed")
    if form == "html":
        from buildtool.cli.page import page

        text = page(context.look(targets, given))
        if output is None:
            put([text])
        else:
            write(os.path.join(context.start(), output), text)
            remark(f"wrote `{printable(output)}`")
        return ExitCode.DONE
    project = context.look(targets, given)
    with project.reader:
        expander = project.expander
        explicit = bool(targets) or project.taskfile.settings.default is not None
        if of_tasks:
            drawing = tasks_of(project, None if targets else project.all_jobs())
        else:
            want = wanted_jobs(project)
            jobs = expander.graph.closure(want.roots)
            found = found_inputs(project, jobs)
            if form == "json":
                put_json(graph_data(expander.graph, jobs, expander.missing, found))
                return ExitCode.DONE
            drawing = draw_jobs(expander.graph, want.roots, expander.missing, found, explicit=explicit)
    if form == "json":
        put_json(task_graph_data(drawing))
    elif form == "text":
        put(render_text(drawing, context.paint()))
    else:
        put(FORMATS[form](drawing))
    return ExitCode.DONE


def write(path: str, text: str) -> None:
    """Write a file. Raises `DiskError`."""
    try:
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        cause = cause_of(error)
        raise DiskError(f"cannot write `{printable(path)}`: {cause}") from error


def wanted_jobs(project: Project) -> Wanted:
    """The jobs asked for; what earlier builds tell of files with unknown names is filled in."""
    want = project.want(keep_going=True)
    graph = project.expander.graph
    if any(graph.jobs[job].growing for job in graph.closure(want.roots)):
        with contextlib.suppress(BtError):  # a file is missing: then less is known
            foresee(project, want)
    return want


def found_inputs(project: Project, jobs: Iterable[JobId]) -> dict[JobId, tuple[str, ...]]:
    """What jobs with a depfile turned out to read when they last ran."""
    graph = project.expander.graph
    records = {
        job: project.reader.job(graph.jobs[job].key)
        for job in jobs
        if project.expander.tasks[graph.jobs[job].task].depfile is not None
    }
    return {job: record.found for job, record in records.items() if record is not None}


def tasks_of(project: Project, everything: Wanted | None) -> Drawing:
    """The drawing of all tasks, or of those behind the targets."""
    graph = project.expander.graph
    want = everything or wanted_jobs(project)
    jobs = graph.closure(want.roots)
    names = {graph.jobs[job].task for job in jobs}
    kinds = {name: task.kind for name, task in project.expander.tasks.items() if everything or name in names}
    roots = list(dict.fromkeys(graph.jobs[job].task for job in want.roots))
    return draw_tasks(graph, jobs, kinds, None if everything else roots)
