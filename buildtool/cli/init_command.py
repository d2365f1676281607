"""`bt init`."""

from __future__ import annotations

import contextlib
import os

from buildtool.cli.context import Context
from buildtool.cli.printing import put
from buildtool.errors import DiskError, ExitCode, UsageError
from buildtool.taskfile.find import FILE_NAME
from buildtool.text import cause_of, printable

GO_TASK = frozenset(
    f"{start}askfile{middle}.{end}" for start in "Tt" for middle in ("", ".dist") for end in ("yml", "yaml")
)
START = """\
# What `bt` builds. `bt build` brings everything up to date, `bt list` shows the tasks, `bt why FILE` says why
# a file is stale. Every key is described in the JSON Schema for editors: `bt schema`.

[vars]
outdir = "build"                    # used as {vars.outdir}

# One job for each name. `{output}` is the file that the job must write.
[tasks.greet]
desc    = "Write a greeting"
foreach = { name = ["Ada", "Grace"] }
outputs = "{vars.outdir}/{name}.txt"
params  = { word = "Hello" }
run     = "echo {params.word}, {name} > {output}"

# One job for all greetings. It runs again when one of them has new content, or when one comes or goes.
[tasks.letter]
desc    = "Put the greetings together"
inputs  = "{vars.outdir}/*.txt"
outputs = "letter.md"
run     = "cat {input} > {output}"

# Without outputs, a task is a check: it is skipped while its inputs are as they were when it last succeeded.
[tasks.test]
desc   = "See that everybody is greeted"
group  = "checks"
inputs = "letter.md"
run    = \"\"\"
grep -q Ada {input}
grep -q Grace {input}
\"\"\"

# With neither inputs nor outputs, a task is a command: it runs when asked for, here `bt build show`.
[tasks.show]
desc  = "Print the letter"
needs = "letter.md"
run   = "cat letter.md"
"""


def command(context: Context, force: bool) -> int:
    """Write a commented Taskfile.toml to start from. A file that is there is never overwritten."""
    folder = context.start()
    name = context.file or FILE_NAME
    others = sorted(GO_TASK.intersection(os.listdir(folder)))
    if others and not force and not os.path.lexists(os.path.join(folder, name)):
        raise UsageError(
            f"`{others[0]}` is here: this folder belongs to go-task",
            hint="`bt init --force` writes `Taskfile.toml` beside it",
        )
    write_new(os.path.join(folder, name), name)
    put([f"wrote `{printable(name)}`", *START_HINTS])
    return ExitCode.DONE


START_HINTS = (
    "",
    "  bt list        shows its tasks",
    "  bt build       brings everything up to date",
    "  bt build show  also prints the letter",
)


def write_new(path: str, name: str) -> None:
    """Write the start to a file that must not be there yet. Raises `UsageError` or `DiskError`."""
    try:
        file = open(path, "x", encoding="utf-8")  # noqa: SIM115 -- closed below; only the opening may find a file
    except FileExistsError:
        raise UsageError(
            f"`{printable(name)}` is there already, and `bt init` never overwrites it",
            hint="`bt list` shows its tasks; to start afresh, move it away first",
        ) from None
    except OSError as error:
        raise DiskError(f"cannot write `{printable(name)}`: {cause_of(error)}") from error
    try:
        with file:
            file.write(START)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.unlink(path)  # it is ours, and not whole
        raise DiskError(f"cannot write `{printable(name)}`: {cause_of(error)}") from error
