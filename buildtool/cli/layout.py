"""How help is laid out, also in a narrow terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterable

import click

from buildtool.report.paint import width_of

_WIDEST = 78  # columns


class _Help(click.HelpFormatter):
    """Leaves at least half of a line to what is said of an option."""

    def write_dl(self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:
        super().write_dl(rows, min(col_max, self.width // 2), col_spacing)


def help_of(command: click.Command, ctx: click.Context) -> str:
    """The help of a command."""
    formatter = _Help(width=min(_WIDEST, (width_of(sys.stdout) or 80) - 2))
    command.format_help(ctx, formatter)
    return formatter.getvalue().rstrip("\n")
