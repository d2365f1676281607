"""What a job is run with: its command, environment, directory and shell, with every placeholder filled in."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Mapping
from typing import Any

from buildtool.errors import BtError, TaskfileError
from buildtool.expand.expander import Expander
from buildtool.expand.tasks import Task
from buildtool.expand.variables import Variables, read_text, scalar_text
from buildtool.graph import FileId, Job
from buildtool.taskfile.shell import Value
from buildtool.taskfile.specs import Taskfile
from buildtool.taskfile.template import Placeholder, TemplateError

FLAGS = {"sh": ("-e",), "dash": ("-e",), "bash": ("-e", "-u", "-o", "pipefail")}


class Renderer:
    """Fills in the templates of any job of one expansion. `args` is what stands behind `--` on the command line."""

    def __init__(
        self, taskfile: Taskfile, expander: Expander, variables: Variables, args: tuple[str, ...] = ()
    ) -> None:
        self._taskfile = taskfile
        self._expander = expander
        self._variables = variables
        self._args = list(args)
        self._commands: dict[int, tuple[Job, str]] = {}
        self._shells: dict[str, tuple[str, ...]] = {}
        self._dotenv: dict[str, dict[str, str]] = {}

    def task(self, job: Job) -> Task:
        """The task that a job comes from."""
        return self._expander.tasks[job.task]

    def command(self, job: Job, cpus: str | None = None) -> str | None:
        """The text that the shell is given; without `cpus`, `{cpus}` stays as it is. None for a group.

        Raises `TaskfileError` where a value cannot stand where it is put.
        """
        template = self.task(job).command
        if template is None:
            return None
        known = self._commands.get(job.id)
        if cpus is None and known is not None and known[0] is job:
            return known[1]
        folder = self.cwd(job)
        try:
            found = template.render(lambda placeholder: self._value(job, placeholder, folder, cpus))
        except TemplateError as error:
            place = self.task(job).spec.in_run(error.offset, error.length)
            raise TaskfileError(str(error), place=place) from error
        if cpus is None:
            self._commands[job.id] = (job, found)
        return found

    def is_certain(self, task: Task) -> bool:
        """Whether `command` raises for no job of the task, known from its text alone."""
        template = task.command
        return template is None or (
            template.is_open
            and task.rows_from is None
            and all(p.item is None and p.head not in ("params", "vars") for p in template.placeholders)
        )

    def cwd(self, job: Job) -> str:
        """The directory the job runs in, relative to the project root (`""`), with its `/`."""
        pattern = self.task(job).cwd
        if pattern is None:
            return ""
        path = pattern.fill(self._expander.values[job.id]).text
        return "" if path == "./" else path.rstrip("/") + "/"

    def depfile(self, job: Job) -> str | None:
        """The path of the dependency file that the command writes."""
        pattern = self.task(job).depfile
        return None if pattern is None else pattern.fill(self._expander.values[job.id]).text

    def shell(self, job: Job) -> tuple[str, ...]:
        """The shell and its options; the command follows as one more word."""
        text = self.task(job).spec.shell or self._taskfile.settings.shell
        known = self._shells.get(text)
        if known is None:
            import shlex  # not needed when nothing is looked at

            words = shlex.split(text)
            known = self._shells[text] = (*words, *FLAGS.get(posixpath.basename(words[0]), ()), "-c")
        return known

    def environment(self, job: Job) -> dict[str, str]:
        """The variables that `[env]`, `dotenv` and `env` set for the job."""
        task = self.task(job)
        found: dict[str, str] = {}
        if not (task.env or task.dotenv):
            return found
        own = set(task.spec.env)
        for name in (n for n in task.env if n not in own):
            found[name] = self._text(job, name)
        for path in task.dotenv:
            found |= self._read_dotenv(path, task)
        for name in (n for n in task.env if n in own):
            found[name] = self._text(job, name)
        return found

    def _text(self, job: Job, name: str) -> str:
        template = self.task(job).env[name]
        return template.render(lambda placeholder: self._value(job, placeholder, self.cwd(job), None))

    def _read_dotenv(self, path: str, task: Task) -> dict[str, str]:
        found = self._dotenv.get(path)
        if found is None:
            graph = self._expander.graph
            made = path in graph.by_path and graph.files[graph.by_path[path]].producer is not None
            if made and not self._expander.disk.exists(path):
                return {}  # only when somebody looks before it was made
            text = read_text(self._expander.disk, path, task.spec.at("dotenv"))
            found = self._dotenv[path] = parse_dotenv(text, path, task)
        return found

    def _value(self, job: Job, placeholder: Placeholder, folder: str, cpus: str | None) -> Value:
        head, tail = placeholder.head, placeholder.tail
        value: Value
        if head in ("input", "inputs"):
            value = self._files(job.inputs, tail, folder)
        elif head in ("output", "outputs"):
            value = self._files(job.outputs, tail, folder)
        elif head == "params":
            value = param_value(self.task(job).spec.params[tail])
        elif head == "vars":
            value = self._variables.value(tail, self.task(job).spec.at("run"))
        elif head == "depfile":
            value = shown(self.depfile(job) or "", folder)
        elif head == "args":
            value = self._args
        elif head == "cpus":
            value = cpus if cpus is not None else "{cpus}"
        else:
            values = self._expander.values[job.id]
            if head not in values:  # a column of a table that was not there before
                raise TemplateError(f"unknown `{{{head}}}`", placeholder.offset, placeholder.length)
            value = values[head]
        if placeholder.item is None:
            return value
        items = value if isinstance(value, list) else [value]
        if placeholder.item >= len(items):
            raise TemplateError(
                f"`{{{placeholder.name}[{placeholder.item}]}}`: {_only(len(items), placeholder.name)}",
                placeholder.offset,
                placeholder.length,
            )
        return items[placeholder.item]

    def _files(self, parts: tuple[Any, ...], name: str, folder: str) -> Value:
        if len(parts) == 1 and len(parts[0].files) == 1 and not parts[0].many and name in ("", parts[0].name):
            return shown(self._expander.graph.files[parts[0].files[0]].path, folder)  # as most are
        files: list[FileId] = []
        many = len(parts) != 1
        for part in parts:
            if not name or part.name == name:
                files += part.files
                many = part.many if name else many or part.many
        paths = [shown(p, folder) for p in self._expander.graph.paths(tuple(files))]
        return paths if many else paths[0]


def _only(number: int, name: str) -> str:
    if number == 0:
        return "there is none"
    last = f"`{{{name}[{number - 1}]}}`"
    return f"there is only one, {last}" if number == 1 else f"there are only {number}, the last is {last}"


def shown(path: str, folder: str) -> str:
    """A path as the command must write it when it runs in `folder`; never one that looks like an option."""
    if folder and not path.startswith("/"):
        end = "/" if path.endswith("/") else ""
        path = posixpath.relpath("/" + path, "/" + folder) + end
    return "./" + path if path.startswith("-") else path


def param_value(value: Any) -> Value:
    """A parameter as it stands in a command: a list becomes several words, a table JSON."""
    if isinstance(value, list):
        return [str(param_value(item)) for item in value]
    if isinstance(value, dict):
        return json.dumps(value, sort_keys=True, default=str)
    return scalar_text(value)


_canonical = json.JSONEncoder(sort_keys=True, default=lambda v: f"{type(v).__name__}:{v}").encode


def param_text(value: Any) -> str:
    """A parameter as one canonical text, in which its type shows."""
    return _canonical(value)


def parse_dotenv(text: str, path: str, task: Task) -> dict[str, str]:
    """`NAME=value` lines; blank lines, `#` comments, `export ` and quotes around the value are understood.

    Nothing is expanded: what is in the file is what the job gets. Raises `TaskfileError`.
    """
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip().removeprefix("export ").strip()
        if not stripped or stripped.startswith("#"):
            continue
        name, equals, value = stripped.partition("=")
        name, value = name.strip(), value.strip()
        if not equals or not name.replace("_", "a").isalnum() or name[0].isdigit():
            raise TaskfileError(f"`{path}` line {number} is not `NAME=value`", place=task.spec.at("dotenv"))
        if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
            inner = value[1:-1]
            value = inner.replace("\\n", "\n").replace('\\"', '"') if value[0] == '"' else inner
        else:
            value = value.split(" #")[0].rstrip()
        found[name] = value
    return found


def override(taskfile: Taskfile, given: Mapping[str, Any]) -> tuple[Taskfile, dict[str, Any]]:
    """Put the values of `--set` in place: variables come back by name, parameters are set in the Taskfile.

    `NAME` sets the variable and every task's parameter of that name, `TASK.NAME` the parameter of one task.
    Raises `BtError` for a name that nothing has.
    """
    from buildtool.errors import UsageError
    from buildtool.text import did_you_mean

    variables: dict[str, Any] = {}
    tasks = dict(taskfile.tasks)
    for name, value in given.items():
        used = False
        if name in taskfile.vars:
            variables[name] = value
            used = True
        for task in tasks.values():
            for key in task.params:
                if name in (key, f"{task.name}.{key}"):
                    tasks[task.name] = tasks[task.name]._replace(
                        params={**tasks[task.name].params, key: value}
                    )
                    used = True
        if not used:
            known = [key for task in tasks.values() for key in task.params]
            if "." in name:
                known = [f"{task.name}.{key}" for task in tasks.values() for key in task.params]
            known += taskfile.vars
            error: BtError = UsageError(
                f"no variable or parameter is called `{name}`", hint=did_you_mean(name, known)
            )
            raise error
    return taskfile._replace(tasks=tasks), variables
