"""The lock, with real second processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from buildtool.errors import ExitCode, LockedError, StateError
from buildtool.state.lock import Holder, acquire, read_holder

HOLD = """
import sys
from buildtool.state.lock import acquire
lock = acquire(sys.argv[1], "bt build -k", True, lambda holder: print("waiting", holder.pid, flush=True))
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def holder(directory: Path, script: str = HOLD) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", script, str(directory)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def refuse(held_by: Holder) -> None:
    pytest.fail(f"waits for {held_by}")


def test_a_free_lock_is_taken_and_says_by_whom(tmp_path: Path) -> None:
    directory = tmp_path / ".bt"
    with acquire(str(directory), "bt build", True, refuse):
        found = read_holder(str(directory))
        assert found is not None
        assert (found.pid, found.command) == (os.getpid(), "bt build")
        assert 0 <= found.age < 60
    assert read_holder(str(directory)) is None
    assert (directory / ".gitignore").read_text() == "*\n"
    assert directory.stat().st_mode & 0o777 == 0o700


def test_without_waiting_the_holder_is_named(tmp_path: Path) -> None:
    with holder(tmp_path) as process:
        assert line(process) == "held"
        with pytest.raises(LockedError) as caught:
            acquire(str(tmp_path), "bt build", False, refuse)
    facts = dict(caught.value.facts)
    assert caught.value.exit_code == ExitCode.LOCKED
    assert facts["process"] == str(process.pid)
    assert facts["command"] == "bt build -k"
    assert facts["running for"].endswith(" s")


def test_the_lock_dies_with_its_holder(tmp_path: Path) -> None:
    with holder(tmp_path) as process:
        assert line(process) == "held"
        process.kill()
        process.wait()
        assert read_holder(str(tmp_path)) is None
        acquire(str(tmp_path), "bt build", False, refuse).release()


def test_a_waiter_is_told_once_and_gets_it_when_the_holder_dies(tmp_path: Path) -> None:
    lock = acquire(str(tmp_path), "bt build", True, refuse)
    with holder(tmp_path) as process:
        assert line(process) == f"waiting {os.getpid()}"
        lock.release()
        assert line(process) == "held"
        found = read_holder(str(tmp_path))
        assert found is not None
        assert found.pid == process.pid


def test_a_signal_handler_that_raises_ends_the_wait(tmp_path: Path) -> None:
    def interrupt(number: int, _frame: object) -> None:
        raise KeyboardInterrupt(number)

    before = signal.signal(signal.SIGUSR1, interrupt)
    alarm = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGUSR1))
    try:
        with holder(tmp_path) as process:
            assert line(process) == "held"
            with pytest.raises(KeyboardInterrupt):
                acquire(str(tmp_path), "bt build", True, lambda _holder: alarm.start())
    finally:
        alarm.join()
        signal.signal(signal.SIGUSR1, before)


def test_a_lock_file_deleted_while_waiting_guards_nothing(tmp_path: Path) -> None:
    lock = acquire(str(tmp_path), "bt build", True, refuse)
    with holder(tmp_path) as process:
        assert line(process).startswith("waiting")
        (tmp_path / "lock").unlink()
        lock.release()
        assert line(process) == "held"
        with pytest.raises(LockedError):
            acquire(str(tmp_path), "bt build", False, refuse)


def test_a_forked_child_does_not_keep_the_lock(tmp_path: Path) -> None:
    script = HOLD.replace(
        "sys.stdin.read()", "import os, time\nif os.fork() == 0: time.sleep(60)\nelse: os.wait()"
    )
    script = script.replace(
        "if os.fork() == 0:", "child = os.fork()\nif child: print(child, flush=True)\nif not child:"
    )
    with holder(tmp_path, script) as process:
        assert line(process) == "held"
        child = int(line(process))
        try:
            process.kill()
            process.wait()
            acquire(str(tmp_path), "bt build", False, refuse).release()
        finally:
            os.kill(child, signal.SIGKILL)


def test_a_child_program_does_not_inherit_the_lock(tmp_path: Path) -> None:
    lock = acquire(str(tmp_path), "bt build", True, refuse)
    with subprocess.Popen(["sleep", "60"], close_fds=False) as process:
        lock.release()
        try:
            acquire(str(tmp_path), "bt build", False, refuse).release()
        finally:
            process.kill()


def test_looking_changes_nothing(tmp_path: Path) -> None:
    assert read_holder(str(tmp_path / ".bt")) is None
    assert list(tmp_path.iterdir()) == []
    acquire(str(tmp_path), "bt build", True, refuse).release()
    before = {path: path.stat().st_mtime_ns for path in [tmp_path, *tmp_path.iterdir()]}
    assert read_holder(str(tmp_path)) is None
    assert {path: path.stat().st_mtime_ns for path in [tmp_path, *tmp_path.iterdir()]} == before


def test_readers_do_not_get_in_the_way(tmp_path: Path) -> None:
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set():
            read_holder(str(tmp_path))
            time.sleep(0.0005)

    reader = threading.Thread(target=look)
    reader.start()
    try:
        for _ in range(200):
            acquire(str(tmp_path), "bt build", False, refuse).release()
    finally:
        stop.set()
        reader.join()


@pytest.mark.parametrize("junk", [b"", b"{", b"[]", b'{"pid": "x"}', b"\xff\x00"])
def test_a_holder_that_says_nothing_is_still_a_holder(tmp_path: Path, junk: bytes) -> None:
    with holder(tmp_path) as process:
        assert line(process) == "held"
        (tmp_path / "lock").write_bytes(junk)
        assert read_holder(str(tmp_path)) is not None
        with pytest.raises(LockedError) as caught:
            acquire(str(tmp_path), "bt build", False, refuse)
        assert caught.value.facts == ()


def test_a_project_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError) as caught:
        acquire(str(tmp_path / "file" / ".bt"), "bt build", True, refuse)
    assert caught.value.exit_code == ExitCode.STATE
    assert dict(caught.value.facts)["cause"] == "not a directory"
    assert caught.value.hint


def test_the_file_is_plain_json(tmp_path: Path) -> None:
    with acquire(str(tmp_path), "bt build \udcff", True, refuse):
        assert set(json.loads((tmp_path / "lock").read_bytes())) == {"pid", "started", "host", "command"}
