"""Clusters on the command line: shown by `bt status`, stopped by `bt clean --cluster`, mentioned by `bt build`."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping

import click

from buildtool.cli.printing import put
from buildtool.clusters import (
    Found,
    clusters_of,
    concerns_coiled,
    half_made,
    project_of,
    still_up,
    workspaces,
)
from buildtool.errors import BtError, UsageError
from buildtool.paths import STATE
from buildtool.report.forecast import money
from buildtool.session import writing
from buildtool.state.records import ClusterRecord
from buildtool.state.store import State, StateReader
from buildtool.taskfile.specs import Taskfile
from buildtool.text import count, duration, printable

_SHORT = 3.0  # seconds for which a service in trouble is asked again by who can do without an answer


def clean_clusters(taskfile: Taskfile, name: str | None, *, dry_run: bool, yes: bool) -> int:
    """Stop the clusters of a project, once somebody has agreed to it, and forget them."""
    from buildtool.executors.account import accounts

    said: set[str] = set()

    def tell(text: str) -> None:
        if text not in said:
            said.add(text)
            click.echo(text, err=True)

    def waits(text: str) -> bool:
        tell(text)
        return True

    with StateReader.open(os.path.join(taskfile.root, STATE)) as reader:
        if name is None and not concerns_coiled(taskfile, reader):
            put(["there is no cluster"])
            return 0
        where = workspaces(taskfile, reader)
        with accounts(where, waits) as known:
            found = clusters_of(taskfile, reader, known.values(), name)
    put(line(one) for one in found)
    if not found:
        put(["there is no cluster"])
        return 0
    if dry_run:
        put([f"would stop {count(len(found), 'cluster')}"])
        return 0
    if not yes:
        if not sys.stdin.isatty():
            raise UsageError("`--cluster` stops machines that may be at work", hint="say `--yes` to do it")
        if not click.confirm(f"stop {count(len(found), 'cluster')}?"):
            put(["nothing stopped"])
            return 0
    with (
        writing(taskfile.root, "bt clean --cluster", wait=True, warn=tell, note=tell) as state,
        accounts(where, waits) as known,
    ):
        agreed = {one.name for one in found}
        for one in clusters_of(taskfile, state, known.values(), name):  # a build may have ended since
            if one.name not in agreed:
                continue
            if one.live is not None:
                known[one.live.workspace].end(one.live.id)
            if one.record is not None:
                state.forget_cluster(one.name, one.record.account)
                state.commit()
            put([f"stopped {printable(one.name)}" if one.live else f"{printable(one.name)} was gone already"])
    return 0


def line(found: Found) -> str:
    """One cluster: its name, backend, state, workers, age, and who asked for it."""
    words = [printable(found.name), "coiled"]
    if found.live is not None:
        words += [found.live.state, count(found.live.workers, "worker")]
    else:
        words.append("not up")
    if found.record is not None:
        age = duration(max(0.0, time.time() - found.record.asked))
        words.append(f"asked for {age} ago by {printable(found.record.maker)}")
    return "  ".join(words)


def status_lines(taskfile: Taskfile, reader: StateReader) -> list[str]:
    """The clusters that the state knows of, as they are now; without an answer, as they were."""
    records = reader.clusters()
    if not records:
        return []
    from buildtool.executors.account import accounts

    try:
        with accounts(workspaces(taskfile, reader), patience=_SHORT) as known:
            found = {
                one.record: one
                for one in clusters_of(taskfile, reader, known.values())
                if one.record is not None
            }
    except BtError as error:
        return [f"cluster {_from_record(record)}  ({error.summary})" for record in records]
    return [
        f"cluster {line(found[record])}{_worth(found[record], taskfile.price(record.executor))}"
        for record in records
    ]


def _worth(found: Found, price: float | None) -> str:
    """What a cluster that is up has cost, if it always had as many workers as it has now."""
    if price is None or found.live is None or found.record is None or not found.live.workers:
        return ""
    hours = max(0.0, time.time() - found.record.asked) / 3600
    return f"  about {money(hours * found.live.workers * price)} so far"


def status_data(reader: StateReader) -> list[Mapping[str, object]]:
    """The same as plain data, from the state alone."""
    return [
        {"name": r.name, "backend": r.backend, "executor": r.executor, "asked": r.asked, "maker": r.maker}
        for r in reader.clusters()
    ]


def _from_record(record: ClusterRecord) -> str:
    age = duration(max(0.0, time.time() - record.asked))
    return f"{printable(record.name)}  {record.backend}  asked for {age} ago by {printable(record.maker)}"


def end_half_made(
    taskfile: Taskfile, state: State, note: Callable[[str], None], warn: Callable[[str], None]
) -> None:
    """Stop what an earlier `bt` has asked for and could not end: nobody else will."""
    records = half_made(state)
    if not records:
        return
    from buildtool.executors.account import Account

    try:
        for workspace in dict.fromkeys(record.account for record in records):
            with Account("coiled", workspace=workspace, patience=_SHORT) as account:
                for record in records:
                    if record.account != workspace:
                        continue
                    number = account.made_by(project_of(taskfile), record.name)
                    if number is not None:
                        account.end(number, wait=False)
                        note(f"stopped the cluster `{record.name}`, which an earlier `bt` had left half made")
                    state.forget_cluster(record.name, record.account)
                    state.commit()
    except BtError as error:
        names = ", ".join(f"`{record.name}`" for record in records)
        warn(f"an earlier `bt` has left {names} half made, which may be up: {error.summary}")


def mention(state: StateReader, note: Callable[[str], None]) -> None:
    """Say which clusters are up and until when, so that none is forgotten."""
    for record in still_up(state.clusters(), time.time()):
        left = record.stops_after
        until = (
            f"stops after {duration(left)} without work" if left is not None else "does not stop by itself"
        )
        note(f"cluster `{record.name}` is up and {until}; `bt clean --cluster` stops it now")
