"""The commands, and the options that stand before them, as click reads them.

Does not know how errors are told, and which exit codes they have.
"""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING, Any

import click

from buildtool import __version__
from buildtool.cli.context import Context
from buildtool.errors import ExitCode, UsageError
from buildtool.text import nearest, printable

if TYPE_CHECKING:  # for shells alone
    from click.shell_completion import CompletionItem

    from buildtool.door import Glimpse

# The words of each are in `words`; what it does lives in the module of its name, loaded when it is used.
COMMANDS = {
    "build": "bring targets up to date",
    "watch": "build, and again on every change that matters",
    "clean": "remove outputs that bt wrote and nobody changed since",
    "list": "show the tasks",
    "why": "say why a target is stale, or what it was built from",
    "status": "say what is fresh, stale, failed or running",
    "graph": "draw the jobs or the tasks",
    "log": "show the output of a job's last run",
    "history": "show past builds",
    "check": "say everything that is wrong with the Taskfile",
    "accept": "take the present outputs as right",
    "init": "write a commented Taskfile to start from",
    "schema": "print the JSON Schema of Taskfile.toml, for editors",
}


class Commands(click.Group):
    """Loads the words of commands when one is named, and suggests one for a misspelt name."""

    def get_help(self, ctx: click.Context) -> str:
        """The help, laid out for the terminal."""
        from buildtool.cli.layout import help_of

        return help_of(self, ctx)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The commands in the order in which people meet them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name, or None."""
        if cmd_name not in COMMANDS:
            return None
        from buildtool.cli import words

        found: click.Command = getattr(words, cmd_name if cmd_name != "list" else "list_")
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without loading them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Commands or options that begin so, without loading any."""
        from click.shell_completion import CompletionItem

        found = [CompletionItem(n, help=h) for n, h in COMMANDS.items() if n.startswith(incomplete)]
        return found + click.Command.shell_complete(self, ctx, incomplete)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, with a suggestion."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            found = nearest(args[0], COMMANDS)
            hint = f"did you mean `{found}`?" if found else "`bt --help` tells what there is"
            raise UsageError(f"no such command `{printable(args[0])}`", hint=hint) from error


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: bt init writes a Taskfile, and bt build builds what it says.",
)
@click.option("-C", "directory", metavar="DIR", help="Work as if started in DIR.")
@click.option("-f", "--file", "file", metavar="FILE", help="The Taskfile to use.")
@click.option("--color", type=click.Choice(["auto", "always", "never"]), default="auto", help="Colours.")
@click.version_option(__version__, prog_name="bt")
@click.pass_context
def bt(ctx: click.Context, directory: str | None, file: str | None, color: str) -> None:
    """Bring files up to date, by content. Tasks are in `Taskfile.toml`."""
    ctx.obj = Context(directory, file, color, ctx.obj)


def call(arguments: list[str], glimpse: Glimpse | None) -> int:
    """Call the command that a command line names; its exit code. Raises `BtError`, for wrong use, too."""
    try:
        result: Any = bt.main(arguments, prog_name="bt", standalone_mode=False, obj=glimpse)
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.Abort:
        return int(ExitCode.INTERRUPTED)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return int(ExitCode.USAGE)
    except click.ClickException as error:
        raise wrong_use(error) from error
    except SystemExit:  # click does so when whoever read its output has gone, and at no other time
        return int(ExitCode.CLOSED)
    return int(result) if isinstance(result, int) else int(ExitCode.DONE)


def complete(variable: str, instruction: str) -> int:
    """Answer the shell, for whom a mistake is no news: at worst there is no answer."""
    from click.shell_completion import shell_complete

    with contextlib.suppress(Exception):
        shell_complete(bt, {}, "bt", variable, instruction)
    return int(ExitCode.DONE)


def wrong_use(error: click.ClickException) -> UsageError:
    """What click refuses, as all other errors are told."""
    context = error.ctx if isinstance(error, click.UsageError) else None
    where = context.command_path if context is not None else "bt"
    hint = f"`{where} --help` tells what there is"
    if isinstance(error, click.NoSuchOption):
        found = nearest(error.option_name, error.possibilities or ())
        summary = f"no such option `{error.option_name}`"
        return UsageError(summary, hint=f"did you mean `{found}`?" if found else hint)
    text = error.format_message().rstrip(".")
    text = re.sub(r"'([^'\n]+)'", r"`\1`", text)
    return UsageError(text[:1].lower() + text[1:], hint=hint)
