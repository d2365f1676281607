"""What must be settled before it is known what a pattern matches, and who waits for whom as the graph grows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Self

from buildtool.graph import Graph, JobId


class Blockers:
    """Jobs that must be settled first.

    What the `named` ones make is what was asked for. The `nearby` ones make directories as a whole in which there may
    be something that matches: they are waited for unless they wait for the reader themselves.
    """

    __slots__ = ("named", "nearby")

    def __init__(self, named: Iterable[JobId] = (), nearby: Iterable[JobId] = ()) -> None:
        self.named = set(named)
        self.nearby = set(nearby)

    def __bool__(self) -> bool:
        return bool(self.named or self.nearby)

    def __ior__(self, other: Blockers) -> Self:
        self.named |= other.named
        self.nearby |= other.nearby
        return self

    def all(self) -> set[JobId]:
        """Both kinds."""
        return self.named | self.nearby

    def without(self, job: JobId) -> Blockers:
        """The same for that job itself, which does not wait for itself."""
        return Blockers(self.named - {job}, self.nearby - {job})


class Order:
    """Who waits for whom in a graph that grows. What was worked out is kept until `forget`."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._before: dict[JobId, frozenset[JobId]] = {}

    def waits(self, job: JobId, other: JobId) -> bool:
        """Whether `job` is `other`, or is looked at behind it."""
        before = self._before.get(job)
        if before is None:
            before = self._before[job] = frozenset(self._graph.closure([job]))
        return other in before

    def forget(self, job: JobId | None = None) -> None:
        """The graph has grown: everywhere, or only in what stands before that job."""
        if self._before and (job is None or any(job in before for before in self._before.values())):
            self._before.clear()
