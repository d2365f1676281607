"""What of a file counts for those who read it: its bytes, its text, its JSON, or what a filter command lets through.

Does not know which files these are, nor how commands are run.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Protocol

from buildtool.errors import DiskError, TaskfileError
from buildtool.files import Disk
from buildtool.fingerprint import digest
from buildtool.taskfile.specs import WAYS
from buildtool.text import cause_of, printable

TAG = "m"  # what digests of meanings begin with
BYTES = "bytes"


class Memory(Protocol):
    """Meanings that were worked out before."""

    def meaning(self, how: str, content: str) -> str | None:
        """The meaning of a content."""
        ...


class Meanings:
    """Works out meanings, each once. `run` gives a digest of what a filter prints of a file; None where it may not."""

    def __init__(self, disk: Disk, memory: Memory, run: Callable[[str, str], str | None]) -> None:
        self._disk = disk
        self._memory = memory
        self._run = run
        self._known: dict[tuple[str, str], str] = {}
        self.fresh: dict[tuple[str, str], str] = {}  # by way and content: not in the memory yet

    def of(self, how: str, path: str, content: str) -> str:
        """The meaning of a file whose content has this digest, whether it is there or not.

        Where it cannot be known, it is as good as the content. Raises `TaskfileError` for a file without one.
        """
        if how == BYTES or content[:1] == TAG:
            return content
        found = self._known.get((how, content))
        if found is None:
            found = self._memory.meaning(how, content)
            if found is None:
                if self._disk.digest(path) != content:
                    return content
                made = self._make(how, path)
                if made is None:
                    return content
                found = self.fresh[how, content] = TAG + made
            self._known[how, content] = found
        return found

    def _make(self, how: str, path: str) -> str | None:
        if how not in WAYS:
            return self._run(how, self._disk.absolute(path))
        try:
            with open(self._disk.absolute(path), "rb") as file:
                raw = file.read()
        except OSError as error:
            raise DiskError(f"cannot read `{printable(path)}`: {cause_of(error)}") from error
        return digest("text", plain_text(raw)) if how == "text" else digest("json", plain_json(raw, path))


def plain_text(raw: bytes) -> bytes:
    """A text without what nobody sees: byte order mark, kind of line ends, blanks at the ends of lines and file."""
    lines = raw.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").split(b"\n")
    return b"\n".join(line.rstrip(b" \t") for line in lines).rstrip(b"\n")


def plain_json(raw: bytes, path: str) -> str:
    """A JSON value in one spelling: names sorted, no blanks. Raises `TaskfileError`."""
    try:
        value: Any = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise TaskfileError(
            f"`{printable(path)}` is no JSON: {error}",
            hint='`hash = "json"` needs JSON; leave it out for other files',
        ) from error
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
