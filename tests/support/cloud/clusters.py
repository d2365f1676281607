"""Clusters: a scheduler and workers, from the request that made them to their end."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from support.cloud.machines import Machine, now
from support.cloud.packages import Environment
from support.cloud.settings import Settings
from support.cloud.tls import make_certificate
from support.nursery import Nursery

OVER = ("stopping", "stopped", "error")


class Cluster:
    """One cluster. `request`: the body of the call that made it."""

    def __init__(
        self,
        settings: Settings,
        folder: Path,
        number: int,
        workspace: str,
        request: dict[str, Any],
        software: Environment | None,
        nursery: Nursery,
    ) -> None:
        self.settings = settings
        self.folder = folder
        self.id = number
        self.workspace = workspace
        self.request = request
        self.software = software
        self.nursery = nursery
        self.name: str = request["name"]
        self.created = self.updated = now()
        self.state, self.reason = "pending", ""
        self.certificate, self.key = make_certificate(folder / "tls")
        self.history: list[dict[str, Any]] = []
        self.scheduler = self._machine(f"{self.name}-scheduler", "scheduler", 0)
        self.workers: list[Machine] = []
        self.extra: Machine | None = None
        self.desired = int(request.get("workers") or 0)
        self._count = 0
        self._tasks: set[asyncio.Task[Any]] = set()
        for _ in range(self.desired):  # the client gives up if fewer are listed than it waits for
            self.new_worker()

    def later(self, work: Coroutine[Any, Any, Any]) -> None:
        """Do something beside what is going on."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _machine(self, name: str, kind: str, number: int) -> Machine:
        def told(machine: Machine) -> None:
            self._note(kind, machine.name, machine.state, machine.reason)

        def stopped(why: str) -> None:
            self.later(self.stop(why) if why else self.fail("scheduler stopped unexpectedly"))

        place = self.folder / name
        return Machine(name, kind, self.id * 10_000 + number, place, told, stopped, self.nursery)

    def _note(self, kind: str, name: str, state: str, reason: str) -> None:
        about = {"updated": now(), "stateful_object": {"name": name}, "state": state, "reason": reason}
        self.history.append({"type": kind, **about})

    def set(self, state: str, reason: str = "") -> None:
        """Be in another state from now on."""
        self.state, self.reason, self.updated = state, reason, now()
        self._note("cluster", self.name, state, reason)

    # -- starting --------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Have all machines, unless that is to fail."""
        self.set("starting")
        if self.settings.fail_start:
            reason, self.settings.fail_start = self.settings.fail_start, ""
            self.scheduler.set("error", "error", reason)
            self.set("error", reason)
            return
        options = self.request.get("scheduler_options") or {}
        await self._boot(self.scheduler, {"options": options})
        if self.state in OVER:
            return
        self.set("scaling")
        if self.request.get("extra_worker_on_scheduler"):
            self.extra = self._machine(f"{self.name}-scheduler-worker", "worker", 9999)
            self.later(self.start_worker(self.extra))
        await asyncio.gather(*map(self.start_worker, self.workers))
        if self.state == "scaling":
            self.set("ready")

    async def start_worker(self, machine: Machine) -> None:
        """Have one more machine at work."""
        options = self.request.get("worker_options") or {}
        address = self.scheduler.info["address"]
        await self._boot(machine, {"name": machine.name, "scheduler": address, "options": options})

    def new_worker(self) -> Machine:
        """A machine that is to be a worker."""
        self._count += 1
        machine = self._machine(f"{self.name}-worker-{self._count:04d}", "worker", self._count)
        self.workers.append(machine)
        return machine

    async def _boot(self, machine: Machine, spec: dict[str, Any]) -> None:
        config = self.request.get("dask_config") or {}
        common = {
            "cert": str(self.certificate),
            "key": str(self.key),
            "dask_config": {k: v for k, v in config.items() if k in ("distributed", "scheduler")},
        }
        env = {k: v for k, v in os.environ.items() if not k.startswith(("DASK_", "PYTHON", "COILED_"))}
        env |= {
            "COILED_CLUSTER_NAME": self.name,
            "COILED_WORKSPACE_SLUG": self.workspace,
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONPATH": str(self.software.folder) if self.software is not None else "",
            **{k: str(v) for k, v in (self.request.get("environ") or {}).items()},
        }
        if "scheduler" in spec:
            env["COILED_INTERNAL_DASK_SCHEDULER_ADDRESS"] = spec["scheduler"]
        await machine.start({**common, **spec}, env, self.settings.hidden, self.settings.boot_seconds)

    # -- ending ----------------------------------------------------------------------------------------------

    async def stop(self, reason: str = "") -> None:
        """End it in order."""
        if self.state in ("stopping", "stopped"):
            return
        self.set("stopping", reason)
        await asyncio.gather(*(machine.stop(reason) for machine in self.machines()))
        self.set("stopped", reason)

    async def fail(self, reason: str) -> None:
        """The scheduler is gone, and so are the workers."""
        if self.state not in OVER:
            self.set("error", reason)
            await asyncio.gather(*(worker.stop(reason) for worker in self.machines()[:-1]))

    def machines(self) -> list[Machine]:
        """All of them, the scheduler last."""
        return [*self.workers, *([self.extra] if self.extra is not None else []), self.scheduler]

    def json(self) -> dict[str, Any]:
        """As the service tells of it."""
        address = self.scheduler.info.get("address", "tls://127.0.0.1:0")
        software = self.software
        return {
            "id": self.id,
            "name": self.name,
            "created": self.created,
            "updated": self.updated,
            "desired_workers": self.desired,
            "coiled_hosted": False,
            "backend_type": "vm_aws",
            "current_state": {"state": self.state, "reason": self.reason, "updated": self.updated},
            "cluster_options": {
                "tls_cert": self.certificate.read_text(),
                "tls_key": self.key.read_text(),
                "region_name": (self.request.get("options") or {}).get("region_name", "us-east-2"),
                "zone_name": None,
            },
            "cluster_infra": {"give_scheduler_public_ip": True, "current_state": {"state": "created"}},
            "scheduler_port": int(address.rsplit(":", 1)[1]),
            "scheduler": self.scheduler.json(),
            "workers": [worker.json() for worker in self.workers],
            "senv_alias": {"id": software.id, "name": software.name} if software is not None else None,
            "tags": self.request.get("tags") or {},
            "cost_per_hour": 0.0,
            "total_cost": 0.0,
            "billable_time": 0.0,
        }
