"""`bt why`."""

from __future__ import annotations

from collections.abc import Iterable

from buildtool.check import Look
from buildtool.cli.context import Context
from buildtool.cli.printing import put
from buildtool.errors import TaskfileError
from buildtool.executors.output import Mask
from buildtool.expand.targets import stood_for
from buildtool.fingerprint import FILE_KINDS, Change, Fresh, Item, Maybe, Stale, Verdict
from buildtool.foresee import Forecast, foresee
from buildtool.graph import Job, JobId
from buildtool.project import Project
from buildtool.pycode.model import Reach
from buildtool.ready import mask
from buildtool.report.data import render_json
from buildtool.report.why import Explained, as_json, render_why
from buildtool.texts import LONGEST

RUNS = 1000  # of a job that are looked at for what it ran for most often


def command(context: Context, targets: tuple[str, ...], given: tuple[str, ...], as_json_: bool) -> int:
    """Say why a target is stale, down to the root cause; of a fresh one, what it was built from."""
    project = context.look(targets, given)
    want = project.want(keep_going=True)
    forecast = foresee(project, want, lenient=True)
    paint = context.paint()
    for job in _meant(project, want.roots):
        explained = explain(project, forecast, job, set())
        if as_json_:
            put([render_json(as_json(explained), None)])
        else:
            put(render_why(explained, paint))
    if not want.roots:
        put([f"{', '.join(targets)}: a source; nothing makes it"])
    return 0


def _meant(project: Project, roots: Iterable[JobId]) -> Iterable[JobId]:
    """The roots, with the jobs that a glob stands for in its place, as far as they are known."""
    found: dict[JobId, None] = {}
    for root in roots:
        is_glob = root in project.expander.globs
        meant = stood_for(project.expander, project.graph_jobs[root]) if is_glob else ()
        found |= dict.fromkeys(sorted(meant) or [root])
    return found


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
    history = project.reader.history(key=known.key, limit=RUNS)
    code, reach = code_of(project, known, look)
    return Explained(
        known.name,
        with_texts(project, look),
        look.record,
        tuple(explain(project, forecast, cause, seen) for cause in causes),
        tuple(history),
        code=code,
        whole=reach.whole if reach else (),
        notes=reach.notes if reach else (),
    )


def with_texts(project: Project, look: Look) -> Verdict:
    """The verdict, with what changed sources said before and say now, as far as that was kept."""
    if not isinstance(look.verdict, Stale) or look.record is None:
        return look.verdict
    before = {item[:2]: item.digest for item in look.record.fingerprint.items}
    reasons = []
    for reason in look.verdict.reasons:
        was, now = before.get((reason.kind, reason.name)), None
        if reason.kind in FILE_KINDS and reason.change is Change.CHANGED and was is not None:
            old, stamp = project.reader.content(was), project.disk.memory.get(reason.name)
            if old is not None and stamp is not None and stamp[0] <= LONGEST:
                now = project.disk.text(reason.name, stamp[5])
            if now is not None:
                reasons.append(reason._replace(old=old, new=Mask(mask(project.taskfile)).clean(now)))
                continue
        reasons.append(reason)
    return Stale(tuple(reasons))


def code_of(project: Project, job: Job, look: Look) -> tuple[tuple[Item, ...], Reach | None]:
    """The parts of the code that a job was made by, and what it reaches today."""
    items = look.record.fingerprint.items if look.record is not None else ()
    digests = [item.digest for item in items if item.kind == "code" and item.digest is not None]
    parts = tuple(part for digest in digests for part in project.reader.code(digest))
    task = project.renderer.task(job)
    if task.spec.call is None and task.spec.script is None:
        return parts, None
    try:
        return parts, project.functions.reach(task)
    except TaskfileError:
        return parts, None  # told already, as the reason why it will fail
