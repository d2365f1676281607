"""What every executor of functions does for a job: its log, its masked output, its time limit, its data.

Knows neither processes nor pools.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field

from buildtool.executors.output import Log, Mask
from buildtool.executors.protocol import Call, Ended, Event, Output, Work
from buildtool.runtime.job import Data

_PIECE = 65_536  # bytes of one Output at most
_NO_MASK = Mask(())  # holds nothing, so that one is enough for all jobs without secrets


@dataclass(slots=True, eq=False)
class Running:
    """A job that runs, or is about to."""

    work: Work
    log: Log
    mask: Mask
    began: float = field(default_factory=time.monotonic)
    pid: int | None = None
    timed_out: bool = False
    cancelled: bool = False

    @staticmethod
    def begin(work: Work, log_limit: int, mask: tuple[bytes, ...]) -> Running:
        """Take on a work; the log of an earlier run goes away."""
        try:  # noqa: SIM105  done for each job
            os.unlink(work.log)
        except OSError:
            pass
        secrets = (*mask, *work.secrets)
        return Running(work, Log(work.log, log_limit), Mask(secrets) if secrets else _NO_MASK)

    @property
    def call(self) -> Call:
        """What is called. ValueError for a command."""
        if self.work.call is None:
            raise ValueError("a command is no call")
        return self.work.call

    @property
    def timeout_at(self) -> float | None:
        """When its time is over."""
        over = self.timed_out or self.cancelled or self.work.timeout is None
        return None if over or self.work.timeout is None else self.began + self.work.timeout

    def print(self, data: bytes) -> list[Event]:
        """Keep a piece of output; what of it can be told by now."""
        return self._keep(self.mask.feed(data))

    def end(self, ended: Ended) -> list[Event]:
        """Close the log; the last events of the job."""
        last = self._keep(self.mask.flush())
        self.log.close()
        ended = ended._replace(
            seconds=ended.seconds or time.monotonic() - self.began,
            timed_out=self.timed_out,
            cancelled=self.cancelled,
            log_error=self.log.error,
            cause=ended.cause and self.mask.clean(ended.cause),
            error=ended.error and self.mask.clean(ended.error),
        )
        return [*last, ended]

    def _keep(self, data: bytes) -> list[Event]:
        if not data:
            return []
        self.log.write(data)
        return [Output(self.work.id, data[at : at + _PIECE]) for at in range(0, len(data), _PIECE)]


def data_of(
    work: Work, call: Call, channel: str, *, shared: bool, pool: bool = False, same_env: bool = False
) -> Data:
    """What `perform` is given. `same_env`: its environment is that of the job before."""
    return {
        "id": work.id,
        "name": call.name,
        "target": call.target,
        "script": call.is_script,
        "path": list(call.path),
        "inputs": call.inputs,
        "outputs": call.outputs,
        "wildcards": dict(call.wildcards),
        "params": dict(call.params),
        "cpus": call.cpus,
        "env": None if same_env else dict(work.env),
        "declared": dict(call.variables),
        "pool": pool,
        "tidy": pool,
        "asker": os.getpid(),
        "cwd": work.cwd,
        "channel": channel,
        "code": call.code,
        "audit": work.audit,
        "shared": shared,
    }


def ended_of(answer: Data, leftovers: int = 0) -> Ended:
    """What the answer of `perform` means; `Running.end` adds the rest."""
    status = answer["status"]
    failed = status == "failed"
    code = None if status in ("failed", "killed") else answer.get("code", 0)
    where = answer.get("where")
    return Ended(
        answer["id"],
        code,
        answer.get("signal"),
        0.0,
        answer.get("peak", 0),
        leftovers=leftovers + answer.get("ended", 0),
        cause=answer["cause"] if failed else None,
        where=(where[0], where[1]) if where else None,
        opened=tuple((path, write) for path, write in answer.get("opened", ())),
        repeat="its code changed while it ran" if status == "stale" else None,
    )
