"""The control plane as tests see it: a process of its own, and what can be done to it."""

from __future__ import annotations

import contextlib
import functools
import http.client
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from support.cloud.machines import can_hide
from support.cloud.settings import TOKEN
from support.nursery import Nursery

__all__ = ["Cloud", "Known", "can_hide"]


class Known(NamedTuple):
    """A cluster as the control plane knows it."""

    id: int
    name: str
    state: str
    workers: int  # that are at work
    request: dict[str, Any]  # what it was made by


class Cloud:
    """A control plane in a folder of its own. To be closed."""

    def __init__(self, folder: Path, *, hidden: Sequence[Path] = ()) -> None:
        self.folder = folder
        (folder / "home").mkdir(parents=True)
        tests = str(Path(__file__).parents[2])
        self._process = subprocess.Popen(
            [sys.executable, "-m", "support.cloud.server", str(folder)],
            env={**os.environ, "PYTHONPATH": tests},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().strip()
        self.set(hidden=[str(path) for path in hidden])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End all of it."""
        if "nursery" in self.__dict__:
            self.nursery.close()
        self._process.terminate()
        self._process.wait(30)
        if self._process.stdout is not None:
            self._process.stdout.close()

    @functools.cached_property
    def nursery(self) -> Nursery:
        """Where clients come from, in the network of who asks first."""
        return Nursery("coiled")

    @property
    def environment(self) -> dict[str, str]:
        """Variables that lead an unmodified client here and nowhere else."""
        home = self.folder / "home"
        return {
            "DASK_COILED__SERVER": self.url,
            "DASK_COILED__TOKEN": TOKEN,
            "DASK_COILED__CLIENT_PUBLIC_IP": "127.0.0.1",  # else a public service is asked
            "DASK_CONFIG": str(home / "dask"),  # else the user's own configuration is read
            "HOME": str(home),
            "AWS_EC2_METADATA_DISABLED": "true",  # else an address of the cloud is asked
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "NO_PROXY": "127.0.0.1,localhost",
            "no_proxy": "127.0.0.1,localhost",
        }

    # -- what there is ---------------------------------------------------------------------------------------

    @property
    def requests(self) -> list[tuple[str, str]]:
        """Method and path of every call so far."""
        return [(method, path) for method, path in self._get("/test/dump")["requests"]]

    def clusters(self, name: str | None = None) -> list[Known]:
        """All clusters there were, the newest last."""
        return [
            Known(
                told["id"],
                told["name"],
                told["current_state"]["state"],
                sum(worker["current_state"]["state"] == "started" for worker in told["workers"]),
                told["request"],
            )
            for told in self._get("/test/dump")["clusters"]
            if name in (None, told["name"])
        ]

    def wait_for(self, name: str, state: str, patience: float = 60) -> Known:
        """The newest cluster of that name, once it is in that state."""
        until = time.monotonic() + patience
        while time.monotonic() < until:
            found = self.clusters(name)
            if found and found[-1].state == state:
                return found[-1]
            time.sleep(0.05)
        raise TimeoutError(f"{name} is not {state}: {self.clusters()}")

    # -- what is done to it ----------------------------------------------------------------------------------

    def set(self, **settings: Any) -> None:
        """Change `Settings`."""
        self._post("/test/settings", settings)

    def refuse(self, message: str, status: int = 403) -> None:
        """Refuse the next creation."""
        self.set(refusal={"message": message, "status": status})

    def answer(self, status: int, seconds: float) -> None:
        """Answer every call with this status for a while."""
        self.set(answer=status, answer_until=time.time() + seconds)

    def lose_worker(self, name: str, number: int = 1) -> None:
        """Have a worker of a cluster gone."""
        self._post(f"/test/lose/{name}-worker-{number:04d}")

    def lose_scheduler(self, name: str) -> None:
        """Have the scheduler of a cluster gone."""
        self._post(f"/test/lose/{name}-scheduler")

    def stop(self, name: str) -> None:
        """Stop a cluster as if it had been idle."""
        self._post(f"/test/stop/{self.clusters(name)[-1].id}")

    def _get(self, path: str) -> Any:
        return json.loads(self._ask("GET", path))

    def _post(self, path: str, body: Any = None) -> None:
        self._ask("POST", path, json.dumps(body or {}))

    def _ask(self, method: str, path: str, body: str | None = None) -> bytes:
        host = self.url.removeprefix("http://")
        with contextlib.closing(http.client.HTTPConnection(host, timeout=30)) as connection:
            connection.request(method, path, body)
            return connection.getresponse().read()
