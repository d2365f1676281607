"""The disk: signatures, digests with a memory, listings, and moves that lose nothing.

Knows paths, not jobs. Every path is canonical (see `paths`); `Disk` joins it to the project root.
"""

from __future__ import annotations

import contextlib
import errno
import os
import posixpath
import stat
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from operator import itemgetter

import xxhash

from buildtool.errors import DiskError
from buildtool.paths import canonical, parents
from buildtool.text import cause_of, printable
from buildtool.tuples import NamedTuple

SMALL = 1 << 20  # bytes of a file that is read in one piece
PIECE = 1 << 19  # and of a larger one at once: they stay near the processor until they are hashed
LARGE = 1 << 26  # bytes: to read more takes long enough to be told
TICK = 20_000_000  # ns: two writes closer than this may carry one time (kernel clocks tick at 1 to 10 ms)
COARSE = 2_000_000_000  # ns: the same on file systems that keep whole seconds (FAT: two)


# What a file looked like when it was read, and the digest of what was read: size, mtime_ns, ctime_ns, inode, mode,
# digest, and when the reading began (ns since the epoch). As long as the first five are the same, so is the content,
# unless the stamp is racy.
Stamp = tuple[int, int, int, int, int, str, int]


def racy(stamp: Stamp) -> bool:
    """Whether a write after the reading could have left this very signature (git's word for it)."""
    return stamp[2] >= stamp[6] - granularity(stamp[2])


def granularity(time_ns: int) -> int:
    """How far apart two times of this file system must be to be told apart, in ns."""
    return COARSE if time_ns % 1_000_000_000 == 0 else TICK


Signature = tuple[int, int, int, int, int]  # the first five of a stamp
_READ = os.O_RDONLY | os.O_CLOEXEC
# For what may be anything: a link is not followed, nobody waits for a pipe or a device, and none becomes the terminal.
_TRY = _READ | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
# What cannot be synced: it is gone, a link, a socket, a pipe, or somebody's whom we may not read.
_UNSYNCED = (errno.ENOENT, errno.ELOOP, errno.ENXIO, errno.EINVAL, errno.EACCES)


class Entry(NamedTuple):
    """One name in a directory."""

    name: str
    is_directory: bool  # also a link to one
    is_link: bool
    is_plain: bool  # a regular file, and no link


class NotAFileError(DiskError):
    """A pipe, socket or device, or a directory where a file was meant, or the other way round."""


def _signature(st: os.stat_result) -> Signature:
    return (st.st_size, st.st_mtime_ns, st.st_ctime_ns, st.st_ino, st.st_mode)


class Disk:
    """The files of one project, with a memory of digests.

    `memory` is what earlier builds read; what is read now is put into it and into `fresh`, which the caller
    writes to the state from time to time.
    """

    def __init__(self, root: str, memory: dict[str, Stamp] | None = None, *, rehash: bool = False) -> None:
        self.root = root
        self.memory: dict[str, Stamp] = {} if rehash or memory is None else memory
        self.fresh: dict[str, Stamp] = {}
        self.hashed = 0  # files read so far
        self.away: dict[
            str, str
        ] = {}  # digests of files that are on other machines, unless there is one here
        self.displaced: dict[
            str, str | None
        ] = {}  # outputs that a killed build moved, with where they are; None: what is there is half-written
        self._prefix = root.rstrip("/") + "/"
        self.found: set[str] = set()  # what was looked at and is there
        self.missed: set[str] = set()  # and what is not
        self.folders: dict[str, bool] = {}  # and whether what may be a directory is one
        self.linked: dict[
            str, tuple[str, ...]
        ] = {}  # directories that count, too: links in a path lead there
        self.texts: set[str] = set()  # files whose text says which jobs there are, or what is in them
        self.watcher: Callable[[str, int, int], None] | None = None  # is told how far large files are read
        self._listings: dict[str, list[Entry]] = {}
        self._plain: set[str] = set()  # what `exists` saw to be a regular file
        self._shown: dict[str, frozenset[str]] = {}  # and what listings show to be one, by directory
        self.durable = False  # whether what is moved is to be brought to the disk
        self.allowed: tuple[str, ...] = ()  # directories outside the project that outputs may lie in
        self._due: dict[str, None] = {}  # by the next `sync`

    def absolute(self, path: str) -> str:
        """The path as the system wants it."""
        return path if path.startswith("/") else self._prefix + path

    def _at(self, path: str) -> str | None:
        """Where that is which the next build will have at `path`, after one that was killed; None: it is nowhere."""
        for output, moved in self.displaced.items():
            if path == output or (output[-1] == "/" and path.startswith(output)):
                rest = path[len(output.rstrip("/")) :]
                return None if moved is None else moved.rstrip("/") + rest
        return path

    # -- looking ---------------------------------------------------------------------------------------------

    def digest(self, path: str, *, follow: bool = False) -> str | None:
        """What is at `path`, as one text that differs if and only if the content does; None if nothing is there.

        A file gives `f` or (executable) `x` and its xxh3-128; a link `l` and a digest of its text and its
        target's content; a directory (`path` ends in `/`) `d` and a digest of the sorted list of all that is
        in it. Files are read again only when their signature moved or cannot be trusted. One that is away counts
        as if it were here. `follow`: what is in directories that links lead to counts, too, as it does for who
        reads them; who left such a link did not make that.
        """
        if self.displaced:
            place = self._at(path)
            if place is None:
                return self.away.get(path)
            path = place
        if path[-1:] == "/":
            return self._directory_digest(path, follow=follow)
        where = path if path[:1] == "/" else self._prefix + path
        if path not in self.memory:
            stamp = _read_small(where)  # most often it is a small file: there is no need to look at it first
            if stamp is not None:
                self.found.add(path)
                self.hashed += 1
                self.memory[path] = self.fresh[path] = stamp
                return stamp[5]
        try:
            st = os.lstat(where)
        except (FileNotFoundError, NotADirectoryError):
            self.missed.add(path)
            return self.away.get(path)
        except OSError as error:
            raise _trouble("cannot look at", path, error) from error
        self.found.add(path)
        if stat.S_ISLNK(st.st_mode):
            return self._link_digest(path, where, follow=follow)
        return self._content_digest(path, where, st)

    def text(self, path: str, digest: str) -> str | None:
        """What a file holds, if it still has this digest, and is text: UTF-8 without NUL. For small files."""
        try:
            with open(self.absolute(path), "rb") as file:
                data = file.read()
        except OSError:
            return None
        if digest[1:] != xxhash.xxh3_128_hexdigest(data) or b"\0" in data:
            return None
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError:
            return None

    def _link_digest(self, path: str, where: str, *, follow: bool) -> str:
        text = os.readlink(where)
        try:
            st = os.stat(where)
        except (FileNotFoundError, NotADirectoryError):
            target = "dangling"
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise NotAFileError(
                    f"`{printable(path)}` is a link that leads back to itself",
                    hint="remove or repair the link",
                ) from error
            raise _trouble("cannot follow the link", path, error) from error
        else:
            target = "directory"  # one that holds the link has no end: it counts as this word
            if not stat.S_ISDIR(st.st_mode):
                target = self._content_digest(path, where, st)
            elif follow and (top := self._led_to(where, os.path.realpath(os.path.dirname(where)))):
                target = self._tree_digest(path, [top], follow=True)
        return _of_link(text, target)

    def led_to(self, path: str, contents: Mapping[str, str | None]) -> str | None:
        """The digest that a link would have if this, by path, were in its target; None if that is none of these."""
        try:
            text = os.readlink(self.absolute(path))
        except OSError:
            return None
        target = contents.get(canonical(posixpath.join(posixpath.dirname(path), text), self.root))
        return None if target is None else _of_link(text, target)

    def _content_digest(self, path: str, where: str, st: os.stat_result) -> str:
        signature = _signature(st)
        known = self.memory.get(path)
        if known is not None and known[:5] == signature:
            if not racy(known):
                return known[5]
            if path in self.fresh and time.time_ns() < known[2] + granularity(known[2]):
                return known[5]  # read in this very build; it is read again once that can tell
        if not stat.S_ISREG(st.st_mode):
            kind = "a directory" if stat.S_ISDIR(st.st_mode) else "no regular file"
            raise NotAFileError(
                f"`{printable(path)}` is {kind}",
                hint="end the path with `/` to mean a whole directory" if kind == "a directory" else None,
            )
        try:
            stamp = _read(where, self._watched(path, st.st_size))
        except FileNotFoundError as error:
            raise _trouble("lost while it was read:", path, error) from error
        except OSError as error:
            raise _trouble("cannot read", path, error) from error
        return self._learn(path, stamp)

    def _watched(self, path: str, whole: int) -> Callable[[int], None] | None:
        """What is to be told how many bytes of a file were read, if anybody wants to know and it takes a while."""
        watcher = self.watcher
        if watcher is None or whole < LARGE:
            return None
        return lambda done: watcher(path, done, whole)

    def _learn(self, path: str, stamp: Stamp) -> str:
        """Remember what a file holds, which was read."""
        self.hashed += 1
        self.memory[path] = self.fresh[path] = stamp
        return stamp[5]

    def _directory_digest(self, path: str, *, follow: bool) -> str | None:
        if not self.is_directory(path):
            if os.path.lexists(self.absolute(path.rstrip("/"))):
                raise NotAFileError(
                    f"`{printable(path)}` is not a directory", hint="leave the `/` at the end out"
                )
            return None
        return self._tree_digest(path, [path], follow=follow)

    def _tree_digest(self, path: str, tops: list[str], *, follow: bool) -> str:
        """The digest of directories, and of those that links in them lead to: each counts once, so there is an end."""
        state = xxhash.xxh3_128(b"directory:")
        reals: list[str] = []
        for at, top in enumerate(tops):
            if at:
                state.update(b"linked:")
            for inner, leads in self._walk(top, directories=True):
                value = "d" if inner.endswith("/") else self.digest(inner)
                state.update(_line(inner[len(top) :], value))
                if leads and follow:
                    reals += [os.path.realpath(self.absolute(one)) for one in tops[len(reals) :]]
                    where = self.absolute(inner)
                    deeper = self._led_to(where, reals[0])
                    real = os.path.realpath(where) + "/"
                    if deeper is not None and not any(real.startswith(f"{one}/") for one in reals):
                        tops.append(deeper)
        linked = tuple(top for top in tops if top != path)
        if linked:
            self.linked[path] = linked
        elif follow:
            self.linked.pop(path, None)
        return "d" + state.hexdigest()

    def inside(self, path: str, known: Mapping[str, str], was: str) -> tuple[dict[str, str], dict[str, str]]:
        """The files in a directory with their digests: when its own digest was `was`, and now.

        `known`: what was known of files in there before this build. Where that does not give `was`, both are empty.
        """
        inner = (name for name, _ in self._walk(path, directories=True))
        now = {name: "d" if name[-1:] == "/" else self.digest(name) or "-" for name in inner}
        there = {name: value for name, value in known.items() if name in now}
        for then in (known, there):  # what had gone before that is still known, too
            found = {
                name: now[name] if now.get(name, "")[:1] == "l" else value for name, value in then.items()
            }
            found |= {
                n: v for n, v in now.items() if v == "d" and not any(name.startswith(n) for name in then)
            }
            state = xxhash.xxh3_128(b"directory:")
            for name in sorted(found, key=lambda name: name[len(path) :].rstrip("/").split("/")):
                state.update(_line(name[len(path) :], found[name]))
            if "d" + state.hexdigest() == was:
                return found, now
        return {}, {}

    def _led_to(self, where: str, start: str) -> str | None:
        """The directory that a link leads to; None if it holds `start` (a real path), or the project with its state."""
        real = os.path.realpath(where)
        above = real.rstrip("/") + "/"
        if any(f"{one}/".startswith(above) for one in (start, os.path.realpath(self.root))):
            return None
        return canonical(f"{real}/", self.root)

    def exists(self, path: str) -> bool:
        """Whether anything, a dangling link included, is at `path`."""
        if self.displaced:
            place = self._at(path)
            if place is None:
                return False
            path = place
        path = path.rstrip("/")
        try:
            st = os.lstat(path if path[:1] == "/" else self._prefix + path)
        except (OSError, ValueError):
            self.missed.add(path)
            return False
        self.found.add(path)
        if stat.S_ISREG(st.st_mode):
            self._plain.add(path)
        return True

    def shows(self, path: str) -> bool:
        """Whether a listing of this build shows a regular file at `path`: then `exists` has nothing to add.

        False may mean that nobody has listed its directory.
        """
        cut = path.rfind("/") + 1
        names = self._shown.get(path[:cut])
        if names is None or path[cut:] not in names or self.displaced:
            return False
        self.found.add(path)
        self._plain.add(path)
        return True

    def holds(self, path: str) -> bool:
        """Whether `digest` would find anything, told without reading what is in a file. Raises as `digest` does.

        What `exists` saw before is not looked at again.
        """
        if path in self._plain:
            return True
        if self.displaced and self._at(path) != path:
            return self.digest(path) is not None
        if path[-1:] == "/":
            return self.is_directory(path) or self.digest(path) is not None
        try:
            st = os.lstat(path if path[:1] == "/" else self._prefix + path)
        except (FileNotFoundError, NotADirectoryError):
            self.missed.add(path)
            return path in self.away
        except OSError as error:
            raise _trouble("cannot look at", path, error) from error
        self.found.add(path)
        return stat.S_ISREG(st.st_mode) or self.digest(path) is not None

    def touched_since(self, path: str, when: float) -> bool:
        """Whether a file came to its place or was changed in any way later than `when` (seconds since the epoch)."""
        try:
            return os.lstat(self.absolute(path)).st_ctime > when
        except OSError:
            return False

    def is_directory(self, path: str) -> bool:
        """Whether `path` is a directory or a link to one."""
        is_one = self.folders[path] = os.path.isdir(self.absolute(path))
        return is_one

    def leads(self, path: str) -> bool:
        """Whether `path` is a link to a directory."""
        where = self.absolute(path).rstrip("/")
        return os.path.islink(where) and os.path.isdir(where)

    def way_out(self, path: str, since: float | None = None) -> str | None:
        """The link above `path` that leads out of the project and of what is allowed beside it; None: there is none.

        `since`: one that was put there later (seconds since the epoch) leads elsewhere, wherever that is. Asks the disk
        each time, since a job may have put the link there a moment ago.
        """
        if path[:1] == "/":
            folder = os.path.dirname(path.rstrip("/"))
            return folder if self._is_out(folder) else None
        links, where = [], self._prefix
        for name in path.rstrip("/").split("/")[:-1]:
            where += name
            try:
                st = os.lstat(where)
                if stat.S_ISLNK(st.st_mode):
                    links.append(where)
                    if since is not None and st.st_ctime > since - TICK / 1e9:
                        return where.removeprefix(self._prefix)
            except OSError:
                break  # nothing is there that could lead anywhere
            where += "/"
        if not links or not self._is_out(os.path.dirname(self.absolute(path).rstrip("/"))):
            return None
        return next(filter(self._is_out, links), links[-1]).removeprefix(self._prefix)

    def is_link_out(self, path: str) -> bool:
        """Whether `path` itself is a link whose target lies out there, so that who writes to it writes there."""
        where = self.absolute(path).rstrip("/")
        return os.path.islink(where) and self._is_out(where)

    def _is_out(self, where: str) -> bool:
        real = os.path.realpath(where) + "/"
        roots = (os.path.realpath(root).rstrip("/") + "/" for root in (self.root, *self.allowed))
        return not any(real.startswith(root) for root in roots)

    def below(self, path: str, *, directories: bool = False) -> Iterator[str]:
        """Every file below the directory `path`, sorted by name; links are not followed.

        With `directories`, empty directories come too, with their `/`.
        """
        return (inner for inner, _ in self._walk(path, directories=directories))

    def _walk(self, path: str, *, directories: bool) -> Iterator[tuple[str, bool]]:
        """As `below`, each with whether it is a link to a directory."""
        pending = [(path, False)]
        while pending:
            current, leads = pending.pop()
            if not current.endswith("/"):
                yield current, leads
                continue
            entries = sorted(_scan(self.absolute(current)), key=lambda e: e.name, reverse=True)
            if not entries and directories and current != path:
                yield current, False
            for entry in entries:
                deeper = entry.is_directory and not entry.is_link
                name = f"{current}{entry.name}/" if deeper else f"{current}{entry.name}"
                pending.append((name, entry.is_directory and entry.is_link))

    def entries(self, directory: str) -> list[Entry]:
        """The names in a directory (`""` is the root), sorted, as first seen in this build."""
        found = self._listings.get(directory)
        if found is None:
            where = self.absolute(directory) if directory else self.root
            found = self._listings[directory] = sorted(_scan(where), key=itemgetter(0))
            self._shown[directory] = frozenset([name for name, _, _, is_plain in found if is_plain])
        return found

    def listed(self) -> dict[str, list[Entry]]:
        """The directories that were listed so far, with what was seen."""
        return self._listings

    def relist(self, path: str) -> None:
        """Forget the listings of the folder of `path` and of all below it, since a job wrote there.

        So it is with folders above in which the next one is not listed.
        """
        folder = path[: path.rfind("/") + 1]
        gone = [name for name in self._listings if name.startswith(folder)]
        while folder:
            above, name = folder[: folder.rfind("/", 0, -1) + 1], folder[:-1].rsplit("/", 1)[-1]
            listing = self._listings.get(above, [])
            at = bisect_left(listing, name, key=itemgetter(0))
            if at < len(listing) and listing[at][0] == name and listing[at][1]:
                break
            gone += [above] if above in self._listings else []
            folder = above
        for known in gone:
            del self._listings[known]
            self._shown.pop(known, None)

    # -- moving ----------------------------------------------------------------------------------------------

    def make_parents(self, path: str) -> None:
        """Make the directory that is to hold `path` (or, for a directory, `path` itself)."""
        where = os.path.dirname(self.absolute(path))
        try:
            if not os.path.isdir(where):  # most are there, and to try and fail costs more than to look
                os.makedirs(where, exist_ok=True)
        except OSError as error:
            for above in parents(path):
                if os.path.lexists(self.absolute(above[:-1])) and not os.path.isdir(self.absolute(above)):
                    raise DiskError(
                        f"cannot make the directory of `{printable(path)}`: `{printable(above[:-1])}` is none",
                        hint="move it away",
                    ) from error
            raise _trouble("cannot make the directory of", path, error) from error

    def move(self, source: str, target: str, *, durable: bool = False) -> None:
        """Move a file or a whole directory; parents of `target` are made, and nothing is written over.

        `durable`: the next `sync` brings it to the disk, in any case.
        """
        start, end = self.absolute(source).rstrip("/"), self.absolute(target).rstrip("/")
        self.make_parents(target.rstrip("/"))
        try:
            if os.path.lexists(end):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), end)
            try:
                os.rename(start, end)
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
                _move_far(start, end, durable=durable or self.durable)
        except OSError as error:
            raise _trouble("cannot move", source, error) from error
        if durable or self.durable:
            self.note_due(target)

    def copy(self, source: str, target: str, *, follow: bool = False, durable: bool = False) -> None:
        """Copy a file or a link; parents of `target` are made, and there is all of it or nothing at any time.

        `follow`: of a link, what it leads to, a directory with all that is in it; the link itself if that is nothing,
        or holds `target`. `durable`: the next `sync` brings it to the disk, in any case. The `watcher` is told how far
        a large one is.
        """
        start, end = self.absolute(source), self.absolute(target)
        self.make_parents(target)
        part = _part(end)
        try:
            try:
                with contextlib.suppress(FileNotFoundError):
                    _remove(part)
                _copy(start, part, follow, self._watched(source, os.lstat(start).st_size))
                if durable:
                    _sync_all(part)
                os.rename(part, end)
            except BaseException:
                self.remove_part(target)
                self.remove_empty_parents(target)
                raise
        except OSError as error:
            raise _trouble("cannot copy", source, error) from error
        if durable:
            self.note_due(target)

    def remove_part(self, target: str) -> None:
        """Remove what a copy or a move that was killed has left beside `target`, if it did."""
        with contextlib.suppress(OSError):
            _remove(_part(self.absolute(target).rstrip("/")))

    def remove(self, path: str) -> None:
        """Remove a file, a link, or a directory with all that is in it; links are not followed."""
        where = self.absolute(path).rstrip("/")
        try:
            _remove(where)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise _trouble("cannot remove", path, error) from error
        self.forget(path)

    def note_due(self, path: str) -> None:
        """Have a file, or a directory with all that is in it, brought to the disk by the next `sync`."""
        self._due[path] = None

    def sync(self) -> None:
        """Wait until what is due is on the disk, with its names: a power cut does not cost it then."""
        if not self._due:
            return
        folders: dict[str, None] = {}
        for path in [*self._due]:
            where = self.absolute(path).rstrip("/")
            try:
                _sync_all(where)
                above = os.path.dirname(where)
                while above.startswith(self._prefix):
                    folders[above] = None
                    above = os.path.dirname(above)
                folders[above] = None  # the root, or the directory of what lies outside
            except OSError as error:
                raise _trouble("cannot bring to the disk", path, error) from error
        for folder in folders:
            try:
                _sync(folder)
            except OSError as error:
                raise _trouble("cannot bring to the disk", folder, error) from error
        self._due.clear()

    def forget(self, path: str) -> None:
        """Drop what is remembered of a path that was removed or moved."""
        self.memory.pop(path, None)
        self._plain.discard(path)
        self._shown.pop(path[: path.rfind("/") + 1], None)
        self.fresh.pop(path, None)
        if path in self.found:
            self.found.discard(path)
            self.missed.add(path)

    def remove_empty_parents(self, path: str, stays: Callable[[str], bool] = lambda _folder: False) -> None:
        """Remove the directories above `path` that are empty now, up to the project root, or one that `stays`."""
        where = os.path.dirname(self.absolute(path).rstrip("/"))
        while where.startswith(self._prefix):
            if stays(where[len(self._prefix) :] + "/"):
                return
            with contextlib.suppress(OSError):
                os.rmdir(where)
                where = os.path.dirname(where)
                continue
            return


def _remove(where: str) -> None:
    """Remove a file, a link, or a directory with all that is in it."""
    if os.path.isdir(where) and not os.path.islink(where):
        import shutil

        shutil.rmtree(where)
    else:
        os.unlink(where)


def _part(end: str) -> str:
    """Where that lies which is on its way to `end`, and not whole yet."""
    return os.path.join(os.path.dirname(end), f".bt-{xxhash.xxh3_64_hexdigest(os.fsencode(end))}")


def _copy(start: str, end: str, follow: bool, watcher: Callable[[int], None] | None) -> None:
    """Copy a file or a link, with times and rights; `follow`: what it leads to, as far as it can be. Raises OSError."""
    import shutil  # slow to import, and few builds copy anything

    real = os.path.realpath(start)
    if follow and os.path.isdir(real) and not f"{os.path.realpath(end)}/".startswith(f"{real}/"):
        shutil.copytree(real, end, symlinks=True)
        return
    follow = follow and os.path.isfile(real)
    if os.path.islink(start) and not follow:
        os.symlink(os.readlink(start), end)
    elif not os.path.isfile(start):
        raise OSError(errno.EINVAL, "it is no regular file", start)
    else:
        with open(start, "rb") as source, open(end, "xb") as target:
            done = 0
            while data := source.read(PIECE):
                target.write(data)
                done += len(data)
                if watcher is not None:
                    watcher(done)
    shutil.copystat(start, end, follow_symlinks=follow)


def _move_far(start: str, end: str, *, durable: bool) -> None:
    """Move to another file system. At `end` is all of it or nothing, and until it is all at `start`.

    `durable`: after a power cut, too.
    """
    import shutil

    part = _part(end)
    try:
        with contextlib.suppress(FileNotFoundError):
            _remove(part)  # of who was killed while he did this
        if os.path.isdir(start) and not os.path.islink(start):
            shutil.copytree(start, part, symlinks=True)
        else:
            shutil.copy2(start, part, follow_symlinks=False)
        if durable:
            _sync_all(part)
        os.rename(part, end)
        if durable:
            _sync(os.path.dirname(end))
    except OSError:
        with contextlib.suppress(OSError):
            _remove(part)
        raise
    _remove(start)


def _sync_all(where: str) -> None:
    """Wait until a file, or a directory with all that is in it, is on the disk."""
    if os.path.isdir(where) and not os.path.islink(where):
        for at, _, names in os.walk(where):
            for name in names:
                _sync(os.path.join(at, name))
            _sync(at)
    else:
        _sync(where)


def _sync(where: str) -> None:
    """Wait until a file or a directory is on the disk, if it is there and can be; a link is where its directory is."""
    try:
        file = os.open(where, _TRY)
        try:
            os.fsync(file)
        finally:
            os.close(file)
    except OSError as error:
        if error.errno not in _UNSYNCED:
            raise


def _read_small(where: str) -> Stamp | None:
    """Read and hash a small file; None if it is none, or if anything is wrong with it.

    Builds read many: each call of the system counts, and of Python, too. So it is not looked at once more afterwards:
    what is written from here on moves its signature, or leaves a stamp that is racy.
    """
    try:
        handle = os.open(where, _TRY)
    except OSError:
        return None
    try:
        st = os.fstat(handle)
        size, mode, ctime = st.st_size, st.st_mode, st.st_ctime_ns
        if size > SMALL or not stat.S_ISREG(mode):
            return None
        begun = time.time_ns()
        data = os.read(handle, size + 1)
    except OSError:
        return None
    finally:
        os.close(handle)
    if len(data) != size:
        return None
    letter = "x" if mode & 0o100 else "f"
    return (size, st.st_mtime_ns, ctime, st.st_ino, mode, letter + xxhash.xxh3_128_hexdigest(data), begun)


def _read(where: str, watcher: Callable[[int], None] | None = None) -> Stamp:
    """Read and hash a file of any size, again if it was written meanwhile (three times at most). Raises OSError."""
    handle = os.open(where, _READ)
    try:
        for _ in range(3):
            looks = _signature(os.fstat(handle))
            begun = time.time_ns()
            if looks[0] > SMALL << 4:
                begun = _let_tick_pass(looks[2], begun)
            value = _hash(handle, watcher)
            if _signature(os.fstat(handle)) == looks:
                break
            os.lseek(handle, 0, os.SEEK_SET)
    finally:
        os.close(handle)
    return (*looks, _letter(looks[4]) + value, begun)


def _hash(handle: int, watcher: Callable[[int], None] | None) -> str:
    """xxh3-128 of what is left of an open file, as 32 hex digits."""
    state, done = xxhash.xxh3_128(), 0
    while chunk := os.read(handle, PIECE):
        state.update(chunk)
        if watcher is not None:
            done += len(chunk)
            watcher(done)
    return state.hexdigest()


def _letter(mode: int) -> str:
    return "x" if mode & stat.S_IXUSR else "f"


def _let_tick_pass(ctime_ns: int, now: int) -> int:
    """Wait out the clock tick of a large file that was just written, since reading it twice costs more."""
    if granularity(ctime_ns) == TICK and 0 <= now - ctime_ns <= TICK:
        time.sleep((TICK - (now - ctime_ns)) / 1e9 + 0.001)
        return time.time_ns()
    return now


def _scan(where: str) -> list[Entry]:
    try:
        with os.scandir(where) as found:
            return [
                Entry(e.name, e.is_dir(), is_link, e.is_file(follow_symlinks=False))
                for e in found
                if not (is_link := e.is_symlink()) or not _loops(e)
            ]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise _trouble("cannot list", where, error) from error


def _loops(entry: os.DirEntry[str]) -> bool:
    """Whether a link leads back to itself: such a thing has no content, and is passed over."""
    try:
        entry.is_dir()
    except OSError as error:
        return error.errno == errno.ELOOP
    return False


def _line(name: str, value: str | None) -> bytes:
    """What a file in a directory adds to what the digest of that is made from."""
    raw = os.fsencode(name)
    return b"%d:" % len(raw) + raw + (value or "-").encode()


def _of_link(text: str, target: str) -> str:
    """The digest of a link, by its text and the digest of what it leads to."""
    state = xxhash.xxh3_128(b"link:%d:" % len(os.fsencode(text)))
    state.update(os.fsencode(text))
    state.update(target.encode())
    return "l" + state.hexdigest()


def _trouble(what: str, path: str, error: OSError) -> DiskError:
    cause = cause_of(error)
    return DiskError(f"{what} `{printable(path)}`: {cause}")
