"""Runs a command and says how long it took and how much memory it had."""

from __future__ import annotations

import os
import resource
import select
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

LIMIT = 300.0  # seconds that a command of a peer may take
OURS = ("bt", "ninja")  # waited for longer, as the goals are about them
PATIENCE = 1800.0
_GNU_TIME = shutil.which("time")


class TooLongError(Exception):
    """A command took longer than it may."""


@dataclass(frozen=True)
class Taken:
    """What a process took: wall seconds, and the peak of the largest process in it (MB; None: not known)."""

    seconds: float
    megabytes: float | None


def run(
    command: list[str],
    folder: Path,
    *,
    limit: float = LIMIT,
    memory: bool = False,
    env: Mapping[str, str] | None = None,
    check: bool = True,
) -> Taken:
    """Run a command to its end, which must be a good one with `check`.

    The system counts the memory of a process from its parent's on, so a small one is known only if a small parent
    starts it. GNU time is one, and costs a millisecond: so with `memory` only.
    """
    with tempfile.TemporaryDirectory() as box:
        told, errors = Path(box) / "told", Path(box) / "errors"
        if memory and _GNU_TIME:
            command = [_GNU_TIME, "-f", "%M", "-o", str(told), *command]
        with errors.open("wb") as stream:
            begun = time.perf_counter()
            process = subprocess.Popen(
                command,
                cwd=folder,
                env=None if env is None else {**os.environ, **env},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=stream,
                start_new_session=True,
            )
            ended = _wait(process.pid, limit)
            taken = time.perf_counter() - begun
        if not ended:
            os.killpg(process.pid, signal.SIGKILL)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if not ended:
            raise TooLongError(f"{command[0]} took more than {limit:.0f} s")
        if check and process.returncode:
            text = errors.read_text(errors="replace")[-2000:]
            raise SystemExit(f"{' '.join(command)}: exit code {process.returncode}\n{text}")
        peak = int(told.read_text().split()[-1]) if told.exists() else usage.ru_maxrss
    known = peak > resource.getrusage(resource.RUSAGE_SELF).ru_maxrss or (memory and _GNU_TIME)
    return Taken(taken, peak * 1024 / 1e6 if known else None)


def _wait(pid: int, limit: float) -> bool:
    """Whether a process ends in time; without asking now and then, which would round what is measured."""
    handle = os.pidfd_open(pid)
    try:
        return bool(select.select([handle], [], [], limit)[0])
    finally:
        os.close(handle)
