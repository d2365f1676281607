"""What a job tells its function or script, and how a function is given it.

Knows nothing of processes or output.
"""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

Data = dict[str, Any]  # plain: text, numbers, lists and tables of them, and TOML's times
FIXED = ("input", "inputs", "output", "outputs", "params")  # names that mean the same in every job


class BindError(Exception):
    """A function asks for something that the job does not have."""


class Names(dict[str, Any]):
    """A table whose keys are attributes, too: `params["k"]` and `params.k`."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"there is no `{name}`; there is {', '.join(self) or 'nothing'}") from None


class Files(list[Path]):
    """The inputs or outputs of a job in declared order; those with a name are attributes, too."""

    def __init__(self, slots: list[tuple[str | None, list[str], bool]]) -> None:
        super().__init__(Path(path) for _, paths, _ in slots for path in paths)
        self.names = Names(
            {
                name: [Path(path) for path in paths] if many else Path(paths[0])
                for name, paths, many in slots
                if name is not None
            }
        )
        self._single = len(slots) == 1 and not slots[0][2]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.names, name)

    @property
    def one(self) -> Path | Files:
        """The path itself where one was declared, else all of them."""
        return self[0] if self._single else self


class Job:
    """What a function or script is told of its job.

    `input` and `output` are a `Path` where the Taskfile names one, else a list; `inputs` and `outputs` always are
    lists. `wildcards` and `params` are tables.
    """

    def __init__(self, data: Data) -> None:
        self.name: str = data["name"]
        self.inputs = Files(data["inputs"])
        self.outputs = Files(data["outputs"])
        self.input: Path | Files = self.inputs.one
        self.output: Path | Files = self.outputs.one
        self.wildcards = Names(data["wildcards"])
        self.params = Names(data["params"])
        self.cpus: str = data["cpus"]

    def values(self) -> Data:
        """All that a function can ask for by the names in its signature."""
        found: Data = {**self.params, **self.wildcards, **self.inputs.names, **self.outputs.names}
        given: Data = {"inputs": self.inputs, "outputs": self.outputs, "params": self.params}
        if self.inputs:
            given["input"] = self.input
        if self.outputs:
            given["output"] = self.output
        return found | given


class Current:
    """`from buildtool import job`: the job that runs in this thread, or else in this process."""

    def __init__(self) -> None:
        self.__dict__["_of_thread"] = threading.local()
        self.__dict__["_of_process"] = None

    def set_current(self, job: Job | None, *, shared: bool) -> None:
        """From now on this job runs; `shared`: in this thread alone."""
        if shared:
            self._of_thread.job = job
        else:
            self.__dict__["_of_process"] = job

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._of_thread, "job", None) or self._of_process
        if found is None:
            raise RuntimeError("no job runs here: `job` is there for scripts that `bt` runs")
        return getattr(found, name)


job = Current()


def _parameters(function: Callable[..., Any]) -> tuple[inspect.Parameter, ...]:
    try:
        return _remembered(function)
    except TypeError:  # an object that cannot be a key
        return _looked_up(function)


def _looked_up(function: Callable[..., Any]) -> tuple[inspect.Parameter, ...]:
    try:
        return tuple(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # written in C, and silent about itself
        return ()


_remembered = functools.lru_cache(maxsize=64)(_looked_up)


def bind(function: Callable[..., Any], values: Mapping[str, Any]) -> Data:
    """What to call the function with. Raises BindError for a name that nothing can fill."""
    found: Data = {}
    for parameter in _parameters(function):
        if parameter.kind is parameter.VAR_KEYWORD:
            found = {**{k: v for k, v in values.items() if k not in FIXED}, **found}
        elif parameter.kind is parameter.VAR_POSITIONAL:
            continue
        elif parameter.name in values and parameter.kind is not parameter.POSITIONAL_ONLY:
            found[parameter.name] = values[parameter.name]
        elif parameter.default is parameter.empty:
            raise BindError(f"nothing can fill `{parameter.name}`; there is {', '.join(sorted(values))}")
    return found
