"""Sends jobs through somebody's `concurrent.futures.Executor` whose workers do not see this disk.

All that a job needs travels with it, and all that it made and printed comes with the answer. Does not know where the
workers are.
"""

from __future__ import annotations

import contextlib
import platform
import queue
import secrets
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Executor, Future
from typing import Any

from buildtool.errors import BtError
from buildtool.executors.contents import Carried, ChangedError
from buildtool.executors.kit import BOOT, runtime
from buildtool.executors.messages import Answered, Batch, Began, Lost, Printed, Sized, Stop, Told, Trouble
from buildtool.executors.parcels import described, luggage, put
from buildtool.executors.protocol import Work
from buildtool.runtime.child import AT_START
from buildtool.runtime.job import Data
from buildtool.tuples import NamedTuple


class _Done(NamedTuple):
    """A future has come out."""

    id: int


class PoolCourier:
    """One pool, which `factory(workers)` makes. `tell` is called from several threads."""

    def __init__(
        self, name: str, factory: Callable[[int], Executor], workers: int, tell: Callable[[Told], None]
    ) -> None:
        self._factory = factory
        self._workers = workers
        self._tell = tell
        self._inbox: queue.SimpleQueue[Batch | Stop | _Done | None] = queue.SimpleQueue()
        self._nonce = secrets.token_hex(6)
        self._jobs: dict[int, tuple[Work, Future[list[Data]]]] = {}
        self._stopped: set[int] = set()
        self._thread = threading.Thread(target=self._work, name=f"bt {name}", daemon=True)
        self._thread.start()

    def give(self, message: Batch | Stop) -> None:
        """Have something done."""
        self._inbox.put(message)

    def close(self, patience: float) -> None:
        """Take back what waits, and let go of the pool; waits so many seconds at most."""
        self._inbox.put(None)
        self._thread.join(patience)

    def _work(self) -> None:
        try:
            pool = self._factory(self._workers)
        except BtError as error:
            self._tell(Trouble(error))
            return
        self._kit = runtime()
        self._tell(Sized(float(self._workers)))
        while (message := self._inbox.get()) is not None:
            match message:
                case Batch(works):
                    for work, call in works:
                        self._send(pool, work, call)
                case Stop(ids, _):
                    for job in ids:
                        self._stop(job)
                case _Done(job):
                    self._collect(job)
        for _, future in self._jobs.values():
            future.cancel()
        with contextlib.suppress(Exception):  # it is somebody's
            pool.shutdown(wait=False, cancel_futures=True)

    def _send(self, pool: Executor, work: Work, call: Data) -> None:
        contents: dict[str, list[Any]] = {}
        if work.id in self._stopped:
            self._tell(Answered(work.id, {"cancelled": True}))
            return
        try:
            job = described(work, call, f"{self._nonce}-{work.id}", Carried(), contents, [])
            code, data = luggage(work).code
            order = {
                "topic": "",
                "kit": self._kit.name,
                "code": code,
                "jobs": [job],
                "names": {key: [key] for key in contents},
                "at_start": AT_START,
                "python": platform.python_version(),
            }
            names = {
                "name": f"bt_remote_{self._kit.name}",
                "kit": self._kit.data,
                "batch": order,
                "code": data,
                "contents": contents,
            }
            future = pool.submit(eval, f"{BOOT}.run_alone(batch, kit, code, contents)", names)
        except ChangedError as error:
            self._tell(Lost(work.id, f"`{error}` changed before it was sent"))
            return
        except Exception as error:  # noqa: BLE001  the pool is somebody's
            self._tell(
                Answered(work.id, {"status": "failed", "error": f"the executor does not take it: {error}"})
            )
            return
        self._jobs[work.id] = (work, future)
        self._tell(Began(work.id))
        future.add_done_callback(lambda _: self._inbox.put(_Done(work.id)))

    def _stop(self, job: int) -> None:
        """Take a job back; one that runs already goes on, for nobody."""
        known = self._jobs.pop(job, None)
        if known is not None:
            known[1].cancel()
            self._tell(Answered(job, {"cancelled": True}))
        else:
            self._stopped.add(job)

    def _collect(self, job: int) -> None:
        if job not in self._jobs:
            return
        work, future = self._jobs.pop(job)
        try:
            [answer] = future.result()
            if answer["output"]:
                self._tell(Printed(job, answer.pop("output")))
            for entry in answer["made"]:
                put(luggage(work).box, entry)
        except CancelledError:
            self._tell(Lost(job, "its executor has dropped it"))
            return
        except OSError as error:
            answer = {"status": "failed", "cause": f"what it made cannot be written: {error}"}
        except BaseException as error:  # noqa: BLE001  whatever the pool did
            self._tell(Lost(job, f"the executor failed: {type(error).__name__}: {error}"))
            return
        self._tell(Answered(job, answer))
