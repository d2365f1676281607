"""Counts what one call of `bt` asks of the system, in a process of its own: nothing that takes time is measured."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any, NamedTuple

from support.project import Project, clean_environment

# Counters are put in before anything of `bt` is imported. They import something themselves, so that modules are asked
# for without them.
_COUNTING = """
import json, os, sys
told = sys.argv.pop(1)
here = os.getcwd()
counts = dict.fromkeys(("looks", "opened", "spawned", "statements", "scans"), 0)

def counted(name, function):
    def call(*given, **named):
        counts[name] += 1
        return function(*given, **named)
    return call

for name in ("stat", "lstat", "fstat"):
    setattr(os, name, counted("looks", getattr(os, name)))

def hook(event, given):
    if event == "open" and isinstance(given[0], (str, bytes)):
        path = os.path.abspath(os.fsdecode(given[0]))
        counts["opened"] += path.startswith(here) and not path.startswith(os.path.join(here, ".bt"))
    elif event in ("os.posix_spawn", "os.fork", "os.forkpty", "subprocess.Popen", "socket.sendmsg"):
        counts["spawned"] += 1
    elif event == "os.listdir" and given[0] == "/proc":
        counts["scans"] += 1

import sqlite3
connect = sqlite3.connect
def traced(*given, **named):
    connection = connect(*given, **named)
    connection.set_trace_callback(lambda _: counts.__setitem__("statements", counts["statements"] + 1))
    return connection
sqlite3.connect = traced
sys.addaudithook(hook)
"""
_NAMING = """
import sys
told = sys.argv.pop(1)
"""
_RUNNING = """
import atexit
before = {*sys.modules}

def tell():
    found = {"modules": sorted({*sys.modules} - before)}
    if "counts" in globals():
        found.update(counts)
    import json
    with open(told, "w") as file:
        json.dump(found, file)

atexit.register(tell)
from buildtool.__main__ import main
main()
"""


class Counts(NamedTuple):
    """What one call did."""

    looks: int  # calls of stat, lstat and fstat
    opened: int  # files of the project opened, those of the state left out
    spawned: int  # processes started, also those that another process is asked to start
    statements: int  # SQL statements, those by which SQLite begins and ends a transaction included
    scans: int = 0  # looks at all processes of the machine

    def without(self, each: Counts, jobs: int) -> Counts:
        """What is left if each of the jobs did so much."""
        return Counts(*(mine - jobs * its for mine, its in zip(self, each, strict=True)))

    def within(self, most: Counts) -> bool:
        """Whether no number is larger."""
        return all(mine <= its for mine, its in zip(self, most, strict=True))


def counts(project: Project, *words: str) -> Counts:
    """Call `bt`, which must end well, and count."""
    found = _call(project, _COUNTING, words, {})
    return Counts(*(found[name] for name in Counts._fields))


def modules(project: Project, *words: str, env: dict[str, str] | None = None) -> set[str]:
    """The modules that were imported when a call of `bt` had ended well."""
    found = _call(project, _NAMING, words, env or {})
    return {*found["modules"]}


def _call(project: Project, before: str, words: tuple[str, ...], env: dict[str, str]) -> dict[str, Any]:
    told = project.folder.parent / "told"
    subprocess.run(
        [sys.executable, "-c", f"import sys; del sys.path[0]\n{before}{_RUNNING}", str(told), *words],
        cwd=project.folder,
        env=clean_environment() | env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(told.read_text())
    return found
