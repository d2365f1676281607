"""Whose a path is: which job makes it, as far as that is known by now."""

from __future__ import annotations

from buildtool.failures import glob_paths
from buildtool.graph import FileId, Form, Job, JobId
from buildtool.paths import parents
from buildtool.project import Project


class Owners:
    """For one build, which tells what settled jobs left at glob outputs: it goes into `claims`."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._disk = project.disk
        self.claims: dict[str, JobId] = {}  # files of glob outputs, with the settled job that made them
        self._below: dict[str, list[FileId]] = {}  # the files in each folder, however deep
        self._sorted = 0  # files of the graph that are in it

    def is_needed(self, job: Job, path: str) -> bool:
        """Whether a former output of a job is somebody else's by now: tasks may have been written anew since.

        Another job makes it (be it wanted or not) or something in it, or it is read as a source.
        """
        graph = self._project.expander.graph
        maker = self.maker(path)
        if maker is not None:
            return maker != job.id
        if path in graph.by_path:
            return True
        if path[-1:] == "/" and self._holds_others(job, path):
            return True
        values = dict(job.wildcards)
        return any(
            c.task.name != job.task or any(values.get(name, v) != v for name, v in c.values.items())
            for c in self._project.expander.index.candidates(path)
        )

    def _holds_others(self, job: Job, folder: str) -> bool:
        """Whether a file below a folder is read, or is made by another job."""
        files = self._project.expander.graph.files
        for file in files[self._sorted :]:
            for above in parents(file.path):
                self._below.setdefault(above, []).append(file.id)
        self._sorted = len(files)
        return any(files[number].producer != job.id for number in self._below.get(folder, ()))

    def in_the_way(self, job: Job, text: str) -> list[str]:
        """The files that a glob output matches now, without what jobs read and what others make."""
        return [path for path in glob_paths(self._disk.root, text) if self._is_own(job, path)]

    def _is_own(self, job: Job, path: str) -> bool:
        """Whether a file that a glob output of the job matches is no source and nobody else's."""
        known = self._project.expander.graph.by_path.get(path)
        return self.maker(path) in (None, job.id) and (known is None or self.maker(path) is not None)

    def maker(self, path: str) -> JobId | None:
        """The job that makes a path, as far as that is known."""
        known = self._project.expander.graph.by_path.get(path)
        producer = self._project.expander.graph.files[known].producer if known is not None else None
        if producer is None:
            producer = self.claims.get(path)
        # What the graph knows without a maker is a source: whether a directory holds it was looked at then.
        return producer if producer is not None or known is not None else self._maker_of_all(path)

    def _maker_of_all(self, path: str) -> JobId | None:
        """The job that makes a directory as a whole in which a path lies."""
        graph = self._project.expander.graph
        above = (graph.by_path.get(folder) for folder in parents(path))
        makers = (graph.files[folder].producer for folder in above if folder is not None)
        return next((maker for maker in makers if maker is not None), None)

    def of_others(self, job: Job) -> list[str]:
        """The files that a glob output of the job matches now and that belong to other jobs, or to people."""
        graph = self._project.expander.graph
        texts = [graph.files[f].path for f in job.output_files() if graph.files[f].form is Form.GLOB]
        if not texts:
            return []
        inputs = {*graph.paths(job.input_files()), *graph.paths(job.needs)}
        found = [path for text in texts for path in glob_paths(self._disk.root, text)]
        return [p for p in dict.fromkeys(found) if p not in inputs and not self._is_own(job, p)]
