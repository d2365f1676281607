"""`bt watch`."""

from __future__ import annotations

import gc
import os
import select
import shlex
import sys

from buildtool.build.loop import Options
from buildtool.cli.build_command import own_stdout
from buildtool.cli.building import mention_clusters, orphans
from buildtool.cli.context import Context, settings, usable_cpus
from buildtool.errors import UsageError
from buildtool.executors.choose import check_executor
from buildtool.paths import STATE
from buildtool.project import Project, Request
from buildtool.report.rounds import JsonRounds, Rounds
from buildtool.session import Session
from buildtool.signals import Signals
from buildtool.state.store import State, StateReader
from buildtool.taskfile.load import load_taskfile
from buildtool.watch.loop import Habits, Screen, Watch

_LOOK = 0.05  # seconds between two looks whether another `bt` has ended


def command(  # one parameter an option
    context: Context,
    targets: tuple[str, ...],
    jobs: int | None,
    executor: str | None,
    debounce: int,
    poll: bool,
    force: bool,
    given: tuple[str, ...],
    no_cache: bool,
    audit: bool,
    as_json: bool,
    quiet: bool,
    verbose: bool,
    behind: tuple[str, ...],
) -> int:
    """Build targets (without any, the default ones), then again on every change that matters, until Ctrl-C.

    After a failure, all that does not need what failed is built, as with `bt build -k`.
    """
    gc.enable()
    screen: Screen = (
        JsonRounds(own_stdout())
        if as_json
        else Rounds(sys.stdout, context.paint(), quiet=quiet, verbose=verbose)
    )
    taskfile = context.taskfile()
    parallel = (jobs or taskfile.settings.jobs or usable_cpus()) > 1
    request = Request(
        targets,
        context.folder(taskfile),
        settings(given),
        behind,
        executor=executor,
        parallel=parallel,
        where=context.where,
        settings=given,
    )
    if executor is not None and (hint := check_executor(taskfile, executor)) is not None:
        raise UsageError(f"no executor is called `{executor}`", hint=hint)
    title = shlex.join(["bt", "watch", *targets])
    options = Options(
        jobs or taskfile.settings.jobs or usable_cpus(),
        keep_going=True,
        force=force,
        audit=audit,
        command=title,
        cache=not no_cache,
    )
    signals = Signals()

    def pause() -> bool:
        """While another `bt` is at work: a moment, or not any more."""
        select.select([signals.fileno()], [], [], _LOOK)
        return signals.code is None

    session = Session(
        taskfile.root,
        title,
        warn=screen.warning,
        note=screen.note,
        pause=pause,
        durable=taskfile.settings.durable,
    )

    told: list[str] = []

    def ended(project: Project, state: State, complete: bool) -> None:
        if not complete:
            return
        found = orphans(project, state, complete=not targets and not given)
        for text in found:
            if text not in told:
                screen.note(text)
        told[:] = found

    path = context.taskfile_path()
    os.chdir(taskfile.root)  # jobs that run in the root start faster when this process is there, too
    with signals:
        watch = Watch(
            lambda looked: load_taskfile(path, looked),
            request,
            options,
            Habits(debounce / 1000, poll),
            screen,
            session,
            signals,
            ended,
        )
        code = watch.run()
    with StateReader.open(os.path.join(taskfile.root, STATE)) as reader:
        mention_clusters(reader, screen)
    return code
