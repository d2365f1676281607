"""The jobs that a person means by a target, to look at what became of them."""

from __future__ import annotations

import contextlib

from buildtool.errors import BtError
from buildtool.expand.targets import stood_for
from buildtool.foresee import foresee
from buildtool.graph import Job, Kind
from buildtool.project import Project


def jobs_of_target(project: Project) -> list[Job]:
    """The jobs of the request's targets that run something; a group stands for what it needs.

    Files that are missing do not matter. Raises whatever else is wrong.
    """
    graph = project.expander.graph
    want = project.want(keep_going=True)
    if any(graph.jobs[job].growing for job in want.roots):
        with contextlib.suppress(BtError):  # then less is known
            foresee(project, want, lenient=True)
    pending = list(reversed(want.roots))
    found: dict[int, Job] = {}
    seen = set()
    while pending:
        job = graph.jobs[pending.pop()]
        if job.id in seen:
            continue
        seen.add(job.id)
        if job.kind is Kind.GROUP:
            meant = stood_for(project.expander, job) or graph.prerequisites(job)
            pending += sorted(meant, reverse=True)
        else:
            found[job.id] = job
    return list(found.values())
