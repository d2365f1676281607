"""Package sync: what the client has is asked for, its own code is uploaded as wheels, and machines get both."""

from __future__ import annotations

import importlib.metadata
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web

from support.cloud.machines import now


@dataclass(slots=True)
class Environment:
    """A software environment: a folder that machines have on their import path."""

    id: int
    name: str
    md5: str
    packages: list[dict[str, Any]]
    folder: Path
    created: str

    def json(self) -> dict[str, Any]:
        """As the service tells of it."""
        times = {"created": self.created, "updated": self.created}
        build = {"id": self.id, "state": "built", "reason": "", **times}
        spec = {"id": self.id, "latest_build": build, "packages": self.packages, **times}
        return {"id": self.id, "name": self.name, "latest_spec": spec, **times}


@dataclass(slots=True)
class Wheel:
    """Code that was uploaded."""

    id: int
    name: str
    md5: str
    path: Path


class Packages:
    """All software environments. `folder`: where they are kept."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = ""
        self.environments: dict[int, Environment] = {}
        self.wheels: dict[int, Wheel] = {}

    def routes(self, app: web.Application) -> None:
        """The calls."""
        base = "/api/v2/software-environment"
        app.router.add_get("/api/v2/packages/", self.levels)
        app.router.add_post(f"{base}/approximate-packages", self.approximate)
        app.router.add_post(f"{base}/account/{{ws}}/package-upload", self.announce)
        app.router.add_post(f"{base}/account/{{ws}}", self.create)
        app.router.add_get(f"{base}/account/{{ws}}/alias/name/{{name}}", self.by_name)
        app.router.add_get(f"{base}/account/{{ws}}/spec/{{id:\\d+}}", self.spec)
        app.router.add_get(f"{base}/account/{{ws}}/build/logs/{{id:\\d+}}", self.logs)
        app.router.add_get(f"{base}/account/{{ws}}/build/{{id:\\d+}}", self.build)
        app.router.add_put("/test/wheel/{id:\\d+}", self.upload)

    def of(self, request: dict[str, Any]) -> Environment | None:
        """The environment that a cluster asks for, by number or by name."""
        if request.get("env_id") is not None:
            return self.environments[request["env_id"]]
        name = (request.get("env_name") or "").rpartition("/")[2]
        return next((one for one in self.environments.values() if one.name == name), None)

    async def levels(self, _: web.Request) -> web.Response:
        """What must be there."""
        names = ("dask", "distributed", "cloudpickle")
        return web.json_response([{"name": name, "level": 100, "source": "pip"} for name in names])

    async def approximate(self, request: web.Request) -> web.Response:
        """Every package is had as it is asked for; wheels are the client's own matter."""
        packages = (await request.json())["packages"]
        told = [
            {
                "name": package["name"],
                "conda_name": package["conda_name"],
                "specifier": f"=={package['version']}",
                "include": True,
                "note": None,
                "error": None,
                "channel_url": package["channel_url"],
                "client_version": package["version"],
            }
            for package in packages
            if not package.get("wheel_target")
        ]
        return web.json_response(told)

    async def announce(self, request: web.Request) -> web.Response:
        """A wheel is to be uploaded, unless it is here."""
        body = await request.json()
        for wheel in self.wheels.values():
            if (wheel.md5, wheel.name) == (body["md5"], body["name"]) and wheel.path.exists():
                return web.json_response({"id": wheel.id, "should_upload": False, "upload_url": ""})
        number = len(self.wheels) + 1
        path = self.folder / "wheels" / str(number) / Path(body["name"]).name
        self.wheels[number] = Wheel(number, body["name"], body["md5"], path)
        url = f"{self.url}/test/wheel/{number}"
        return web.json_response({"id": number, "should_upload": True, "upload_url": url})

    async def upload(self, request: web.Request) -> web.Response:
        """The wheel itself."""
        path = self.wheels[int(request.match_info["id"])].path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(await request.read())
        return web.Response()

    async def create(self, request: web.Request) -> web.Response:
        """An environment out of packages and wheels; the same one again is the same one."""
        body = await request.json()
        md5 = body.get("md5") or ""
        for known in self.environments.values():
            if md5 and known.md5 == md5 and (body.get("name") or known.name) == known.name:
                return web.json_response(known.json())
        number = len(self.environments) + 1
        name = body.get("name") or f"package-sync-{md5[:16]}"
        made = Environment(
            number, name, md5, body.get("packages") or [], self.folder / f"software-{number}", now()
        )
        made.folder.mkdir(parents=True)
        for package in made.packages:
            self._install(package, made.folder)
        self.environments[number] = made
        return web.json_response(made.json())

    def _install(self, package: dict[str, Any], folder: Path) -> None:
        """A wheel is unpacked; of a package with another version than here, its metadata says that it is there."""
        version = package.get("client_version")
        if package.get("file"):
            with zipfile.ZipFile(self.wheels[package["file"]].path) as wheel:
                wheel.extractall(folder)
        elif version and package["name"] != "python" and version != _installed(package["name"]):
            info = folder / f"{package['name'].replace('-', '_')}-{version}.dist-info"
            info.mkdir(exist_ok=True)
            text = f"Metadata-Version: 2.1\nName: {package['name']}\nVersion: {version}\n"
            (info / "METADATA").write_text(text)

    def _asked(self, request: web.Request) -> Environment:
        return self.environments[int(request.match_info["id"])]

    async def by_name(self, request: web.Request) -> web.Response:
        """The environment of a name."""
        for one in self.environments.values():
            if one.name == request.match_info["name"]:
                return web.json_response(one.json())
        return web.json_response({"detail": "not found"}, status=404)

    async def spec(self, request: web.Request) -> web.Response:
        """What is in one."""
        return web.json_response(self._asked(request).json()["latest_spec"])

    async def build(self, request: web.Request) -> web.Response:
        """How the making of one goes."""
        return web.json_response(self._asked(request).json()["latest_spec"]["latest_build"])

    async def logs(self, _: web.Request) -> web.Response:
        """Nothing is to be read."""
        return web.json_response({"events": [], "nextToken": None})


def _installed(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
