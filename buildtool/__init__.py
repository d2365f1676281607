"""`bt`: a file-based build tool that decides by content.

Scripts of tasks find their job here: `from buildtool import job`.
"""

from __future__ import annotations

TYPE_CHECKING = False  # `typing` takes as long to import as all that a build with nothing to do needs

if TYPE_CHECKING:
    from typing import Any

    from buildtool.runtime.job import Job

    job: Job

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """`job`, loaded when it is asked for: `bt` itself does not need it."""
    if name != "job":
        raise AttributeError(f"module `{__name__}` has no attribute `{name}`")
    from buildtool.runtime.job import job

    return job
