"""Readers change nothing, wait for nobody, and see what is committed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from buildtool.state.snapshot import is_unmerged
from buildtool.state.store import State, StateReader
from state.samples import fill, job, listing

LIVE = """
import sys
from buildtool.state.store import State
from state.samples import job
state = State.open(sys.argv[1])
for line in sys.stdin:
    for word in line.split():
        state.record(job(word, word))
    if not line.startswith(" "):
        state.commit()
    print("done", flush=True)
state.close()
print("closed", flush=True)
"""

BUSY = """
import sys
from buildtool.state.store import State
from state.samples import job
for build in range(15):
    with State.open(sys.argv[1]) as state:
        number = state.begin_build("bt build")
        for group in range(10):
            for at in range(20):
                key = f"{build}-{group}-{at}"
                state.record(job(key, key))
            state.commit()
        state.end_build(number, 0, {})
"""

LOOK = """
import sys
from buildtool.state.store import StateReader
with StateReader.open(sys.argv[1]) as reader:
    print(len(reader.keys()), reader.warnings)
"""


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}


@contextmanager
def writer(directory: Path, script: str = LIVE) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", script, str(directory)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment()
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def tell(process: subprocess.Popen[str], text: str) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(text + "\n")
    process.stdin.flush()
    assert process.stdout.readline() == "done\n"


def keys(directory: Path) -> list[str]:
    """What a reader sees, having shown that it leaves no trace."""
    before = listing(directory)
    with StateReader.open(str(directory)) as reader:
        found = reader.keys()
        reader.stamps()
        reader.owned()
        assert reader.warnings == []
        assert listing(directory) == before
    assert listing(directory) == before
    return found


def test_no_state_is_an_empty_state(tmp_path: Path) -> None:
    with StateReader.open(str(tmp_path / ".bt")) as reader:
        assert (reader.keys(), reader.stamps(), reader.builds(), reader.running()) == ([], {}, [], [])
        assert (reader.job("a"), reader.owner("a"), reader.value("a"), reader.warnings) == (
            None,
            None,
            None,
            [],
        )
    assert list(tmp_path.iterdir()) == []


def test_a_state_at_rest(tmp_path: Path) -> None:
    fill(tmp_path / ".bt")
    assert len(keys(tmp_path / ".bt")) == 20


def test_beside_a_writer_only_what_is_committed_is_seen(tmp_path: Path) -> None:
    with writer(tmp_path) as process:
        tell(process, "a b")
        assert keys(tmp_path) == ["a", "b"]
        tell(process, " c d")
        assert keys(tmp_path) == ["a", "b"]
        tell(process, "e")
        assert keys(tmp_path) == ["a", "b", "c", "d", "e"]


def test_an_open_reader_goes_on_when_a_writer_starts_and_ends(tmp_path: Path) -> None:
    fill(tmp_path, 1)
    with StateReader.open(str(tmp_path)) as reader:
        assert reader.keys() == ["out/0.txt"]
        with writer(tmp_path) as process:
            tell(process, "a")
            assert reader.keys() == ["a", "out/0.txt"]
            assert process.stdin is not None
            process.stdin.close()
            process.wait()
        assert reader.keys() == ["a", "out/0.txt"]
        assert reader.warnings == []
    assert keys(tmp_path) == ["a", "out/0.txt"]
    with State.open(str(tmp_path)) as state:
        assert (state.keys(), state.warnings) == (["a", "out/0.txt"], [])


@pytest.mark.parametrize("lost", [[], ["state.db-shm"]])
def test_what_a_dead_writer_left_is_read_and_left(tmp_path: Path, lost: list[str]) -> None:
    with writer(tmp_path) as process:
        tell(process, "a")
        process.kill()
        process.wait()
    assert (tmp_path / "state.db-wal").exists()
    for name in lost:
        (tmp_path / name).unlink()
    assert keys(tmp_path) == ["a"]
    with State.open(str(tmp_path)) as state:
        assert (state.keys(), state.warnings) == (["a"], [])


def test_a_writer_that_died_as_it_began_is_not_waited_for(tmp_path: Path) -> None:
    """SQLite would wait for ten seconds for him to go on; so where nothing is written beside it, the file is all."""
    fill(tmp_path, 1)
    wal = tmp_path / "state.db-wal"
    with writer(tmp_path) as process:
        tell(process, "a")
        process.kill()
        process.wait()
    assert is_unmerged(str(tmp_path / "state.db"))
    os.truncate(wal, 32)
    assert not is_unmerged(str(tmp_path / "state.db"))
    before = len(keys(tmp_path))
    with State.open(str(tmp_path)) as state:
        assert (len(state.keys()), state.warnings) == (before, [])


def test_an_old_journal_of_a_dead_writer_is_read_and_left(tmp_path: Path) -> None:
    (tmp_path / "state.db.probe-shm").mkdir()
    with writer(tmp_path) as process:
        tell(process, "a")
        tell(process, " b")
        process.kill()
        process.wait()
    assert keys(tmp_path) == ["a"]


def test_readers_never_stop_a_writer_nor_see_damage(tmp_path: Path) -> None:
    with writer(tmp_path, BUSY) as process:
        looks = 0
        while process.poll() is None:
            with StateReader.open(str(tmp_path)) as reader:
                assert len(reader.keys()) % 20 == 0
                reader.stamps()
                assert reader.warnings == []
            looks += 1
        assert process.returncode == 0
    assert looks > 10
    with State.open(str(tmp_path)) as state:
        assert state.warnings == []
        assert len(state.keys()) == 15 * 10 * 20


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("unshare"), reason="needs root to mount")
@pytest.mark.parametrize("lost", [None, ["state.db-shm"], []])
def test_a_read_only_file_system(tmp_path: Path, lost: list[str] | None) -> None:
    directory = tmp_path / ".bt"
    fill(directory, 1)
    if lost is not None:
        with writer(directory) as process:
            tell(process, "a")
            process.kill()
            process.wait()
        for name in lost:
            (directory / name).unlink()
    mount = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && ! touch "$0/x" && exec "$@"'
    command = ["unshare", "-m", "sh", "-c", mount, str(tmp_path), sys.executable, "-c", LOOK, str(directory)]
    ran = subprocess.run(command, capture_output=True, text=True, env=environment(), check=False)
    if "mount:" in ran.stderr or "unshare:" in ran.stderr:
        pytest.skip(f"cannot mount here: {ran.stderr}")
    assert ran.stdout == ("1 []\n" if lost is None else "2 []\n")


def test_many_jobs_are_seen_whole(tmp_path: Path) -> None:
    with State.open(str(tmp_path)) as state:
        for number in range(3000):
            state.record(job(f"{number:04}", f"{number:04}"))
    assert len(keys(tmp_path)) == 3000
