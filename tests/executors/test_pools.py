"""A pool whose answers come when the test wants: every order in which jobs, their pool and the build can end."""

from __future__ import annotations

import concurrent.futures
import multiprocessing
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future
from pathlib import Path
from typing import Any

import pytest

from buildtool.executors.choose import _processes
from buildtool.executors.futures import Futures
from buildtool.executors.protocol import Call, Ended, Note, Started, Work
from support.bench import PATIENCE, Loop

GOOD = {"status": "done"}
STALE = {"status": "stale"}
BROKEN = BrokenExecutor("a worker has died")


class Given:
    """A job that was given to the pool."""

    def __init__(self, data: dict[str, Any]) -> None:
        self.data = data
        self.future: Future[Any] = Future()
        self.future.set_running_or_notify_cancel()

    def begin(self, pid: int) -> socket.socket:
        """Say that it runs in this process; the way for its output."""
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.connect(self.data["channel"])
        connection.sendall(b"%d %d\n" % (self.data["id"], pid))
        return connection

    def answer(self, answer: dict[str, Any]) -> None:
        self.future.set_result({"id": self.data["id"], **answer})


class Pool(Executor):
    """Does nothing with its jobs."""

    def __init__(self) -> None:
        self.jobs: list[Given] = []
        self.is_shut = False
        self.calls = 0

    def submit(self, _function: object, /, *args: Any, **_: Any) -> Future[Any]:
        self.calls += 1
        if not args:
            return Future()
        self.jobs.append(Given(args[0]))
        return self.jobs[-1].future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: ARG002
        self.is_shut = True


class Bench(Loop):
    """Futures over such pools; each that was made is in `pools`."""

    def __init__(self, folder: Path) -> None:
        self.pools: list[Pool] = []
        self.troubles: list[Exception] = []  # of the next pools
        self.folder = folder
        self.count = 0
        super().__init__(Futures(self.make, 2, grace=0.1))

    def make(self, _workers: int) -> Pool:
        if self.troubles:
            raise self.troubles.pop()
        self.pools.append(Pool())
        return self.pools[-1]

    def submit(self, **options: Any) -> int:
        self.count += 1
        call = Call(f"job {self.count}", "steps:f", False, (), (), (), {}, {}, "1", {})
        log = str(self.folder / f"{self.count}.log")
        self.executor.submit(Work(self.count, (), str(self.folder), {}, log, call=call, **options))
        return self.count

    def look(self) -> None:
        """Take what has happened by now."""
        self.seen += self.executor.events()

    def ends(self) -> list[int]:
        return [event.id for event in self.seen if isinstance(event, Ended)]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    for pool in made.pools:
        for job in pool.jobs:
            if not job.future.done():
                job.future.set_exception(BROKEN)
    made.executor.close()


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    """A process for a job to run in."""
    process = subprocess.Popen(["sleep", "60"])
    yield process
    process.kill()
    process.wait()


def test_a_job_that_is_lost_while_its_pool_breaks_is_done_once_more(bench: Bench) -> None:
    one, two = bench.submit(), bench.submit()
    bench.pools[0].jobs[0].future.set_exception(BROKEN)
    assert bench.ended(one).repeat is not None
    assert bench.ended(two).repeat is not None  # nobody has answered for it
    bench.submit()
    assert [len(pool.jobs) for pool in bench.pools] == [2, 1]


def test_what_was_done_before_the_pool_broke_counts(bench: Bench) -> None:
    one, two = bench.submit(), bench.submit()
    bench.pools[0].jobs[0].future.set_exception(BROKEN)
    bench.pools[0].jobs[1].answer(GOOD)
    assert bench.ended(one).repeat is not None
    assert bench.ended(two).code == 0


def test_late_answers_of_a_broken_pool_end_nothing_of_its_successor(bench: Bench) -> None:
    one, two = bench.submit(), bench.submit()
    old = bench.pools[0]
    old.jobs[0].future.set_exception(BROKEN)
    assert bench.ended(one).repeat is not None
    assert bench.ended(two).repeat is not None
    three = bench.submit(alone=True)
    old.jobs[1].future.set_exception(BROKEN)
    bench.look()
    assert not bench.pools[1].is_shut
    bench.pools[1].jobs[0].answer(GOOD)
    assert bench.ended(three).code == 0


def test_two_pools_that_break_in_a_row(bench: Bench) -> None:
    one, two = bench.submit(), bench.submit()
    for job in bench.pools[0].jobs:
        job.future.set_exception(BROKEN)
    assert bench.ended(one).repeat == bench.ended(two).repeat
    one, two = bench.submit(alone=True), bench.submit(alone=True)
    assert len(bench.pools[1].jobs) == 1
    bench.pools[1].jobs[0].future.set_exception(BROKEN)
    assert bench.ended(one).cause is not None
    bench.look()
    assert bench.pools[1].is_shut
    bench.pools[2].jobs[0].answer(GOOD)
    assert bench.ended(two).code == 0


def test_a_pool_with_old_code_is_not_waited_for(bench: Bench) -> None:
    """To wait for what else runs there would be to read nothing of it: it may wait for just that."""
    one, two = bench.submit(), bench.submit()
    old = bench.pools[0]
    old.jobs[0].answer(STALE)
    assert bench.ended(one).repeat is not None
    assert not old.is_shut
    three = bench.submit()
    assert len(bench.pools) == 2
    old.jobs[1].answer(GOOD)
    assert bench.ended(two).code == 0
    assert old.is_shut
    assert not bench.pools[1].is_shut
    bench.pools[1].jobs[0].answer(GOOD)
    assert bench.ended(three).code == 0


def test_a_pool_that_breaks_as_it_is_made(bench: Bench) -> None:
    bench.troubles.append(BROKEN)
    work = bench.submit()
    bench.pools[0].jobs[0].answer(GOOD)
    assert bench.ended(work).code == 0


def test_a_short_job_says_where_it_ran_when_it_is_over(
    bench: Bench, child: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    work = bench.submit()
    job = bench.pools[0].jobs[0]
    job.answer(GOOD)

    def result(_timeout: float | None = None) -> dict[str, Any]:
        """Begin and print only now, after the executor has listened for the last time."""
        with job.begin(child.pid) as connection:
            connection.sendall(b"hello")
        return {"id": work, **GOOD}

    monkeypatch.setattr(job.future, "result", result)
    assert bench.ended(work).code == 0
    assert [event.pid for event in bench.seen if isinstance(event, Started)] == [child.pid]
    assert bench.output(work) == b"hello"


def test_a_pool_that_does_not_see_that_a_process_died_is_made_to_look(
    bench: Bench, child: subprocess.Popen[bytes]
) -> None:
    work = bench.submit()
    [pool] = bench.pools
    with pool.jobs[0].begin(child.pid):
        bench.look()
        child.kill()
        child.wait()
    until = time.monotonic() + PATIENCE
    while pool.calls == 1:
        bench.step(until)
    pool.jobs[0].future.set_exception(BROKEN)
    assert bench.ended(work).repeat is not None


def test_an_answer_that_is_none_of_ours(bench: Bench) -> None:
    works = [bench.submit(), bench.submit()]
    bench.pools[0].jobs[0].future.set_result(None)
    bench.pools[0].jobs[1].future.set_result({"id": 99})
    for work, kind in zip(works, ("NoneType", "dict"), strict=True):
        ended = bench.ended(work)
        assert ended.error is None
        assert ended.cause is not None
        assert f"the future gives a {kind}, which is no answer of `bt`" in ended.cause


def test_a_pool_that_never_shuts_down_is_left_as_it_is(tmp_path: Path) -> None:
    over = threading.Event()

    class Stuck(Pool):
        def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: ARG002
            over.wait()

    pool = Stuck()
    executor = Futures(lambda _: pool, 2, grace=0.1, patience=0.1)
    call = Call("job", "steps:f", False, (), (), (), {}, {}, "1", {})
    executor.submit(Work(1, (), str(tmp_path), {}, str(tmp_path / "log"), call=call))
    pool.jobs[0].answer(GOOD)
    executor.close()
    assert [event.text for event in executor.events() if isinstance(event, Note)] == [
        "an executor (Stuck) did not shut down within 0.1 s, and was left as it is"
    ]
    over.set()


# Ending jobs


def test_a_job_that_is_cancelled_before_it_runs_is_ended_when_it_does(
    bench: Bench, child: subprocess.Popen[bytes]
) -> None:
    work = bench.submit()
    bench.executor.cancel(work)
    bench.look()
    with bench.pools[0].jobs[0].begin(child.pid):
        bench.look()
        assert child.wait(30) == -signal.SIGTERM
        bench.pools[0].jobs[0].future.set_exception(BROKEN)
        assert bench.ended(work).cancelled


def test_a_time_limit_counts_from_when_a_job_runs(bench: Bench, child: subprocess.Popen[bytes]) -> None:
    one = bench.submit(alone=True)
    two = bench.submit(timeout=0.0)  # it waits until nobody else is in the pool
    bench.look()
    bench.pools[0].jobs[0].answer(GOOD)
    assert bench.ended(one).code == 0
    for _ in range(3):
        bench.look()
    assert bench.ends() == [one]
    with bench.pools[0].jobs[1].begin(child.pid):
        bench.look()
        assert child.wait(30) == -signal.SIGTERM
        bench.pools[0].jobs[1].future.set_exception(BROKEN)
        assert bench.ended(two).timed_out


def test_a_signal_that_comes_too_late_for_its_job_meets_no_other(
    bench: Bench, child: subprocess.Popen[bytes]
) -> None:
    work = bench.submit(timeout=0.0)
    with bench.pools[0].jobs[0].begin(child.pid):
        bench.look()
    bench.pools[0].jobs[0].answer(GOOD)  # it was ready all the same: its process dies with nothing to do
    assert bench.ended(work).timed_out
    other = bench.submit(alone=True)
    assert len(bench.pools[0].jobs) == 1
    bench.pools[1].jobs[0].answer(GOOD)
    assert bench.ended(other).code == 0


def test_nothing_is_written_after_the_end(bench: Bench, tmp_path: Path) -> None:
    """A pool may answer when its executor is closed, and the numbers of files are given to others by then."""
    bench.submit(timeout=0.0)
    with bench.pools[0].jobs[0].begin(os.getpid()):  # a thread of this process, that nobody can end
        bench.look()
        bench.look()
    bench.executor.close()
    files = [(tmp_path / f"file {number}").open("w+") for number in range(20)]
    bench.pools[0].jobs[0].answer(GOOD)
    for file in files:
        file.close()
        assert Path(file.name).read_text() == ""


# The pools of `choose`


def test_processes_are_all_there_from_the_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even if the first is ready before the second is asked for."""
    submit: Callable[..., Future[Any]] = concurrent.futures.ProcessPoolExecutor.submit

    def slowly(self: concurrent.futures.ProcessPoolExecutor, *args: Any) -> Future[Any]:
        future = submit(self, *args)
        concurrent.futures.wait([future], timeout=1)
        return future

    before = set(multiprocessing.active_children())
    with monkeypatch.context() as patch:
        patch.setattr(concurrent.futures.ProcessPoolExecutor, "submit", slowly)
        pool = _processes(2)
    assert len(set(multiprocessing.active_children()) - before) == 2
    assert pool.submit(int, "3").result(30) == 3
    pool.shutdown()
