"""One build with the lock held: answered, of what changed alone, or of all."""

from __future__ import annotations

import contextlib
import gc
import os
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from buildtool.build.loop import Build, Options
from buildtool.clean import remove_orphans, removed_lines, some
from buildtool.cone import Cone
from buildtool.errors import BtError, DiskError, ExitCode
from buildtool.executors.choose import executors_of
from buildtool.expand.targets import Wanted
from buildtool.graph import Kind
from buildtool.plan import Status
from buildtool.project import Project, Request
from buildtool.ready import mask, opened, planned
from buildtool.report.model import Reporter
from buildtool.report.plain import counted
from buildtool.rest import Seen, look, put, renewed, saw
from buildtool.session import writing
from buildtool.signals import Signals
from buildtool.state.store import State, StateReader
from buildtool.taskfile.specs import Taskfile
from buildtool.text import count, shell_word
from buildtool.tuples import NamedTuple

if TYPE_CHECKING:
    from buildtool.door import Glimpse
    from buildtool.report.trace import Trace

FEW = 2000  # jobs that are asked for one by one; of more all that is known is read at once


class Order(NamedTuple):
    """What is to be built, and how. `words`: the command, if it may be answered at the door next time."""

    taskfile: Taskfile
    request: Request
    options: Options
    reporter: Reporter
    words: list[str]
    trace: Trace | None = None  # what is told when the build did what


def build(order: Order, glimpse: Glimpse | None, *, wait: bool) -> int:
    """Build with the lock held; the exit code. `glimpse`: what was seen at the door."""
    taskfile, reporter = order.taskfile, order.reporter
    with writing(
        taskfile.root,
        order.options.command,
        wait=wait,
        warn=reporter.warning,
        note=reporter.note,
        durable=taskfile.settings.durable,
    ) as state:
        seen = None
        if order.words and glimpse is not None:
            note, different = glimpse
            seen = look(state, taskfile.root, note, different)
            if seen is not None and not seen.changed:
                return still_rest(order, state, note, different, seen)
        with Signals() as signals:  # after the lock: until then a signal simply ends the waiting
            if seen is not None and glimpse is not None:
                code = build_cone(order, state, signals, glimpse, seen)
                if code is not None:
                    return code
            return build_all(order, state, signals)


def build_all(order: Order, state: State, signals: Signals) -> int:
    """Plan, look at every job, and do what is to be done; the exit code."""
    taskfile, request, options, reporter = order.taskfile, order.request, order.options, order.reporter
    if state.clusters():
        from buildtool.cli.clusters import end_half_made

        end_half_made(taskfile, state, reporter.note, reporter.warning)
    project = opened(taskfile, state, request)
    want = planned(project, reporter.note, keep_going=options.keep_going, only=options.only)
    done = started(order, project, want, state, signals)
    try:
        code = done.run()
    except BtError:
        mention_clusters(state, reporter)
        raise
    for text in orphans(project, state, complete=not request.targets and not request.given):
        reporter.note(text)
    if code:
        for text in done.differing:
            reporter.warning(text)
    mention_clusters(state, reporter)
    if order.words and not code and not reporter.has_remarked:
        rest_now(project, state, order.words, done)
    return ended(done, reporter, code)


def build_cone(order: Order, state: State, signals: Signals, glimpse: Glimpse, seen: Seen) -> int | None:
    """Look at the jobs that changed files concern alone; the exit code, or None if that cannot be told from a note."""
    note, different = glimpse
    cone = Cone(note)
    jobs = cone.concerned(seen.changed, seen.gone)
    if jobs is None:
        return None
    few = len(jobs) < FEW
    if few:
        state.expect_few()
    project = opened(order.taskfile, state, order.request, few=few)
    project.disk.memory |= seen.disk.memory
    project.disk.fresh |= seen.disk.fresh
    done = started(order, project, cone.plant(project, jobs), state, signals)
    done.left = cone
    code = done.run()
    if not code and not order.reporter.has_remarked and not project.disk.away and done.rests() is not None:
        touched = cone.touched(done.plan.jobs())
        digests = seen.digests
        for made in done.checker.made.values():
            digests |= made
        again = None if touched is None else renewed(note, touched | {*different}, project.disk, digests)
        if again is not None:
            state.close()
            put(order.taskfile.root, again)
    return ended(done, order.reporter, code)


def started(order: Order, project: Project, want: Wanted, state: State, signals: Signals) -> Build:
    """A build that is ready to run, with its executor."""
    gc.freeze()  # the graph stays: there is no need to go through it again and again
    gc.enable()
    os.chdir(order.taskfile.root)  # jobs that run in the root start faster when this process is there, too
    executor = executors_of(order.taskfile, order.options.jobs, mask(order.taskfile))
    return Build(project, want, state, executor, order.reporter, signals, order.options, trace=order.trace)


def ended(done: Build, reporter: Reporter, code: ExitCode) -> int:
    """Say how a build came out; the exit code."""
    reporter.summary(done.outcomes.counts, done.seconds, code)
    if isinstance(reporter.gone, DiskError):
        raise reporter.gone
    return int(ExitCode.CLOSED if reporter.gone is not None and code is ExitCode.DONE else code)


def still_rest(order: Order, state: State, note: dict[str, Any], different: list[int], seen: Seen) -> int:
    """Files look different and hold what they held, so that there is nothing to do: that is noted and said."""
    begun = time.monotonic()
    counts = Counter({Status.FRESH.value: note["jobs"]})
    number = state.begin_build(order.options.command)
    state.remember(seen.disk.fresh)
    state.end_build(number, 0, counts)
    state.close()
    if (again := renewed(note, different, seen.disk, seen.digests)) is not None:
        put(order.taskfile.root, again)
    order.reporter.summary(counts, time.monotonic() - begun, ExitCode.DONE)
    gone = order.reporter.gone
    if isinstance(gone, DiskError):
        raise gone
    return int(ExitCode.DONE if gone is None else ExitCode.CLOSED)


def rest_now(project: Project, state: State, words: list[str], done: Build) -> None:
    """Note that there is nothing to do any more, so that the next build can tell at once if there still is not."""
    number = done.rests()
    if number is None:
        return
    closing = counted(Counter({Status.FRESH.value: number}))
    jobs = [job for job in done.plan.jobs() if project.graph_jobs[job].kind is not Kind.GROUP]
    found = saw(project, done.want, words, closing, jobs, done.checker.made.values())
    if found is not None:
        state.close()
        put(project.taskfile.root, found)


def mention_clusters(state: StateReader, reporter: Reporter) -> None:
    """Say which clusters are up, so that none is forgotten."""
    if state.clusters():
        from buildtool.cli.clusters import mention

        mention(state, reporter.note)


def orphans(project: Project, state: State, *, complete: bool) -> list[str]:
    """What to say of recorded outputs that no task makes any more; with `orphans = "delete"` they are removed."""
    if not complete:
        return []
    found: list[str] = []
    told: list[str] = []
    with contextlib.suppress(BtError):  # some job failed, so that it is not known what the tasks make
        found = [path for path in project.expander.orphans(project.owned) if project.disk.exists(path)]
        told += read_all_the_same(project)
    if not found:
        return told
    if project.taskfile.settings.orphans != "delete":
        number = count(len(found), "orphan")
        return [*told, f"{number}: no task makes {some(found)} (`bt clean --orphans` removes them)"]
    swept = remove_orphans(project.disk, state, found)
    state.commit()
    told += removed_lines(swept)
    for cause in dict.fromkeys(cause for _, cause in swept.kept):
        left = [path for path, why in swept.kept if why == cause]
        told.append(f"{count(len(left), 'orphan')} stayed, {cause}: {some(left)}")
    return told


def read_all_the_same(project: Project) -> list[str]:
    """What to say of files that count as sources although it was a task that made them, which is gone."""
    found = project.expander.read_orphans(project.owned)
    if not found:
        return []
    they = "it is" if len(found) == 1 else "they are"
    way_out = f"bt accept {shell_word(found[0])}" if len(found) == 1 else "bt accept FILE"
    return [f"no task makes {some(found)} any more, and {they} still read (`{way_out}`: it is yours)"]
