"""The JSON Schema of a Taskfile, for editors.

Everything in it comes from the declared keys; what is not supported yet is left out.
"""

from __future__ import annotations

from typing import Any

from buildtool.taskfile.keys import FILE


def json_schema() -> dict[str, Any]:
    """The schema, in the dialect of draft 2020-12."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Taskfile.toml",
        "description": "What `bt` builds, and how.",
        **FILE.schema(),
    }
