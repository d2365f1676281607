"""Names that POSIX allows, paths as long as it allows, and more or larger files than anybody has."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from support.effort import amount
from support.forked import forked, forked_build
from support.project import Project, clean_environment

NAME_MAX = 255
JOBS = r"""
    [tasks.copy]
    inputs = "in/{n}"
    outputs = "out/{n}"
    depfile = "deps-of/{n}"
    run = '''
    cp -- {input} {output}
    printf %s "{n}" '{n}' {n} >> {output}
    cp deps {depfile}
    '''
    [tasks.call]
    inputs = { one = "out/{n}" }
    outputs = "called/{n}"
    call = "steps:repeat"
    [tasks.all]
    inputs = "called/*"
    outputs = "all"
    run = "cat -- {input} > {output}"
"""
STEPS = "def repeat(one, output, n):\n    output.write_bytes(one.read_bytes() + n.encode('utf-8', 'surrogateescape'))\n"

# Bytes that mean something to somebody are drawn more often than others.
LETTERS = st.sampled_from(
    [bytes([b]) for b in b"a b\n\r\t\"'\\$`;&|<>(){}[]*?!~#%:=,-.@^\x01\x1b\x7f\xff\xc3"]
)
PIECES = st.one_of(
    LETTERS,
    st.integers(1, 255).map(lambda b: bytes([b])),
    st.sampled_from(["é", "e\u0301", "\u202e", "🦊", "\u2028", "K", "$(touch canary)", "`touch canary`"]).map(
        str.encode
    ),
)
NAMES = (
    st.lists(PIECES, min_size=1, max_size=12)
    .map(b"".join)
    .map(lambda raw: raw.replace(b"/", b"_")[:NAME_MAX])
    .filter(lambda raw: raw not in (b".", b".."))
)


def for_depfile(raw: bytes) -> bytes | None:
    """A name as Make's rules have it, or None for those that they cannot have."""
    if b"\n" in raw or b"\\" in raw or raw == b"|" or raw.endswith(b":") or b":" in raw:
        return None
    return re.sub(rb"([ \t#])", rb"\\\1", raw.replace(b"$", b"$$"))


@settings(
    max_examples=max(1, settings().max_examples // 20),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@example(raw=b"-rf", other=b"-n")
@example(raw=b"~", other=b"~root")
@example(raw="é".encode() * 127, other="🦊".encode() * 63)
@example(raw=b"\xff" * NAME_MAX, other=b"\n" * NAME_MAX)
@given(raw=NAMES, other=NAMES)
def test_every_name_is_data(raw: bytes, other: bytes) -> None:
    if raw == other:
        return
    with tempfile.TemporaryDirectory() as place:
        project = Project(Path(place))
        project.taskfile(JOBS)
        project.write("steps.py", STEPS)
        names = sorted([raw, other], key=os.fsdecode)
        hidden = {name for name in names if name.startswith(b".")}  # a `*` does not stand for these
        (project.folder / "in").mkdir()
        (project.folder / "found").mkdir()
        for name in names:
            with open(os.path.join(os.fsencode(place), b"in", name), "wb") as file:
                file.write(b"x")
            with open(os.path.join(os.fsencode(place), b"found", name), "wb") as file:
                file.write(b"1")
        known = [(name, for_depfile(b"found/" + name)) for name in names]
        project.write("deps", b"x: " + b" ".join(text for _, text in known if text is not None) + b"\n")
        files = [os.fsdecode(b"called/" + name) for name in names]
        run = forked_build(project.folder, "all", *files)
        assert run.code == 0, run.out + run.err
        for name in names:
            with open(os.path.join(os.fsencode(place), b"called", name), "rb") as file:
                assert file.read() == b"x" + name * 4
        shown = b"".join(b"x" + name * 4 for name in names if name not in hidden)
        assert (project.folder / "all").read_bytes() == shown
        assert not list(project.folder.rglob("canary"))
        assert forked_build(project.folder, "all", *files).ran == []
        for words in (
            ("why", "all"),
            ("status",),
            ("graph",),
            ("list",),
            ("history",),
            ("log", "all"),
            ("build", "-n"),
        ):
            code, out, err = forked(project.folder, *words)
            assert code == 0, err
            assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", out.replace("\x1b[0m", "")), (words, out)
        again = [name for name, text in known if text is not None][:1]
        for name in again:  # what was found through the dependency file counts
            with open(os.path.join(os.fsencode(place), b"found", name), "wb") as file:
                file.write(b"2")
            assert (
                len([job for job in forked_build(project.folder, "all", *files).ran if job[:4] == "copy"])
                == 2
            )
        assert forked(project.folder, "clean")[0] == 0
        assert not project.exists("out")
        assert not project.exists("called")


def deep(length: int) -> str:
    """A path of directories that is this long."""
    found = "d" * 200
    while len(found) < length - 210:
        found += "/" + "d" * 200
    return found + "/" + "f" * (length - len(found) - 1)


def test_a_path_nearly_as_long_as_can_be(project: Project) -> None:
    path = deep(4000 - len(str(project.folder)))
    project.taskfile(f'[tasks.t]\ninputs = "in"\noutputs = "{path}"\nrun = "cp {{input}} {{output}}"\n')
    project.write("in", "1\n")
    assert project.build().ran == ["t"]
    assert project.build().ran == []
    project.write("in", "2\n")
    assert project.build().ran == ["t"]
    project.write(path, "by hand\n")
    run = project.build()  # what was edited is kept, under a path that is longer still
    assert run.ran == ["t"]
    assert project.read(path) == "2\n"
    [kept] = [name for name in project.files(state=True) if name.startswith(".bt/kept/")]
    assert project.read(kept) == "by hand\n"
    assert project.build().ran == []
    assert project.bt("clean").code == 0
    assert project.files() == ["Taskfile.toml", "in"]


@pytest.mark.parametrize("length", [256, 5000])
def test_a_name_that_no_disk_takes_is_told(project: Project, length: int) -> None:
    name = "x" * length
    project.taskfile(f"""
        [tasks.reads]
        inputs = "{name}"
        outputs = "a"
        run = "touch a"
        [tasks.writes]
        outputs = "out/{name}"
        run = "touch {{output}}"
        [tasks.fine]
        outputs = "fine"
        run = "touch fine"
    """)
    for _ in range(2):
        for words, code in ((("build", "a"), (1, 3)), (("build", "writes"), (1,)), (("why", "writes"), (0,))):
            run = project.bt(*words)
            assert run.code in code, run.out + run.err
            assert "Traceback" not in run.out + run.err
    assert project.bt("build", "-k").ran == ["fine"]


def high_water(pid: int) -> int:
    """The most memory that a process had so far, in bytes."""
    [line] = [x for x in Path(f"/proc/{pid}/status").read_text().splitlines() if x.startswith("VmHWM")]
    return int(line.split()[1]) * 1024


# What the kernel tells of a process that has ended counts what its parent had when it was started, too.
MEASURED = """
import atexit, sys
place, *sys.argv[1:] = sys.argv[1:]
def note():
    with open("/proc/self/status") as status, open(place, "w") as file:
        file.write(next(line.split()[1] for line in status if line.startswith("VmHWM")))
atexit.register(note)
from buildtool.__main__ import main
sys.exit(main())
"""


def run_measured(project: Project, *words: str) -> tuple[int, int]:
    """Exit code, and the most memory that `bt` had itself, in bytes."""
    beside = project.folder.parent
    with open(beside / "said", "wb") as file:
        process = subprocess.run(
            [sys.executable, "-c", MEASURED, str(beside / "memory"), *words],
            cwd=project.folder,
            env=clean_environment(),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            check=False,
        )
    return process.returncode, int((beside / "memory").read_text()) * 1024


def test_a_file_of_a_terabyte_is_read_in_pieces_and_can_be_broken_off(project: Project) -> None:
    project.taskfile('[tasks.t]\ninputs = "in"\noutputs = "out"\nrun = "stat -c %s {input} > {output}"\n')
    with open(project.folder / "in", "wb") as file:
        file.truncate(1 << 40)
    process = project.start("build")
    far = 0
    while far < amount(1 << 28, 1 << 35):  # until it has read so much of it
        assert process.poll() is None
        far = _position(process.pid, project.folder / "in")
    memory = high_water(process.pid)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert memory < 200_000_000
    os.truncate(project.folder / "in", 1 << 20)
    assert project.build().ran == ["t"]
    assert project.build().ran == []


def _position(pid: int, path: Path) -> int:
    """How far a process has read a file."""
    for link in Path(f"/proc/{pid}/fd").iterdir():
        try:
            if link.readlink() == path:
                return int(Path(f"/proc/{pid}/fdinfo/{link.name}").read_text().split()[1])
        except (OSError, ValueError):
            continue
    return 0


@pytest.mark.parametrize("how", ["lines", "binary", "one line"])
def test_what_a_job_prints_is_not_kept_in_memory(project: Project, how: str) -> None:
    source = {"lines": "yes", "binary": "cat /dev/urandom", "one line": "yes | tr -d '\\n'"}[how]
    size = amount(160_000_000, 1 << 30)
    project.taskfile(f"""
        [tasks.t]
        outputs = "out"
        run = '''
        set +o pipefail
        {source} | head -c {size}
        echo > out
        '''
        [tasks.said]
        run = '''
        set +o pipefail
        {source} | head -c {size // 10}
        '''
    """)
    least = run_measured(project, "list")[1]
    for target in ("t", "said"):
        code, memory = run_measured(project, "build", target)
        assert code == 0
        assert memory < least + 80_000_000, memory


@pytest.mark.parametrize("form", ["run", "call", "lines"])
def test_very_many_inputs_of_one_job(project: Project, form: str) -> None:
    count = amount(10_000, 100_000)
    body = {
        "run": 'run = "cat {input} > {output}"',
        "call": 'call = "steps:join"',
        "lines": 'run = "find in -type f | wc -l > {output}"',
    }[form]
    project.taskfile(f'[tasks.t]\ninputs = "in/*"\noutputs = "out"\n{body}\n')
    project.write("steps.py", "def join(input, output):\n    output.write_text(f'{len(input)}')\n")
    (project.folder / "in").mkdir()
    for number in range(count):
        os.close(os.open(project.folder / f"in/{'n' * 100}{number}", os.O_CREAT | os.O_WRONLY))
    run = project.bt("build")
    if form == "run" and run.code:  # more words than the system takes
        assert run.code == 1
        assert "too long" in run.finished["t"]["error"].lower(), run.out
        assert "Traceback" not in run.out + run.err
        return
    assert run.code == 0, run.out[-2000:]
    assert project.read("out").strip() in (str(count), "")
    assert project.build().ran == []
    (project.folder / f"in/{'n' * 100}7").unlink()
    assert project.build().ran == ["t"]


@pytest.mark.parametrize("kind", ["tasks", "wildcards"])
def test_a_chain_of_thousands(project: Project, kind: str) -> None:
    depth = amount(300, 10_000)
    if kind == "tasks":
        tasks = [
            f'[tasks.t{n}]\ninputs = "f{n}"\noutputs = "f{n + 1}"\nrun = "cp f{n} f{n + 1}"\n'
            for n in range(depth)
        ]
        project.taskfile("".join(tasks))
        target = f"f{depth}"
    else:
        project.taskfile(
            '[tasks.t]\ninputs = "d/{x}"\noutputs = "d/{x}i"\nrun = "cp {input} {output}"\n'
            '[tasks.u]\ninputs="d/oiiii"\nrun="true"\n'
        )
        target = "d/o" + "i" * 200
    project.write("f0", "x")
    project.write("d/o", "x")
    run = project.bt("build", target)
    if run.code:
        assert run.code in (2, 3)
        assert "feeds itself" in run.err
        return
    assert run.code == 0, run.err
    assert project.read(target) == "x"
    assert project.build(target).ran == []
    for words in (("why", target), ("graph", target), ("status",), ("build", "-n", target)):
        assert project.bt(*words).code == 0
    project.write("f0", "y")
    project.write("d/o", "y")
    assert len(project.build(target).ran) == len(run.ran)


def test_a_directory_with_very_many_entries(project: Project) -> None:
    count = amount(20_000, 1_000_000)
    project.taskfile("""
        [tasks.whole]
        inputs = "many/"
        outputs = "whole"
        run = "ls -U {input} | wc -l > whole"
        [tasks.few]
        inputs = "many/{n}.yes"
        outputs = "few/{n}"
        run = "cp {input} {output}"
    """)
    (project.folder / "many").mkdir()
    for number in range(count):
        os.close(os.open(project.folder / f"many/{number}", os.O_CREAT | os.O_WRONLY))
    project.write("many/a.yes", "a")
    code, memory = run_measured(project, "build")
    assert code == 0
    assert project.read("whole").strip() == str(count + 1)
    assert memory < 200_000_000 + 1500 * count, memory
    assert project.build().ran == []
    project.write("many/b.yes", "b")
    assert project.build().ran == ["few b", "whole"]


@pytest.mark.parametrize("keep", ["", "keep = true\n"])
@pytest.mark.parametrize("outputs", ["out", "ou?"])
def test_the_second_ctrl_c_breaks_off_the_look_at_what_was_made(
    project: Project, outputs: str, keep: str
) -> None:
    project.taskfile(f'[tasks.t]\noutputs = "{outputs}"\n{keep}run = "truncate -s 1T out"\n')
    process = project.start("build", "-q")
    for further in (1 << 27, 1 << 28):  # the first signal stops nothing of this
        while _position(process.pid, project.folder / "out") < further:
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
    assert process.communicate()[1] == ""
    assert process.returncode == 130
    assert project.exists("out") == bool(keep)
    if keep:
        project.remove("out")
    project.taskfile(project.read("Taskfile.toml").replace("1T", "1M"))
    assert project.build().ran == ["t"]
    assert project.build().ran == []
