"""Machines: processes that do not see the client's files where the system can hide them."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from support.nursery import Nursery, Started

NODE = Path(__file__).with_name("node.py")


def now() -> str:
    """The time as the service writes it."""
    return dt.datetime.now(dt.UTC).isoformat()


def hidden(folders: Sequence[str]) -> list[str]:
    """What to put before a command that is to see an empty directory in the place of each of these."""
    if not folders:
        return []
    flags = ["--mount"] if os.geteuid() == 0 else ["--map-root-user", "--mount"]
    numbers = range(1, len(folders) + 1)
    mounts = "".join(f'mount -t tmpfs tmpfs "${number}" || exit 97; ' for number in numbers)
    script = f'{mounts}shift {len(folders)}; exec "$@"'
    return ["unshare", *flags, "--propagation", "private", "sh", "-c", script, "sh", *folders]


def can_hide() -> bool:
    """Whether the system lets us."""
    if shutil.which("unshare") is None:
        return False
    return subprocess.run([*hidden(["/mnt"]), "true"], capture_output=True, check=False).returncode == 0


class Machine:
    """One machine with one process of dask on it. `tell` is told of each state; `stopped` when it stops by itself."""

    def __init__(
        self,
        name: str,
        kind: str,
        number: int,
        folder: Path,
        tell: Callable[[Machine], None],
        stopped: Callable[[str], Any],
        nursery: Nursery,
    ) -> None:
        self.name = name
        self.kind = kind
        self.number = number
        self.folder = folder
        self.created = self.updated = now()
        self.state, self.instance, self.reason = "pending", "queued", ""
        self.info: dict[str, Any] = {}
        self.process: Started | None = None
        self._nursery = nursery
        self._gone = asyncio.Event()
        self._tell = tell
        self._stopped = stopped
        self._ready = asyncio.Event()
        self._told_to_stop = False
        self._tasks: list[asyncio.Task[None]] = []

    def set(self, state: str, instance: str, reason: str = "") -> None:
        """Be in another state from now on."""
        self.state, self.instance, self.reason, self.updated = state, instance, reason, now()
        self._tell(self)

    async def start(
        self, spec: dict[str, Any], env: dict[str, str], hide: Sequence[str], boot_seconds: float
    ) -> None:
        """Run the process and wait until it is ready, or has ended."""
        self.set("pending", "starting")
        await asyncio.sleep(boot_seconds)
        self.set("starting", "ready")
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "log").open("ab") as log:
            out, told = os.pipe()
            self.process = self._nursery.start(
                [str(NODE), self.kind, json.dumps(spec)],
                cwd=self.folder,
                env={**env, "HOME": str(self.folder), "DASK_CONFIG": str(self.folder)},
                stdout=told,
                stderr=log.fileno(),
                hidden=hide,
            )
            os.close(told)
        self._tasks = [
            asyncio.create_task(self._read(out)),
            asyncio.create_task(self._end(self.process)),
        ]
        await self._ready.wait()
        if self.info:
            self.set("started", "ready")

    async def _read(self, out: int) -> None:
        reader = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(out, "rb", buffering=0)
        )
        async for line in reader:
            with contextlib.suppress(ValueError):
                told = json.loads(line)
                if told.get("ready"):
                    self.info = told
                    self._ready.set()
                elif "stopped" in told:
                    self._stopped(told["stopped"])

    async def _end(self, process: Started) -> None:
        process.wire.setblocking(False)
        process.ended(await asyncio.get_running_loop().sock_recv(process.wire, 100))
        code = process.returncode
        self._gone.set()
        self._ready.set()
        if self.state not in ("stopped", "stopping", "error"):
            state = "stopped" if self._told_to_stop or code == 0 else "error"
            self.set(state, state, "" if state == "stopped" else f"process exited with code {code}")
            if self.kind == "scheduler" and state == "error":
                self._stopped("")

    def lose(self) -> None:
        """Have it gone without a word, as when a spot instance is taken away."""
        if self.process is not None and self.process.returncode is None:
            os.killpg(self.process.pid, signal.SIGKILL)

    async def stop(self, reason: str = "") -> None:
        """End it in order."""
        self._told_to_stop = True
        if self.process is not None and self.process.returncode is None:
            self.set("stopping", "stopping", reason)
            self.process.terminate()
            try:
                await asyncio.wait_for(self._gone.wait(), 2)
            except TimeoutError:
                self.process.kill()
                await self._gone.wait()
        self.set("stopped", "stopped", reason)

    def json(self) -> dict[str, Any]:
        """As the service tells of it."""
        state = {"state": self.state, "reason": self.reason, "updated": self.updated}
        return {
            "created": self.created,
            "name": self.name,
            "current_state": state,
            "dashboard_address": None,
            "instance": {
                "id": self.number,
                "created": self.created,
                "name": self.name,
                "public_ip_address": "127.0.0.1",
                "private_ip_address": "127.0.0.1",
                "instance_type_id": "m6i.xlarge",
                "current_state": {**state, "state": self.instance},
            },
        }
