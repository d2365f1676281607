"""Directories under watch: paths that may have changed, through `watchdog`.

Every path is only a hint that it is worth a look. Does not know which paths matter, nor what changed in them.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import threading
from collections.abc import Iterable
from typing import Any, Protocol

ANYTHING = ""  # the hint that something was missed: all must be looked at
_FULL = (errno.ENOSPC, errno.EMFILE, errno.ENFILE, errno.ENOMEM)


class LimitError(Exception):
    """The system watches no more directories; the text says which setting is in the way."""


class Watches:
    """The watched directories. Hints come from another thread; `fileno` is readable when there are some."""

    def __init__(self) -> None:
        self._hints: set[str] = set()
        self._lock = threading.Lock()
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(self._write, False)
        self._watched: dict[str, Any] = {}
        self._system: _System | None = None

    def fileno(self) -> int:
        """Readable when there are hints."""
        return self._read

    def take(self) -> set[str]:
        """The paths (absolute) that may have changed since the last call; ANYTHING may be among them."""
        with contextlib.suppress(BlockingIOError):
            while os.read(self._read, 4096):
                pass
        with self._lock:
            found, self._hints = self._hints, set()
        return found

    def watch(self, directories: Iterable[str]) -> set[str]:
        """Watch these (absolute) and no others; those that are new and were not there any more are left out.

        Returns the new ones, of which changes may have been missed. Raises LimitError.
        """
        wanted = set(directories)
        if self._system is None:
            self._system = _start(self._hint)
        for path in self._watched.keys() - wanted:
            self._system.remove(self._watched.pop(path))
        new = wanted - self._watched.keys()
        for path in sorted(new):
            try:
                self._watched[path] = self._system.add(path)
            except OSError as error:
                if error.errno in _FULL:
                    raise LimitError(limit(error)) from error
        return new & self._watched.keys()

    def lost(self, directory: str) -> None:
        """The directory is gone, or another one now: it is to be watched anew when it is wanted."""
        found = self._watched.pop(directory, None)
        if found is not None and self._system is not None:
            self._system.remove(found)

    def close(self) -> None:
        """Watch nothing any more."""
        if self._system is not None:
            self._system.close()
            self._system = None
        self._watched.clear()
        for descriptor in (self._read, self._write):
            os.close(descriptor)

    def _hint(self, path: str) -> None:
        with self._lock:
            first = not self._hints
            self._hints.add(path)
        if first:
            with contextlib.suppress(OSError):
                os.write(self._write, b".")


def limit(error: OSError) -> str:
    """Which setting keeps the system from watching more, in words."""
    if error.errno == errno.ENOSPC:
        return "the system watches no more directories (see `sysctl fs.inotify.max_user_watches`)"
    if error.errno == errno.EMFILE:
        return "the system has no watcher left (see `sysctl fs.inotify.max_user_instances` and `ulimit -n`)"
    return f"the system cannot watch directories: {(error.strerror or str(error)).lower()}"


class _System(Protocol):
    """What the operating system has for this."""

    def add(self, directory: str) -> Any:
        """Watch a directory, not what is below it; what `remove` wants. OSError if that cannot be."""

    def remove(self, watch: Any) -> None:
        """Watch it no more."""

    def close(self) -> None:
        """Give everything back."""


def _start(hint: Any) -> _System:
    try:
        return _Inotify(hint) if sys.platform == "linux" else _Observed(hint)
    except OSError as error:
        raise LimitError(limit(error)) from error


class _Inotify:
    """Linux, through the one descriptor that watchdog reads in a thread of its own.

    Its observers would need two threads for each directory, and hold moves back for half a second.
    """

    def __init__(self, hint: Any) -> None:
        from watchdog.observers.inotify_c import InotifyConstants, InotifyFD

        self._hint = hint
        self._paths: dict[int, str] = {}
        self._mask = (
            InotifyConstants.IN_CLOSE_WRITE
            | InotifyConstants.IN_ATTRIB
            | InotifyConstants.IN_CREATE
            | InotifyConstants.IN_DELETE
            | InotifyConstants.IN_DELETE_SELF
            | InotifyConstants.IN_MOVE_SELF
            | InotifyConstants.IN_MOVED_FROM
            | InotifyConstants.IN_MOVED_TO
            | InotifyConstants.IN_ONLYDIR
        )
        self._events: Any = InotifyFD()
        self._events.start()

    def add(self, directory: str) -> int:
        watch: int = self._events.add_callback(os.fsencode(directory), self._mask, self, id(self))
        self._paths[watch] = directory
        return watch

    def remove(self, watch: int) -> None:
        if self._paths.pop(watch, None) is not None:
            with contextlib.suppress(OSError):
                self._events.remove_callbacks([(watch, id(self))])

    def close(self) -> None:
        self._paths.clear()
        self._events.stop()
        self._events.join()

    def on_event(self, event: Any) -> None:
        """Something happened to a name in a watched directory, or to the directory itself."""
        folder = self._paths.get(event.wd)
        if folder is None:
            self._hint(ANYTHING)  # it came before its watch was known by its path
            return
        name = os.fsdecode(event.name) if event.name else ""
        self._hint(os.path.join(folder, name) if name else folder)

    def on_watch_deleted(self, watch: int) -> None:
        """A watched directory is gone."""
        folder = self._paths.get(watch)
        if folder is not None:
            self._hint(folder)

    def on_queue_overflow(self) -> None:
        """The system had more to tell than it could keep."""
        self._hint(ANYTHING)


class _Observed:
    """Other systems, through watchdog's observer."""

    def __init__(self, hint: Any) -> None:
        from watchdog.observers import Observer

        self._hint = hint
        self._observer: Any = Observer()
        self._observer.start()

    def add(self, directory: str) -> Any:
        return self._observer.schedule(self, directory, recursive=False)

    def remove(self, watch: Any) -> None:
        with contextlib.suppress(KeyError, OSError):
            self._observer.unschedule(watch)

    def close(self) -> None:
        self._observer.stop()
        self._observer.join()

    def dispatch(self, event: Any) -> None:
        """Called for each event; opening and reading change nothing."""
        if event.event_type not in ("opened", "closed_no_write"):
            for path in (event.src_path, event.dest_path):
                if path:
                    self._hint(os.fsdecode(path))
