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

from buildtool.text import cause_of

ANYTHING = ""  # the hint that something was missed: all must be looked at
_IN_MASK_ADD = 0x20000000  # of Linux's <sys/inotify.h>
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
        self._watched: dict[str, Any] = {}  # for what comes and goes in them
        self._above: dict[str, Any] = {}  # for being moved themselves, with all that is in them
        self._system: _System | None = None
        self.is_broken = False  # some are gone, or others now: `watch` is to be called again

    def fileno(self) -> int:
        """Readable when there are hints."""
        return self._read

    def take(self) -> set[str]:
        """The paths (absolute) that may have changed since the last call; ANYTHING may be among them.

        A directory that is gone, or another one now, with all that is in it, ends in `/`.
        """
        with contextlib.suppress(BlockingIOError):
            while os.read(self._read, 4096):
                pass
        with self._lock:
            found, self._hints = self._hints, set()
        for hint in found:
            if hint[-1:] == "/":
                self._lose(hint)
        return found

    def watch(self, directories: Iterable[str]) -> set[str]:
        """Watch these (absolute) and no others; those that are new and were not there any more are left out.

        That a directory above one of them is moved is told, too. Returns the new
        ones, of which changes may have been missed. Raises LimitError.
        """
        wanted = set(directories)
        above = _above(wanted)
        if self._system is None:
            self._system = _start(self._hint)
        for known, still in ((self._watched, wanted), (self._above, above)):
            for path in known.keys() - still:
                self._system.remove(known.pop(path))
        new = wanted - self._watched.keys()
        for path in sorted(above - self._above.keys()):
            self._add(self._system, self._above, path, whole=False)
        for path in sorted(new):
            self._add(self._system, self._watched, path, whole=True)
        self.is_broken = False
        return new & self._watched.keys()

    def _add(self, system: _System, known: dict[str, Any], path: str, *, whole: bool) -> None:
        try:
            known[path] = system.add(path, whole=whole)
        except OSError as error:
            if error.errno in _FULL:
                raise LimitError(limit(error)) from error

    def lost(self, directory: str) -> None:
        """What was watched there is gone, or elsewhere: it is to be watched anew when it is wanted."""
        self._lose(directory + "/")

    def _lose(self, folder: str) -> None:
        self.is_broken = True
        for known in (self._watched, self._above):
            for path in [path for path in known if f"{path}/".startswith(folder)]:
                watch = known.pop(path)
                if self._system is not None:
                    self._system.remove(watch)

    def close(self) -> None:
        """Watch nothing any more."""
        if self._system is not None:
            self._system.close()
            self._system = None
        self._watched.clear()
        self._above.clear()
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
    return f"the system cannot watch directories: {cause_of(error)}"


def _above(directories: Iterable[str]) -> set[str]:
    """The directories that hold others, but for that at the top, which stays where it is."""
    found: set[str] = set()
    for path in directories:
        while (path := os.path.dirname(path)) not in found and path != os.path.dirname(path):
            found.add(path)
    return found


class _System(Protocol):
    """What the operating system has for this."""

    def add(self, directory: str, *, whole: bool) -> Any:
        """Watch a directory, not what is below it; what `remove` wants. OSError if that cannot be.

        Unless `whole`, only that it is moved or removed itself.
        """

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
        itself = InotifyConstants.IN_DELETE_SELF | InotifyConstants.IN_MOVE_SELF | InotifyConstants.IN_ONLYDIR
        self._itself = itself | _IN_MASK_ADD  # another path may lead to the same directory
        self._whole = (
            itself
            | InotifyConstants.IN_CLOSE_WRITE
            | InotifyConstants.IN_ATTRIB
            | InotifyConstants.IN_CREATE
            | InotifyConstants.IN_DELETE
            | InotifyConstants.IN_MOVED_FROM
            | InotifyConstants.IN_MOVED_TO
        )
        self._events: Any = InotifyFD()
        self._events.start()

    def add(self, directory: str, *, whole: bool) -> tuple[int, _Folder]:
        folder = _Folder(directory, self._hint)
        mask = self._whole if whole else self._itself
        watch: int = self._events.add_callback(os.fsencode(directory), mask, folder, id(folder))
        if watch < 0:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), directory)
        return watch, folder

    def remove(self, watch: tuple[int, _Folder]) -> None:
        number, folder = watch
        folder.is_wanted = False
        with contextlib.suppress(OSError):
            self._events.remove_callbacks([(number, id(folder))])

    def close(self) -> None:
        self._events.stop()
        self._events.join()


class _Folder:
    """A watched directory, as watchdog calls it back in its thread."""

    __slots__ = ("_hint", "_path", "is_wanted")

    def __init__(self, path: str, hint: Any) -> None:
        self._path = path
        self._hint = hint
        self.is_wanted = True

    def on_event(self, event: Any) -> None:
        """Something happened to a name in the directory, or to the directory itself."""
        if not self.is_wanted:
            return
        if event.name:
            self._hint(os.path.join(self._path, os.fsdecode(event.name)))
        elif event.is_move_self or event.is_delete_self:
            self._hint(self._path + "/")
        else:
            self._hint(self._path)

    def on_watch_deleted(self, _watch: int) -> None:
        """The directory is gone, or was unmounted."""
        if self.is_wanted:
            self._hint(self._path + "/")

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

    def add(self, directory: str, *, whole: bool) -> Any:
        return None if not whole else self._observer.schedule(self, directory, recursive=False)

    def remove(self, watch: Any) -> None:
        with contextlib.suppress(KeyError, OSError):
            if watch is not None:
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
