"""The functions and scripts of tasks: what they ask for, what they are given, and which code they reach.

Reads their source; never imports or runs it. Does not know when they run.
"""

from __future__ import annotations

import os
import posixpath
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from buildtool.errors import BtError, TaskfileError
from buildtool.expand.annotations import fits, kind_of
from buildtool.expand.expander import Expander
from buildtool.expand.render import Renderer
from buildtool.expand.tasks import Entries, Task
from buildtool.expand.variables import scalar_text
from buildtool.graph import Job, JobId, Slice
from buildtool.taskfile.specs import DECORATED, ExecutorSpec, Taskfile
from buildtool.text import did_you_mean, listing, printable

if TYPE_CHECKING:
    from buildtool.pycode.code import Code
    from buildtool.pycode.model import Function, Parameter, Reach

Signature = tuple[int, int, int, int]  # of a file: size, mtime_ns, ctime_ns, inode
Slot = tuple[str | None, tuple[str, ...], bool]  # name, paths, whether it is a list
_ALIASES = 5  # names in a row for the same thing
_PATIENCE = 0.05  # seconds for which the look at source files counts as new
_KEPT = 1000  # jobs whose paths are remembered between the look at them and their start
_SHOWN = 3  # paths of a list in a message
T = TypeVar("T")


class Functions:
    """Everything about `call` and `script` for the jobs of one expansion."""

    def __init__(self, taskfile: Taskfile, expander: Expander, renderer: Renderer) -> None:
        self._root = taskfile.root
        self._python_path = taskfile.settings.python_path
        self._expander = expander
        self._renderer = renderer
        self._code: Code | None = None
        self._reached: dict[str, Reach] = {}
        self._signatures: dict[str, Signature | None] = {}
        self._read: dict[str, dict[str, Signature | None]] = {}  # the last time, whatever came of it
        self._looked = -_PATIENCE
        # The parameters that were asked for last, and their names; None: any name will do.
        self._parameters: tuple[tuple[Parameter, ...], frozenset[str] | None] | None = None
        self._paths: dict[str | None, tuple[str, ...]] = {}  # where modules are looked up, by script
        self._signed: dict[str, tuple[Reach, tuple[tuple[str, Signature], ...]]] = {}  # by target
        self._slots: dict[JobId, tuple[Job, tuple[tuple[Slot, ...], tuple[Slot, ...]]]] = {}

    # -- source ----------------------------------------------------------------------------------------------

    def path(self, task: Task) -> tuple[str, ...]:
        """The absolute directories in which modules of the project are looked up for a task."""
        known = self._paths.get(task.spec.script)
        if known is not None:
            return known
        folders = [self._root, *(os.path.join(self._root, path) for path in self._python_path)]
        if task.spec.script is not None:
            folders.insert(0, os.path.dirname(os.path.join(self._root, task.spec.script)))
        found = tuple(dict.fromkeys(os.path.normpath(folder) for folder in folders))
        self._paths[task.spec.script] = found
        return found

    def target(self, task: Task) -> str:
        """What is run: `module:function`, or the absolute path of a script."""
        if task.spec.script is not None:
            return os.path.join(self._root, task.spec.script)
        return task.spec.call or ""

    def reach(self, task: Task) -> Reach:
        """The code that a task's function or script reaches, as it is on the disk now.

        Raises `TaskfileError` where it cannot be found or read.
        """
        self._refresh()
        key = task.spec.script or task.spec.call or ""
        found = self._reached.get(key)
        if found is None:
            code = self._source()
            look = code.reach if task.spec.script is None else code.reach_script
            try:
                found = _placed(task, lambda: look(key))
            except BtError:
                self._remember(key, (*code.looked(), *self._read.get(key, ())))
                raise
            self._reached[key] = found
            self._remember(key, (*found.files, *found.absent))
        return found

    def _remember(self, key: str, paths: Iterable[str]) -> None:
        """Note what was looked at for a target, and how it was."""
        for path in paths:
            if path not in self._signatures:
                self._signatures[path] = self._signature(path)
        self._read[key] = {path: self._signatures[path] for path in paths}

    def signatures(self, task: Task) -> tuple[tuple[str, Signature], ...]:
        """The source files that `reach` has read, absolute, as they were then."""
        reach = self.reach(task)
        key = task.spec.script or task.spec.call or ""
        last = self._signed.get(key)
        if last is not None and last[0] is reach:
            return last[1]
        known = ((self._absolute(path), self._signatures[path]) for path in reach.files)
        found = tuple((path, signature) for path, signature in known if signature is not None)
        self._signed[key] = (reach, found)
        return found

    def files(self, task: Task) -> list[tuple[str, bool]]:
        """The source files that were read for a task, and whether each is still as it was then; asks the disk."""
        read = self._read.get(task.spec.script or task.spec.call or "", {})
        return [(path, self._signature(path) == known) for path, known in read.items()]

    def sources(self, task: Task) -> Iterable[str]:
        """The source files that were looked at for a task when it was last read, there or not."""
        return self._read.get(task.spec.script or task.spec.call or "", {}).keys()

    def _source(self) -> Code:
        """What reads source, made when it is first needed: few builds have functions."""
        from buildtool.pycode.code import Code

        self._code = self._code or Code(self._root, self._python_path)
        return self._code

    def look_again(self) -> None:
        """Take nothing for new any more that was looked at."""
        self._looked = -_PATIENCE

    def _refresh(self) -> None:
        """Forget what was read if a file of it has changed since."""
        now = time.monotonic()
        if now - self._looked < _PATIENCE:
            return
        if any(self._signature(path) != known for path, known in self._signatures.items()):
            self._code = None
            self._reached.clear()
            self._signatures.clear()
        self._looked = time.monotonic()

    def _signature(self, path: str) -> Signature | None:
        try:
            st = os.stat(self._absolute(path))
        except OSError:
            return None
        return (st.st_size, st.st_mtime_ns, st.st_ctime_ns, st.st_ino)

    def _absolute(self, path: str) -> str:
        return os.path.normpath(os.path.join(self._root, path))

    # -- what it asks for ------------------------------------------------------------------------------------

    def function(self, task: Task) -> Function | None:
        """What is known of the function; None for a script. Raises as `reach`."""
        if task.spec.call is None:
            return None
        self._refresh()
        code = self._source()
        target = task.spec.call
        return _placed(task, lambda: code.function(target))

    def problems(self, task: Task) -> list[BtError]:
        """Everything that is wrong with how a task's function is called, or with its source."""
        try:
            self.reach(task)
            function = self.function(task)
        except BtError as error:
            return [error]
        if function is None:
            return []
        place = task.spec.at("call")
        facts = (("function", f"{printable(function.path)}:{function.line}"),) if function.path else ()
        found = [
            TaskfileError(text, place=place, facts=facts, hint=hint) for text, hint in misfits(task, function)
        ]
        if any(self._stands_for(name, DECORATED) for name in function.decorators[1:]):
            text = f"`@{DECORATED}` of `{task.spec.call}` stands below another decorator"
            found.append(TaskfileError(text, place=place, facts=facts, hint="make it the first one"))
        return list(found)

    def is_for_the_cloud(self, task: Task) -> bool:
        """Whether `@coiled.function` is the first decorator of a task's function, or made it. Raises as `reach`."""
        function = self.function(task)
        if function is None:
            return False
        first = function.decorators[0] if function.decorators else function.made_by
        return self._stands_for(first, DECORATED)

    def _stands_for(self, name: str, meant: str) -> bool:
        """Whether something is `meant`, or what a call of it gave: `far = coiled.function(…)`, and then `@far`."""
        for _ in range(_ALIASES):
            if name in (meant, ""):
                break
            module, _, attribute = name.rpartition(".")
            try:
                name = self._source().function(f"{module}:{attribute}").made_by if module else ""
            except BtError:
                return False
        return name == meant

    def factory_problem(self, spec: ExecutorSpec) -> BtError | None:
        """Why there is no such `factory`, or why what it gives is no executor; or None."""
        target = str(spec.options["factory"])
        try:
            function = self._source().function(target)
        except TaskfileError as error:
            error.place = error.place or spec.place
            return error
        if function.parameters is None or not (function.is_async or function.is_generator):
            return None  # a decorator may make another function of it
        kind = "an `async` function" if function.is_async else "a generator"
        return TaskfileError(
            f"`{target}` is {kind}: to call it gives no executor",
            place=spec.place,
            facts=(("function", f"{printable(function.path)}:{function.line}"),),
        )

    # -- what it is given ------------------------------------------------------------------------------------

    def slots(self, job: Job) -> tuple[tuple[Slot, ...], tuple[Slot, ...]]:
        """Inputs and outputs as the function sees them: relative to the directory that it runs in."""
        known = self._slots.get(job.id)
        if known is not None and known[0] is job:
            return known[1]
        folder = self._renderer.cwd(job)
        found = self._seen(job.inputs, folder), self._seen(job.outputs, folder)
        if len(self._slots) >= _KEPT:
            self._slots.clear()
        self._slots[job.id] = (job, found)
        return found

    def _seen(self, parts: tuple[Slice, ...], folder: str) -> tuple[Slot, ...]:
        """Inputs or outputs as seen from a folder of the project."""
        paths = self._expander.graph.paths
        return tuple([(part.name, _all_relative(paths(part.files), folder), part.many) for part in parts])

    def wildcards(self, job: Job) -> dict[str, Any]:
        """The values of wildcards and of `foreach`, with the types that they were written with."""
        typed = typed_values(self._renderer.task(job))
        values = self._expander.values[job.id]
        return {name: typed.get(name, {}).get(text, text) for name, text in values.items()}

    def asked(self, job: Job) -> dict[str, Any]:
        """Those of `wildcards` that can make a difference: all, unless the signature tells."""
        values = self.wildcards(job)
        if not values:
            return values
        function = self.function(self._renderer.task(job))
        parameters = function.parameters if function is not None else None
        if parameters is None:
            return values
        if self._parameters is None or self._parameters[0] is not parameters:  # most are as those before
            every = any(parameter.kind == "kwargs" for parameter in parameters)
            names = frozenset(parameter.name for parameter in parameters)
            self._parameters = (parameters, None if every else names)
        wanted = self._parameters[1]
        if wanted is None:
            return values
        return {name: value for name, value in values.items() if name in wanted}

    def text(self, job: Job) -> str:
        """The call as a person would write it."""
        task = self._renderer.task(job)
        words, made = ([_shown(slot) for slot in slots] for slots in self.slots(job))
        arrow = " → " if made else ""
        return f"{task.spec.call or task.spec.script}({', '.join(words)}){arrow}{', '.join(made)}"


def typed_values(task: Task) -> dict[str, dict[str, Any]]:
    """By wildcard and text, the values of `foreach` that are not text in the Taskfile."""
    foreach = task.spec.foreach
    found: dict[str, dict[str, Any]] = {}
    if foreach is None:
        return found
    pairs: Iterable[tuple[str, Any]] = ()
    if foreach.product is not None:
        pairs = ((name, value) for name, values in foreach.product.items() for value in values)
    elif foreach.rows is not None:
        pairs = (pair for row in foreach.rows for pair in row.items())
    for name, value in pairs:
        if not isinstance(value, str):
            found.setdefault(name, {})[scalar_text(value)] = value
    return found


def offers(task: Task) -> dict[str, list[str]]:
    """The names that a function of this task may ask for, each with the kinds of its value (see `annotations`)."""
    found: dict[str, list[str]] = {"inputs": ["paths"], "outputs": ["paths"], "params": ["table"]}
    for word, slots in (("input", task.inputs), ("output", task.outputs)):
        if slots:
            found[word] = ["path" if len(slots) == 1 and not slots[0].many else "paths"]
    for name, kinds in (*_slots(task.inputs), *_slots(task.outputs), *_wildcards(task), *_params(task)):
        found.setdefault(name, []).extend(kinds)
    return found


def _slots(slots: Iterable[Entries]) -> Iterable[tuple[str, list[str]]]:
    return [(slot.name, ["paths" if slot.many else "path"]) for slot in slots if slot.name is not None]


def _wildcards(task: Task) -> Iterable[tuple[str, list[str]]]:
    typed = typed_values(task)
    names = dict.fromkeys(
        (
            *task.names,
            *(name for entry in task.input_entries() for name in entry.pattern.names),
            *(task.rows[0] if task.rows else ()),
        )
    )
    for name in names:
        values = [row[name] for row in task.rows or () if name in row]
        kinds = {kind_of(typed.get(name, {}).get(value, value)) for value in values} or {"text"}
        yield name, sorted(kinds)


def _params(task: Task) -> Iterable[tuple[str, list[str]]]:
    return [(name, [kind_of(value)]) for name, value in task.spec.params.items()]


def _sources(task: Task) -> Mapping[str, list[str]]:
    """By name, every way in which the task gives it a meaning."""
    found: dict[str, list[str]] = {name: ["a name of every job"] for name in ("inputs", "outputs", "params")}
    for word, slots in (("input", task.inputs), ("output", task.outputs)):
        found[word] = ["a name of every job"] if slots else []
    groups = (
        ("an input", _slots(task.inputs)),
        ("an output", _slots(task.outputs)),
        ("a wildcard", _wildcards(task)),
        ("a parameter", _params(task)),
    )
    for what, pairs in groups:
        for name, _ in pairs:
            found.setdefault(name, []).append(what)
    return found


def misfits(task: Task, function: Function) -> Iterable[tuple[str, str | None]]:
    """What is wrong between a task and the signature of its function: sentence and hint."""
    target = task.spec.call
    if function.is_generator:
        yield f"`{target}` is a generator: calling it does nothing", "let it do its work and return"
    if function.parameters is None:
        return
    offered, sources = offers(task), _sources(task)
    open_ended = task.rows_from is not None and task.rows is None  # columns of a table that is not there yet
    for parameter in function.parameters:
        name = parameter.name
        if parameter.kind == "kwargs":
            for other in (n for n, ways in sources.items() if len(ways) > 1):
                yield (
                    f"`{other}`, which `{target}` is given, is {listing(sources[other])}",
                    "rename one of them",
                )
        if parameter.kind in ("args", "kwargs"):
            continue
        if parameter.kind == "positional":
            if parameter.required:
                yield f"`{target}` takes `{name}` by position only", "take the `/` out of its signature"
            continue
        if name not in offered:
            if parameter.required and not open_ended:
                known = listing([f"`{word}`" for word in sorted(offered)])
                yield (
                    f"nothing can fill `{name}` of `{target}`",
                    did_you_mean(name, offered) or f"there is {known}",
                )
            continue
        if len(sources[name]) > 1:
            both = listing(sources[name])
            yield f"`{name}`, which `{target}` asks for, is {both}", "rename one of them"
        elif parameter.annotation is not None:
            wrong = [kind for kind in offered[name] if not fits(parameter.annotation, kind)]
            if wrong:
                yield from _unfit(target or "", name, parameter.annotation, wrong[0])


_WORDS = {
    "path": ("is one file, a `Path`", "write `Path`"),
    "paths": ("is a list of files", "write `list[Path]`"),
    "text": ("is text", "write `str`, and convert it in the function"),
    "table": ("is a table", "write `dict`"),
}


def _unfit(target: str, name: str, annotation: str, kind: str) -> Iterable[tuple[str, str | None]]:
    words, hint = _WORDS.get(kind, (f"is `{kind}`", f"write `{kind}`, or change the value"))
    yield f"`{name}` {words}, and `{target}` wants `{annotation}`", hint


def _placed(task: Task, look: Callable[[], T]) -> T:
    """Look at the source of a task; what is wrong there has the place of the task's key."""
    try:
        return look()
    except TaskfileError as error:
        error.place = error.place or task.spec.at("script" if task.spec.call is None else "call")
        raise


def _relative(path: str, folder: str) -> str:
    """A path as seen from a folder of the project."""
    if folder and not path.startswith("/"):
        path = posixpath.relpath("/" + path, "/" + folder)
    return path.rstrip("/") or "/"


def _all_relative(paths: tuple[str, ...], folder: str) -> tuple[str, ...]:
    if not folder and "/" not in {path[-1:] for path in paths}:
        return paths  # as most are
    return tuple([_relative(path, folder) for path in paths])


def _shown(slot: Slot) -> str:
    name, paths, many = slot
    words = [printable(path) for path in paths[:_SHOWN]] + (["…"] if len(paths) > _SHOWN else [])
    text = f"[{', '.join(words)}]" if many else ", ".join(words)
    return f"{name}={text}" if name is not None else text
