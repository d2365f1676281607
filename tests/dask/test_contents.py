"""What travels to machines and back is what it should be, whatever jobs, names and disks do to it."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.cluster import DaskCluster, kept, lab
from support.project import Project

SPOIL = {
    "appended": "chmod +w big.bin; echo more >> big.bin",
    "time put back": "touch -r big.bin ref; printf XX | dd of=big.bin bs=1 conv=notrunc 2> /dev/null;"
    " touch -r ref big.bin",
    "removed": "rm -f big.bin; echo other > big.bin",
}


@pytest.mark.parametrize("how", SPOIL)
@pytest.mark.parametrize("made", [False, True], ids=["sent", "made there"])
def test_a_job_that_spoils_its_input_spoils_nothing_else(
    project: Project, cluster: DaskCluster, how: str, made: bool
) -> None:
    make = """
    [tasks.make]
    outputs = "big.bin"
    run = "head -c 150000 /dev/urandom > big.bin"
    """
    lab(
        project,
        cluster,
        (make if made else "")
        + f"""
    [tasks.spoil]
    inputs = "big.bin"
    outputs = "a.txt"
    run = "{SPOIL[how]}; echo > a.txt"
    [tasks.read]
    foreach = {{ n = ["1", "2", "3"] }}
    inputs = "big.bin"
    needs = ["a.txt"]
    outputs = "copy{{n}}"
    run = "cat big.bin > copy{{n}}"
    """,
    )
    if not made:
        project.write("big.bin", os.urandom(150_000))
    project.build()
    whole = (project.folder / "big.bin").read_bytes()
    assert [(project.folder / f"copy{n}").read_bytes() == whole for n in "123"] == [True] * 3


@pytest.fixture
def one_machine(tmp_path: Path) -> Iterator[DaskCluster]:
    """A cluster whose disk may be harmed."""
    found = DaskCluster(tmp_path / "cluster", 1)
    yield found
    found.close()


@pytest.mark.parametrize("damage", ["cut short", "a byte flipped", "gone"])
def test_a_damaged_copy_on_a_machine_is_sent_again(
    project: Project, one_machine: DaskCluster, damage: str
) -> None:
    lab(
        project,
        one_machine,
        """
    [tasks.copy]
    inputs = "big.bin"
    outputs = "copy.bin"
    run = "cat big.bin > copy.bin"
    """,
    )
    whole = os.urandom(150_000)
    project.write("big.bin", whole)
    project.build()
    for path in kept(one_machine):
        path.chmod(0o644)
        if damage == "gone":
            path.unlink()
            continue
        with path.open("r+b") as file:
            if damage == "cut short":
                file.truncate(1000)
            else:
                file.seek(500)
                byte = file.read(1)
                file.seek(500)
                file.write(bytes([byte[0] ^ 1]))
    project.remove("copy.bin")
    project.build()
    assert (project.folder / "copy.bin").read_bytes() == whole


def test_names_are_names_even_if_they_look_like_patterns(project: Project, cluster: DaskCluster) -> None:
    lab(
        project,
        cluster,
        """
    [tasks.copy]
    inputs = "in/{n}.txt"
    outputs = "out/{n}.txt"
    run = "cat {input} > {output}; echo scratch > out/aXb.txt"
    """,
    )
    names = ["[x]", "a*b", "a?b", "d[1]"]
    for name in names:
        project.write(f"in/{name}.txt", name)
    project.write("out/aXb.txt", "mine")
    project.build()
    assert [project.read(f"out/{name}.txt") for name in names] == names
    assert project.read("out/aXb.txt") == "mine"


def test_links_that_lead_back_have_an_end(project: Project, cluster: DaskCluster) -> None:
    lab(
        project,
        cluster,
        """
    [tasks.list]
    inputs = "d/"
    outputs = "list.txt"
    run = "cat d/dot/x d/sub/up/x d/sub/side/x > list.txt"
    """,
    )
    project.write("d/x", "1\n")
    (project.folder / "d/sub").mkdir()
    for name, text in (("dot", "."), ("sub/up", ".."), ("sub/side", "../../d")):
        (project.folder / "d" / name).symlink_to(text)
    project.build()
    assert project.read("list.txt") == "1\n" * 3


def test_headers_outside_of_the_project_are_watched_and_not_sent(
    project: Project, cluster: DaskCluster, tmp_path: Path
) -> None:
    header = tmp_path / "outside.h"
    header.write_text("1")
    lab(
        project,
        cluster,
        f"""
    [tasks.object]
    inputs = "m.c"
    outputs = "m.o"
    depfile = "m.d"
    run = "cat m.c > m.o; echo 'm.o: m.c {header}' > m.d"
    """,
    )
    for text in "ab":
        project.write("m.c", text)
        assert project.build().ran == ["object"]
    header.write_text("22")
    assert project.build().by_status("unchanged") == ["object"]
    assert project.build().by_status("unchanged") == []


def test_what_is_missing_is_told_as_of_a_job_of_this_machine(project: Project, cluster: DaskCluster) -> None:
    lab(
        project,
        cluster,
        """
    [tasks.missing]
    outputs = ["a", "b"]
    run = "echo > a; echo > c"
    [tasks.file]
    outputs = "d/"
    run = "rm -rf d; echo > d"
    [tasks.fifo]
    outputs = "f"
    run = "mkfifo f"
    """,
    )
    told = {name: event["details"] for name, event in project.bt("build", "-k").finished.items()}
    assert told == {
        "missing": ["missing: b", "it wrote instead: c"],
        "file": ["missing: d/ (it is a file)"],
        "fifo": ["missing: f (it is no regular file)"],
    }


@pytest.mark.parametrize("executor", ["lab", "local"])
def test_secrets_are_shown_nowhere(project: Project, cluster: DaskCluster, executor: str) -> None:
    project.taskfile(
        f"""
    [bt]
    secrets = ["TOKEN", "OTHER", "THIRD"]
    [env]
    OTHER = "second-secret"
    [executors.lab]
    backend = "dask"
    address = "{cluster.address}"
    [tasks.call]
    outputs = "a"
    track = {{ env = ["TOKEN"] }}
    call = "steps:fail"
    [tasks.run]
    outputs = "b"
    dotenv = ".env"
    run = "echo $OTHER $THIRD; exit 1"
    """
    )
    project.write(".env", "THIRD=third-secret")
    project.write(
        "steps.py", "import os\ndef fail(output):\n    raise ValueError('it is ' + os.environ['TOKEN'])\n"
    )
    env = {"TOKEN": "first-secret"}
    told = [project.bt("build", "-k", "-e", executor, *more, env=env) for more in ((), ("--json",))]
    logs = "".join(path.read_text() for path in (project.folder / ".bt/log").iterdir())
    whole = "".join(run.out + run.err for run in told) + logs
    assert "ValueError: it is ***" in whole
    assert [word for word in ("first-secret", "second-secret", "third-secret") if word in whole] == []


def test_a_server_that_is_no_scheduler_is_told(project: Project) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        project.taskfile(f"""
            [executors.lab]
            backend = "dask"
            address = "tcp://127.0.0.1:{server.getsockname()[1]}"
            [tasks.a]
            outputs = "a"
            run = "echo > a"
            """)
        accepted: list[socket.socket] = []
        thread = threading.Thread(target=lambda: accepted.append(server.accept()[0]), daemon=True)
        thread.start()
        with project.start("build", "-e", "lab") as process:
            thread.join(30)
            process.terminate()  # while it waits for a word
            process.communicate(timeout=40)
        assert process.returncode == 143
        run = project.bt("build", "-e", "lab")
        assert run.code == 7
        assert "no dask scheduler answers" in run.err
        for one in accepted:
            one.close()
