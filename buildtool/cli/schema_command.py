"""`bt schema`."""

from __future__ import annotations

import os

from buildtool.cli.context import Context
from buildtool.cli.printing import put_json, remark
from buildtool.errors import DiskError, ExitCode
from buildtool.report.data import render_json
from buildtool.taskfile.schema import json_schema
from buildtool.text import cause_of, printable


def command(context: Context, output: str | None) -> int:
    """Print the JSON Schema of Taskfile.toml, with which editors check and complete."""
    if output is None:
        put_json(json_schema())
        return ExitCode.DONE
    try:
        with open(os.path.join(context.start(), output), "w", encoding="utf-8") as file:
            file.write(render_json(json_schema()) + "\n")
    except OSError as error:
        cause = cause_of(error)
        raise DiskError(f"cannot write `{printable(output)}`: {cause.lower()}") from error
    remark(f"wrote `{printable(output)}`")
    return ExitCode.DONE
