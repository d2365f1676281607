"""`bt clean`."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys

import click

from buildtool.clean import gone_lines, kept_lines, plan_sweep, sweep
from buildtool.cli.context import Context
from buildtool.cli.printing import put, remark
from buildtool.errors import BtError, StateError, UsageError
from buildtool.expand.targets import stood_for
from buildtool.failures import LOGS
from buildtool.files import Disk
from buildtool.foresee import foresee
from buildtool.paths import STATE
from buildtool.project import Project, Request
from buildtool.recover import recover, refuse_links, rescue
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
    if dry_run:
        reader = StateReader.open(os.path.join(taskfile.root, STATE))
        return _clean(context, taskfile, reader, None, targets, orphans=orphans, logs=logs)

    def tell(text: str) -> None:
        click.echo(text, err=True)

    with writing(taskfile.root, "bt clean", wait=True, warn=tell, note=tell) as state:
        return _clean(context, taskfile, state, state, targets, orphans=orphans, logs=logs)


def _clean(
    context: Context,
    taskfile: Taskfile,
    reader: StateReader,
    state: State | None,
    targets: tuple[str, ...],
    *,
    orphans: bool,
    logs: bool,
) -> int:
    if logs:
        return _clean_logs(taskfile, really=state is not None)
    project = Project(taskfile, reader, Request(targets, context.folder(taskfile)))
    paths = list(project.owned)
    if orphans:
        with contextlib.suppress(BtError):  # then less is known to be an orphan
            foresee(project, project.all_jobs(), lenient=True)  # what the last build left tells what is made
        paths = project.expander.orphans(project.owned)
    elif targets:
        want = project.want(keep_going=True)
        with contextlib.suppress(BtError):
            foresee(project, want, lenient=True)
        groups = [j for j in want.roots if project.expander.is_task_group(j)]
        roots = {
            *want.roots,
            *(j for g in groups for j in stood_for(project.expander, project.graph_jobs[g])),
        }
        keys = {project.graph_jobs[job].key for job in roots}
        paths = [path for path, key in project.owned.items() if key in keys]
    found = plan_sweep(project.disk, reader, paths)
    if state is not None:
        sweep(project.disk, found)
        state.forget_stamps(found.removable)
        if orphans:
            state.forget_outputs(found.removable)
        state.commit()
    verb = "removed" if state is not None else "would remove"
    put(gone_lines(found, verb))
    put(kept_lines(found))
    put([f"{verb} {count(len(found.removable), 'output')}"])
    return 0


def remove_outputs(project: Project, state: State, paths: list[str]) -> list[str]:
    """Remove these recorded outputs as far as nobody changed them; those that were removed."""
    found = plan_sweep(project.disk, state, paths)
    sweep(project.disk, found)
    state.forget_stamps(found.removable)
    state.forget_outputs(found.removable)
    state.commit()
    return found.removable


def _put_right(taskfile: Taskfile) -> None:
    """Before the state goes: put back what a killed build moved aside, or keep it where that cannot be told."""
    disk = Disk(taskfile.root)
    done = None
    with contextlib.suppress(StateError), State.open(os.path.join(taskfile.root, STATE)) as state:
        done = recover(state, disk)
    done = done or rescue(disk)
    if done is not None:
        put([done])


def _clean_logs(taskfile: Taskfile, *, really: bool) -> int:
    where = os.path.join(taskfile.root, LOGS)
    names = sorted(os.listdir(where)) if os.path.isdir(where) else []
    if really:
        Disk(taskfile.root).remove(LOGS)
    put([f"{'removed' if really else 'would remove'} {count(len(names), 'log')}"])
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
        put([f"would remove {STATE}/: the next build runs every job"])
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
    put([f"removed {STATE}/"])
    return 0
