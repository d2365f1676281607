from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import resource
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildtool.executors import processes
from buildtool.executors.commands import Commands
from buildtool.executors.output import Log, Mask
from buildtool.executors.protocol import Ended, Output, Started, Work
from support.bench import PATIENCE, Loop

linux_only = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


class Bench(Loop):
    """The executor of commands, and a folder for it."""

    def __init__(self, directory: Path, spawner_after: int | None = None) -> None:
        self.spawner_after = spawner_after
        super().__init__(Commands(grace=0.2, spawner_after=spawner_after))
        self.directory = directory
        self.count = 0

    def use(self, **options: Any) -> None:
        self.executor.close()
        self.executor = Commands(**options, spawner_after=self.spawner_after)

    def submit(
        self,
        script: str,
        *,
        argv: tuple[str, ...] | None = None,
        cwd: str | None = None,
        env: Mapping[str, str] | None = None,
        timeout: float | None = None,
        interactive: bool = False,
    ) -> int:
        self.count += 1
        self.executor.submit(
            Work(
                self.count,
                argv or ("/bin/sh", "-c", script),
                cwd or str(self.directory),
                env if env is not None else dict(os.environ),
                str(self.log(self.count)),
                timeout,
                interactive,
            )
        )
        return self.count

    def run(self, script: str = "", **options: object) -> Ended:
        return self.ended(self.submit(script, **options))  # type: ignore[arg-type]

    def done(self, script: str) -> int:
        """The number of a work that has ended."""
        self.run(script)
        return self.count

    def log(self, work: int) -> Path:
        return self.directory / "logs" / f"{work}.log"

    def pid(self, work: int) -> int:
        until = time.monotonic() + PATIENCE
        while not any(isinstance(event, Started) and event.id == work for event in self.seen):
            self.step(until)
        pids = [e.pid for e in self.seen if isinstance(e, Started) and e.id == work]
        assert len(pids) == 1
        assert pids[0] is not None
        return pids[0]


@pytest.fixture(params=["child", pytest.param("spawned", marks=linux_only)])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    """Works are children of this process, or of one that starts them for it."""
    made = Bench(tmp_path, 0 if request.param == "spawned" else None)
    yield made
    made.executor.close()


@pytest.fixture(params=["child", pytest.param("spawned", marks=linux_only), "polling"])
def any_bench(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Bench]:
    if request.param == "polling":
        monkeypatch.delattr(os, "pidfd_open", raising=False)
    made = Bench(tmp_path, 0 if request.param == "spawned" else None)
    yield made
    made.executor.close()


@pytest.fixture(params=["here", "elsewhere"])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways to start a process: in our directory and in another one."""
    if request.param == "here":
        monkeypatch.chdir(tmp_path)
    return str(tmp_path)


# How a job ends


def test_exit_code(any_bench: Bench, place: str) -> None:
    assert any_bench.run("exit 0", cwd=place).code == 0
    ended = any_bench.run("exit 3", cwd=place)
    assert ended.code == 3
    assert ended == Ended(2, 3, None, ended.seconds, ended.peak_memory)
    assert 0 < ended.seconds < PATIENCE


def test_started_comes_first_and_names_the_process(bench: Bench) -> None:
    work = bench.submit("read x <fifo || :; echo $$", cwd="/")
    bench.ended(work)
    first = bench.seen[0]
    assert isinstance(first, Started)
    assert bench.output(work).split()[-1] == str(first.pid).encode()


def test_death_by_a_signal(bench: Bench) -> None:
    ended = bench.run("kill -9 $$")
    assert (ended.code, ended.signal) == (None, signal.SIGKILL)
    assert not ended.cancelled


def test_a_job_that_closes_its_output_goes_on(any_bench: Bench) -> None:
    os.mkfifo(any_bench.directory / "fifo")
    work = any_bench.submit("echo up; exec >&- 2>&-; read word <fifo; exit $word")
    any_bench.wait_for(work, b"up")
    with (any_bench.directory / "fifo").open("w") as fifo:
        any_bench.seen += any_bench.executor.events()
        assert not any(isinstance(event, Ended) for event in any_bench.seen)
        fifo.write("5\n")
    assert any_bench.ended(work).code == 5


def test_peak_memory(bench: Bench) -> None:
    code = "x = bytearray(400_000_000)"
    ended = bench.run(argv=(sys.executable, "-c", code))
    assert 400_000_000 < ended.peak_memory < 600_000_000


def test_peak_memory_is_not_that_of_bt(bench: Bench) -> None:
    assert bench.run("true").peak_memory == 0


# The surroundings of a job


def test_a_job_reads_nothing_and_leads_its_session(bench: Bench, place: str) -> None:
    work = bench.submit("cat; ps -o sid= -o pgid= -p $$; echo $$; pwd", cwd=place)
    assert bench.ended(work).code == 0
    session, group, pid, cwd = bench.output(work).split()
    assert session == group == pid
    assert cwd == os.fsencode(place)


def test_only_the_given_environment(bench: Bench, place: str) -> None:
    work = bench.submit("", argv=("/usr/bin/env",), cwd=place, env={"BT_RUN": "r1", "X": "a\udcff"})
    bench.ended(work)
    *mark, run, other = sorted(bench.output(work).split())
    assert (run, other) == (b"BT_RUN=r1", b"X=a\xff")
    assert [word.partition(b"=")[0] for word in mark] == [b"BT_JOB"] * sys.platform.startswith("linux")


def test_a_program_is_found_by_the_path_of_the_job(bench: Bench, place: str) -> None:
    program = bench.directory / "hello"
    program.write_text("#!/bin/sh\necho hello from here\n")
    program.chmod(0o755)
    work = bench.submit("", argv=("hello",), cwd=place, env={"PATH": f"/nowhere:{bench.directory}"})
    assert bench.ended(work).code == 0
    assert bench.output(work) == b"hello from here\n"


@linux_only
def test_signals_are_at_their_defaults(bench: Bench, place: str) -> None:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE, signal.SIGQUIT)
    before = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGUSR1})
    try:
        work = bench.submit("", argv=("/bin/cat", "/proc/self/status"), cwd=place)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        assert signal.SIGUSR1 in signal.pthread_sigmask(signal.SIG_BLOCK, ())
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        for number, handler in before.items():
            signal.signal(number, handler)
    bench.ended(work)
    masks = {name: int(mask, 16) for name, mask in re.findall(rb"Sig(Blk|Ign):\s*(\w+)", bench.output(work))}
    assert masks[b"Blk"] == 0
    assert not any(masks[b"Ign"] >> (number - 1) & 1 for number in numbers)


@linux_only
def test_no_open_file_reaches_a_job(bench: Bench, place: str) -> None:
    reader, writer = os.pipe()
    os.set_inheritable(reader, True)
    bench.use()
    try:
        work = bench.submit("", argv=("/bin/ls", "/proc/self/fd"), cwd=place)
        bench.ended(work)
    finally:
        os.close(reader)
        os.close(writer)
    assert bench.output(work).split() == [b"0", b"1", b"2", b"3"]  # 3 is that of `ls` itself


def test_an_interactive_job_has_the_terminal(tmp_path: Path) -> None:
    pid, terminal = pty.fork()
    if not pid:
        try:
            bench = Bench(tmp_path)
            ended = bench.run("read word; echo got $word; exit 4", interactive=True)
            logged = bench.log(1).exists()
            group = bench.run(f"test $(ps -o pgid= -p $$) -eq {os.getpgrp()}", interactive=True)
            (tmp_path / "told").write_text(json.dumps([ended.code, logged, len(bench.output(1)), group.code]))
        finally:
            os._exit(0)
    os.write(terminal, b"word\n")
    shown = b""
    try:
        while piece := os.read(terminal, 1000):
            shown += piece
    except OSError:  # Linux tells the end of a terminal so
        pass
    os.waitpid(pid, 0)
    os.close(terminal)
    assert b"got word" in shown
    assert json.loads((tmp_path / "told").read_text()) == [4, False, 0, 0]


def test_an_interactive_job_can_be_cancelled(bench: Bench) -> None:
    work = bench.submit("", argv=("/bin/sleep", "60"), interactive=True)
    bench.executor.cancel(work)
    ended = bench.ended(work)
    assert (ended.signal, ended.cancelled) == (signal.SIGTERM, True)


# Output


def test_output_and_errors_keep_their_order(bench: Bench) -> None:
    work = bench.submit("for i in 1 2 3 4 5 6 7 8 9; do echo out $i; echo err $i >&2; done; printf end")
    bench.ended(work)
    lines = [f"{stream} {i}\n" for i in range(1, 10) for stream in ("out", "err")]
    assert bench.output(work).decode() == "".join(lines) + "end"
    assert bench.log(work).read_bytes() == bench.output(work)


def test_jobs_that_print_at_the_same_time_never_mix(bench: Bench) -> None:
    script = "i=0; while [ $i -lt 3000 ]; do echo {0} $i; i=$((i+1)); done"
    works = {bench.submit(script.format(name)): name for name in ("left", "right")}
    for work, name in works.items():
        assert bench.ended(work).code == 0
        expected = "".join(f"{name} {i}\n" for i in range(3000))
        assert bench.output(work).decode() == expected
        assert bench.log(work).read_text() == expected


def test_a_chatty_job_does_not_starve_others(bench: Bench) -> None:
    chatty = bench.submit("exec cat /dev/zero")
    quiet = bench.submit("echo hello; exit 6")
    assert bench.ended(quiet).code == 6
    bench.wait_for(chatty, b"\0")
    for _ in range(20):
        select.select([bench.executor.fileno()], [], [], PATIENCE)
        events = bench.executor.events()
        assert sum(len(event.data) for event in events if isinstance(event, Output)) <= 1 << 20
        assert all(len(event.data) <= 65_536 for event in events if isinstance(event, Output))
    bench.executor.cancel(chatty, now=True)
    bench.ended(chatty)


def test_a_silent_job_has_no_log_and_loses_the_old_one(bench: Bench) -> None:
    bench.log(1).parent.mkdir()
    bench.log(1).write_text("of an earlier run")
    bench.run("true")
    assert not bench.log(1).exists()


def test_a_log_is_private(bench: Bench) -> None:
    work = bench.submit("echo x")
    bench.ended(work)
    assert bench.log(work).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("size", [0, 1, 499, 500, 501, 999, 1000, 1001, 1499, 1500, 1501, 20_003])
@pytest.mark.parametrize("piece", [7, 300, 30_000])
def test_a_long_log_keeps_both_ends(tmp_path: Path, size: int, piece: int) -> None:
    data = bytes(i * 7 % 251 for i in range(size))
    log = Log(str(tmp_path / "new" / "log"), 1000)
    for at in range(0, size, piece):
        log.write(data[at : at + piece])
    log.close()
    log.close()
    left_out = size - 1000
    expected = data
    if left_out > 0:
        expected = data[:500] + f"\n[... {left_out} bytes left out ...]\n".encode() + data[-500:]
    assert (tmp_path / "new" / "log").read_bytes() == expected if size else not list(tmp_path.iterdir())
    assert log.error is None
    assert len(list(tmp_path.rglob("*"))) == (2 if size else 0)


def test_big_output_passes_quickly_and_its_log_is_capped(bench: Bench) -> None:
    bench.use(log_limit=1 << 20)
    work = bench.submit("echo first; head -c 300000000 /dev/zero; echo last")
    size = 0
    until = time.monotonic() + PATIENCE
    while not any(isinstance(event, Ended) for event in bench.seen):
        bench.step(until)
        size += sum(len(event.data) for event in bench.seen if isinstance(event, Output))
        bench.seen = [event for event in bench.seen if not isinstance(event, Output)]
    assert size == 300_000_011
    log = bench.log(work).read_bytes()
    assert log.startswith(b"first\n\0")
    assert log.endswith(b"\0last\n")
    assert b"\n[... %d bytes left out ...]\n" % (size - (1 << 20)) in log
    assert len(log) < (1 << 20) + 100


def test_a_log_directory_deleted_before_and_while_it_is_written(bench: Bench) -> None:
    os.mkfifo(bench.directory / "fifo")
    bench.run("echo one")
    shutil.rmtree(bench.log(1).parent)
    work = bench.submit("echo two; read x <fifo; echo $x")
    bench.wait_for(work, b"two")
    shutil.rmtree(bench.log(1).parent)
    (bench.directory / "fifo").write_text("three\n")
    ended = bench.ended(work)
    assert (ended.code, ended.log_error) == (0, None)
    assert bench.log(work).read_text() == "two\nthree\n"


def test_a_log_that_cannot_be_written_does_not_stop_the_job(bench: Bench) -> None:
    bench.log(1).parent.write_text("a file where the directory should be")
    ended = bench.run("echo one; echo two; exit 2")
    assert (ended.code, ended.error) == (2, None)
    assert ended.log_error == f"cannot write `{bench.log(1)}`: not a directory"
    assert bench.output(1) == b"one\ntwo\n"


@linux_only
def test_a_full_disk_ends_the_log() -> None:
    log = Log("/dev/full", 1000)
    log.write(b"lost")
    log.write(b"lost")
    log.close()
    assert log.error == "cannot write `/dev/full`: no space left on device"


# Secrets


def test_secrets_are_masked_in_output_and_log_also_when_split(bench: Bench) -> None:
    bench.use(mask=(b"hunter2", b""))
    os.mkfifo(bench.directory / "fifo")
    work = bench.submit("printf 'a hunter2 b hun'; read x <fifo; printf \"ter2 c hunt\"")
    bench.wait_for(work, b"b ")
    (bench.directory / "fifo").write_text("go\n")
    bench.ended(work)
    assert bench.output(work) == b"a *** b *** c hunt"
    assert bench.log(work).read_bytes() == b"a *** b *** c hunt"


@given(
    st.lists(st.text("ab", min_size=1, max_size=5), max_size=4),
    st.lists(st.text("abc", max_size=9), max_size=8),
)
def test_masking_pieces_is_masking_the_whole(secrets: list[str], pieces: list[str]) -> None:
    encoded = tuple(secret.encode() for secret in secrets)
    mask = Mask(encoded)
    shown = [mask.feed(piece.encode()) for piece in pieces]
    shown.append(mask.flush())
    whole = "".join(pieces)
    longest_first = sorted(secrets, key=len, reverse=True)
    expected = re.sub("|".join(longest_first), "***", whole) if secrets else whole
    assert b"".join(shown).decode() == expected


def test_masking_holds_back_only_what_may_begin_a_secret() -> None:
    mask = Mask((b"secret",))
    assert mask.feed(b"Password: ") == b"Password: "
    assert mask.feed(b"yes secre") == b"yes "
    assert mask.feed(b"cy") == b"secrecy"
    assert mask.flush() == b""


# What a job leaves behind


def test_leftovers_are_ended_and_counted(any_bench: Bench) -> None:
    work = any_bench.submit("sleep 60 & sleep 60 >/dev/null 2>&1 & echo started")
    ended = any_bench.ended(work)
    assert (ended.code, ended.leftovers) == (0, 2)
    assert ended.seconds < 30
    assert any_bench.output(work) == b"started\n"
    assert processes.session_members(any_bench.pid(work)) == []


def test_a_leftover_that_ignores_term_is_killed(bench: Bench) -> None:
    os.mkfifo(bench.directory / "fifo")
    work = bench.submit("(trap '' TERM; echo x >fifo; while :; do sleep 0.05; done) & read x <fifo")
    ended = bench.ended(work)
    assert ended.code == 0
    assert ended.leftovers >= 1
    assert processes.session_members(bench.pid(work)) == []


def test_a_leftover_that_ends_soon_is_left_to_end(bench: Bench) -> None:
    work = bench.submit("(sleep 0.02; echo late) & echo early")
    ended = bench.ended(work)
    assert (ended.code, ended.leftovers) == (0, 0)
    assert bench.output(work) == b"early\nlate\n"


def test_a_leftover_in_another_group_of_the_session_is_ended(bench: Bench) -> None:
    work = bench.submit("", argv=(shutil.which("bash") or "/bin/sh", "-c", "set -m; sleep 60 & echo $!"))
    assert bench.ended(work).leftovers == 1
    assert processes.start_stamp(int(bench.output(work))) is None


# What a job leaves behind in a session of its own

# Waits until it runs, and says its process; what is done in it comes next.
FAR = "setsid sh -c 'echo $$ >{0}.new; mv {0}.new {0}; {1}' {2} & until [ -e {0} ]; do :; done; "
SILENT = ">/dev/null 2>&1"


def far(name: str = "pid", doing: str = "exec sleep 60", output: str = SILENT) -> str:
    """The script of a job that starts a process in a session of its own, which says its number in a file."""
    return FAR.format(name, doing, output)


def runs(bench: Bench, name: str = "pid") -> bool:
    return processes.start_stamp(int((bench.directory / name).read_text())) is not None


@linux_only
@pytest.mark.parametrize("output", [SILENT, ""], ids=["silent", "with the pipe"])
@pytest.mark.parametrize("code", [0, 3])
def test_a_daemon_is_ended_and_counted(any_bench: Bench, output: str, code: int) -> None:
    ended = any_bench.run(far(output=output) + f"exit {code}")
    assert (ended.code, ended.leftovers) == (code, 1)
    assert not runs(any_bench)


@linux_only
def test_a_daemon_that_writes_for_ever_does_not_hang_anything(bench: Bench) -> None:
    assert bench.run(far(doing="exec yes", output="")).code == 0
    assert not runs(bench)


@linux_only
def test_a_daemon_that_ends_soon_is_left_to_end(bench: Bench) -> None:
    ended = bench.run("mkfifo f; " + far(doing="read x <f; echo $x >o") + "echo 1 >f")
    assert (ended.code, ended.leftovers) == (0, 0)
    assert (bench.directory / "o").read_text() == "1\n"


@linux_only
@pytest.mark.parametrize("how", ["double fork", "deep", "clean", "clean double fork"])
def test_no_daemon_gets_away(bench: Bench, how: str) -> None:
    script = far().replace("setsid", "exec env -i setsid" if "clean" in how else "setsid")
    if "double fork" in how:
        script = script.replace("setsid sh", "setsid setsid -f sh")
    if how == "deep":
        script = f"(setsid sh -c '({far().replace(chr(39), chr(34)).replace('$$', chr(92) + '$$')})'; true)"
    ended = bench.run(script)
    assert (ended.code, ended.leftovers) == (0, 1)
    assert not runs(bench)


@linux_only
def test_a_daemon_that_ignores_term_and_starts_others_is_killed(bench: Bench) -> None:
    work = bench.submit(far(doing='trap "setsid sleep 60 &" TERM; while :; do sleep 0.05; done'))
    assert bench.ended(work).code == 0
    assert not runs(bench)
    assert not marked_in(bench.directory)


def marked_in(directory: Path) -> list[int]:
    """The processes of jobs that run in a folder."""
    found = []
    for process in processes.processes():
        with contextlib.suppress(OSError):
            is_there = os.readlink(f"/proc/{process.pid}/cwd") == str(directory)
            found += (
                [process.pid] if is_there and b"BT_JOB" in (processes.environment(process.pid) or {}) else []
            )
    return found


@linux_only
@pytest.mark.parametrize("how", ["timeout", "cancel", "now", "close"])
@pytest.mark.parametrize("deaf", [False, True], ids=["", "deaf"])
def test_a_job_that_is_ended_takes_its_daemons_with_it(bench: Bench, how: str, deaf: bool) -> None:
    trap = "trap : TERM; " * deaf
    script = f"setsid -w sh -c '{trap}echo $$ >new; mv new pid; echo up; while :; do sleep 0.05; done'"
    work = bench.submit(script, cwd=str(bench.directory), timeout=1 if how == "timeout" else None)
    bench.wait_for(work, b"up")
    if how == "close":
        bench.executor.close()
    else:
        if how != "timeout":
            bench.executor.cancel(work, now=how == "now")
        ended = bench.ended(work)
        assert ended.timed_out is (how == "timeout")
        assert ended.leftovers == 0
    assert not runs(bench)


@linux_only
def test_the_daemon_of_another_job_is_left_alone(bench: Bench) -> None:
    os.mkfifo(bench.directory / "fifo")
    other = bench.submit(f"({far('other')}:); echo up; read x <fifo")
    bench.wait_for(other, b"up")
    assert bench.run(far("mine")).leftovers == 1
    assert not runs(bench, "mine")
    assert runs(bench, "other")
    (bench.directory / "fifo").write_text("go\n")
    assert bench.ended(other).leftovers == 1
    assert not runs(bench, "other")


@linux_only
def test_a_daemon_without_an_environment_waits_for_the_last_job(bench: Bench) -> None:
    """It may be anybody's."""
    os.mkfifo(bench.directory / "fifo")
    other = bench.submit("echo up; read x <fifo")
    bench.wait_for(other, b"up")
    assert bench.run(far().replace("setsid", "env -i setsid")).leftovers == 0
    assert runs(bench)
    (bench.directory / "fifo").write_text("go\n")
    assert bench.ended(other).leftovers == 1
    assert not runs(bench)


@linux_only
@pytest.mark.parametrize("mark", [{}, {"BT_RUN": "r1"}], ids=["as git does", "a worker"])
def test_what_no_command_has_started_is_left_alone(bench: Bench, mark: dict[str, str]) -> None:
    os.mkfifo(bench.directory / "fifo")
    work = bench.submit("echo up; read x <fifo")
    bench.wait_for(work, b"up")
    env = {**(mark or os.environ), "PATH": os.environ["PATH"]}
    subprocess.run(["sh", "-c", f"({far()}) & wait"], cwd=bench.directory, env=env, check=True)
    (bench.directory / "fifo").write_text("go\n")
    assert bench.ended(work).leftovers == 0
    assert runs(bench)
    assert processes.end_processes([int((bench.directory / "pid").read_text())]) == 1


@linux_only
def test_children_from_before_the_first_job_are_left_alone(bench: Bench) -> None:
    """Whatever their environment is; and others wait for them."""
    with subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE, start_new_session=True, env={}) as before:
        assert bench.run("true").leftovers == 0
        assert before.poll() is None
        before.kill()
        os.waitid(os.P_PID, before.pid, os.WEXITED | os.WNOWAIT)
        assert bench.run("true").leftovers == 0
    assert before.returncode == -signal.SIGKILL


@linux_only
def test_an_interactive_job_may_leave_a_daemon(bench: Bench) -> None:
    work = bench.submit(far(), interactive=True)
    ended = bench.ended(work)
    assert (ended.code, ended.leftovers) == (0, 0)
    assert processes.end_processes([int((bench.directory / "pid").read_text())]) == 1


def dead() -> set[bytes]:
    """Children of this process that have ended and were not waited for."""
    asked = ["ps", "-o", "pid=,stat=", "--ppid", str(os.getpid())]
    told = subprocess.run(asked, capture_output=True, check=True)
    return {line.split()[0] for line in told.stdout.splitlines() if b"Z" in line}


@linux_only
def test_what_has_ended_leaves_no_trace(bench: Bench) -> None:
    """Who becomes our child must be waited for by us; afterwards nobody becomes our child."""
    before = dead()  # that other tests have left
    mine = f"({far(doing='exit')}) & (sleep 0.02; echo late) & echo early"
    assert bench.run(mine).leftovers == 0
    assert dead() <= before
    bench.executor.close()
    orphan = int(subprocess.check_output(["sh", "-c", "sleep 60 >/dev/null 2>&1 & echo $!"]))
    try:
        assert parent(orphan) != os.getpid()
    finally:
        os.kill(orphan, signal.SIGKILL)


# Ending a job


def test_timeout(any_bench: Bench) -> None:
    ended = any_bench.run("sleep 60; true", timeout=0.1)
    assert (ended.signal, ended.timed_out, ended.cancelled) == (signal.SIGTERM, True, False)
    assert 0.1 <= ended.seconds < 40  # it would sleep for longer


def test_a_job_may_end_well_when_told_to(bench: Bench) -> None:
    work = bench.submit("trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.01; done")
    bench.wait_for(work, b"up")
    bench.executor.cancel(work)
    ended = bench.ended(work)
    assert (ended.code, ended.cancelled, ended.leftovers) == (0, True, 0)
    assert bench.output(work).endswith(b"bye\n")


def test_a_job_that_ignores_term_is_killed_after_the_grace(any_bench: Bench) -> None:
    work = any_bench.submit("trap '' TERM; echo up; while :; do sleep 0.05; done")
    any_bench.wait_for(work, b"up")
    before = time.monotonic()
    any_bench.executor.cancel(work)
    any_bench.executor.cancel(work)
    ended = any_bench.ended(work)
    assert time.monotonic() - before >= 0.2
    assert (ended.signal, ended.cancelled) == (signal.SIGKILL, True)
    assert processes.session_members(any_bench.pid(work)) == []


def test_cancel_now_kills_at_once(bench: Bench) -> None:
    bench.use(grace=60)
    work = bench.submit("trap '' TERM; echo up; while :; do sleep 0.05; done")
    bench.wait_for(work, b"up")
    bench.executor.cancel(work)
    bench.executor.cancel(work, now=True)
    ended = bench.ended(work)
    assert (ended.signal, ended.cancelled) == (signal.SIGKILL, True)
    assert processes.session_members(bench.pid(work)) == []


def test_cancel_now_of_leftovers(bench: Bench) -> None:
    bench.use(grace=60)
    work = bench.submit("(trap '' TERM; echo up; while :; do sleep 0.05; done) & exit 3")
    bench.wait_for(work, b"up")
    until = time.monotonic() + PATIENCE
    while processes.start_stamp(bench.pid(work)):
        bench.step(until)
    bench.executor.cancel(work, now=True)
    ended = bench.ended(work)
    assert (ended.code, ended.cancelled) == (3, False)
    assert processes.session_members(bench.pid(work)) == []


def test_cancelling_what_does_not_run_is_nothing(bench: Bench) -> None:
    work = bench.submit("true")
    bench.ended(work)
    bench.executor.cancel(work)
    bench.executor.cancel(77, now=True)
    assert bench.executor.events() == []
    assert bench.executor.deadline() is None


# What cannot be started


def test_no_such_directory(bench: Bench) -> None:
    ended = bench.run("true", cwd="/no/such/place")
    assert (ended.code, ended.error) == (None, "no such directory: `/no/such/place`")


@pytest.mark.parametrize("program", ["/no/such/shell", "no-such-program"])
def test_no_such_program(bench: Bench, place: str, program: str) -> None:
    ended = bench.run(argv=(program, "x"), cwd=place)
    assert (ended.code, ended.error) == (None, f"no such program: `{program}`")


def test_what_cannot_be_executed(bench: Bench, place: str) -> None:
    program = bench.directory / "tool"
    program.write_text("#!/no/such/interpreter\n")
    assert bench.run(argv=(str(program),), cwd=place).error == f"cannot start `{program}`: permission denied"
    program.chmod(0o755)
    assert (
        bench.run(argv=(str(program),), cwd=place).error
        == f"`{program}` names an interpreter that is missing"
    )
    program.write_text("no program\n")
    error = bench.run(argv=(str(program),), cwd=place).error
    assert (
        error == f"cannot start `{program}`: it is no program, and its first line names no interpreter (`#!`)"
    )


def test_a_nul_in_an_argument(bench: Bench, place: str) -> None:
    error = bench.run(argv=("/bin/echo", "a\0b"), cwd=place).error
    assert error == "cannot start `/bin/echo`: embedded null byte"


@linux_only
def test_an_argument_list_that_is_too_long(bench: Bench, place: str) -> None:
    error = bench.run(": " + "x" * 200_000, cwd=place).error
    assert error == "argument list too long (200 kB): one argument takes at most 131 kB"
    error = bench.run(argv=("/bin/true", *["x" * 99_999] * 100), cwd=place).error
    assert error is not None
    assert error.startswith(
        "argument list too long (10 MB): arguments and environment together take at most "
    )


@linux_only
def test_too_many_open_files(bench: Bench) -> None:
    files: list[int] = []
    try:
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (200, limits[1]))
        try:
            while len(files) < 1000:
                files.append(os.open("/dev/null", os.O_RDONLY))
        except OSError:
            pass
        work = bench.submit("true")
    finally:
        for file in files:
            os.close(file)
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert bench.ended(work).error == "cannot start `/bin/sh`: `bt` has too many files open (`ulimit -n`)"


def test_a_failed_start_is_told_at_once(bench: Bench) -> None:
    work = bench.submit("true", cwd="/no/such/place")
    if bench.spawner_after is None:
        assert bench.executor.deadline() == 0.0
    assert bench.ended(work).error == "no such directory: `/no/such/place`"
    assert len(bench.seen) == 1
    assert bench.executor.deadline() is None


# Resources


@linux_only
def test_two_hundred_jobs_leave_no_open_file_and_no_process(bench: Bench) -> None:
    def files() -> list[str]:
        return sorted(os.listdir("/proc/self/fd"))

    def children() -> list[str]:
        told = subprocess.run(
            ["ps", "-o", "comm=", "--ppid", str(os.getpid())], capture_output=True, text=True, check=True
        )
        return sorted(told.stdout.split())

    bench.run("true")  # opens the list of children
    before, born = files(), children()
    own = 0 if bench.spawner_after is None else 1  # process that starts them, with a socket to it
    for _ in range(40):
        works = [bench.submit(script) for script in ("echo x", "true", "exit 1", "echo y >&2", "kill $$")]
        works.append(bench.submit("true", cwd="/no/such/place"))
        for work in works:
            bench.ended(work)
    assert files() == before
    bench.executor.close()
    assert len(files()) == len(before) - 2 - own
    assert len(children()) == len(born) - own  # other tests of this process may have left theirs


def test_close_ends_everything(any_bench: Bench) -> None:
    stubborn = any_bench.submit("trap '' TERM; echo up; while :; do sleep 0.05; done")
    with_child = any_bench.submit("sleep 60 & echo up; wait")
    works = [stubborn, with_child, any_bench.submit("echo up; exec sleep 60")]
    for work in works:
        any_bench.wait_for(work, b"up")
    any_bench.executor.close()
    any_bench.executor.close()
    for work in works:
        pids = [event.pid for event in any_bench.seen if isinstance(event, Started) and event.id == work]
        assert processes.session_members(pids[0] or 0) == []
        with pytest.raises(ChildProcessError):
            os.waitpid(pids[0] or 0, os.WNOHANG)
    assert any_bench.log(stubborn).read_text() == "up\n"


def test_a_closed_executor_starts_nothing(bench: Bench) -> None:
    bench.executor.close()
    bench.submit("true")
    (ended,) = bench.executor.events()
    assert isinstance(ended, Ended)
    assert ended.error == "cannot start `/bin/sh`: the executor is closed"


# A process of its own that starts them


def parent(pid: int) -> int:
    return next(process.parent for process in processes.processes() if process.pid == pid)


def spawner_of(bench: Bench, work: int) -> int:
    """The process that has started a work, that has printed `up`."""
    bench.wait_for(work, b"up")
    return parent(bench.pid(work))


@linux_only
def test_after_some_works_another_process_starts_them(tmp_path: Path) -> None:
    bench = Bench(tmp_path, 2)
    try:
        pids: list[int] = []
        until = time.monotonic() + PATIENCE
        while not pids or pids[-1] == os.getpid():
            assert time.monotonic() < until
            pids.append(int(bench.output(bench.done("echo $PPID"))))
        assert pids[:2] == [os.getpid()] * 2
        assert parent(pids[-1]) == os.getpid()
    finally:
        bench.executor.close()
    assert pids[-1] not in {process.pid for process in processes.processes()}


@linux_only
def test_many_works_each_with_its_own_end_and_output(tmp_path: Path) -> None:
    bench = Bench(tmp_path, 3)
    try:
        works = [bench.submit(f"echo {number}; exit {number % 7}") for number in range(100)]
        for number, work in enumerate(works):
            assert bench.ended(work).code == number % 7
            assert bench.output(work) == f"{number}\n".encode()
    finally:
        bench.executor.close()


@linux_only
def test_what_no_message_holds_is_started_all_the_same(tmp_path: Path) -> None:
    bench = Bench(tmp_path, 0)
    try:
        words = [letter * 100_000 for letter in "abc"]
        work = bench.submit("", argv=("/bin/sh", "-c", "printf %s $PPID$#", "sh", *words))
        bench.ended(work)
        assert bench.output(work) == f"{os.getpid()}3".encode()
    finally:
        bench.executor.close()


@linux_only
def test_the_process_that_starts_them_dies(tmp_path: Path) -> None:
    bench = Bench(tmp_path, 0)
    try:
        works = [bench.submit("echo up; sleep 60 & sleep 60") for _ in range(2)]
        os.kill(spawner_of(bench, works[0]), signal.SIGKILL)
        for work in works:
            ended = bench.ended(work)
            assert (ended.code, ended.signal) == (None, None)
            assert "exit status was lost" in str(ended.cause)
            assert processes.session_members(bench.pid(work)) == []
        assert bench.run("exit 4").code == 4
    finally:
        bench.executor.close()


@linux_only
def test_it_dies_before_it_has_told_of_a_start(tmp_path: Path) -> None:
    bench = Bench(tmp_path, 0)
    try:
        bench.run("")
        first = bench.submit("echo up; exec sleep 60")
        spawner = spawner_of(bench, first)
        work = bench.submit(f"kill -9 {spawner}; sleep 60", env={**os.environ, "MARKED_BY": str(spawner)})
        assert "exit status was lost" in str(bench.ended(work).cause)
        assert "exit status was lost" in str(bench.ended(first).cause)
        assert not processes.marked("MARKED_BY", str(spawner))
    finally:
        bench.executor.close()


@linux_only
def test_it_hangs(tmp_path: Path) -> None:
    bench = Bench(tmp_path, 0)
    try:
        first = bench.submit("echo up; exec sleep 60")
        os.kill(spawner_of(bench, first), signal.SIGSTOP)
    finally:
        bench.executor.close()
    assert processes.session_members(bench.pid(first)) == []
