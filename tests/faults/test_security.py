"""Values that would be commands, paths that lead out, repositories that nobody trusts, and what others may see."""

from __future__ import annotations

import ast
import getpass
import os
import re
import stat
import subprocess
from pathlib import Path

import pytest

import buildtool
from support.effort import some
from support.project import Project
from support.terminal import Terminal

CANARIES = [
    "$(touch canary)",
    "`touch canary`",
    "; touch canary",
    "'; touch canary; '",
    '"; touch canary; "',
    "a\ntouch canary\nb",
    "| touch canary",
    "& touch canary &",
    "> canary",
    "x$(touch${IFS}canary)",
    "${x:=$(touch canary)}",
    "\\$(touch canary)",
    "!touch canary",
    "a'$(touch canary)'b",
    "$((a[$(touch canary)]))",
]
PLACES = """
    [vars]
    word = {quoted}
    [tasks.t]
    foreach = {{ from = "table.csv" }}
    params = {{ p = {quoted} }}
    outputs = "out/{{number}}"
    env = {{ FROM_ENV = {quoted} }}
    run = '''
    printf '%s\\n' {{cell}} "{{cell}}" '{{cell}}' {{params.p}} "a {{vars.word}} b" "$FROM_ENV" > {{output}}
    x={{cell}}; printf '%s\\n' "$x" "${{x}}" >> {{output}}
    eval printf "'%s\\n'" '"$x"' >> {{output}}
    '''
"""


@pytest.mark.parametrize("shell", ["bash", "sh"])
@pytest.mark.parametrize("value", CANARIES)
def test_no_value_is_a_command(project: Project, value: str, shell: str) -> None:
    quoted = '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
    project.taskfile(f'[bt]\nshell = "{shell}"\n' + PLACES.format(quoted=quoted))
    cell = '"' + value.replace('"', '""') + '"'
    project.write("table.csv", f"number,cell\n1,{cell}\n")
    for words in (["build", "-n"], ["list"]):
        project.look(*words)
    run = project.bt("build")
    assert not list(project.folder.rglob("canary"))
    assert run.code == 0, run.out + run.err
    assert not list(project.folder.rglob("canary"))
    said = project.read("out/1")
    assert said.startswith(f"{value}\n" * 4 + f"a {value} b\n{value}\n")
    assert said.endswith(f"{value}\n" * 3)
    assert project.build().ran == []


ESCAPES = {
    "a cell": '[tasks.t]\nforeach = { from = "t.csv" }\noutputs = "o/{x}"\nrun = "echo bad > {output}"\n',
    "a line": '[vars]\nv = { lines = "lines" }\n[tasks.t]\noutputs = "o/{vars.v}"\nrun = "echo bad > {output}"\n',
    "a value": '[tasks.t]\nforeach = { x = [VALUE] }\noutputs = "o/{x}"\nrun = "echo bad > {output}"\n',
    "a made list": '[tasks.l]\noutputs = "made"\nrun = "cp lines made"\n'
    '[tasks.t]\nforeach = { x = "@made" }\noutputs = "o/{x}"\nrun = "echo bad > {output}"\n',
    "a depfile": '[tasks.t]\noutputs = "o"\ndepfile = VALUE\nrun = "echo x: y > {depfile}; echo > o"\n',
    "outputs": '[tasks.t]\noutputs = VALUE\nrun = "echo bad > {output}"\n',
    "named outputs": '[tasks.t]\noutputs = { a = VALUE }\nrun = "echo bad > {output}"\n',
    "a glob output": '[tasks.t]\noutputs = "STEM*"\nrun = "true"\n',
}


@pytest.mark.parametrize(
    "value",
    [
        "../outside",
        "../../outside",
        "/tmp/bt-canary/outside",  # noqa: S108
        "a/../../outside",
        "..",
        ".",
        "",
        "../project/../outside",
    ],
)
@pytest.mark.parametrize("where", ESCAPES)
def test_no_path_leads_out_of_the_project(project: Project, where: str, value: str) -> None:
    project.write("t.csv", f'number,x\n1,"{value}"\n')
    project.write("lines", f"{value}\n")
    project.taskfile(ESCAPES[where].replace("VALUE", f'"{value}"').replace("STEM", value))
    above = project.folder.parent
    before = sorted(path for path in above.rglob("*") if project.folder not in path.parents)
    run = project.bt("build")
    after = sorted(path for path in above.rglob("*") if project.folder not in path.parents)
    assert after == before, run.out + run.err
    assert not os.path.exists("/tmp/bt-canary")  # noqa: S108
    assert "Traceback" not in run.out + run.err
    if (
        value not in (".", "", "..") and where != "a line"
    ):  # what a person wrote into a path may lead back into it
        assert run.code in (1, 2, 3), run.out + run.err
        assert not [name for name in run.ran if name != "l"]


def test_what_is_asked_for_leads_nowhere_else(project: Project) -> None:
    project.taskfile('[tasks.t]\noutputs = "o/{x}"\nrun = "echo > {output}"\n')
    for target in ("o/../../outside", "o/..", "../outside", "/etc/hostname", "o/a/../../../b", "o/."):
        run = project.bt("build", target)
        assert run.code in (2, 3) or not run.ran, target
        assert project.files() == ["Taskfile.toml"]
    assert [path.name for path in project.folder.parent.iterdir()] == ["project"]


@pytest.mark.parametrize("way", ["build", "clean", "orphans", "edited"])
def test_an_output_folder_that_is_a_link_by_now(project: Project, way: str) -> None:
    outside = project.folder.parent / "home"
    outside.mkdir()
    project.taskfile(
        '[tasks.t]\nforeach = { n = ["1", "2"] }\noutputs = ["o/{n}", "d{n}/"]\n'
        'run = "echo {n} > o/{n}; mkdir -p d{n}; echo > d{n}/f"\n'
    )
    project.build()
    for name in ("o", "d1"):
        os.rename(project.folder / name, outside / name)
        (project.folder / name).symlink_to(outside / name)
    before = {path: path.read_bytes() for path in outside.rglob("*") if path.is_file()}
    if way == "edited":
        project.write("Taskfile.toml", project.read("Taskfile.toml").replace("echo {n}", "echo new {n}"))
    if way == "orphans":
        project.taskfile('[tasks.u]\nrun = "true"\n')
    words = {
        "build": ["build", "-B"],
        "clean": ["clean"],
        "orphans": ["clean", "--orphans"],
        "edited": ["build"],
    }[way]
    run = project.bt(*words)
    assert "Traceback" not in run.out + run.err
    assert {path: path.read_bytes() for path in outside.rglob("*") if path.is_file()} == before, run.out
    assert (outside / "o").is_dir()


NAMED = '["o/x.txt", "o/d/"]'
SWAP = "rm -rf o.old; mv o o.old; ln -s ../home o"


def _home(project: Project) -> Path:
    """A directory outside of the project, with files named as the outputs of jobs are."""
    home = project.folder.parent / "home"
    (home / "d").mkdir(parents=True)
    for name in ("x.txt", "d/q", "y.txt"):
        (home / name).write_text("precious\n")
    return home


def _holds(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("first", "outputs", "isolated"),
    [(True, NAMED, ""), (False, NAMED, ""), (False, '["o/*.txt"]', ""), (True, NAMED, "isolated = true\n")],
    ids=["first", "again", "pattern", "isolated"],
)
@pytest.mark.parametrize(
    "end", ["", "; exit 1", "; sleep 60", "; kill -INT $PPID; sleep 60", "; kill -KILL $PPID; sleep 60"]
)
def test_an_output_folder_that_becomes_a_link_while_its_job_runs(
    project: Project, first: bool, outputs: str, isolated: str, end: str
) -> None:
    home = _home(project)
    before = _holds(home)
    more = 'timeout = "1s"\n' if end == "; sleep 60" else "retries = 1\n"
    text = f"[tasks.t]\noutputs = {outputs}\n"
    made = "mkdir -p o/d; echo old > o/x.txt; echo old > o/d/q"
    project.write("o/x.txt", "mine\n")
    if not first:
        project.taskfile(text + f'run = "{made}"\n')
        project.build()
    swap = f"cd {project.folder}; {SWAP}{end}"
    project.taskfile(text + more + isolated + f'run = "{made if isolated else "true"}; {swap}"\n')
    told = "".join(project.start("build").communicate())
    project.end_leftovers()
    run = project.bt("build")
    assert _holds(home) == before, told + run.out + run.err
    assert (project.folder / "o").is_symlink()
    assert "`o`" in told + str(run.finished) + run.err + run.out
    there = [path.read_text() for path in project.folder.rglob("x.txt") if home not in path.parents]
    assert "mine\n" in there, told


@pytest.mark.parametrize("end", ["exit 1", "kill -INT $PPID; sleep 60", "kill -KILL $PPID; sleep 60"])
@pytest.mark.parametrize("first", [True, False])
def test_an_output_folder_that_becomes_a_link_to_sources(project: Project, end: str, first: bool) -> None:
    """What lies behind it is not the job's, although it is in the project."""
    project.write("src/a.txt", "mine\n")
    task = '[tasks.t]\noutputs = "out/a.txt"\n'
    if not first:
        project.taskfile(task + 'run = "echo old > out/a.txt"')
        project.build()
    project.taskfile(task + f'run = "cd {project.folder}; rm -rf out; ln -s src out; {end}"')
    process = project.start("build")
    told = "".join(process.communicate())
    project.end_leftovers()
    project.look("status")
    assert project.read("src/a.txt") == "mine\n", told
    project.taskfile(task + 'run = "true"')
    run = project.bt("build")
    assert (run.code, run.failed) == (1, ["t"]), run.err
    assert project.exists("src/a.txt"), told
    there = [path.read_text() for path in project.folder.rglob("a.txt")]
    assert "mine\n" in there
    assert first or "old\n" in there, told


def test_an_output_folder_that_becomes_a_link_before_a_temporary_output_goes(project: Project) -> None:
    home = _home(project)
    before = _holds(home)
    project.taskfile(f"""
        [bt]
        default = ["u"]
        [tasks.t]
        outputs = "o/x.txt"
        temp = true
        run = "echo precious > {{output}}"
        [tasks.u]
        inputs = "o/x.txt"
        outputs = "u"
        run = "{SWAP}; echo > u"
    """)
    project.bt("build")
    assert _holds(home) == before


def test_an_output_that_is_kept_and_is_a_link_by_now(project: Project) -> None:
    """The job would write through it: it begins without."""
    home = _home(project)
    before = _holds(home)
    project.taskfile("""
        [tasks.t]
        outputs = ["k.txt", "d/"]
        keep = true
        run = "mkdir -p d; echo made > k.txt; echo made > d/q"
    """)
    project.build()
    project.remove("k.txt")
    (project.folder / "k.txt").symlink_to("../home/x.txt")
    project.remove("d/q")
    (project.folder / "d/q").symlink_to("../../home/d/q")
    run = project.build()
    assert _holds(home) == before
    assert (project.read("k.txt"), project.read("d/q")) == ("made\n", "made\n")
    assert os.readlink(project.folder / ".bt/kept/2/k.txt") == "../home/x.txt"
    assert "`k.txt` is a link out of the project: kept as `.bt/kept/2/k.txt`" in str(run.warnings)
    assert project.build().ran == []


@pytest.mark.parametrize("outputs", ["o/*", "o/"])
def test_a_link_out_of_the_project_among_kept_outputs(project: Project, outputs: str) -> None:
    """It gives way, unless the job left it there itself; further links out, behind others, are not followed."""
    home = _home(project)
    before = _holds(home)
    project.taskfile(f"""
        [tasks.t]
        inputs = "s"
        outputs = "{outputs}"
        keep = true
        run = "mkdir -p o; [ -L o/out ] || ln -s ../../home o/out; echo >> o/made; [ ! -d o/d ] || cat s > o/d/f"
    """)
    project.write("s", "1\n")
    project.write("mine/f", "mine\n")
    (project.folder / "o").mkdir()
    for name, text in (("o/d", "../../home/d"), ("o/l", "../mine"), ("mine/out", "../../home")):
        (project.folder / name).symlink_to(text)
    assert [warning.split(": kept as ")[1] for warning in project.build().warnings] == ["`.bt/kept/1/o/d`"]
    assert os.readlink(project.folder / ".bt/kept/1/o/d") == "../../home/d"
    project.write("s", "2\n")
    assert project.build().warnings == []
    assert os.readlink(project.folder / "o/out") == "../../home"
    assert _holds(home) == before
    assert not project.exists(".bt/kept/2")


@pytest.mark.parametrize("name", ["log", "kept", "aside", "isolated"])
def test_a_folder_of_the_state_that_is_a_link_is_refused(project: Project, name: str) -> None:
    home = _home(project)
    before = _holds(home)
    project.taskfile('[tasks.t]\noutputs = "out"\nisolated = true\nrun = "echo said; echo 1 > out"\n')
    project.build()
    project.write("out", "edited\n")
    place = project.folder / ".bt" / name
    if place.exists():
        place.rename(project.folder / "before")
    place.symlink_to(home)
    run = project.bt_plainly("build")
    assert (run.code, run.err.splitlines()[0]) == (5, f"error: `.bt/{name}` is a link")
    assert (_holds(home), project.read("out")) == (before, "edited\n")
    place.unlink()
    assert project.build().ran == ["t"]


def test_clean_removes_what_is_its_own_alone(project: Project) -> None:
    outside = project.folder.parent / "precious"
    outside.mkdir()
    (outside / "f").write_text("x")
    project.taskfile(
        '[tasks.t]\nforeach = { n = ["1", "2", "3", "4", "5", "6"] }\noutputs = "o/{n}"\nrun = "echo {n} > o/{n}"\n'
    )
    project.build()
    folder = project.folder / "o"
    (folder / "1").write_text("mine")
    (folder / "2").unlink()
    (folder / "2").mkdir()
    (folder / "2/inner").write_text("mine")
    (folder / "3").unlink()
    (folder / "3").symlink_to(outside)
    (folder / "4").unlink()
    (folder / "4").symlink_to(outside / "f")
    (folder / "5").unlink()
    os.mkfifo(folder / "5")
    project.write("o/beside", "mine")
    dry = project.look("clean", "-n")
    assert "would remove o/6" in dry.out
    assert "would remove 1 output" in dry.out
    run = project.bt("clean")
    assert run.code == 0
    assert "removed 1 output" in run.out
    assert run.out.count("kept o/") == 5
    assert sorted(path.name for path in folder.iterdir()) == ["1", "2", "3", "4", "5", "beside"]
    assert (folder / "2/inner").read_text() == "mine"
    assert (outside / "f").read_text() == "x"


READING = [
    ["list"], ["list", "-v"], ["status"], ["why", "t"], ["why", "out"], ["graph"], ["graph", "--format", "json"],
    ["graph", "--format", "html"], ["log"], ["log", "t"], ["history"], ["history", "1"], ["check"], ["build", "-n"],
    ["schema"], ["clean", "-n"], ["clean", "--state", "-n"], ["clean", "--logs", "-n"], ["--help"], ["build", "--help"],
]  # fmt: skip


def hostile(project: Project) -> Path:
    """A repository made to harm whoever looks at it; the file that shows that something of it ran."""
    canary = project.folder.parent / "canary"
    touch = f"touch {canary}"
    project.taskfile(f"""
        include = ["more.toml"]
        [bt]
        default = ["t"]
        shell = "{project.folder}/evil"
        executor = "mine"
        python_path = ["lib"]
        [executors.mine]
        backend = "custom"
        factory = "steps:factory"
        [vars]
        v = {{ sh = "{touch}; echo v" }}
        [env]
        LD_PRELOAD = "{project.folder}/evil.so"
        BASH_ENV = "{project.folder}/evil"
        [tasks.t]
        inputs = "data"
        outputs = "out"
        track = {{ cmd = ["{touch}"], env = ["X"] }}
        hash = "{touch}; cat"
        dotenv = "evil"
        run = "{touch}; echo {{vars.v}} > out"
        [tasks.f]
        inputs = "out"
        outputs = "f"
        call = "steps:step"
        [tasks.s]
        outputs = "s"
        script = "steps.py"
    """)
    project.write("more.toml", f'[tasks.m]\nrun = "{touch}"\n')
    code = f"import os\nos.system({touch!r})\ndef step(output): pass\ndef factory(workers): pass\n"
    for name in (
        "steps.py",
        "lib/steps.py",
        "json.py",
        "click.py",
        "tomli.py",
        "sqlite3.py",
        "sitecustomize.py",
        "coiled.py",
        "usercustomize.py",
        "lib/json.py",
    ):
        project.write(name, code)
    project.write("evil", f"#!/bin/sh\n{touch}\n").chmod(0o755)
    project.write("data", "x")
    project.write(".git/hooks/post-checkout", f"#!/bin/sh\n{touch}\n").chmod(0o755)
    return canary


@pytest.mark.parametrize("state", ["none", "real", "links", "junk"])
def test_looking_at_a_hostile_repository_runs_and_changes_nothing(project: Project, state: str) -> None:
    canary = hostile(project)
    outside = project.folder.parent / "home"
    outside.mkdir()
    (outside / "secret").write_text("mine\n")
    folder = project.folder / ".bt"
    if state == "real":  # a state that somebody really built
        taskfile = project.read("Taskfile.toml")
        project.taskfile(
            '[tasks.t]\ninputs = "data"\noutputs = "out"\nrun = "echo said; cp data out"\n'
            '[tasks.f]\noutputs = "f"\nrun = "echo > f"\n'
        )
        project.build()
        project.write("Taskfile.toml", taskfile)
        (folder / "names").unlink(missing_ok=True)
        (folder / "names.new").symlink_to(outside / "secret")
    elif state == "links":
        folder.mkdir()
        for name in (
            "log",
            "kept",
            "aside",
            "boxes",
            "cache",
            "lock",
            "state.db",
            "state.sum",
            "rest",
            "names",
            "running",
            "state.db-wal",
        ):
            (folder / name).symlink_to(
                outside if name in ("log", "kept", "aside", "boxes", "cache") else outside / "secret"
            )
    elif state == "junk":
        folder.mkdir()
        for name in ("state.db", "state.sum", "rest", "names", "running", "state.db-wal", "lock"):
            (folder / name).write_bytes(b"\x80\x04cos\nsystem\n(S'touch canary'\ntR." * 100)
    for words in READING if state == "real" else some(READING, 7):
        before = project.traces()
        run = project.bt_plainly(*words)
        assert "Traceback" not in run.out + run.err, (words, run.err)
        assert not canary.exists(), words
        assert project.traces() == before, words
        assert [path.name for path in outside.iterdir()] == ["secret"], words
    complete = {"_BT_COMPLETE": "bash_complete", "COMP_WORDS": "bt build ", "COMP_CWORD": "2"}
    assert project.bt_plainly(env=complete).code == 0
    assert not canary.exists()
    assert (outside / "secret").read_text() == "mine\n"


@pytest.mark.parametrize("folder", ["aside", "boxes", "log", "kept", "."])
@pytest.mark.parametrize("words", [["build"], ["clean", "--logs"], ["clean", "--state", "--yes"]])
def test_a_folder_of_the_state_that_is_a_link_is_not_emptied(
    project: Project, folder: str, words: list[str]
) -> None:
    outside = project.folder.parent / "home"
    project.taskfile('[tasks.t]\ninputs = "in"\noutputs = "out"\nrun = "echo said; cp in out"\n')
    project.write("in", "1")
    project.build()
    state = project.folder / ".bt"
    outside.mkdir()
    (outside / "mine").write_text("mine")
    (outside / "deep").mkdir()
    (outside / "deep/mine").write_text("mine")
    place = state if folder == "." else state / folder
    if place.exists():
        place.rename(state.parent / "before")
    place.symlink_to(outside)
    project.write("in", "2")
    run = project.bt(*words)
    assert "Traceback" not in run.out + run.err
    assert (outside / "mine").read_text() == "mine"
    assert (outside / "deep/mine").read_text() == "mine"


@pytest.mark.parametrize("words", [["build"], ["build", "-B"], ["clean"], ["accept"]])
def test_a_file_of_the_state_that_is_a_link_is_not_written_through(
    project: Project, words: list[str]
) -> None:
    mine = project.folder.parent / "mine"
    project.taskfile('[tasks.t]\noutputs = "out"\nrun = "echo said; echo 1 > out"\n')
    project.build()
    mine.write_text("mine\n")
    names = {path.name for path in (project.folder / ".bt").iterdir() if path.is_file()}
    for name in sorted(names | {"running", "lock", "rest.new", "running.new", "names.new", "state.sum.new"}):
        path = project.folder / ".bt" / name
        path.unlink(missing_ok=True)
        path.symlink_to(mine)
        run = project.bt_plainly(*words)
        assert "Traceback" not in run.out + run.err, name
        assert mine.read_text() == "mine\n", name
        path.unlink(missing_ok=True)
        assert project.build().code == 0


def test_nothing_that_a_file_holds_is_unpickled() -> None:
    """Who unpickles, and evaluates: modules whose data are their own, or come from the process that they talk with."""
    allowed = {
        "runtime/child.py": {"pickle.loads"},
        "door.py": {"marshal.loads"},
        "cone.py": {"marshal.loads"},
        "runtime/spawner.py": {"marshal.loads"},
        "executors/spawning.py": {"marshal.loads"},
        "runtime/perform.py": {"exec"},
    }
    root = Path(buildtool.__file__).parent
    for path in root.rglob("*.py"):
        found = set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                name = ast.unparse(node.func)
                if re.fullmatch(
                    r"(pickle|cloudpickle|marshal|shelve|dill|joblib|yaml)\.(load|loads|open|Unpickler)|eval|exec",
                    name,
                ):
                    found.add(name)
        assert found <= allowed.get(str(path.relative_to(root)), set()), path


EVIL = "a\x1b]0;owned\x07\x1b[2J\x1b[31m\rb\x08\x9b31m\u202e"
CONTROL = re.compile("[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f-\x9f\u202e]|\x1b(?!\\[[0-9;]*m)")


def test_names_and_output_cannot_drive_a_terminal(project: Project) -> None:
    project.taskfile("""
        [tasks.t]
        desc = "evil \\u001b[2J\\u202e"
        inputs = "in/{n}"
        outputs = "out/{n}"
        run = "printf 'said \\\\033[2J\\\\033]0;x\\\\007\\\\n'; cp {input} {output}; test ! -e fail"
        [tasks.said]
        run = "printf 'said \\\\033[2J\\\\033]0;x\\\\007\\\\n'"
    """)
    (project.folder / "in").mkdir()
    (project.folder / "in" / EVIL).write_text("x")
    orders = [
        ["build", "-v"],
        ["build", "said"],
        ["list", "-v"],
        ["status"],
        ["why", "t"],
        ["graph"],
        ["history"],
        ["history", "1"],
        ["build", "-n", "-B"],
    ]
    orders += [["graph", "--format", form] for form in ("dot", "mermaid", "json", "html")]
    orders += [
        ["build", "out/" + EVIL + "x" * 300],
        ["why", EVIL],
        ["log", EVIL],
        ["clean", "-n"],
        ["clean"],
        ["build", "-s", f"{EVIL}=1"],
        ["-C", EVIL, "list"],
        ["-f", EVIL, "list"],
        [EVIL],
        ["build", f"--{EVIL}"],
        ["build", "-e", EVIL],
    ]
    for words in orders:
        run = project.bt_plainly(*words)
        found = CONTROL.search(run.out + run.err)
        assert not found, (words, found, run.out + run.err)
    project.bt_plainly("build", "said")
    with Terminal(project, "log", "said") as terminal:
        assert terminal.end()[0].startswith("said")
        assert not CONTROL.search(terminal.raw.decode().replace("\r\n", "\n")), terminal.raw
    project.write("fail", "")
    run = project.bt_plainly("build")
    assert run.code == 1
    assert not CONTROL.search(run.out + run.err), run.out
    project.taskfile(
        f'[tasks.t]\n"{EVIL.encode("unicode_escape").decode().replace(chr(92) + "x", chr(92) + "u00")}" = 1\n'
    )
    run = project.bt_plainly("build")
    assert run.code == 2
    assert not CONTROL.search(run.out + run.err), run.err


def commands_of_github(text: str) -> list[str]:
    """The lines that the runner of GitHub Actions takes as commands: `::` behind blanks, `##[` anywhere."""
    found, stopped = [], None
    for line in text.splitlines():
        command = line.strip()
        if stopped is not None:
            stopped = None if command == f"::{stopped}::" else stopped
        elif command.startswith("::stop-commands::"):
            stopped = command.removeprefix("::stop-commands::")
        elif command.startswith("::") or "##[" in command:
            found.append(command)
    return found


def test_what_jobs_print_is_no_command_to_github(project: Project) -> None:
    evil = "::set-output name=x::y"
    project.taskfile("""
        [tasks.said]
        run = "cat evil"
        [tasks.bad]
        inputs = "in/{n}"
        outputs = "out/{n}"
        run = "cat evil; exit 3"
        [tasks.call]
        outputs = "called"
        call = "steps:step"
        [tasks.good]
        inputs = "in/{n}"
        outputs = "good/{n}"
        run = "cat evil; cp {input} {output}"
    """)
    project.write("steps.py", f"def step(output):\n    raise ValueError('x\\n{evil}\\n##[error]x')\n")
    project.write(
        "evil", f"{evil}\n  ::add-mask::x\n##[set-output name=x]y\n\t::error::x\nx ##[error]y\n::\n"
    )
    project.write("in/##[error]a", "x")
    project.write("in/b\n::error::x", "x")
    env = {"GITHUB_ACTIONS": "true"}
    for words in (
        ["build", "said"],
        ["build", "-k"],
        ["build", "-k", "-v", "-B"],
        ["list"],
        ["status"],
        ["why", "good"],
        ["log", "said"],
        ["build", "-n"],
        ["history"],
        ["build", "##[error]x"],
    ):
        run = project.bt_plainly(*words, env=env)
        for command in commands_of_github(run.out) + commands_of_github(run.err):
            assert command.startswith(
                ("::group::", "::endgroup::", "::error file=Taskfile.toml,", "::warning::", "::error file=")
            ), (words, command)
            assert "set-output" not in command.split("::")[1]
        if words[:2] == ["build", "said"]:
            assert evil in run.out  # it is still to be read
            assert commands_of_github(run.out) == []


SECRET = "hunter2-hunter2-!"


def test_a_secret_is_nowhere(project: Project) -> None:
    project.taskfile(f"""
        [bt]
        secrets = ["TOKEN", "UNUSED"]
        pass_env = ["TOKEN"]
        [vars]
        v = {{ sh = "printenv TOKEN" }}
        [tasks.good]
        outputs = "good"
        track = {{ env = ["TOKEN"], cmd = ["printenv TOKEN"] }}
        run = '''
        echo $TOKEN {{vars.v}}; echo >&2 x${{TOKEN}}x
        printf %s hunter2-; sleep 0.2; printf '%s\\n' 'hunter2-!'
        echo > good
        '''
        [tasks.bad]
        outputs = "bad"
        params = {{ p = "{SECRET}" }}
        run = "echo {{params.p}} $TOKEN; exit 3"
        [tasks.raises]
        outputs = "raises"
        call = "steps:step"
        [tasks.reads]
        inputs = "config"
        outputs = "reads"
        run = "wc -c < config > reads"
        [tasks.command]
        run = "echo $TOKEN"
    """)
    project.write(
        "steps.py",
        "import os\ndef step(output):\n    print(os.environ['TOKEN'])\n    raise ValueError(os.environ['TOKEN'])\n",
    )
    project.write("config", f"token = {SECRET}\n")
    env = {"TOKEN": SECRET}
    told = ""
    orders = [
        ["build", "-k", "-v", "--trace", "trace.json"],
        ["build", "-k"],
        ["build", "-k", "-j4"],
        ["build", "command"],
        ["status"],
        ["why", "bad"],
        ["why", "good"],
        ["log", "bad"],
        ["log", "raises"],
    ]
    orders += [
        ["history"],
        ["history", "1"],
        ["graph", "--format", "json"],
        ["graph", "--format", "html"],
        ["build", "-n"],
        ["list", "-v"],
    ]
    for words in orders:
        run = project.bt_plainly(*words, env=env)
        told += run.out + run.err
    run = project.bt("build", "-k", env=env)
    told += run.out + run.err
    project.write("config", f"token = {SECRET}, too\n")
    told += project.bt("why", "reads", env=env).out + project.bt("build", "-k", env=env).out
    assert "***" in told
    shown = [line for line in told.splitlines() if SECRET in line]
    assert not shown, shown
    for path in [*(project.folder / ".bt").rglob("*"), project.folder / "trace.json"]:
        if path.is_file():
            assert SECRET.encode() not in path.read_bytes(), path


@pytest.mark.parametrize("umask", [0o000, 0o022])
def test_the_state_is_for_its_owner_alone(project: Project, umask: int) -> None:
    project.taskfile("""
        [tasks.t]
        inputs = "in"
        outputs = "out"
        run = "echo said; find .bt -printf '%m %u %p\\n' > out"
        [tasks.f]
        outputs = "f"
        call = "steps:step"
    """)
    project.write("steps.py", "def step(output):\n    print('said')\n    output.write_text('x')\n")
    project.write("in", "x")
    project.write("out", "by hand")
    process = project.start("build", umask=umask)
    process.communicate(timeout=60)
    assert process.returncode == 0
    during = [line.split(" ", 2) for line in project.read("out").splitlines()]
    assert ["700", getpass.getuser(), ".bt"] in during
    assert {owner for _, owner, _ in during} == {getpass.getuser()}
    _is_closed(project.folder / ".bt")


def _is_closed(folder: Path) -> None:
    """Nobody else can reach anything in it: the folder itself is shut."""
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for path in folder.rglob("*"):
        st = path.lstat()
        assert st.st_uid == os.geteuid()


def test_files_outside_of_the_state_are_made_under_names_that_nobody_guesses(project: Project) -> None:
    """Nothing is written in a folder that everybody may write to, while jobs of all kinds run."""
    shared = project.folder.parent / "shared"
    shared.mkdir()
    project.taskfile("""
        [tasks.t]
        outputs = "out"
        run = "ls -lA $TMPDIR > out"
        [tasks.f]
        outputs = "f"
        call = "steps:step"
    """)
    project.write(
        "steps.py",
        "import os\ndef step(output):\n    output.write_text(str(os.listdir(os.environ.get('TMPDIR', '/tmp'))))\n",
    )
    project.build(env={"TMPDIR": str(shared)})
    assert list(shared.iterdir()) == []
    for name in ("out", "f"):
        for line in re.findall(r"bt-\S+|tmp\S+", project.read(name)):
            assert len(line) >= 8, line


def test_a_program_called_by_name_is_not_taken_from_the_project(project: Project) -> None:
    canary = project.folder.parent / "canary"
    for name in ("bash", "sh", "python3", "ps", "git"):
        project.write(name, f"#!/bin/sh\ntouch {canary}\n").chmod(0o755)
    project.taskfile('[tasks.t]\noutputs = "out"\nrun = "echo x | cat > out"\n')
    project.build(env={"PATH": os.environ["PATH"]})
    assert not canary.exists()
    subprocess.run(["true"], check=True)
