"""How a job is named on the command line, so that what is told can be pasted into a shell.

Does not know why anybody wants to name it.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable

from buildtool.expand.targets import is_file, path_of
from buildtool.graph import Form, Job, Kind
from buildtool.project import Project
from buildtool.text import shell_word


def target_of(project: Project, job: Job, folder: str) -> str:
    """The target that means this job where `folder`, relative to the project root, is the working directory.

    A job without outputs goes by the name that people see; if that may mean something else, by the name of its task.
    """
    graph = project.expander.graph
    outputs = [graph.files[file] for file in job.output_files()]
    if not outputs:
        return _seen(project, job, folder)
    path = next((file.path for file in outputs if file.form is not Form.GLOB), outputs[0].path)
    near = path if path.startswith("/") else _relative(path, folder)
    is_taken = near in project.expander.tasks or near in project.taskfile.tasks
    return f"./{near}" if is_taken or near.startswith("-") else near


def again(project: Project, job: Job, masked: Callable[[str], str], *, by_hand: bool = False) -> str:
    """The command that runs this job as the request would; `by_hand`: the one that opens its shell.

    It is to be typed where the request was. `masked` hides secrets in a word.
    """
    request = project.request
    words = ["bt", *request.where, "build", target_of(project, job, request.folder)]
    for text in request.settings:
        words += ["-s", text]
    if request.executor is not None:
        words += ["-e", request.executor]
    if by_hand:
        words.append("--shell")
    elif request.only:
        words.append("--only")
    if request.args:
        words += ["--", *request.args]
    return " ".join(shell_word(masked(word)) for word in words)


def _relative(path: str, folder: str) -> str:
    """A path of the project as seen from a folder of it."""
    if not folder:
        return path
    end = "/" if path.endswith("/") else ""
    return posixpath.relpath(f"/{path}", f"/{folder}") + end


def _seen(project: Project, job: Job, folder: str) -> str:
    """The name of a job without outputs."""
    expander = project.expander
    values = [value for _, value in job.wildcards]
    if not values or job.kind is Kind.GROUP or expander.is_late(job.task):
        return job.task
    if len(values) > 1 and any(" " in value for value in values):
        return job.task  # nobody knows where one value ends
    return job.task if is_file(expander, path_of(expander, job.name, folder)) else job.name
