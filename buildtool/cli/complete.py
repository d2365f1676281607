"""Tasks, files and executors for shell completion. Runs nothing and never fails: at worst it proposes nothing.

Imports nothing of the project: what there is to propose is noted (see `names`), or is asked of `propose`.
"""

from __future__ import annotations

import contextlib
import os
import re
from typing import TYPE_CHECKING

from buildtool.cli.context import Context
from buildtool.cli.names import Names, noted
from buildtool.text import printable

if TYPE_CHECKING:
    import click
    from click.shell_completion import CompletionItem

# Shells take a candidate as if it had been typed, not all of them with quotes: a name that holds anything with
# a meaning to one of them is left out.
PLAIN = re.compile(r"[\w@%+:,./-][\w@%+=:,./-]*")


def complete_target(ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Tasks, and files that tasks make, that begin with what was typed."""
    found: list[CompletionItem] = []
    with contextlib.suppress(Exception):
        from click.shell_completion import CompletionItem

        context = _context(ctx)
        names, root = _names(context)
        for name, desc in names.tasks:
            hidden = name.startswith("_") and not incomplete.startswith("_")
            if name.startswith(incomplete) and not hidden and PLAIN.fullmatch(name):
                found.append(CompletionItem(name, help=printable(desc) or None))
        folder = context.folder_in(root)
        for path in names.files:
            name = path.removeprefix(f"{folder}/") if folder else path
            if name.startswith(incomplete) and PLAIN.fullmatch(name):
                found.append(CompletionItem(name))
    return found


def complete_executor(
    ctx: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Executors that begin with what was typed."""
    found: list[CompletionItem] = []
    with contextlib.suppress(Exception):
        from click.shell_completion import CompletionItem

        names, _ = _names(_context(ctx))
        executors = (name for name in names.executors if name.startswith(incomplete))
        found += [CompletionItem(name) for name in executors if PLAIN.fullmatch(name)]
    return found


def _context(ctx: click.Context) -> Context:
    options = ctx.find_root().params  # the shared context is not made while completing
    return Context(options.get("directory"), options.get("file"), "never")


def _names(context: Context) -> tuple[Names, str]:
    """What can be proposed, and the project root."""
    taskfile = context.taskfile_path()
    names = noted(taskfile)
    if names is None:
        from buildtool.cli.propose import propose

        names = propose(taskfile)
    return names, os.path.dirname(taskfile)
