"""`bt clean`."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from contextlib import AbstractContextManager

import click

from buildtool.clean import Sweep, gone_lines, kept_lines, plan_sweep, sweep
from buildtool.cli.context import Context
from buildtool.cli.printing import put, remark
from buildtool.errors import BtError, FullError, StateError, UsageError
from buildtool.expand.targets import stood_for
from buildtool.failures import LOGS
from buildtool.files import Disk
from buildtool.foresee import foresee
from buildtool.paths import STATE
from buildtool.project import Project, Request
from buildtool.recover import KEPT, recover, refuse_links, rescue
from buildtool.session import writing
from buildtool.state.lock import Holder, acquire
from buildtool.state.store import State, StateReader
from buildtool.taskfile.specs import Taskfile
from buildtool.text import count, printable, size


def command(
    context: Context,
    targets: tuple[str, ...],
    dry_run: bool,
    orphans: bool,
    logs: bool,
    whole_cache: bool,
    whole_state: bool,
    cluster: str | None,
    yes: bool,
) -> int:
    """Remove outputs that bt wrote and nobody changed since: all, or those of targets."""
    taskfile = context.taskfile()
    if sum((orphans, logs, whole_cache, whole_state, cluster is not None)) + bool(targets) > 1:
        raise UsageError(
            "targets, `--orphans`, `--logs`, `--cache`, `--state` and `--cluster` exclude each other"
        )
    if cluster is not None:
        from buildtool.cli.clusters import clean_clusters

        return clean_clusters(taskfile, cluster or None, dry_run=dry_run, yes=yes)
    if whole_state:
        return _clean_state(taskfile, dry_run=dry_run, yes=yes)
    if whole_cache:
        return _clean_cache(taskfile, dry_run=dry_run)
    if logs:
        return _clean_logs(taskfile, dry_run=dry_run)
    where = os.path.join(taskfile.root, STATE)
    request = Request(targets, context.folder(taskfile))
    if dry_run:
        project, paths = _meant(taskfile, StateReader.open(where), request, orphans=orphans)
        found = plan_sweep(project.disk, project.reader, paths)
        _tell(found, "would remove")
        return 0
    try:
        with _writing(taskfile) as state:
            project, paths = _meant(taskfile, state, request, orphans=orphans)
            found = plan_sweep(project.disk, state, paths)
            sweep(project.disk, found)
            _forget(state, found, orphans=orphans)
    except FullError as error:
        found = _make_room(taskfile, request, error, orphans=orphans)
    _tell(found, "removed")
    return 0


def _writing(taskfile: Taskfile) -> AbstractContextManager[State]:
    return writing(taskfile.root, "bt clean", wait=True, warn=remark, note=remark)


def _meant(
    taskfile: Taskfile, reader: StateReader, request: Request, *, orphans: bool
) -> tuple[Project, list[str]]:
    """The project, and those of its recorded outputs that are to go."""
    project = Project(taskfile, reader, request)
    if orphans:
        with contextlib.suppress(BtError):  # then less is known to be an orphan
            foresee(project, project.all_jobs(), lenient=True)  # what the last build left tells what is made
        return project, project.expander.orphans(project.owned)
    if not request.targets:
        return project, list(project.owned)
    want = project.want(keep_going=True)
    with contextlib.suppress(BtError):
        foresee(project, want, lenient=True)
    groups = [j for j in want.roots if project.expander.is_late_group(j)]
    roots = {
        *want.roots,
        *(j for g in groups for j in stood_for(project.expander, project.graph_jobs[g])),
    }
    keys = {project.graph_jobs[job].key for job in roots}
    return project, [path for path, key in project.owned.items() if key in keys]


def _forget(state: State, found: Sweep, *, orphans: bool) -> None:
    state.forget_stamps(found.removable)
    if orphans:
        state.forget_outputs(found.removable)
    state.commit()


def _make_room(taskfile: Taskfile, request: Request, full: FullError, *, orphans: bool) -> Sweep:
    """Remove on a full disk what the state knows, and let the state know of it when that has given room.

    Raises `full` if what a dead build left must be put right first, and a FullError if that gave no room.
    """
    where = os.path.join(taskfile.root, STATE)
    with acquire(where, "bt clean", True, _tell_wait):
        refuse_links(Disk(taskfile.root))
        with StateReader.open(where) as reader:
            if reader.running():
                raise full
            project, paths = _meant(taskfile, reader, request, orphans=orphans)
            found = plan_sweep(project.disk, reader, paths)
        sweep(project.disk, found)
    with _writing(taskfile) as state:
        _forget(state, found, orphans=orphans)
    return found


def _tell(found: Sweep, verb: str) -> None:
    put(gone_lines(found, verb))
    put(kept_lines(found))
    put([f"{verb} {count(len(found.removable), 'output')}"])


def _put_right(taskfile: Taskfile) -> None:
    """Before the state goes: put back what a killed build moved aside, or keep it where that cannot be told."""
    disk = Disk(taskfile.root)
    done = None
    with contextlib.suppress(StateError), State.open(os.path.join(taskfile.root, STATE)) as state:
        done = recover(state, disk)
    done = done or rescue(disk)
    if done is not None:
        put([done])


def _clean_logs(taskfile: Taskfile, *, dry_run: bool) -> int:
    """Needs no state, so that it makes room on a full disk, too; a build that runs is waited for."""
    where = os.path.join(taskfile.root, LOGS)
    names = sorted(os.listdir(where)) if os.path.isdir(where) else []
    if not dry_run:
        with acquire(os.path.join(taskfile.root, STATE), "bt clean --logs", True, _tell_wait):
            disk = Disk(taskfile.root)
            refuse_links(disk)
            disk.remove(LOGS)
    put([f"{'would remove' if dry_run else 'removed'} {count(len(names), 'log')}"])
    return 0


def _clean_cache(taskfile: Taskfile, *, dry_run: bool) -> int:
    """Empty the cache before the state is opened: on a full disk, that takes the room which it gives."""
    from buildtool.cache.store import clear, kept_size
    from buildtool.restoring import SIZE

    disk, where = Disk(taskfile.root), os.path.join(taskfile.root, STATE)
    if dry_run:
        put([f"would remove {size(kept_size(disk))} of past outputs"])
        return 0
    with acquire(where, "bt clean --cache", True, _tell_wait):
        refuse_links(disk)
        bytes_ = kept_size(disk)
        clear(disk)
        with State.open(where) as state:
            for text in (*state.warnings, recover(state, disk)):
                if text is not None:
                    remark(text)
            state.set_value(SIZE, "0")
    put([f"removed {size(bytes_)} of past outputs"])
    return 0


def _tell_wait(holder: Holder) -> None:
    remark(f"waiting for `{printable(holder.command)}` (pid {holder.pid})")


def _clean_state(taskfile: Taskfile, *, dry_run: bool, yes: bool) -> int:
    """Forget everything. The lock file stays until the end, so that no other `bt` starts meanwhile."""
    where = os.path.join(taskfile.root, STATE)
    if not os.path.isdir(where):
        put(["there is no state"])
        return 0
    if os.path.islink(where):  # what else lies there is not known
        raise UsageError(
            f"`{STATE}` is a link, which is not followed", hint="remove it, and what it leads to"
        )
    with StateReader.open(where) as reader:
        clusters = [record.name for record in reader.clusters()]
    if clusters and not dry_run:
        raise UsageError(
            f"the state knows of {count(len(clusters), 'cluster')} that may be up: {', '.join(clusters)}",
            hint="stop them first with `bt clean --cluster`",
        )
    if dry_run:
        put([f"would remove {_all_but_kept(where)}: the next build runs every job"])
        return 0
    if not yes:
        if not sys.stdin.isatty():
            raise UsageError("`--state` makes the next build run every job", hint="say `--yes` to do it")
        if not click.confirm("forget everything, so that the next build runs every job?"):
            put(["nothing removed"])
            return 0
    with acquire(where, "bt clean --state", True, lambda _holder: None):
        _put_right(taskfile)
        for name in os.listdir(where):
            path = os.path.join(where, name)
            if name == "kept":
                continue  # these files are the user's
            if os.path.isdir(path) and not os.path.islink(path):
                shutil.rmtree(path)
            else:
                os.unlink(path)
    put([f"removed {_all_but_kept(where)}"])
    return 0


def _all_but_kept(where: str) -> str:
    """What of the state folder goes, in words: what people wrote and was kept for them stays."""
    return f"{STATE}/, but for {KEPT}" if os.path.isdir(os.path.join(where, "kept")) else f"{STATE}/"
