"""The front door: answers a build that finds everything as the last one left it, before the rest of `bt` is imported.

It compares what a build that had nothing to do has noted (see `rest`) with the disk: a `stat` of each path. Any
difference at all, in the words of the command, the environment or a file, and the whole house is asked.
Imports nothing that costs time.
"""

from __future__ import annotations

import marshal
import os
import sys
import time
import zlib

from buildtool import __version__

TYPE_CHECKING = False  # `typing` costs time

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any

    # A note, and which of its files do not look as it says (by position); nothing else has changed.
    Glimpse = tuple[dict[str, Any], list[int]]

TASKFILE = "Taskfile.toml"
STATE = ".bt"
NOTE = "rest"  # of the state folder: what the last build saw, if it had nothing to do
SEAL = "state.sum"  # and the checksum of all else that is known there, as long as nobody writes to it
DATABASE = "state.db"
BEGUN = time.time_ns()
PARTS = ("files", "signatures", "followed", "targets", "makers", "starts", "readers", "heads", "waiters")
_FORMAT = 2  # of a note: one that was written in another counts as damaged
# Options of `bt build` that matter to jobs that run.
_IDLE = {"-q": "quiet", "--quiet": "quiet", "-k": "keep_going", "--keep-going": "keep_going"}
_MANY = 20_000  # files that are worth a process of their own, which costs 1 to 2 ms
_HANDS = 4  # processes: more would not be faster
_DIGITS = 9  # of a number of jobs; Python does not read any number of them
_LONGEST = 9.95  # seconds; more are told in another way


def answer(here: str, arguments: list[str]) -> tuple[str | None, Glimpse | None]:
    """What a build in this directory has to say, if it has nothing to do; else what was seen, as far as that goes.

    Afterwards the project root may be the working directory. Raises OSError and ValueError where something is missing.
    """
    root = here
    while not os.path.lexists(f"{root}/{TASKFILE}"):
        root, before = os.path.dirname(root), root
        if root == before:
            return None, None
    os.chdir(root)
    note = read()
    if note is None or note["words"] != words(root, here, arguments):
        return None, None
    different = differing(note, os.environ)
    if different is None:
        return None, None
    seconds = (time.time_ns() - BEGUN) / 1e9
    if different or seconds >= _LONGEST:
        return None, (note, different)
    return f"{note['closing']} in {seconds:.1f} s", None


def words(root: str, here: str, arguments: list[str]) -> tuple[Any, ...]:
    """What a note is for: it holds for nothing else."""
    return (root, here, meant(arguments), __version__, sys.version, tuple(sys.path))


def meant(arguments: Sequence[str]) -> tuple[str, ...]:
    """The words without those that make no difference if there is nothing to do."""
    return understood(arguments)[0]


def understood(arguments: Sequence[str]) -> tuple[tuple[str, ...], dict[str, int]]:
    """The words of a build without the options that make no difference if there is nothing to do; these by name."""
    options: dict[str, int] = {}
    if "--" in arguments:
        return tuple(arguments), options
    found = []
    rest = iter(arguments)
    for word in rest:
        name = "-j" if word.startswith("-j") else "--jobs="
        if word in _IDLE:
            options[_IDLE[word]] = True
        elif word in ("-j", "--jobs"):
            number = next(rest, "")
            if _is_number(number):
                options["jobs"] = int(number)
            else:
                found += [word, number]
        elif word.startswith(name) and _is_number(word[len(name) :]):
            options["jobs"] = int(word[len(name) :])
        else:
            found.append(word)
    return tuple(found), options


def _is_number(word: str) -> bool:
    """Whether it can be a number of jobs; what cannot is told as wrong use by who reads the command line in full."""
    return word.isascii() and word.isdecimal() and word.strip("0") != "" and len(word) <= _DIGITS


def read() -> dict[str, Any] | None:
    """The note of the project whose root is the working directory, if it is whole. Raises OSError and ValueError."""
    with open(f"{STATE}/{NOTE}", "rb") as file:
        data = memoryview(file.read())
    if checksum([data[4:]], _FORMAT) != data[:4]:
        return None
    at = 12 + int.from_bytes(data[4:12], "little")
    found: dict[str, Any] = marshal.loads(data[12:at])  # noqa: S302  ours, and whole
    for name, length in found.pop("parts"):
        found[name] = data[at : at + length]
        at += length
    return found


def written(note: Mapping[str, Any]) -> list[Any]:
    """The pieces of the file of a note: what is large is neither copied nor taken apart, here and by `read`."""
    parts = [(name, len(note[name])) for name in PARTS]
    small = {name: value for name, value in note.items() if name not in PARTS and name != "paths"}
    head = marshal.dumps(small | {"parts": parts})
    pieces = [len(head).to_bytes(8, "little"), head, *(note[name] for name in PARTS)]
    return [checksum(pieces, _FORMAT), *pieces]


def paths(note: dict[str, Any]) -> list[bytes]:
    """The paths of the files of a note, which are taken apart once."""
    found: list[bytes] | None = note.get("paths")
    if found is None:
        found = note["paths"] = _names(note["files"])
    return found


def _names(text: bytes) -> list[bytes]:
    """`text` may be a view."""
    return bytes(text).split(b"\0") if text else []


def differing(note: dict[str, Any], environment: Mapping[str, str]) -> list[int] | None:
    """Which files are gone or do not look as it was noted; None if more than that has changed, or is not known.

    The project root is the working directory. Raises OSError where something else is missing.
    """
    if any(environment.get(name) != value for name, value in note["environment"]) or not is_sealed(note):
        return None
    if any(map(os.path.lexists, note["absent"])) or _differ(
        _names(note["followed"]), _numbers(note["targets"]), os.stat
    ):
        return None
    different = _differ_together(paths(note), _numbers(note["signatures"]))
    return different if all(_lists(*directory) for directory in note["directories"]) else None


def is_sealed(note: dict[str, Any], root: str = ".") -> bool:
    """Whether all that is known of earlier builds is as it was when that was noted. Raises OSError."""
    with open(f"{root}/{STATE}/{SEAL}", "rb") as file:
        if file.read() != note["seal"]:
            return False
    st = os.stat(f"{root}/{STATE}/{DATABASE}")
    return bool((st.st_size, st.st_mtime_ns, st.st_ino) == note["database"])


def _numbers(looks: bytes) -> memoryview:
    """Four numbers for each path."""
    return memoryview(looks).cast("q")


def _differ_together(paths: list[bytes], signatures: memoryview) -> list[int]:
    """Which files do not look as they did; if they are many, looked at by several processes."""
    count = min(_cpus(), _HANDS, len(paths) // _MANY) or 1
    bounds = [len(paths) * at // count for at in range(count + 1)]
    helpers = []
    for at in range(1, count):
        start, end = bounds[at : at + 2]
        helpers.append((start, *_ask_helper(paths[start:end], signatures[4 * start : 4 * end])))
    found = _differ(paths[: bounds[1]], signatures[: 4 * bounds[1]], os.lstat)
    for start, process, pipe in helpers:
        with open(pipe, "rb") as file:
            answer = file.read()
        if os.waitpid(process, 0)[1]:
            raise OSError
        found += [start + at for at in marshal.loads(answer)]  # noqa: S302  of our own copy
    return found


def _cpus() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1


def _ask_helper(paths: list[bytes], signatures: memoryview) -> tuple[int, int]:
    """A copy of this process that looks at these files, and the pipe that it answers through."""
    ours, theirs = os.pipe()
    process = os.fork()
    if process:
        os.close(theirs)
        return process, ours
    code = 1
    try:
        answer = marshal.dumps(_differ(paths, signatures, os.lstat))
        while answer:
            answer = answer[os.write(theirs, answer) :]
        code = 0
    finally:
        os._exit(code)


def _differ(paths: list[bytes], signatures: memoryview, look: Callable[[bytes], os.stat_result]) -> list[int]:
    """Which files do not look as they did."""
    numbers = iter(signatures.tolist())
    found = []
    at = 0
    for path, size, mtime, ctime, inode in zip(paths, numbers, numbers, numbers, numbers, strict=True):
        try:
            st = look(path)
        except FileNotFoundError:
            found.append(at)
        else:
            if st.st_ctime_ns != ctime or st.st_mtime_ns != mtime or st.st_size != size or st.st_ino != inode:
                found.append(at)
        at += 1  # noqa: SIM113  `enumerate` makes a tuple for each
    return found


def _lists(path: bytes, mtime: int, inode: int, names: int) -> bool:
    """Whether a directory still holds the same names."""
    st = os.stat(path)
    return st.st_ino == inode and (st.st_mtime_ns == mtime or listing(path) == names)


def listing(path: bytes) -> int:
    """A checksum of the names in a directory, with what kind of thing each is."""
    with os.scandir(path) as found:
        names = sorted((e.name, e.is_dir(), e.is_symlink()) for e in found)
    return zlib.crc32(repr(names).encode())


def checksum(pieces: Iterable[bytes | memoryview], found: int = 0) -> bytes:
    """What tells whether a file that is made of these pieces is whole."""
    for piece in pieces:
        found = zlib.crc32(piece, found)
    return found.to_bytes(4, "big")
