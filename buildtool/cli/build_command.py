"""`bt build`."""

from __future__ import annotations

import os
import shlex
import sys
import time
from contextlib import AbstractContextManager, closing, nullcontext
from typing import TYPE_CHECKING, TextIO

from buildtool.build.loop import Options
from buildtool.cli.building import Order, build
from buildtool.cli.context import Context, settings, usable_cpus
from buildtool.cli.printing import refused
from buildtool.errors import BtError, UsageError
from buildtool.executors.choose import check_executor
from buildtool.project import Request
from buildtool.report.model import Reporter
from buildtool.report.plain import Plain

if TYPE_CHECKING:
    from buildtool.report.trace import Trace


def command(  # one parameter an option
    context: Context,
    targets: tuple[str, ...],
    jobs: int | None = None,
    executor: str | None = None,
    dry_run_: bool = False,
    check: bool = False,
    keep_going: bool = False,
    force: bool = False,
    only: bool = False,
    given: tuple[str, ...] = (),
    rehash: bool = False,
    no_cache: bool = False,
    audit: bool = False,
    no_wait: bool = False,
    as_json: bool = False,
    quiet: bool = False,
    verbose: bool = False,
    trace: str | None = None,
    as_shell: bool = False,
    behind: tuple[str, ...] = (),
) -> int:
    """Bring targets (tasks or files) up to date; without any, the default ones.

    What stands behind `--` is what `{args}` means in the commands.
    """
    reporter = reporter_for(context, as_json=as_json, quiet=quiet, verbose=verbose)
    begun = time.monotonic()
    try:
        taskfile = context.taskfile()
        parallel = (jobs or taskfile.settings.jobs or usable_cpus()) > 1
        request = Request(
            targets,
            context.folder(taskfile),
            settings(given),
            behind,
            rehash,
            executor,
            parallel,
            context.where,
            given,
            only,
        )
        if executor is not None and (hint := check_executor(taskfile, executor)) is not None:
            raise UsageError(f"no executor is called `{executor}`", hint=hint)
        if as_shell:
            if dry_run_ or as_json or trace is not None:
                raise UsageError("`--shell` builds nothing: it does not go with `-n`, `--json` and `--trace`")
            from buildtool.cli.shell import shell

            return shell(context, taskfile, request)
        if trace is not None and dry_run_:
            raise UsageError("`--trace` goes with a build, and `--dry-run` is none")
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
                at_once=jobs or taskfile.settings.jobs or usable_cpus(),
                cache=not no_cache,
            )
        options = Options(
            jobs or taskfile.settings.jobs or usable_cpus(),
            keep_going,
            force,
            only,
            audit,
            shlex.join(["bt", "build", *targets]),
            cache=not no_cache,
        )
        unusual = (given, behind, rehash, audit, verbose, executor, force, only, trace)
        words = [word for word in sys.argv[1:] if word != "--json"]  # the answer is for who reads it
        words = words if context.is_usual and not any(unusual) else []
        with traced(trace) as told:
            order = Order(taskfile, request, options, reporter, words, told)
            return build(order, context.glimpse, wait=not no_wait)
    except (BtError, OSError) as error:
        from buildtool.report.jsonl import JsonLines

        if isinstance(error, BrokenPipeError) or not isinstance(reporter, JsonLines):
            raise
        cause = error if isinstance(error, BtError) else refused(error)
        reporter.error(cause)
        reporter.summary({}, time.monotonic() - begun, cause.exit_code)
        raise cause from None
    finally:
        reporter.close()


def traced(path: str | None) -> AbstractContextManager[Trace | None]:
    """What writes the file of `--trace`, if that is wanted."""
    if path is None:
        return nullcontext()
    from buildtool.report.trace import Trace

    return closing(Trace(os.path.abspath(path)))


def reporter_for(context: Context, *, as_json: bool, quiet: bool, verbose: bool) -> Reporter:
    """Who tells of the build: to programs, to GitHub Actions, or to a person."""
    if as_json:
        from buildtool.report.jsonl import JsonLines

        return JsonLines(own_stdout())
    if os.environ.get("GITHUB_ACTIONS") == "true":
        from buildtool.report.github import Github

        return Github(sys.stdout, context.paint(), quiet=quiet, verbose=verbose)
    if sys.stdout.isatty():
        from buildtool.report.live import Live

        return Live(sys.stdout, context.paint(), quiet=quiet, verbose=verbose)
    return Plain(sys.stdout, context.paint(), quiet=quiet, verbose=verbose)


def own_stdout() -> TextIO:
    """Standard output for events alone: what an interactive job writes goes to standard error instead."""
    sys.stdout.flush()
    stream = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return stream
