"""How a cluster of Coiled is reached: one of that name that is up, or a new one.

Each cluster is made known before it is asked for. Does not know what runs on it.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import platform
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import buildtool.executors.drift as drifts
from buildtool.errors import ExecutorError
from buildtool.executors.account import Account
from buildtool.executors.dask import hush
from buildtool.executors.messages import Cluster, Connect, LeavingError, Passed, Told
from buildtool.executors.processes import start_stamp
from buildtool.executors.protocol import Claimed, Doing, Released
from buildtool.executors.wish import Wish
from buildtool.state.records import ClusterRecord
from buildtool.text import duration

_SILENCE = 5.0  # seconds without a word from Coiled until that is said
_NEW = 60.0  # seconds to connect to a new cluster
_KNOWN = 15.0  # and to one that was up, and may just have stopped
_PARTING = 5.0  # seconds for which a service in trouble is asked to end what is half made
_PLACE = "bt"  # where on the scheduler it is noted what a cluster was made with
_PACE = "1s"  # between two looks at how many machines are wanted
_GROWTH = "1s"  # work for which dask wants a machine: a job that nobody knows counts as half a second


def coiled(wish: Callable[[], Wish]) -> Connect:
    """What attaches to the cluster of that name or makes it; that raises `ExecutorError`."""

    def connect(tell: Callable[[Told], None], leaving: threading.Event) -> Cluster:
        wanted = wish()
        found = _Start(wanted, tell, leaving).run()
        return found._replace(is_wanted=lambda: wish() == wanted)

    return connect


class _TakenError(ExecutorError):
    """A cluster of that name is somebody else's."""


class _Start:
    """One attempt to have the cluster."""

    def __init__(self, wish: Wish, tell: Callable[[Told], None], leaving: threading.Event) -> None:
        self._wish = wish
        self._tell = tell
        self._leaving = leaving
        self._begun = time.monotonic()
        self._record = ClusterRecord(
            wish.name,
            wish.executor,
            "coiled",
            time.time(),
            f"{getpass.getuser()}@{platform.node()}",
            os.getpid(),
            start_stamp(os.getpid()),
            account=wish.workspace,
            stops_after=wish.idle if wish.keepalive is None else wish.keepalive,
        )

    def run(self) -> Cluster:
        """Attach or make."""
        self._doing("asking Coiled")
        with contextlib.ExitStack() as stack:
            account = stack.enter_context(
                Account(self._wish.executor, self._wish.place, self._wish.workspace, self._waits)
            )
            hush()
            self._record = self._record._replace(account=account.workspace)
            found = account.find(self._wish.name)
            here = drifts.surroundings(self._wish.root)
            cluster, client, made_with = self._have(account, here, found)
            stack.pop_all()
        self._claim(
            self._record._replace(
                id=int(cluster.cluster_id),
                used=time.time(),
                asked=float(made_with.get("at", self._record.asked)),
                maker=str(made_with.get("maker", self._record.maker)),
                environment=drifts.digest(made_with.get("environment", {})),
                stops_after=self._stops_after(made_with),
            )
        )
        self._doing("")

        def close() -> None:
            lost = client.status != "running"
            workers = self._let_go(cluster, client)
            gone = lost and self._is_gone(account)
            account.close()
            if gone:
                self._tell(Passed(Released(self._wish.name, self._record.account)))
            else:
                self._claim(self._record._replace(used=time.time(), workers=workers), wait=False)

        def renew() -> None:
            client.close(timeout=2)
            cluster.close()
            account.end(int(cluster.cluster_id))
            account.close()
            self._tell(Passed(Released(self._wish.name, self._record.account)))

        def refill() -> None:
            cluster.scale(self._wish.most)

        return Cluster(
            client,
            f"cluster {self._wish.name}",
            close,
            most=max(self._wish.most, 1) * self._wish.threads,
            drift=self._wish.drift,
            root=self._wish.root,
            made_with=made_with,
            settings=self._settings(),
            remedy="`bt clean --cluster` stops it, and the next build makes a new one",
            again=True,
            renew=renew,
            refill=refill if self._wish.least == self._wish.most else None,  # else it sees to that itself
        )

    # -- having it -------------------------------------------------------------------------------------------

    def _have(
        self, account: Account, here: Mapping[str, Any], found: int | None
    ) -> tuple[Any, Any, Mapping[str, Any]]:
        """The cluster that is up, or a new one, also if that one stops at this very moment."""
        if found is None:
            return self._make(account, here)
        try:
            return self._attach(account, here)
        except _TakenError:
            raise
        except ExecutorError:
            if self._leaving.is_set() or account.find(self._wish.name) == found:
                raise
            return self._make(account, here)

    def _make(self, account: Account, here: Mapping[str, Any]) -> tuple[Any, Any, Mapping[str, Any]]:
        """A new cluster; what is half made when that fails is ended."""
        try:
            self._claim(self._record)
        except LeavingError:  # nothing was asked for
            self._tell(Passed(Released(self._wish.name, self._record.account)))
            raise
        try:
            return self._attach(account, here, new=True)
        except _TakenError:
            self._tell(Passed(Released(self._wish.name, self._record.account)))
            raise
        except BaseException:
            self._doing("ending what is half made")
            account.patience = _PARTING
            with contextlib.suppress(ExecutorError):  # else the next build sees to it
                number = account.made_by(self._wish.project, self._wish.name)
                if number is not None:
                    account.end(number, wait=False)
                self._tell(Passed(Released(self._wish.name, self._record.account)))
            self._doing("")
            raise

    def _attach(
        self, account: Account, here: Mapping[str, Any], *, new: bool = False
    ) -> tuple[Any, Any, Mapping[str, Any]]:
        """The cluster of that name, a client of it, and what it was made with."""
        with contextlib.ExitStack() as stack:
            cluster = self._open(account)
            stack.callback(cluster.close)
            client = self._client(account, cluster, _NEW if new else _KNOWN)
            stack.callback(client.close)
            made_with = self._made_with(client, here)
            self._size(cluster, new=new)
            stack.pop_all()
        return cluster, client, made_with

    def _open(self, account: Account) -> Any:
        wish = self._wish
        beside = int(
            bool(wish.settings.get("extra_worker_on_scheduler"))
        )  # a worker that nobody can wait for
        with account.telling(f"the cluster `{wish.name}`"), self._patience():
            cluster = account.library.Cluster(
                name=wish.name,
                n_workers=max(wish.least, 1 if wish.most else 0),
                shutdown_on_close=False,
                idle_timeout=f"{wish.idle:g}s",
                wait_for_workers=1 if wish.least > beside else 0,
                configure_logging=False,
                custom_widget=_Progress(self._starting),
                cloud=account.cloud,
                **wish.settings,
            )
        if self._leaving.is_set():
            cluster.close()
            raise LeavingError
        return cluster

    def _client(self, account: Account, cluster: Any, patience: float) -> Any:
        import distributed

        library: Any = distributed  # it has no types
        with account.telling("connecting to the scheduler"):
            return library.Client(
                cluster, set_as_default=False, name="bt", timeout=patience, direct_to_workers=False
            )

    def _made_with(self, client: Any, here: Mapping[str, Any]) -> Mapping[str, Any]:
        """What the cluster was made with, as it was noted there then, or is now if it is new."""
        found: Mapping[str, Any] | None = client.get_metadata([_PLACE], None)
        if found is None:
            note = {
                "project": self._wish.project,
                "maker": self._record.maker,
                "at": time.time(),
                "environment": dict(here),
                "settings": self._settings(),
            }
            client.set_metadata([_PLACE], note)
            return note
        if found.get("project") != self._wish.project:
            raise _TakenError(
                f"the name `{self._wish.name}` is taken by the project `{found.get('project')}`",
                place=self._wish.place,
                facts=(("executor", self._wish.executor), ("made by", str(found.get("maker")))),
                hint="give this one another `name`",
            )
        return found

    def _size(self, cluster: Any, *, new: bool) -> None:
        wish = self._wish
        if wish.least != wish.most:
            cluster.adapt(minimum=wish.least, maximum=wish.most, target_duration=_GROWTH, interval=_PACE)
        elif not new:
            cluster.scale(wish.most)
        if wish.environ:
            cluster.send_private_envs(dict(wish.environ))
        if wish.keepalive is not None:
            cluster.set_keepalive(f"{wish.keepalive:g}s")

    def _let_go(self, cluster: Any, client: Any) -> int:
        """Leave the cluster as small as it may be; the machines that it has then."""
        wish = self._wish
        workers = 0
        if client.status == "running":  # else nobody would answer
            workers = min(len(cluster.scheduler_info.get("workers", ())), wish.least)
            with contextlib.suppress(Exception):
                if wish.least != wish.most:
                    cluster.scale(wish.least)
        with contextlib.suppress(Exception):
            client.close(timeout=2)
        with contextlib.suppress(Exception):
            cluster.close()
        return workers

    def _is_gone(self, account: Account) -> bool:
        """Whether Coiled says that there is no cluster of that name any more."""
        account.patience = _PARTING
        with contextlib.suppress(ExecutorError):
            return account.find(self._wish.name) is None
        return False

    # -- telling ---------------------------------------------------------------------------------------------

    def _stops_after(self, made_with: Mapping[str, Any]) -> float:
        """Seconds: a running cluster keeps the time without work that it was made with."""
        if self._wish.keepalive is not None:
            return self._wish.keepalive
        noted = str(made_with.get("settings", {}).get("idle_timeout", self._wish.idle))
        return float(noted.removesuffix(" s"))

    def _settings(self) -> dict[str, Any]:
        return {**self._wish.settings, "idle_timeout": f"{self._wish.idle:g} s"}

    def _claim(self, record: ClusterRecord, *, wait: bool = True) -> None:
        """Have it written down, and wait until that is done."""
        self._record = record
        written = threading.Event()
        self._tell(Passed(Claimed(record, written)))
        while wait and not written.wait(0.1):
            if self._leaving.is_set():
                raise LeavingError

    def _doing(self, text: str) -> None:
        self._tell(Passed(Doing(self._wish.executor, text)))

    def _starting(self, text: str) -> None:
        if self._leaving.is_set():
            raise LeavingError
        took = duration(time.monotonic() - self._begun)
        self._doing(f"cluster {self._wish.name}: {text} ({took})")

    def _waits(self, text: str) -> bool:
        self._doing(text)
        return not self._leaving.is_set()

    @contextlib.contextmanager
    def _patience(self) -> Iterator[None]:
        """Say that Coiled is silent, if it is."""
        timer = threading.Timer(
            _SILENCE, lambda: self._doing("waiting for Coiled (environment of the machines)")
        )
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()


class _Progress:
    """What coiled calls while a cluster starts."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell

    def update(self, cluster_details: Mapping[str, Any] | None, *_: Any, **__: Any) -> None:
        """Say how far it is."""
        details = cluster_details or {}
        scheduler = ((details.get("scheduler") or {}).get("current_state") or {}).get("state", "pending")
        states = [((w or {}).get("current_state") or {}).get("state") for w in details.get("workers") or ()]
        ready = sum(state == "started" for state in states)
        self._tell(f"scheduler {scheduler}, {ready} of {len(states)} workers")
