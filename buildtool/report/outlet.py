"""Where the reports of a build go: a text stream that may be closed at its other end.

Knows nothing of what is written.
"""

from __future__ import annotations

import errno
import os
from typing import TextIO

from buildtool.errors import BtError, ClosedError, DiskError
from buildtool.report.paint import width_of
from buildtool.text import cause_of


class Outlet:
    """Writes to a stream as long as somebody reads it; later words go nowhere, so that a build can end in order.

    `gone` tells why the build should stop. A terminal that was closed is no such reason: a signal tells of it.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._closed = False
        self.encoding = stream.encoding.lower()
        self.gone: BtError | None = None

    @property
    def width(self) -> int | None:
        """The columns of the terminal at this moment; None if it is none."""
        return width_of(self._stream)

    @property
    def size(self) -> os.terminal_size | None:
        """The columns and lines of the terminal at this moment, whatever the environment says; None if it is none."""
        return os.get_terminal_size(self._stream.fileno()) if self.width is not None else None

    def write(self, text: str) -> None:
        """Write and flush."""
        if self._closed:
            return
        try:
            self._stream.write(text)
            self._stream.flush()
        except OSError as error:
            self._closed = True
            # What the stream still holds must go somewhere, or Python complains when it closes it.
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())
            if error.errno == errno.EPIPE:
                self.gone = ClosedError("nobody reads standard output any more")
            elif error.errno != errno.EIO:
                cause = cause_of(error)
                self.gone = DiskError(f"cannot write to standard output: {cause}")
