"""A real browser, without a window: started once, with a tab for each page that is looked at."""

from __future__ import annotations

import atexit
import functools
import json
import os
import re
import select
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PATIENCE = 120.0  # seconds until a page must be there
_SCRIPTS = 5000  # milliseconds that pass for the scripts of a page, as fast as they can


class Browser:
    """Chromium, asked through a pipe; it ends when that is closed. To be closed."""

    def __init__(self, folder: str) -> None:
        assert CHROMIUM is not None, "no Chromium is installed"
        self.count = 0
        self.heard: list[dict[str, Any]] = []
        self.half = b""
        asked, self.asking = os.pipe()
        self.hearing, telling = os.pipe()
        # It has the two as descriptors 3 and 4.
        command = ["bash", "-c", f'exec "$0" "$@" 3<&{asked} 4>&{telling}', CHROMIUM]
        command += [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
        ]
        command += [f"--user-data-dir={folder}", "--host-resolver-rules=MAP * ~NOTFOUND"]
        self.process = subprocess.Popen(
            [*command, "--remote-debugging-pipe"],
            pass_fds=(asked, telling),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(asked)
        os.close(telling)

    def close(self) -> None:
        """End it."""
        os.close(self.asking)
        os.close(self.hearing)
        self.process.wait(PATIENCE)

    def ask(self, method: str, tab: str = "", **given: Any) -> dict[str, Any]:
        """Call a method of its protocol; the answer."""
        self.count += 1
        question: dict[str, Any] = {"id": self.count, "method": method, "params": given}
        if tab:
            question["sessionId"] = tab
        os.write(self.asking, json.dumps(question).encode() + b"\0")
        answer = self.hear(lambda told: told.get("id") == question["id"])
        assert "error" not in answer, answer
        result: dict[str, Any] = answer["result"]
        return result

    def hear(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The first that is wanted of what it has told and tells; the rest is kept."""
        for at, told in enumerate(self.heard):
            if wanted(told):
                return self.heard.pop(at)
        until = time.monotonic() + PATIENCE
        while True:
            while b"\0" not in self.half:
                assert select.select([self.hearing], [], [], max(0.0, until - time.monotonic()))[0]
                more = os.read(self.hearing, 1 << 16)
                assert more, "the browser has ended"
                self.half += more
            line, _, self.half = self.half.partition(b"\0")
            told = json.loads(line)
            if wanted(told):
                return told
            self.heard.append(told)

    def dom(self, address: str, width: int) -> str:
        """The document as it is once its scripts have run."""
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        tab = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        window = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
        self.ask("Emulation.setDeviceMetricsOverride", tab, **window)
        self.ask("Page.enable", tab)
        self.ask("Page.setLifecycleEventsEnabled", tab, enabled=True)
        loader = self.ask("Page.navigate", tab, url=address)["loaderId"]
        loaded = {"name": "load", "loaderId": loader}.items()
        self.hear(lambda told: told["method"] == "Page.lifecycleEvent" and loaded <= told["params"].items())
        self.ask("Emulation.setVirtualTimePolicy", tab, policy="advance", budget=_SCRIPTS)
        self.hear(lambda told: told["method"] == "Emulation.virtualTimeBudgetExpired")
        found = self.ask("Runtime.evaluate", tab, expression="document.documentElement.outerHTML")
        self.ask("Target.closeTarget", targetId=target)
        self.heard.clear()
        return str(found["result"]["value"])


@functools.cache
def browser() -> Browser:
    """The one that all tests of this process use."""
    folder = tempfile.mkdtemp(prefix="bt-browser-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    found = Browser(folder)
    atexit.register(found.close)
    return found


def dom(page: Path, view: str = "", width: int = 1200) -> str:
    """The document as it is once its scripts have run, with this behind the `#` of its address. No error was thrown."""
    text = browser().dom(f"file://{quote(str(page))}#{quote(view, safe='')}", width)
    assert "data-error" not in text, re.findall(r'data-error="[^"]*"', text)
    return text
