"""The clusters that a project has asked for: which there are, and how they are ended.

Knows names, marks and records; what a cluster is, the backend knows.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from buildtool.errors import Place, UsageError
from buildtool.executors.processes import alive
from buildtool.state.records import ClusterRecord
from buildtool.state.store import StateReader
from buildtool.taskfile.specs import ExecutorSpec, Taskfile
from buildtool.text import did_you_mean, printable
from buildtool.tuples import NamedTuple

if TYPE_CHECKING:
    from buildtool.executors.account import Account, Live


class Found(NamedTuple):
    """One cluster: as it was noted, as the service tells of it, or both."""

    name: str
    record: ClusterRecord | None
    live: Live | None


def half_made(reader: StateReader) -> list[ClusterRecord]:
    """Clusters that were asked for by a `bt` of this machine that has died before it knew that they were up."""
    return [
        record
        for record in reader.clusters()
        if record.is_half_made
        and record.maker.endswith(f"@{platform.node()}")
        and not (record.stamp is not None and alive(record.pid, record.stamp))
    ]


def concerns_coiled(taskfile: Taskfile, reader: StateReader) -> bool:
    """Whether there may be clusters at all, as far as the state and the Taskfile tell."""
    named = {task.executor for task in taskfile.tasks.values()}
    if taskfile.settings.executor is not None:
        named.add(taskfile.settings.executor.text)
    return (
        bool(reader.clusters())
        or "coiled" in named
        or any(spec.backend == "coiled" for spec in taskfile.executors.values())
    )


def workspaces(taskfile: Taskfile, reader: StateReader) -> list[str | None]:
    """Where clusters of this project may be; None is the workspace that Coiled takes by itself."""
    from buildtool.executors.wish import workspace_of

    named = (
        workspace_of(spec.options.get("options", {}))
        for spec in taskfile.executors.values()
        if spec.backend == "coiled"
    )
    return list(dict.fromkeys((None, *named, *(record.account for record in reader.clusters()))))


def clusters_of(
    taskfile: Taskfile, reader: StateReader, accounts: Iterable[Account], name: str | None = None
) -> list[Found]:
    """The clusters of this project, or those called `name` (or made for the executor `name`).

    Raises `UsageError` for one that is another project's.
    """
    records = {(record.name, record.account): record for record in reader.clusters()}
    known = [live for account in accounts for live in account.clusters()]
    ours: list[Found] = []
    for live in known:
        record = records.get((live.name, live.workspace)) or records.get((live.name, None))
        marked = live.tags.get("bt-project")
        by_name = record is not None or _has_our_name(taskfile, live.name)
        if marked in (None, project_of(taskfile)) and (by_name or (live.name == name and marked)):
            ours.append(Found(live.name, record, live))  # what is marked may have its name from a decorator
    seen = {one.record for one in ours}
    ours += [Found(record.name, record, None) for record in records.values() if record not in seen]
    if name is None:
        return ours
    meant = [one for one in ours if one.name == name or _executor(taskfile, one) == name]
    if meant:
        return meant
    for live in known:
        if live.name == name:
            project = live.tags.get("bt-project")
            owner = f"of the project `{printable(project)}`" if project else "not marked as made by `bt`"
            raise UsageError(
                f"the cluster `{printable(name)}` is {owner}", hint="end it with coiled's own tools"
            )
    if name not in (*taskfile.executors, "coiled") and ours:
        names = [one.name for one in ours]
        raise UsageError(f"no cluster is called `{printable(name)}`", hint=did_you_mean(name, names))
    return []


def project_of(taskfile: Taskfile) -> str:
    """What clusters of this project are marked with. A name alone proves nothing: others may have taken it since."""
    return os.path.basename(taskfile.root) or "root"


def _has_our_name(taskfile: Taskfile, cluster: str) -> bool:
    return any(_fits(cluster, name, serverless) for _, name, serverless in _names(taskfile))


def _executor(taskfile: Taskfile, found: Found) -> str | None:
    """The executor that a cluster was made for."""
    if found.record is not None:
        return found.record.executor
    return next((one for one, name, less in _names(taskfile) if _fits(found.name, name, less)), None)


def _names(taskfile: Taskfile) -> Iterator[tuple[str, str, bool]]:
    """Of each executor of that kind: its name, what its cluster is called, and whether it has one for each machine."""
    from buildtool.executors.wish import cluster_name

    bare = {
        "coiled": ExecutorSpec("coiled", Place("", 0, 0, 0, ""), "coiled", {})
    }  # by the backend's own name
    for spec in (bare | dict(taskfile.executors)).values():
        if spec.backend == "coiled":
            yield spec.name, cluster_name(spec, taskfile.root), spec.options.get("mode") == "function"


def _fits(cluster: str, name: str, serverless: bool) -> bool:
    base, _, mark = cluster.rpartition("-")
    return base == name and len(mark) == 6 if serverless else cluster == name


def still_up(records: Iterable[ClusterRecord], now: float) -> list[ClusterRecord]:
    """Those that have not stopped by themselves yet, as far as can be told without asking."""
    return [r for r in records if r.stops_after is None or now < max(r.used, r.asked) + r.stops_after]
