"""Targets for shell completion. Runs nothing, writes nothing, never fails: at worst it proposes nothing."""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Iterator

import click
from click.shell_completion import CompletionItem

from buildtool.cli.context import Context
from buildtool.expand.expander import Expander
from buildtool.graph import Form
from buildtool.paths import STATE
from buildtool.project import Project, Request
from buildtool.state.store import StateReader
from buildtool.text import printable

PATIENCE = 0.3  # seconds; after that, files of more wildcard tasks are not looked for
# Shells take a candidate as if it had been typed, not all of them with quotes: a name that holds anything with
# a meaning to one of them is left out.
PLAIN = re.compile(r"[\w@%+:,./-][\w@%+=:,./-]*")


def complete_target(ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Tasks, and files that tasks make, that begin with what was typed."""
    with contextlib.suppress(Exception):
        return list(_proposals(ctx, incomplete))
    return []


def _proposals(ctx: click.Context, incomplete: str) -> Iterator[CompletionItem]:
    options = ctx.find_root().params  # the shared context is not made while completing
    context = Context(options.get("directory"), options.get("file"), "never")
    taskfile = context.taskfile()
    for spec in taskfile.tasks.values():
        hidden = spec.name.startswith("_") and not incomplete.startswith("_")
        if spec.name.startswith(incomplete) and not hidden:
            yield CompletionItem(spec.name, help=printable(spec.desc) or None)
    folder = context.folder(taskfile)
    with contextlib.suppress(Exception), StateReader.open(os.path.join(taskfile.root, STATE)) as reader:
        project = Project(taskfile, reader, Request())
        for path in dict.fromkeys(_files(project.expander)):
            name = path.removeprefix(f"{folder}/") if folder else path
            if name.startswith(incomplete) and PLAIN.fullmatch(name):
                yield CompletionItem(name)


def _files(expander: Expander) -> Iterator[str]:
    """The literal outputs, and those of wildcard tasks as far as they are quickly found."""
    yield from expander.index.names()
    end = time.monotonic() + PATIENCE
    for name, task in expander.tasks.items():
        if task.is_literal or time.monotonic() > end:
            continue
        with contextlib.suppress(Exception):
            for job in expander.jobs_of(name):
                for file in expander.graph.jobs[job].output_files():
                    known = expander.graph.files[file]
                    if known.form is not Form.GLOB:
                        yield known.path
