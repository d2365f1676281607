"""A job as it is told to another machine, and what it made there as it is written down here."""

from __future__ import annotations

import os
import threading
import time
from typing import Any, Protocol

from buildtool.executors.contents import inline
from buildtool.executors.protocol import Remote, Transfer, Work
from buildtool.runtime.job import Data


class Source(Protocol):
    """Where contents come from."""

    sent: int  # bytes uploaded until now

    def names(self, key: str) -> list[str]:
        """The names under which a content may be kept."""

    def pieces(self, path: str, key: str, size: int | None = None) -> list[Any] | None:
        """The pieces of a content; None if every machine has it. With `size`, only machines have it."""


def luggage(work: Work) -> Remote:
    """What a job takes with it. ValueError for a job of this machine."""
    if work.remote is None:
        raise ValueError("a job of this machine")
    return work.remote


def noted(path: str, size: int, began: float, *, is_sent: bool) -> Transfer:
    """A file that has just got where it was wanted; `began`: when it set off."""
    return Transfer(path, size, is_sent, began, time.monotonic() - began, threading.get_ident())


def described(
    work: Work,
    call: Data,
    name: str,
    source: Source,
    contents: dict[str, list[Any]],
    transfers: list[Transfer],
) -> Data:
    """A job as `runtime.remote` wants it; what it reads is added to `contents`, what had to be sent to `transfers`.

    Raises `ChangedError`, `GoneError` or OSError.
    """
    remote = luggage(work)
    inputs = []
    for path, key in remote.inputs:
        where = os.path.join(remote.root, path)
        size = remote.sizes.get(path)
        began, sent = time.monotonic(), source.sent
        data = inline(where, key) if size is None else None
        if data is None and (pieces := source.pieces(where, key, size)) is not None:
            contents[key] = pieces
        if data is not None or source.sent > sent:
            uploaded = source.sent - sent if data is None else len(data)
            transfers.append(noted(path, uploaded, began, is_sent=True))
        inputs.append((path, source.names(key), 0o755 if key[0] == "x" else 0o644, data))
    found: Data = {
        "id": name,
        "inputs": inputs,
        "links": list(remote.links),
        "folders": list(remote.folders),
        "outputs": list(remote.outputs),
        "cwd": remote.cwd,
        "env": dict(remote.env),
        "path": list(remote.path),
        "timeout": work.timeout,
        "stays": remote.stays,
        "fetch": remote.fetch,
    }
    return found | ({"call": call} if work.call is not None else {"argv": list(work.argv)})


def place_in(box: str, entry: Data) -> str:
    """Where an output goes. OSError if that is not below the box."""
    where = os.path.normpath(os.path.join(box, entry["path"]))
    if not where.startswith(box.rstrip("/") + "/"):
        raise OSError(f"`{entry['path']}` lies outside of its directory")
    if not os.path.isdir(os.path.dirname(where)):
        os.makedirs(os.path.dirname(where), exist_ok=True)
    if os.path.isdir(where) and not os.path.islink(where) and entry["kind"] != "directory":
        os.rmdir(where)  # it is there for what the job should have made
    return where


def put(box: str, entry: Data) -> None:
    """Write down what came with the answer, or in its place what shows of which kind it was. Raises OSError."""
    where = place_in(box, entry)
    match entry["kind"]:
        case "directory":
            os.makedirs(where, exist_ok=True)
        case "link":
            os.symlink(entry["text"], where)
        case "file":
            with open(where, "wb") as file:
                file.write(entry["data"])
            os.chmod(where, entry["mode"])
        case "beside":
            with open(where, "wb"):
                pass
        case _:
            os.mkfifo(where)
