"""The words of every command: its options and arguments, and what help says of them.

Does not know what a command does: that lives in the module of its name, which is imported when it is called. So help
and completion import nothing of it.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import click

from buildtool.cli.complete import complete_executor, complete_target

FORMATS = ("text", "dot", "mermaid", "json", "html")  # of `bt graph`
SHOWN = 20  # lines of `bt history`


class Number(click.ParamType):  # type: ignore[type-arg]  # not a generic in older versions
    """A whole number from `least` to `most`, if there is an end."""

    name = "number"

    def __init__(self, least: int, most: int | None = None) -> None:
        self._least = least
        self._most = most

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number; says what is wrong with one that cannot be used."""
        try:
            number = int(value)
        except ValueError:
            self.fail(f"`{value}` is not a whole number", param, ctx)
        if number < self._least or (self._most is not None and number > self._most):
            end = "on" if self._most is None else f"to {self._most}"
            self.fail(f"{number} is not a number from {self._least} {end}", param, ctx)
        return number


class Words(click.Command):
    """A command whose help also fits into a narrow terminal."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click does; an option without its value is told as one of this command, too."""
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            error.ctx = error.ctx or ctx
            raise

    def get_help(self, ctx: click.Context) -> str:
        """The help, laid out for the terminal."""
        from buildtool.cli.layout import help_of

        return help_of(self, ctx)


class Behind(Words):
    """A command whose words behind the first `--` are no options and no targets: they come as `behind`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click does with what stands before the `--`."""
        at = args.index("--") if "--" in args else len(args)
        ctx.params["behind"] = tuple(args[at + 1 :])
        return super().parse_args(ctx, args[:at])


def _command(
    name: str, example: str, kind: type[click.Command] = Words
) -> Callable[[Callable[[], None]], click.Command]:
    """Make a command of a function that has its words and its help, and does nothing; the help ends with an example."""

    def make(words: Callable[[], None]) -> click.Command:
        def call(*given: Any, **values: Any) -> Any:
            return importlib.import_module(f"buildtool.cli.{name}_command").command(*given, **values)

        call.__doc__, call.__dict__ = words.__doc__, words.__dict__
        return click.command(name, cls=kind, epilog=f"Example: {example}")(click.pass_obj(call))

    return make


_targets = click.argument("targets", nargs=-1, shell_complete=complete_target)
_jobs = click.option("-j", "--jobs", type=Number(1), metavar="N", help="Run N jobs at a time.")
_executor = click.option(
    "-e",
    "--executor",
    metavar="NAME",
    shell_complete=complete_executor,
    help="Run all functions on this executor.",
)
_given = click.option(
    "-s", "--set", "given", multiple=True, metavar="NAME=VALUE", help="Set a variable or parameter."
)
_no_cache = click.option(
    "--no-cache", is_flag=True, help="Neither keep outputs for later, nor take any that were kept."
)


@_command("build", "bt build report.txt -j 4", Behind)
@_targets
@_jobs
@_executor
@click.option(
    "-n", "--dry-run", "dry_run_", is_flag=True, help="Say what would run, and why; change nothing."
)
@click.option("--check", is_flag=True, help="With -n: exit with 4 if anything would run.")
@click.option("-k", "--keep-going", is_flag=True, help="After a failure, build all that does not need it.")
@click.option("-B", "--force", is_flag=True, help="Run the jobs even if they are fresh.")
@click.option("--only", is_flag=True, help="Build the targets alone, whatever they need.")
@_given
@click.option("--rehash", is_flag=True, help="Read every file, whatever its times say.")
@_no_cache
@click.option("--audit", is_flag=True, help="Say which files functions open and do not declare.")
@click.option("--no-wait", is_flag=True, help="Exit with 6 if another bt is at work here.")
@click.option("--json", "as_json", is_flag=True, help="Print events as JSON, one a line.")
@click.option("-q", "--quiet", is_flag=True, help="Print failures and the closing sentence only.")
@click.option("-v", "--verbose", is_flag=True, help="Print what jobs print, too.")
@click.option("--trace", metavar="FILE", help="Write what was done when, for the trace viewer of Chrome.")
@click.option(
    "--shell", "as_shell", is_flag=True, help="Open a shell where the job of TARGET runs, as it runs."
)
def build() -> None:
    """Bring targets (tasks or files) up to date; without any, the default ones.

    What stands behind `--` is what `{args}` means in the commands.
    """


@_command("watch", "bt watch -q test", Behind)
@_targets
@_jobs
@_executor
@click.option(
    "--debounce",
    type=Number(0, 60_000),
    default=50,
    metavar="MS",
    help="Build when so long nothing has changed [50].",
)
@click.option("--poll", is_flag=True, help="Look every second, instead of being told by the system.")
@click.option("-B", "--force", is_flag=True, help="Run the jobs in the first build even if they are fresh.")
@_given
@_no_cache
@click.option("--audit", is_flag=True, help="Say which files functions open and do not declare.")
@click.option("--json", "as_json", is_flag=True, help="Print events as JSON, one a line.")
@click.option("-q", "--quiet", is_flag=True, help="Print failures and closing sentences only.")
@click.option("-v", "--verbose", is_flag=True, help="Print what jobs print, too.")
def watch() -> None:
    """Build targets (without any, the default ones), then again on every change that matters, until Ctrl-C.

    After a failure, all that does not need what failed is built, as with `bt build -k`.
    """


@_command("clean", "bt clean -n")
@_targets
@click.option("-n", "--dry-run", is_flag=True, help="Say what would be removed.")
@click.option("--orphans", is_flag=True, help="Only outputs that no task makes any more.")
@click.option("--logs", is_flag=True, help="The kept output of jobs.")
@click.option("--cache", "whole_cache", is_flag=True, help="The outputs of past runs.")
@click.option("--state", "whole_state", is_flag=True, help="All that bt remembers; outputs stay.")
@click.option(
    "--cluster",
    is_flag=False,
    flag_value="",
    default=None,
    metavar="[NAME]",
    help="Stop the clusters of this project, or one of them.",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
def clean() -> None:
    """Remove outputs that bt wrote and nobody changed since: all, or those of targets."""


@_command("list", "bt list -v")
@click.option("-a", "--all", "everything", is_flag=True, help="Also tasks whose names begin with `_`.")
@click.option("-v", "--verbose", is_flag=True, help="Show what each task reads and writes.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_() -> None:
    """Show the tasks with their descriptions, by group."""


@_command("why", "bt why report.txt")
@click.argument("targets", nargs=-1, shell_complete=complete_target, required=True)
@_given
@click.option("--json", "as_json_", is_flag=True, help="Print one JSON value a target.")
def why() -> None:
    """Say why a target is stale, down to the root cause; of a fresh one, what it was built from."""


@_command("status", "bt status --check")
@_targets
@click.option("--check", is_flag=True, help="Exit with 4 if there is anything to do.")
@click.option("--follow", "follow_", is_flag=True, help="Show a build that is under way until it ends.")
@_given
@click.option("--json", "as_json", is_flag=True, help="Print one JSON value.")
def status() -> None:
    """Say for each task how many of its jobs are fresh, stale, failed or running."""


@_command("graph", "bt graph --format html -o graph.html")
@_targets
@click.option("--format", "form", type=click.Choice(FORMATS), default="text", help="How it is drawn.")
@click.option("--tasks", "of_tasks", is_flag=True, help="Draw tasks instead of jobs.")
@click.option("-o", "--output", metavar="FILE", help="Write the page of html to FILE.")
@_given
def graph() -> None:
    """Draw what targets (tasks or files) are made from; without any, the default ones."""


@_command("log", "bt log report.txt")
@click.argument("target", required=False, shell_complete=complete_target)
@click.option("--path", "only_path", is_flag=True, help="Print where the output is kept.")
def log() -> None:
    """Show what a target's jobs printed when they last ran; without a target, the job that ended last."""


@_command("history", "bt history -n 5")
@click.argument("what", required=False, metavar="[NUMBER|TARGET]", shell_complete=complete_target)
@click.option("-n", "limit", type=Number(1), metavar="N", help=f"Show N lines (default {SHOWN}).")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def history() -> None:
    """Show past builds, the latest first; the jobs of one (NUMBER), or the runs of a TARGET's jobs."""


@_command("check", "bt check")
@click.option("-v", "--verbose", is_flag=True, help="List the commands that `build` runs to get values.")
def check() -> None:
    """Say everything that is wrong with the Taskfile. Nothing is run."""


@_command("accept", "bt accept report.txt")
@_targets
def accept() -> None:
    """Take the present outputs of stale jobs as right, so that they do not run: all, or those of targets."""


@_command("init", "bt init")
@click.option("--force", is_flag=True, help="Write it even beside a Taskfile of go-task.")
def init() -> None:
    """Write a commented Taskfile.toml to start from. A file that is there is never overwritten."""


@_command("schema", "bt schema -o taskfile.schema.json")
@click.option("-o", "--output", metavar="FILE", help="Write it to FILE instead.")
def schema() -> None:
    """Print the JSON Schema of Taskfile.toml, with which editors check and complete."""
