"""How a dask cluster is reached: by the address of its scheduler, by a file that tells it, or by starting one here."""

from __future__ import annotations

import json
import logging
import os
import queue
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from buildtool.errors import ExecutorError, Place
from buildtool.executors.messages import Cluster, Connect, LeavingError, Told
from buildtool.text import cause_of

_PATIENCE = 10.0  # seconds to wait for the scheduler
_MORE = 5.0  # and for the client to say that there is none


def dask(name: str, place: Place | None, options: Mapping[str, Any], root: str, workers: int) -> Connect:
    """What connects to the cluster of an `[executors.NAME]` table; that raises `ExecutorError`."""

    def connect(_tell: Callable[[Told], None], leaving: threading.Event) -> Cluster:
        try:
            import distributed
        except ImportError:
            raise ExecutorError(
                f"the executor `{name}` needs a package that is not installed",
                place=place,
                hint="run `pip install 'buildtool[dask]'`",
            ) from None
        hush()
        library: Any = distributed  # it has no types
        security = _security(library, options.get("security"), root, place)
        local = None
        address = options.get("address")
        if "scheduler_file" in options:
            address = _from_file(name, place, os.path.join(root, options["scheduler_file"]))
        if address is None:
            local = _local(library, workers)
            address = local.scheduler_address
        try:
            client = _in_time(
                lambda: library.Client(
                    address,
                    security=security,
                    timeout=_PATIENCE,
                    set_as_default=False,
                    name="bt",
                    direct_to_workers=False,
                ),
                leaving,
            )
        except LeavingError:
            if local is not None:
                local.close()
            raise
        except (OSError, ValueError, TypeError) as error:
            if local is not None:
                local.close()
            cause = str(error) or type(error).__name__
            raise ExecutorError(
                f"no dask scheduler answers at `{address}`",
                place=place,
                facts=(("executor", name), ("cause", cause)),
                hint="start one with `dask scheduler`, or correct `address`",
            ) from error

        def close() -> None:
            client.close(timeout=2)
            if local is not None:
                local.close(timeout=5)

        if local is not None:
            return Cluster(client, "a cluster of this machine", close)
        return Cluster(client, f"the cluster at {address}", close, root, drift=options.get("drift", "warn"))

    return connect


def _in_time(make: Callable[[], Any], leaving: threading.Event) -> Any:
    """What `make` gives. Raises what it raises, or `OSError` when it takes too long: what answers is no scheduler."""
    found: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def work() -> None:
        try:
            found.put((make(), None))
        except BaseException as error:  # noqa: BLE001  whoever waits raises it
            found.put((None, error))

    threading.Thread(target=work, name="bt connects", daemon=True).start()
    until = time.monotonic() + _PATIENCE + _MORE
    while time.monotonic() < until:
        try:
            made, error = found.get(timeout=0.1)
        except queue.Empty:
            if leaving.is_set():
                raise LeavingError from None
            continue
        if error is not None:
            raise error
        return made
    raise OSError(f"nothing has answered as a scheduler does within {_PATIENCE + _MORE:.0f} s")


def hush() -> None:
    """What matters of a cluster is told by ourselves; the libraries would write it into the display."""
    known = (*logging.root.manager.loggerDict, "asyncio", "tornado.application", "tornado.general")
    for name in known:
        if name.partition(".")[0] in ("distributed", "tornado", "asyncio", "coiled"):
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)


def _security(library: Any, files: Mapping[str, str] | None, root: str, place: Place | None) -> Any:
    if not files:
        return None
    path = {key: os.path.join(root, value) for key, value in files.items()}
    for key, where in path.items():
        try:
            with open(where, "rb"):
                pass
        except OSError as error:  # the library would not say which
            raise ExecutorError(
                f"`{key}` of `security` cannot be read: {cause_of(error)}",
                place=place,
                facts=(("file", where),),
            ) from error
    return library.Security(
        tls_ca_file=path.get("ca"),
        tls_client_cert=path.get("cert"),
        tls_client_key=path.get("key"),
        require_encryption=True,
    )


def _from_file(name: str, place: Place | None, path: str) -> str:
    """The address that a scheduler has written down; it may be about to."""
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            with open(path, encoding="utf-8") as file:
                return str(json.load(file)["address"])
        except (OSError, ValueError, KeyError) as error:
            if time.monotonic() < until and not isinstance(error, FileNotFoundError):
                time.sleep(0.1)
                continue
            cause = getattr(error, "strerror", None) or str(error)
            raise ExecutorError(
                f"the scheduler file of `{name}` tells no address",
                place=place,
                facts=(("file", path), ("cause", str(cause).lower())),
                hint="start the scheduler with `dask scheduler --scheduler-file FILE`",
            ) from error


def _local(library: Any, workers: int) -> Any:
    """A cluster of processes of this machine, for as long as the build takes."""
    from buildtool.executors.futures import bare_main

    with bare_main():
        return library.LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            dashboard_address="127.0.0.1:0",  # any free port: by itself it would take one for all to see, and say so
            scheduler_kwargs={"dashboard": False},
            host="127.0.0.1",
            silence_logs=50,
        )
