"""A shell in which something else is mounted in the project, seen by nobody else. For root on Linux."""

from __future__ import annotations

import os
import re
import shutil
import subprocess

import pytest

from support.project import BT, Project, clean_environment

needs_root = pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("unshare"), reason="needs root to mount"
)
READ_ONLY = 'mount --bind "{0}" "{0}" && mount -o remount,ro,bind "{0}"'
SMALL = 'mount -t tmpfs -o size={1} tmpfs "{0}"'


def mounted(project: Project, mount: str, script: str) -> subprocess.CompletedProcess[str]:
    """A script of the shell, in which `bt` is this one, after these mounts. Every time in its output is `0.0 s`."""
    ready = subprocess.run(
        ["unshare", "-m", "sh", "-c", mount], cwd=project.folder, capture_output=True, text=True, check=False
    )
    if ready.returncode:
        pytest.skip(f"cannot mount here: {ready.stderr}")
    text = f'{mount}\ncd "$PWD"\nbt() {{ {" ".join(BT)} "$@"; }}\n{script}'
    run = subprocess.run(
        ["unshare", "-m", "sh", "-c", text],
        cwd=project.folder,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    run.stdout = re.sub(r"\b\d+\.\d s\b", "0.0 s", run.stdout)
    return run
