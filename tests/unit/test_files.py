from __future__ import annotations

import itertools
import os
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from buildtool.errors import StateError
from buildtool.files import TICK, Disk, NotAFileError, Stamp, racy

FAKE = "f" + "0" * 32


def fresh(folder: Path, path: str) -> str | None:
    """The digest as one who remembers nothing sees it."""
    return Disk(str(folder)).digest(path)


def signature(path: Path) -> tuple[int, int, int, int, int]:
    st = path.stat()
    return (st.st_size, st.st_mtime_ns, st.st_ctime_ns, st.st_ino, st.st_mode)


def test_every_difference_counts(tmp_path: Path) -> None:
    """Equal if and only if content, executable bit and link are."""
    for name, data, mode in [
        ("a", b"x", 0o644),
        ("same", b"x", 0o600),
        ("b", b"y", 0o644),
        ("run", b"x", 0o755),
        ("empty", b"", 0o644),
    ]:
        (tmp_path / name).write_bytes(data)
        (tmp_path / name).chmod(mode)
    for name, target in [
        ("to a", "a"),
        ("to same", "same"),
        ("to b", "b"),
        ("away", "nowhere"),
        ("here", "."),
    ]:
        (tmp_path / name).symlink_to(target)
    names = ["a", "b", "run", "empty", "to a", "to same", "to b", "away", "here"]
    digests = {name: fresh(tmp_path, name) for name in names}
    assert len(set(digests.values())) == len(names)
    assert fresh(tmp_path, "same") == digests["a"]
    assert fresh(tmp_path, "gone") is None
    assert fresh(tmp_path, "a/below a file") is None
    before = digests["to a"]
    (tmp_path / "a").write_bytes(b"z")
    assert fresh(tmp_path, "to a") != before


@given(first=st.binary(max_size=40), second=st.binary(max_size=40))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_content_alone_decides(tmp_path: Path, first: bytes, second: bytes) -> None:
    (tmp_path / "a").write_bytes(first)
    (tmp_path / "b").write_bytes(second)
    assert (fresh(tmp_path, "a") == fresh(tmp_path, "b")) == (first == second)


def test_large_files_are_hashed_as_a_whole(tmp_path: Path) -> None:
    for size in (1 << 20, (1 << 20) + 1, (17 << 20) + 3):
        data = bytearray(size)
        (tmp_path / "a").write_bytes(data)
        before = fresh(tmp_path, "a")
        data[-1] = 1
        (tmp_path / "a").write_bytes(data)
        assert fresh(tmp_path, "a") != before


def remembered(path: Path, *, read_after: int) -> dict[str, Stamp]:
    """A memory of a wrong digest, that was read so many ns after the last write."""
    found = signature(path)
    return {path.name: (*found, FAKE, found[2] + read_after)}


@pytest.mark.parametrize(
    ("read_after", "trusted"), [(-1, False), (0, False), (TICK - 1, False), (10 * TICK, True)]
)
def test_racy_stamps_are_read_again(tmp_path: Path, read_after: int, trusted: bool) -> None:
    path = tmp_path / "a"
    path.write_text("x")
    while path.stat().st_ctime_ns % 1_000_000_000 == 0:  # would look like a file system of whole seconds
        path.write_text("x")
    memory = remembered(path, read_after=read_after)
    assert racy(memory["a"]) is not trusted
    disk = Disk(str(tmp_path), memory)
    assert (disk.digest("a") == FAKE) is trusted
    assert disk.hashed == (0 if trusted else 1)
    assert ("a" in disk.fresh) is not trusted


def test_whole_seconds_are_trusted_after_whole_seconds() -> None:
    second = 1_000_000_000
    at = 5 * second
    assert racy((1, at, at, 1, 0o644, FAKE, at + second))
    assert not racy((1, at, at, 1, 0o644, FAKE, at + 3 * second))


@pytest.mark.parametrize(
    "change",
    [
        lambda p: p.write_text("xx"),
        lambda p: os.utime(p, (1, 1)),
        lambda p: p.chmod(0o755),
        lambda p: (p.rename(p.with_name("old")), p.write_text("y")),
    ],
    ids=["size", "time", "mode", "another file"],
)
def test_a_moved_signature_is_read_again(tmp_path: Path, change: Callable[[Path], object]) -> None:
    path = tmp_path / "a"
    path.write_text("x")
    memory = remembered(path, read_after=10 * TICK)
    change(path)
    found = Disk(str(tmp_path), memory).digest("a")
    assert found not in (FAKE, None)
    assert found == fresh(tmp_path, "a")


def test_same_size_and_restored_time(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("x")
    disk = Disk(str(tmp_path))
    before, st = disk.digest("a"), path.stat()
    path.write_text("y")
    os.utime(path, ns=(st.st_atime_ns, st.st_mtime_ns))
    later = Disk(str(tmp_path), dict(disk.memory))
    assert later.digest("a") not in (before, None)


def test_rehash_trusts_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("x")
    disk = Disk(str(tmp_path), remembered(path, read_after=10 * TICK), rehash=True)
    assert disk.digest("a") == fresh(tmp_path, "a")


def test_a_directory_notices_everything_in_it(tmp_path: Path) -> None:
    top = tmp_path / "d"
    (top / "sub/deep").mkdir(parents=True)
    (top / "a").write_text("x")
    (top / "sub/b").write_text("y")
    steps: list[Callable[[], object]] = [
        lambda: (top / "new").write_text(""),
        lambda: (top / "new").rename(top / "newer"),
        (top / "newer").unlink,
        (top / "empty").mkdir,
        lambda: (top / "empty").rename(top / "empty too"),
        (top / "sub/deep").rmdir,
        lambda: (top / "sub/b").write_text("z"),
        lambda: (top / "sub/b").rename(top / "b"),
        lambda: (top / "b").chmod(0o755),
        lambda: (top / "link").symlink_to("sub", target_is_directory=True),
        lambda: (top / ".hidden").write_text(""),
    ]
    seen = [fresh(tmp_path, "d/")]
    for step in steps:
        step()
        seen.append(fresh(tmp_path, "d/"))
    (top / "empty too").rmdir()
    (top / "empty too").write_text("")  # a file where an empty directory was
    seen.append(fresh(tmp_path, "d/"))
    assert None not in seen
    for first, second in itertools.pairwise(seen):
        assert first != second
    assert fresh(tmp_path, "d/") == seen[-1]
    assert fresh(tmp_path, "gone/") is None


def test_the_same_directory_elsewhere_has_the_same_digest(tmp_path: Path) -> None:
    for name in ("d", "e"):
        (tmp_path / name / "sub").mkdir(parents=True)
        (tmp_path / name / "sub/x").write_text("x")
    (tmp_path / "d/sub/x").touch()
    assert fresh(tmp_path, "d/") == fresh(tmp_path, "e/")


def test_a_directory_split_elsewhere_differs(tmp_path: Path) -> None:
    """Names are told apart from what stands beside them."""
    for folder, names in {"p": ("ab", "c"), "q": ("a", "bc"), "r": ("abc",), "s": ("ab/c",)}.items():
        for name in names:
            path = tmp_path / folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("")
    assert len({fresh(tmp_path, f"{folder}/") for folder in "pqrs"}) == 4


def test_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "dir").mkdir()
    (tmp_path / "file").write_text("")
    (tmp_path / "loop").symlink_to("loop")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
        for name in ("pipe", "dir", "file/", "loop", "s"):
            with pytest.raises(NotAFileError):
                fresh(tmp_path, name)


def test_what_waits_in_a_pipe_stays_there(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    ends = os.open(tmp_path / "pipe", os.O_RDWR | os.O_NONBLOCK)
    try:
        os.write(ends, b"word")
        with pytest.raises(NotAFileError):
            fresh(tmp_path, "pipe")
        assert os.read(ends, 9) == b"word"
    finally:
        os.close(ends)


def test_a_file_that_is_written_while_it_is_read(tmp_path: Path) -> None:
    """Whatever was read on the way, in the end it is found as it is, by whoever remembers it."""
    whole = [bytes([letter]) * 5000 for letter in b"ab"]
    path = tmp_path / "a"
    path.write_bytes(whole[0])
    stop = threading.Event()

    def write() -> None:
        for number in itertools.count():
            if stop.is_set():
                return
            if number % 2:
                path.write_bytes(whole[number // 2 % 2])
            else:
                (tmp_path / "new").write_bytes(whole[number // 2 % 2])
                os.replace(tmp_path / "new", path)

    writer = threading.Thread(target=write)
    writer.start()
    memory: dict[str, Stamp] = {}
    until = time.monotonic() + 0.3
    while time.monotonic() < until:
        assert Disk(str(tmp_path), memory).digest("a") is not None
        assert Disk(str(tmp_path)).digest("a") is not None
    stop.set()
    writer.join()
    assert Disk(str(tmp_path), memory).digest("a") == fresh(tmp_path, "a")


def test_below(tmp_path: Path) -> None:
    for name in ("d/b", "d/a/x", "d/a.c", "d/z/y/x"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / "d/hollow").mkdir()
    (tmp_path / "d/link").symlink_to("a", target_is_directory=True)
    disk = Disk(str(tmp_path))
    everything = [*disk.below("d/", directories=True)]
    assert {*everything} == {"d/b", "d/a/x", "d/a.c", "d/z/y/x", "d/hollow/", "d/link"}
    assert [*disk.below("d/")] == [name for name in everything if name[-1] != "/"]
    assert [*disk.below("nowhere/")] == []


def test_moving_never_writes_over(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    (tmp_path / "b").write_text("b")
    disk = Disk(str(tmp_path))
    with pytest.raises(StateError):
        disk.move("a", "b")
    disk.move("a", "x/y/a")
    assert (tmp_path / "x/y/a").read_text() == "a"
    assert (tmp_path / "b").read_text() == "b"


def test_removing_does_not_follow_links(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d/a").write_text("")
    (tmp_path / "link").symlink_to("d", target_is_directory=True)
    disk = Disk(str(tmp_path))
    disk.remove("link")
    assert (tmp_path / "d/a").exists()
    disk.remove("d/")
    disk.remove("d/")
    assert not (tmp_path / "d").exists()


def test_empty_parents_go_up_to_the_root(tmp_path: Path) -> None:
    (tmp_path / "a/b/c").mkdir(parents=True)
    (tmp_path / "a/file").write_text("")
    disk = Disk(str(tmp_path))
    disk.remove_empty_parents("a/b/c/gone")
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["file"]
    (tmp_path / "a/file").unlink()
    disk.remove_empty_parents("a/file")
    assert tmp_path.exists()
    assert [*tmp_path.iterdir()] == []


def test_a_listing_shows_regular_files_until_they_go(tmp_path: Path) -> None:
    (tmp_path / "in/deep").mkdir(parents=True)
    (tmp_path / "in/file").write_text("text")
    (tmp_path / "in/link").symlink_to("file")
    os.mkfifo(tmp_path / "in/pipe")
    disk = Disk(str(tmp_path))
    assert not disk.shows("in/file")  # nobody has listed it
    disk.entries("in/")
    names = ("file", "link", "pipe", "deep", "absent", "deep/file")
    assert [name for name in names if disk.shows(f"in/{name}")] == ["file"]
    assert disk.found == {"in/file"}
    disk.remove("in/file")
    assert not disk.shows("in/file")
    disk.entries("in/")
    disk.relist("in/")
    assert not disk.shows("in/file")


def test_what_a_killed_build_moved_is_looked_for(tmp_path: Path) -> None:
    (tmp_path / "made").write_text("half-written")
    disk = Disk(str(tmp_path))
    disk.entries("")
    disk.displaced["made"] = None
    assert not disk.shows("made")
    assert not disk.exists("made")
