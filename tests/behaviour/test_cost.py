"""What a full build asks of the system, counted. Never how long it takes."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time

from buildtool.build import COMMITS, PAUSE
from buildtool.executors.processes import start_stamp
from buildtool.state.store import StateReader
from support.project import Project

JOBS = 120
# Counts the functions in C that a build calls, by name.
COUNTING = """
import json, sys
from collections import Counter
from buildtool.cli.main import run
counts = Counter()
def count(frame, event, function):
    if event == "c_call":
        counts[function.__name__] += 1
sys.setprofile(count)
try:
    run(["build", "-j2"])
except SystemExit as end:
    assert not end.code
finally:
    sys.setprofile(None)
    print(json.dumps(counts))
"""


def counted(project: Project) -> tuple[dict[str, int], float]:
    """The calls of a build, and its seconds."""
    begun = time.monotonic()
    ran = subprocess.run(
        [sys.executable, "-c", COUNTING], cwd=project.folder, capture_output=True, text=True, check=True
    )
    found: dict[str, int] = json.loads(ran.stdout.splitlines()[-1])
    return found, time.monotonic() - begun


def test_a_full_build_in_counts(project: Project) -> None:
    project.taskfile("""
        [tasks.copy]
        inputs = "src/{n}"
        outputs = "out/{n}"
        run = "cp {input} {output}"
    """)
    for number in range(JOBS):
        project.write(f"src/{number}", f"{number}\n")
    counts, seconds = counted(project)
    assert counts["posix_spawn"] == JOBS
    assert counts["wait4"] <= 2 * JOBS
    # Transactions are for all that has ended meanwhile, each of a begin, an end and one statement a table.
    commits = COMMITS + seconds / PAUSE + 25
    assert counts["execute"] <= 2 * commits + 100
    assert counts["executemany"] <= 5 * commits
    # Source and output are read once each, and a journal and the note about all of it are written.
    assert counts["xxh3_128_hexdigest"] <= 2 * JOBS + 10
    assert counts["lstat"] <= 10 * JOBS
    assert counts["stat"] <= 6 * JOBS


def test_the_process_of_a_job_is_known_after_a_while(project: Project) -> None:
    project.taskfile('[tasks.a]\noutputs = "a"\nrun = "echo > begun; sleep 60; echo > a"\n')
    process = project.start("build")
    found = []
    try:
        for _ in range(1000):
            with StateReader.open(str(project.folder / ".bt")) as reader:
                found = [job for job in reader.running() if job.pid]
            if found:
                break
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=0.02)
        assert [job.key for job in found] == ["a"]
        assert found[0].pid is not None
        assert found[0].stamp == start_stamp(found[0].pid)
    finally:
        process.terminate()
        process.communicate()
    with StateReader.open(str(project.folder / ".bt")) as reader:
        assert reader.running() == []


def test_what_a_job_builds_on_is_kept_when_bt_is_killed(project: Project) -> None:
    """However fast the jobs before it were: it is committed before the job begins."""
    project.taskfile("""
        [tasks.first]
        foreach = { n = "@numbers" }
        outputs = "first/{n}"
        run = "echo {n} > {output}"

        [tasks.last]
        inputs = "first/*"
        outputs = "last"
        run = "if [ -e go ]; then cat {input} > {output}; else kill -9 $PPID; fi"
    """)
    project.write("numbers", "".join(f"{number}\n" for number in range(60)))
    assert project.bt("build", "-j4").code == -9
    project.write("go", "")
    run = project.build()
    assert any("60 finished jobs kept" in warning for warning in run.warnings)
    assert run.ran == ["last"]
