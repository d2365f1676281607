"""Builds in which one call of the system fails, or kills: each call can have its turn, those of SQLite included.

A process that has loaded `faulty.c` before the C library, and `bt`, is copied for each build. Run as a program, this
file is that process: it is asked by lines of JSON on its standard input.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).parents[1])

from support.forked import forked
from support.project import Run, clean_environment

SOURCE = Path(__file__).with_suffix(".c")
# Kinds of calls, as in `faulty.c`.
CREATE, READ, WRITE, SYNC, RENAME, UNLINK, MKDIR, COPY = (1 << bit for bit in range(8))
CHANGES = CREATE | WRITE | SYNC | RENAME | UNLINK | MKDIR
LOADED = (  # what a build imports late
    *("buildtool.cli.words", "buildtool.cli.build_command", "buildtool.executors.processes"),
    *("buildtool.executors.commands", "buildtool.executors.workers", "buildtool.pycode.code"),
)


@dataclass(frozen=True)
class Fault:
    """Which call fails: the one with this number (from 1) among those of these kinds; 0: they are but counted."""

    turn: int = 0
    kinds: int = CHANGES
    error: int = 0  # an errno; 0: the process is killed instead
    lasting: bool = False  # all that follow fail, too
    log: str = ""  # a file in which is noted what was brought to the disk


class Faulty:
    """Runs `bt` so. To be closed. `folder` and `clean` keep what several tests begin with."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clean: dict[tuple[str, ...], dict[str, str]] = {}
        library = folder / "faulty.so"
        words = [
            "gcc",
            "-O1",
            "-shared",
            "-fPIC",
            "-Wall",
            "-Werror",
            "-o",
            str(library),
            str(SOURCE),
            "-ldl",
        ]
        subprocess.run(words, check=True)
        self._process = subprocess.Popen(
            [sys.executable, __file__, str(library)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=clean_environment() | {"LD_PRELOAD": str(library)},
        )

    def bt(self, folder: Path, *words: str, fault: Fault | None = None) -> tuple[Run, int]:
        """Call `bt` in a project; how it went, and how many calls were counted. Of `build`, events are read."""
        if words[0] == "build":
            words = (words[0], "--json", *words[1:])
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        asked = {"folder": str(folder), "words": words, "fault": asdict(fault or Fault())}
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        told = json.loads(self._process.stdout.readline())
        events = []
        for line in told["out"].splitlines() if words[0] == "build" else []:
            with contextlib.suppress(ValueError):  # half a line, of who was killed
                events.append(json.loads(line))
        return Run(told["code"], told["out"], told["err"], events), told["count"]

    def close(self) -> None:
        """End it."""
        self._process.communicate()


def serve(library: str) -> None:
    """Do what is asked for until nobody can ask any more."""
    os.environ.pop("LD_PRELOAD")
    asked, told = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for name in LOADED:
        importlib.import_module(name)
    faults = ctypes.CDLL(library)
    faults.faulty_count.restype = ctypes.c_long
    for line in asked:
        question: dict[str, Any] = json.loads(line)
        fault, folder = Fault(**question["fault"]), question["folder"]

        def arm(fault: Fault = fault, folder: str = folder) -> None:
            faults.faulty_arm(
                os.fsencode(folder),
                ctypes.c_uint(fault.kinds),
                ctypes.c_long(fault.turn),
                fault.error,
                int(fault.lasting),
                os.fsencode(fault.log),
            )

        code, out, err = forked(Path(folder), *question["words"], by_the_door=True, before=arm)
        answer = {"code": code, "out": out, "err": err, "count": faults.faulty_count()}
        told.write(json.dumps(answer) + "\n")
        told.flush()


if __name__ == "__main__":
    serve(sys.argv[1])
