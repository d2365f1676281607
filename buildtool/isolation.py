"""A directory for one run of a job that holds its declared inputs alone, as links, under the same relative paths.

Does not know how the job runs, nor whether what it made is right.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterable

from buildtool.errors import DiskError
from buildtool.expand.listing import matches
from buildtool.files import Disk
from buildtool.paths import canonical, is_outside
from buildtool.regex import Regex
from buildtool.taskfile.pattern import Pattern, parse_pattern
from buildtool.text import cause_of, printable

Output = tuple[str, bool]  # a path, or with True a pattern
BOXES = ".bt/isolated/"
_LOST = Regex(r"no such file|not found|cannot (?:open|stat|access|find)|does not exist", re.IGNORECASE)
_WORD = Regex(r"[^\s'\"`:,;()\[\]<>=]+")
_BARE = 64  # directories that are kept for later
_SHOWN = 3  # files named in a message


class Boxes:
    """The directories of the runs of one build; those that are bare afterwards are used again.

    To make and remove directories takes longer than most of what else is done for a job on another machine.
    """

    def __init__(self, disk: Disk, build: int) -> None:
        self._disk = disk
        self._build = build
        self._made = 0
        self._bare: dict[tuple[str, ...], list[Box]] = {}
        self._kept = 0

    def take(self, outputs: Iterable[Output], *, again: bool) -> Box:
        """A directory for one run. `again`: it may be one that has the folders of the outputs, and no more."""
        self._made += 1
        paths = list(outputs)
        if not again or any(is_pattern or path.endswith("/") for path, is_pattern in paths):
            return Box(self._disk, f"{self._build}-{self._made}")
        folders = tuple(sorted({posixpath.dirname(path) for path, _ in paths}))
        bare = self._bare.get(folders)
        if bare:
            self._kept -= 1
            return bare.pop()
        return Box(self._disk, f"{self._build}-{self._made}", folders)

    def give_back(self, box: Box) -> None:
        """Its run has come to a good end: nobody writes there any more."""
        if box.folders is None or self._kept >= _BARE or not box.is_bare():
            box.remove()
            return
        self._kept += 1
        self._bare.setdefault(box.folders, []).append(box)

    def close(self) -> None:
        """Take all of them away."""
        for box in (box for bare in self._bare.values() for box in bare):
            box.remove()
        self._bare.clear()
        self._kept = 0


class Box:
    """The directory of one run. `name` tells it from all others of the project.

    `folders`: those that its outputs come to lie in, if it may be used again by runs with the same ones.
    """

    def __init__(self, disk: Disk, name: str, folders: tuple[str, ...] | None = None) -> None:
        self.path = f"{BOXES}{name}/"
        self.folders = folders
        self._project = disk
        self.disk = Disk(disk.absolute(self.path).rstrip("/"))

    def fill(self, inputs: Iterable[str], outputs: Iterable[Output], folder: str) -> None:
        """Link to the inputs, and make the folders of the outputs and the one that the job runs in."""
        try:
            os.makedirs(self.disk.absolute(folder or "./"), exist_ok=True)
            for path in inputs:
                where = self.disk.absolute(path).rstrip("/")
                if is_outside(path) or os.path.lexists(where):
                    continue
                os.makedirs(os.path.dirname(where), exist_ok=True)
                os.symlink(self._project.absolute(path).rstrip("/"), where)
            for path, is_pattern in outputs:
                if not is_outside(path):
                    self.disk.make_parents(self._pattern(path).folder + "/" if is_pattern else path)
        except OSError as error:
            cause = cause_of(error)
            raise DiskError(f"cannot fill `{self.path}`: {cause}") from error

    def bring_out(self, outputs: Iterable[Output]) -> None:
        """Move what the job made to where it belongs; of a pattern, whatever appeared."""
        for text, is_pattern in outputs:
            if is_outside(text):
                continue
            for path in matches(self.disk, self._pattern(text)) if is_pattern else [text]:
                if self.disk.exists(path) and not self._is_input(path):
                    if (link := self._project.way_out(path)) is not None:
                        raise DiskError(f"`{printable(link)}` is a link out of the project")
                    self._project.remove(path)
                    self._project.move(self.path + path, path)

    def remove(self) -> None:
        """Take it away, with all that is left in it; links are not followed."""
        import shutil  # slow to import

        shutil.rmtree(self._project.absolute(self.path), ignore_errors=True)

    def is_bare(self) -> bool:
        """Whether nothing but folders is in it."""
        return not any(self.disk.below("./"))

    def missed(self, lines: Iterable[str], folder: str) -> tuple[str, ...]:
        """A sentence for each file that the job looked for in vain and that the project has."""
        found: dict[str, None] = {}
        for line in lines:
            if not _LOST.search(line):
                continue
            for word in _WORD.findall(line):
                path = canonical(os.path.join(folder, word), self._project.root)
                inside = not is_outside(path) and not path.startswith(".bt/")
                if inside and self._project.exists(path) and not self.disk.exists(path):
                    found[path] = None
        return tuple(
            f"`{printable(path)}` is in the project and not among its inputs: add it to `inputs`"
            for path in list(found)[:_SHOWN]
        )

    def _pattern(self, text: str) -> Pattern:
        [pattern] = parse_pattern(text, self.disk.root)
        return pattern

    def _is_input(self, path: str) -> bool:
        """Whether what is there is one of our links."""
        where = self.disk.absolute(path).rstrip("/")
        return os.path.islink(where) and os.readlink(where) == self._project.absolute(path).rstrip("/")
