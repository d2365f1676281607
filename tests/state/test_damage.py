"""Nothing that happens to the file breaks a build: killed writers, cuts, flips, other versions."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from buildtool.errors import ExitCode, StateError
from buildtool.state import seal
from buildtool.state.store import State, StateReader
from state.samples import fill, job

WRITE = """
import os, signal, sys
from buildtool.state import seal
from buildtool.state.store import State
from state.samples import job, running
state = State.open(sys.argv[1])
state.start([running("a", "a"), running("b", "b")])
state.record(job("a", "a"))
state.commit()
for number in range(500):
    state.record(job(f"lost-{number}", f"lost-{number}"))
os.kill(os.getpid(), signal.SIGKILL)
"""

FULL = """
import resource, sys
from buildtool.errors import StateError
from buildtool.state import seal
from buildtool.state.store import State
from state.samples import job
state = State.open(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, resource.RLIM_INFINITY))
try:
    for number in range(100_000):
        state.record(job(f"a-{number}", f"a-{number}"))
        state.commit()
except StateError as error:
    state.close()
    print(number, error.exit_code, error.summary, error.facts, error.hint)
"""


def run(script: str, directory: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", script, str(directory)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


def content(source: StateReader) -> object:
    return (
        source.keys(),
        source.stamps(),
        source.owned(),
        source.value("x"),
        [source.job(key) for key in sorted(source.durations())],
    )


def read(directory: Path) -> tuple[object, list[str]]:
    with StateReader.open(str(directory)) as reader:
        return content(reader), reader.warnings


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("good") / ".bt"
    fill(directory)
    return directory


def look_and_write(directory: Path) -> tuple[object, list[str]]:
    """What a writer finds, having shown that it can write."""
    with State.open(str(directory)) as state:
        found = content(state)
        state.record(job("new", "new"))
        state.commit()
        assert state.job("new") == job("new", "new")
        return found, state.warnings


def survives(directory: Path, expected: object) -> None:
    """Data intact or a warning, for a reader and a writer; then a working database."""
    found, warnings = read(directory)
    assert found == expected or warnings
    found, warnings = look_and_write(directory)
    assert found == expected or warnings
    if warnings:
        assert list(directory.glob("state.db.bad-*"))
    with State.open(str(directory)) as state:
        assert (state.job("new"), state.warnings) == (job("new", "new"), [])


def test_a_killed_writer_loses_only_what_was_not_committed(tmp_path: Path) -> None:
    directory = tmp_path / ".bt"
    assert run(WRITE, directory).returncode == -9
    assert (directory / "state.db-wal").exists()
    for source in (StateReader, State):
        with source.open(str(directory)) as state:
            assert state.warnings == []
            assert state.keys() == ["a"]
            assert [found.key for found in state.running()] == ["b"]


def test_a_full_disk_is_told_and_keeps_what_was_committed(tmp_path: Path) -> None:
    ran = run(FULL, tmp_path / ".bt")
    assert ran.stderr == ""
    number, code, *_ = ran.stdout.split()
    assert code == str(int(ExitCode.STATE))
    assert "cannot write the state database `.bt/state.db`" in ran.stdout
    with State.open(str(tmp_path / ".bt")) as state:
        assert state.warnings == []
        assert len(state.keys()) == int(number) > 0


def test_cut_at_every_512_bytes(tmp_path: Path, good: Path) -> None:
    with StateReader.open(str(good)) as reader:
        expected = content(reader)
    raw = (good / "state.db").read_bytes()
    for sealed in (True, False):
        for length in range(0, len(raw), 512):
            directory = tmp_path / f"{length}-{sealed}"
            directory.mkdir()
            if sealed:
                shutil.copy(good / "state.sum", directory)
            (directory / "state.db").write_bytes(raw[:length])
            if length or sealed:
                survives(directory, expected)
            else:
                look_and_write(directory)


def test_flipped_bytes_are_found(tmp_path: Path, good: Path) -> None:
    with StateReader.open(str(good)) as reader:
        expected = content(reader)
    raw = (good / "state.db").read_bytes()
    dice = random.Random(20240)  # noqa: S311
    for at in [*range(0, 100, 9), *(dice.randrange(len(raw)) for _ in range(200))]:
        directory = tmp_path / str(at)
        shutil.copytree(good, directory, dirs_exist_ok=True)
        flipped = bytearray(raw)
        flipped[at] ^= dice.randrange(1, 256)
        (directory / "state.db").write_bytes(flipped)
        survives(directory, expected)


def test_flipped_bytes_after_an_unclean_end_never_stop_a_build_for_good(tmp_path: Path, good: Path) -> None:
    raw = (good / "state.db").read_bytes()
    dice = random.Random(20241)  # noqa: S311
    for at in [*range(100), *(dice.randrange(len(raw)) for _ in range(200))]:
        directory = tmp_path / str(at)
        directory.mkdir(exist_ok=True)
        flipped = bytearray(raw)
        flipped[at] ^= dice.randrange(1, 256)
        (directory / "state.db").write_bytes(flipped)
        if at == 63:  # the last byte of the version
            continue
        read(directory)
        try:
            look_and_write(directory)
        except StateError as error:
            assert error.hint  # noqa: PT017
            look_and_write(directory)


@pytest.mark.parametrize(
    "junk",
    [b"x", b"not a database" * 1000, b"\0" * 8192, b"SQLite format 3\0", b"SQLite format 3\0" + b"\1" * 9000],
)
def test_not_a_database(tmp_path: Path, junk: bytes) -> None:
    (tmp_path / "state.db").write_bytes(junk)
    survives(tmp_path, None)
    assert [path.read_bytes() for path in tmp_path.glob("state.db.bad-*")] == [junk]


def test_damage_twice_in_a_second_keeps_both(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / "state.db").write_bytes(b"junk %d" % number)
        with State.open(str(tmp_path)) as state:
            assert len(state.warnings) == 1
    assert len(list(tmp_path.glob("state.db.bad-*"))) == 3


def test_somebody_elses_database_is_moved_aside(tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "state.db")
    other.execute("CREATE TABLE jobs (key)")
    other.commit()
    other.close()
    survives(tmp_path, None)


def test_a_missing_table_is_damage(tmp_path: Path, good: Path) -> None:
    directory = tmp_path / ".bt"
    shutil.copytree(good, directory)
    (directory / "state.sum").unlink()
    database = sqlite3.connect(directory / "state.db")
    database.execute("DROP TABLE outputs")
    database.close()
    survives(directory, None)


def test_an_empty_file_is_a_new_database(tmp_path: Path) -> None:
    (tmp_path / "state.db").write_bytes(b"")
    with State.open(str(tmp_path)) as state:
        assert (state.warnings, state.keys()) == ([], [])


def test_a_deleted_database_is_a_new_one_whatever_lies_beside_it(tmp_path: Path) -> None:
    fill(tmp_path / ".bt")
    (tmp_path / ".bt" / "state.db").unlink()
    with State.open(str(tmp_path / ".bt")) as state:
        assert (state.warnings, state.keys()) == ([], [])


@pytest.mark.parametrize("sealed", [True, False])
def test_a_newer_version_is_refused_and_left_alone(tmp_path: Path, good: Path, sealed: bool) -> None:
    directory = tmp_path / ".bt"
    shutil.copytree(good, directory)
    (directory / "state.sum").unlink()
    with sqlite3.connect(directory / "state.db") as database:
        database.execute("PRAGMA user_version=7")
    database.close()
    if sealed:
        seal.put(str(directory / "state.db"), str(directory / "state.sum"))
    before = {path.name: path.read_bytes() for path in directory.iterdir()}
    for source in (State, StateReader):
        with pytest.raises(StateError) as caught:
            source.open(str(directory))
        assert dict(caught.value.facts) == {"its version": "7", "known here": "up to 1"}
        assert caught.value.exit_code == ExitCode.STATE
    assert {path.name: path.read_bytes() for path in directory.iterdir()} == before


def test_a_damaged_record_does_not_count(tmp_path: Path, good: Path) -> None:
    directory = tmp_path / ".bt"
    shutil.copytree(good, directory)
    (directory / "state.sum").unlink()
    database = sqlite3.connect(directory / "state.db")
    database.execute("UPDATE jobs SET details=substr(details, 1, 20) WHERE key=?", (b"out/3.txt",))
    database.commit()
    database.close()
    with State.open(str(directory)) as state:
        assert state.job("out/3.txt") is None
        assert state.job("out/4.txt") is not None
        assert state.warnings == ["the record of `out/3.txt` is damaged and does not count"]


def test_rows_without_meaning_have_the_database_replaced(tmp_path: Path, good: Path) -> None:
    directory = tmp_path / ".bt"
    shutil.copytree(good, directory)
    (directory / "state.sum").unlink()
    database = sqlite3.connect(directory / "state.db")
    database.execute("UPDATE outputs SET path=17 WHERE path=?", (b"out/3.txt",))
    database.commit()
    database.close()
    with StateReader.open(str(directory)) as reader:
        assert reader.owned() == {}
        assert len(reader.warnings) == 1
    with State.open(str(directory)) as state, pytest.raises(StateError, match="is damaged"):
        state.owned()
    with State.open(str(directory)) as state:
        assert len(state.warnings) == 1
        assert state.owned() == {}


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError) as caught:
        State.open(str(tmp_path / "file" / ".bt"))
    assert caught.value.exit_code == ExitCode.STATE
    assert caught.value.hint


def test_without_shared_memory_the_old_journal_serves(tmp_path: Path) -> None:
    (tmp_path / "state.db.probe-shm").mkdir()
    with State.open(str(tmp_path)) as state:
        state.record(job("a", "a"))
        state.commit()
        state.record(job("b", "b"))
        with StateReader.open(str(tmp_path)) as reader:
            assert (reader.keys(), reader.warnings) == (["a"], [])
    with State.open(str(tmp_path)) as state:
        assert (state.keys(), state.warnings) == (["a", "b"], [])
