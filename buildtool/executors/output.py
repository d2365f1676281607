"""What jobs print: secrets masked, and kept in a log of bounded size.

Knows neither processes nor jobs.
"""

from __future__ import annotations

import contextlib
import os
import re

from buildtool.text import cause_of

_FRESH = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC


class Mask:
    """Replaces secrets by `***` in a stream, as if the stream were one piece."""

    def __init__(self, secrets: tuple[bytes, ...]) -> None:
        self._secrets = sorted({secret for secret in secrets if secret}, key=len, reverse=True)
        self._pattern = re.compile(b"|".join(map(re.escape, self._secrets)))
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """What can be shown by now; held back is only what may be the beginning of a secret."""
        if not self._secrets:
            return data
        data = self._held + data
        parts: list[bytes] = []
        done, unsure = 0, self._unsure(data, 0)
        if any(secret in data for secret in self._secrets):  # many times faster than the pattern
            while (match := self._pattern.search(data, done)) and match.start() < unsure:
                parts += (data[done : match.start()], b"***")
                done = match.end()
                if done > unsure:
                    unsure = self._unsure(data, done)
        self._held = data[unsure:]
        return b"".join((*parts, data[done:unsure]))

    def flush(self) -> bytes:
        """The rest, at the end of the stream."""
        rest, self._held = self._held, b""
        return self._pattern.sub(b"***", rest) if rest else rest

    def clean(self, text: str) -> str:
        """A text of its own, with secrets replaced."""
        return (
            self._pattern.sub(b"***", os.fsencode(text)).decode("utf-8", "replace") if self._secrets else text
        )

    def _unsure(self, data: bytes, begin: int) -> int:
        """Where, from `begin` on, the first secret starts that `data` may hold only a part of."""
        size = len(data)
        for at in range(max(begin, size - len(self._secrets[0]) + 1), size):
            if any(size - at < len(secret) and secret.startswith(data[at:]) for secret in self._secrets):
                return at
        return size


class Log:
    """The file that keeps a job's output: made by the first byte, and of a long output the two ends.

    Trouble with the disk ends the log, never the job; `error` tells it. Its descriptors can be set aside, so
    that they are there when they are needed.
    """

    def __init__(self, path: str, limit: int) -> None:
        self._path = path
        self._half = max(1, limit // 2)
        self._size = 0  # bytes seen
        self._file: int | None = None
        self._ring: int | None = None  # a file without a name: the last half, written round and round
        self.error: str | None = None
        self._spare: list[int] = []

    def reserve(self) -> None:
        """Set aside the descriptors that the log may still need. Raises `OSError` if there are none."""
        while len(self._spare) + (self._file is not None) + (self._ring is not None) < 2:
            self._spare.append(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))

    def write(self, data: bytes) -> None:
        """Keep this piece."""
        if self.error:
            return
        try:
            if self._file is None:
                self._file = self._make(self._path)
            room = max(0, self._half - self._size)
            _write(self._file, memoryview(data)[:room])
            if room < len(data):
                self._write_ring(memoryview(data)[room:], self._size + room - self._half)
            self._size += len(data)
        except OSError as error:
            self._give_up(error)

    def close(self) -> None:
        """Finish the file."""
        while self._spare:
            os.close(self._spare.pop())
        if self._file is None:
            return
        try:
            if self._ring is not None and not self.error:
                self._append_ring(self._file, self._ring)
            if os.fstat(self._file).st_nlink == 0:  # somebody cleaned the directory meanwhile
                with open(self._make(self._path), "wb") as again:
                    _copy(self._file, again.fileno(), 0, os.fstat(self._file).st_size)
        except OSError as error:
            self._give_up(error)
        for file in (self._file, self._ring):
            if file is not None:
                os.close(file)
        self._file = self._ring = None

    def _make(self, path: str) -> int:
        if self._spare:
            os.close(self._spare.pop())
        with contextlib.suppress(FileNotFoundError):
            return os.open(path, _FRESH, 0o600)
        os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
        return os.open(path, _FRESH, 0o600)

    def _write_ring(self, data: memoryview, position: int) -> None:
        if self._ring is None:
            self._ring = self._make(f"{self._path}.end")
            os.unlink(f"{self._path}.end")
        while data:
            at = position % self._half
            piece = data[: self._half - at]
            os.lseek(self._ring, at, os.SEEK_SET)
            _write(self._ring, piece)
            position += len(piece)
            data = data[len(piece) :]

    def _append_ring(self, file: int, ring: int) -> None:
        beyond = self._size - self._half
        begin = beyond % self._half if beyond > self._half else 0
        if beyond > self._half:
            _write(file, b"\n[... %d bytes left out ...]\n" % (beyond - self._half))
        _copy(ring, file, begin, min(beyond, self._half))
        _copy(ring, file, 0, begin)

    def _give_up(self, error: OSError) -> None:
        self.error = f"cannot write `{self._path}`: {cause_of(error)}"


def _write(file: int, data: bytes | memoryview) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(file, left) :]


def _copy(source: int, target: int, begin: int, end: int) -> None:
    while begin < end and (data := os.pread(source, min(1 << 20, end - begin), begin)):
        _write(target, data)
        begin += len(data)
