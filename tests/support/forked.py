"""`bt` called in copies of this process, which have all modules loaded: much faster than starting anew."""

from __future__ import annotations

import atexit
import json
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from multiprocessing import forkserver
from pathlib import Path

from buildtool import door
from buildtool.__main__ import main as command
from buildtool.cli import main as cli
from support.project import Run


def forked(
    folder: Path, *words: str, by_the_door: bool = False, before: Callable[[], object] = lambda: None
) -> tuple[int, str, str]:
    """Call `bt`: exit code and what it printed. `by_the_door`: as the command does, which looks there first.

    `before` is called in the copy.
    """
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        child = os.fork()
        if not child:
            code = 70
            try:
                atexit._clear()
                # The server that pools of this process are forked from is no child of the copy.
                vars(forkserver._forkserver).update(vars(type(forkserver._forkserver)()))  # type: ignore[attr-defined]
                os.chdir(folder)
                os.dup2(out.fileno(), 1)
                os.dup2(err.fileno(), 2)
                sys.stdout, sys.stderr = (os.fdopen(fd, "w", closefd=False) for fd in (1, 2))
                door.BEGUN = time.time_ns()
                sys.argv[1:] = words
                before()
                code = through_the_door() if by_the_door else cli.run([*words])
                sys.stdout.flush()
            except BaseException:  # noqa: BLE001
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(code)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        out.seek(0)
        err.seek(0)
        return code, out.read(), err.read()


def through_the_door() -> int:
    """What the command `bt` does; the exit code."""
    try:
        command()
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def forked_build(folder: Path, *words: str) -> Run:
    """`bt build`, with its events."""
    code, out, err = forked(folder, "build", "--json", *words)
    return Run(code, out, err, [json.loads(line) for line in out.splitlines()])


def forked_look(folder: Path, *words: str) -> tuple[set[str], set[str]]:
    """`bt build -n`: the jobs that will run, and those that may."""
    code, out, err = forked(folder, words[0], "--json", *words[1:])
    assert code == 0, out + err
    events = [json.loads(line) for line in out.splitlines()]
    jobs = next(event["forecast"] for event in events if event["event"] == "plan")
    will = {job["job"] for job in jobs if job["verdict"] == "will run"}
    may = {
        job["job"]
        for job in jobs
        if job["verdict"] == "may run" and job["reasons"] != ["its jobs are not known yet"]
    }
    return will, may
