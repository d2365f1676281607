"""Results on standard output. Does not know what they mean."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

from buildtool.report.data import render_json


def put(lines: Iterable[str]) -> None:
    """Print lines."""
    sys.stdout.writelines(line + "\n" for line in lines)
    sys.stdout.flush()


def put_json(value: Any) -> None:
    """Print one JSON document."""
    put([render_json(value)])


def remark(text: str) -> None:
    """Say something on standard error that is no result."""
    sys.stderr.write(text + "\n")
