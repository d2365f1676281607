"""What commands of the Taskfile print that are no jobs: `vars.NAME.sh`, `track.cmd`, filters of `hash`.

Does not know what the values are for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import xxhash

from buildtool.errors import TaskfileError
from buildtool.project import Remembered
from buildtool.state.store import State
from buildtool.text import cause_of, printable

if TYPE_CHECKING:  # slow to import, and most Taskfiles have no such commands
    import subprocess

PATIENCE = 60.0  # seconds a command may take that only tells something


class Outside(Remembered):
    """Runs the commands, in the project's directory, and keeps what they print in the state."""

    def __init__(self, state: State, root: str, shell: str, secrets: tuple[str, ...] = ()) -> None:
        super().__init__(state, secrets)
        self._state = state
        self._root = root
        self._shell = shell
        self._printed: dict[str, str] = {}

    def shell_variable(self, name: str, text: str) -> str | None:
        """Standard output of the command, without its last line ends. Raises `TaskfileError` if it fails."""
        done = self._run(text)
        if done.returncode:
            said = printable(done.stderr.strip()[-300:])
            raise TaskfileError(
                f"`{name}`: the command failed with exit code {done.returncode}",
                facts=(("command", printable(text)), *((("it said", said),) if said else ())),
            )
        value = done.stdout.rstrip("\n")
        self._state.set_value(f"{name}: {text}", self.veiled(value))
        return value

    def command(self, text: str) -> str | None:
        """All that the command prints, and its exit code if that is not 0."""
        known = self._printed.get(text)
        if known is None:
            done = self._run(text)
            known = done.stdout + done.stderr
            if done.returncode:
                known += f"\nexit code {done.returncode}"
            self._printed[text] = known
            self._state.set_value(f"track.cmd: {text}", self.veiled(known))
        return known

    def filtered(self, text: str, where: str) -> str | None:
        """A digest of what the command prints when it reads the file. Raises `TaskfileError` if it fails.

        An exit code of 1 is no failure: so `grep` says that no line is left.
        """
        import subprocess
        import tempfile  # some milliseconds, and filters are few

        state = xxhash.xxh3_128()
        with open(where, "rb") as source, tempfile.TemporaryFile() as errors:
            try:
                process = subprocess.Popen(
                    [self._shell, "-c", text],
                    cwd=self._root,
                    stdin=source,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                )
            except OSError as error:
                cause = cause_of(error)
                raise TaskfileError(f"`{self._shell}` cannot be started: {cause}") from error
            with process, process.stdout or source as printed:
                while chunk := printed.read(1 << 20):
                    state.update(chunk)
            if process.returncode not in (0, 1):
                errors.seek(0)
                said = errors.read()[-300:].decode("utf-8", "replace").strip()
                raise TaskfileError(
                    f"the filter `{text}` failed with exit code {process.returncode}",
                    facts=(("it said", printable(said)),) if said else (),
                )
        return state.hexdigest()

    def _run(self, text: str) -> subprocess.CompletedProcess[str]:
        import subprocess

        try:
            return subprocess.run(
                [self._shell, "-c", text],
                cwd=self._root,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="surrogateescape",
                timeout=PATIENCE,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise TaskfileError(f"`{text}` did not end within {PATIENCE:.0f} s") from error
        except OSError as error:
            cause = cause_of(error)
            raise TaskfileError(f"`{self._shell}` cannot be started: {cause}") from error
