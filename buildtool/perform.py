"""One run of one job: what is done to the disk before it, and what is made of it afterwards.

Does not know when jobs run, nor what depends on them.
"""

from __future__ import annotations

import contextlib
import fnmatch
import os
import posixpath
import shutil
import signal
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from buildtool.check import Checker, Look
from buildtool.depfile import parse_depfile
from buildtool.errors import BtError, TaskfileError
from buildtool.executors.protocol import Ended, Work
from buildtool.expand.listing import matches
from buildtool.files import TICK, Disk
from buildtool.fingerprint import Fingerprint, Item, digest
from buildtool.graph import Form, Job, JobId, Kind
from buildtool.paths import canonical
from buildtool.plan import Status
from buildtool.project import Project
from buildtool.recover import ASIDE, MARK
from buildtool.report.model import Failure
from buildtool.state.records import JobRecord, Made, Running
from buildtool.state.store import State
from buildtool.taskfile.pattern import parse_pattern
from buildtool.text import count, duration, nearest, printable

KEPT = ".bt/kept/"
LOGS = ".bt/log/"
TAIL = 20  # lines of output shown of a failed job

# What every job is given of the environment of `bt`: where things are and who the user is, not what to do.
PASSED = (
    *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "HOSTNAME", "TMPDIR", "TMP", "TEMP", "TERM", "COLORTERM"),
    *("NO_COLOR", "FORCE_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "XDG_*", "SSH_AUTH_SOCK", "SSH_AGENT_PID"),
    *("DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY", "*_proxy", "*_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR"),
    *(
        "REQUESTS_CA_BUNDLE",
        "VIRTUAL_ENV",
        "CONDA_*",
        "MAMBA_*",
        "PYENV_*",
        "NVM_*",
        "LD_LIBRARY_PATH",
        "DYLD_*",
    ),
    *("PYTHONPATH", "PYTHONHOME", "MANPATH", "PKG_CONFIG_PATH", "CUDA_*", "SLURM_*", "CI"),
)
LOCALE = {"LANG": "C.UTF-8"}  # the same everywhere, unless `[env]` says otherwise: `sort` depends on it


@dataclass(slots=True)
class Attempt:
    """A job on its way: judged stale, then prepared, then running."""

    job: Job
    look: Look
    tries: int = 0  # runs that failed so far
    repeats: int = 0  # runs that did not count, because an input changed meanwhile
    work: Work | None = None
    command: str = ""
    aside: list[tuple[str, str]] = field(default_factory=list)
    started: float = 0.0  # seconds since the epoch
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an attempt. `again`: it does not count, and must be repeated, after these if any."""

    status: Status
    failure: Failure | None = None
    made: tuple[Made, ...] = ()
    again: bool = False
    requires: frozenset[JobId] = frozenset()


class Performer:
    """Prepares attempts and judges their ends, for one build."""

    def __init__(self, project: Project, state: State, checker: Checker, build: int, run: str) -> None:
        self.project = project
        self._mask = checker.masked
        self._settled = checker.settled
        self.state = state
        self.disk: Disk = project.disk
        self.build = build
        self._run = run
        self._number = 0
        self._garbage: list[str] = []  # moved aside, and not needed once the state is committed
        self._scrubbed = self._passed_on()

    # -- before ----------------------------------------------------------------------------------------------

    def prepare(self, attempt: Attempt, cpus: str) -> Running:
        """Decide everything about the next run of a job; nothing is changed on the disk."""
        job = attempt.job
        self._number += 1
        renderer = self.project.renderer
        attempt.command = renderer.command(job, cpus) or ""
        folder = renderer.cwd(job)
        spec = renderer.task(job).spec
        attempt.work = Work(
            self._number,
            (*renderer.shell(job), attempt.command),
            self.disk.absolute(folder) if folder else self.disk.root,
            self._environment(job),
            self.disk.absolute(log_path(job)),
            spec.timeout,
            spec.interactive,
        )
        outputs = self._old_outputs(attempt)
        attempt.aside = []
        if not spec.keep:
            place = f"{ASIDE}{self.build}-{self._number}/"
            attempt.aside = [(p, f"{place}{n}") for n, p in enumerate(outputs) if self.disk.exists(p)]
        return Running(job.key, job.task, () if spec.keep else outputs, tuple(attempt.aside))

    def _old_outputs(self, attempt: Attempt) -> tuple[str, ...]:
        """Every path that the job may write, or wrote when it last ran."""
        graph = self.project.expander.graph
        files = [graph.files[f] for f in attempt.job.output_files()]
        found = [file.path for file in files if file.form is not Form.GLOB]
        for file in files:
            if file.form is Form.GLOB:
                found += glob_paths(self.disk.root, file.path)
        if attempt.look.record is not None:
            owned = self.project.reader.owner
            key = attempt.look.record.key
            found += [made.path for made in attempt.look.record.outputs if owned(made.path) == key]
        depfile = self.project.renderer.depfile(attempt.job)
        if depfile is not None:
            found.append(depfile)
        return tuple(dict.fromkeys(found))

    def begin(self, attempt: Attempt) -> None:
        """Clear the way for a run that the state knows of: old outputs go aside, folders are made."""
        attempt.started = time.time()
        spec = self.project.renderer.task(attempt.job).spec
        for path, place in attempt.aside:
            self.disk.move(path, place)
            self.disk.forget(path)
        for path in self.project.expander.graph.paths(attempt.job.output_files()):
            self.disk.make_parents(path if "*" not in path else path.split("*", maxsplit=1)[0])
        depfile = self.project.renderer.depfile(attempt.job)
        if depfile is not None:
            self.disk.make_parents(depfile)
        if spec.keep:
            for path in (*attempt.look.foreign, *attempt.look.edited):
                where = self.disk.absolute(path)
                if os.path.isfile(where):
                    place = self._kept_place(path)
                    self.disk.make_parents(place)
                    shutil.copy2(where, self.disk.absolute(place))
                    attempt.notes.append(self._kept_note(attempt, path, place))

    def _environment(self, job: Job) -> dict[str, str]:
        """The whole environment of a job: scrubbed, unless nothing is remembered of what it makes."""
        spec = self.project.renderer.task(job).spec
        full = job.kind is Kind.COMMAND or spec.interactive
        found = dict(os.environ) if full else dict(self._scrubbed)
        for name in spec.track.env:
            if name in os.environ:
                found[name] = os.environ[name]
        found |= self.project.renderer.environment(job)
        found[MARK] = self._run
        return found

    def _passed_on(self) -> dict[str, str]:
        patterns = [*PASSED, *self.project.taskfile.settings.pass_env]
        names = {p for p in patterns if "*" not in p}
        globs = [p for p in patterns if "*" in p]
        return LOCALE | {
            name: value
            for name, value in os.environ.items()
            if name in names or any(fnmatch.fnmatchcase(name, g) for g in globs)
        }

    # -- afterwards ------------------------------------------------------------------------------------------

    def finish(self, attempt: Attempt, ended: Ended) -> Outcome:
        """Judge a run that has ended, and record it if it is good; else its old outputs are put back."""
        try:
            failure = self._failure(attempt, ended)
            if failure is None:
                return self._succeed(attempt, ended)
        except (BtError, OSError) as error:
            failure = self._describe(attempt, str(error), ())
        self.put_back(attempt)
        return Outcome(Status.FAILED, failure)

    def _failure(self, attempt: Attempt, ended: Ended) -> Failure | None:
        if ended.error is not None:
            return self._describe(attempt, f"could not be started: {ended.error}", ())
        spec = self.project.renderer.task(attempt.job).spec
        if ended.timed_out:
            return self._describe(attempt, f"timed out after {duration(spec.timeout or 0)}", ())
        if ended.signal is not None:
            name = signal.Signals(ended.signal).name
            note = " (out of memory?)" if ended.signal == signal.SIGKILL else ""
            return self._describe(attempt, f"killed by {name}{note}", ())
        if ended.code:
            return self._describe(attempt, f"exit code {ended.code}", self._hints(attempt))
        missing = self._missing(attempt)
        if missing:
            listed = tuple(f"missing: {printable(path)}" for path in missing)
            return self._describe(
                attempt,
                f"it ended well, but {count(len(missing), 'declared output')} "
                f"{'is' if len(missing) == 1 else 'are'} not right",
                (*listed, *self._nearby(attempt)),
            )
        return None

    def _missing(self, attempt: Attempt) -> list[str]:
        """The declared outputs that are not there as declared."""
        missing = []
        for number in attempt.job.output_files():
            file = self.project.expander.graph.files[number]
            if file.form is Form.GLOB:
                if not glob_paths(self.disk.root, file.path):
                    missing.append(f"{file.path} (nothing matches)")
                continue
            where = self.disk.absolute(file.path).rstrip("/")
            if not os.path.lexists(where):
                missing.append(file.path)
            elif file.form is Form.DIRECTORY and not os.path.isdir(where):
                missing.append(f"{file.path} (it is a file)")
            elif file.form is Form.FILE and os.path.isdir(where):
                missing.append(f"{file.path} (it is a directory: declare it as `{file.path}/`)")
            elif file.form is Form.FILE and os.path.exists(where) and not os.path.isfile(where):
                missing.append(f"{file.path} (it is no regular file)")
        return missing

    def _nearby(self, attempt: Attempt) -> tuple[str, ...]:
        """What the job wrote where its outputs should be, for the message."""
        graph = self.project.expander.graph
        declared = set(graph.paths(attempt.job.output_files()))
        folders = {path[: path.rstrip("/").rfind("/") + 1] for path in declared} | {""}
        found = []
        for folder in sorted(folders):
            with contextlib.suppress(OSError), os.scandir(self.disk.absolute(folder or "./")) as entries:
                for entry in entries:
                    path = folder + entry.name
                    recent = entry.stat(follow_symlinks=False).st_mtime >= attempt.started - 0.01
                    if (
                        recent
                        and entry.is_file()
                        and path not in graph.by_path
                        and not path.startswith(".bt")
                    ):
                        found.append(path)
        if not found:
            return ()
        wrote = ", ".join(printable(path) for path in sorted(found)[:5])
        meant = nearest(sorted(declared)[0], found)
        return (f"it wrote instead: {wrote}", *((f"did you mean {printable(meant)}?",) if meant else ()))

    def _succeed(self, attempt: Attempt, ended: Ended) -> Outcome:
        found = self._found(attempt)
        early = self._read_too_early(attempt, found)
        changed = self._changed(attempt, found)
        if early and not attempt.repeats:
            attempt.repeats += 1
            self.put_back(attempt)
            return Outcome(Status.RAN, again=True, requires=early)
        if changed:
            if attempt.repeats:
                cause = f"input {printable(changed)} changed while it ran, twice"
                self.put_back(attempt)
                return Outcome(Status.FAILED, self._describe(attempt, cause, ()))
            attempt.repeats += 1
            attempt.notes.append(f"input {printable(changed)} changed while it ran; running once more")
            self.put_back(attempt)
            return Outcome(Status.RAN, again=True)
        made = self._made(attempt)
        record = attempt.look.record
        same = record is not None and {*record.outputs} == {*made} and bool(made)
        self._record(attempt, ended, made, found)
        self._keep_strangers(attempt, made)
        self._garbage += [place for _, place in attempt.aside if place.startswith(ASIDE)]
        status = Status.UNCHANGED if same else Status.RAN
        return Outcome(status, made=made)

    def _found(self, attempt: Attempt) -> tuple[Item, ...]:
        """The inputs that the job's depfile names, which is read and removed."""
        path = self.project.renderer.depfile(attempt.job)
        if path is None or not self.disk.exists(path):
            return ()
        where = self.disk.absolute(path)
        with open(where, "rb") as file:
            text = file.read().decode("utf-8", "surrogateescape")
        place = self.project.renderer.task(attempt.job).spec.at("depfile")
        try:
            names = parse_depfile(text)
        except ValueError as error:
            raise TaskfileError(f"`{printable(path)}` is no dependency file: {error}", place=place) from error
        os.unlink(where)
        folder = self.project.renderer.cwd(attempt.job)
        known = {item.name for item in attempt.look.items if item.kind in ("input", "need", "output")}
        paths = dict.fromkeys(canonical(posixpath.join(folder, name), self.disk.root) for name in names)
        return tuple(
            Item("found", p, self.disk.digest(p))
            for p in paths
            if p not in known and p != path and not os.path.isdir(self.disk.absolute(p))
        )

    def _read_too_early(self, attempt: Attempt, found: Iterable[Item]) -> frozenset[JobId]:
        """The jobs that make what this one turned out to read, and that were not settled before it ran."""
        graph = self.project.expander.graph
        numbers = [graph.by_path.get(item.name) for item in found]
        producers = {graph.files[n].producer for n in numbers if n is not None}
        return frozenset(
            p
            for p in producers
            if p is not None
            and p != attempt.job.id
            and not self._settled(p)
            and attempt.job.id not in graph.closure([p])
        )

    def _changed(self, attempt: Attempt, found: Iterable[Item]) -> str | None:
        """The first input that is not any more what it was when the job began."""
        looked = {item.name: item for item in attempt.look.items if item.kind == "found"}
        for item in attempt.look.items:
            if item.kind in ("input", "need", "track.file") and self.disk.digest(item.name) != item.digest:
                return item.name
        begun = int(attempt.started * 1e9) - TICK // 2
        for item in found:
            before = looked.get(item.name)
            if before is not None:
                if before.digest != item.digest:
                    return item.name
                continue
            known = self.project.expander.graph.by_path.get(item.name)
            if known is not None and self.project.expander.graph.files[known].producer is not None:
                continue
            stamp = self.disk.memory.get(item.name)
            if stamp is not None and stamp[2] > begun:
                return item.name
        return None

    def _made(self, attempt: Attempt) -> tuple[Made, ...]:
        """Every output with its digest; a glob as the files that appeared."""
        paths: list[str] = []
        for number in attempt.job.output_files():
            file = self.project.expander.graph.files[number]
            paths += glob_paths(self.disk.root, file.path) if file.form is Form.GLOB else [file.path]
        found = []
        for path in dict.fromkeys(paths):
            value = self.disk.digest(path)
            if value is not None:
                found.append(Made(path, value))
        return tuple(found)

    def _record(
        self, attempt: Attempt, ended: Ended, made: tuple[Made, ...], found: tuple[Item, ...]
    ) -> None:
        job, record = attempt.job, attempt.look.record
        items = [i for i in attempt.look.items if i.kind not in ("found", "output")]
        outputs = [i for i in attempt.look.items if i.kind == "output"]
        self.state.record(
            JobRecord(
                job.key,
                job.task,
                job.wildcards,
                "ok",
                Fingerprint((*items, *found, *outputs)),
                made,
                tuple(item.name for item in found),
                self.build,
                time.time(),
                ended.seconds,
                ended.peak_memory,
                "local",
                (record.runs if record is not None else 0) + 1,
            )
        )

    def record_failure(self, attempt: Attempt, seconds: float) -> None:
        """Note that the last run failed; what is known of the last success stays."""
        job = attempt.job
        old = attempt.look.record
        self.state.record(
            JobRecord(
                job.key,
                job.task,
                job.wildcards,
                "failed",
                old.fingerprint if old is not None else Fingerprint(()),
                old.outputs if old is not None else (),
                old.found if old is not None else (),
                self.build,
                old.ended if old is not None else time.time(),
                old.seconds if old is not None else seconds,
                old.peak_memory if old is not None else 0,
                "local",
                (old.runs if old is not None else 0) + 1,
            )
        )

    def put_back(self, attempt: Attempt) -> None:
        """Remove what a bad run left and put the old outputs back where they were."""
        spec = self.project.renderer.task(attempt.job).spec
        if spec.keep:
            return
        for path in self._old_outputs(attempt):
            if self.disk.exists(path):
                self.disk.remove(path)
        for path, place in attempt.aside:
            if self.disk.exists(place):
                self.disk.move(place, path)
        attempt.aside = []

    def _keep_strangers(self, attempt: Attempt, made: tuple[Made, ...]) -> None:
        """Files that `bt` did not make, or that were edited, go to `.bt/kept/` unless the job made them again."""
        now = {m.path: m.digest for m in made}
        strange = {*attempt.look.foreign, *attempt.look.edited}
        for at, (path, place) in enumerate(attempt.aside):
            if path not in strange:
                continue
            old = place + "/" if path.endswith("/") else place
            if self.disk.digest(old) == now.get(path):
                continue
            kept = self._kept_place(path)
            self.disk.move(place, kept)
            attempt.aside[at] = (path, kept)
            attempt.notes.append(self._kept_note(attempt, path, kept))

    def _kept_place(self, path: str) -> str:
        kept = f"{KEPT}{self.build}/{path.strip('/')}"
        number = 1
        while self.disk.exists(kept):
            number += 1
            kept = f"{KEPT}{self.build}/{path.strip('/')}.{number}"
        return kept

    def _kept_note(self, attempt: Attempt, path: str, place: str) -> str:
        why = "was edited" if path in attempt.look.edited else "was not made by bt"
        return f"{printable(path)} {why}: kept as {printable(place)}"

    def sweep(self) -> None:
        """Remove old outputs that are not needed any more; the state must have been committed before."""
        for place in self._garbage:
            self.disk.remove(place)
            with contextlib.suppress(OSError):
                os.rmdir(os.path.dirname(self.disk.absolute(place)))
        self._garbage = []

    # -- words -----------------------------------------------------------------------------------------------

    def _describe(self, attempt: Attempt, cause: str, details: tuple[str, ...]) -> Failure:
        job = attempt.job
        log = log_path(job)
        tail = read_tail(self.disk.absolute(log), TAIL)
        spec = self.project.renderer.task(job).spec
        name = job.key if job.kind is Kind.RULE else job.task
        return Failure(
            cause,
            details,
            self._mask(attempt.command) if attempt.command else None,
            tail,
            log if tail else None,
            spec.at("run"),
            f"bt build {quoted(name)}",
        )

    def _hints(self, attempt: Attempt) -> tuple[str, ...]:
        """A word on variables that are set here and that the job was not given."""
        import re  # already loaded by the patterns

        work = attempt.work
        if work is None:
            return ()
        used = set(re.findall(r"\$\{?([A-Za-z_]\w*)", attempt.command))
        hidden = sorted(n for n in used if n in os.environ and n not in work.env)
        return tuple(
            f'${name} is set here but not passed to jobs: declare it with track = {{ env = ["{name}"] }}'
            for name in hidden
        )


def glob_paths(root: str, text: str) -> list[str]:
    """The files that a glob output matches now."""
    [pattern] = parse_pattern(text, root)
    return matches(Disk(root), pattern)


def quoted(word: str) -> str:
    """A word as a shell reads it."""
    import shlex  # only needed for messages

    return shlex.quote(printable(word))


def log_path(job: Job) -> str:
    """Where the output of a job's last run is kept, relative to the project root."""
    slug = "".join(c if c.isalnum() or c in "-_." else "_" for c in job.name)[:80]
    return f"{LOGS}{slug}-{digest('log', job.key)[:8]}.log"


def read_tail(where: str, lines: int) -> tuple[str, ...]:
    """The last lines of a file, which may be large; nothing if there is none."""
    try:
        with open(where, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - 64 * 1024))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return ()
    return tuple(text.splitlines()[-lines:])
