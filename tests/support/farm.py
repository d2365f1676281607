"""A project whose jobs run on clusters of Coiled."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from support.begun import Begun
from support.cloud import Cloud, can_hide
from support.project import Project, Run, clean_environment


class Farm(Project):
    """A project whose machines do not see it, where the system can hide it."""

    def __init__(self, folder: Path, cloud: Cloud) -> None:
        super().__init__(folder)
        self.cloud = cloud
        self.cluster = f"farm-{folder.parent.name}".replace("_", "-")[:50]
        self.more: dict[str, str] = {}
        cloud.set(hidden=[str(folder)] if can_hide() else [], boot_seconds=0.0)

    def write_farm(self, tasks: str, **options: str) -> None:
        """A Taskfile in which everything runs on one cluster of machines without package sync."""
        given = {"workers": "1", "options": '{ software = "x" }', **options}
        lines = "\n".join(f"{key} = {value}" for key, value in given.items() if value)
        self.taskfile(
            f'[bt]\nexecutor = "farm"\n[executors.farm]\nbackend = "coiled"\nname = "{self.cluster}"\n{lines}\n'
            + tasks
        )

    @property
    def env(self) -> dict[str, str]:
        return {**self.cloud.environment, **self.more}

    def bt(self, *words: str, env: dict[str, str] | None = None, cwd: Path | None = None) -> Run:
        return super().bt(*words, env=env, cwd=cwd)

    def call(self, *words: str, cwd: Path, env: dict[str, str] | None) -> tuple[int, str, str]:
        """As always, but it need not load the client of Coiled, which takes longer than all it does."""
        env = {**clean_environment(), **self.env, **(env or {})}
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            files = {"stdout": out.fileno(), "stderr": err.fileno()}
            code = self.cloud.nursery.start(["-m", "buildtool", *words], cwd=cwd, env=env, **files).wait(120)
            for file in (out, err):
                file.seek(0)
            return code, out.read(), err.read()

    def start(self, *words: str, **options: Any) -> Any:
        """The same of one that goes on."""
        env = {**clean_environment(), **self.env, **(options.pop("env", None) or {})}
        cwd = options.pop("cwd", self.folder)
        assert not options
        return Begun(self.cloud.nursery, ["-m", "buildtool", *words], cwd, env)

    def install(self, package: str, version: str, edited: Path | None = None) -> None:
        """Have a package on the import path of this machine, as pip would put it there; `edited`: with `-e`."""
        site = self.folder.parent / "site"
        self.more["PYTHONPATH"] = os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])])
        for old in site.glob(f"{package}-*.dist-info"):
            for path in old.iterdir():
                path.unlink()
            old.rmdir()
        info = f"{package}-{version}.dist-info"
        files = {
            f"{package}/__init__.py": f"VERSION = '{version}'\n",
            f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n",
            f"{info}/INSTALLER": "pip\n",
            f"{info}/RECORD": f"{package}/__init__.py,,\n{info}/METADATA,,\n{info}/RECORD,,\n",
        }
        if edited is not None:
            about = {"url": edited.as_uri(), "dir_info": {"editable": True}}
            files[f"{info}/direct_url.json"] = json.dumps(about)
        for name, text in files.items():
            path = site / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
