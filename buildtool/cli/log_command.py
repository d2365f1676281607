"""`bt log`."""

from __future__ import annotations

import os
import shutil
from typing import BinaryIO

from buildtool.cli.context import Context
from buildtool.cli.jobs import jobs_of_target
from buildtool.cli.printing import remark, standard_output
from buildtool.errors import ExitCode
from buildtool.failures import log_path
from buildtool.graph import Job, JobId, Kind
from buildtool.paths import STATE
from buildtool.state.store import StateReader
from buildtool.text import count, printable, visible

RAN = ("ran", "unchanged", "failed")  # other jobs of a build have printed nothing


def command(context: Context, target: str | None, only_path: bool) -> int:
    """Show what a target's jobs printed when they last ran; without a target, the job that ended last."""
    root = os.path.dirname(context.taskfile_path())
    if target is None:
        with StateReader.open(os.path.join(root, STATE)) as reader:
            for warning in reader.warnings:
                remark(f"warning: {warning}")
            last = last_job(reader)
        if last is None:
            remark("no job has run here yet")
            return ExitCode.MISSING
        return show(root, [last], 0, only_path=only_path)
    project = context.look((target,))
    with project.reader as reader:
        jobs = jobs_of_target(project)
        running = {entry.key for entry in reader.running()}
        found = [job if job.key in running else last_run(reader, job) for job in jobs]
    if not jobs:
        remark(f"`{printable(target)}` is a source: no job makes it")
        return ExitCode.MISSING
    known = [job for job in found if job is not None]
    return show(root, known, len(found) - len(known), only_path=only_path)


def last_job(reader: StateReader) -> Job | None:
    """The job that ended last in the last build in which any ran."""
    for build in reader.builds():
        for entry in reader.history(build=build.number):
            if entry.status in RAN:
                return Job(JobId(0), entry.name, Kind.RULE, entry.key)
    return None


def last_run(reader: StateReader, job: Job) -> Job | None:
    """The job under the name with which it last ran, since its log is called so; None if it never did."""
    record = reader.job(job.key)
    if record is None:
        return None
    return Job(job.id, record.task, job.kind, job.key, record.wildcards)


def show(root: str, jobs: list[Job], never: int, *, only_path: bool) -> int:
    """Print the logs, with a header for each if there are several."""
    silent = 0
    with standard_output() as out:
        for job in jobs:
            path = os.path.join(root, log_path(job))
            try:
                log = open(path, "rb")  # noqa: SIM115 -- closed below; only the opening may fail quietly
            except FileNotFoundError:
                silent += 1
                continue
            with log:
                if only_path:
                    out.write(os.fsencode(path) + b"\n")
                    continue
                if len(jobs) + never > 1:
                    out.write(f"==> {printable(job.name)} <==\n".encode())
                _copy(log, out)
        out.flush()
    if silent:
        one = len(jobs) == 1
        which = f"`{printable(jobs[0].name)}`" if one else count(silent, "job")
        why = "it printed nothing, or its log was" if one else "they printed nothing, or their logs were"
        remark(f"no output of {which} is kept: {why} removed")
    if never:
        has = "has" if never == 1 else "have"
        remark(f"{count(never, 'job') if jobs or never > 1 else 'it'} {has} not run yet")
    return ExitCode.DONE if jobs else ExitCode.MISSING


def _copy(log: BinaryIO, out: BinaryIO) -> None:
    """Print a log as it is; to those who act on what they read, a terminal and GitHub Actions, so that it is safe."""
    if out.isatty():
        out.writelines(
            visible(line.decode("utf-8", "replace").removesuffix("\n")).encode() + b"\n" for line in log
        )
    elif os.environ.get("GITHUB_ACTIONS") == "true":
        from buildtool.report.github import inert

        text = log.read().decode("utf-8", "surrogateescape")
        out.write(inert(text if text.endswith("\n") else text + "\n").encode("utf-8", "surrogateescape"))
    else:
        shutil.copyfileobj(log, out)
