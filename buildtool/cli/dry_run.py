"""`bt build --dry-run`: what would run or come back, what may run, what is fresh, each with its reason."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable, Sequence

from buildtool.check import Look
from buildtool.clean import plan_sweep
from buildtool.cli.context import Context, see_displaced
from buildtool.cli.printing import put, remark
from buildtool.errors import BtError, ExitCode, raise_all
from buildtool.estimate import cost, filled, shortest
from buildtool.fingerprint import Maybe, Reason, Stale
from buildtool.foresee import Forecast, foresee
from buildtool.graph import Job, JobId, Kind
from buildtool.paths import STATE
from buildtool.project import Project, Request
from buildtool.report.forecast import Cost, Foreseen, Times, render_forecast
from buildtool.report.jsonl import JsonLines
from buildtool.report.model import Reporter
from buildtool.report.reasons import describe
from buildtool.state.store import StateReader
from buildtool.taskfile.specs import Taskfile


def dry_run(
    context: Context,
    taskfile: Taskfile,
    request: Request,
    reporter: Reporter,
    *,
    check: bool,
    force: bool,
    only: bool,
    keep_going: bool,
    verbose: bool,
    at_once: int,
    cache: bool,
) -> int:
    """Print the forecast; the exit code, which is 4 with `check` if anything would or may run."""
    begun = time.monotonic()
    reader = StateReader.open(os.path.join(taskfile.root, STATE))
    project = Project(taskfile, reader, request)
    see_displaced(project)
    for warning in reader.warnings:
        if isinstance(reporter, JsonLines):
            reporter.warning(warning)
        else:
            remark(f"warning: {warning}")
    raise_all(project.code_problems())
    want = project.want(only=only, keep_going=keep_going)
    project.refuse_commands(want)
    cache = cache and taskfile.settings.cache is not None
    forecast = foresee(
        project, want, force=force, only=only, lenient=keep_going, brief=not cache, going=going(project)
    )
    if cache and forecast.checker is not None:
        from buildtool.restoring import coming_back  # most projects have none

        forecast.restored = coming_back(project, forecast.checker, forecast.looks)
    jobs = foreseen(project, forecast)
    work = any(job.word != "fresh" for job in jobs)
    code = ExitCode.WORK if check and work else ExitCode.DONE
    if isinstance(reporter, JsonLines):
        reporter.forecast(jobs, request.targets, costs(project, forecast))
        reporter.summary({"fresh": sum(job.word == "fresh" for job in jobs)}, time.monotonic() - begun, code)
    else:
        told = times(project, forecast, at_once), costs(project, forecast)
        put(render_forecast(jobs, context.paint(), *told, verbose=verbose))
    return int(code)


def going(project: Project) -> list[str]:
    """The orphans that the build will remove before it looks at anything."""
    found: list[str] = []
    if project.is_deleting:
        with contextlib.suppress(BtError):
            found = project.expander.orphans(project.owned)
    return plan_sweep(project.disk, project.reader, found).removable if found else []


def times(project: Project, forecast: Forecast, at_once: int) -> Times | None:
    """What the jobs will take, as learnt from their last runs; from others of their task, where there was none."""
    will, may = forecast.will(), forecast.may()
    if not (will or may):
        return None
    seconds = seconds_of(project, [project.graph_jobs[job] for job in (*will, *may)])
    waiters = waiters_of(project, seconds)
    found = []
    for part in (dict.fromkeys(will), dict.fromkeys((*will, *may))):
        told = filled({job: seconds[job] for job in part if job in seconds})
        found.append(None if told is None else shortest(told, lambda job: waiters.get(job, ()), at_once))
    return Times(found[0], found[1], at_once)


def costs(project: Project, forecast: Forecast) -> list[Cost]:
    """What the jobs will cost on each executor that has a price, where any is to run there."""
    taskfile = project.taskfile
    prices = {name: price for name in taskfile.executors if (price := taskfile.price(name)) is not None}
    if not prices:
        return []
    will = {job for job in forecast.will() if not _only_comes_home(forecast.looks[job])}
    jobs = [project.graph_jobs[job] for job in (*will, *forecast.may())]
    seconds = seconds_of(project, jobs)
    there: dict[str, list[JobId]] = {}
    for job in jobs:
        if job.kind is not Kind.GROUP:
            there.setdefault(project.executor_of(job), []).append(job.id)
    found = []
    for name, price in prices.items():
        if name not in there:
            continue
        known = {job: seconds[job] for job in there[name]}
        sure = cost((time for job, time in known.items() if job in will), price)
        unknown = sum(time is None for time in known.values())
        found.append(Cost(name, price, sure, cost(known.values(), price), len(known), unknown))
    return found


def _only_comes_home(look: Look) -> bool:
    """Whether what a job made is on other machines, so that it need not run again."""
    return isinstance(look.verdict, Stale) and all(reason.kind == "away" for reason in look.verdict.reasons)


def seconds_of(project: Project, jobs: Sequence[Job]) -> dict[JobId, float | None]:
    """What each job will take, group jobs left out; None where neither it nor another one of its task ran."""
    known = project.reader.durations()
    is_known = all(job.key in known for job in jobs if job.kind is not Kind.GROUP)
    usual = {} if is_known else project.reader.usual_durations()
    return {job.id: known.get(job.key, usual.get(job.task)) for job in jobs if job.kind is not Kind.GROUP}


def waiters_of(project: Project, jobs: Iterable[JobId]) -> dict[JobId, list[JobId]]:
    """For each job those of `jobs` that wait for it."""
    waiters: dict[JobId, list[JobId]] = {}
    for number in jobs:
        for before in project.expander.graph.prerequisites(project.graph_jobs[number]):
            waiters.setdefault(before, []).append(number)
    return waiters


def foreseen(project: Project, forecast: Forecast) -> list[Foreseen]:
    """The forecast in words, group jobs left out."""
    found = []
    told: dict[tuple[Reason, ...], tuple[str, ...]] = {}  # most jobs have the reasons of another one
    for number, look in forecast.looks.items():
        job = project.graph_jobs[number]
        if job.kind is Kind.GROUP:
            if job.growing:
                found.append(Foreseen(job.name, job.task, "may run", ("its jobs are not known yet",)))
            continue
        match look.verdict:
            case Stale(reasons):
                words = told.get(reasons)
                if words is None:
                    words = told[reasons] = tuple(describe(r) for r in reasons)
                word = "restored" if number in forecast.restored else "will run"
                found.append(Foreseen(job.name, job.task, word, words))
            case Maybe() as maybe:
                found.append(Foreseen(job.name, job.task, "may run", maybe.conditions))
            case _:
                found.append(Foreseen(job.name, job.task, "fresh", ("nothing changed",)))
    return found
