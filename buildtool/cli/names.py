"""What a shell was told last, with all that it was drawn from: while that looks the same, the answer is still right.

Compares, and does not know how names are found (see `propose`). Imports nothing that costs time. The note is plain
data, and whoever shows it takes care as with the Taskfile itself.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from typing import Any

from buildtool import __version__, door
from buildtool.tuples import NamedTuple

NOTE = "names"  # in the state folder
_FORM = 1

# As `state.directory.overwrite`, which completion does not load: nobody knows who put a link there.
_FRESH = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC


class Names(NamedTuple):
    """What a shell can be told, hidden tasks included; files by their path from the project root."""

    tasks: list[tuple[str, str]]  # with what they are for
    files: list[str]
    executors: list[str]


def noted(taskfile: str) -> Names | None:
    """What was told last for the Taskfile at this absolute path, if it is still right; None if that is not known."""
    root, name = os.path.split(taskfile)
    try:
        with open(_place(root), "rb") as file:
            note = json.load(file)
        if note["for"] != _for(name) or note["state"] != state(root) or not _holds(root, note):
            return None
        return Names(**note["names"])
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None  # there is none, or it is damaged or another `bt`'s


def put(taskfile: str, names: Names, drawn: dict[str, Any]) -> None:
    """Note that, where a state folder is and can be written to.

    `drawn`: `state` as it was all the time, and what was seen: `environment` variables, `there` and `folders` (whether
    paths lead to anything, and to a directory), and how `files` and `directories` look.
    """
    root, name = os.path.split(taskfile)
    note = {"for": _for(name), "names": names._asdict(), **drawn}
    fresh = f"{_place(root)}.new"
    with contextlib.suppress(OSError):
        with open(os.open(fresh, _FRESH, 0o600), "w", encoding="ascii") as file:
            json.dump(note, file)
        os.replace(fresh, _place(root))


def state(root: str) -> list[Any]:
    """What changes whenever builds leave anything else than before. Raises OSError where nothing is at rest."""
    with open(os.path.join(root, door.STATE, door.SEAL), "rb") as file:
        seal = file.read(64).hex()
    return [seal, look(os.path.join(root, door.STATE, door.DATABASE))]


def look(path: str) -> list[int] | None:
    """How a file looks: as long as that is the same, so is what is in it, unless it is young. None: it is not there."""
    try:
        st = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return [st.st_ino, st.st_size, st.st_mtime_ns, st.st_ctime_ns]


def look_into(path: str) -> int | None:
    """A checksum of the names in a directory; None if it is not there. Raises OSError."""
    try:
        return door.listing(os.fsencode(path))
    except FileNotFoundError:
        return None


def _holds(root: str, note: dict[str, Any]) -> bool:
    """Whether all that was seen is as it was."""

    def at(path: str) -> str:
        return os.path.join(root, path)

    return (
        all(os.environ.get(name) == value for name, value in note["environment"].items())
        and all(os.path.lexists(at(path)) == is_there for path, is_there in note["there"].items())
        and all(os.path.isdir(at(path)) == is_one for path, is_one in note["folders"].items())
        and all(look(at(path)) == seen for path, seen in note["files"].items())
        and all(
            (seen is not None and look(at(path)) == seen) or look_into(at(path)) == names
            for path, (seen, names) in note["directories"].items()
        )
    )


def _for(name: str) -> list[Any]:
    """Whose note it is: it is nothing to anybody else."""
    return [_FORM, __version__, [*sys.version_info], name]


def _place(root: str) -> str:
    return os.path.join(root, door.STATE, NOTE)
