"""Every key of a Taskfile, declared once: what it takes, what it means, and what holds without it.

The checks and the JSON Schema both come from here. Does not read files, and does not make specs.
"""

from __future__ import annotations

from typing import Any

from buildtool.regex import Regex
from buildtool.taskfile import rules
from buildtool.taskfile.kinds import (
    DURATION,
    INVALID,
    SIZE,
    Anything,
    Choice,
    Either,
    Flag,
    Kind,
    ListOf,
    Number,
    Scalar,
    Schema,
    Spot,
    Text,
    parse_duration,
    parse_size,
)
from buildtool.taskfile.pattern import RESERVED
from buildtool.taskfile.tables import Key, Names, Table, TableOf
from buildtool.text import did_you_mean, listing, printable

# --- kinds ---------------------------------------------------------------------------------------

_WORD = "write letters, digits and `_`, and no digit first"
_DASHED = "write letters, digits, `_` and `-`, and a letter or `_` first"
SLOT = Names("the name of an input or output", Regex(r"[A-Za-z_][A-Za-z0-9_]*"), _WORD)
WILDCARD = Names("the name of a wildcard", SLOT.pattern, _WORD, RESERVED)
NAME = Names("a name here", Regex(r"[A-Za-z_][A-Za-z0-9_-]*"), _DASHED)
VARIABLE = Names(
    "the name of an environment variable", Regex(r"[^=\0\s]+"), "write it without `=` and blanks"
)
PARAMETER = Names("the name of a parameter", Regex(r"[^\0]+"), "write a name")
TASK_NAME = Names(
    "the name of a task",
    Regex(r"[A-Za-z_][A-Za-z0-9_.-]*"),
    "write letters, digits, `_`, `.` and `-`, and a letter or `_` first",
)

TEXT = Text()
ANY_TEXT = Text(empty=True)
FLAG = Flag()
SCALAR = Scalar()
TEXTS = Either((TEXT, ListOf(TEXT)), "text or a list of texts")
LINES = Either((TEXT, ListOf(ANY_TEXT, rule=rules.some_line)), "text or a list of lines")
SLOTS = Either((TEXT, ListOf(TEXT), TableOf(TEXTS, SLOT)), "text, a list of texts or a table of them")
ENV = TableOf(SCALAR, VARIABLE, "a table of environment variables")
_LENGTH = {
    "parse": parse_duration,
    "pattern": DURATION,
    "what": 'a duration such as `"10m"`, or a number of seconds',
    "hint": 'write `"30s"`, `"10m"`, `"1.5h"`, `"1d"`, `"2w"` or a number of seconds',
}
SECONDS = Number(**_LENGTH)  # type: ignore[arg-type]
MORE_SECONDS = Number(positive=True, **_LENGTH)  # type: ignore[arg-type]
SIZE_OF = Number(
    parse=parse_size,
    pattern=SIZE,
    what='a size such as `"8GB"`, or a number of bytes',
    hint='write `"8GB"`, `"512 MiB"` or a number of bytes',
)
RESOURCES = Table(
    (
        Key("cpus", Number(positive=True), "CPUs.", 1),
        Key("memory", SIZE_OF, 'Memory: a size such as "8GB" or "512 MiB", or a number of bytes.'),
    ),
    words="a table of numbers",
    others=Number(),
    names=NAME,
)

# --- executors -----------------------------------------------------------------------------------

_PRICE = Key("price", Number(), "What one of its workers costs in an hour, in your currency.")
_WORKERS = Key("workers", Number(whole=True), "How many workers; by default one per CPU.")
_SOME = Number(whole=True, positive=True)
_RANGE = Either(
    (_SOME, ListOf(_WORKERS.kind, rule=rules.least_and_most, rules={"minItems": 2, "maxItems": 2})),
    "a whole number or two of them",
)
_SECURITY = Table(tuple(Key(name, TEXT, f"A PEM file: {what}.") for name, what in (
    ("ca", "who is trusted"), ("cert", "who we are"), ("key", "the secret key of `cert`"),
)))  # fmt: skip
_FETCH = Key(
    "fetch", Choice(("all", "needed")), "Which outputs come home: all, or those that are needed here.", "all"
)
_TYPES = Either((TEXT, ListOf(TEXT, rule=rules.some_item, rules={"minItems": 1})), TEXTS.words)
_WORKER = Table(
    (
        Key("cpus", Number(positive=True), "CPUs of one worker."),
        Key("memory", SIZE_OF._replace(positive=True), "Memory of one worker."),
        Key("vm_type", _TYPES, "The cloud's name of a machine, or several; the rest tells what it has."),
        Key("gpu", Number(whole=True), "GPUs of one worker."),
    )
)
_ANYTHING = TableOf(Anything(), PARAMETER)
_OPTIONS = Table(
    tuple(Key(name, _ANYTHING, "As coiled takes it.") for name in ("tags", "environ", "worker_options")),
    others=Anything(),
    rule=rules.left_to_us,
    rules={"propertyNames": {"not": {"enum": list(rules.OURS)}}},
)
_CLUSTER = Names("the name of a cluster", Regex(r"[A-Za-z0-9_-]+"), "write letters, digits, `_` and `-`")


class _ClusterName(Text):
    """A name that Coiled takes."""

    def check(self, value: Any, spot: Spot) -> Any:
        name = super().check(value, spot)
        if name is not INVALID and not _CLUSTER.pattern.fullmatch(name):
            spot.wrong(f"`{printable(name)}` cannot be {_CLUSTER.noun}", _CLUSTER.hint)
            return INVALID
        return name

    def schema(self) -> Schema:
        return {"type": "string"} | _CLUSTER.schema()


class _Address(Text):
    """Where a dask scheduler listens: without a port nobody answers, and only after a while that is seen."""

    form = Regex(r"(?:(?:tcp|tls|ucx|ws|wss)://)?[^/\s]+:\d{1,5}")

    def check(self, value: Any, spot: Spot) -> Any:
        text = super().check(value, spot)
        if text is not INVALID and not self.form.fullmatch(text):
            spot.wrong(
                f"`{printable(spot.label)}` cannot be `{printable(text)}`", 'write `"tcp://HOST:PORT"`'
            )
            return INVALID
        return text

    def schema(self) -> Schema:
        return {"type": "string", "pattern": f"^{self.form.pattern}$"}


BACKENDS: dict[str, tuple[Key, ...]] = {
    "local": (),
    "threads": (_WORKERS,),
    "processes": (_WORKERS,),
    "loky": (_WORKERS,),
    "dask": (
        Key("address", _Address(), "The scheduler's address."),
        Key("scheduler_file", TEXT, "The file that tells the scheduler's address."),
        Key("workers", Number(whole=True, positive=True), "How many workers a local cluster has."),
        Key("security", _SECURITY, "TLS files."),
        Key("resources", ListOf(TEXT), "Names of `resources` that workers were started with."),
        _FETCH,
        Key("drift", Choice(("warn", "error", "ignore")),
            "What a difference between the workers and this machine does.", "warn"),
    ),
    "coiled": (
        Key("mode", Choice(("cluster", "function")), "A cluster, or serverless functions.", "cluster"),
        Key("name", _ClusterName(), "The cluster's name; a running one is used again."),
        Key("workers", _RANGE, "How many, or the least and the most of them."),
        Key("worker", _WORKER, "What each worker has."),
        Key("region", TEXT, "The cloud's region."),
        _FETCH,
        Key("idle_timeout", MORE_SECONDS, "Stop the cluster when it did nothing for so long.", 20 * 60),
        Key("keepalive", SECONDS, "How long a cluster for functions is kept after the last build that used it.", 30),
        Key("drift", Choice(("warn", "error", "restart", "ignore")),
            "What a difference between the workers and this machine does.", "warn"),
        Key("options", _OPTIONS, "Passed on to coiled as it is."),
    ),
    "custom": (
        _WORKERS,
        Key("factory", TEXT, '"module:function" that takes the number of workers and gives an executor.'),
        Key("remote", FLAG, "Whether its workers do not see this disk.", default=False),
    ),
}  # fmt: skip


_RULES = {
    "dask": (rules.one_cluster, rules.one_cluster_schema()),
    "coiled": (rules.functions_only, rules.functions_only_schema()),
}


def _backend(name: str) -> Table:
    rule, schema = _RULES.get(name, (None, {}))
    about = Key("backend", Choice((name,)), "What runs the jobs.")
    return Table(
        (about, *BACKENDS[name], _PRICE),
        required=("backend", "factory") if name == "custom" else ("backend",),
        marks=lambda v: v.get("backend") == name,
        rule=rule,
        rules=schema,
    )


_NO_BACKEND = Table(
    (Key("backend", Choice(tuple(BACKENDS)), "What runs the jobs."),),
    others=Anything(),
    required=("backend",),
    shown=False,
)
EXECUTORS = Key(
    "executors",
    TableOf(Either((*(_backend(name) for name in BACKENDS), _NO_BACKEND), "a table"), NAME, own=True),
    "Where jobs can run, by name.",
)


EXECUTOR = Text()  # which of `[executors]` there are is checked once all files are read

# --- foreach -------------------------------------------------------------------------------------


class _AtFile(Text):
    """`"@file"`: the lines of that file."""

    def check(self, value: Any, spot: Spot) -> Any:
        text = super().check(value, spot)
        if text is not INVALID and (text[:1] != "@" or not text[1:].strip()):
            spot.wrong(
                f"`{printable(spot.label)}` must be a list, or a file behind `@`",
                'write `["…"]` or `"@file"`',
            )
            return INVALID
        return text

    def schema(self) -> Schema:
        return {"type": "string", "pattern": "^@."}


FOREACH_TABLE = Table(
    (Key("from", TEXT, "A table (CSV or TSV) with a row per job."),),
    marks=lambda table: isinstance(table.get("from"), str),
)
FOREACH_LINES = Table(
    (),
    others=_AtFile(),
    names=WILDCARD,
    marks=lambda table: any(isinstance(v, str) for v in table.values()),
    rule=rules.one_file_of_lines,
    rules={"maxProperties": 1},
)
FOREACH = Either(
    (
        FOREACH_TABLE,
        FOREACH_LINES,
        TableOf(ListOf(SCALAR, "a list of values"), WILDCARD),
        ListOf(TableOf(SCALAR, WILDCARD), rule=rules.same_columns),
    ),
    "a table of lists or a list of tables",
)

# --- tasks ---------------------------------------------------------------------------------------

IGNORABLE = ("code", "command", "shell", "params", "env", "track", "inputs", "needs", "depfile")


class _Ignore(Text):
    """What can be left out of the decision: a word, or a word and one name of that kind."""

    def check(self, value: Any, spot: Spot) -> Any:
        word = super().check(value, spot)
        head, dot, name = word.partition(".") if word is not INVALID else ("", "", "")
        if word is not INVALID and (head not in IGNORABLE or (dot and not name)):
            hint = did_you_mean(head, IGNORABLE) or f"write {listing([f'`{w}`' for w in IGNORABLE], 'or')}"
            spot.wrong(f"`ignore` does not know `{printable(word)}`", hint)
            return INVALID
        return word

    def schema(self) -> Schema:
        return {"type": "string", "pattern": rf"^(?:{'|'.join(IGNORABLE)})(?:\..+)?$"}


_IGNORE = _Ignore()
TRACK = Table(
    (
        Key("env", TEXTS, "Environment variables whose values count."),
        Key("cmd", TEXTS, "Commands whose output counts."),
        Key("files", TEXTS, "Files whose content counts; patterns are allowed."),
    )
)
TASK_KEYS = (
    Key("desc", ANY_TEXT, "One line for `bt list`.", ""),
    Key("group", ANY_TEXT, "The heading under which it is listed.", ""),
    Key("inputs", SLOTS, "What it reads: a pattern, a list, or a table of names. `{name}` is a wildcard."),
    Key("outputs", SLOTS, "What it writes: a pattern, a list, or a table of names."),
    Key("run", LINES, "Shell text, or a list of lines run in one shell."),
    Key("call", TEXT, '"module:function", looked up from the project root.'),
    Key("script", TEXT, "A Python file, run like `call`: `from buildtool import job`."),
    Key("params", TableOf(Anything(), PARAMETER), "Values for `run` and `call`."),
    Key("needs", TEXTS, "Tasks or files that must be up to date first; alone it makes a group."),
    Key("after", TEXTS, "Tasks or files brought up to date first, never a reason to rebuild."),
    Key("foreach", FOREACH, "Wildcard values: lists (all combinations), rows, or a table to read."),
    Key("track", TRACK, "More that decides whether it must run."),
    Key("ignore", Either((_IGNORE, ListOf(_IGNORE)), "text or a list of texts"),
        "What does not decide whether it must run."),
    Key("depfile", TEXT, "A Make-style dependency file that the command writes."),
    Key("env", ENV, "Environment variables."),
    Key("dotenv", TEXTS, "Files with environment variables."),
    Key("cwd", TEXT, "Where it runs, relative to the project root.", "."),
    Key("shell", TEXT, "What runs the text, if not `[bt] shell`."),
    Key("executor", EXECUTOR, "Where it runs, if not the default."),
    Key("resources", RESOURCES, "What it takes while it runs; it starts when all fit."),
    Key("retries", Number(whole=True), "How often it is tried again after it failed.", 0),
    Key("timeout", MORE_SECONDS, 'How long it may take: "30s", "10m", "1.5h" or seconds.'),
    Key("priority", Number(least=None), "Higher starts earlier.", 0),
    Key("temp", FLAG, "Remove the outputs after their last consumer.", default=False),
    Key("keep", FLAG, "Leave old outputs in place for the job to update.", default=False),
    Key("isolated", FLAG, "Run it where only its declared inputs are.", default=False),
    Key("always", FLAG, "Run it on every build.", default=False),
    Key("max_age", SECONDS, 'Run it when its result is older: "12h", "1d", "2w" or seconds.'),
    Key("interactive", FLAG, "Give it the terminal.", default=False),
    Key("serve", FLAG, "A process that stays up under `bt watch`.", default=False),
    Key("hash", TEXT, 'What of the outputs counts: "bytes", "text", "json" or a filter command.', "bytes"),
    Key("cache", FLAG, "Keep its outputs, where `[bt.cache]` keeps any.", default=True),
)  # fmt: skip
_USABLE = tuple(key.name for key in TASK_KEYS if key.supported)
_ALIASES = {
    "cmd": "run", "cmds": "run", "command": "run", "rule": "run", "deps": "needs", "depends": "needs",
    "depends_on": "needs", "dependencies": "needs", "requires": "needs", "sources": "inputs",
    "targets": "outputs", "generates": "outputs", "produces": "outputs", "description": "desc",
    "directory": "cwd", "dir": "cwd",
}  # fmt: skip


def _looks_like_task(value: object) -> bool:
    return isinstance(value, dict) and not {"run", "inputs", "outputs", "needs"}.isdisjoint(value)


def _task_advice(name: str, value: object) -> str | None:
    return (
        f'a dot in a name needs quotes: `[tasks."….{printable(name)}"]`' if _looks_like_task(value) else None
    )


TASK = Table(
    TASK_KEYS,
    words='a table with `run = "…"`',
    aliases=_ALIASES,
    advice=_task_advice,
    rule=rules.task_rule(_USABLE),
    rules=rules.task_schema(_USABLE),
    partial=True,
)

# --- the file ------------------------------------------------------------------------------------

BT = Table(
    (
        Key("default", TEXTS, "Files or tasks to build; by default what no task consumes, and all checks."),
        Key("executor", EXECUTOR, "Where jobs run.", "local"),
        Key("jobs", Number(least=1, whole=True), "How many jobs run at once; by default one per CPU."),
        Key("shell", TEXT, "What runs the text of `run`.", "bash"),
        Key("pools", RESOURCES, "Sizes of resources."),
        Key("python_path", TEXTS, "Directories where functions are looked up, besides the project root."),
        Key("orphans", Choice(("report", "delete")), "What happens to outputs whose task is gone.", "report"),
        Key("allow", TEXTS, "Directories outside the project that outputs may lie in."),
        Key("secrets", TEXTS, "Environment variables whose values are masked wherever they are shown."),
        Key("pass_env", TEXTS, "More environment variables that jobs are given, untracked; `*` is allowed."),
        Key("durable", FLAG, "Whether what is finished survives a power cut.", default=False),
        Key("cache", Table((
            Key("size", SIZE_OF._replace(positive=True), "How much is kept at most."),
            Key("remote", TEXT, "Where it is shared.", supported=False),
            Key("write", FLAG, "Whether this machine may write there.", default=False, supported=False),
        ), required=("size",)), "Outputs of past runs are kept, and come back when all is as it was then."),
    ),
    partial=True,
)  # fmt: skip

VAR = Either(
    (
        SCALAR,
        ListOf(SCALAR),
        Table(
            (
                Key("csv", TEXT, "A CSV file."),
                Key("column", TEXT, "The column of the CSV file that holds the values."),
                Key("lines", TEXT, "A file with one value a line."),
                Key("glob", TEXT, "A pattern with one wildcard, which gives the values."),
                Key("sh", TEXT, "A command whose output is the value."),
            ),
            rule=rules.one_source,
            rules=rules.one_source_schema(),
        ),
    ),
    "text, a number, `true` or `false`, a list of them, or a table",
)


def _file_advice(name: str, value: object) -> str | None:
    return f"write `[tasks.{printable(name)}]`" if _looks_like_task(value) else None


VARS = Key("vars", TableOf(VAR, NAME, own=True), "Values for patterns and commands: `{vars.name}`.")
TASKS: Kind = TableOf(TASK, TASK_NAME, bare=True, own=True)
FILE = Table(
    (
        Key("bt", BT, "How `bt` itself behaves; only in the main file.", bare=True),
        VARS,
        Key("env", ENV, "Environment variables of every job."),
        EXECUTORS,
        Key("tasks", TASKS, "What there is to do, by name."),
        Key("include", TEXTS, "More Taskfiles: paths or globs, relative to the project root."),
    ),
    advice=_file_advice,
    partial=True,
)
