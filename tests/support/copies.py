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
from support.nursery import Nursery

PATIENCE = 120  # seconds
_LATE = "account coiled contents courier dask drift futures kit messages parcels remote __main__ lifeline"
_LONG = 1 << 15  # characters of a command; longer ones do not fit into a question
_AT_START = ("PYTHON", "LC_", "LANG", "LD_")  # variables that a process reads when it starts


def _looks(env: Mapping[str, str]) -> tuple[object, ...]:
    """What a process takes over when it starts, as far as tests change it."""
    mask = os.umask(0o022)
    os.umask(mask)
    variables = sorted(
        (name, value)
        for name, value in env.items()
        if name.startswith(_AT_START) and name != "PYTHONFAULTHANDLER"  # which a nursery minds
    )
    limits = [resource.getrlimit(limit) for limit in (resource.RLIMIT_NOFILE, resource.RLIMIT_FSIZE)]
    return mask, variables, limits


@cache
def _nursery(*libraries: str) -> tuple[Nursery, tuple[object, ...]]:
    found = [module.name for module in pkgutil.walk_packages(buildtool.__path__, "buildtool.")]
    names = [name for name in found if name.split(".")[-1] not in _LATE.split()]
    return Nursery(*libraries, *names, bare=True), _looks(os.environ)


def fitting(words: tuple[str, ...], env: dict[str, str], *libraries: str) -> Nursery | None:
    """Where copies come from that have loaded these, too; None if a new process would do something else."""
    nursery, looks = _nursery(*libraries)
    return nursery if _looks(env) == looks and sum(map(len, words)) <= _LONG else None


def call(
    words: tuple[str, ...], cwd: Path, env: dict[str, str], *libraries: str
) -> tuple[int, str, str] | None:
    """Call `bt` and wait for it: its exit code and what it printed; None if a new process would do something else."""
    nursery = fitting(words, env, *libraries)
    if nursery is None:
        return None
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        program = ["-m", "buildtool", *words]
        process = nursery.start(program, cwd=cwd, env=env, stdout=out.fileno(), stderr=err.fileno())
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
