"""`bt build`."""

from __future__ import annotations

import os
import shlex
import sys
import time
from typing import TextIO

from buildtool.build import Options
from buildtool.cli.building import Order, build
from buildtool.cli.context import Context, settings, usable_cpus
from buildtool.cli.printing import refused
from buildtool.errors import BtError, UsageError
from buildtool.executors.choose import check_executor
from buildtool.project import Request
from buildtool.report.jsonl import JsonLines
from buildtool.report.model import Reporter
from buildtool.report.plain import Plain


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
        return build(Order(taskfile, request, options, reporter, words), context.glimpse, wait=not no_wait)
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
