"""Which cluster an executor of the backend `coiled` wants: its name, its size, its machines.

Does not know whether there is one.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from buildtool.errors import ExecutorError, Place
from buildtool.taskfile.specs import DECORATED, ExecutorSpec
from buildtool.tuples import NamedTuple

IDLE = 20 * 60.0  # seconds without work, after which a cluster stops
KEEPALIVE = 30.0  # the same for serverless functions
MOST = 100  # machines for serverless functions
_LEAST_CPUS = 2  # of a machine that Coiled offers
_GIB = 1 << 30


class Wish(NamedTuple):
    """A cluster as it should be."""

    executor: str
    place: Place | None
    name: str
    project: str  # what the project is called: its clusters are marked with that
    root: str
    least: int
    most: int
    idle: float  # seconds
    keepalive: float | None  # seconds without a client, after which it stops; None: clients do not count
    settings: Mapping[str, Any]  # arguments of `coiled.Cluster` that decide what it is
    threads: int  # jobs at a time on each machine
    drift: str
    environ: Mapping[str, str] = MappingProxyType({})  # variables that are nobody else's business

    @property
    def workspace(self) -> str | None:
        """Of Coiled; None is the usual one."""
        return workspace_of(self.settings)


def wish(spec: ExecutorSpec, root: str, hardware: Mapping[str, float]) -> Wish:
    """What an `[executors.NAME]` table asks for; `hardware` (`cpus`, `memory` in bytes, `gpu`): of one task."""
    options = spec.options
    serverless = options.get("mode") == "function"
    project = os.path.basename(root) or "root"
    name = cluster_name(spec, root)
    table = {**options.get("worker", {}), **hardware}
    if serverless:
        name = f"{name}-{_mark(_machine(table))}"
    settings = dict(_machine(table)) | {key: options[key] for key in ("region",) if key in options}
    more = dict(options.get("options", {}))
    tags = {**more.pop("tags", {}), "bt-project": project}
    threads = 1 if serverless else max(1, int(table.get("cpus", 1)))
    offers = (
        {} if serverless else {key: float(table[key]) for key in ("cpus", "memory", "gpu") if key in table}
    )
    worker_options = {"nthreads": threads, **({"resources": offers} if offers else {})}
    if "cpus" not in table and not serverless:
        worker_options.pop("nthreads")  # as many as the machine has CPUs
    worker_options |= more.pop("worker_options", {})
    settings |= {"tags": tags, **more}
    if worker_options:
        settings["worker_options"] = worker_options
    if serverless:
        settings.setdefault("spot_policy", "spot_with_fallback")
        settings.setdefault("extra_worker_on_scheduler", True)
    least, most = _range(options.get("workers", [0, MOST] if serverless else 1))
    return Wish(
        spec.name,
        spec.place if spec.place.file else None,
        name,
        project,
        root,
        least,
        most,
        float(options.get("idle_timeout", IDLE)),
        float(options.get("keepalive", KEEPALIVE)) if serverless else None,
        settings,
        threads,
        str(options.get("drift", "warn")),
    )


def wish_of(target: str, root: str) -> Wish:
    """What `@coiled.function` asks for above a function of the project. The function is imported.

    Raises `ExecutorError` if that cannot be done.
    """
    from buildtool.runtime import modules

    try:
        told = vars(modules.find(target))
        given = dict(told["_cluster_kwargs"])
        local, name = told["_local"], told["_name"]
        idle = _seconds(given.pop("idle_timeout", None)) or IDLE
        keepalive = _seconds(told["keepalive"]) or KEEPALIVE
        least, most = _range(given.pop("n_workers"))
        environ = dict(told["_environ"] or {})
    except (Exception, SystemExit) as error:
        cause = " ".join(f"{type(error).__name__}: {error}".split())
        raise ExecutorError(f"`{target}` does not say where it runs: {cause}") from error
    if local:
        raise ExecutorError(
            f"`{target}` has `local=True`", hint="run it here with `-e local`, or take `local` away"
        )
    project = os.path.basename(root) or "root"
    given.pop("shutdown_on_close", None)
    options = given.get("worker_options") or {}
    return Wish(
        DECORATED,
        None,
        name,
        project,
        root,
        least,
        most,
        idle,
        keepalive,
        {**given, "tags": {**(given.get("tags") or {}), "bt-project": project}},
        int(options.get("nthreads") or 1),
        "warn",
        environ,
    )


def _seconds(value: Any) -> float:
    """A time as coiled takes it: a text such as "5 minutes", a number of seconds, or a `timedelta`."""
    from dask.utils import parse_timedelta

    return 0.0 if value is None else float(parse_timedelta(value) or 0.0)


def cluster_name(spec: ExecutorSpec, root: str) -> str:
    """What the cluster of an executor is called; those for functions have a mark of their machines behind that."""
    project = os.path.basename(root) or "root"
    return str(spec.options.get("name") or _name(f"bt-{project}-{spec.name}"))


def workspace_of(options: Mapping[str, Any]) -> str | None:
    """The workspace that arguments of `coiled.Cluster` name."""
    found = options.get("workspace") or options.get("account")  # as it was called earlier
    return str(found) if found else None


def _range(workers: Any) -> tuple[int, int]:
    if isinstance(workers, int | float):
        return int(workers), int(workers)
    least, most = workers
    return int(least), int(most)


def _machine(table: Mapping[str, Any]) -> Mapping[str, Any]:
    """What coiled calls what a machine has."""
    found: dict[str, Any] = {}
    if "vm_type" in table:  # the rest tells what such a machine has, and coiled takes either
        types = table["vm_type"]
        found["worker_vm_types"] = [types] if isinstance(types, str) else list(types)
    if "cpus" in table and "vm_type" not in table:
        found["worker_cpu"] = max(_LEAST_CPUS, round(table["cpus"]))
    if "memory" in table and "vm_type" not in table:
        found["worker_memory"] = f"{table['memory'] / _GIB:.4g} GiB"
    if "gpu" in table:
        found["worker_gpu"] = int(table["gpu"])
    return found


def _name(text: str) -> str:
    """A name that coiled takes."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", text).strip("-")[:60]


def _mark(table: Mapping[str, Any]) -> str:
    """What tells clusters with different machines apart."""
    return hashlib.sha256(repr(sorted(table.items())).encode()).hexdigest()[:6]
