"""The folder `.bt/`: made on first use, private, and ignored by git.

Does not know what is kept in it.
"""

from __future__ import annotations

import contextlib
import errno
import os
from typing import BinaryIO

from buildtool.errors import FullError, StateError
from buildtool.text import cause_of


def prepare(directory: str) -> None:
    """Make the state folder where it is not there yet, open to its owner alone and ignored by git."""
    ignore = os.path.join(directory, ".gitignore")
    try:
        with contextlib.suppress(FileExistsError):
            os.mkdir(directory, 0o700)
        if not os.path.lexists(ignore):
            with open(ignore, "w", encoding="ascii") as file:
                file.write("*\n")
    except OSError as error:
        raise unwritable(directory, error) from error


def sync_directory(directory: str) -> None:
    """Wait until the names in a directory are on the disk."""
    descriptor = os.open(directory or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def overwrite(path: str) -> BinaryIO:
    """A file of the state, to be written from its beginning; a link in its place is an OSError, wherever it leads."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.fdopen(os.open(path, flags, 0o600), "wb")


def unwritable(path: str, error: OSError) -> StateError:
    """The error for a state file or folder that cannot be written."""
    kind = FullError if error.errno in (errno.ENOSPC, errno.EDQUOT) else StateError
    return kind(
        f"cannot write to `{shown(path)}`",
        facts=(("cause", cause_of(error)),),
        hint="make the project folder writable and check the space left on its disk; "
        "`bt list`, `bt why` and `bt build --dry-run` work without writing",
    )


def shown(path: str) -> str:
    """A path of the state as a person knows it: `.bt` or `.bt/NAME`."""
    head, name = os.path.split(os.path.normpath(path))
    return name if name.startswith(".") else os.path.join(os.path.basename(head), name)
