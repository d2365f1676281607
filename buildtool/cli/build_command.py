"""`bt build`."""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
import time
from collections import Counter
from typing import TextIO

from buildtool import door
from buildtool.build import Build, Options
from buildtool.cli.context import Context, settings, usable_cpus
from buildtool.cli.printing import refused
from buildtool.errors import BtError, DiskError, ExitCode, UsageError
from buildtool.executors.choose import check_executor, executors_of
from buildtool.plan import Status
from buildtool.project import Project, Request
from buildtool.ready import mask, opened, planned
from buildtool.report.jsonl import JsonLines
from buildtool.report.model import Reporter
from buildtool.report.plain import Plain, counted
from buildtool.session import writing
from buildtool.signals import Signals
from buildtool.state.store import State, StateReader
from buildtool.taskfile.specs import Taskfile
from buildtool.text import count, printable


def command(  # one parameter an option
    context: Context,
    targets: tuple[str, ...],
    jobs: int | None,
    executor: str | None,
    dry_run_: bool,
    check: bool,
    keep_going: bool,
    force: bool,
    only: bool,
    given: tuple[str, ...],
    rehash: bool,
    audit: bool,
    no_wait: bool,
    as_json: bool,
    quiet: bool,
    verbose: bool,
    behind: tuple[str, ...],
) -> int:
    """Bring targets (tasks or files) up to date; without any, the default ones.

    What stands behind `--` is what `{args}` means in the commands.
    """
    reporter: Reporter = (
        JsonLines(own_stdout())
        if as_json
        else Plain(sys.stdout, context.paint(), quiet=quiet, verbose=verbose)
    )
    begun = time.monotonic()
    try:
        taskfile = context.taskfile()
        parallel = (jobs or taskfile.settings.jobs or usable_cpus()) > 1
        request = Request(
            targets, context.folder(taskfile), settings(given), behind, rehash, executor, parallel
        )
        if executor is not None and (hint := check_executor(taskfile, executor)) is not None:
            raise UsageError(f"no executor is called `{executor}`", hint=hint)
        if check and not dry_run_:
            raise UsageError("`--check` goes with `--dry-run`")
        if dry_run_:
            from buildtool.cli.dry_run import dry_run

            return dry_run(
                context,
                taskfile,
                request,
                reporter,
                check=check,
                force=force,
                only=only,
                keep_going=keep_going,
                verbose=verbose,
            )
        options = Options(
            jobs or taskfile.settings.jobs or usable_cpus(),
            keep_going,
            force,
            only,
            audit,
            shlex.join(["bt", "build", *targets]),
        )
        unusual = (given, behind, rehash, audit, verbose, executor, force, only)
        words = [word for word in sys.argv[1:] if word != "--json"]  # the answer is for who reads it
        words = words if context.is_usual and not any(unusual) else []
        return build(taskfile, request, options, reporter, wait=not no_wait, words=words)
    except (BtError, OSError) as error:
        if isinstance(error, BrokenPipeError) or not isinstance(reporter, JsonLines):
            raise
        told = error if isinstance(error, BtError) else refused(error)
        reporter.error(told)
        reporter.summary({}, time.monotonic() - begun, told.exit_code)
        raise told from None


def own_stdout() -> TextIO:
    """Standard output for events alone: what an interactive job writes goes to standard error instead."""
    sys.stdout.flush()
    stream = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return stream


def build(
    taskfile: Taskfile,
    request: Request,
    options: Options,
    reporter: Reporter,
    *,
    wait: bool,
    words: list[str],
) -> int:
    """Build with the lock held; the exit code. `words`: the command, if it may be answered at the door next time."""
    with (
        writing(
            taskfile.root, options.command, wait=wait, warn=reporter.warning, note=reporter.note
        ) as state,
        Signals() as signals,  # after the lock: until then a signal simply ends the waiting
    ):
        if words and door.glimpse and still_rests(taskfile, state, options, reporter):
            return 0
        if state.clusters():
            from buildtool.cli.clusters import end_half_made

            end_half_made(taskfile, state, reporter.note, reporter.warning)
        project = opened(taskfile, state, request)
        want = planned(project, reporter.note, keep_going=options.keep_going, only=options.only)
        os.chdir(taskfile.root)  # jobs that run in the root start faster when this process is there, too
        executor = executors_of(taskfile, options.jobs, mask(taskfile))
        done = Build(project, want, state, executor, reporter, signals, options)
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
        if words and not code and not reporter.has_remarked:
            rest_now(project, state, words, done)
        reporter.summary(done.counts, done.seconds, code)
        if isinstance(reporter.gone, DiskError):
            raise reporter.gone
        return int(ExitCode.CLOSED if reporter.gone is not None and code is ExitCode.DONE else code)


def still_rests(taskfile: Taskfile, state: State, options: Options, reporter: Reporter) -> bool:
    """Whether files look different and hold what they held, so that there is nothing to do; that is said, then."""
    from buildtool.rest import put, renewed, same

    begun = time.monotonic()
    note, different = door.glimpse[0]
    os.chdir(taskfile.root)
    if not door.is_sealed(note) or (disk := same(state, taskfile.root, different)) is None:
        return False
    counts = Counter({Status.FRESH.value: note["jobs"]})
    number = state.begin_build(options.command)
    state.remember(disk.fresh)
    state.end_build(number, 0, counts)
    state.close()
    put(taskfile.root, renewed(note, different, disk))
    reporter.summary(counts, time.monotonic() - begun, ExitCode.DONE)
    return True


def rest_now(project: Project, state: State, words: list[str], done: Build) -> None:
    """Note that there is nothing to do any more, so that the next build can tell at once if there still is not."""
    jobs = done.rests()
    if jobs is None:
        return
    from buildtool.rest import put, saw

    words_for_it = counted(Counter({Status.FRESH.value: jobs}))
    noted = saw(project, words, (jobs, words_for_it), done.checker.made.values())
    if noted is not None:
        state.close()
        put(project.taskfile.root, noted)


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
    with contextlib.suppress(BtError):  # some job failed, so that it is not known what the tasks make
        found = [path for path in project.expander.orphans(project.owned) if project.disk.exists(path)]
    if not found:
        return []
    if project.taskfile.settings.orphans != "delete":
        return [
            f"{count(len(found), 'orphan')}: no task makes {some(found)} (`bt clean --orphans` removes them)"
        ]
    from buildtool.cli.clean_command import remove_outputs

    removed = remove_outputs(project, state, found)
    told = [f"removed {count(len(removed), 'orphan')}: {some(removed)}"] if removed else []
    if left := [path for path in found if path not in removed]:
        told.append(f"{count(len(left), 'orphan')} stayed, since somebody changed them: {some(left)}")
    return told


def some(paths: list[str]) -> str:
    """The first few of some paths."""
    return ", ".join(printable(path) for path in paths[:5]) + (", …" if len(paths) > 5 else "")
