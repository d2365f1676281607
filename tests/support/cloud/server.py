"""The control plane: HTTP in front of accounts, clusters and packages, with a side door for tests."""

from __future__ import annotations

import asyncio
import ctypes
import json
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from aiohttp import web

from support.cloud.clusters import OVER, Cluster
from support.cloud.packages import Packages
from support.cloud.settings import TOKEN, WORKSPACE, WORKSPACES, Settings
from support.nursery import Nursery

VM_TYPES = {  # cores, MiB, GPUs
    "m6i.large": (2, 8192, 0),
    "m6i.xlarge": (4, 16384, 0),
    "m6i.2xlarge": (8, 32768, 0),
    "g4dn.xlarge": (4, 16384, 1),
}
OPEN = ("/test/", "/api/v1/api-tokens-no-user/")  # calls without a token
_PR_SET_PDEATHSIG = 1  # of Linux's <sys/prctl.h>
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Server:
    """Everything that the service knows."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settings = Settings()
        self.packages = Packages(folder)
        self.nursery = Nursery()
        self.clusters: dict[int, Cluster] = {}
        self.seen: list[tuple[str, str]] = []

    def app(self) -> web.Application:
        """All calls."""

        @web.middleware
        async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
            return await self.guard(request, handler)

        app = web.Application(middlewares=[guard], client_max_size=1 << 30)
        add = app.router.add_route
        add("GET", "/api/v2/user/me", _always({"username": "tester", "default_account": {"slug": WORKSPACE}}))
        members = [
            {
                "account": {"id": number, "slug": name, "name": name},
                "is_admin": True,
                "is_default_account": name == WORKSPACE,
            }
            for number, name in enumerate(WORKSPACES, 1)
        ]
        add("GET", "/api/v2/user/me/memberships", _always(members))
        add("GET", "/api/v2/user/account/{ws}/usage", _always({"has_quota": True}))
        add("GET", "/api/v2/user/workspace/{ws}/dask-config-overrides", _always({}))
        add("GET", "/api/v1/{ws}/backend_options/", _always({"backend": "vm_aws", "options": {}}))
        add("GET", "/api/v1/vm-types/", self.vm_types)
        # A login in a browser that nobody ever completes.
        add("POST", "/api/v1/api-tokens-no-user/", _always({"identifier": "x", "token": "never"}, 201))
        self.packages.routes(app)
        base = "/api/v2/clusters/account/{ws}"
        add("GET", f"{base}/name/{{name}}", self.by_name)
        add("POST", f"{base}/", self.create)
        add("GET", f"{base}/", self.listed)
        add("GET", f"{base}/id/{{id:\\d+}}", self.details)
        add("DELETE", f"{base}/id/{{id:\\d+}}", self.delete)
        add("GET", f"{base}/id/{{id:\\d+}}/state", self.state)
        add("GET", f"{base}/id/{{id:\\d+}}/states", self.states)
        workers = "/api/v2/workers/account/{ws}/cluster/{id:\\d+}/"
        add("GET", workers, self.workers)
        add("POST", workers, self.scale_up)
        add("DELETE", workers, self.scale_down)
        add("POST", "/api/v2/clusters/id/{id:\\d+}/event", _always({}))
        add("POST", "/api/v2/analytics/{ws}/cluster/{id:\\d+}/span/{span}", _always({}))
        add("POST", "/api/v2/interactions/interaction", _always({}))
        add("GET", "/test/dump", self.dump)
        add("POST", "/test/settings", self.change_settings)
        add("POST", "/test/lose/{name}", self.lose)
        add("POST", "/test/stop/{id:\\d+}", self.idle_stop)
        app.on_cleanup.append(self.close)
        return app

    async def guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Note each call; answer some otherwise, as tests want it."""
        if not request.path.startswith("/test/"):
            self.seen.append((request.method, request.path))
        if not request.path.startswith(OPEN):
            if time.time() < self.settings.answer_until:
                return web.json_response({"message": "injected"}, status=self.settings.answer)
            if request.headers.get("Authorization") not in (f"ApiToken {TOKEN}", f"Token {TOKEN}"):
                return web.json_response({"detail": "Invalid token."}, status=401)
        return await handler(request)

    def _cluster(self, request: web.Request) -> Cluster:
        found = self.clusters.get(int(request.match_info["id"]))
        if found is None or found.workspace != request.match_info["ws"]:
            text = json.dumps({"message": "no such cluster"})
            raise web.HTTPNotFound(text=text, content_type="application/json")
        return found

    def _live(self, workspace: str, name: str) -> Cluster | None:
        found = (c for c in self._newest(workspace) if c.name == name and c.state not in OVER)
        return next(found, None)

    def _newest(self, workspace: str) -> list[Cluster]:
        found = (c for c in self.clusters.values() if c.workspace == workspace)
        return sorted(found, key=lambda cluster: -cluster.id)

    # -- machines of the cloud -------------------------------------------------------------------------------

    async def vm_types(self, request: web.Request) -> web.Response:
        """Which machines there are that fit."""
        asked = request.query
        rows = []
        for name, (cores, memory, gpus) in VM_TYPES.items():
            fits = (
                cores == int(asked.get("cores", cores))
                and int(asked.get("cores__gte", 0)) <= cores <= int(asked.get("cores__lte", 1 << 20))
                and float(asked.get("memory__gte", 0)) <= memory <= float(asked.get("memory__lte", 1 << 40))
            )
            if fits:
                about = {"gpus": gpus, "gpu_name": "T4" if gpus else None}
                about |= {"backend_type": "vm_aws", "coiled_credits": 1.0}
                rows.append({"name": name, "cores": cores, "memory": memory, **about})
        return web.json_response({"results": rows, "next": None})

    # -- clusters --------------------------------------------------------------------------------------------

    async def by_name(self, request: web.Request) -> web.Response:
        """The cluster of a name that is up or starting."""
        found = self._live(request.match_info["ws"], request.match_info["name"])
        if found is None:
            return web.json_response({"detail": "not found"}, status=404)
        return web.json_response(found.json())

    async def create(self, request: web.Request) -> web.Response:
        """A new cluster, unless there is one of that name."""
        refusal, self.settings.refusal = self.settings.refusal, None
        if refusal is not None:
            status = int(str(refusal.pop("status")))
            return web.json_response(refusal, status=status)
        body = await request.json()
        workspace = request.match_info["ws"]
        known = self._live(workspace, body["name"])
        if known is not None:
            return web.json_response({"id": known.id, "existing": True})
        number = len(self.clusters) + 1
        folder = self.folder / f"cluster-{number}"
        software = self.packages.of(body)
        made = Cluster(self.settings, folder, number, workspace, body, software, self.nursery)
        self.clusters[number] = made
        made.later(made.start())
        return web.json_response({"id": number, "existing": False}, status=201)

    async def listed(self, request: web.Request) -> web.Response:
        """All clusters, those that are over too, the newest first."""
        offset, limit = (
            int(request.query.get(name, usual)) for name, usual in (("offset", 0), ("limit", 100))
        )
        found = self._newest(request.match_info["ws"])[offset : offset + limit]
        return web.json_response([cluster.json() for cluster in found])

    async def details(self, request: web.Request) -> web.Response:
        """All about one."""
        return web.json_response(self._cluster(request).json())

    async def state(self, request: web.Request) -> web.Response:
        """How one is."""
        return web.json_response(self._cluster(request).json()["current_state"])

    async def states(self, request: web.Request) -> web.Response:
        """How its machines came to be as they are."""
        since = request.query.get("start_time", "").replace(" ", "+")
        found: dict[str, list[dict[str, Any]]] = {}
        for entry in self._cluster(request).history:
            if not since or entry["updated"] > since:
                found.setdefault(entry["type"], []).append(entry)
        return web.json_response(found)

    async def delete(self, request: web.Request) -> web.Response:
        """End one; the answer comes before it has ended."""
        cluster = self._cluster(request)
        cluster.later(cluster.stop(request.query.get("reason", "deleted by user")))
        return web.json_response({"id": cluster.id})

    async def workers(self, request: web.Request) -> web.Response:
        """Its workers."""
        offset, limit = (
            int(request.query.get(name, usual)) for name, usual in (("offset", 0), ("limit", 100))
        )
        found = self._cluster(request).workers[offset : offset + limit]
        return web.json_response([worker.json() for worker in found])

    async def scale_up(self, request: web.Request) -> web.Response:
        """More workers."""
        cluster = self._cluster(request)
        made = [cluster.new_worker() for _ in range(max(0, (await request.json())["n_workers"]))]
        cluster.desired += len(made)
        for machine in made:
            cluster.later(cluster.start_worker(machine))
        return web.json_response([machine.json() for machine in made], status=201)

    async def scale_down(self, request: web.Request) -> web.Response:
        """Fewer workers: those that are named, perhaps without the name of the cluster before."""
        cluster = self._cluster(request)
        named = request.query.getall("name", [])
        names = {one if one.startswith(cluster.name) else f"{cluster.name}-worker{one}" for one in named}
        gone = [w for w in cluster.workers if w.name in names and w.state not in ("stopped", "error")]
        cluster.desired -= len(gone)
        for worker in gone:
            cluster.later(worker.stop(request.query.get("reason", "")))
        return web.json_response([worker.json() for worker in gone])

    # -- the side door ---------------------------------------------------------------------------------------

    async def dump(self, _: web.Request) -> web.Response:
        """Everything, for tests."""
        clusters = [{**c.json(), "request": c.request} for c in self.clusters.values()]
        return web.json_response({"requests": self.seen, "clusters": clusters})

    async def change_settings(self, request: web.Request) -> web.Response:
        """Behave otherwise from now on."""
        for name, value in (await request.json()).items():
            setattr(self.settings, name, value)
        return web.json_response({})

    async def lose(self, request: web.Request) -> web.Response:
        """Lose a machine."""
        for cluster in self.clusters.values():
            for machine in cluster.machines():
                if machine.name == request.match_info["name"] and machine.state == "started":
                    machine.lose()
                    return web.json_response({})
        return web.json_response({}, status=404)

    async def idle_stop(self, request: web.Request) -> web.Response:
        """Stop a cluster as if it had been idle for too long."""
        await self.clusters[int(request.match_info["id"])].stop("idle timeout")
        return web.json_response({})

    async def close(self, _: web.Application) -> None:
        """End all machines."""
        await asyncio.gather(*(cluster.stop("the tests are over") for cluster in self.clusters.values()))
        self.nursery.close()


def _always(answer: Any, status: int = 200) -> Handler:
    async def handler(_: web.Request) -> web.StreamResponse:
        return web.json_response(answer, status=status)

    return handler


async def serve(folder: Path) -> None:
    """Serve until a signal comes; the first line that is printed is the address."""
    server = Server(folder)
    runner = web.AppRunner(server.app())
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    server.packages.url = f"http://127.0.0.1:{port}"
    sys.stdout.write(server.packages.url + "\n")
    sys.stdout.flush()
    over = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, over.set)
    await over.wait()
    await runner.cleanup()


if __name__ == "__main__":
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    asyncio.run(serve(Path(sys.argv[1])))
