"""The user's account with Coiled: who they are, which clusters there are, and how one is ended.

Does not know what runs on a cluster, nor which of them are whose.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Self

from buildtool.errors import ExecutorError, Place
from buildtool.executors.messages import LeavingError
from buildtool.tuples import NamedTuple

OVER = ("stopping", "stopped", "error")  # states of a cluster that cannot be used any more
_PATIENCE = 30.0  # seconds for the first answer
_LOOK = "10s"  # between two looks of a cluster that grows at which machines it has
_STOPPING = 300.0  # seconds that a cluster may take to stop
TROUBLE = 60.0  # seconds for which a service that answers with errors of its own is asked again
_BROKEN = 500  # the status of such an answer; coiled sees to 502, 503 and 504 itself


class Live(NamedTuple):
    """A cluster as Coiled tells of it."""

    id: int
    name: str
    state: str
    workers: int
    tags: dict[str, str]
    workspace: str = ""


class Account:
    """The account that this machine is logged in to. Each method raises `ExecutorError` with what Coiled says.

    `workspace`: of Coiled; None is the usual one. `waits` is told what is waited for, if the service is in trouble,
    for `patience` seconds, and says whether that is worth while.
    """

    def __init__(
        self,
        executor: str,
        place: Place | None = None,
        workspace: str | None = None,
        waits: Callable[[str], bool] = lambda _: True,
        patience: float = TROUBLE,
    ) -> None:
        self._executor = executor
        self._place = place
        self._wanted = workspace
        self._waits = waits
        self._broken = False  # the last answer was an error of the service's own
        self.patience = patience

    def __enter__(self) -> Self:
        self.library = self._library()
        import asyncio

        import dask

        # The text of functions is nobody's business: coiled would send it for its statistics.
        # Lost machines count as being there until it looks again.
        dask.config.set(
            {
                "coiled.analytics.computation.code.transmit": False,
                "coiled.adaptive.update-plan-interval": _LOOK,
            }
        )
        token = dask.config.get("coiled.token", None)
        self.server = str(dask.config.get("coiled.server"))
        if not token:
            raise self.error("this machine is not logged in to Coiled", hint="run `coiled login`")
        with self.telling("logging in"):
            asyncio.run(self._log_in(token))
            self.cloud = self._patient()(workspace=self._wanted)
            self.cloud.__enter__()
            self.workspace = str(self.cloud.default_workspace)
        return self

    async def _log_in(self, token: str) -> None:
        """Try the token; by itself coiled would ask for a new one in a browser and wait for it."""
        import asyncio

        waiting = _Waiting(self)
        while True:
            asking = self.library.utils.handle_credentials(
                token=token, save=False, retry=False, print_invalid_token_messages=False
            )
            try:
                await asyncio.wait_for(asking, _PATIENCE)
            except self.library.errors.ServerError:
                self._broken = True
                if not await waiting.again():
                    raise
            else:
                self._broken = False
                return

    def _patient(self) -> Any:
        """The connection to Coiled, made to ask again when the service answers with an error of its own."""
        account = self

        class Patient(self.library.Cloud):  # type: ignore[misc,name-defined,unused-ignore]  # it has no types
            async def _do_request(self, *given: Any, **named: Any) -> Any:
                waiting = _Waiting(account)
                while True:
                    response = await super()._do_request(*given, **named)
                    account._broken = response.status >= _BROKEN
                    if response.status != _BROKEN or not await waiting.again():
                        return response

        return Patient

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connection."""
        with contextlib.suppress(Exception):
            self.cloud.close()

    def find(self, name: str) -> int | None:
        """The number of the cluster of this name that is up or starting."""
        with self.telling(f"looking for the cluster `{name}`"):
            try:
                return int(self.cloud.get_cluster_by_name(name))
            except self.library.errors.DoesNotExist:
                return None

    def made_by(self, project: str, name: str) -> int | None:
        """The number of the cluster of this name, if it is up or starting and marked as that project's."""
        meant = (live for live in self.clusters() if live.name == name)
        return next((live.id for live in meant if live.tags.get("bt-project") == project), None)

    def clusters(self) -> list[Live]:
        """All that are not over."""
        with self.telling("listing the clusters"):
            told = self.cloud.list_clusters()
        found = (_live(one)._replace(workspace=self.workspace) for one in told)
        return [live for live in found if live.state not in OVER]

    def end(self, number: int, *, wait: bool = True) -> None:
        """End a cluster, and wait until it is; one that is over is well."""
        with (
            self.telling(f"ending the cluster {number}"),
            contextlib.suppress(self.library.errors.DoesNotExist),
        ):
            if self._state(number) not in OVER:
                self.cloud.delete_cluster(number, reason="bt")
            until = time.monotonic() + _STOPPING
            while wait and self._state(number) not in ("stopped", "error"):
                if time.monotonic() > until:
                    raise self.error(f"the cluster {number} does not stop")
                time.sleep(0.5)

    def _state(self, number: int) -> str:
        known = {live.id: live.state for live in map(_live, self.cloud.list_clusters())}
        return known.get(number, "stopped")

    @contextlib.contextmanager
    def telling(self, what: str) -> Iterator[None]:
        """Put what coiled raises into words of ours."""
        try:
            yield
        except (ExecutorError, LeavingError):
            raise
        except Exception as error:
            kind = type(error).__name__
            text = " ".join(str(error).split()) or kind
            if kind == "AuthenticationError":
                raise self.error(
                    "Coiled does not accept the token of this machine", cause=text, hint="run `coiled login`"
                ) from error
            refusal = (
                isinstance(error, PermissionError) and error.errno is None
            )  # coiled's own, not the system's
            if isinstance(error, OSError | TimeoutError) and not refusal:
                raise self.error(f"Coiled does not answer at `{self.server}`", cause=text) from error
            number = getattr(error, "cluster_id", None)  # of one that did not come up: its page says more
            page = f"{self.server}/clusters/{number}" if number else ""
            if self._broken and not number:
                summary = f"Coiled is in trouble ({what})"
                raise self.error(summary, cause=text, hint="try again in a while") from error
            raise self.error(f"Coiled refuses ({what})", cause=text, page=page) from error

    def keeps_waiting(self) -> bool:
        """Whether it is worth while to wait for a service that is in trouble."""
        return self._waits("waiting for Coiled, which is in trouble")

    def error(
        self, summary: str, *, cause: str = "", page: str = "", hint: str | None = None
    ) -> ExecutorError:
        """An error of this executor."""
        more = (("cause", cause), ("page", page))
        facts = (("executor", self._executor), *((what, text) for what, text in more if text))
        return ExecutorError(summary, place=self._place, facts=facts, hint=hint)

    def _library(self) -> Any:
        try:
            import coiled  # type: ignore[import-untyped,import-not-found,unused-ignore]  # it has no types
            import coiled.errors  # type: ignore[import-untyped,import-not-found,unused-ignore]
            import coiled.utils  # type: ignore[import-untyped,import-not-found,unused-ignore]
        except ImportError:
            raise ExecutorError(
                f"the executor `{self._executor}` needs a package that is not installed",
                place=self._place,
                hint="run `pip install 'buildtool[coiled]'`",
            ) from None
        return coiled


class _Waiting:
    """For a service that is in trouble: pauses that grow, until patience ends."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._until = time.monotonic() + account.patience
        self._pause = 0.5

    async def again(self) -> bool:
        """Wait a little; whether to ask again then."""
        import asyncio

        left = self._until - time.monotonic()
        if left <= 0 or not self._account.keeps_waiting():
            return False
        await asyncio.sleep(min(self._pause, left))
        self._pause = min(2 * self._pause, 5.0)
        return self._account.keeps_waiting()


@contextlib.contextmanager
def accounts(
    workspaces: Iterable[str | None],
    waits: Callable[[str], bool] = lambda _: True,
    patience: float = TROUBLE,
) -> Iterator[dict[str, Account]]:
    """The account in each of these workspaces, by their names; for `waits` and `patience` see `Account`.

    Raises `ExecutorError`.
    """
    with contextlib.ExitStack() as stack:
        found: dict[str, Account] = {}
        for workspace in dict.fromkeys(workspaces):
            if workspace not in found:
                account = Account("coiled", None, workspace, waits, patience)
                stack.enter_context(account)
                found.setdefault(account.workspace, account)
        yield found


def _live(told: dict[str, Any]) -> Live:
    tags = told.get("tags") or {}
    if isinstance(tags, list):
        tags = {str(tag.get("key")): str(tag.get("value")) for tag in tags}
    workers = told.get("workers")
    return Live(
        int(told["id"]),
        str(told["name"]),
        str((told.get("current_state") or {}).get("state", "unknown")),
        sum((worker.get("current_state") or {}).get("state") == "started" for worker in workers or ()),
        {str(key): str(value) for key, value in tags.items()},
    )
