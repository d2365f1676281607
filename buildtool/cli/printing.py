"""Results on standard output. Does not know what they mean."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

from buildtool.errors import DiskError
from buildtool.report.paint import Paint, width_of
from buildtool.text import cause_of, printable


@contextmanager
def standard_output() -> Iterator[BinaryIO]:
    """Standard output for bytes, flushed at the end. Raises `DiskError` if it takes no more, such as a full disk."""
    try:
        yield sys.stdout.buffer
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        cause = cause_of(error)
        raise DiskError(f"cannot write to standard output: {cause}") from error


def put(lines: Iterable[str]) -> None:
    """Print lines."""
    with standard_output():
        if os.environ.get("GITHUB_ACTIONS") == "true":
            from buildtool.report.github import inert

            lines = inert("".join(line + "\n" for line in lines)).splitlines()
        sys.stdout.writelines(line + "\n" for line in lines)


def put_json(value: Any) -> None:
    """Print one JSON document."""
    from buildtool.report.data import render_json

    put([render_json(value)])


def remark(text: str) -> None:
    """Say something on standard error that is no result."""
    for line in Paint(width=width_of(sys.stderr)).fold(text, "  "):
        sys.stderr.write(line + "\n")


def refused(error: OSError) -> DiskError:
    """What the system refuses `bt` itself (descriptors, memory), which is no bug of `bt`."""
    cause = cause_of(error)
    where = f" `{printable(str(error.filename))}`" if error.filename else ""
    return DiskError(f"the system refused{where}: {cause}")
