"""A real browser, without a window."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from urllib.parse import quote

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def dom(page: Path, view: str = "", width: int = 1200) -> str:
    """The document as it is once its scripts have run, with this behind the `#` of its address. No error was thrown."""
    assert CHROMIUM is not None, "no Chromium is installed"
    done = subprocess.run(
        [
            CHROMIUM,
            *("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"),
            *(
                f"--window-size={width},800",
                "--virtual-time-budget=5000",
                "--host-resolver-rules=MAP * ~NOTFOUND",
            ),
            "--dump-dom",
            f"file://{quote(str(page))}#{quote(view, safe='')}",
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    text = done.stdout
    assert "data-error" not in text, re.findall(r'data-error="[^"]*"', text)
    return text
