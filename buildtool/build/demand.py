"""What jobs take of what there is while they run, how long that is, and which goes first.

Does not know what runs now: that is the plan's.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from buildtool.graph import Job, JobId
from buildtool.project import Project

SHORT = 0.1  # seconds; of jobs on other machines that take less, many travel together
TOGETHER = 32  # of them take the room of one


class Demand:
    """For one build. `jobs`: how many may run at once; `expected`: seconds that jobs took before, by key."""

    def __init__(self, project: Project, jobs: int, expected: Mapping[str, float]) -> None:
        self._project = project
        self._expected = expected
        self._ran: dict[str, tuple[int, float]] = {}  # by task: runs and their seconds, in all
        self._fixed: dict[str, Mapping[str, float]] = {}  # by task, where it is the same for all jobs
        taskfile = project.taskfile
        self.capacity = _capacity(jobs, taskfile.settings.pools)
        for name, spec in taskfile.executors.items():
            if "workers" in spec.options and spec.backend != "coiled":
                self.capacity[f"workers of {name}"] = float(spec.options["workers"])
        for name in taskfile.remote_executors():
            # Until it tells how many it can use.
            self.capacity.setdefault(f"workers of {name}", float(jobs))

    def set_workers(self, executor: str, jobs: float) -> str:
        """How many jobs an executor can use now; the name of that resource."""
        name = f"workers of {executor}"
        self.capacity[name] = jobs
        return name

    def resources(self, job: JobId) -> Mapping[str, float]:
        """What a job takes: more than there is means all there is."""
        known = self._project.graph_jobs[job]
        fixed = self._fixed.get(known.task)
        if fixed is not None:
            return fixed
        spec, taskfile = self._project.renderer.task(known).spec, self._project.taskfile
        executor = self._project.executor_of(known)
        theirs = taskfile.offered(executor)
        found = {resource: amount for resource, amount in spec.resources.items() if resource not in theirs}
        workers = f"workers of {executor}"
        if workers in self.capacity:
            seconds = self.seconds(known)
            short = taskfile.is_remote(executor) and seconds is not None and seconds < SHORT
            found[workers] = 1.0 / TOGETHER if short else 1.0
        else:
            found.setdefault("cpus", 1.0)
        if taskfile.is_remote(executor):  # these are this machine's
            found = {name: amount for name, amount in found.items() if name not in ("cpus", "memory")}
        if known.task in self._project.expander.index.crowded:
            found["globs"] = 1.0  # so that it can be told which of them wrote a file that both may make
        if spec.interactive:
            found["terminal"] = 1.0
        taken = {name: min(amount, self.capacity.get(name, amount)) for name, amount in found.items()}
        if executor == "local" and workers not in self.capacity:
            self._fixed[known.task] = taken  # nothing of it will ever change
        return taken

    def seconds(self, job: Job) -> float | None:
        """What a job will take: what it took last, or what others of its task did in this build."""
        known = self._expected.get(job.key)
        if known is None and job.task in self._ran:
            runs, seconds = self._ran[job.task]
            known = seconds / runs
        return known

    def urgency(self, job: JobId) -> tuple[float, ...]:
        """The greater, the earlier it starts: by its priority, then what takes long."""
        known = self._project.graph_jobs[job]
        spec = self._project.renderer.task(known).spec
        return (spec.priority, self._expected.get(known.key, 0.0))

    def note_run(self, job: Job, seconds: float) -> None:
        """A job took so long."""
        runs, before = self._ran.get(job.task, (0, 0.0))
        self._ran[job.task] = (runs + 1, before + seconds)


def _capacity(jobs: int, pools: Mapping[str, float]) -> dict[str, float]:
    """How much of each resource there is: `cpus` are the jobs that may run at once, `memory` what is built in."""
    memory = float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    return {"cpus": float(jobs), "memory": memory, "terminal": 1.0, "globs": 1.0, **pools}
