"""One contract for every executor of functions: what a job sees, what is told of it, and how it can end."""

from __future__ import annotations

import atexit
import functools
import multiprocessing
import os
import select
import signal
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from buildtool.errors import Place
from buildtool.executors.choose import _loky, _processes
from buildtool.executors.coiled import coiled
from buildtool.executors.courier import Courier
from buildtool.executors.dask import dask
from buildtool.executors.dispatch import Dispatch
from buildtool.executors.futures import Futures
from buildtool.executors.kit import Modules
from buildtool.executors.messages import Connect
from buildtool.executors.pool import PoolCourier
from buildtool.executors.processes import start_stamp
from buildtool.executors.protocol import Call, Ended, Executor, Remote, Started, Work
from buildtool.executors.remote import RemoteExecutor
from buildtool.executors.wish import Wish, wish
from buildtool.executors.workers import Workers
from buildtool.files import Disk
from buildtool.taskfile.specs import ExecutorSpec
from support.bench import PATIENCE, Loop
from support.cloud import Cloud
from support.cluster import DaskCluster, end_with_us

MAKERS: dict[str, Callable[[], Executor]] = {
    "local": lambda: Workers(most=2, grace=0.3),
    "threads": lambda: Workers(most=2, slots=4, stray=os.path.abspath("stray.log"), grace=0.3),
    "processes": lambda: Futures(_processes, 2, grace=0.3),
    "loky": lambda: Futures(_loky, 2, grace=0.3),
    "custom": lambda: Futures(ThreadPoolExecutor, 2, grace=0.3),
    "coiled": lambda: RemoteExecutor("farm", lambda tell: Courier("farm", coiled(farm), tell), grace=5),
    "dask": lambda: RemoteExecutor("lab", lambda tell: Courier("lab", connect(), tell), grace=5),
    "custom, remote": lambda: RemoteExecutor("mine", lambda tell: PoolCourier("mine", spawned, 2, tell)),
}
REMOTE = ("coiled", "dask", "custom, remote")  # on machines that do not see this disk
SHARED = ("threads", "custom")  # several jobs in one process
UNKILLABLE = ("custom",)  # threads of this very process
MODULE = """
    import os, sys, time, subprocess, signal, threading
    from pathlib import Path

    def write(output, text="hello"):
        output.write_text(text)

    def concat(inputs, output, sep):
        output.write_text(sep.join(path.read_text() for path in inputs))

    def named(ref, reads, table, sample, n, output, params):
        assert isinstance(ref, Path) and isinstance(reads, list) and n == 3, (ref, reads, n)
        output.write_text(f"{ref} {reads[0]} {sample} {n + 1} {params['table']} {table}")

    def shout(name, count):
        for number in range(count):
            print(f"{name} {number}")
            if number % 7 == 0:
                print(f"{name} {number}", file=sys.stderr)
            time.sleep(0.001)

    def raw(text):
        sys.stdout.write("a")
        sys.stdout.buffer.write(text.encode())
        sys.stdout.buffer.flush()
        print("b", end="")

    def fail():
        raise ValueError("no good")

    def leave(code):
        sys.exit(code)

    def vanish():
        os._exit(3)

    def crash():
        os.kill(os.getpid(), signal.SIGSEGV)

    def wait_for(path):
        print("waiting", flush=True)
        while not os.path.exists(path):
            time.sleep(0.005)

    def sleep_with_care(path):
        try:
            print("asleep", flush=True)
            time.sleep(60)
        finally:
            Path(path).write_text("cared")

    def environment(output, names):
        output.write_text(" ".join(str(os.environ.get(name)) for name in names))

    def where(output):
        print(os.getcwd().removesuffix("/deep"))
        output.write_text(os.getcwd())

    def child(text):
        subprocess.run(["sh", "-c", f"echo {text}; echo {text} >&2"], check=True)

    def background(seconds):
        subprocess.Popen(["sleep", str(seconds)])

    def haunted(output):
        def print_for_ever():
            while True:
                print("boo", flush=True)
                time.sleep(0.001)
        threading.Thread(target=print_for_ever, daemon=True).start()
        output.write_text("")

    def spoil(output):
        import io
        output.write_text("")
        sys.stdout, sys.stderr = io.StringIO(), io.StringIO()
        sys.path.insert(0, "/nowhere")
        os.umask(0o077)
        os.close(1), os.close(2)
        os.chdir("/")

    def state(output):
        print(os.getcwd())
        mask = os.umask(0); os.umask(mask)
        output.write_text(f"{os.getcwd()} {'/nowhere' in sys.path} {mask == 0o077}")

    def spoil_more(how):
        import resource
        if how == "closed":
            sys.stdout.close(), sys.stderr.detach()
        elif how == "in another encoding":
            sys.stdout.reconfigure(encoding="latin-1")
        elif how == "an alarm":
            signal.setitimer(signal.ITIMER_REAL, 0.01)
            signal.signal(signal.SIGALRM, signal.SIG_IGN)
        elif how == "a limit":
            resource.setrlimit(resource.RLIMIT_NOFILE, (40, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
        else:
            sys.settrace(lambda *_: print("traced"))

    def state_of_more(output):
        import resource
        print("é")
        print("ü", file=sys.stderr)
        limit, timer = resource.getrlimit(resource.RLIMIT_NOFILE)[0], signal.getitimer(signal.ITIMER_REAL)
        output.write_text(f"{limit} {timer} {sys.gettrace()}")

    def lower(output):
        output.write_text(str(os.nice(1)))

    def told_to_end(output):
        output.write_text("x")
        os.kill(os.getpid(), signal.SIGTERM)

    def fail_at_length(size):
        raise ValueError("y" * size)

    def escape(output, twice):
        read, write = os.pipe()
        if not twice:
            pid = subprocess.Popen(["sleep", "60"], start_new_session=True).pid
        elif os.fork() == 0:
            os.setsid()
            pid = os.fork()
            if pid == 0:
                os.execvp("sleep", ["sleep", "60"])
            os.write(write, str(pid).encode())
            os._exit(0)
        else:
            pid = int(os.read(read, 20))
        output.write_text(str(pid))
        print("escaped", pid, flush=True)

    def fork_when_told_to_end(output):
        script = "trap 'sleep 60 & echo $! >o.new; mv o.new o; exit' TERM; echo up; while :; do sleep 0.01; done"
        subprocess.run(["sh", "-c", script])

    def escape_and_wait(output):
        escape(output, False)
        time.sleep(60)

    def square(n):
        return n * n

    def use_pool(output, method):
        import multiprocessing
        with multiprocessing.get_context(method).Pool(2) as pool:
            output.write_text(str(pool.map(square, [1, 2])))

    def move(output, path=None):
        output.write_text("moved")
        os.makedirs("elsewhere", exist_ok=True)
        os.chdir("elsewhere")
        print("moved", flush=True)
        while path and not os.path.exists(path):
            time.sleep(0.005)

    def block(output):
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
        output.write_text("")

    def blocked(output):
        output.write_text(str(signal.SIGUSR1 in signal.pthread_sigmask(signal.SIG_BLOCK, [])))

    class Broken(Exception):
        def __str__(self):
            raise ValueError("boo")

    def fail_badly():
        raise Broken

    def patch_json(output):
        import json
        json.dumps = lambda *a, **k: "[1]"
        output.write_text("")

    def fork(output):
        output.write_text("half")
        if os.fork() == 0:
            return
        time.sleep(0.3)
        output.write_text("whole")

    def unfilled(output, nothing_has_this):
        pass

    async def soon(output):
        output.write_text("async")

    LOADED = []

    def remember(output):
        LOADED.append(1)
        output.write_text(f"{os.getpid()} {len(LOADED)}")
"""


@functools.cache
def cluster() -> DaskCluster:
    """Machines that know nothing, for all tests of this process."""
    found = DaskCluster(Path(tempfile.mkdtemp(prefix="bt-cluster-")))
    atexit.register(found.close)
    return found


@functools.cache
def cloud() -> Cloud:
    """A control plane, for all tests of this process."""
    import dask

    found = Cloud(Path(tempfile.mkdtemp(prefix="bt-cloud-")) / "c")
    atexit.register(found.close)
    names = {name: value for name, value in found.environment.items() if name.startswith("DASK_COILED")}
    dask.config.set({name[5:].lower().replace("__", "."): value for name, value in names.items()})
    return found


def farm() -> Wish:
    """The cluster that all tests of this process use."""
    options = {"workers": 2, "name": "farm", "options": {"software": "x"}, "drift": "ignore"}
    return wish(
        ExecutorSpec("farm", Place("", 0, 0, 0, ""), "coiled", options), str(Path(__file__).parent), {}
    )


def connect() -> Connect:
    return dask("lab", None, {"address": cluster().address}, "/", 2)


def spawned(workers: int) -> ProcessPoolExecutor:
    """A pool that somebody might have on other machines."""
    return ProcessPoolExecutor(
        workers, mp_context=multiprocessing.get_context("spawn"), initializer=end_with_us
    )


class Bench(Loop):
    """One executor, and a module of functions for it."""

    def __init__(self, folder: Path, executor: Executor, kind: str) -> None:
        super().__init__(executor)
        self.folder = folder
        self.kind = kind
        self.count = 0
        (folder / "steps.py").write_text(textwrap.dedent(MODULE))

    def submit(self, target: str, *, output: str | None = None, **options: Any) -> int:
        self.count += 1
        call = Call(
            f"job {self.count}",
            str(self.folder / target) if target.endswith(".py") else f"steps:{target}",
            target.endswith(".py"),
            (str(self.folder),),
            options.pop("inputs", ()),
            () if output is None else ((None, (output,), False),),
            options.pop("wildcards", {}),
            options.pop("params", {}),
            "1",
            options.get("env", {}),
            options.pop("code", ()),
        )
        env = {**os.environ, **options.pop("env", {})}
        cwd = str(options.pop("cwd", self.folder))
        if self.kind in REMOTE:
            options["remote"] = self.remote(call, Path(cwd))
        work = Work(self.count, (), cwd, env, str(self.log(self.count)), call=call, **options)
        self.executor.submit(work)
        return self.count

    def remote(self, call: Call, cwd: Path) -> Remote:
        """What the job takes with it; what it makes comes to `box`."""
        disk, folder = Disk(str(self.folder)), os.path.relpath(cwd, self.folder)
        paths = [os.path.normpath(f"{folder}/{path}") for _, paths, _ in call.inputs for path in paths]
        there = [(path, value) for path in paths if (value := disk.digest(path)) is not None]
        made = [os.path.normpath(f"{folder}/{path}") for _, paths, _ in call.outputs for path in paths]
        return Remote(
            str(self.folder / "box"),
            str(self.folder),
            tuple(there),
            (),
            (),
            tuple(made),
            folder,
            call.variables,
            (".",),
            Modules(str(self.folder)).zip(),
            {},
            (),
            0.0,
            None,
        )

    def place(self, work: int) -> str:
        """The directory that the job has in the place of the project: it has printed it, if it is another one."""
        return self.output(work).decode().strip() if self.kind in REMOTE else str(self.folder)

    def log(self, work: int) -> Path:
        return self.folder / "logs" / f"{work}.log"

    def run(self, target: str, **options: Any) -> Ended:
        return self.ended(self.submit(target, **options))

    def read(self, name: str) -> str:
        return (self.folder / "box" / name if self.kind in REMOTE else self.folder / name).read_text()


@pytest.fixture(params=MAKERS)
def bench(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.chdir(tmp_path)
    path, hooks, modules = list(sys.path), list(sys.path_hooks), set(sys.modules)
    if request.param == "coiled":
        for name, value in cloud().environment.items():
            monkeypatch.setenv(name, value)
    executor = MAKERS[request.param]()
    made = Bench(tmp_path, executor, request.param)
    yield made
    executor.close()
    sys.path[:], sys.path_hooks[:] = path, hooks
    for name in set(sys.modules) - modules:
        if name == "steps":
            del sys.modules[name]


def wait_until_gone(pid: int) -> None:
    """A process that was killed may need a moment to go."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    ready, _, _ = select.select([descriptor], [], [], 40)
    os.close(descriptor)
    assert ready, f"{pid} is still there"


def only(*kinds: str) -> pytest.MarkDecorator:
    """The test is about these executors."""
    return pytest.mark.parametrize("bench", kinds, indirect=True)


PROCESSES = tuple(kind for kind in MAKERS if kind not in SHARED)
ENDABLE = tuple(kind for kind in MAKERS if kind not in UNKILLABLE)
LIVE = tuple(
    kind for kind in MAKERS if kind != "custom, remote"
)  # a pool of which nothing is known tells nothing


# What a function is given


def test_a_function_makes_its_output(bench: Bench) -> None:
    ended = bench.run("write", output="out.txt", params={"text": "wörld"})
    assert (ended.code, ended.cause, ended.error) == (0, None, None)
    assert bench.read("out.txt") == "wörld"


def test_lists_come_in_order_and_defaults_stay(bench: Bench) -> None:
    for name in "ab":
        (bench.folder / name).write_text(name)
    inputs = ((None, ("b", "a"), True),)
    assert bench.run("concat", inputs=inputs, output="o", params={"sep": "+"}).code == 0
    assert bench.read("o") == "b+a"
    assert bench.run("write", output="o").code == 0
    assert bench.read("o") == "hello"


def test_names_wildcards_and_parameters(bench: Bench) -> None:
    inputs = (("ref", ("r.fa",), False), ("reads", ("x.fq",), True))
    ended = bench.run(
        "named", inputs=inputs, output="o", wildcards={"sample": "A", "n": 3}, params={"table": [1.5, True]}
    )
    assert ended.code == 0, bench.output(1)
    assert bench.read("o") == "r.fa x.fq A 4 [1.5, True] [1.5, True]"


def test_a_script_has_its_job(bench: Bench) -> None:
    (bench.folder / "plot.py").write_text(
        "from buildtool import job\nassert __name__ == '__main__'\n"
        "job.output.write_text(f'{job.input} {job.params.k} {job.params[\"k\"]} {job.wildcards.s} {job.inputs.ref}')\n"
    )
    inputs = (("ref", ("r",), False),)
    ended = bench.run("plot.py", inputs=inputs, output="o", params={"k": 2}, wildcards={"s": "A"})
    assert ended.code == 0, bench.output(1)
    assert bench.read("o") == "r 2 2 A r"


def test_an_async_function_is_run(bench: Bench) -> None:
    assert bench.run("soon", output="o").code == 0
    assert bench.read("o") == "async"


def test_a_name_that_nothing_fills(bench: Bench) -> None:
    ended = bench.run("unfilled", output="o")
    assert ended.cause is not None
    assert "nothing can fill `nothing_has_this`" in ended.cause


# Its surroundings


@only(*ENDABLE)
def test_variables_are_there_for_that_job_alone(bench: Bench) -> None:
    names = {"names": ["COLOUR", "LC_ALL"]}
    works = [
        bench.submit("environment", output=f"o{n}", params=names, env={"COLOUR": f"c{n % 2}", "LC_ALL": "C"})
        for n in range(6)
    ]
    assert [bench.ended(work).code for work in works] == [0] * 6
    assert [bench.read(f"o{n}") for n in range(6)] == ["c0 C", "c1 C"] * 3
    assert bench.run("environment", output="o", params=names, env={"LC_ALL": "C.UTF-8"}).code == 0
    assert bench.read("o") == "None C.UTF-8"


@only(*ENDABLE)
def test_the_directory_is_that_jobs_alone(bench: Bench) -> None:
    (bench.folder / "deep").mkdir()
    assert bench.run("where", output="../o", cwd=bench.folder / "deep").code == 0
    assert bench.read("o") == f"{bench.place(1)}/deep"
    assert bench.run("where", output="o").code == 0
    assert bench.read("o") == bench.place(2)


# What it prints


def test_jobs_that_print_at_the_same_time_never_mix(bench: Bench) -> None:
    works = {name: bench.submit("shout", params={"name": name, "count": 200}) for name in ("a", "b", "c")}
    for name, work in works.items():
        assert bench.ended(work).code == 0
        lines = bench.output(work).decode().splitlines()
        assert {line.split()[0] for line in lines} == {name}
        assert len(lines) == 229
        assert bench.log(work).read_bytes() == bench.output(work)


@only(*PROCESSES)
def test_what_its_children_print_is_its_own(bench: Bench) -> None:
    works = {text: bench.submit("child", params={"text": text}) for text in ("one", "two")}
    for text, work in works.items():
        assert bench.ended(work).code == 0
        assert bench.output(work) == f"{text}\n{text}\n".encode()


@only("local")
def test_a_thread_that_a_job_leaves_behind_prints_into_no_other_log(bench: Bench) -> None:
    assert bench.run("haunted", output="o").code == 0
    work = bench.submit("shout", params={"name": "a", "count": 100})
    assert bench.ended(work).code == 0
    assert b"boo" not in bench.output(work)


@only("threads")
def test_what_children_of_threads_print_is_kept_apart(bench: Bench) -> None:
    assert bench.run("child", params={"text": "one"}).code == 0
    assert bench.output(1) == b""
    bench.executor.close()
    assert bench.read("stray.log") == "one\none\n"


def test_bytes_and_lines_without_an_end(bench: Bench) -> None:
    assert bench.run("raw", params={"text": "\x00ü"}).code == 0
    assert bench.output(1).replace(b"a", b"", 1).replace(b"b", b"", 1) == "\x00ü".encode()


@only(*LIVE)
def test_output_comes_while_it_runs(bench: Bench) -> None:
    work = bench.submit("wait_for", params={"path": str(bench.folder / "go")})
    bench.wait_for(work, b"waiting")
    (bench.folder / "go").write_text("")
    assert bench.ended(work).code == 0


# How it ends


def test_an_exception_fails_it_with_its_place(bench: Bench) -> None:
    ended = bench.run("fail")
    assert ended.cause == "ValueError: no good"
    lines = (bench.folder / "steps.py").read_text().splitlines()
    line = 1 + next(n for n, text in enumerate(lines) if "no good" in text)
    assert ended.where == (str(bench.folder / "steps.py"), line)
    text = bench.output(1).decode()
    assert 'raise ValueError("no good")' in text
    assert "perform.py" not in text
    assert bench.run("write", output="o").code == 0


def test_an_exception_that_cannot_be_shown(bench: Bench) -> None:
    assert bench.run("fail_badly").cause == "Broken: (it cannot be shown)"
    assert b"in fail_badly" in bench.output(1)
    assert bench.run("write", output="o").code == 0


def test_a_long_message_is_cut_and_the_log_has_all_of_it(bench: Bench) -> None:
    cause = bench.run("fail_at_length", params={"size": 1_000_000}).cause
    assert cause is not None
    assert cause.startswith("ValueError: yyy")
    assert cause.endswith("more characters)")
    assert len(cause) < 3000
    assert bench.output(1).count(b"y") >= 1_000_000


@only(*PROCESSES)
def test_a_job_that_patches_a_library_hurts_no_answer(bench: Bench) -> None:
    assert [bench.run("patch_json", output=f"o{n}").code for n in range(3)] == [0, 0, 0]


def test_a_job_that_forks_is_over_when_the_parent_is(bench: Bench) -> None:
    if bench.kind == "custom":
        pytest.skip("the child would be a copy of this very process")
    assert bench.run("fork", output="o").code == 0
    assert bench.read("o") == "whole"


@only("local")
def test_modules_of_the_project_come_before_those_that_a_worker_uses_itself(bench: Bench) -> None:
    (bench.folder / "queue.py").write_text("def own(): return 'ours'\n")
    (bench.folder / "uses.py").write_text("import queue\nprint(queue.own())\n")
    assert bench.run("uses.py").code == 0
    assert bench.output(1) == b"ours\n"


def test_a_script_is_compiled_as_it_stands(bench: Bench) -> None:
    (bench.folder / "s.py").write_text("def g(x: int): ...\nprint(g.__annotations__['x'])\n")
    assert bench.run("s.py").code == 0
    assert bench.output(1) == b"<class 'int'>\n"


@pytest.mark.parametrize(("code", "expected"), [(0, 0), (None, 0), (4, 4), ("words", 1)])
def test_sys_exit(bench: Bench, code: object, expected: int) -> None:
    assert bench.run("leave", params={"code": code}).code == expected
    assert (b"words" in bench.output(1)) is (code == "words")


@only("local")
@pytest.mark.parametrize("target", ["vanish", "crash"])
def test_a_job_that_takes_its_process_down_fails_alone(bench: Bench, target: str) -> None:
    other = bench.submit("wait_for", params={"path": "go"})
    bench.wait_for(other, b"waiting")
    ended = bench.run(target)
    if target == "crash":
        assert ended.signal == signal.SIGSEGV
    else:
        assert ended.cause == "its process ended with exit code 3 before the job was done"
    (bench.folder / "go").write_text("")
    assert bench.ended(other).code == 0
    assert bench.run("write", output="o").code == 0


@only("threads", "processes", "loky")
def test_those_that_were_beside_it_are_to_be_repeated(bench: Bench) -> None:
    other = bench.submit("wait_for", params={"path": "go"})
    bench.wait_for(other, b"waiting")
    bad = bench.run("vanish")
    assert bad.repeat is not None
    assert bench.ended(other).repeat is not None
    (bench.folder / "go").write_text("")
    assert bench.run("wait_for", params={"path": "go"}, alone=True).code == 0
    ended = bench.run("vanish", alone=True)
    assert ended.repeat is None
    assert ended.cause is not None
    assert bench.run("write", output="o").code == 0


@only(*ENDABLE)
def test_a_time_limit_ends_the_process(bench: Bench) -> None:
    ended = bench.run("wait_for", params={"path": "never"}, timeout=0.5)
    assert ended.timed_out
    assert bench.run("write", output="o").code == 0


# A signal that nobody of ours has sent


@only("local", "dask")
def test_a_job_that_ends_itself_by_a_signal_takes_no_other_with_it(bench: Bench) -> None:
    for _ in range(2):
        ended = bench.run("told_to_end", output="o")
        assert (ended.code, ended.signal, ended.cause, ended.repeat) == (None, signal.SIGTERM, None, None)
        assert b"in told_to_end" in bench.output(bench.count)
        assert b"child.py" not in bench.output(bench.count)
        assert bench.run("write", output="o").code == 0


@only("local")
def test_a_job_that_had_not_begun_when_its_worker_was_ended_is_repeated(bench: Bench) -> None:
    assert bench.run("write", output="o").code == 0
    [worker] = {e.pid for e in bench.seen if isinstance(e, Started) and e.pid is not None}
    os.kill(worker, signal.SIGSTOP)
    os.waitid(os.P_PID, worker, os.WSTOPPED | os.WNOWAIT)
    work = bench.submit("write", output="o")
    os.kill(worker, signal.SIGTERM)
    os.kill(worker, signal.SIGCONT)
    assert bench.ended(work).repeat == "its worker was told to end before it began"
    assert bench.run("write", output="o").code == 0


@only("local", "dask")
def test_a_worker_that_is_ended_idle_is_replaced(bench: Bench) -> None:
    assert bench.run("remember", output="o").code == 0
    os.kill(int(bench.read("o").split()[0]), signal.SIGTERM)
    ended = bench.run("write", output="o")
    if bench.kind == "local" and ended.repeat is not None:  # it was sent just before that was known
        ended = bench.run("write", output="o")
    assert ended.code == 0


@only("threads")
def test_a_signal_to_a_process_of_threads_fails_its_job_once_it_is_alone(bench: Bench) -> None:
    assert bench.run("told_to_end", output="o").repeat is not None
    assert bench.run("told_to_end", output="o", alone=True).signal == signal.SIGTERM
    assert bench.run("write", output="o").code == 0


@only("local")
def test_a_job_that_is_told_to_end_can_clean_up(bench: Bench) -> None:
    work = bench.submit("sleep_with_care", params={"path": "care"})
    bench.wait_for(work, b"asleep")
    bench.executor.cancel(work)
    assert bench.ended(work).cancelled
    assert bench.read("care") == "cared"


@only(*(kind for kind in ENDABLE if kind in LIVE))
def test_cancelling_now(bench: Bench) -> None:
    work = bench.submit("wait_for", params={"path": "never"})
    bench.wait_for(work, b"waiting")
    bench.executor.cancel(work, now=True)
    assert bench.ended(work).cancelled


@only(*ENDABLE)
def test_cancelling_before_it_runs(bench: Bench) -> None:
    work = bench.submit("wait_for", params={"path": "never"})
    bench.executor.cancel(work)
    assert bench.ended(work).cancelled


@only(*PROCESSES)
def test_what_it_leaves_behind_is_ended(bench: Bench) -> None:
    ended = bench.run("background", params={"seconds": 60})
    assert (ended.code, ended.leftovers) == (0, 1)
    assert bench.run("background", params={"seconds": 0}).leftovers == 0


@only(*PROCESSES)
@pytest.mark.parametrize("twice", [False, True], ids=["session", "double fork"])
def test_nothing_gets_away(bench: Bench, twice: bool) -> None:
    ended = bench.run("escape", output="o", params={"twice": twice})
    assert (ended.code, ended.leftovers) == (0, 1)
    assert start_stamp(int(bench.read("o"))) is None


@only("threads")
def test_what_jobs_in_threads_leave_behind_ends_with_their_process(bench: Bench) -> None:
    assert bench.run("escape", output="o", params={"twice": True}).code == 0
    pid = int(bench.read("o"))
    bench.executor.close()
    assert start_stamp(pid) is None


@only("local", "threads")
def test_nothing_gets_away_from_a_job_that_is_killed(bench: Bench) -> None:
    work = bench.submit("escape_and_wait", output="o")
    bench.wait_for(work, b"escaped")
    bench.executor.cancel(work, now=True)
    assert bench.ended(work).cancelled
    wait_until_gone(int(bench.read("o")))


@only("local", "threads", "processes", "dask")
@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_what_multiprocessing_keeps_is_not_left_behind(bench: Bench, method: str) -> None:
    for _ in range(2):
        ended = bench.run("use_pool", output="o", params={"method": method})
        assert (ended.code, ended.leftovers) == (0, 0), bench.output(bench.count)
        assert bench.read("o") == "[1, 4]"
    if bench.kind != "threads":
        assert bench.run("background", params={"seconds": 60}).leftovers == 1


def test_started_names_the_process(bench: Bench) -> None:
    bench.run("write", output="o")
    [started] = [e for e in bench.seen if isinstance(e, Started)]
    assert (started.pid is None) is (bench.kind in ("custom", *REMOTE))


@only("local")
def test_workers_are_used_again(bench: Bench) -> None:
    assert [bench.run("remember", output=f"o{n}").code for n in range(3)] == [0, 0, 0]
    pids, counts = zip(*(bench.read(f"o{n}").split() for n in range(3)), strict=True)
    assert len(set(pids)) == 1
    assert counts == ("1", "2", "3")


@only("local", "threads")
def test_a_worker_that_has_died_idle_is_replaced(bench: Bench) -> None:
    assert bench.run("write", output="o").code == 0
    [started] = [e for e in bench.seen if isinstance(e, Started)]
    assert started.pid is not None
    os.kill(started.pid, signal.SIGKILL)
    os.waitid(os.P_PID, started.pid, os.WEXITED | os.WNOWAIT)
    assert bench.run("write", output="o").code == 0


@only("threads")
def test_a_job_that_comes_just_when_the_worker_has_died(bench: Bench) -> None:
    work = bench.submit("wait_for", params={"path": "never"})
    bench.wait_for(work, b"waiting")
    [started] = [e for e in bench.seen if isinstance(e, Started)]
    assert started.pid is not None
    os.kill(started.pid, signal.SIGKILL)
    os.waitid(os.P_PID, started.pid, os.WEXITED | os.WNOWAIT)
    assert bench.run("write", output="o").code == 0
    assert bench.ended(work).repeat is not None


# Code that changes


def signature(path: Path) -> tuple[str, tuple[int, int, int, int]]:
    st = path.stat()
    return str(path), (st.st_size, st.st_mtime_ns, st.st_ctime_ns, st.st_ino)


def test_code_that_changed_since_it_was_imported_is_imported_anew(bench: Bench) -> None:
    module = bench.folder / "steps.py"
    assert bench.run("write", output="o", code=(signature(module),)).code == 0
    before = module.stat()
    module.write_text(module.read_text().replace('"hello"', '"HELLO"'))
    os.utime(module, ns=(before.st_atime_ns, before.st_mtime_ns))
    repeats = []
    while (ended := bench.run("write", output="o", code=(signature(module),))).repeat is not None:
        repeats.append(ended.repeat)  # a pool may have more than one process that knows the old code
    assert set(repeats) <= {"its code changed while it ran"}
    assert repeats == [] or bench.kind not in (
        "local",
        "threads",
    )  # they know what their processes were given
    assert bench.read("o") == "HELLO"


@only(*PROCESSES)
def test_what_a_job_changes_of_its_process_is_put_back(bench: Bench) -> None:
    works = [bench.submit("spoil", output=f"o{n}") for n in range(4)]
    assert [bench.ended(work).code for work in works] == [0] * 4
    assert bench.run("shout", params={"name": "a", "count": 1}).code == 0
    assert bench.output(5) == b"a 0\na 0\n"
    assert bench.run("state", output="o").code == 0
    assert bench.read("o") == f"{bench.place(6)} False {os.umask(os.umask(0o022)) == 0o077}"


@only("local", "processes", "loky")
@pytest.mark.parametrize("how", ["closed", "in another encoding", "an alarm", "a limit", "a trace"])
def test_what_a_job_sets_does_not_meet_the_next_one(bench: Bench, how: str) -> None:
    assert bench.run("state_of_more", output="before").code == 0
    works = [bench.submit("spoil_more", params={"how": how}) for _ in range(4)]
    assert [bench.ended(work).code for work in works] == [0] * 4
    assert bench.run("state_of_more", output="after").code == 0
    assert bench.output(6).decode() == "é\nü\n"
    assert bench.read("after") == bench.read("before")


@only("local")
def test_a_process_that_cannot_be_as_before_gets_no_other_job(bench: Bench) -> None:
    assert bench.run("lower", output="a").code == 0
    assert bench.run("lower", output="b").code == 0
    assert bench.read("a") == bench.read("b")


@only(*PROCESSES, "threads")
def test_signals_that_a_job_blocks_come_to_the_next_one(bench: Bench) -> None:
    works = [bench.submit("block", output=f"o{n}") for n in range(8)]
    assert [bench.ended(work).code for work in works] == [0] * 8
    assert bench.run("blocked", output="o").code == 0
    assert bench.read("o") == "False"


@only("threads")
def test_a_process_whose_directory_a_job_has_changed_gets_no_other(bench: Bench) -> None:
    ended = bench.run("move", output="o")
    assert (ended.code, ended.moved) == (0, True)
    ended = bench.run("write", output="o")
    assert (ended.code, ended.moved) == (0, False)
    assert bench.read("o") == "hello"


@only("threads")
def test_what_ran_beside_a_job_that_changed_the_directory_does_not_count(bench: Bench) -> None:
    other = bench.submit("move", output="o", params={"path": str(bench.folder / "go")})
    bench.wait_for(other, b"moved")
    late = bench.submit("shout", params={"name": "a", "count": 1})
    why = "a job beside it changed the working directory"
    assert bench.ended(late).repeat == why
    (bench.folder / "go").write_text("")
    assert bench.ended(other).repeat == why
    assert bench.run("move", output="o", alone=True).moved
    assert not bench.run("write", output="o", alone=True).moved


@only("custom")
def test_a_job_in_our_own_process_leaves_us_where_we_are(bench: Bench) -> None:
    assert bench.run("move", output="o").moved
    assert os.getcwd() == str(bench.folder)


@only("custom")
def test_threads_of_a_pool_have_no_directory_and_variables_of_their_own(bench: Bench) -> None:
    ended = bench.run("write", output="o", env={"X": "1"})
    assert "no variables of their own such as `X`" in str(ended.cause)
    (bench.folder / "deep").mkdir()
    assert "no directory of their own" in str(bench.run("write", output="o", cwd=bench.folder / "deep").cause)


@only(*LIVE)
def test_nothing_is_left_when_it_is_closed(bench: Bench) -> None:
    work = bench.submit("wait_for", params={"path": "go"})
    bench.wait_for(work, b"waiting")
    [started] = [e for e in bench.seen if isinstance(e, Started)]
    if bench.kind in UNKILLABLE:
        (bench.folder / "go").write_text("")
    bench.executor.close()
    if started.pid is not None:
        with pytest.raises(ProcessLookupError):
            os.kill(started.pid, 0)


@pytest.mark.parametrize("beside", [False, True], ids=["", "beside commands"])
def test_what_is_left_of_a_worker_ends_with_the_pool(tmp_path: Path, beside: bool) -> None:
    """It becomes a child of `bt` itself where there are commands, too."""
    from buildtool.executors.commands import Commands

    commands = Commands()
    bench = Bench(tmp_path, Dispatch(commands, {"pool": MAKERS["processes"]}), "dispatch")
    if beside:
        commands.submit(Work(77, ("/bin/true",), str(tmp_path), {}, str(tmp_path / "log")))
    env = {**os.environ, "BT_RUN": str(time.monotonic_ns())}
    work = bench.submit("fork_when_told_to_end", output="o", executor="pool", env=env)
    bench.wait_for(work, b"up")
    bench.executor.cancel(work)
    assert bench.ended(work).cancelled
    until = time.monotonic() + PATIENCE
    while not (tmp_path / "o").exists():
        assert time.monotonic() < until
    bench.executor.close()
    wait_until_gone(int(bench.read("o")))


def test_each_work_goes_to_the_executor_of_its_name(tmp_path: Path) -> None:
    from buildtool.executors.commands import Commands

    dispatch = Dispatch(Commands(), {"local": MAKERS["local"], "pool": MAKERS["processes"]})
    bench = Bench(tmp_path, dispatch, "dispatch")
    works = [
        bench.submit("remember", output=f"o{name}", executor=name) for name in ("local", "pool", "local")
    ]
    assert [bench.ended(work).code for work in works] == [0, 0, 0]
    assert bench.read("olocal").split()[0] != bench.read("opool").split()[0]
    dispatch.close()
