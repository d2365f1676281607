"""What the page says that `bt` says is what it says."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

from support.project import clean_environment

ROOT = Path(__file__).parents[2]


def test_the_answers_of_the_page_are_those_of_bt(tmp_path: Path) -> None:
    page = Path(shutil.copy(ROOT / "docs/comparison.md", tmp_path))
    written = page.read_text()
    page.write_text(written.replace("{+ -n+}", "{+ -x+}"))
    command = [sys.executable, str(ROOT / "benchmarks/explain"), "--only", "bt", "--docs", str(tmp_path)]
    done = subprocess.run(command, env=clean_environment(), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert page.read_text() == written


def test_versions_are_those_of_the_tools(tmp_path: Path) -> None:
    page = Path(shutil.copy(ROOT / "docs/comparison.md", tmp_path))
    written = page.read_text()
    folder = tmp_path / "bin"
    folder.mkdir()
    ninja = folder / "ninja"
    ninja.write_text(
        '#!/bin/sh\n[ "$1" = --version ] && echo 99.1.git && exit\ntouch report.txt; echo because\n'
    )
    ninja.chmod(0o755)
    script = str(ROOT / "benchmarks/explain")
    command = [sys.executable, script, "--only", "ninja", "--path", str(folder), "--docs", str(tmp_path)]
    done = subprocess.run(command, env=clean_environment(), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    was = re.search(r"^The versions: (.*), ninja [0-9.]+, (.*)\.$", written, re.MULTILINE)
    now = re.search(r"^The versions: (.*), ninja 99\.1, (.*)\.$", page.read_text(), re.MULTILINE)
    assert was is not None
    assert now is not None
    assert now.groups() == was.groups()
    assert page.read_text().count("\nbecause\n") == 5
