"""What a build would do, told without doing anything: the verdict on every wanted job.

Knows neither executors nor how a forecast looks on a screen.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field

from buildtool.check import Checker, Look
from buildtool.errors import BtError, GraphError, TaskfileError
from buildtool.expand.targets import Wanted, stood_for
from buildtool.fingerprint import Change, Fresh, Maybe, Reason, Stale, Verdict
from buildtool.graph import Form, Job, JobId, Kind
from buildtool.project import Project
from buildtool.state.records import Made

MANY = 200  # jobs whose records are read all at once


@dataclass(slots=True)
class Forecast:
    """The look at each job, every one behind what it waits for."""

    looks: dict[JobId, Look] = field(default_factory=dict)
    restored: set[JobId] = field(default_factory=set)  # of those that must run: whose outputs are kept
    checker: Checker | None = None  # that looked

    def will(self) -> list[JobId]:
        """The jobs that run in any case."""
        stale = (job for job, look in self.looks.items() if isinstance(look.verdict, Stale))
        return [job for job in stale if job not in self.restored]

    def may(self) -> list[JobId]:
        """The jobs that run if something before them comes out different."""
        return [job for job, look in self.looks.items() if isinstance(look.verdict, Maybe)]

    def fresh(self) -> list[JobId]:
        """The jobs that do not run."""
        return [job for job, look in self.looks.items() if isinstance(look.verdict, Fresh)]


def foresee(
    project: Project,
    want: Wanted,
    *,
    force: bool = False,
    only: bool = False,
    lenient: bool = False,
    brief: bool = True,
    going: Collection[str] = (),
) -> Forecast:
    """Judge every wanted job as if those before it had come out as they did last time.

    With `brief`, of jobs that have never run no more is worked out than that. Raises `GraphError` for an input that is
    missing, unless it is `lenient`: then the job that reads it will fail. `going`: files that go before anything runs.
    """
    found = Forecast()
    checker = project.checker(found.looks.__contains__, want)
    forced: set[JobId] = set()
    checker.forced = forced
    checker.brief = brief
    found.checker = checker
    if len(project.graph_jobs) >= MANY:
        project.reader.read_ahead()
    as_is = project.take_as_is(want, checker) if only else set()
    blockers: dict[JobId, set[JobId]] = {}
    for job in _in_order(project, want, checker, found, blockers):
        if job.id in as_is or (only and job.id not in want.roots):
            found.looks[job.id] = Look(Fresh())
            continue
        if force:
            forced.add(job.id)
        origins = _origins(project, job)
        if job.id in blockers:
            origins |= blockers[job.id]
        look = _look(project, checker, job, origins, blockers.values(), lenient=lenient)
        if isinstance(look.verdict, Fresh) and (folder := _shrinking(project, job, going)) is not None:
            look.verdict = Stale((Reason("input", folder, Change.CHANGED),))
        found.looks[job.id] = look
        if only and (error := checker.lacks(job, look)):
            raise error
        if not isinstance(look.verdict, Fresh):
            checker.uncertain[job.id] = job.name
        made: tuple[Made, ...] = ()
        if look.record is not None:
            made = look.record.outputs
            checker.made[job.id] = dict(made)
        project.expander.settle(job.id, tuple(m.path for m in made))
    _want_absent(project, found)
    return found


def _look(
    project: Project,
    checker: Checker,
    job: Job,
    origins: set[JobId],
    doubts: Iterable[set[JobId]],
    *,
    lenient: bool,
) -> Look:
    """The look at one job. `origins`: the jobs that decide what it reads, and whether there is such a job.

    `doubts` are jobs that decide what others read, so that this one may be there by an old list alone.
    """
    if job.kind is Kind.GROUP:
        waits = project.expander.graph.prerequisites(job)
        causes = tuple(dict.fromkeys(checker.uncertain[p] for p in sorted(waits) if p in checker.uncertain))
        if not causes and not lenient:
            project.expander.refuse_empty(job.id)
        return Look(Maybe(causes) if causes else Fresh())
    try:
        look = checker.look(job)
    except GraphError as error:
        waits = project.expander.graph.prerequisites(job)
        unclear = tuple(checker.uncertain[p] for p in sorted(waits) if p in checker.uncertain)
        unclear = unclear or tuple(
            checker.uncertain[p] for p in sorted(set().union(*doubts)) if p in checker.uncertain
        )
        if not unclear and lenient:
            return Look(Stale((Reason("broken", error.summary),)))
        if not unclear:
            raise
        return Look(Maybe(unclear))  # what it reads is told by something that will be made anew
    except TaskfileError as error:
        return Look(Stale((Reason("broken", error.summary),)))
    if not origins:
        return look
    causes = tuple(checker.uncertain[p] for p in sorted(origins) if p in checker.uncertain)
    certain = project.renderer.task(job).is_literal and not (
        look.record is not None and (job.growing or _hangs_on_names(look.verdict))
    )
    if causes and (isinstance(look.verdict, Fresh) or (not certain and job.id not in checker.forced)):
        look.verdict = Maybe(causes)  # what it reads, or whether there is such a job, is not known
    return look


def _shrinking(project: Project, job: Job, going: Collection[str]) -> str | None:
    """A directory that a job reads as a whole, and in which a file goes."""
    files = project.expander.graph.files
    folders = [files[f].path for f in job.input_files() if files[f].form is Form.DIRECTORY] if going else ()
    return next((folder for folder in folders for path in going if path.startswith(folder)), None)


def _hangs_on_names(verdict: Verdict) -> bool:
    """Whether a job runs for no other reason than that it reads other files than before, which others will name."""
    reasons = verdict.reasons if isinstance(verdict, Stale) else ()
    named = [
        r for r in reasons if r.kind in ("input", "need", "track.file") and r.change is not Change.CHANGED
    ]
    return bool(named) and all(r in named or r.kind == "command" for r in reasons)


def _origins(project: Project, job: Job) -> set[JobId]:
    """The jobs that decide whether there is this one: they make the table of its values, or files with open names."""
    task = project.renderer.task(job)
    if task.is_literal or job.kind is Kind.GROUP:
        return set()
    if task.rows_from is None and not project.expander.open_jobs:
        return set()
    graph = project.expander.graph
    found = set()
    if task.rows_from is not None:
        known = graph.by_path.get(task.rows_from.pattern.prefix)
        found.add(graph.files[known].producer if known is not None else None)
    for file in job.input_files():
        _, path, _, producer = graph.files[file]
        found |= {producer} if producer is not None else project.expander.takers(path)
    return {
        p for p in found if p is not None and (p in project.expander.open_jobs or task.rows_from is not None)
    }


def _in_order(
    project: Project, want: Wanted, checker: Checker, found: Forecast, blockers: dict[JobId, set[JobId]]
) -> Iterator[Job]:
    """Every job behind what it waits for; what a job reads is filled in as far as earlier builds tell.

    What had to be settled before it could be filled in is put into `blockers`.
    """
    graph = project.expander.graph
    grown: dict[JobId, tuple[JobId, ...]] = {}
    asked = want.asked
    stack = list(reversed(want.roots))
    on_path: set[JobId] = set()
    while stack:
        job = stack[-1]
        if job in found.looks:
            stack.pop()
            continue
        waits = [p for p in graph.prerequisites(graph.jobs[job]) if p not in found.looks and p not in on_path]
        if waits:
            on_path.add(job)
            stack += waits
            continue
        if graph.jobs[job].growing and grown.get(job) != graph.jobs[job].requires:
            grown[job] = graph.jobs[job].requires
            before = {*grown[job], *blockers.get(job, ())}
            _grow(project, job)
            after = graph.jobs[job]
            if after.kind is Kind.GROUP and job in asked:
                asked |= stood_for(project.expander, after)
            blockers[job] = before if after.growing else before - {*after.requires}
            continue
        makers = checker.makers(graph.jobs[job])
        if more := [p for p in makers if p not in found.looks and p not in on_path]:
            on_path.add(job)
            stack += more
            continue
        yield graph.jobs[job]
        on_path.discard(job)


def _grow(project: Project, job: JobId) -> None:
    """Fill in a job from what is there; what cannot be filled in stays open, as it is only a forecast."""
    expander = project.expander
    known = len(expander.errors)
    try:
        expander.grow(job)
        expander.drain()
    except BtError:
        return
    finally:
        del expander.errors[known:]


def _want_absent(project: Project, found: Forecast) -> None:
    """A job that will run needs its inputs on the disk: absent ones are made again first."""
    for job in reversed(list(found.looks)):
        look = found.looks[job]
        if isinstance(look.verdict, Fresh):
            continue
        for producer in look.absent:
            before = found.looks.get(producer)
            if before is None or not isinstance(before.verdict, Fresh):
                continue
            made = project.graph_jobs[producer].key
            if isinstance(look.verdict, Stale):
                before.verdict = Stale((Reason("wanted", made),))
            else:
                before.verdict = Maybe((project.graph_jobs[job].name,), is_wanted=True)
