"""Who begins a job and is killed has said so, and who settles one has said that: at every byte of the journal."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest

from buildtool.errors import StateError
from buildtool.state import journal
from buildtool.state.journal import LARGE, Journal
from buildtool.state.records import Running
from buildtool.state.store import State, StateReader
from state.samples import job, running


def keys(directory: Path) -> list[str]:
    """What a reader and, in a copy as a killed process leaves it, the next writer find running; both agree."""
    with StateReader.open(str(directory)) as reader:
        seen = [found.key for found in reader.running()]
    copy = directory.parent / "copy"
    shutil.copytree(directory, copy)
    with State.open(str(copy)) as state:
        assert [found.key for found in state.running()] == seen
    with State.open(str(copy)) as state:  # it is in the database now
        assert [found.key for found in state.running()] == seen
        for key in seen:
            state.stop(key)
    with StateReader.open(str(copy)) as reader:
        assert reader.running() == []
    assert not (copy / journal.FILE).exists()
    shutil.rmtree(copy)
    return seen


def test_a_job_is_begun_without_a_commit_and_settled_with_one(tmp_path: Path) -> None:
    directory = tmp_path / ".bt"
    with State.open(str(directory)) as state:
        state.start([running("a", "a"), running("b", "b")])
        assert keys(directory) == ["a", "b"]
        state.start([running("c", "c")])
        state.record(job("a", "a"))
        state.stop("b")
        assert keys(directory) == ["a", "b", "c"]
        state.commit()
        assert keys(directory) == ["c"]
        state.start([running("a", "a")])  # once more
        assert keys(directory) == ["a", "c"]


def test_what_is_settled_counts_although_the_journal_could_not_say_so(tmp_path: Path) -> None:
    """As after a kill between the commit and the line that follows it."""
    directory = tmp_path / ".bt"
    with State.open(str(directory)) as state:
        state.start([running("a", "a"), running("b", "b")])
        before = (directory / journal.FILE).read_bytes()
        state.record(job("a", "a"))
        state.commit()
        (directory / journal.FILE).write_bytes(before)
        assert keys(directory) == ["b"]


def test_all_that_is_settled_since_the_journal_was_synced_counts_after_a_power_cut(tmp_path: Path) -> None:
    directory = tmp_path / ".bt"
    with State.open(str(directory), durable=True) as state:
        state.start([running("a", "a"), running("b", "b"), running("c", "c")])
        synced = (directory / journal.FILE).read_bytes()
        for key in ("a", "b"):
            state.record(job(key, key))
            state.commit()
        written = (directory / journal.FILE).read_bytes()
        (directory / journal.FILE).write_bytes(synced)
        assert keys(directory) == ["c"]
        (directory / journal.FILE).write_bytes(written)
        state.start([running("a", "a")])  # once more
        assert keys(directory) == ["a", "c"]


def test_a_job_that_is_begun_again_is_what_it_was_begun_as_last(tmp_path: Path) -> None:
    with State.open(str(tmp_path)) as state:
        state.start([running("a", "a")])
        state.stop("a")
        again = Running("a", "make", ("x", "y\udcff"), (("x", ".bt/aside/1"),))
        before = round(time.time(), 3)
        state.start([again])
        state.commit()  # the first is settled by it, and not the second
        state.set_process("a", 42, "boot/7")
        with StateReader.open(str(tmp_path)) as reader:
            (found,) = reader.running()
            assert state.running() == [found]
            assert found._replace(began=None) == again._replace(pid=42, stamp="boot/7")
            assert before <= (found.began or 0.0) <= time.time()


def test_a_process_that_nothing_runs_in_is_not_noted(tmp_path: Path) -> None:
    with State.open(str(tmp_path)) as state:
        state.set_process("a", 1, None)
        state.start([running("a", "a")])
        state.set_process("b", 1, None)
        assert [job._replace(began=None) for job in state.running()] == [running("a", "a")]


def test_half_a_line_spoils_no_other(tmp_path: Path) -> None:
    written = Journal(str(tmp_path), "m")
    written.begin([running("a", "a")])
    whole = (tmp_path / journal.FILE).read_bytes()
    written.begin([running("b", "b")])
    both = (tmp_path / journal.FILE).read_bytes()
    for end in range(len(whole), len(both)):
        (tmp_path / journal.FILE).write_bytes(both[:end])
        found = [job.key for job in journal.read(str(tmp_path), "m", ())]
        assert found in (["a"], ["a", "b"])
        assert found == ["a"] or end >= len(both) - 1
        with open(tmp_path / journal.FILE, "ab") as file:  # the disk has room again
            file.write(both[len(whole) :])
        assert [job.key for job in journal.read(str(tmp_path), "m", ())] == ["a", "b"]
    written.close(remove=True)
    assert not (tmp_path / journal.FILE).exists()


def test_the_journal_of_another_state_says_nothing(tmp_path: Path) -> None:
    with State.open(str(tmp_path / "one")) as one, State.open(str(tmp_path / "two")) as two:
        one.start([running("a", "a")])
        two.start([running("b", "b")])
        shutil.copy(tmp_path / "one" / journal.FILE, tmp_path / "two" / journal.FILE)
        assert keys(tmp_path / "two") == []
        (tmp_path / "one" / journal.FILE).write_bytes(b"\xff[{\n[]\n7\n")
        assert keys(tmp_path / "one") == []


def test_a_clean_end_leaves_no_journal_and_what_still_runs(tmp_path: Path) -> None:
    with State.open(str(tmp_path)) as state:
        state.start([running("a", "a"), running("b", "b")])
        state.stop("a")
    assert journal.FILE not in os.listdir(tmp_path)
    with StateReader.open(str(tmp_path)) as reader:
        assert [found.key for found in reader.running()] == ["b"]


def test_it_does_not_grow_for_ever(tmp_path: Path) -> None:
    written = Journal(str(tmp_path), "m")
    written.begin([running("long", "long")])
    written.set_process("long", 7, "boot/7")
    most = 0
    for number in range(3 * LARGE // 1000):
        written.begin([running(f"{number}", "o" * 1000)])
        settled = written.settle(f"{number}")
        assert settled is not None
        written.settled([settled])
        most = max(most, (tmp_path / journal.FILE).stat().st_size)
    assert most < LARGE + 5000
    expected = [running("long", "long")._replace(pid=7, stamp="boot/7")]
    (found,) = journal.read(str(tmp_path), "m", ())
    assert written.running() == [found]
    assert found.began is not None
    assert [found._replace(began=None)] == expected
    assert os.listdir(tmp_path) == [journal.FILE]
    written.close(remove=False)


def test_where_it_cannot_be_written_nothing_is_begun(tmp_path: Path) -> None:
    with State.open(str(tmp_path)) as state:
        (tmp_path / journal.FILE).mkdir()
        with pytest.raises(StateError, match="cannot write"):
            state.start([running("a", "a")])
        assert state.running() == []


def test_what_must_survive_a_power_cut_is_begun_while_other_things_are_not_committed(tmp_path: Path) -> None:
    directory = tmp_path / ".bt"
    with State.open(str(directory)) as state:
        state.start([running("a", "a")])
        state.record(job("a", "a"))
        assert state.job("a") is not None  # so that it is written, and not committed
        state.start([running("b", "b")], durable=True)
        assert keys(directory) == ["b"]
        with StateReader.open(str(directory)) as reader:
            assert reader.keys() == ["a"]
