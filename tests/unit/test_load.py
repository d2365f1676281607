from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from buildtool.errors import BtError, Problems, TaskfileError
from buildtool.fingerprint import IGNORABLE as IGNORABLE_ITEMS
from buildtool.taskfile.find import find_taskfile
from buildtool.taskfile.keys import IGNORABLE
from buildtool.taskfile.kinds import parse_duration, parse_size
from buildtool.taskfile.load import LARGEST, load_taskfile
from buildtool.taskfile.specs import Taskfile

GOOD = """\
x-mine = 1
[bt]
default = ["all", "report.txt"]
executor = "local"
jobs = 8
pools = { db = 1, memory = "8GB" }
secrets = ["TOKEN"]
pass_env = ["AWS_*"]
allow = ["/scratch"]
orphans = "delete"

[vars]
outdir = "build"
samples = ["A", "B"]
ids = { csv = "s.csv", column = "id" }
rev = { sh = "git rev-parse HEAD" }

[env]
LC_ALL = "C"
DEBUG = true
LEVEL = 3

[tasks]
x-common = 5

[tasks.trim]
desc = "Trim"
inputs = "raw/{sample}.fq"
outputs = ["{vars.outdir}/{sample}.fq", "log/{sample}"]
run = ["set -x", "fastp -i {input}"]
params = { k = 21, deep = { list = [1, "x"] } }
resources = { cpus = 4, memory = "512 MiB", gpu = 1 }
timeout = "10m"
max_age = "1.5h"
retries = 2
priority = -1
ignore = ["code", "inputs.ref"]
track = { env = ["CC"], cmd = ["gcc --version"], files = "conf/*.yml" }
depfile = "{output}.d"
foreach = { sample = ["A", 1], n = [true] }
x-note = "mine"

[tasks."a.b"]
inputs = { reads = ["a", "b"], ref = "c" }
outputs = {}
foreach = [{ s = "A", n = 1 }, { s = "B", n = 2 }]
run = "x"
dotenv = ".env"
cwd = "sub"

[tasks.table]
foreach = { from = "samples.csv" }
run = "x"

[tasks.all]
needs = ["trim", "report.txt"]
after = "a.b"
"""


def load(folder: Path, text: str | bytes = "", **others: str) -> Taskfile:
    raw = text.encode() if isinstance(text, str) else text
    (folder / "Taskfile.toml").write_bytes(raw)
    for name, content in others.items():
        (folder / f"{name}.toml").write_text(content)
    return load_taskfile(str(folder / "Taskfile.toml"))


def mistakes(folder: Path, text: str | bytes, **others: str) -> list[BtError]:
    with pytest.raises(BtError) as caught:
        load(folder, text, **others)
    error = caught.value
    found = error.errors if isinstance(error, Problems) else [error]
    for one in found:
        assert isinstance(one, TaskfileError)
        assert "\n" not in one.summary + (one.hint or "")
        assert not one.summary.endswith(".")
        if one.place:
            assert 1 <= one.place.column <= one.place.end <= len(one.place.text) + 1
    return found


def test_a_good_file_is_read_whole(tmp_path: Path) -> None:
    file = load(tmp_path, GOOD)
    assert (file.root, file.path, file.sources) == (str(tmp_path), "Taskfile.toml", ("Taskfile.toml",))
    bt = file.settings
    assert [word.text for word in bt.default or ()] == ["all", "report.txt"]
    assert (bt.jobs, bt.pools, bt.orphans) == (8, {"db": 1, "memory": 8e9}, "delete")
    assert (bt.secrets, bt.pass_env, bt.allow) == (("TOKEN",), ("AWS_*",), ("/scratch",))
    assert file.vars["outdir"].value == "build"
    assert file.vars["samples"].items == ("A", "B")
    assert file.vars["ids"].csv == ("s.csv", "id")
    assert file.vars["rev"].sh == "git rev-parse HEAD"
    assert file.env == {"LC_ALL": "C", "DEBUG": "true", "LEVEL": "3"}
    assert list(file.tasks) == ["trim", "a.b", "table", "all"]


def test_tasks_hold_what_was_written_and_where(tmp_path: Path) -> None:
    tasks = load(tmp_path, GOOD).tasks
    trim, dotted = tasks["trim"], tasks["a.b"]
    assert [(s.name, [w.text for w in s.words], s.many) for s in trim.inputs] == [
        (None, ["raw/{sample}.fq"], False)
    ]
    assert [(s.name, len(s.words), s.many) for s in trim.outputs] == [(None, 2, True)]
    assert [(s.name, len(s.words), s.many) for s in dotted.inputs] == [("reads", 2, True), ("ref", 1, False)]
    assert dotted.outputs == ()
    assert trim.run == "set -x\nfastp -i {input}"
    assert trim.params == {"k": 21, "deep": {"list": [1, "x"]}}
    assert trim.resources == {"cpus": 4, "memory": 512 * 1024**2, "gpu": 1}
    assert (trim.timeout, trim.max_age, trim.retries, trim.priority) == (600, 5400, 2, -1)
    assert trim.track.files[0].text == "conf/*.yml"
    assert trim.foreach is not None
    assert trim.foreach.product == {"sample": ("A", 1), "n": (True,)}
    assert dotted.foreach is not None
    assert dotted.foreach.rows == ({"s": "A", "n": 1}, {"s": "B", "n": 2})
    table = tasks["table"].foreach
    assert table is not None
    assert table.table is not None
    assert table.table.text == "samples.csv"
    assert (trim.place.line, trim.place.text) == (26, "[tasks.trim]")
    assert trim.at("run").text.startswith("run = ")
    assert trim.at("env") == trim.place
    second = tasks["all"].needs[1]
    assert second.place.text[second.place.column - 1 : second.place.end - 1] == '"report.txt"'


@pytest.mark.parametrize(
    "text", ["", "\n", "# nothing", "\ufeff", "[tasks]", "[tasks.x]\nforeach = []\nrun='x'"]
)
def test_little_is_enough(tmp_path: Path, text: str) -> None:
    assert load(tmp_path, text).settings.shell == "bash"


def test_bom_and_crlf_change_nothing(tmp_path: Path) -> None:
    plain = load(tmp_path, GOOD)
    other = load(tmp_path, "\ufeff" + GOOD.replace("\n", "\r\n"))
    for name, spec in plain.tasks.items():
        if spec.run:
            assert other.tasks[name].in_run(1, 2) == spec.in_run(1, 2)
    assert comparable(other) == comparable(plain)


def comparable(taskfile: Taskfile) -> Taskfile:
    """The Taskfile without the functions in it."""
    return taskfile._replace(
        tasks={name: spec._replace(run_place=None) for name, spec in taskfile.tasks.items()}
    )


T = "[tasks.t]\nrun = 'x'\n"
LAB = "[executors.lab]\nbackend = 'dask'\n"
FARM = "[executors.farm]\nbackend = 'coiled'\n"
WRONG: list[tuple[str, list[tuple[int, int, str, str]]]] = [
    # syntax
    ("a = 1\nb", [(2, 2, "expected '=' after a key", "")]),
    ("[tasks.t]\nrun = x", [(2, 7, "invalid value", "quotes")]),
    ("[a.b]\n[c]\n[a.b]", [(3, 2, "table `[a.b]` is defined twice", "rename")]),
    ("a = 1\na = 2", [(2, 6, "cannot overwrite", "only once")]),
    # keys
    ("[task.t]\nrun = 'x'", [(1, 2, "unknown key `task`", "`tasks`")]),
    ("[build]\nrun = 'x'", [(1, 2, "unknown key `build`", "`[tasks.build]`")]),
    (
        "[tasks.t]\nrum = 'x'\ninput = 'a'",
        [(2, 1, "unknown key `rum`", "`run`"), (3, 1, "`input`", "`inputs`")],
    ),
    ("[tasks.t]\ncmd = 'x'", [(2, 1, "unknown key `cmd`", "`run`")]),
    ("[tasks.a.b]\nrun = 'x'", [(1, 10, "unknown key `b`", "quotes")]),
    ("[bt]\nshel = 'x'\nx-a = 1", [(2, 1, "unknown key `shel`", "`shell`")]),
    (T + "track = { file = 'a' }", [(3, 11, "unknown key `file`", "`files`")]),
    (
        "[vars]\nv = { cvs = 'a', column = 'b' }",
        [(2, 7, "`cvs`", "`csv`"), (2, 18, "without a `csv`", "add")],
    ),
    # kinds
    ("tasks = 1", [(1, 9, "`tasks` must be a table, not a number", "")]),
    ("[tasks]\nt = 'echo'", [(2, 5, "`tasks.t` must be a table", "")]),
    (T + "inputs = 3", [(3, 10, "must be text, a list of texts or a table of them, not a number", "")]),
    (T + "needs = [\n 'a',\n 1,\n]", [(5, 2, "every item of `needs` must be text, not a number", "")]),
    (T + "inputs = { a = 1 }", [(3, 16, "`inputs.a` must be text or a list of texts", "")]),
    (T + "always = 'yes'", [(3, 10, "`always` must be `true` or `false`, not text", "")]),
    (T + "retries = 1.5", [(3, 11, "whole number, not `1.5`", "")]),
    (T + "retries = true", [(3, 11, "whole number, not `true`", "")]),
    (T + "retries = -1", [(3, 11, "less than 0", "")]),
    (T + "timeout = '10 minutes'", [(3, 11, "`timeout` cannot be `10 minutes`", '"10m"')]),
    (T + "timeout = 0", [(3, 11, "more than 0", "")]),
    (T + "max_age = []", [(3, 11, "must be a duration", "")]),
    (T + "resources = { memory = '8G', gpu = 'a' }", [(3, 24, "`8G`", "8GB"), (3, 36, "a number", "")]),
    (T + "resources = { cpus = -1 }", [(3, 22, "less than 0", "")]),
    (T + "priority = inf", [(3, 12, "out of range", "")]),
    (T + "params = { d = 2024-01-01 }", [(3, 16, "not a date or time", 'write it as text: `"2024-01-01"`')]),
    ("[bt]\njobs = 0", [(2, 8, "less than 1", "")]),
    ("[bt]\norphans = 'deleet'", [(2, 11, "cannot be `deleet`", "`delete`")]),
    ("[vars]\nv = 2024-01-01", [(2, 5, "not a date or time", "")]),
    ("[env]\nA = ['x']", [(2, 5, "`env.A` must be text, a number", "")]),
    (T + "ignore = ['code', 'comand']", [(3, 19, "does not know `comand`", "`command`")]),
    # texts
    (T + "inputs = ''", [(3, 10, "empty text", "leave it out")]),
    (T + "needs = ['a', ' ']", [(3, 15, "empty text", "")]),
    (T + 'desc = "a\\u0000b"', [(3, 8, "NUL", "")]),
    ("[tasks.t]\nrun = ''", [(2, 7, "empty", "")]),
    ("[tasks.t]\nrun = ['', ' ']", [(2, 7, "`run` is empty", "")]),
    # names
    ("[tasks.'a b']\nrun = 'x'", [(1, 8, "`a b` cannot be the name of a task", "letters")]),
    (T + "inputs = { a-b = 'x' }", [(3, 12, "`a-b` cannot be the name of an input", "digits")]),
    (T + "foreach = { a-b = ['x'] }", [(3, 13, "name of a wildcard", "")]),
    (T + "foreach = { input = ['x'] }", [(3, 13, "name of a wildcard", "its own")]),
    (T + "inputs = {r='a'}\noutputs = {r='b'}", [(4, 12, "`r` names an input and an output", "another")]),
    ("[env]\n'A=B' = 1", [(2, 1, "environment variable", "`=`")]),
    # what goes together
    ("[tasks.t]\ndesc = 'x'", [(1, 8, "task `t` does nothing", "`needs` alone")]),
    ("[tasks.t]\nneeds = 'a'\noutputs = 'x'", [(3, 1, "`outputs` needs `run`", "")]),
    (T + "temp = true", [(3, 1, "`temp` needs `outputs`", "")]),
    (T + "depfile = 'x'", [(3, 1, "`depfile` needs `outputs`", "")]),
    ("[tasks.t]\nneeds = 'a'\ndepfile = 'x'", [(3, 1, "needs `run`", ""), (3, 1, "needs `outputs`", "")]),
    (T + "foreach = [{a=1},\n{b=1}]", [(4, 1, "different keys", "`a`")]),
    (T + "foreach = { a = 'x.txt' }", [(3, 17, "`foreach.a` must be a list", "")]),
    (T + "foreach = 'x'", [(3, 11, "`foreach` must be a table of lists", "")]),
    ("[vars]\nv = { lines = 'a', sh = 'b' }", [(2, 1, "exactly one of", "")]),
    ("[vars]\nv = { csv = 'a' }", [(2, 1, "needs a `column`", "")]),
    # not yet
    ("[tasks.t]\ncall = 'a:b'\nshell = 'sh'", [(3, 1, "`shell` needs `run`", "leave `shell` out")]),
    ("[tasks.t]\nscript = 'a.py'\ninteractive = true", [(3, 1, "`interactive` needs `run`", "")]),
    ("[tasks.t]\nscript = 'a.py'\ncall = 'a:b'", [(3, 1, "`script` and `call` exclude each other", "")]),
    (T + "foreach = { x = '@list', y = '@list' }", [(3, 26, "of one wildcard", "from")]),
    (T + "foreach = { x = '@' }", [(3, 17, "a file behind `@`", "@file")]),
    ("[executors.lab]\nbackend = 'coiled'\ndrift = 'no'", [(3, 9, "drift", "warn")]),
    (FARM + "workers = [5, 2]", [(3, 11, "larger number first", "[0, 4]")]),
    (FARM + "workers = [1, 2, 3]", [(3, 11, "must be two numbers, not 3", "[0, 4]")]),
    (FARM + "workers = [0, 0]", [(3, 11, "allows none", "[0, 4]")]),
    (FARM + "workers = 0", [(3, 11, "must be more than 0", "")]),
    (FARM + "name = 'a b'", [(3, 8, "cannot be the name of a cluster", "letters")]),
    (FARM + "keepalive = '1m'", [(3, 1, 'needs `mode = "function"`', "idle_timeout")]),
    (LAB + "address = 'lab'", [(3, 11, "cannot be `lab`", "tcp://HOST:PORT")]),
    (LAB + "workers = 0", [(3, 11, "must be more than 0", "")]),
    (
        LAB + "address = 'lab:1'\nworkers = 2",
        [(4, 1, "`address` and `workers` exclude each other", "keep one")],
    ),
    (
        LAB + "security = { ca = 'a', cert = 'b', key = 'c' }",
        [(3, 1, "`security` needs `address`", "tls://")],
    ),
    (FARM + "idle_timeout = 0", [(3, 16, "must be more than 0", "")]),
    (FARM + "worker = { cpus = 0 }", [(3, 19, "must be more than 0", "")]),
    (FARM + "worker = { memory = 0 }", [(3, 21, "must be more than 0", "")]),
    (FARM + "worker = { gpu = 1.5 }", [(3, 18, "whole number", "")]),
    (FARM + "worker = { vm_type = [] }", [(3, 22, "is an empty list", "")]),
    (FARM + "options = 'x'", [(3, 11, "`executors.farm.options` must be a table", "")]),
    (FARM + "options = { tags = 'x' }", [(3, 20, "`executors.farm.options.tags` must be a table", "")]),
    (FARM + "options = { n_workers = 3 }", [(3, 13, "`n_workers` is for `bt` to say", "`workers`")]),
    (
        FARM + "options = { shutdown_on_close = true }",
        [(3, 13, "`shutdown_on_close` is for", "leave it out")],
    ),
    ("[executors.lab]\nbackend = 'custom'", [(1, 12, "needs `factory`", "")]),
    ("[bt]\nexecutor = 'locl'", [(2, 12, "no executor is called `locl`", "`local`")]),
    ("[bt.cache]\nsize = '4GB'\nremote = 'x'", [(3, 1, "`remote` is not supported yet", "")]),
    ("[bt]\ncache = {}", [(2, 1, "`cache` needs `size`", "")]),
    # include
    ("include = ['rule.toml']", [(1, 12, "no file `rule.toml`", "`rules.toml`")]),
    ("include = ['../x.toml']", [(1, 12, "outside the project", "")]),
    ("include = 'folder'", [(1, 11, "`folder` is a directory", "")]),
]


@pytest.mark.parametrize(("text", "expected"), WRONG, ids=[text[-40:] for text, _ in WRONG])
def test_a_mistake_is_told_with_its_place(
    tmp_path: Path, text: str, expected: list[tuple[int, int, str, str]]
) -> None:
    (tmp_path / "folder").mkdir()
    found = mistakes(tmp_path, text, rules="")
    assert len(found) == len(expected), [e.summary for e in found]
    for error, (line, column, summary, hint) in zip(found, expected, strict=True):
        assert (error.place[1:3] if error.place else (0, 0)) == (line, column), error.summary
        assert summary in error.summary
        assert hint in (error.hint or "")
        if error.place:
            assert error.place.text == text.split("\n")[line - 1]


def test_places_survive_bom_and_crlf(tmp_path: Path) -> None:
    (error,) = mistakes(tmp_path, "\ufeffa = 1\r\n")
    assert error.place == ("Taskfile.toml", 1, 1, 2, "a = 1")
    (error,) = mistakes(tmp_path, "\ufeff[bt]\r\njobs = = 1\r\n")
    assert error.place is not None
    assert error.place[1:3] == (2, 8)


@pytest.mark.parametrize(
    ("raw", "summary"),
    [
        (b"a = 'x'\nb = '\xff'", "not UTF-8"),
        ("[tasks]".encode("utf-16"), "not UTF-8"),
        (b"x-a = " + b"[" * 5000, "nested too deeply"),
        (b"x-a = " + b"[" * 300 + b"]" * 300, ""),
        (b"[vars]\nx = 1" + b"0" * 5000, "out of range"),
        (b"[vars]\nx = 0x1" + b"0" * 5000, "out of range"),
        (b"x-a = '\0'", "invalid character"),
        (b" " * (LARGEST + 1), "larger than"),
    ],
)
def test_strange_files(tmp_path: Path, raw: bytes, summary: str) -> None:
    if summary:
        assert summary in mistakes(tmp_path, raw)[0].summary
    else:
        load(tmp_path, raw)


def test_the_byte_that_is_not_text_has_a_place(tmp_path: Path) -> None:
    (error,) = mistakes(tmp_path, b"\xef\xbb\xbfa = 'x'\r\nb = '\xff'\r\n")
    assert error.place is not None
    assert error.place[1:4] == (2, 6, 7)


def test_files_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "Taskfile.toml"
    for make, summary in ((None, "no such file"), (path.mkdir, "is a directory")):
        if make:
            make()
        with pytest.raises(TaskfileError, match=summary):
            load_taskfile(str(path))
    path.rmdir()
    os.mkfifo(path)
    with pytest.raises(TaskfileError, match="not a plain file"):
        load_taskfile(str(path))


def test_the_nearest_taskfile_above_is_found(tmp_path: Path) -> None:
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    assert find_taskfile(str(below)) is None
    load(tmp_path)
    assert find_taskfile(str(below)) == str(tmp_path / "Taskfile.toml")
    load(tmp_path / "a")
    assert find_taskfile(str(below)) == str(tmp_path / "a" / "Taskfile.toml")


def test_included_files_are_merged_and_read_once(tmp_path: Path) -> None:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "b.toml").write_text("include = 'one.toml'\n[tasks.b]\nrun='b'\n")
    (tmp_path / "rules" / "a.toml").write_text("include = 'Taskfile.toml'\n[vars]\nv = 1\n[env]\nE = 1\n")
    main = "include = ['rules/*.toml', './one.toml', 'none/*.toml']\n[tasks.a]\nrun='a'\n"
    file = load(tmp_path, main, one="[tasks.c]\n\nrun='c'\n")
    assert file.sources == ("Taskfile.toml", "rules/a.toml", "rules/b.toml", "one.toml")
    assert list(file.tasks) == ["a", "b", "c"]
    assert (list(file.vars), file.env) == (["v"], {"E": "1"})
    assert file.tasks["c"].at("run")[:2] == ("one.toml", 3)


def test_one_name_in_two_files_names_both_places(tmp_path: Path) -> None:
    main = "include = 'one.toml'\n[vars]\nv = 1\n[tasks.a]\nrun='a'\n"
    found = mistakes(tmp_path, main, one="[tasks.a]\nrun='c'\n[vars]\nv = 1\n[bt]\njobs=1")
    assert [(e.summary, e.place and e.place[:2], e.facts) for e in found] == [
        ("task `a` is defined twice", ("one.toml", 1), (("first", "Taskfile.toml:4"),)),
        ("variable `v` is defined twice", ("one.toml", 4), (("first", "Taskfile.toml:3"),)),
        ("`[bt]` belongs in the main file", ("one.toml", 5), (("main file", "Taskfile.toml"),)),
    ]


def test_mistakes_of_all_files_are_told_at_once(tmp_path: Path) -> None:
    found = mistakes(
        tmp_path, "include = ['one.toml', 'two.toml']\nz = 1", one="b = ", two="[tasks.t]\nrun = 1"
    )
    assert [e.place and e.place[:3] for e in found] == [
        ("Taskfile.toml", 2, 1),
        ("one.toml", 1, 5),
        ("two.toml", 2, 7),
    ]


def test_every_beginning_and_many_changes_end_cleanly(tmp_path: Path) -> None:
    raw = GOOD.encode()
    rng = random.Random(1)  # noqa: S311  no secret
    cases = [raw[:n] for n in range(len(raw))]
    for _ in range(1500):
        at = rng.randrange(len(raw))
        new = bytes(
            [rng.choice(b"\0\n\r\"'[]{}=.,#\\ \xff1a-") if rng.random() < 0.9 else rng.randrange(256)]
        )
        cases.append(raw[:at] + rng.choice((new, b"", new + raw[at : at + 1])) + raw[at + 1 :])
    for case in cases:
        try:
            load(tmp_path, case)
        except BtError:
            continue


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("10m", 600),
        ("1.5h", 5400),
        ("30s", 30),
        ("1d", 86400),
        ("2w", 1209600),
        ("500ms", 0.5),
        ("1 h", 3600),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    ("text", "number"),
    [("8GB", 8e9), ("512 MiB", 512 * 2**20), ("1kB", 1000), ("1KiB", 1024), ("1.5 MB", 1.5e6), ("7B", 7)],
)
def test_sizes(text: str, number: float) -> None:
    assert parse_size(text) == number


@pytest.mark.parametrize("text", ["", "m", "-1m", "1 m ", "1e3s", "٣m", "1.m", "1y", "8G", "8 bytes"])
def test_neither(text: str) -> None:
    assert parse_duration(text) is None
    assert parse_size(text) is None


def test_what_can_be_ignored_is_what_fingerprints_know() -> None:
    assert set(IGNORABLE) == set(IGNORABLE_ITEMS)
