"""`bt build`."""

from __future__ import annotations

import os
import shlex
import sys
import time
from typing import TextIO

import click

from buildtool.build import Options
from buildtool.cli.building import Order, build
from buildtool.cli.complete import complete_target
from buildtool.cli.context import Context, settings, usable_cpus
from buildtool.cli.printing import refused
from buildtool.errors import BtError, UsageError
from buildtool.executors.choose import check_executor
from buildtool.project import Request
from buildtool.report.jsonl import JsonLines
from buildtool.report.model import Reporter
from buildtool.report.plain import Plain


class Behind(click.Command):
    """A command whose words behind the first `--` are no options and no targets: they come as `behind`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click does with what stands before the `--`."""
        at = args.index("--") if "--" in args else len(args)
        ctx.params["behind"] = tuple(args[at + 1 :])
        return super().parse_args(ctx, args[:at])


@click.command("build", cls=Behind)
@click.argument("targets", nargs=-1, shell_complete=complete_target)
@click.option("-j", "--jobs", type=click.IntRange(min=1), metavar="N", help="Run N jobs at a time.")
@click.option("-e", "--executor", metavar="NAME", help="Run all functions on this executor.")
@click.option(
    "-n", "--dry-run", "dry_run_", is_flag=True, help="Say what would run, and why; change nothing."
)
@click.option("--check", is_flag=True, help="With -n: exit with 4 if anything would run.")
@click.option("-k", "--keep-going", is_flag=True, help="After a failure, build all that does not need it.")
@click.option("-B", "--force", is_flag=True, help="Run the jobs even if they are fresh.")
@click.option("--only", is_flag=True, help="Build the targets alone, whatever they need.")
@click.option(
    "-s", "--set", "given", multiple=True, metavar="NAME=VALUE", help="Set a variable or parameter."
)
@click.option("--rehash", is_flag=True, help="Read every file, whatever its times say.")
@click.option("--audit", is_flag=True, help="Say which files functions open and do not declare.")
@click.option("--no-wait", is_flag=True, help="Exit with 6 if another bt is at work here.")
@click.option("--json", "as_json", is_flag=True, help="Print events as JSON, one a line.")
@click.option("-q", "--quiet", is_flag=True, help="Print failures and the closing sentence only.")
@click.option("-v", "--verbose", is_flag=True, help="Print what jobs print, too.")
@click.pass_obj
def command(  # one parameter an option: click's way
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
