"""Keys that are pressed while nothing is built. Does not know what they mean."""

from __future__ import annotations

import contextlib
import os
import termios
import tty
from collections.abc import Iterator


class Keys:
    """The terminal on standard input, if there is one that is ours to read."""

    def __init__(self, descriptor: int = 0) -> None:
        self._descriptor = descriptor

    def is_usable(self) -> bool:
        """Whether keys can be read: there is a terminal, and this process is in its foreground."""
        try:
            return os.isatty(self._descriptor) and os.tcgetpgrp(self._descriptor) == os.getpgrp()
        except OSError:
            return False

    @contextlib.contextmanager
    def listening(self) -> Iterator[list[int]]:
        """The descriptors on which keys come, one by one and unseen; afterwards the terminal is as it was."""
        if not self.is_usable():
            yield []
            return
        try:
            before = termios.tcgetattr(self._descriptor)
            tty.setcbreak(self._descriptor, termios.TCSADRAIN)
        except termios.error:  # it was closed since; the signal that tells so is on its way
            yield []
            return
        try:
            yield [self._descriptor]
        finally:
            with contextlib.suppress(termios.error):  # it was closed
                termios.tcsetattr(self._descriptor, termios.TCSADRAIN, before)

    def read(self) -> str:
        """What was typed; nothing at the end of the terminal."""
        try:
            return os.read(self._descriptor, 64).decode("utf-8", "replace")
        except OSError:
            return ""
