"""What the machine must do at least: the same calls to the system, with nothing around them."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterable
from contextlib import chdir
from pathlib import Path

from measured.projects import edges

PIECE = 1 << 20


def seconds(work: Callable[[], object]) -> float:
    """How long a call takes."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def stat_all(paths: Iterable[str]) -> float:
    """Seconds to look at each of these files."""
    stat = os.stat
    begun = time.perf_counter()
    for path in paths:
        stat(path)
    return time.perf_counter() - begun


def scan(folder: Path) -> float:
    """Seconds to list a directory."""
    return seconds(lambda: [entry.name for entry in os.scandir(folder)])


def spawn(folder: Path, shape: str, jobs: int) -> float:
    """Seconds for the bare commands of a project, two at a time."""
    program = shutil.which("cp" if shape == "wide" else "cat")
    assert program is not None  # noqa: S101  it is on each machine that has a shell
    count = 0
    with chdir(folder):
        begun = time.perf_counter()
        for output, inputs in edges(shape, jobs):
            if count == 2:
                os.wait()
                count -= 1
            _start(program, shape, output, inputs)
            count += 1
        for _ in range(count):
            os.wait()
        return time.perf_counter() - begun


def _start(program: str, shape: str, output: str, inputs: tuple[str, ...]) -> None:
    if shape == "wide":
        os.posix_spawn(program, ["cp", *inputs, output], os.environ)
        return
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    opened = [(os.POSIX_SPAWN_OPEN, 1, output, flags, 0o644)]
    os.posix_spawn(program, ["cat", *inputs], os.environ, file_actions=opened)


def read_all(paths: Iterable[str]) -> float:
    """Seconds to open and read each of these files."""
    buffer = bytearray(PIECE)
    begun = time.perf_counter()
    for path in paths:
        handle = os.open(path, os.O_RDONLY)
        while os.readv(handle, [buffer]) == PIECE:
            pass
        os.close(handle)
    return time.perf_counter() - begun
