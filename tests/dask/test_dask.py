"""Jobs on a dask cluster whose machines have neither the project nor `buildtool`."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import signal
import subprocess
import sys
import sysconfig
import time
from pathlib import Path
from typing import Any

import pytest

from support.cluster import LAB, DaskCluster, kept, kill, lab
from support.project import Project, Run

STEPS = """
    import helpers

    def shout(input, output):
        print("from", input)
        output.write_text(helpers.up(input.read_text()))
"""


def failing(project: Project, *words: str) -> Run:
    """A build in which jobs fail."""
    run = project.bt("build", *words)
    assert run.code == 1, run.out + run.err
    return run


def started(process: Any, words: str) -> str:
    """Wait until a build that prints events has told of these words."""
    read = ""
    for line in process.stdout:
        read += line
        if words in line:
            return read
    raise AssertionError(read + process.stderr.read())


SHOUT = """
    [tasks.shout]
    inputs = "in/{n}.txt"
    outputs = "out/{n}.txt"
    call = "steps:shout"
"""


def test_functions_and_commands_run_on_machines_that_know_nothing(
    project: Project, cluster: DaskCluster
) -> None:
    lab(
        project,
        cluster,
        SHOUT
        + """
    [tasks.all]
    inputs = "out/*"
    outputs = ["all.txt", "where.txt"]
    run = "cat out/* > all.txt; pwd > where.txt; ls"
    """,
    )
    project.write("steps.py", STEPS)
    project.write("helpers.py", "def up(text):\n    return text.upper()\n")
    for n in (1, 2, 3):
        project.write(f"in/{n}.txt", f"text {n}\n")
    assert project.build().ran == ["all", "shout 1", "shout 2", "shout 3"]
    assert project.read("all.txt") == "TEXT 1\nTEXT 2\nTEXT 3\n"
    assert str(cluster.folder) in project.read("where.txt")
    assert "from in/2.txt" in project.bt("log", "out/2.txt").out
    assert "all.txt\nout" in project.bt("log", "all.txt").out
    assert project.build().ran == []


def test_an_edit_of_a_helper_is_seen_on_a_warm_cluster(project: Project, cluster: DaskCluster) -> None:
    lab(project, cluster, SHOUT)
    project.write("steps.py", STEPS)
    project.write("in/1.txt", "Text\n")
    for body, wanted in (("upper", "TEXT\n"), ("lower", "text\n"), ("upper", "TEXT\n")):
        project.write("helpers.py", f"def up(text):\n    return text.{body}()\n")
        assert project.build().ran == ["shout 1"]
        assert project.read("out/1.txt") == wanted


def test_what_a_job_makes_comes_home_as_it_is(project: Project, cluster: DaskCluster) -> None:
    lab(
        project,
        cluster,
        """
    [tasks.make]
    outputs = ["tool", "tree/", "parts/*.txt", "big.bin", "a b/ü.txt"]
    run = '''
    echo '#!/bin/sh' > tool; chmod +x tool
    mkdir -p tree/inner tree/empty; echo 1 > tree/inner/x; ln -s inner/x tree/link
    for i in 1 2; do echo $i > parts/$i.txt; done
    head -c 300000 /dev/urandom > big.bin
    echo hi > 'a b/ü.txt'
    '''
    [tasks.use]
    inputs = ["tool", "tree/", "parts/*.txt", "big.bin", "a b/ü.txt"]
    outputs = "sum.txt"
    run = [
        "test -x tool; cat tree/link parts/*.txt 'a b/ü.txt' > sum.txt",
        "ls tree >> sum.txt; sha256sum big.bin >> sum.txt",
    ]
    """,
    )
    project.build()
    assert os.access(project.folder / "tool", os.X_OK)
    assert os.readlink(project.folder / "tree/link") == "inner/x"
    assert (project.folder / "tree/empty").is_dir()
    lines = project.read("sum.txt").splitlines()
    assert lines[:7] == ["1", "1", "2", "hi", "empty", "inner", "link"]
    assert lines[7].split()[0] == hashlib.sha256((project.folder / "big.bin").read_bytes()).hexdigest()
    assert project.build().ran == []


def test_a_job_sees_its_declared_inputs_alone(project: Project, cluster: DaskCluster) -> None:
    project.write("secret.txt", "x")
    project.write("given.txt", "x")
    lab(
        project,
        cluster,
        """
    [tasks.peek]
    inputs = "given.txt"
    outputs = "out.txt"
    run = "cat given.txt secret.txt > out.txt"
    """,
    )
    run = failing(project)
    assert "`secret.txt` is in the project and not among its inputs" in str(run.finished["peek"])
    assert not project.exists("out.txt")


def test_environment_directory_and_parameters_travel(project: Project, cluster: DaskCluster) -> None:
    lab(
        project,
        cluster,
        """
    [tasks.env]
    inputs = "sub/in.txt"
    outputs = "sub/out.txt"
    cwd = "sub"
    env = { WORD = "hello" }
    params = { n = 3 }
    call = "steps:env"
    [tasks.sh]
    inputs = "sub/in.txt"
    outputs = "sub/sh.txt"
    cwd = "sub"
    env = { WORD = "hello" }
    run = "echo $WORD $(cat in.txt) > sh.txt"
    [tasks.script]
    inputs = "sub/in.txt"
    outputs = "script.txt"
    script = "scripts/one.py"
    """,
    )
    project.write("sub/in.txt", "text")
    project.write(
        "steps.py",
        """
        import os
        def env(n, input, output):
            output.write_text(f"{os.environ['WORD']} {n} {input} {input.read_text()} {os.path.basename(os.getcwd())}")
        """,
    )
    project.write("scripts/near.py", "VALUE = 7\n")
    project.write(
        "scripts/one.py",
        "from buildtool import job\nimport near\njob.output.write_text(f'{job.input.read_text()} {near.VALUE}')\n",
    )
    project.build()
    assert project.read("sub/out.txt") == "hello 3 in.txt text sub"
    assert project.read("sub/sh.txt") == "hello text\n"
    assert project.read("script.txt") == "text 7"


def test_a_job_that_crashes_fails_alone(project: Project, cluster: DaskCluster) -> None:
    lab(
        project,
        cluster,
        """
    [tasks.job]
    foreach = { n = ["0", "1", "2", "3", "4", "5"] }
    outputs = "out/{n}.txt"
    call = "steps:job"
    """,
    )
    project.write(
        "steps.py",
        """
        import os, signal
        def job(n, output):
            print("here", flush=True)
            if n == "1":
                os._exit(3)
            if n == "2":
                os.kill(os.getpid(), signal.SIGSEGV)
            if n == "3":
                raise ValueError("no good")
            output.write_text(n)
        """,
    )
    run = failing(project, "-k")
    assert run.ran == ["job 0", "job 4", "job 5"]
    told = {name: str(event) for name, event in run.finished.items()}
    assert "exit code 3 before the job was done" in told["job 1"]
    assert "killed by SIGSEGV" in told["job 2"]
    assert "ValueError: no good" in told["job 3"]
    assert re.search(r"at steps.py:9\b", told["job 3"])
    assert all("here" in project.bt("log", f"out/{n}.txt").out for n in "0123")


def test_output_is_seen_while_a_job_runs(project: Project, cluster: DaskCluster) -> None:
    lab(
        project,
        cluster,
        """
    [tasks.slow]
    outputs = "out.txt"
    run = "echo first; while ! test -e stop; do sleep 0.05; done"
    """,
    )
    process = project.start("build", "--json")
    assert "first" in started(process, '"output"')
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=40)
    assert process.returncode == 130


def test_an_interrupt_ends_what_runs_on_the_machines(
    project: Project, cluster: DaskCluster, tmp_path: Path
) -> None:
    lab(
        project,
        cluster,
        """
    [tasks.slow]
    foreach = { n = ["1", "2", "3", "4", "5", "6"] }
    outputs = "{n}.txt"
    run = "echo $$ >> %s; exec sleep 60"
    """
        % (tmp_path / "pids"),
    )
    process = project.start("build", "--json")
    started(process, '"started"')
    until = time.monotonic() + 40
    while time.monotonic() < until and not (tmp_path / "pids").exists():
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=40)
    assert process.returncode == 130
    for pid in (tmp_path / "pids").read_text().split():
        until = time.monotonic() + 40
        while _alive(int(pid)) and time.monotonic() < until:
            time.sleep(0.02)
        assert not _alive(int(pid))


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_time_limit_ends_a_job(project: Project, cluster: DaskCluster) -> None:
    lab(
        project,
        cluster,
        """
    [tasks.slow]
    outputs = "out.txt"
    timeout = 0.3
    run = "sleep 60"
    """,
    )
    run = failing(project)
    assert "timed out after" in str(run.finished["slow"])


def test_a_job_whose_machine_dies_runs_elsewhere(
    project: Project, own_cluster: DaskCluster, tmp_path: Path
) -> None:
    lab(
        project,
        own_cluster,
        f"""
    [tasks.slow]
    outputs = "out.txt"
    run = "echo $PPID >> {tmp_path}/where; while ! test -e {tmp_path}/go; do sleep 0.05; done; echo done > out.txt"
    """,
    )
    process = project.start("build", "--json")
    started(process, '"started"')
    where, until = tmp_path / "where", time.monotonic() + 40
    while time.monotonic() < until and not (where.exists() and where.read_text()):
        time.sleep(0.02)
    parent = int(where.read_text().split()[0])
    kill(next(worker for worker in own_cluster.workers if worker.pid == parent))
    started(process, "began again on another")
    (tmp_path / "go").touch()
    out, err = process.communicate(timeout=40)
    assert process.returncode == 0, out + err
    assert project.read("out.txt") == "done\n"


def test_a_lost_scheduler_is_told_and_what_is_finished_is_kept(
    project: Project, own_cluster: DaskCluster, tmp_path: Path
) -> None:
    tasks = f"""
    [tasks.quick]
    outputs = "quick.txt"
    run = "echo 1 > quick.txt"
    [tasks.slow]
    inputs = "quick.txt"
    outputs = "out.txt"
    run = "echo begun; while ! test -e {tmp_path}/go; do sleep 0.05; done; echo done > out.txt"
    """
    lab(project, own_cluster, tasks)
    process = project.start("build", "--json")
    started(process, "begun")
    kill(own_cluster.scheduler)
    out, err = process.communicate(timeout=40)
    assert process.returncode == 7, out + err
    assert "connection to the cluster of `lab` is lost" in out + err
    assert "Traceback" not in err
    (tmp_path / "go").touch()
    for worker in own_cluster.workers:
        kill(worker)
    again = DaskCluster(own_cluster.folder, workers=1)
    try:
        lab(project, again, tasks)
        assert project.build().ran == ["slow"]
    finally:
        again.close()


def test_nobody_at_the_address_is_told(project: Project) -> None:
    project.taskfile(LAB.format(address="tcp://127.0.0.1:9") + "[tasks.a]\noutputs = 'a'\nrun = 'echo > a'\n")
    run = project.bt("build")
    assert run.code == 7
    assert "no dask scheduler answers at `tcp://127.0.0.1:9`" in run.err
    assert "Traceback" not in run.err


def test_a_cluster_of_this_machine_needs_no_address(project: Project) -> None:
    project.taskfile(
        """
    [executors.lab]
    backend = "dask"
    workers = 2
    [tasks.a]
    foreach = { n = ["1", "2"] }
    outputs = "{n}.txt"
    executor = "lab"
    run = "echo {n} > {n}.txt"
    [tasks.b]
    inputs = ["1.txt", "2.txt"]
    outputs = "b.txt"
    run = "cat 1.txt 2.txt > b.txt"
    """
    )
    assert project.build().ran == ["a 1", "a 2", "b"]
    assert project.read("b.txt") == "1\n2\n"


def test_a_scheduler_file_tells_the_address(project: Project, cluster: DaskCluster) -> None:
    project.taskfile(
        f"""
    [executors.lab]
    backend = "dask"
    scheduler_file = "{cluster.file}"
    [tasks.a]
    outputs = "a.txt"
    executor = "lab"
    run = "pwd > a.txt"
    """
    )
    project.build()
    assert str(cluster.folder) in project.read("a.txt")


def test_a_cluster_behind_tls(project: Project, tmp_path: Path) -> None:
    certificate = ("-subj", "/CN=localhost", "-keyout", "key.pem", "-out", "cert.pem", "-days", "2")
    subprocess.run(
        ["openssl", "req", "-x509", "-nodes", "-newkey", "rsa:2048", *certificate],
        cwd=project.folder,
        check=True,
        capture_output=True,
    )
    key, cert = str(project.folder / "key.pem"), str(project.folder / "cert.pem")
    files = ("--tls-ca-file", cert, "--tls-cert", cert, "--tls-key", key)
    cluster = DaskCluster(tmp_path / "cluster", 1, tls=files)
    try:
        assert cluster.address.startswith("tls://")
        task = "[tasks.a]\noutputs = 'a.txt'\nrun = 'pwd > a.txt'\n"
        security = 'security = { ca = "cert.pem", cert = "cert.pem", key = "key.pem" }\n'
        project.taskfile(
            f'[executors.lab]\nbackend = "dask"\naddress = "{cluster.address}"\n' + security + task
        )
        assert project.build("-e", "lab").ran == ["a"]
        assert str(cluster.folder) in project.read("a.txt")
        project.taskfile(f'[executors.lab]\nbackend = "dask"\naddress = "{cluster.address}"\n' + task)
        run = project.bt("build", "-e", "lab", "-B")
        assert run.code == 7
        assert "no dask scheduler answers at" in run.err
    finally:
        cluster.close()


def test_a_cluster_without_workers_is_told_of(project: Project, tmp_path: Path) -> None:
    cluster = DaskCluster(tmp_path / "cluster", 0)
    try:
        lab(project, cluster, "[tasks.a]\noutputs = 'a.txt'\nrun = 'pwd > a.txt'\n")
        process = project.start("build", "--json")
        started(process, "`lab` has no workers: its jobs wait until there are some")
        cluster.add_worker()
        out, err = process.communicate(timeout=40)
        assert process.returncode == 0, out + err
    finally:
        cluster.close()


def test_resources_that_no_machine_has_are_told_of(project: Project, tmp_path: Path) -> None:
    cluster = DaskCluster(tmp_path / "cluster", 1)
    try:
        lab(
            project,
            cluster,
            'resources = ["GPU"]\n'
            "[tasks.a]\noutputs = 'a.txt'\nresources = { GPU = 1 }\nrun = 'pwd > a.txt'\n"
            "[tasks.b]\noutputs = 'b.txt'\nrun = 'pwd > b.txt'\n",
        )
        process = project.start("build", "--json")
        started(process, "no worker of `lab` offers GPU = 1: its jobs wait until one does")
        assert project.exists("b.txt")
        cluster.add_worker("GPU=2")
        out, err = process.communicate(timeout=40)
        assert process.returncode == 0, out + err
    finally:
        cluster.close()


def test_jobs_that_wait_for_a_machine_are_not_told_as_running(project: Project, tmp_path: Path) -> None:
    cluster = DaskCluster(tmp_path / "cluster", 1)
    try:
        lab(
            project,
            cluster,
            f"""
    [tasks.a]
    foreach = {{ n = ["1", "2", "3"] }}
    outputs = "{{n}}.txt"
    run = "echo first; while ! test -e {tmp_path}/go; do sleep 0.05; done; echo > {{n}}.txt"
    """,
        )
        process = project.start("build", "--json")
        read = started(process, '"output"')
        assert read.count('"started"') == 1
        (tmp_path / "go").touch()
        out, err = process.communicate(timeout=40)
        assert process.returncode == 0, out + err
        assert out.count('"started"') == 2
    finally:
        cluster.close()


def test_commands_without_outputs_and_the_terminal_stay_here(project: Project, cluster: DaskCluster) -> None:
    lab(
        project,
        cluster,
        """
    [tasks.here]
    run = "pwd > place.txt"
    [tasks.kept]
    outputs = "log.txt"
    keep = true
    run = "pwd >> log.txt"
    """,
    )
    project.build("here", "kept")
    assert project.read("place.txt").strip() == project.read("log.txt").strip() == str(project.folder)


def test_an_executor_is_chosen_for_a_task_or_for_a_build(project: Project, cluster: DaskCluster) -> None:
    project.taskfile(
        f"""
    [executors.lab]
    backend = "dask"
    address = "{cluster.address}"
    [tasks.near]
    outputs = "near.txt"
    run = "pwd > near.txt"
    [tasks.far]
    outputs = "far.txt"
    executor = "lab"
    run = "pwd > far.txt"
    """
    )
    run = project.build()
    assert {name: event["executor"] for name, event in run.finished.items()} == {
        "near": "local",
        "far": "lab",
    }
    assert project.read("near.txt").strip() == str(project.folder)
    assert str(cluster.folder) in project.read("far.txt")
    project.build("-e", "lab", "-B")
    assert str(cluster.folder) in project.read("near.txt")
    project.build("-e", "local", "-B")
    assert project.read("far.txt").strip() == str(project.folder)


def test_an_input_is_sent_once(project: Project, tmp_path: Path) -> None:
    cluster = DaskCluster(tmp_path / "cluster", 1)
    try:
        lab(
            project,
            cluster,
            """
    [tasks.size]
    foreach = { n = ["1", "2", "3", "4"] }
    inputs = "big.bin"
    outputs = "{n}.txt"
    run = "wc -c < big.bin > {n}.txt"
    """,
        )
        project.write("big.bin", os.urandom(200_000))
        project.build()
        [before] = [(path, path.stat().st_ino, path.stat().st_mtime_ns) for path in kept(cluster)]
        project.build("-B")
        assert [(path, path.stat().st_ino, path.stat().st_mtime_ns) for path in kept(cluster)] == [before]
        assert project.read("3.txt").strip() == "200000"
    finally:
        cluster.close()


def with_distributed(python: Path, venv: Path) -> Path:
    """A virtual environment of another Python with the packages that are here; with its own if it cannot use them."""
    subprocess.run([python, "-m", "venv", "--without-pip", venv], check=True)
    [site] = venv.glob("lib/python*/site-packages")
    (site / "here.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    if subprocess.run(
        [venv / "bin/python", "-c", "import distributed"], capture_output=True, check=False
    ).returncode:
        (site / "here.pth").unlink()
        pip = [sys.executable, "-m", "pip", "--python", venv / "bin/python", "--disable-pip-version-check"]
        subprocess.run([*pip, "install", "-q", "--no-compile", "distributed"], check=True)
    return venv


def test_another_python_on_the_machines(project: Project, tmp_path: Path) -> None:
    found = [
        *Path.home().glob(".pyenv/versions/3.1[2-9]*/bin/python3"),
        *Path("/usr/bin").glob("python3.1[2-9]"),
    ]
    if not found:
        pytest.skip("there is no other Python here")
    python = found[0]
    venv = with_distributed(python, tmp_path / "venv")
    cluster = DaskCluster(tmp_path / "cluster", 1, python=str(venv / "bin/python"))
    try:
        lab(project, cluster, SHOUT)
        project.write("steps.py", "import sys\ndef shout(output):\n    output.write_text(sys.version)\n")
        project.write("in/1.txt", "")
        run = project.build()
        assert not project.read("out/1.txt").startswith("3.11")
        here, there = platform.python_version(), project.read("out/1.txt").split()[0]
        assert any(f"Python: {here} here, {there} there" in text for text in run.warnings)
    finally:
        cluster.close()


def test_jobs_that_nobody_waits_for_any_more_are_ended(
    project: Project, cluster: DaskCluster, tmp_path: Path
) -> None:
    lab(
        project,
        cluster,
        f"""
    [tasks.slow]
    outputs = "out.txt"
    run = "echo $$ > {tmp_path}/pid; echo begun; exec sleep 60"
    """,
    )
    process = project.start("build", "--json")
    started(process, "begun")
    kill(process)
    process.communicate(timeout=40)
    pid = int((tmp_path / "pid").read_text())
    until = time.monotonic() + 40
    while _alive(pid) and time.monotonic() < until:
        time.sleep(0.02)
    assert not _alive(pid)


ADAPTIVE = """
import sys, time
from distributed import LocalCluster
if __name__ == "__main__":
    cluster = LocalCluster(n_workers=0, threads_per_worker=1, dashboard_address=None)
    cluster.adapt(minimum=0, maximum=2, interval="100ms")
    print(cluster.scheduler_address, flush=True)
    sys.stdin.read()
"""


def test_an_adaptive_cluster_grows_from_the_queue(project: Project, tmp_path: Path) -> None:
    (tmp_path / "adaptive.py").write_text(ADAPTIVE)
    with subprocess.Popen(
        [sys.executable, tmp_path / "adaptive.py"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=tmp_path,
    ) as scheduler:
        assert scheduler.stdin is not None
        assert scheduler.stdout is not None
        address = scheduler.stdout.readline().strip()
        project.taskfile(
            LAB.format(address=address)
            + f"""
    [tasks.meet]
    foreach = {{ n = ["1", "2"] }}
    outputs = "{{n}}.txt"
    run = [
        "touch {tmp_path}/at{{n}}; while ! test -e {tmp_path}/at1 -a -e {tmp_path}/at2; do sleep 0.1; done",
        ": > {{n}}.txt",
    ]
    """
        )
        assert project.build().ran == ["meet 1", "meet 2"]
        scheduler.stdin.close()


def test_a_python_that_is_too_old_is_named(project: Project, tmp_path: Path) -> None:
    found = [*Path.home().glob(".pyenv/versions/3.10*/bin/python3"), *Path("/usr/bin").glob("python3.10")]
    if not found:
        pytest.skip("there is no old Python here")
    venv = with_distributed(found[0], tmp_path / "venv")
    (tmp_path / "p").symlink_to(venv / "bin/python")
    cluster = DaskCluster(tmp_path / "cluster", 1, python=str(venv / "bin/python"))
    try:
        lab(project, cluster, "[tasks.a]\noutputs = 'a.txt'\nrun = 'pwd > a.txt'\n")
        run = failing(project)
        assert "has Python 3.10" in str(run.finished["a"])
        assert f"`bt` runs on {platform.python_version()}" in str(run.finished["a"])
    finally:
        cluster.close()
