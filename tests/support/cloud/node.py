"""One machine: a real dask scheduler or worker as a process of its own.

Started with what it is to be as JSON on the command line. It has a directory and an import path of its own, so that
nothing of the user's project can be reached unless it was sent.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any

Data = dict[str, Any]
_PR_SET_PDEATHSIG = 1  # of Linux's <sys/prctl.h>


def say(**words: Any) -> None:
    """Tell whoever started this machine."""
    sys.stdout.write(json.dumps(words) + "\n")
    sys.stdout.flush()


def security(spec: Data) -> Any:
    """TLS with the one certificate of the cluster."""
    import distributed

    library: Any = distributed

    files = {
        f"tls_{who}_{what}": spec[what]
        for who in ("scheduler", "worker", "client")
        for what in ("cert", "key")
    }
    return library.Security(require_encryption=True, tls_ca_file=spec["cert"], **files)


def change(env: Data, unset: Iterable[str]) -> None:
    """Set and remove variables of this process."""
    os.environ.update(env)
    for name in unset:
        os.environ.pop(name, None)


class Handlers:
    """What Coiled's client asks of a scheduler besides what dask does."""

    def __init__(self, scheduler: Any, stop: Callable[[str], None]) -> None:
        self.scheduler = scheduler
        self.stop = stop
        self.env: Data = {}
        self.unset: list[str] = []
        self.keepalive: float | None = None
        scheduler.handlers.update(
            coiled_set_keepalive=self.set_keepalive,
            coiled_update_env_vars=self.update_env,
            coiled_unset_env_vars=self.unset_env,
            aws_update_credentials=self.credentials,
            test_env=self.env_for_worker,
        )

    async def set_keepalive(self, keepalive: Any = None) -> Data:
        """Stop so long after the last client has left."""
        from dask.utils import parse_timedelta

        self.keepalive = None if keepalive is None else float(parse_timedelta(keepalive) or 0)
        return {"status": "OK"}

    async def credentials(self, credentials: Any = None) -> Data:  # noqa: ARG002  named by who calls
        """Nothing here needs any."""
        return {"status": "OK"}

    async def update_env(self, env: Data) -> Data:
        """Set variables everywhere."""
        self.env.update(env)
        return await self._everywhere(env, [])

    async def unset_env(self, unset: list[str]) -> Data:
        """Remove variables everywhere."""
        self.unset.extend(unset)
        return await self._everywhere({}, unset)

    async def env_for_worker(self) -> Data:
        """What was set before that worker was there."""
        return {"env": self.env, "unset": self.unset}

    async def _everywhere(self, env: Data, unset: list[str]) -> Data:
        change(env, unset)
        if self.scheduler.workers:
            await self.scheduler.broadcast(msg={"op": "test_env", "env": env, "unset": unset})
        return {"status": "OK"}

    async def watch(self) -> None:
        """Stop the cluster when every client has been gone for `keepalive`."""
        alone_since: float | None = None
        seen = False
        while True:
            await asyncio.sleep(0.1)
            if any(name != "fire-and-forget" for name in self.scheduler.clients):
                seen, alone_since = True, None
            elif seen:
                alone_since = alone_since or time.monotonic()
                if self.keepalive is not None and time.monotonic() - alone_since > self.keepalive:
                    self.stop("no client for longer than keepalive")
                    return


async def run_scheduler(spec: Data) -> None:
    """Be the scheduler until it is stopped, or stops by itself."""
    import distributed

    library: Any = distributed
    done = asyncio.Event()
    reasons: list[str] = []

    def stop(why: str) -> None:
        reasons.append(why)
        done.set()

    options = {name: value for name, value in spec["options"].items() if name == "idle_timeout"}
    async with library.Scheduler(
        host="127.0.0.1", port=0, protocol="tls", security=security(spec), dashboard=False, **options
    ) as scheduler:
        handlers = Handlers(scheduler, stop)
        say(ready=True, address=scheduler.address)
        watcher = asyncio.create_task(handlers.watch())
        ends = {asyncio.create_task(scheduler.finished()), asyncio.create_task(done.wait())}
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        watcher.cancel()
        say(stopped=reasons[0] if reasons else "scheduler closed (idle timeout or shutdown)")


async def run_worker(spec: Data) -> None:
    """Be a worker until it is stopped."""
    import distributed

    library: Any = distributed
    secure = security(spec)
    os.environ["DASK_SCHEDULER_ADDRESS"] = spec["scheduler"]
    options = {
        name: value
        for name, value in spec["options"].items()
        if name in ("nthreads", "resources", "memory_limit") and value is not None
    }
    options.setdefault("nthreads", 1)

    async def test_env(env: Data, unset: list[str]) -> None:
        change(env, unset)

    async with library.core.rpc(
        spec["scheduler"], connection_args=secure.get_connection_args("worker")
    ) as scheduler:
        await test_env(**await scheduler.test_env())
    async with library.Worker(
        spec["scheduler"],
        name=spec["name"],
        security=secure,
        protocol="tls",
        host="127.0.0.1",
        local_directory=os.getcwd(),
        dashboard=False,
        **options,
    ) as worker:
        worker.handlers["test_env"] = test_env
        say(ready=True, address=worker.address)
        await worker.finished()


def main() -> None:
    """End with whoever started this."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    spec = json.loads(sys.argv[2])
    sys.path.insert(0, os.getcwd())  # as on such a machine; `-P` keeps the folder of this file out
    import dask.config

    dask.config.update(dask.config.config, spec["dask_config"])
    asyncio.run(run_scheduler(spec) if sys.argv[1] == "scheduler" else run_worker(spec))


if __name__ == "__main__":
    main()
