"""Runs one function or script for a job, wherever that is: in a worker process, in a thread, on another machine.

Knows the standard library alone, as all of this room, so that it can be sent to a machine without `buildtool`.
What it is given and what it gives back is plain data; see `perform`.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import linecache
import os
import resource
import sys
import threading
import traceback
from collections.abc import Iterator
from types import ModuleType, TracebackType

from buildtool.runtime import modules
from buildtool.runtime.audit import watch
from buildtool.runtime.children import adopt, end_children, has_children, helpers, stop_forkserver
from buildtool.runtime.job import BindError, Data, Job, bind, job
from buildtool.runtime.modules import StaleError
from buildtool.runtime.surroundings import directory, flush, own_process, own_thread, refuse_shared

_FRAMES = 50  # of a traceback, shown at most
_LONGEST = 2000  # characters of an error's message that are told


def perform(data: Data, output: int | None = None) -> Data:
    """Run one job; how it came out. Never raises for what the job does.

    `output`: a descriptor that takes what it prints, and that is closed afterwards.

    `data`: `id`, `name`, `target` (`module:function`, or the path of a script), `script` (whether it is one),
    `path` (directories for modules), `inputs` and `outputs` (lists of name, paths, whether it is a list),
    `wildcards`, `params`, `cpus`, `env` (None: that of the job before), `cwd`, `channel` (the path of a
    socket that takes the output, where there is no `output`),
    `declared` (those of `env` that the Taskfile sets), `pool` (whether nobody but this function looks after the
    process), `tidy` (whether it ends what the job leaves behind), `asker` (the process that asks), `code` (files
    with their signatures), `audit` (below which directory it is noted what the job opens, or nothing), `shared`
    (whether other jobs run here at the same time).

    Noted in `data`: `begun`, when something of the job's own is run.

    Returned: `id`; `status`: `done`, `failed`, `exit` (the job ended the process; with `code`) or `stale` (this
    process has old code and must be replaced); `cause`, `where` (file, line) of a failure; `peak`, bytes of memory
    that the process had at most; `children` and `threads`, whether it has left such behind, or with the latter
    anything else that the next job must not meet; `helpers`, processes that are no job's; `moved`, whether the
    directory is another one at its end; `ended`, how many processes were; with `audit`, `opened`: paths, each with
    whether to write.
    """
    answer: Data = {"id": data["id"], "status": "done"}
    process, threads = os.getpid(), set(threading.enumerate())
    guest = not data["shared"] and threading.current_thread() is not threading.main_thread()
    if guest:
        data["shared"] = True  # what belongs to the whole process is not this job's to change
    ours = not data["shared"] and process != data["asker"]
    if ours:
        adopt()
    try:
        if guest or process == data["asker"]:
            refuse_shared(data, guest=guest)
        with own_thread(data, output) if data["shared"] else own_process(data, output):
            _run(data, answer)
            answer["moved"] = _has_moved(data["cwd"])
            if guest and answer["moved"]:
                os.chdir(data["cwd"])  # those who asked need it themselves
    except BaseException as error:  # noqa: BLE001  whatever it is, somebody waits for the answer
        answer |= {"status": "failed", "cause": told(error)}
    if os.getpid() != process:
        os._exit(0)  # the job forked, and this is the child: the parent answers
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    answer["peak"] = peak * (1 if sys.platform == "darwin" else 1024)
    answer["children"] = ours and _left(data, answer)
    answer["helpers"] = sorted(helpers())
    stray = not data["shared"] and not threads.issuperset(threading.enumerate())
    answer["threads"] = stray or bool(data.get("spoiled"))
    return answer


def _has_moved(cwd: str) -> bool:
    now = directory()
    return now != cwd and now != os.path.realpath(cwd)


def _left(data: Data, answer: Data) -> bool:
    """Whether the job left processes behind; where nobody else does so, they are ended."""
    if not has_children():
        return False
    stop_forkserver()
    if data["tidy"]:
        answer["ended"] = end_children()
    return has_children()


def _run(data: Data, answer: Data) -> None:
    """Call the function, and note in `answer` how it ended."""
    this = Job(data)
    job.set_current(this, shared=data["shared"])
    try:
        try:
            modules.set_path(data["path"])
            modules.refuse_other(data["code"])
            modules.refuse_stale(data["code"])
            with _watching(data, answer):
                data["begun"] = True
                _call(data, this)
            modules.refuse_stale(data["code"])
        finally:
            job.set_current(None, shared=data["shared"])
    except StaleError:
        modules.forget()
        answer["status"] = "stale"
    except SystemExit as error:
        code = error.code
        if code is not None and not isinstance(code, int):
            with contextlib.suppress(Exception):
                sys.stderr.write(f"{code}\n")
            code = 1
        answer |= {"status": "exit", "code": code or 0}
    except BindError as error:
        answer |= {"status": "failed", "cause": str(error)}
    except BaseException as error:  # noqa: BLE001  a job may raise anything, and only the job fails
        answer |= {"status": "failed", "cause": told(error), "memory": isinstance(error, MemoryError)}
        where = _show(error, data)
        if where is not None:
            answer["where"] = where
    finally:
        flush()


@contextlib.contextmanager
def _watching(data: Data, answer: Data) -> Iterator[None]:
    """Note in `answer` what the job opens, if that is asked for."""
    if not data["audit"]:
        yield
        return
    found: list[tuple[str, bool]] = []
    with watch(data["audit"], found, shared=data["shared"]):
        yield
    answer["opened"] = found


def _call(data: Data, this: Job) -> None:
    if data["script"]:
        _run_script(data)
        return
    function = modules.load(data["target"])
    found = function(**bind(function, this.values()))
    if inspect.iscoroutine(found):
        import asyncio

        asyncio.run(found)


def _run_script(data: Data) -> None:
    """Run a file as Python runs a program: its names are those of `__main__`."""
    path = data["target"]
    with open(path, "rb") as file:
        code = compile(file.read(), path, "exec", dont_inherit=True)
    main = ModuleType("__main__")
    main.__dict__.update(__file__=path, __builtins__=__builtins__)
    before, argv = sys.modules.get("__main__"), sys.argv
    if not data["shared"]:
        sys.modules["__main__"] = main
        sys.argv = [path]
    try:
        exec(code, main.__dict__)  # noqa: S102  running the user's script is what is asked for
    finally:
        if not data["shared"] and before is not None:
            sys.modules["__main__"], sys.argv = before, argv


def told(error: BaseException) -> str:
    """The error in one line, not too long a one: all of it is in the traceback."""
    line = _line(error)
    over = len(line) - _LONGEST
    return line if over <= 0 else f"{line[:_LONGEST]} … ({over} more characters)"


def _line(error: BaseException) -> str:
    name = type(error).__name__
    try:
        text = " ".join(str(error).split())
    except Exception:  # noqa: BLE001  a job's own `__str__` may raise anything
        text = "(it cannot be shown)"
    if type(error) is OSError and len(error.args) == 1:
        return text  # ours
    return f"{name}: {text}" if text else name


def _show(error: BaseException, data: Data) -> tuple[str, int] | None:
    """Print the traceback without our own frames; the file and line of the job's code where it was raised."""
    frames = error.__traceback__
    while frames is not None and frames.tb_frame.f_code.co_filename in _OURS:
        frames = frames.tb_next
    _cut(error)
    flush()
    linecache.checkcache()
    try:
        lines = traceback.format_exception(type(error), error, frames, limit=_FRAMES)
        sys.stderr.write("".join(lines))
    except Exception:  # noqa: BLE001  the job may have closed the stream, or the error cannot be shown
        lines = traceback.format_tb(frames, limit=_FRAMES)
        with contextlib.suppress(OSError):
            os.write(2, "".join([*lines, _line(error), "\n"]).encode("utf-8", "backslashreplace"))
    return _own_line(frames, data)


_CHILD = os.path.join(os.path.dirname(perform.__code__.co_filename), "child.py")
_OURS = (
    perform.__code__.co_filename,
    modules.load.__code__.co_filename,
    "<frozen importlib._bootstrap>",
    importlib.__file__,
)


def _cut(error: BaseException | None) -> None:
    """Take who told the job to end out of the tracebacks: that is a frame of ours, too."""
    for _ in range(_FRAMES):
        if error is None:
            return
        frame = error.__traceback__
        while frame is not None and frame.tb_next is not None:
            if frame.tb_next.tb_frame.f_code.co_filename == _CHILD:
                frame.tb_next = None
            frame = frame.tb_next
        error = error.__context__


def _own_line(frames: TracebackType | None, data: Data) -> tuple[str, int] | None:
    found = None
    while frames is not None:
        path = os.path.abspath(frames.tb_frame.f_code.co_filename)
        if path in modules.loaded or path == data["target"]:
            found = (path, frames.tb_lineno)
        frames = frames.tb_next
    return found
