"""`bt` itself: runs one command line, and makes exit codes of errors."""

from __future__ import annotations

import atexit
import contextlib
import io
import os
import sys
from typing import TYPE_CHECKING, Any

from buildtool.cli.context import Context
from buildtool.cli.printing import refused, standard_output
from buildtool.door import understood
from buildtool.errors import BtError, ExitCode

if TYPE_CHECKING:
    from buildtool.door import Glimpse

COMPLETION = "_BT_COMPLETE"  # the variable by which a shell asks


def main(glimpse: Glimpse | None = None) -> None:
    """Run one command and end the process with its exit code. `glimpse`: what the door saw of a build."""
    sys.setrecursionlimit(100_000)  # a chain of wildcard tasks is followed by recursion, on the heap
    code = run(sys.argv[1:], glimpse)
    if "threading" not in sys.modules or sys.modules["threading"].active_count() == 1:
        # A thread of a user's own pool that nobody can end is no reason to stay; else all is as at any end.
        atexit._run_exitfuncs()  # noqa: SLF001
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)  # to take a large graph apart takes a tenth of the time that it took to make it


def run(arguments: list[str], glimpse: Glimpse | None = None) -> int:
    """Run one command; its exit code. Errors are told on standard error."""
    _open_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal without UTF-8 is no reason to fail
    try:
        code = _run(arguments, glimpse)
        with standard_output():
            pass
    except BrokenPipeError:
        code = ExitCode.CLOSED
    except (BtError, OSError) as error:
        with contextlib.suppress(OSError, ValueError):
            tell(error if isinstance(error, BtError) else refused(error), _colour(arguments))
        code = ExitCode.STATE
    _close_streams()
    return int(code)


def _run(arguments: list[str], glimpse: Glimpse | None) -> int:
    try:
        if instruction := os.environ.get(COMPLETION):
            from buildtool.cli.commands import complete

            return complete(COMPLETION, instruction)
        if (asked := plain_build(arguments)) is not None:
            return _build(*asked, glimpse)
        from buildtool.cli.commands import call

        return call(arguments, glimpse)
    except BtError as error:
        tell(error, _colour(arguments))
        return int(error.exit_code)
    except KeyboardInterrupt:
        return int(ExitCode.INTERRUPTED)


def plain_build(arguments: list[str]) -> tuple[tuple[str, ...], dict[str, Any]] | None:
    """The targets and the options of a build that names no others than `understood` knows; None: click reads them.

    To import click, and what it needs to read the words, takes longer than many builds of one job.
    """
    if arguments[:1] != ["build"]:
        return None
    (_, *targets), options = understood(arguments)
    return None if any(not word or word[0] == "-" for word in targets) else (tuple(targets), options)


def _build(targets: tuple[str, ...], options: dict[str, Any], glimpse: Glimpse | None) -> int:
    try:
        from buildtool.cli.build_command import command

        return command(Context(None, None, "auto", glimpse), targets, **options)
    except (EOFError, KeyboardInterrupt):
        print(file=sys.stderr)  # what follows begins its own line, as with click
        return int(ExitCode.INTERRUPTED)


def _close_streams() -> None:
    """Let what the standard streams still hold go nowhere; Python would complain when it closes them."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _open_streams() -> None:
    """Give a process that was started without standard streams some that go nowhere."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, io.TextIOWrapper(io.FileIO(os.devnull, "w")))


def _colour(arguments: list[str]) -> str:
    """What `--color` says, also where the rest is not understood."""
    words = arguments[: arguments.index("--")] if "--" in arguments else arguments
    for word, following in zip(words, [*words[1:], ""], strict=False):
        if word.startswith("--color=") or word == "--color":
            return word.partition("=")[2] or following
    return "auto"


def tell(error: BtError, colour: str = "auto") -> None:
    """Show an error on standard error."""
    from buildtool.report.paint import Paint, wants_colour, width_of
    from buildtool.report.problems import render_error

    paint = Paint(wants_colour(colour, sys.stderr.isatty(), os.environ), width_of(sys.stderr))
    with contextlib.suppress(OSError):  # its own trouble is told when the error is
        sys.stdout.flush()
    lines = render_error(error, paint)
    if os.environ.get("GITHUB_ACTIONS") == "true":
        from buildtool.report.github import inert, marks

        lines = [*inert("".join(line + "\n" for line in lines)).splitlines(), *marks(error)]
    for line in lines:
        print(line, file=sys.stderr)
