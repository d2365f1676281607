"""Why a run failed, in words, with all that helps to mend it.

Does not know what becomes of the failed job.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import stat
from collections.abc import Callable

from buildtool.errors import Place
from buildtool.executors.protocol import Ended, Work
from buildtool.expand.listing import matches
from buildtool.files import Disk
from buildtool.fingerprint import digest
from buildtool.graph import Form, Job
from buildtool.isolation import Box
from buildtool.paths import canonical
from buildtool.project import Project
from buildtool.regex import Regex
from buildtool.report.model import Failure
from buildtool.taskfile.pattern import parse_pattern
from buildtool.text import count, duration, nearest, printable

LOGS = ".bt/log/"
_LOOKED_AT = 200  # lines of output in which files are looked for that an isolated job did not find
TAIL = 20  # lines of output shown of a failed job
WIDEST = 400  # characters shown of one of them
_ODD = Regex(r"[^\w.-]")  # what does not stand in the name of a log
SLACK = 0.01  # seconds by which file times may lag behind the clock


class Failures:
    """Looks at runs that have ended. `mask` hides secrets in a text."""

    def __init__(self, project: Project, mask: Callable[[str], str]) -> None:
        self._project = project
        self._mask = mask

    def look(
        self, job: Job, command: str, started: float, work: Work | None, ended: Ended, box: Box | None = None
    ) -> Failure | None:
        """Why the run is no success; None if it is one so far. `box`: where it ran, if it was isolated."""
        failure = self._look(job, command, started, work, ended, box)
        if failure is None or box is None:
            return failure
        lines = read_tail(self._project.disk.absolute(log_path(job)), _LOOKED_AT)
        missed = box.missed(lines, self._project.renderer.cwd(job))
        return failure._replace(details=(*failure.details, *missed))

    def _look(
        self, job: Job, command: str, started: float, work: Work | None, ended: Ended, box: Box | None
    ) -> Failure | None:
        if ended.error is not None:
            return self.describe(job, command, f"could not be started: {ended.error}")
        if ended.timed_out:
            timeout = self._project.renderer.task(job).spec.timeout
            return self.describe(job, command, f"timed out after {duration(timeout or 0)}")
        if ended.signal is not None:
            name = signal.Signals(ended.signal).name
            note = " (out of memory?)" if ended.signal == signal.SIGKILL else ""
            return self.describe(job, command, f"killed by {name}{note}")
        if ended.repeat is not None:
            return self.describe(job, command, ended.repeat)
        if ended.cause is not None:
            return self.describe(job, command, ended.cause, self._where(ended))
        if ended.code is None:
            return self.describe(job, command, "nobody knows how it ended")
        if ended.code:
            return self.describe(
                job, command, f"exit code {ended.code}", hidden_variables(command or self._call(job), work)
            )
        missing = self._missing(job)
        if not missing:
            return None
        verb = "is" if len(missing) == 1 else "are"
        cause = f"it ended well, but {count(len(missing), 'declared output')} {verb} not right"
        listed = tuple(f"missing: {printable(path)}" for path in missing)
        return self.describe(job, command, cause, (*listed, *self._nearby(job, started, box)))

    def _where(self, ended: Ended) -> tuple[str, ...]:
        """The line of the project's code at which a function failed."""
        if ended.where is None:
            return ()
        path, line = ended.where
        return (f"at {printable(canonical(path, self._project.disk.root))}:{line}",)

    def describe(self, job: Job, command: str, cause: str, details: tuple[str, ...] = ()) -> Failure:
        """A failure with its place, its command, the end of its log, and how to run it again."""
        from buildtool.naming import again  # only needed once something is wrong

        command = command or self._call(job)
        log = log_path(job)
        tail = read_tail(self._project.disk.absolute(log), TAIL)
        return Failure(
            cause,
            details,
            self._mask(command) if command else None,
            tail,
            log if tail else None,
            self._place(job),
            again(self._project, job, self._mask),
            again(self._project, job, self._mask, by_hand=True),
        )

    def _call(self, job: Job) -> str:
        """The call of a function or script as a person would write it; nothing for other jobs."""
        spec = self._project.renderer.task(job).spec
        return "" if spec.call is None and spec.script is None else self._project.functions.text(job)

    def _place(self, job: Job) -> Place:
        """Where the Taskfile says what is run."""
        spec = self._project.renderer.task(job).spec
        return spec.at(next((key for key in ("run", "call", "script") if key in spec.places), "run"))

    def _missing(self, job: Job) -> list[str]:
        """The declared outputs that are not there as declared."""
        missing = []
        for number in job.output_files():
            file = self._project.expander.graph.files[number]
            if file.form is Form.GLOB:
                if not glob_paths(self._project.disk.root, file.path):
                    missing.append(f"{file.path} (nothing matches)")
                continue
            where = self._project.disk.absolute(file.path).rstrip("/")
            if file.form is Form.FILE and _is_plain(where):
                continue
            if not os.path.lexists(where):
                if file.path not in self._project.away:
                    missing.append(file.path)
            elif file.form is Form.DIRECTORY and not os.path.isdir(where):
                missing.append(f"{file.path} (it is a file)")
            elif file.form is Form.FILE and os.path.isdir(where):
                missing.append(f"{file.path} (it is a directory: declare it as `{file.path}/`)")
            elif file.form is Form.FILE and os.path.exists(where) and not os.path.isfile(where):
                missing.append(f"{file.path} (it is no regular file)")
        return missing

    def _nearby(self, job: Job, started: float, box: Box | None) -> tuple[str, ...]:
        """What the job wrote where its outputs should be, for the message."""
        disk = box.disk if box is not None else self._project.disk
        graph = self._project.expander.graph
        declared = set(graph.paths(job.output_files()))
        folders = {path[: path.rstrip("/").rfind("/") + 1] for path in declared} | {""}
        found = []
        for folder in sorted(folders):
            with (
                contextlib.suppress(OSError),
                os.scandir(disk.absolute(folder or "./")) as entries,
            ):
                for entry in entries:
                    path = folder + entry.name
                    recent = entry.stat(follow_symlinks=False).st_mtime >= started - SLACK
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
        meant = nearest(min(declared), found)
        return (f"it wrote instead: {wrote}", *((f"did you mean `{printable(meant)}`?",) if meant else ()))


def hidden_variables(command: str, work: Work | None) -> tuple[str, ...]:
    """A word on each variable that the command names, that is set here, and that the job was not given."""
    if work is None:
        return ()
    used = set(re.findall(r"\$\{?([A-Za-z_]\w*)", command))
    return tuple(
        f'`${name}` is set here but not passed to jobs: declare it with `track = {{ env = ["{name}"] }}`'
        for name in sorted(used)
        if name in os.environ and name not in work.env
    )


def glob_paths(root: str, text: str) -> list[str]:
    """The files that a glob output matches now."""
    [pattern] = parse_pattern(text, root)
    return matches(Disk(root), pattern)


def _is_plain(where: str) -> bool:
    """Whether a regular file is there, and no link to one."""
    try:
        return stat.S_ISREG(os.lstat(where).st_mode)
    except OSError:
        return False


def log_path(job: Job) -> str:
    """Where the output of a job's last run is kept, relative to the project root."""
    slug = _ODD.sub("_", job.name[:80])
    return f"{LOGS}{slug}-{digest('log', job.key)[:8]}.log"


def read_tail(where: str, lines: int) -> tuple[str, ...]:
    """The last lines of a file, which may be large, long ones cut; nothing if there is none."""
    window = 64 * 1024
    try:
        with open(where, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - window))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return ()
    first, *found = text.splitlines() or [""]
    if size <= window:
        found = [first, *found] if text else []
    elif len(found) < lines:  # the end of a line that begins further up
        found.insert(0, f"… {first[-WIDEST:]}")
    return tuple(line if len(line) <= WIDEST + 2 else f"{line[:WIDEST]} …" for line in found[-lines:])
