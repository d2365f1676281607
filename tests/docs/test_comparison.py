"""What the page says that `bt` says is what it says."""

from __future__ import annotations

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
