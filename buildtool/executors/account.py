"""The user's account with Coiled: who they are, which clusters there are, and how one is ended.

Does not know what runs on a cluster, nor which of them are whose.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any, NamedTuple, Self

from buildtool.errors import ExecutorError, Place
from buildtool.executors.messages import LeavingError

OVER = ("stopping", "stopped", "error")  # states of a cluster that cannot be used any more
_PATIENCE = 30.0  # seconds for the first answer
_LOOK = "10s"  # between two looks of a cluster that grows at which machines it has
_STOPPING = 300.0  # seconds that a cluster may take to stop


class Live(NamedTuple):
    """A cluster as Coiled tells of it."""

    id: int
    name: str
    state: str
    workers: int
    tags: dict[str, str]


class Account:
    """The account that this machine is logged in to. Each method raises `ExecutorError` with what Coiled says."""

    def __init__(self, executor: str, place: Place | None = None) -> None:
        self._executor = executor
        self._place = place

    def __enter__(self) -> Self:
        self.library = library = self._library()
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
            # By itself coiled would ask for a new token in a browser and wait for it.
            asyncio.run(
                asyncio.wait_for(
                    library.utils.handle_credentials(
                        token=token, save=False, retry=False, print_invalid_token_messages=False
                    ),
                    _PATIENCE,
                )
            )
            self.cloud = library.Cloud()
            self.cloud.__enter__()
        return self

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
        return [live for live in map(_live, told) if live.state not in OVER]

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
            if isinstance(error, OSError | TimeoutError):
                raise self.error(f"Coiled does not answer at `{self.server}`", cause=text) from error
            number = getattr(error, "cluster_id", None)  # of one that did not come up: its page says more
            page = f"{self.server}/clusters/{number}" if number else ""
            raise self.error(f"Coiled refuses ({what})", cause=text, page=page) from error

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
                hint="pip install 'buildtool[coiled]'",
            ) from None
        return coiled


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
