"""What a function opened and its task does not declare, with the words to add to the Taskfile.

Does not know how it was seen.
"""

from __future__ import annotations

from collections.abc import Iterable

from buildtool.fingerprint import Item
from buildtool.graph import Job
from buildtool.project import Project
from buildtool.text import printable


def undeclared(
    project: Project, job: Job, items: Iterable[Item], opened: Iterable[tuple[str, bool]]
) -> list[str]:
    """A sentence for each file below the project root that was opened and that nothing declares."""
    opened = list(opened)
    if not opened:
        return []
    task = project.renderer.task(job)
    read = {item.name for item in items if item.kind in ("input", "need", "track.file", "found")}
    read.update(project.functions.reach(task).files)
    made = set(project.expander.graph.paths(job.output_files()))
    written = {path for path, write in opened if write}
    found = []
    for path, write in opened:
        if path.startswith(".bt/") or path.endswith(".pyc") or _holds(made, path):
            continue
        if write and project.disk.exists(path):
            found.append(_sentence("writes", path, "outputs", job))
        elif not write and path not in written and not _holds(read, path):
            found.append(_sentence("reads", path, "inputs", job))
    return found


def _holds(declared: set[str], path: str) -> bool:
    """Whether a path is declared, or lies in a declared directory or glob."""
    if path in declared:
        return True
    return any(path.startswith(known) for known in declared if known.endswith("/")) or any(
        path.startswith(known.split("*", 1)[0]) for known in declared if "*" in known
    )


def _sentence(verb: str, path: str, key: str, job: Job) -> str:
    shown = printable(path)
    return f'{verb} `{shown}`, which is not declared: add "{shown}" to `{key}` of `[tasks.{job.task}]`'
