"""What is written is read again, by the writer and by readers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from buildtool.fingerprint import Fingerprint, Item
from buildtool.state.records import BuildRecord, HistoryRecord, JobRecord, Made
from buildtool.state.store import State, StateReader
from state.samples import fill, job, running
from support.effort import amount


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    with State.open(str(tmp_path / ".bt")) as state:
        yield state


# Any bytes, as a name on the disk may have them.
names = st.binary(min_size=1, max_size=30).map(lambda raw: raw.decode("utf-8", "surrogateescape"))
numbers = st.integers(0, 2**62)
times = st.floats(0, 1e12)
digests = st.one_of(
    st.binary(min_size=16, max_size=16).map(bytes.hex), st.text("0123456789abcdefx", max_size=34)
)
items = st.builds(Item, names, names, st.none() | digests, st.none() | names | st.text("ab", max_size=2000))
pairs = st.lists(st.tuples(names, names), max_size=3).map(tuple)
jobs = st.builds(
    JobRecord,
    key=names,
    task=names,
    wildcards=pairs,
    status=st.sampled_from(["ok", "failed", "interrupted"]),
    fingerprint=st.lists(items, max_size=12).map(lambda found: Fingerprint(tuple(found))),
    outputs=st.lists(st.builds(Made, names, digests), max_size=5, unique_by=lambda made: made.path).map(
        tuple
    ),
    found=st.lists(names, max_size=4).map(tuple),
    build=numbers,
    ended=times,
    seconds=times,
    peak_memory=numbers,
    executor=names,
    runs=numbers,
    accepted=st.booleans(),
)
stamps = st.dictionaries(
    names,
    st.tuples(
        numbers,
        st.integers(-(2**63), 2**63 - 1),
        st.integers(-(2**63), 2**63 - 1),
        st.integers(0, 2**64 - 1),
        st.integers(0, 2**16),
        digests,
        numbers,
    ),
)
law = settings(
    deadline=None, max_examples=amount(75, 1500), suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@law
@given(jobs)
def test_a_record_comes_back_as_it_was(state: State, record: JobRecord) -> None:
    state.record(record)
    assert state.job(record.key) == record
    owned = state.owned()
    for made in record.outputs:
        assert owned[made.path] == state.owner(made.path) == record.key
    assert record.key in set(state.keys())
    assert state.durations()[record.key] == record.seconds


@law
@given(stamps)
def test_stamps_come_back_as_they_were(
    state: State, found: dict[str, tuple[int, int, int, int, int, str, int]]
) -> None:
    state.forget_stamps(state.stamps())
    state.remember(found)
    assert state.stamps() == found


@law
@given(st.lists(jobs, max_size=6))
def test_every_path_has_one_owner_and_records_tell_of_what_they_own(
    state: State, records: list[JobRecord]
) -> None:
    for key in {*state.durations(), *state.owned().values()}:
        state.forget(key)
    for record in records:
        state.record(record)
    told = {
        made.path: key for key in state.durations() if (found := state.job(key)) for made in found.outputs
    }
    owned = state.owned()
    assert set(owned) == {made.path for record in records for made in record.outputs}
    assert told == {path: key for path, key in owned.items() if path not in state.strays()}


few_names = st.sampled_from(("a", "b", "c", "d"))
changes = st.one_of(
    st.tuples(st.just("record"), few_names, st.lists(few_names, max_size=3, unique=True)),
    st.tuples(st.sampled_from(("forget", "disown", "look")), few_names, st.just([])),
)


@law
@given(st.lists(changes, max_size=12))
def test_however_it_is_read_it_is_the_same(state: State, tmp_path: Path, steps: list[Any]) -> None:
    with State.open(str(tmp_path / "ahead")) as ahead, State.open(str(tmp_path / "few")) as few:
        few.expect_few()
        for one in (state, ahead, few):
            known = one.keys()
            for key in known:
                one.forget(key)
            one.forget_outputs(one.owned())
        for at, (what, name, paths) in enumerate(steps):
            ahead.read_ahead()
            for one in (state, ahead, few):
                match what:
                    case "record":
                        made = tuple(Made(path, f"{at}") for path in paths)
                        one.record(job(name)._replace(outputs=made, seconds=float(at)))
                    case "forget":
                        one.forget(name)
                    case "disown":
                        one.forget_outputs([name])
            for key in "abcd":
                assert state.job(key) == ahead.job(key) == few.job(key)
                assert state.owner(key) == ahead.owner(key) == few.owner(key)
                assert state.durations().get(key) == few.durations().get(key)
        assert state.owned() == few.owned()
        assert {*state.durations()} == {*few.durations()}


@law
@given(names, names, pairs, st.none() | names)
def test_running_values_and_history_come_back(
    state: State, key: str, text: str, aside: tuple[tuple[str, str], ...], stamp: str | None
) -> None:
    state.start([running(key, text)._replace(aside=aside)])
    state.set_process(key, 42, stamp)
    noted = [found._replace(began=None) for found in state.running()]
    assert noted == [running(key, text)._replace(aside=aside, pid=42, stamp=stamp)]
    state.stop(key)
    assert state.running() == []
    state.set_value(key, text)
    assert state.value(key) == text
    entry = HistoryRecord(1, key, text, "ran", (text, key), 0.5, 7.0)
    state.add_history([entry])
    assert state.history(build=1, key=key) == [entry]


def test_a_time_out_of_range_is_not_remembered(state: State) -> None:
    state.remember({"far": (1, 2**70, 1, 1, 1, "d", 1), "near": (1, 1, 1, 1, 1, "d", 1)})
    assert list(state.stamps()) == ["near"]


def test_stamps_are_dropped_one_by_one(state: State) -> None:
    state.remember(dict.fromkeys("abcd", (1, 1, 1, 1, 1, "d", 1)))
    state.forget_stamps(["a"])
    assert sorted(state.stamps()) == ["b", "c", "d"]


def test_recording_settles_a_running_job(state: State) -> None:
    state.start([running("a", "a"), running("b", "b")])
    state.record(job("a", "a"))
    assert [found.key for found in state.running()] == ["b"]


def test_an_output_left_out_becomes_a_stray(state: State) -> None:
    state.record(job("a", "a", "b"))
    state.record(job("a", "a"))
    assert state.owned() == {"a": "a", "b": "a"}
    assert state.strays()["b"].job == "a"
    state.record(job("a", "a", "b"))
    assert state.strays() == {}
    state.forget_outputs(["b"])
    assert state.owned() == {"a": "a"}


def test_a_job_that_takes_an_output_replaces_its_owner(state: State) -> None:
    state.record(job("a", "a", "b"))
    state.record(job("b", "b", "c"))
    assert state.job("a") is None
    assert state.keys() == ["b"]
    assert state.owned() == {"a": "a", "b": "b", "c": "b"}
    assert list(state.strays()) == ["a"]


def test_outputs_of_a_failed_job_stay_known(state: State) -> None:
    state.record(job("a", "a"))
    state.record(job("a", status="failed"))
    assert list(state.strays()) == ["a"]
    found = state.job("a")
    assert found is not None
    assert found.outputs == ()


def test_forgetting_a_job(state: State) -> None:
    state.record(job("a", "a", "b"))
    state.record(job("c", "c"))
    state.forget("a")
    assert (state.keys(), state.owned()) == (["c"], {"c": "c"})


def test_a_long_text_is_dropped_and_its_digest_kept(state: State) -> None:
    long, kept = Item("command", "", "1" * 32, "x" * 70_000), Item("param", "k", "2" * 32, "y" * 65_536)
    state.record(job("a", "a")._replace(fingerprint=Fingerprint((long, kept))))
    found = state.job("a")
    assert found is not None
    assert found.fingerprint.items == (long._replace(text=None), kept)


def test_builds_are_numbered_and_end(state: State) -> None:
    first = state.begin_build("bt build a")
    state.end_build(first, 1, {"failed": 1})
    second = state.begin_build("bt build b")
    assert second == first + 1
    latest, earlier = state.builds()
    assert (latest.ended, latest.exit_code, latest.counts) == (None, None, {})
    assert isinstance(earlier, BuildRecord)
    assert (earlier.command, earlier.exit_code, earlier.counts) == ("bt build a", 1, {"failed": 1})
    assert state.builds(1) == [latest]


def test_old_builds_are_forgotten(state: State) -> None:
    for _ in range(1003):
        number = state.begin_build("bt build")
        state.add_history([HistoryRecord(number, "a", "make a", "ran", (), 0.1, float(number))])
    state.end_build(number, 0, {})
    assert [build.number for build in state.builds()] == list(range(1003, 3, -1))
    assert [entry.build for entry in state.history()] == list(range(1003, 3, -1))
    assert len(state.history(key="a", limit=10)) == 10


def test_a_job_stands_once_in_a_build(state: State) -> None:
    entries = [HistoryRecord(1, "a", "make a", status, (), 0.1, 1.0) for status in ("failed", "ran")]
    state.add_history(entries)
    assert state.history(build=1) == entries[1:]


def test_closing_leaves_one_file_and_everything_in_it(tmp_path: Path) -> None:
    directory = tmp_path / ".bt"
    fill(directory)
    assert sorted(path.name for path in directory.iterdir()) == [".gitignore", "state.db", "state.sum"]
    with State.open(str(directory)) as state, StateReader.open(str(directory)) as reader:
        assert state.warnings == reader.warnings == []
        assert state.keys() == reader.keys()
        assert len(state.keys()) == 20
        assert state.stamps() == reader.stamps()
        assert state.job("out/3.txt") == reader.job("out/3.txt") == job("out/3.txt", "out/3.txt")


def test_closing_twice_is_closing_once(tmp_path: Path) -> None:
    state = State.open(str(tmp_path / ".bt"), durable=True)
    state.set_value("a", "b")
    state.close()
    state.close()
    with State.open(str(tmp_path / ".bt")) as again:
        assert again.value("a") == "b"
