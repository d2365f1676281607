"""`bt history`."""

from __future__ import annotations

import os
import time

from buildtool.cli.context import Context
from buildtool.cli.jobs import jobs_of_target
from buildtool.cli.printing import put, put_json, remark
from buildtool.cli.words import SHOWN
from buildtool.errors import BtError, ExitCode, UsageError
from buildtool.paths import STATE
from buildtool.report.past import build_data, entry_data, render_builds, render_entries
from buildtool.state.lock import read_holder
from buildtool.state.records import HistoryRecord
from buildtool.state.store import StateReader
from buildtool.text import printable


def command(context: Context, what: str | None, limit: int | None, as_json: bool) -> int:
    """Show past builds, the latest first; the jobs of one (NUMBER), or the runs of a TARGET's jobs."""
    directory = os.path.join(os.path.dirname(context.taskfile_path()), STATE)
    with StateReader.open(directory) as reader:
        for warning in reader.warnings:
            remark(f"warning: {warning}")
        if what is None:
            return show_builds(context, reader, directory, limit or SHOWN, as_json=as_json)
        if what.isascii() and what.isdecimal():
            entries = entries_of_build(reader, int(what))[:limit]
        else:
            found = entries_of_target(context, reader, what)
            if found is None:
                remark(f"`{printable(what)}` is a source: no job makes it")
                return ExitCode.MISSING
            entries = found[: limit or SHOWN]
    if as_json:
        put_json([entry_data(entry) for entry in entries])
    elif entries:
        put(render_entries(entries, context.paint(), with_build=not what.isdecimal()))
    else:
        remark("every job was fresh" if what.isdecimal() else "it has not run yet")
    return ExitCode.DONE


def show_builds(context: Context, reader: StateReader, directory: str, limit: int, *, as_json: bool) -> int:
    """Print the last builds."""
    busy = read_holder(directory) is not None
    builds = reader.builds(limit)
    running = next((b.number for b in builds[:1] if busy and b.ended is None), None)
    if as_json:
        put_json([build_data(build, running) for build in builds])
    elif builds:
        put(render_builds(builds, running, time.time(), context.paint()))
    else:
        remark("nothing was built here yet")
    return ExitCode.DONE


def entries_of_build(reader: StateReader, number: int) -> list[HistoryRecord]:
    """What jobs did in one build, as they ended. Raises `UsageError` if there is no such build."""
    numbers = [build.number for build in reader.builds()]
    if number not in numbers:
        known = f"builds {numbers[-1]} to {numbers[0]} are known" if numbers else "nothing was built here yet"
        raise UsageError(f"there is no build {number}", hint=f"{known}; a file of that name is `./{number}`")
    return sorted(reader.history(build=number), key=lambda entry: (entry.ended, entry.name))


def entries_of_target(context: Context, reader: StateReader, target: str) -> list[HistoryRecord] | None:
    """The runs of a target's jobs, the latest first; also of a file that no task makes any more. None: a source."""
    try:
        project = context.look((target,))
        with project.reader:
            keys = [job.key for job in jobs_of_target(project)]
    except BtError:
        gone = reader.history(key=target)
        if not gone:
            raise
        return gone
    if not keys:  # a file that is there and that nothing makes now
        return reader.history(key=target) or None
    found = [entry for key in dict.fromkeys(keys) for entry in reader.history(key=key)]
    return sorted(found, key=lambda entry: (-entry.build, -entry.ended, entry.name))
