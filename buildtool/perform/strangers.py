"""What lies where a job writes and is not its own: people's files, and those that were edited. None of it is lost.

Does not know how the run comes out.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterable

from buildtool.clean import by_hand
from buildtool.errors import DiskError
from buildtool.files import Disk, NotAFileError
from buildtool.graph import Form
from buildtool.paths import parents, twin
from buildtool.perform.attempt import Attempt, Stranger
from buildtool.perform.owners import Owners
from buildtool.project import Project
from buildtool.recover import is_free, kept_place, put_back
from buildtool.state.records import Made
from buildtool.state.store import State
from buildtool.text import printable


class Copies:
    """What gives way to the jobs of a build, whose number names the folder in `.bt/kept/`; it is noted in the attempt.

    As a copy if the job may write over it, or moved if it is in the way.
    """

    def __init__(self, disk: Disk, state: State, build: int) -> None:
        self._disk = disk
        self._state = state
        self._build = build

    def places(self, paths: Iterable[str]) -> list[tuple[str, str]]:
        """Each path with a free place of its own."""
        found: dict[str, str] = {}
        for path in paths:
            found[kept_place(self._disk, self._build, path, found)] = path
        return [(path, place) for place, path in found.items()]

    def announce(self, attempt: Attempt, copies: list[tuple[str, str]]) -> None:
        """Tell the state what is about to lie there: who finds that the build was killed tells of it."""
        if copies:
            self._state.add_copies(attempt.job.key, tuple(copies), durable=True)

    def copy(self, attempt: Attempt, path: str, place: str, *, follow: bool = False) -> None:
        """Copy what a job may write over, which was announced; `follow`: of a link, what it leads to."""
        written = self.written(path)
        self._disk.copy(path, place, follow=follow, durable=True)
        attempt.kept[place] = (path, written)

    def move(self, attempt: Attempt, path: str, words: str) -> str:
        """Move what is in the way of a job, and tell of it with these words; where it is then."""
        [(_, place)] = self.places([path])
        self.announce(attempt, [(path, place)])
        self._disk.move(path, place, durable=True)
        self._disk.forget(path)
        attempt.kept[place] = (path, None)
        self.tell(attempt, path, words, place)
        return place

    def tell(self, attempt: Attempt, path: str, words: str, place: str) -> None:
        """Have people told where something is now."""
        attempt.notes.append(f"`{printable(path)}` {words}{_as_kept(place)}")

    def retract(self, attempt: Attempt, place: str) -> None:
        """Nothing is there any more, so nobody is told of it."""
        attempt.notes = [note for note in attempt.notes if not note.endswith(_as_kept(place))]
        attempt.kept.pop(place, None)

    def drop(self, place: str) -> None:
        """Remove a copy that nobody needs: what was copied is as it was."""
        self._disk.remove(place)
        self._disk.remove_empty_parents(place)

    def withdraw(self, attempt: Attempt) -> None:
        """A job is not started after all: what gave way to it goes back, and what nobody wrote to needs no copy."""
        for place, (path, written) in [*attempt.kept.items()]:
            is_there = self._disk.exists(path) if written is not None else not is_free(self._disk, path)
            if is_there and written != self.written(path):
                continue
            try:
                if is_there:
                    self._disk.remove(place)
                elif self._disk.exists(place):
                    self._disk.move(place, path, durable=True)
            except DiskError:
                continue  # it is told where it is
            self._disk.remove_empty_parents(place)
            attempt.strangers.pop(path, None)
            attempt.named.pop(path, None)
            attempt.gave_way.pop(path, None)
            self.retract(attempt, place)
        attempt.behind = None

    def written(self, path: str) -> tuple[int, int]:
        """What tells that something was written anew: `Stranger.written`. Raises OSError if nothing is there."""
        st = os.lstat(self._disk.absolute(path))
        return st.st_ino, st.st_mtime_ns


class Strangers:
    """Of one build, whose number names the folder in `.bt/kept/`. What it does is noted in the attempt."""

    def __init__(self, project: Project, state: State, owners: Owners, copies: Copies, build: int) -> None:
        self._project = project
        self._disk = project.disk
        self._state = state
        self._owners = owners
        self._copies = copies
        self._build = build

    def copy_named(self, attempt: Attempt) -> None:
        """With `keep`: copy the outputs that `bt` did not make, or that were edited or accepted."""
        attempt.named = {}
        hand = by_hand(self._state, attempt.look.record)
        paths = dict.fromkeys((*attempt.look.foreign, *attempt.look.edited, *sorted(hand)))
        files = [path for path in paths if os.path.isfile(self._disk.absolute(path))]
        own = attempt.left  # of a run that failed
        found = self._copies.places(p for p in files if p not in own or not self._is_same(p, own[p]))
        self._copies.announce(attempt, found)
        for path, place in found:
            value = self._disk.digest(path, follow=True)
            self._copies.copy(attempt, path, place, follow=True)
            self._copies.tell(attempt, path, self._why(attempt, path), place)
            attempt.named[path] = value, place

    def clear_links_out(self, attempt: Attempt, outputs: Iterable[str]) -> None:
        """With `keep`: links out of the project, which the job would write through, unless it left them itself."""
        record = attempt.look.record
        made = dict(record.outputs) if record is not None else {}
        for path in outputs:
            if self._disk.is_link_out(path) and not (path in made and self._is_same(path, made[path])):
                self._copies.move(attempt, path, "is a link out of the project")

    def clear_others(self, attempt: Attempt) -> None:
        """With `keep`: anything but a file in the place of one, or but a directory in that of one.

        No job leaves that which comes to a good end, but for a link that leads nowhere. To open a pipe would wait.
        """
        graph = self._project.expander.graph
        files = [graph.files[f] for f in attempt.job.output_files()]
        named = [(file.path, file.form) for file in files if file.form is not Form.GLOB]
        takers = self._project.expander.takers
        edited = [path for path in attempt.look.edited if path[-1:] != "/"]
        made = [(path, Form.FILE) for path in edited if attempt.job.id in takers(path)]  # at patterns, too
        for path, form in dict.fromkeys([*named, *made]):
            where = self._disk.absolute(path)
            if form is Form.FILE and (words := self._is_no_file(attempt, path)) is not None:
                attempt.gave_way[path] = self._copies.move(attempt, path, words)
            elif form is Form.DIRECTORY and self._disk.exists(path) and not os.path.isdir(where):
                words = "was in the way" if self._state.owner(twin(path)) else self._why(attempt, path)
                attempt.gave_way[path] = self._copies.move(attempt, path, words)

    def _is_no_file(self, attempt: Attempt, path: str) -> str | None:
        """What is there and cannot be written as a file is, in words; None: a file, a link to something, or nothing."""
        where = self._disk.absolute(path)
        is_link = os.path.islink(where)
        try:
            mode = os.stat(where).st_mode
        except OSError:
            record = attempt.look.record
            made = dict(record.outputs) if record is not None else {}
            is_own = path in made and self._is_same(path, made[path]) and not self._is_by_hand(path)
            return "is a link that leads nowhere" if is_link and not is_own else None
        if stat.S_ISDIR(mode):
            return None if is_link else "is a directory"
        if stat.S_ISREG(mode):
            return None
        return "is a link to what is no file" if is_link else "is no file"

    def clear_parents(self, attempt: Attempt, path: str) -> None:
        """An output of old, which no task makes any more, gives way to a directory."""
        for old in (folder[:-1] for folder in parents(path)):
            where = self._disk.absolute(old)
            if (
                os.path.isfile(where)
                and old not in self._project.expander.graph.by_path
                and self._state.owner(old)
            ):
                self._copies.move(attempt, old, "was in the way")
                self._state.forget_outputs([old])
                self._project.disown(old)

    def clear_depfile(self, attempt: Attempt, path: str) -> None:
        """With `keep`: what stands in the place of the dependency file is somebody's, unless a killed run left it."""
        record = attempt.look.record
        if record is not None and record.status == "interrupted":
            self._disk.remove(path)
            return
        self._copies.move(attempt, path, self._why(attempt, path))

    def copy(self, attempt: Attempt) -> None:
        """With `keep`: copy what `bt` did not make inside output directories and among the files of globs."""
        graph = self._project.expander.graph
        attempt.strangers = {}
        for file in (graph.files[f] for f in attempt.job.output_files()):
            paths: list[str] = []
            if file.form is Form.GLOB:
                record = attempt.look.record
                before = {path for path, _ in record.outputs} if record is not None else set()
                ways = self._owners.in_the_way(attempt.job, file.path)
                unknown = {path for path in ways if self._state.owner(path) is None}
                paths = [p for p in ways if p in unknown or (p not in before and not self._is_intact(p, p))]
                paths = [p for p in paths if not self._is_same(p, attempt.left.get(p, ""))]
            elif file.form is Form.DIRECTORY:
                own = self._own_inside(attempt, file.path)
                paths = [p for p in self._disk.below(file.path) if own.get(p) != self._disk.digest(p)]
            out = [path for path in paths if self._disk.is_link_out(path)]  # it would be written through
            for path in out:
                self._copies.move(attempt, path, self._why(attempt, path))
            found = self._copies.places(path for path in paths if path not in out)
            self._copies.announce(attempt, found)
            for path, place in found:
                value = self._value(path)
                if value is not None:  # the job may write through a link to a file
                    self._copies.copy(attempt, path, place, follow=not self._disk.leads(path))
                    attempt.strangers[path] = Stranger(value, place, self._copies.written(path))

    def _value(self, path: str) -> str | None:
        """The digest of a person's file; of a link to a directory by itself, since what it leads to is behind it."""
        return self._disk.digest(path, follow=not self._disk.leads(path))

    def _own_inside(self, attempt: Attempt, folder: str) -> dict[str, str]:
        """What `bt` made inside an output directory that was left in place, as far as it is not all of it."""
        known = self._state.inside(folder)
        if self._is_by_hand(folder):
            return known or {}
        if known is None and self._state.owner(folder) is not None and folder not in attempt.look.edited:
            return {path: self._disk.digest(path) or "" for path in self._disk.below(folder)}
        return known or {}

    def leave(self, attempt: Attempt) -> None:
        """With `keep`: tell of those that the job changed; the others stay what they are, and need no copy.

        One that it has written as it was is its own from now on.
        """
        for path, stranger in list(attempt.strangers.items()):
            try:
                same = self._value(path) == stranger.digest
            except NotAFileError:
                same = False  # it is a directory by now
            if same:
                self._copies.drop(stranger.place)
            else:
                self._copies.tell(attempt, path, self._why(attempt, path), stranger.place)
            if not same or self._copies.written(path) != stranger.written:
                del attempt.strangers[path]
        graph = self._project.expander.graph
        for file in (graph.files[f] for f in attempt.job.output_files()):
            if file.form is Form.DIRECTORY:
                paths = [p for p in self._disk.below(file.path) if p not in attempt.strangers]
                self._state.note_inside(file.path, {p: self._disk.digest(p) or "" for p in paths})

    def give_back(self, attempt: Attempt) -> set[str]:
        """With `keep`, after a bad run: what gave way is back, and what is as it was needs no copy: these are told.

        A person has written them, and not the job.
        """
        same = set()
        for path, (value, place) in attempt.named.items():
            with contextlib.suppress(DiskError):  # then it is not as it was
                if self._disk.digest(path, follow=True) == value:
                    self._copies.drop(place)
                    self._copies.retract(attempt, place)
                    same.add(path)
        ways = attempt.gave_way
        put_back(self._disk, (), ways, lambda *_: None, began=attempt.started or None, durable=True)
        for path, place in ways.items():
            if not self._disk.exists(place):  # else it is told where it is
                self._copies.retract(attempt, place)
                same.add(path)
        attempt.named, attempt.gave_way = {}, {}
        return same

    def keep(self, attempt: Attempt, made: tuple[Made, ...]) -> None:
        """Files that `bt` did not make, or that were edited, go to `.bt/kept/` unless the job made them again."""
        now = {m.path: m.digest for m in made}
        record = attempt.look.record
        own = {path for path, _ in record.outputs} if record is not None else set()
        hand = by_hand(self._state, record)
        edited = set(attempt.look.edited)
        whole = tuple(p for p in own - edited - hand if p[-1:] == "/" and self._state.inside(p) is None)
        found: dict[str, tuple[int, str, str]] = {}
        for at, (path, place) in enumerate(attempt.aside):
            if path not in own and path.startswith(whole):
                continue  # it lay in a directory that the job made as a whole, and nobody has touched it
            where = self._disk.absolute(place)
            is_directory = os.path.isdir(where) and not os.path.islink(where)
            old = place + "/" if is_directory else place
            if self._was_other(path, place, old):
                continue
            by_bt = not (path in hand if path in own else self._is_by_hand(path))
            owned = self._project.owner(path) is not None and by_bt and not self._holds_strangers(path, place)
            if path not in edited and owned and (path in own or self._is_intact(path, old)):
                continue
            if is_directory == path.endswith("/") and self._is_same(old, now.get(path)):
                continue
            if is_directory and record is not None and self._holds_only(place, path, dict(record.outputs)):
                continue
            found[kept_place(self._disk, self._build, path, found)] = at, path, place
        if found:  # it can be put back from there, too
            pairs = tuple((path, kept) for kept, (_, path, _) in found.items())
            self._state.add_aside(attempt.job.key, pairs)
        for kept, (at, path, place) in found.items():
            self._disk.move(place, kept, durable=True)
            attempt.aside[at] = (path, kept)
            self._copies.tell(attempt, path, self._why(attempt, path), kept)

    def _holds_only(self, place: str, path: str, made: dict[str, str]) -> bool:
        """Whether nothing lies in a directory but outputs as the job left them, which were named one by one then."""
        there = {path + name[len(place) + 1 :]: name for name in self._disk.below(f"{place}/")}
        known = all(one in made and self._is_same(name, made[one]) for one, name in there.items())
        return bool(there) and known and not any(map(self._is_by_hand, there))

    def _was_other(self, path: str, place: str, old: str) -> bool:
        """Whether some job left it when the path of a file was that of a directory, or the other way round."""
        other = twin(path)
        if self._project.owner(other) is None:
            return False
        intact = self._is_intact(other, old) and not self._holds_strangers(other, place)
        intact = intact and not self._is_by_hand(other)
        self._state.forget_outputs([other])
        self._project.disown(other)
        return intact

    def _is_by_hand(self, path: str) -> bool:
        """Whether an output is as a person left it, and was accepted."""
        return path in by_hand(self._state, self._state.job(self._state.owner(path) or ""))

    def _is_intact(self, path: str, place: str) -> bool:
        """Whether what lies at a place is what some job left at a path."""
        recorded = self._state.recorded(path)
        return recorded is not None and self._is_same(place, recorded)

    def _is_same(self, path: str, digest: str | None) -> bool:
        """Whether a file or directory holds this; one with a pipe or the like in it holds nothing that a job makes."""
        try:
            return self._disk.digest(path) == digest
        except NotAFileError:
            return False

    def _holds_strangers(self, path: str, place: str) -> bool:
        """Whether an output directory that lies aside holds what `bt` did not make: `keep` had left it there."""
        own = self._state.inside(path) if path.endswith("/") else None
        if own is None:
            return False
        self._state.note_inside(path, None)
        return any(path + p[len(place) + 1 :] not in own for p in self._disk.below(place + "/"))

    def _why(self, attempt: Attempt, path: str) -> str:
        if path not in attempt.look.edited and self._is_by_hand(path):
            return "was accepted"
        record = attempt.look.record
        if path in attempt.look.edited and record is not None and record.status == "interrupted":
            return "was changed by a run that was cut short, or by hand since"
        if path in attempt.look.edited or self._project.owner(path) is not None:
            return "was edited"
        return "was not made by bt"


def _as_kept(place: str) -> str:
    """How words end that tell where something is now."""
    return f": kept as `{printable(place)}`"
