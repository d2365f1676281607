"""`bt build TARGET --shell`: a shell where a job runs, with the variables that it is given."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterable

from buildtool.cli.context import Context
from buildtool.cli.printing import put
from buildtool.environment import Environment
from buildtool.errors import BtError, UsageError, raise_all
from buildtool.graph import Job, JobId, Kind
from buildtool.naming import target_of
from buildtool.paths import STATE
from buildtool.project import Project, Request
from buildtool.state.store import StateReader
from buildtool.taskfile.specs import Taskfile
from buildtool.text import cause_of, count, listing, printable, shell_word

_PLAIN = {"bash": ("--norc", "--noprofile"), "zsh": ("-f",)}  # nobody's own settings
_NAMED = 3  # jobs that are named where one is meant


def shell(context: Context, taskfile: Taskfile, request: Request) -> int:
    """Become that shell; what it ends with is the exit code. Raises `BtError` if there is no such job, or no shell."""
    reader = StateReader.open(os.path.join(taskfile.root, STATE))
    project = Project(taskfile, reader, request)
    raise_all(project.code_problems())
    job = _one(project, project.want().roots)
    folder = project.renderer.cwd(job)
    command = project.renderer.command(job, "1")
    first, *more = (command if command is not None else project.functions.text(job)).strip("\n").split("\n")
    put(
        [
            f"{context.paint().bold(printable(job.name))}: `exit` leaves",
            f"  in       {printable(folder or './')}",
            f"  command  {printable(first)}",
            *(f"           {printable(line)}" for line in more),
        ]
    )
    environment = dict(Environment(project.renderer, taskfile.settings.pass_env).of(job))
    program = project.renderer.shell(job)[0]
    name = posixpath.basename(program)
    environment["PS1"] = f"({printable(job.name)}) $ "
    if command is None:
        where = [*project.functions.path(project.renderer.task(job)), environment.get("PYTHONPATH", "")]
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, where))
    for path in project.expander.graph.paths(job.output_files()):
        project.disk.make_parents(path if "*" not in path else path.split("*", maxsplit=1)[0])
    reader.close()
    os.chdir(project.disk.absolute(folder) if folder else project.disk.root)
    try:
        os.execvpe(program, [program, *_PLAIN.get(name, ())], environment)  # noqa: S606  that is what was asked for
    except OSError as error:
        cause = cause_of(error)
        raise BtError(f"`{printable(program)}` cannot be started: {cause}") from error


def _one(project: Project, roots: Iterable[JobId]) -> Job:
    """The job that is meant. Raises `UsageError` if these are none, or several."""
    jobs = [project.graph_jobs[root] for root in roots]
    jobs = [job for job in jobs if job.kind is not Kind.GROUP]
    if len(jobs) == 1:
        return jobs[0]
    if not project.request.targets:
        raise UsageError("`--shell` needs the target whose job it is for")
    folder = project.request.folder
    names = [f"`{shell_word(target_of(project, job, folder))}`" for job in jobs[:_NAMED]]
    more = f" and {len(jobs) - _NAMED} more" if len(jobs) > _NAMED else ""
    raise UsageError(
        f"`--shell` is for one job, and {count(len(jobs), 'job')} are meant",
        hint=f"name one: {listing(names)}{more}" if jobs else None,
    )
