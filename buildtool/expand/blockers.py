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
    """Who waits for whom in a graph that grows: for each job that was asked about, one bit for each other one."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._before: dict[JobId, int] = {}

    def waits(self, job: JobId, other: JobId) -> bool:
        """Whether `job` is `other`, or is looked at behind it."""
        return bool(self._all_before(job) >> other & 1)

    def note(self, job: JobId) -> None:
        """What this job waits for was filled in: so it is for all that wait for it."""
        waiting = [other for other, before in self._before.items() if before >> job & 1]
        if waiting:
            more = 0
            for first in self._graph.prerequisites(self._graph.jobs[job]):
                more |= self._all_before(first)
            for other in waiting:
                self._before[other] |= more

    def forget(self) -> None:
        """More was filled in than is noted."""
        self._before.clear()

    def _all_before(self, job: JobId) -> int:
        known = self._before.get(job)
        if known is None:
            bits = bytearray(len(self._graph.jobs) // 8 + 1)
            for other in self._graph.closure([job]):
                bits[other >> 3] |= 1 << (other & 7)
            known = self._before[job] = int.from_bytes(bits, "little")
        return known
