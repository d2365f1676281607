"""What a job opens while it runs, for those who ask.

Python tells of every file that it opens (PEP 578); what libraries open by themselves, or child processes, is not seen.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator
from typing import Any

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_hooked: list[bool] = []  # a hook stays for ever: it is set once, and only where it is asked for
_of_thread = threading.local()
_of_process: list[set[tuple[str, bool]]] = []


@contextlib.contextmanager
def watch(root: str, found: list[tuple[str, bool]], *, shared: bool) -> Iterator[None]:
    """Put into `found` what is opened below `root` meanwhile: paths relative to it, and whether to write."""
    if not _hooked:
        _hooked.append(True)
        sys.addaudithook(_note)
    seen: set[tuple[str, bool]] = set()
    _of_thread.seen = seen
    if not shared:
        _of_process.append(seen)
    try:
        yield
    finally:
        _of_thread.seen = None
        _of_process.clear()
        start = root.rstrip("/") + "/"
        found += sorted((path[len(start) :], write) for path, write in seen if path.startswith(start))


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    if event != "open":
        return
    seen = getattr(_of_thread, "seen", None)
    if seen is None:
        if not _of_process:
            return
        seen = _of_process[0]
    path, mode, flags = arguments
    if isinstance(path, int):
        return
    writes = bool(set(mode) & set("wax+")) if isinstance(mode, str) else bool((flags or 0) & _WRITING)
    with contextlib.suppress(OSError, TypeError, ValueError):
        seen.add((os.path.abspath(os.fsdecode(path)), writes))
