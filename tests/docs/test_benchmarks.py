"""The script that measures works, and writes into a page what it found."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from support.project import clean_environment

SCRIPT = Path(__file__).parents[2] / "benchmarks/run"
PAGE = "# Performance\n\n<!-- measured -->\nold\n<!-- /measured -->\n\n## More\n"
ALMOST_NOTHING = ("--quick", "--jobs", "20", "--rounds", "1")


def measure(docs: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), *words, "--docs", str(docs)]
    return subprocess.run(command, env=clean_environment(), capture_output=True, text=True, check=False)


def test_parts_are_measured_and_told(tmp_path: Path) -> None:
    page = tmp_path / "performance.md"
    page.write_text(PAGE)
    for part in ("help", "hash"):
        done = measure(tmp_path, *ALMOST_NOTHING, "--only", part)
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr
    text = page.read_text()
    assert text.startswith("# Performance\n\n<!-- measured -->\n")
    assert text.endswith("<!-- /measured -->\n\n## More\n")
    assert "old" not in text
    assert "| `bt --help` |" in text
    assert "| hashing 20 files of 4 KiB |" in text
    kept = json.loads((tmp_path / "plots/measured.json").read_text())
    assert [row["part"] for row in kept["rows"]] == ["hash", "hash", "help", "help"]
    assert measure(tmp_path, "--draw").returncode == 0
    assert page.read_text() == text


def test_builds_are_measured_and_told(tmp_path: Path) -> None:
    done = measure(tmp_path, *ALMOST_NOTHING, "--only", "deep")
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert "| full build, 20 jobs, deep |" in (tmp_path / "performance.md").read_text()


def test_a_part_that_there_is_not_is_told(tmp_path: Path) -> None:
    done = measure(tmp_path, "--only", "speed")
    assert done.returncode == 2
    assert "there is no part speed" in done.stderr
    assert not (tmp_path / "performance.md").exists()
