"""The executors of a Taskfile: which there are, and how each is made.

Does not know which task goes where.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from buildtool.errors import ExecutorError, Place, StateError
from buildtool.executors import processes
from buildtool.executors.commands import Commands
from buildtool.executors.dispatch import Dispatch
from buildtool.executors.protocol import Executor
from buildtool.taskfile.specs import DECORATED, ExecutorSpec, Taskfile
from buildtool.text import count, did_you_mean

if TYPE_CHECKING:
    from concurrent.futures import Executor as Pool

    from buildtool.executors.wish import Wish

LEAST = 24  # files that must be open at once for one job to run
BACKENDS = (
    "local",
    "threads",
    "processes",
    "loky",
    "dask",
    "coiled",
)  # those that need no more than their name


def check_executor(taskfile: Taskfile, name: str) -> str | None:
    """Why there is no executor of that name, or None if there is: a hint."""
    known = known_executors(taskfile)
    return None if name in known else did_you_mean(name, known) or f"there is {', '.join(known)}"


def known_executors(taskfile: Taskfile) -> list[str]:
    """The names of all executors, sorted."""
    return sorted({*taskfile.executors, *BACKENDS})


def executors_of(taskfile: Taskfile, jobs: int, mask: tuple[bytes, ...] = ()) -> Dispatch:
    """All executors of a Taskfile, each made when it is first used; `jobs` at a time where nothing else is said.

    Raises `StateError` where so few files may be open at once that no job could be started.
    """
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if 0 <= most < LEAST:
        raise StateError(
            f"no job can run: only {count(most, 'file')} may be open at once, and `bt` needs {LEAST}",
            hint="allow more with `ulimit -n 256`, or where that limit is set",
        )
    specs = {name: ExecutorSpec(name, _NOWHERE, name, {}) for name in BACKENDS} | dict(taskfile.executors)
    commands = Commands(mask=mask)
    makers = {name: _maker(spec, taskfile, jobs, mask, commands.is_busy) for name, spec in specs.items()}
    makers[DECORATED] = lambda: _decorated(taskfile, mask)
    return Dispatch(commands, makers)


def _maker(
    spec: ExecutorSpec, taskfile: Taskfile, jobs: int, mask: tuple[bytes, ...], beside: Callable[[], bool]
) -> Callable[[], Executor]:
    if spec.backend == "coiled":
        return lambda: _coiled(spec, taskfile.root, mask)
    workers = int(spec.options.get("workers", jobs))
    if spec.backend == "dask":
        return lambda: _dask(spec, taskfile.root, workers, mask)
    if spec.backend in ("local", "threads"):
        slots = max(2, workers) if spec.backend == "threads" else 1
        stray = os.path.join(taskfile.root, f".bt/log/{spec.name}.log")
        return lambda: _workers(workers, slots, stray if slots > 1 else None, mask, beside)
    pools: Mapping[str, Callable[[int], Pool]] = {
        "processes": _processes,
        "loky": _loky,
        "custom": lambda count: _custom(spec, taskfile, count),
    }
    if spec.options.get("remote"):
        return lambda: _elsewhere(spec.name, pools[spec.backend], workers, mask)
    return lambda: _futures(pools[spec.backend], workers, mask)


# What follows is loaded when a function is to run: most builds have nothing to do.


def _workers(
    most: int, slots: int, stray: str | None, mask: tuple[bytes, ...], beside: Callable[[], bool]
) -> Executor:
    from buildtool.executors.workers import Workers

    return Workers(most=most, slots=slots, stray=stray, beside=beside, mask=mask)


def _futures(factory: Callable[[int], Pool], workers: int, mask: tuple[bytes, ...]) -> Executor:
    from buildtool.executors.futures import Futures

    return Futures(factory, workers, mask=mask)


def _dask(spec: ExecutorSpec, root: str, workers: int, mask: tuple[bytes, ...]) -> Executor:
    from buildtool.executors.courier import Courier
    from buildtool.executors.dask import dask
    from buildtool.executors.remote import RemoteExecutor

    place = spec.place if spec.place.file else None
    connect = dask(spec.name, place, spec.options, root, workers)
    return RemoteExecutor(spec.name, lambda tell: Courier(spec.name, connect, tell), mask=mask)


def _coiled(spec: ExecutorSpec, root: str, mask: tuple[bytes, ...]) -> Executor:
    from buildtool.executors.kinds import ByKind
    from buildtool.executors.wish import wish

    def cluster(hardware: tuple[tuple[str, float], ...]) -> Executor:
        return _cluster(spec.name, lambda: wish(spec, root, dict(hardware)), mask)

    if spec.options.get("mode") != "function":
        return cluster(())
    return ByKind(
        spec.name, lambda work: tuple(sorted(work.remote.resources.items())) if work.remote else (), cluster
    )


def _decorated(taskfile: Taskfile, mask: tuple[bytes, ...]) -> Executor:
    """Where functions with `@coiled.function` run: each says itself on which cluster."""
    import threading

    from buildtool.executors.kinds import ByKind
    from buildtool.executors.wish import wish_of
    from buildtool.runtime import modules

    asking = threading.Lock()  # each is asked in a thread of its own, and the modules are the same

    def cluster(target: str) -> Executor:
        def wish() -> Wish:
            with asking:
                _set_path(taskfile)
                modules.forget()  # they may have been edited since
                return wish_of(target, taskfile.root)

        return _cluster(DECORATED, wish, mask)

    return ByKind(DECORATED, lambda work: work.call.target if work.call is not None else "", cluster)


def _cluster(name: str, wish: Callable[[], Wish], mask: tuple[bytes, ...]) -> Executor:
    from buildtool.executors.coiled import coiled
    from buildtool.executors.courier import Courier
    from buildtool.executors.remote import RemoteExecutor

    connect = coiled(wish)
    return RemoteExecutor(name, lambda tell: Courier(name, connect, tell), mask=mask)


def _elsewhere(name: str, factory: Callable[[int], Pool], workers: int, mask: tuple[bytes, ...]) -> Executor:
    from buildtool.executors.pool import PoolCourier
    from buildtool.executors.remote import RemoteExecutor

    return RemoteExecutor(name, lambda tell: PoolCourier(name, factory, workers, tell), mask=mask)


def _processes(workers: int) -> Pool:
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import resource_tracker

    from buildtool.executors.futures import bare_main
    from buildtool.runtime.forkserver import PARENT
    from buildtool.runtime.parent import begin_worker, shielded

    resource_tracker.ensure_running()  # it would lift the shield

    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["buildtool.runtime.perform", "buildtool.runtime.forkserver"])
    # Have all processes now: the pool does not notice the death of one that it starts later while it waits. It
    # starts none while one is idle: so none gets past the gate before all are there.
    gate = context.Semaphore(0)
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=begin_worker, initargs=(gate,))
    os.environ[PARENT] = str(os.getpid())
    try:
        with bare_main(), shielded():
            for _ in range(workers):
                pool.submit(int)
    finally:
        del os.environ[PARENT]
    for _ in range(workers):
        gate.release()
    return pool


def _loky(workers: int) -> Pool:
    try:
        from loky import ProcessPoolExecutor  # type: ignore[import-untyped]  # it has no types
    except ImportError:
        raise ExecutorError(
            "the executor `loky` needs a package that is not installed",
            hint="run `pip install 'buildtool[loky]'`",
        ) from None
    from multiprocessing import resource_tracker

    from loky.backend import resource_tracker as theirs  # type: ignore[import-untyped]

    from buildtool.executors.futures import bare_main
    from buildtool.runtime.parent import begin_worker, shielded

    for tracker in (resource_tracker, theirs):
        tracker.ensure_running()  # it would lift the shield
    found: Pool = ProcessPoolExecutor(workers, initializer=begin_worker, initargs=(None, os.getpid()))
    with bare_main(), shielded():
        found.submit(int)  # it starts all of its processes with the first job
    processes.keep_files()  # it lets others have its pipes: a command that outlives us would hold its processes
    return found


def _custom(spec: ExecutorSpec, taskfile: Taskfile, workers: int) -> Pool:
    """What the user's own factory makes."""
    from buildtool.runtime import modules

    factory = str(spec.options["factory"])
    _set_path(taskfile)
    try:
        made: Any = modules.load(factory)(workers)
    except (Exception, SystemExit) as error:
        cause = " ".join(f"{type(error).__name__}: {error}".split())
        raise ExecutorError(f"`{factory}` cannot make an executor: {cause}", place=spec.place) from error
    if not callable(getattr(made, "submit", None)):
        if hasattr(made, "cr_await"):
            made.close()  # a coroutine; Python would complain that nobody waits for it
        raise ExecutorError(
            f"`{factory}` gives a {type(made).__name__}, which is no executor",
            place=spec.place,
            hint="it must be a `concurrent.futures.Executor`",
        )
    found: Pool = made
    return found


def _set_path(taskfile: Taskfile) -> None:
    """Let modules of the project be imported into this process."""
    from buildtool.runtime import modules

    folders = [taskfile.root, *(os.path.join(taskfile.root, path) for path in taskfile.settings.python_path)]
    modules.set_path([os.path.normpath(folder) for folder in folders])


_NOWHERE = Place("", 0, 0, 0, "")
