"""The state opened for writing: with the lock held, and what dead builds left put right."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from buildtool.errors import BtError
from buildtool.files import Disk
from buildtool.paths import STATE
from buildtool.recover import recover, refuse_links
from buildtool.state.lock import Holder, acquire
from buildtool.state.store import State
from buildtool.text import duration, printable


@contextmanager
def writing(
    root: str,
    command: str,
    *,
    wait: bool,
    warn: Callable[[str], None],
    note: Callable[[str], None],
    durable: bool = False,
) -> Iterator[State]:
    """Give the state of the project at `root` to the one process that may write it."""
    session = Session(root, command, warn=warn, note=note, wait=wait, durable=durable)
    with session.writing() as state:
        try:
            yield state
        finally:
            state.close()


class Session:
    """The state for a process that writes to it again and again, and lets others do so in between."""

    def __init__(
        self,
        root: str,
        command: str,
        *,
        warn: Callable[[str], None],
        note: Callable[[str], None],
        wait: bool = True,
        pause: Callable[[], bool] | None = None,
        durable: bool = False,
    ) -> None:
        self._root = root
        self._command = command
        self._warn = warn
        self._note = note
        self._wait = wait
        self._pause = pause
        self._durable = durable
        self._state: State | None = None
        self._ours = b""  # what we wrote into the lock
        self._holding = False  # the lock

    @contextmanager
    def writing(self) -> Iterator[State]:
        """Hold the lock. It is the same state as last time if nobody else held it meanwhile, else a new one.

        Inside of another `with` of this session it is the same state still. Raises LockedError if the lock is not to be
        waited for (see `acquire`).
        """
        if self._holding and self._state is not None:
            yield self._state
            return
        directory = os.path.join(self._root, STATE)
        with acquire(directory, self._command, self._wait, self._tell_wait, self._pause) as lock:
            if self._state is not None and (lock.before != self._ours or not self._state.is_in_place()):
                self._state.close(seal=False)
                self._state = None
            self._ours = lock.introduction
            refuse_links(Disk(self._root))
            state = self._state or self._open(directory)
            self._holding = True
            try:
                yield state
            finally:
                self._holding = False

    def close(self) -> None:
        """Let go of the state, which only who holds the lock may seal; a second call does nothing."""
        if self._state is None:
            return
        state, self._state = self._state, None
        with contextlib.ExitStack() as stack:
            held = False
            with contextlib.suppress(BtError):
                stack.enter_context(
                    acquire(
                        os.path.join(self._root, STATE), self._command, wait=False, on_wait=self._tell_wait
                    )
                )
                held = True
            state.close(seal=held and state.is_in_place())

    def _open(self, directory: str) -> State:
        state = self._state = State.open(directory, durable=self._durable)
        for warning in state.warnings:
            self._warn(warning)
        state.warnings.clear()
        recovered = recover(state, Disk(self._root))
        if recovered is not None:
            self._note(recovered)
        return state

    def _tell_wait(self, holder: Holder) -> None:
        since = f", for {duration(holder.age)}" if holder.pid else ""
        self._note(f"waiting for `{printable(holder.command)}` (pid {holder.pid}{since})")
