"""Which jobs have their outputs kept in the cache, and which get them from there instead of running.

Does not know how they are kept, nor when jobs run.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping, Sequence

from buildtool.cache.entry import Kept, Part, key_of
from buildtool.cache.store import Cache
from buildtool.check import Checker, Look
from buildtool.errors import BtError
from buildtool.fingerprint import Fresh, Item, Stale
from buildtool.graph import Form, Job, JobId, Kind
from buildtool.project import Project
from buildtool.state.records import Made
from buildtool.state.store import State
from buildtool.tuples import NamedTuple

SIZE = "cache"  # the value that tells how much is kept, while no build is at work


class Hit(NamedTuple):
    """What comes back instead of a run, and the key that it was found under."""

    key: str
    kept: Kept


class Finder:
    """Finds what jobs would make, and changes nothing: what is damaged is as good as not there."""

    def __init__(self, project: Project, checker: Checker, cache: Cache) -> None:
        self._project = project
        self._checker = checker
        self._cache = cache
        self._may: dict[str, bool] = {}  # by task

    def find(self, job: Job, items: Sequence[Item]) -> Hit | None:
        """What a job would make, if it was made of the same before."""
        if not self._may_be_kept(job):
            return None
        key = key_of(items)
        paths = {*self._project.expander.graph.paths(job.output_files())}
        for kept in self._runs(key):
            if {path for path, _ in kept.outputs} == paths and self._is_found(job, kept):
                return Hit(key, kept)
        return None

    def _runs(self, key: str) -> list[Kept]:
        return self._cache.look(key)

    def _is_found(self, job: Job, kept: Kept) -> bool:
        """Whether what a kept run turned out to read is as it was then, and nobody is about to make it."""
        if not kept.found:
            return True
        if self._checker.found_makers(job, (path for path, _ in kept.found)):
            return False
        try:
            return all(self._project.disk.digest(path) == value for path, value in kept.found)
        except BtError:
            return False

    def _may_be_kept(self, job: Job) -> bool:
        """Whether the outputs of a job depend on nothing but its fingerprint, and can be kept."""
        known = self._may.get(job.task)
        if known is None:
            spec = self._project.renderer.task(job).spec
            aged = spec.always or spec.max_age is not None
            own = spec.keep or spec.interactive or spec.serve
            if spec.depfile is not None and "cache" not in spec.places:
                own = True  # a header that was not there then could be found first now: it takes a word
            known = self._may[job.task] = spec.cache and job.kind is Kind.RULE and not (aged or own)
        if not known or not job.outputs:
            return False
        files = self._project.expander.graph.files
        return all(files[file].form is not Form.GLOB for file in job.output_files())


class Restorer(Finder):
    """Keeps what jobs made, `size` bytes of it, and brings back what they would make."""

    def __init__(self, project: Project, checker: Checker, state: State, size: float) -> None:
        self._state = state
        known = state.value(SIZE) or ""
        cache = Cache(project.disk, size, int(known) if known.isdecimal() else None)
        super().__init__(project, checker, cache)

    def _runs(self, key: str) -> list[Kept]:
        return self._cache.runs(key)

    def bring(self, hit: Hit) -> bool:
        """Put the outputs in their place; whether they are what was kept. Raises OSError and DiskError."""
        return self._cache.bring(hit.key, hit.kept)

    def keep(
        self,
        job: Job,
        items: Sequence[Item],
        found: Iterable[Item],
        made: tuple[Made, ...],
        cost: tuple[float, int],
    ) -> None:
        """Take over what a good run left. `cost`: the seconds and bytes of memory that it took."""
        if not self._may_be_kept(job):
            return
        if {path for path, _ in made} != {*self._project.expander.graph.paths(job.output_files())}:
            return
        parts: list[Part] = []
        try:
            for path, value in made:
                parts += self._parts(path, value)
        except (BtError, OSError):
            return  # it is not here, or changes at this moment
        if not self._cache.has_changed:
            self._state.set_value(SIZE, "")  # if this build is killed, it is counted again
        read = tuple((item.name, item.digest) for item in found)
        self._cache.keep(key_of(items), Kept(made, tuple(parts), read, *cost))

    def _parts(self, path: str, value: str) -> list[Part]:
        """All that an output is made of."""
        disk = self._project.disk
        if path[-1:] == "/":
            return self._tree(path)
        where = disk.absolute(path)
        looks = os.lstat(where)
        if stat.S_ISLNK(looks.st_mode):
            return [Part(path, value, 0, os.readlink(where))]
        return [Part(path, value, _mode(where))]

    def _tree(self, folder: str) -> list[Part]:
        """A directory with all that is in it, each directory before what it holds."""
        disk = self._project.disk
        where = disk.absolute(folder).rstrip("/")
        if os.path.islink(where):
            raise NotADirectoryError(where)
        parts = [Part(folder, "", _mode(where))]
        for name in sorted(os.listdir(where)):
            inner = folder + name
            if os.path.isdir(f"{where}/{name}") and not os.path.islink(f"{where}/{name}"):
                parts += self._tree(inner + "/")
                continue
            found = disk.digest(inner)
            if found is None:
                raise FileNotFoundError(inner)
            parts += self._parts(inner, found)
        return parts

    def close(self) -> None:
        """Note how much is kept."""
        if self._cache.has_changed:
            size = self._cache.size
            self._state.set_value(SIZE, "" if size is None else str(size))


def coming_back(project: Project, checker: Checker, looks: Mapping[JobId, Look]) -> set[JobId]:
    """The jobs that must run by what was seen of them, and whose outputs are kept: as far as that is sure.

    Nothing is sure of a job that reads what another one may make anew.
    """
    size = project.taskfile.settings.cache
    if size is None:
        return set()
    finder = Finder(project, checker, Cache(project.disk, size, None))
    graph, found = project.expander.graph, set()
    for number, look in looks.items():
        job = graph.jobs[number]
        if not isinstance(look.verdict, Stale) or not look.items or look.absent or job.growing:
            continue
        if any(reason.kind in ("forced", "broken") for reason in look.verdict.reasons):
            continue
        before = graph.prerequisites(job) - {*job.after}
        hit = finder.find(job, look.items) if _are_sure(looks, before) else None
        if hit is not None and _are_sure(looks, {project.expander.maker(path) for path, _ in hit.kept.found}):
            found.add(number)
    return found


def _are_sure(looks: Mapping[JobId, Look], jobs: Iterable[JobId | None]) -> bool:
    """Whether none of these runs again."""
    return all(isinstance(looks[job].verdict, Fresh) for job in jobs if job is not None and job in looks)


def _mode(where: str) -> int:
    """The permissions of a file or a directory."""
    return stat.S_IMODE(os.lstat(where).st_mode) & 0o777
