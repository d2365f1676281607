"""The environment variables that a job is given.

Does not know which of them decide whether it runs.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

from buildtool.expand.render import Renderer
from buildtool.graph import Job, Kind

# What every job is given of the environment of `bt`: where things are and who the user is, not what to do.
PASSED = (
    *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "HOSTNAME", "TMPDIR", "TMP", "TEMP", "TERM", "COLORTERM"),
    *("NO_COLOR", "FORCE_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "SSH_AUTH_SOCK", "SSH_AGENT_PID"),
    *("DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"),
    *("VIRTUAL_ENV", "LD_LIBRARY_PATH", "PYTHONPATH", "PYTHONHOME", "MANPATH", "PKG_CONFIG_PATH", "CI"),
)
_BEGINNINGS = ("XDG_", "CONDA_", "MAMBA_", "PYENV_", "NVM_", "DYLD_", "CUDA_", "SLURM_")  # of more such names
_ENDINGS = ("_proxy", "_PROXY")
LOCALE = {"LANG": "C.UTF-8"}  # the same everywhere, unless `[env]` says otherwise: `sort` depends on it


class Environment:
    """Makes the environment of any job: scrubbed, so that what is not declared cannot change a result."""

    def __init__(self, renderer: Renderer, more: Iterable[str]) -> None:
        self._renderer = renderer
        asked = [*more]
        names = {*PASSED, *asked}
        globs = [pattern for pattern in asked if "*" in pattern]
        self._scrubbed = LOCALE | {
            name: value
            for name, value in os.environ.items()
            if name in names
            or name.startswith(_BEGINNINGS)
            or name.endswith(_ENDINGS)
            or (globs and _matches(name, globs))
        }

    def of(self, job: Job) -> Mapping[str, str]:
        """The whole environment of a job; not scrubbed if nothing is remembered of what it makes.

        Most jobs have the same, and are given one and the same table, which nobody may change.
        """
        task = self._renderer.task(job)
        spec = task.spec
        full = job.kind is Kind.COMMAND or spec.interactive
        if not (full or task.env or task.dotenv or spec.track.env):
            return self._scrubbed
        found = dict(os.environ) if full else dict(self._scrubbed)
        for name in spec.track.env:
            if name in os.environ:
                found[name] = os.environ[name]
        return found | self._renderer.environment(job)


def _matches(name: str, globs: Iterable[str]) -> bool:
    import fnmatch  # few projects ask for more variables by a pattern

    return any(fnmatch.fnmatchcase(name, glob) for glob in globs)
