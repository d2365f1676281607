"""`bt check`."""

from __future__ import annotations

import posixpath

from buildtool.cli.context import Context
from buildtool.cli.printing import put, remark
from buildtool.errors import BtError, ExitCode, GraphError, ReportedError, TaskfileError, raise_all
from buildtool.expand.targets import cycle_error, idle_tasks, missing_files, wanted
from buildtool.expand.tasks import may_write
from buildtool.expand.variables import collect
from buildtool.graph import JobId, Kind
from buildtool.paths import parents, twin
from buildtool.project import Project
from buildtool.taskfile.load import read_taskfile
from buildtool.taskfile.pattern import Pattern
from buildtool.taskfile.specs import WAYS
from buildtool.text import count, printable


def command(context: Context, verbose: bool) -> int:
    """Say everything that is wrong with the Taskfile. Nothing is run."""
    taskfile, errors = read_taskfile(context.taskfile_path())
    project = context.look(taskfile=taskfile)
    with project.reader:
        if verbose:
            put(commands_for_values(project))
        wrong = problems(project, errors) if taskfile.is_whole else [*errors, *certain_problems(project)]
        for idle in idle_tasks(project.expander) if all_known(project) else ():
            remark(f"warning: {idle}")
        raise_all(wrong)
        jobs = sum(job.kind is not Kind.GROUP for job in project.graph_jobs)
    name = printable(project.taskfile.path)
    said = f"{name}: {count(len(project.taskfile.tasks), 'task')}, {count(jobs, 'job')}, nothing wrong"
    put(context.paint().fold(said, "  "))
    return ExitCode.DONE


def commands_for_values(project: Project) -> list[str]:
    """What `build` runs on the way to its decisions."""
    taskfile = project.taskfile
    found = [(f"vars.{name}", spec.sh) for name, spec in taskfile.vars.items() if spec.sh is not None]
    found += [(f"tasks.{t.name}.track", cmd) for t in taskfile.tasks.values() for cmd in t.track.cmd]
    found += [(f"tasks.{t.name}.hash", t.hash) for t in taskfile.tasks.values() if t.hash not in WAYS]
    executors = taskfile.executors.values()
    found += [(f"executors.{e.name}", str(e.options["factory"])) for e in executors if "factory" in e.options]
    return [f"{name}: `{printable(text)}` is run by `bt build`" for name, text in found]


def problems(project: Project, wrong: list[BtError]) -> list[BtError]:
    """Everything that is wrong, each mistake once; `wrong` is known already.

    While it cannot be told which jobs a task has, of others that is said which it cannot change.
    """
    errors = [*wrong, *project.errors]
    for name, spec in project.variables.specs.items():
        collect(errors, lambda name=name, spec=spec: project.variables.value(name, spec.place))  # type: ignore[misc]  # mypy cannot infer a lambda with a default
    errors += project.expander.errors
    errors = [error for error in errors if not isinstance(error, ReportedError)]
    errors += project.code_problems()
    errors += graph_problems(project) if all_known(project) else certain_problems(project)
    return list({(e.summary, e.place): e for e in errors}.values())


def all_known(project: Project) -> bool:
    """Whether it can be told of every task which jobs it has."""
    return project.taskfile.is_whole and project.wrong <= project.expander.tasks.keys()


def certain_problems(project: Project) -> list[BtError]:
    """Circles and missing files of tasks of one job, whatever those turn out to be that cannot be read yet."""
    expander, taskfile = project.expander, project.taskfile
    others: list[BtError] = []  # what is told here may be wrong
    for name, task in expander.tasks.items():
        if task.is_literal:
            collect(others, lambda name=name: expander.jobs_of(name))  # type: ignore[misc]  # as above
    collect(others, expander.drain)
    errors = [error for error, circle in circles(project) if all(is_certain(project, job) for job in circle)]
    unclear = [*project.wrong.difference(expander.tasks)]
    made = [may_write(taskfile, project.variables, project.disk, name) for name in unclear]
    if not taskfile.is_whole or None in made:
        return errors
    patterns = [pattern for found in made for pattern in found or ()]
    files = {
        file
        for file, job in expander.missing.items()
        if job is not None
        and is_certain(project, job)
        and not any(may_make(pattern, expander.graph.files[file].path) for pattern in patterns)
    }
    return [*errors, *missing_files(expander, files)]


def is_certain(project: Project, job: JobId) -> bool:
    """Whether a job is there whatever there is else."""
    task = project.expander.tasks.get(project.graph_jobs[job].task)
    return task is not None and task.is_literal


def may_make(pattern: Pattern, path: str) -> bool:
    """Whether a path is, or lies in, what an output stands for."""
    names = (path, twin(path), *parents(path)) if pattern.is_directory else (path, twin(path))
    return any(pattern.match(name) is not None for name in names)


def graph_problems(project: Project) -> list[BtError]:
    """What is wrong with the jobs of the default targets and of every task."""
    expander = project.expander
    errors: list[BtError] = []
    collect(errors, lambda: wanted(project.taskfile, expander, ()))
    for name in expander.tasks:
        collect(errors, lambda name=name: expander.jobs_of(name))  # type: ignore[misc]  # as above
        expander.drain()
    errors += expander.errors
    errors += [error for error, _ in circles(project)]
    errors += missing_files(expander)
    errors += template_problems(project)
    errors += surroundings_problems(project)
    return errors


def circles(project: Project) -> list[tuple[BtError, list[JobId]]]:
    """Each circle of jobs that does not wait for another circle, as an error and as it is."""
    graph = project.expander.graph
    waiting: dict[JobId, list[JobId]] = {}
    for job in graph.jobs:
        for other in graph.prerequisites(job):
            waiting.setdefault(other, []).append(job.id)
    found: list[tuple[BtError, list[JobId]]] = []
    spoilt: set[JobId] = set()
    while True:
        roots = [job.id for job in graph.jobs if job.id not in spoilt]
        circle = graph.cycle(roots)
        error = cycle_error(project.expander, roots)
        if circle is None or error is None:
            return found
        found.append((error, circle))
        pending = list(circle)
        while pending:
            one = pending.pop()
            if one not in spoilt:
                spoilt.add(one)
                pending += waiting.get(one, ())


def template_problems(project: Project) -> list[BtError]:
    """What is wrong with commands and environments once values are filled in."""
    renderer, index = project.renderer, project.expander.index
    errors: list[BtError] = []
    wrong = {*project.wrong, *index.refused.values()}
    for job in project.graph_jobs:
        if job.kind is Kind.GROUP or job.task in wrong:
            continue
        collect(errors, lambda job=job: renderer.command(job))  # type: ignore[misc]  # as above
        dotenv = renderer.task(job).dotenv  # one that is missing is told as what the job needs
        if all(project.disk.exists(path) and not index.candidates(path) for path in dotenv):
            collect(errors, lambda job=job: renderer.environment(job))  # type: ignore[misc]  # as above
    return errors


def surroundings_problems(project: Project) -> list[BtError]:
    """Directories and shells of jobs on this machine that are not there, and that nothing makes before they run."""
    errors: list[BtError] = []
    settled = not any(job.growing for job in project.graph_jobs)  # else not all is known that will be made
    for job in project.graph_jobs:
        task = project.renderer.task(job) if job.kind is not Kind.GROUP else None
        if task is None or job.task in project.wrong or task.needs or task.after:
            continue
        if task.spec.isolated or project.taskfile.is_remote(project.executor_of(job)):
            continue
        folder = project.renderer.cwd(job)
        is_there = not folder or project.disk.is_directory(folder)
        if not is_there and settled and not project.expander.holds_outputs(folder):
            text = f"`{printable(folder)}`: no such directory, and no task makes it"
            hint = "make it, or correct `cwd`"
            errors.append(GraphError(text, place=task.spec.at("cwd"), hint=hint))
        if task.command is not None and "PATH" not in task.env and not task.dotenv:
            program = project.renderer.shell(job)[0]
            if not is_there and "/" in program and program[0] != "/":
                continue  # it would be looked for in there
            where = posixpath.join(folder, program) if "/" in program else program
            if not _is_program(project, where) and not project.expander.index.candidates(where):
                place = task.spec.at("shell")
                hint = "install it, or name another `shell`"
                errors.append(
                    TaskfileError(f"no such program: `{printable(program)}`", place=place, hint=hint)
                )
    return errors


def _is_program(project: Project, where: str) -> bool:
    """Whether a program can be run: one with a `/` in its name is a path, the others are looked for."""
    import shutil  # slow to import

    return shutil.which(project.disk.absolute(where) if "/" in where else where) is not None
