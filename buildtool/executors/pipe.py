"""What one job prints, as long as anybody writes it.

Knows neither logs nor how jobs end.
"""

from __future__ import annotations

import contextlib
import os

_PIECE = 65_536  # bytes in one read
_READS = 16  # in one call: a chatty job must not starve others


class Pipe:
    """A pipe whose writing end, `theirs`, is given away. Raises OSError if the system has none."""

    def __init__(self) -> None:
        self._ours, self.theirs = os.pipe()
        os.set_blocking(self._ours, False)
        self.ended = False  # nobody can write any more, and all was read

    def fileno(self) -> int:
        """Readable when there is something, or the end."""
        return self._ours

    def given(self) -> None:
        """The other side has its own copy of `theirs` by now."""
        if self.theirs >= 0:
            os.close(self.theirs)
            self.theirs = -1

    def read(self) -> bytes:
        """What came since the last call, without waiting; all of it, as far as it does not come without end."""
        pieces: list[bytes] = []
        with contextlib.suppress(BlockingIOError):
            while not self.ended and len(pieces) < _READS:
                pieces.append(os.read(self._ours, _PIECE))
                self.ended = not pieces[-1]
        return b"".join(pieces)

    def close(self) -> None:
        """Listen no more."""
        self.given()
        if self._ours >= 0:
            os.close(self._ours)
            self._ours = -1
