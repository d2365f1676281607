"""The state opened for writing: with the lock held, and what dead builds left put right."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from buildtool.cli.context import STATE
from buildtool.files import Disk
from buildtool.recover import recover
from buildtool.state.lock import Holder, acquire
from buildtool.state.store import State
from buildtool.text import duration, printable


@contextmanager
def writing(
    root: str, command: str, *, wait: bool, warn: Callable[[str], None], note: Callable[[str], None]
) -> Iterator[State]:
    """Give the state of the project at `root` to the one process that may write it."""
    directory = os.path.join(root, STATE)

    def on_wait(holder: Holder) -> None:
        since = f", for {duration(holder.age)}" if holder.pid else ""
        note(f"waiting for `{printable(holder.command)}` (pid {holder.pid}{since})")

    with acquire(directory, command, wait, on_wait):
        state = State.open(directory)
        try:
            for warning in state.warnings:
                warn(warning)
            state.warnings.clear()
            recovered = recover(state, Disk(root))
            if recovered is not None:
                note(recovered)
            yield state
        finally:
            state.close()
