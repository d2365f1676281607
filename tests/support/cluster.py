"""A real dask cluster of processes that know nothing: another folder, and a `buildtool` that cannot be imported."""

from __future__ import annotations

import atexit
import functools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from support import copies
from support.begun import Begun
from support.nursery import Nursery, Started, end_with_us
from support.project import Project, clean_environment

__all__ = ["LAB", "DaskCluster", "Lab", "end_with_us", "kept", "kill", "lab"]

POISON = "raise ImportError('there is no buildtool on this machine')\n"


Process = subprocess.Popen[bytes] | Started


class DaskCluster:
    """A scheduler and workers with one thread each. To be closed."""

    def __init__(
        self, folder: Path, workers: int = 2, *, tls: tuple[str, ...] = (), python: str = sys.executable
    ) -> None:
        self.folder = folder
        self.tls = tls
        self.python = python
        folder.mkdir(parents=True, exist_ok=True)
        self.file = folder / "scheduler.json"
        (folder / "poison/buildtool").mkdir(parents=True, exist_ok=True)
        (folder / "poison/buildtool/__init__.py").write_text(POISON)
        self.file.unlink(missing_ok=True)
        self.scheduler = self._start("scheduler", "--port", "0", "--scheduler-file", str(self.file))
        self.address = self._address()
        self.workers: list[Process] = []
        for _ in range(workers):
            self.add_worker()

    def add_worker(self, resources: str = "") -> Process:
        """One more machine."""
        more = ("--resources", resources) if resources else ()
        process = self._start("worker", self.address, "--nthreads", "1", "--no-nanny", *more)
        self.workers.append(process)
        return process

    def close(self) -> None:
        """End all of it."""
        for process in (*self.workers, self.scheduler):
            process.kill()
        for process in (*self.workers, self.scheduler):
            process.wait()

    def _start(self, what: str, *words: str) -> Process:
        command = ["-m", f"distributed.cli.dask_{what}", "--no-dashboard", *words]
        command += ["--host", "127.0.0.1", *self.tls]
        env = {
            **os.environ,
            "PYTHONPATH": str(self.folder / "poison"),
            "DASK_TEMPORARY_DIRECTORY": str(self.folder),
        }
        with (self.folder / f"{what}.log").open("ab") as log:
            if self.python == sys.executable:
                out = log.fileno()
                return nursery().start(command, cwd=self.folder, env=env, stdout=out, stderr=out)
            return subprocess.Popen(
                [self.python, *command],
                cwd=self.folder,
                env=env,
                stdout=log,
                stderr=log,
                preexec_fn=end_with_us,  # noqa: PLW1509  nothing else runs in the child, and it calls one function
            )

    def _address(self) -> str:
        until = time.monotonic() + 60
        while time.monotonic() < until:
            try:
                return str(json.loads(self.file.read_text())["address"])
            except (OSError, ValueError):
                time.sleep(0.02)
        raise TimeoutError((self.folder / "scheduler.log").read_text())


@functools.cache
def nursery() -> Nursery:
    """Where the machines of all tests of this process come from."""
    found = Nursery()
    atexit.register(found.close)
    return found


def kill(process: subprocess.Popen[Any] | Started) -> None:
    """As when the machine is gone."""
    process.send_signal(signal.SIGKILL)
    process.wait()


class Lab(Project):
    """A project whose `bt` need not load the client of dask, which takes longer than most of what it does."""

    libraries = ("distributed",)

    def start(self, *words: str, **options: Any) -> Any:
        """Start `bt` and let it run; its output is a pipe. `env`: more variables."""
        env = {**clean_environment(), **(options.get("env") or {})}
        nursery = copies.fitting(words, env, *self.libraries)
        if nursery is None or options.keys() - {"env"}:
            return super().start(*words, **options)
        return Begun(nursery, ["-m", "buildtool", *words], self.folder, env)


LAB = """
    [bt]
    executor = "lab"

    [executors.lab]
    backend = "dask"
    address = "{address}"
"""


def lab(project: Project, cluster: DaskCluster, tasks: str) -> None:
    project.taskfile(LAB.format(address=cluster.address) + tasks)


def kept(cluster: DaskCluster) -> list[Path]:
    """What the machines keep."""
    return [path for path in cluster.folder.rglob("bt/contents/*") if path.is_file()]
