"""A project folder and the ways a person has to use `bt` in it: the only door for behaviour tests."""

from __future__ import annotations

import contextlib
import json
import marshal
import os
import signal
import subprocess
import sys
import textwrap
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from buildtool import door
from buildtool.cone import Cone
from buildtool.errors import BtError
from buildtool.rest import look
from buildtool.state.store import StateReader
from support import copies

BT = (sys.executable, "-m", "buildtool")


@dataclass
class Run:
    """What one call of `bt` did."""

    code: int
    out: str
    err: str
    events: list[dict[str, Any]] = field(default_factory=list)

    @property
    def finished(self) -> dict[str, dict[str, Any]]:
        """The last `finished` event of each job, by name."""
        return {event["job"]: event for event in self.events if event["event"] == "finished"}

    def by_status(self, *statuses: str) -> list[str]:
        """Jobs that came out so, sorted."""
        return sorted(name for name, event in self.finished.items() if event["status"] in statuses)

    @property
    def ran(self) -> list[str]:
        """Jobs whose commands ran to a good end, sorted."""
        return self.by_status("ran", "unchanged")

    @property
    def failed(self) -> list[str]:
        """Jobs that failed, sorted."""
        return self.by_status("failed")

    @property
    def reasons(self) -> dict[str, list[str]]:
        """Why each job ran."""
        return {name: event["reasons"] for name, event in self.finished.items() if event["reasons"]}

    @property
    def warnings(self) -> list[str]:
        """Remarks and warnings."""
        return [event["text"] for event in self.events if event["event"] == "warning"]

    @property
    def summary(self) -> dict[str, Any]:
        """The last event."""
        return self.events[-1]


class Project:
    """A folder with a Taskfile. `libraries`: what a call of `bt` has loaded already."""

    libraries: tuple[str, ...] = ()

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, name: str, text: str | bytes) -> Path:
        """Write a file; text is dedented. Parents are made."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else textwrap.dedent(text).lstrip("\n").encode())
        return path

    def taskfile(self, text: str) -> None:
        """Write `Taskfile.toml`."""
        self.write("Taskfile.toml", text)

    def read(self, name: str) -> str:
        """The text of a file."""
        return (self.folder / name).read_text()

    def exists(self, name: str) -> bool:
        """Whether a file is there."""
        return os.path.lexists(self.folder / name)

    def remove(self, name: str) -> None:
        """Remove a file."""
        (self.folder / name).unlink()

    def files(self, *, state: bool = False) -> list[str]:
        """Every file in the folder, without those of `.bt/` unless asked for."""
        found = (
            p.relative_to(self.folder) for p in self.folder.rglob("*") if not p.is_dir() or p.is_symlink()
        )
        return sorted(str(p) for p in found if state or p.parts[0] != ".bt")

    def traces(self) -> dict[str, tuple[int, ...]]:
        """All that shows whether anything in the folder was changed, the state included.

        Without the time of the last change of owner: for root, SQLite sets that of `-wal` and `-shm` anew.
        """
        paths = [self.folder, *self.folder.rglob("*")]
        stats = {str(path.relative_to(self.folder)): path.lstat() for path in paths}
        return {
            path: (st.st_mode, st.st_ino, st.st_uid, st.st_size, st.st_mtime_ns) for path, st in stats.items()
        }

    def leftovers(self) -> list[int]:
        """The processes of jobs of this project that run."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                where = os.readlink(f"/proc/{pid}/cwd")
                if int(pid) != os.getpid() and where.startswith(str(self.folder)):
                    environment = Path(f"/proc/{pid}/environ").read_bytes()
                    found += [int(pid)] if b"BT_RUN=" in environment else []
        return found

    def end_leftovers(self) -> None:
        """End them, and wait until they are gone."""
        while left := self.leftovers():
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def look(self, *words: str, code: int = 0) -> Run:
        """A command that must end with `code`, and change nothing in the folder."""
        before = self.traces()
        run = self.bt(*words)
        assert run.code == code, f"exit code {run.code}\n{run.out}\n{run.err}"
        assert self.traces() == before, f"`bt {' '.join(words)}` changed the project"
        return run

    def start(self, *words: str, **options: Any) -> subprocess.Popen[str]:
        """Start `bt` and let it run; its output is a pipe. `env`: more variables."""
        options["env"] = {**clean_environment(), **(options.get("env") or {})}
        return subprocess.Popen(
            [*BT, *words],
            cwd=options.pop("cwd", self.folder),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="surrogateescape",
            **options,
        )

    def call(self, *words: str, cwd: Path, env: dict[str, str] | None) -> tuple[int, str, str]:
        """Call `bt` and wait for it: its exit code and what it printed."""
        found = copies.call(words, cwd, {**clean_environment(), **(env or {})}, *self.libraries)
        if found is not None:
            return found
        process = self.start(*words, cwd=cwd, env=env)
        out, err = process.communicate(timeout=copies.PATIENCE)
        return process.returncode, out, err

    def bt(self, *words: str, env: dict[str, str] | None = None, cwd: Path | None = None) -> Run:
        """Call `bt` and wait for it; of `build`, events are read, too (leave `--json` out)."""
        reading = bool(words) and words[0] == "build" and not {"-n", "--dry-run", "--help"} & {*words}
        if reading:
            words = (words[0], "--json", *words[1:])
        concerned = self.concerned(*words, cwd=cwd or self.folder, env=env) if reading else None
        code, out, err = self.call(*words, cwd=cwd or self.folder, env=env)
        events = [json.loads(line) for line in out.splitlines()] if reading else []
        run = Run(code, out, err, events)
        if concerned is not None:
            others = {name for name, event in run.finished.items() if event["status"] != "fresh"} - concerned
            others -= {
                name for name in others if "needed again" in str(run.reasons.get(name))
            }  # by one of them
            assert not others, f"they would not have been looked at: {others}"
            assert concerned or run.code == 0, f"it would have been answered at the door: {out}{err}"
        return run

    def rests(self, *words: str, cwd: Path, env: dict[str, str] | None) -> bool:
        """Whether the same build without `--json` would find nothing to do without planning."""
        return self.concerned(*words, cwd=cwd, env=env) == set()

    def bt_plainly(self, *words: str, env: dict[str, str] | None = None) -> Run:
        """Call `bt` as a person does, without events."""
        return Run(*self.call(*words, cwd=self.folder, env=env))

    def concerned(self, *words: str, cwd: Path, env: dict[str, str] | None) -> set[str] | None:
        """The jobs that the same build without `--json` would look at; None: all that it plans."""
        before = os.getcwd()
        try:
            os.chdir(self.folder)
            note = door.read()
            meant = (str(self.folder), str(cwd), door.meant([word for word in words if word != "--json"]))
            environment = {**clean_environment(), **(env or {})}
            if note is None or note["words"][:3] != meant:
                return None
            different = door.differing(note, environment)
            with StateReader.open(".bt") as reader:
                seen = look(reader, str(self.folder), note, different) if different is not None else None
            if seen is None:
                return None
            numbers = Cone(note).concerned(seen.changed, seen.gone)
            jobs = [job for block in note["blocks"] for job in marshal.loads(zlib.decompress(block))]  # noqa: S302  our own
            return None if numbers is None else {_name(note, jobs[number]) for number in numbers}
        except (OSError, ValueError, BtError):
            return None
        finally:
            os.chdir(before)

    def build(self, *words: str, **options: Any) -> Run:
        """`bt build` that must go well."""
        run = self.bt("build", *words, **options)
        assert run.code == 0, f"exit code {run.code}\n{run.out}\n{run.err}"
        return run


def _name(note: dict[str, Any], job: tuple[Any, ...]) -> str:
    """The name of a noted job."""
    return " ".join((note["tasks"][job[0]], *(value for _, value in job[3])))


def clean_environment() -> dict[str, str]:
    """The environment without what would change how `bt` shows things."""
    hidden = ("NO_COLOR", "FORCE_COLOR", "GITHUB_ACTIONS")
    return {name: value for name, value in os.environ.items() if name not in hidden} | {"COLUMNS": "100"}
