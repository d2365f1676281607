"""A Taskfile from the disk, with all it includes, checked for form; every mistake is told at once.

Reads Taskfiles and nothing else; does not look for inputs, and runs nothing.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import tomli

from buildtool.errors import BtError, Place, TaskfileError, raise_all
from buildtool.paths import canonical, is_outside
from buildtool.taskfile import assemble
from buildtool.taskfile.keys import BACKENDS, FILE
from buildtool.taskfile.kinds import Spot
from buildtool.taskfile.places import Path, Places, scan
from buildtool.taskfile.specs import Settings, Taskfile, Word
from buildtool.text import cause_of, did_you_mean, printable, size

Look = tuple[int, int, int, int, int]  # size, times of change, inode and mode of a file
PIECE = 1 << 20  # bytes that are read at once
LARGEST = 64_000_000  # bytes; nobody writes that, and a mistaken name should not fill the memory

_NOUNS = {"vars": "variable", "env": "environment variable", "executors": "executor", "tasks": "task"}
_SYNTAX_HINTS = (
    ("Illegal character '\\n'", 'close the text with a quote; between `"""` it may have several lines'),
    ('Expected "\'"', "a text that begins with `'` ends on the same line"),
    ("Unterminated string", "close the text with the quotes that it begins with"),
    ("Invalid value", "text stands in quotes"),
    ("Unescaped '\\'", "in single quotes a backslash stands for itself"),
    ("Cannot overwrite", "a name can be given only once in its table"),
)


class Looked:
    """What was looked at for a Taskfile."""

    def __init__(self) -> None:
        self.includes: dict[str, bool] = {}  # items of `include`; whether something was there
        self.stamps: dict[str, Look | None] = {}  # files that were read, as they looked before


def stamp(path: str) -> Look | None:
    """How a file looks; nothing if it is not there."""
    try:
        st = os.stat(path)
    except OSError:
        return None
    return st.st_size, st.st_mtime_ns, st.st_ctime_ns, st.st_ino, st.st_mode


def load_taskfile(path: str, looked: Looked | None = None) -> Taskfile:
    """The Taskfile at an absolute path, whose folder is the project root, or all its mistakes.

    `looked` is filled with what was looked at, mistakes or not.
    """
    found, errors = read_taskfile(path, looked)
    raise_all(errors)
    return found


def read_taskfile(path: str, looked: Looked | None = None) -> tuple[Taskfile, list[BtError]]:
    """What is well-formed of a Taskfile, and its mistakes; these are raised if nothing of it can be read."""
    root, name = os.path.split(path)
    reader = _Reader(root, Looked() if looked is None else looked)
    reader.read(name)
    reader.check_executors()
    if reader.unread and not reader.merged["tasks"]:
        raise_all(reader.errors)
    wrong = frozenset(reader.wrong)
    found = Taskfile(
        root,
        name,
        tuple(reader.sources),
        reader.settings,
        **reader.merged,
        is_open=reader.is_open,
        wrong=wrong,
        is_whole=not reader.unread,
    )
    return found, reader.errors


def included(root: str, names: Iterable[str]) -> set[str]:
    """What is there of the items of `include`: files, and with `/` at their ends the directories on the way to them."""
    import glob  # few Taskfiles include others

    found: set[str] = set()
    for name in names:
        folders = name.rstrip("/").split("/")[:-1]
        for path in (name, *("/".join(folders[:at]) + "/" for at in range(1, len(folders) + 1))):
            if glob.has_magic(path):
                found.update(glob.glob(path, root_dir=root, recursive=True))
            elif os.path.lexists(os.path.join(root, path)):
                found.add(path)
    return found


class _Reader:
    """What was read so far of one project."""

    def __init__(self, root: str, looked: Looked) -> None:
        self.root = root
        self.looked = looked
        self.errors: list[BtError] = []
        self.is_open = False  # patterns say what is included
        self.unread = False  # something that nobody knows is missing
        self.wrong: set[tuple[str, str]] = set()
        self.sources: list[str] = []
        self.settings = Settings()
        self.merged: dict[str, dict[str, Any]] = {table: {} for table in _NOUNS}
        self.first: dict[tuple[str, str], tuple[Places, Path]] = {}  # where each merged name was seen

    def read(self, name: str, wanted: Place | None = None) -> None:
        """Read one file, which another one wants included perhaps, and then what it includes."""
        self.sources.append(name)
        self.looked.stamps[name] = stamp(os.path.join(self.root, name))
        main = len(self.sources) == 1
        try:
            text = _text(self.root, name)
            data = _parse(text, name)
            places = scan(text, name)
            if not main and "bt" in data:
                self._misplaced(places)
                del data["bt"]
            top = FILE.check(data, Spot(places, self.errors))
            self._claim(data, places)
            self._merge(top, places, main=main)
            self._note_wrong(data, top)
        except RecursionError:
            self.unread = True
            self.errors.append(
                TaskfileError(f"`{printable(name)}` is nested too deeply", hint="write fewer levels")
            )
            return
        except TaskfileError as error:
            self.unread = True
            error.place = error.place or wanted
            self.errors.append(error)
            return
        self._include(data.get("include"), places)

    def _misplaced(self, places: Places) -> None:
        facts = (("main file", self.sources[0]),)
        hint = f"move it to `{printable(self.sources[0])}`"
        place = places.key(("bt",))
        self.errors.append(
            TaskfileError("`[bt]` belongs in the main file", place=place, facts=facts, hint=hint)
        )

    def _claim(self, data: Mapping[str, Any], places: Places) -> None:
        """Report names that an earlier file has already."""
        for table, noun in _NOUNS.items():
            inner = data.get(table)
            for name in inner if isinstance(inner, dict) else ():
                if name.startswith("x-") and table != "env":
                    continue
                path: Path = (table, name)
                seen = self.first.setdefault((table, name), (places, path))
                if seen[0] is not places:
                    self.errors.append(
                        _twice(f"{noun} `{printable(name)}`", places.key(path), seen[0].key(path))
                    )

    def _merge(self, top: Mapping[str, Any], places: Places, *, main: bool) -> None:
        if main and "bt" in top:
            self.settings = assemble.settings(top["bt"], places)
        self.merged["env"].update(assemble.environment(top.get("env", {})))
        makers: dict[str, Callable[[str, Any, Places], Any]] = {
            "vars": assemble.variable,
            "executors": assemble.executor,
            "tasks": assemble.task,
        }
        for table, make in makers.items():
            merged = self.merged[table]
            for name, value in top.get(table, {}).items():
                merged[name] = make(name, value, places)

    def _note_wrong(self, data: Mapping[str, Any], top: Mapping[str, Any]) -> None:
        """Remember the names of which nothing is left, so that nobody is told that they are not there."""
        self.unread = self.unread or any(
            name not in top and name != "executors" and not name.startswith("x-") for name in data
        )
        for table in _NOUNS:
            inner = data.get(table)
            for name in inner if isinstance(inner, dict) else ():
                if name not in self.merged[table]:
                    self.wrong.add((table, name))

    def _include(self, value: object, places: Places) -> None:
        """Read the files that `include` names, sorted within one pattern, each once."""
        items = [value] if isinstance(value, str) else value
        if not isinstance(items, list) or not all(isinstance(item, str) and item.strip() for item in items):
            self.unread = self.unread or value is not None
            return  # reported by the check
        for word in assemble.words(value if isinstance(value, str) else items, places, ("include",)):
            for name in self._matching(word):
                if name not in self.sources:
                    self.read(name, word.place)

    def _matching(self, word: Word) -> list[str]:
        """The files that one item of `include` names."""
        if "\0" in word.text:
            return []  # reported by the check
        name = canonical(word.text, self.root)
        shown = printable(word.text)
        if is_outside(name):
            hint = "copy it into the project, or link to it from there"
            self.unread = True
            self.errors.append(
                TaskfileError(f"`{shown}` lies outside the project", place=word.place, hint=hint)
            )
            return []
        import glob  # few Taskfiles include others

        self.looked.includes[name] = glob.has_magic(name) or os.path.lexists(os.path.join(self.root, name))
        if glob.has_magic(name):
            self.is_open = True
            found = sorted(glob.glob(name, root_dir=self.root, recursive=True))
            return [path for path in found if not os.path.isdir(os.path.join(self.root, path))]
        if self.looked.includes[name]:
            return [name.rstrip("/")]
        self.unread = True
        hint = did_you_mean(name, _beside(self.root, name)) or "paths are relative to the project root"
        self.errors.append(TaskfileError(f"no file `{shown}` to include", place=word.place, hint=hint))
        return []

    def check_executors(self) -> None:
        """Report a default executor, or a task's, that no file declares."""
        known = {*self.merged["executors"], *BACKENDS}
        wanted: list[tuple[str | None, Place | None]] = [
            (task.executor, task.at("executor")) for task in self.merged["tasks"].values() if task.executor
        ]
        if self.settings.executor:
            wanted.append(self.settings.executor)
        for name, place in wanted if not self.errors else ():
            if name and name not in known:
                hint = did_you_mean(name, known) or f"add `[executors.{printable(name)}]`"
                summary = f"no executor is called `{printable(name)}`"
                self.errors.append(TaskfileError(summary, place=place, hint=hint))


def _twice(what: str, place: Place, first: Place) -> TaskfileError:
    facts = (("first", f"{first.file}:{first.line}"),)
    return TaskfileError(
        f"{what} is defined twice", place=place, facts=facts, hint="rename or remove one of them"
    )


def _beside(root: str, name: str) -> list[str]:
    """The files in the folder where `name` was looked for."""
    folder = os.path.dirname(name.rstrip("/"))
    try:
        return [os.path.join(folder, entry) for entry in os.listdir(os.path.join(root, folder))]
    except OSError:
        return []


def _bytes(root: str, name: str) -> bytes:
    """What a plain file holds, unless it is larger than any Taskfile."""
    shown = printable(name)
    try:
        handle = os.open(os.path.join(root, name), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            mode = os.fstat(handle).st_mode
            if stat.S_ISREG(mode):
                pieces: list[bytes] = []
                left = LARGEST + 1
                while left > 0 and (piece := os.read(handle, PIECE)):
                    pieces.append(piece)
                    left -= len(piece)
                raw = b"".join(pieces)
        finally:
            os.close(handle)
    except OSError as error:
        reason = cause_of(error)
        raise TaskfileError(
            f"cannot read `{shown}`: {reason}", hint="check its name and permissions"
        ) from error
    if not stat.S_ISREG(mode):
        what = "a directory" if stat.S_ISDIR(mode) else "not a plain file"
        raise TaskfileError(f"`{shown}` is {what}", hint="a Taskfile is a file on the disk")
    if len(raw) > LARGEST:
        raise TaskfileError(f"`{shown}` is larger than {size(LARGEST)}", hint="is it really a Taskfile?")
    return raw


def _text(root: str, name: str) -> str:
    """The text of a file, without byte order mark and with plain line ends."""
    raw = _bytes(root, name)
    try:
        return raw.decode("utf-8").removeprefix("\ufeff").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode("utf-8").removeprefix("\ufeff").split("\n")
        whole = raw.split(b"\n")[len(before) - 1].decode("utf-8", "replace")
        column = len(before[-1]) + 1
        place = Place(name, len(before), column, column + 1, whole.removeprefix("\ufeff").rstrip("\r"))
        summary = f"`{printable(name)}` is not UTF-8 text"
        raise TaskfileError(summary, place=place, hint="save it as UTF-8") from error


def _parse(text: str, name: str) -> dict[str, Any]:
    try:
        return tomli.loads(text)
    except tomli.TOMLDecodeError as error:
        raise _syntax(text, name, error) from error
    except ValueError as error:  # an integer of thousands of digits
        raise TaskfileError(f"`{printable(name)}` holds a number that is out of range") from error


def _syntax(text: str, name: str, error: tomli.TOMLDecodeError) -> TaskfileError:
    """The error of `tomli`, in the words and at the place of ours."""
    line = text.split("\n")[error.lineno - 1]
    column = min(error.colno, len(line) + 1)
    place = Place(name, error.lineno, column, min(column + 1, len(line) + 1), line)
    summary = error.msg[:1].lower() + error.msg[1:]
    if error.msg.startswith("Illegal character '\\n'"):
        summary = "a text has no closing quote"
    hint = next((hint for start, hint in _SYNTAX_HINTS if error.msg.startswith(start)), None)
    if error.msg.startswith("Cannot declare") and not line.lstrip().startswith("[["):
        return _declared_twice(text, place)
    return TaskfileError(summary, place=place, hint=hint)


def _declared_twice(text: str, place: Place) -> TaskfileError:
    """A table whose header stands a second time, up to the column of `place`: both places are named."""
    header = place.text[: place.column - 1]
    start = header.index("[") + 1
    inner: Any = tomli.loads(header + "]")
    path: list[str] = []
    while inner:
        name, inner = next(iter(inner.items()))
        path.append(name)
    before = "\n".join(text.split("\n")[: place.line - 1])
    first = scan(before, place.file).key(tuple(path))
    place = place._replace(column=start + 1, end=place.column)
    return _twice(f"table `[{printable(header[start:].strip())}]`", place, first)
