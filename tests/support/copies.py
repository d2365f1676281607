"""`bt` called in processes that need not load it first: copies of one that has, and else as `python -m buildtool`.

A test that wants more of the process than how it ends and what it printed starts one itself.
"""

from __future__ import annotations

import os
import pkgutil
import resource
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import buildtool
from support.nursery import Nursery, Started

PATIENCE = 120  # seconds
_LATE = "account coiled contents courier dask drift futures kit messages parcels remote __main__ lifeline"
_LONG = 1 << 15  # characters of a command; longer ones do not fit into a question
_AT_START = ("PYTHON", "LC_", "LANG", "LD_")  # variables that a process reads when it starts


def _looks(env: Mapping[str, str]) -> tuple[object, ...]:
    """What a process takes over when it starts, as far as tests change it."""
    mask = os.umask(0o022)
    os.umask(mask)
    variables = sorted((name, value) for name, value in env.items() if name.startswith(_AT_START))
    limits = [resource.getrlimit(limit) for limit in (resource.RLIMIT_NOFILE, resource.RLIMIT_FSIZE)]
    return mask, variables, limits


@cache
def _nursery() -> tuple[Nursery, tuple[object, ...]]:
    found = [module.name for module in pkgutil.walk_packages(buildtool.__path__, "buildtool.")]
    names = [name for name in found if name.split(".")[-1] not in _LATE.split()]
    return Nursery(*names, bare=True), _looks(os.environ)


def start(
    words: tuple[str, ...], cwd: Path, env: dict[str, str], out: int, err: int, *, terminal: bool = False
) -> Started | None:
    """Start `bt` with this as its output, or its `terminal`; None if a new process would do something else."""
    nursery, looks = _nursery()
    if _looks(env) != looks or sum(map(len, words)) > _LONG:
        return None
    program = ["-m", "buildtool", *words]
    return nursery.start(program, cwd=cwd, env=env, stdout=out, stderr=err, terminal=terminal)


def call(words: tuple[str, ...], cwd: Path, env: dict[str, str]) -> tuple[int, str, str] | None:
    """Call `bt` and wait for it: its exit code and what it printed; None if a new process would do something else."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = start(words, cwd, env, out.fileno(), err.fileno())
        if process is None:
            return None
        try:
            code = process.wait(PATIENCE)
        finally:
            process.kill()
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(
                file.read().decode("utf-8", "surrogateescape").replace("\r\n", "\n").replace("\r", "\n")
            )
    return code, texts[0], texts[1]
