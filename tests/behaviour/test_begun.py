"""What is known of jobs that have begun, while they run and when `bt` is killed."""

from __future__ import annotations

import contextlib
import subprocess

from buildtool.executors.processes import start_stamp
from buildtool.state.store import StateReader
from support.project import Project


def test_the_process_of_a_job_is_known_after_a_while(project: Project) -> None:
    project.taskfile('[tasks.a]\noutputs = "a"\nrun = "echo > begun; sleep 60; echo > a"\n')
    process = project.start("build")
    found = []
    try:
        for _ in range(2000):
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
        run = "if [ -e go ]; then cat {input} > {output}; else sh kill; fi"
    """)
    project.write("kill", r"""kill -9 $(sed -E 's/.*"pid": ([0-9]+).*/\1/' .bt/lock)""")
    project.write("numbers", "".join(f"{number}\n" for number in range(60)))
    assert project.bt("build", "-j4").code == -9
    project.write("go", "")
    run = project.build()
    assert any("60 finished jobs kept" in warning for warning in run.warnings)
    assert run.ran == ["last"]
