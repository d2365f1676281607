"""`bt build`."""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
import time
from typing import TextIO

import click

from buildtool.build import Build, Options
from buildtool.cli.complete import complete_target
from buildtool.cli.context import Context, settings, usable_cpus
from buildtool.cli.session import writing
from buildtool.errors import BtError, UsageError
from buildtool.executors.commands import Commands
from buildtool.expand.targets import idle_tasks
from buildtool.outside import Outside
from buildtool.project import Project, Request
from buildtool.report.jsonl import JsonLines
from buildtool.report.model import Reporter
from buildtool.report.plain import Plain
from buildtool.signals import Signals
from buildtool.state.store import State
from buildtool.taskfile.specs import Taskfile
from buildtool.text import count, printable


@click.command("build")
@click.argument("targets", nargs=-1, shell_complete=complete_target)
@click.option("-j", "--jobs", type=click.IntRange(min=1), metavar="N", help="Run N jobs at a time.")
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
@click.option("--no-wait", is_flag=True, help="Exit with 6 if another bt is at work here.")
@click.option("--json", "as_json", is_flag=True, help="Print events as JSON, one a line.")
@click.option("-q", "--quiet", is_flag=True, help="Print failures and the closing sentence only.")
@click.option("-v", "--verbose", is_flag=True, help="Print what jobs print, too.")
@click.pass_obj
def command(  # one parameter an option: click's way
    context: Context,
    targets: tuple[str, ...],
    jobs: int | None,
    dry_run_: bool,
    check: bool,
    keep_going: bool,
    force: bool,
    only: bool,
    given: tuple[str, ...],
    rehash: bool,
    no_wait: bool,
    as_json: bool,
    quiet: bool,
    verbose: bool,
) -> int:
    """Bring targets (tasks or files) up to date; without any, the default ones.

    What stands behind `--` is what `{args}` means in the commands.
    """
    words, args = split_args(targets)
    reporter: Reporter = (
        JsonLines(own_stdout())
        if as_json
        else Plain(sys.stdout, context.paint(), quiet=quiet, verbose=verbose)
    )
    begun = time.monotonic()
    try:
        taskfile = context.taskfile()
        request = Request(words, context.folder(taskfile), settings(given), args, rehash)
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
            shlex.join(["bt", "build", *words]),
        )
        return build(taskfile, request, options, reporter, wait=not no_wait)
    except BtError as error:
        if as_json:
            reporter.summary({}, time.monotonic() - begun, error.exit_code)
        raise


def own_stdout() -> TextIO:
    """Standard output for events alone: what an interactive job writes goes to standard error instead."""
    sys.stdout.flush()
    stream = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return stream


def split_args(words: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The targets, and what stands behind `--` on the command line (click takes the `--` itself away)."""
    if "--" not in sys.argv:
        return words, ()
    behind = sys.argv[sys.argv.index("--") + 1 :]
    return words[: len(words) - len(behind)], tuple(behind)


def build(taskfile: Taskfile, request: Request, options: Options, reporter: Reporter, *, wait: bool) -> int:
    """Build with the lock held; the exit code."""
    with (
        writing(
            taskfile.root, options.command, wait=wait, warn=reporter.warning, note=reporter.note
        ) as state,
        Signals() as signals,  # after the lock: until then a signal simply ends the waiting
    ):
        outside = Outside(state, taskfile.root, taskfile.settings.shell)
        project = Project(taskfile, state, request, outside)
        want = project.want(keep_going=options.keep_going, only=options.only)
        project.refuse_commands(want)
        if request.args and not any("{args}" in (t.spec.run or "") for t in project.expander.tasks.values()):
            raise UsageError("no task uses `{args}`, so nothing can stand behind `--`")
        if not request.targets and taskfile.settings.default is None:
            for idle in idle_tasks(project.expander):
                reporter.note(idle)
        os.chdir(taskfile.root)  # jobs that run in the root start faster when this process is there, too
        secrets = (os.environ.get(name, "") for name in taskfile.settings.secrets)
        executor = Commands(mask=tuple(os.fsencode(value) for value in secrets if value))
        code = Build(project, want, state, executor, reporter, signals, options).run()
        report_orphans(project, state, reporter, complete=not request.targets and not request.given)
        return int(code)


def report_orphans(project: Project, state: State, reporter: Reporter, *, complete: bool) -> None:
    """Say (or, with `orphans = "delete"`, see to it) that recorded outputs are left that no task makes any more."""
    if not complete:
        return
    orphans: list[str] = []
    with contextlib.suppress(BtError):  # some job failed, so that it is not known what the tasks make
        orphans = [path for path in project.expander.orphans(project.owned) if project.disk.exists(path)]
    if not orphans:
        return
    if project.taskfile.settings.orphans == "delete":
        from buildtool.cli.clean_command import remove_outputs

        removed = remove_outputs(project, state, orphans)
        if removed:
            reporter.note(f"removed {count(len(removed), 'orphan')}: {some(removed)}")
        if left := [path for path in orphans if path not in removed]:
            reporter.note(f"{count(len(left), 'orphan')} stayed, since somebody changed them: {some(left)}")
    else:
        reporter.note(
            f"{count(len(orphans), 'orphan')}: no task makes {some(orphans)} (`bt clean --orphans` removes them)"
        )


def some(paths: list[str]) -> str:
    """The first few of some paths."""
    return ", ".join(printable(path) for path in paths[:5]) + (", …" if len(paths) > 5 else "")
