"""Taking what is on the disk as right: records as if the jobs had just made it."""

from __future__ import annotations

import time
from collections.abc import Iterator

from buildtool.clean import note_by_hand
from buildtool.expand.targets import Wanted, path_of, stood_for
from buildtool.expand.variables import AbsentError
from buildtool.failures import glob_paths
from buildtool.fingerprint import Fingerprint, Fresh
from buildtool.graph import Form, Job, JobId, Kind
from buildtool.paths import parents
from buildtool.project import Project
from buildtool.state.records import JobRecord, Made
from buildtool.state.store import State
from buildtool.text import printable

UNDONE = "what a killed build left of it was put right just now: look at its outputs first"


def accept(project: Project, state: State) -> tuple[list[str], list[str], list[tuple[str, str]]]:
    """Record the present outputs of the stale jobs among the targets (of all jobs without targets).

    Gives the names of the accepted jobs, the files among the targets that are a person's from now on since no task
    makes them any more, and for each other stale job its name and the cause: an output that is missing, the list or
    table that tells of it, or that what a killed build left of it was put right only now, so that nobody has seen what
    would be accepted (`State.undone`).
    """
    adopted = _adopt(project, state)
    request = project.request
    words = [w for w in request.targets if path_of(project.expander, w, request.folder) not in adopted]
    if adopted and not words:
        state.commit()
        return [], adopted, []
    want: Wanted = project.want(words)
    everything = not project.request.targets
    done: set[JobId] = set()
    checker = project.checker(done.__contains__, want)
    accepted: list[str] = []
    lacking: list[tuple[str, str]] = []
    meant = set(want.roots)
    for number in _each(project, want, meant, done, lacking):
        job = project.graph_jobs[number]
        look = checker.look(job)
        made = look.record.outputs if look.record is not None else ()
        chosen = everything or number in meant
        if chosen and not isinstance(look.verdict, Fresh) and job.kind in (Kind.RULE, Kind.CHECK):
            present, missing = _present(project, job)
            if job.key in state.undone:
                lacking.append((job.name, UNDONE))
            elif missing:
                lacking.append((job.name, f"{printable(missing[0])} is missing"))
            else:
                record = look.record
                found = record.found if record is not None else ()
                note_by_hand(state, job.key, record, present)
                state.record(
                    JobRecord(
                        job.key,
                        job.task,
                        job.wildcards,
                        "ok",
                        Fingerprint(look.items),
                        present,
                        found,
                        record.build if record is not None else 0,
                        time.time(),
                        record.seconds if record is not None else 0.0,
                        record.peak_memory if record is not None else 0,
                        record.executor if record is not None else "local",
                        record.runs if record is not None else 0,
                        accepted=True,
                    ),
                    checker.codes,
                )
                accepted.append(job.name)
                made = present
        checker.made[number] = dict(made)
        project.expander.settle(number, tuple(m.path for m in made))
        done.add(number)
    state.remember(project.disk.fresh)
    state.add_meanings(checker.meanings.fresh)
    state.commit()
    return accepted, adopted, lacking


def _adopt(project: Project, state: State) -> list[str]:
    """Of files among the targets that no task makes any more, forget that one did: they are a person's; their names."""
    expander = project.expander
    meant = {path_of(expander, word, project.request.folder): None for word in project.request.targets}
    found = [path for path in meant if expander.was_made(path)]
    for path in found:
        folder = next((above for above in parents(path) if above in project.owned), None)
        if path not in project.owned and folder is not None:
            own = state.inside(folder)
            own = (
                own
                if own is not None
                else {p: project.disk.digest(p) or "" for p in project.disk.below(folder)}
            )
            state.note_inside(folder, {p: digest for p, digest in own.items() if p != path})
    state.forget_outputs(found)
    return found


def _each(
    project: Project, want: Wanted, meant: set[JobId], done: set[JobId], lacking: list[tuple[str, str]]
) -> Iterator[JobId]:
    """The jobs in order, each filled in when all before it are done; the jobs of a meant task are `meant`, too.

    One that cannot be filled in, since a list or a table is not there, is `lacking`.
    """
    grown: dict[JobId, tuple[JobId, ...]] = {}
    stale = True  # the order, since a job was filled in
    while stale:
        stale = False
        for number in project.order(want.roots):
            if number in done:
                continue
            requires = project.graph_jobs[number].requires
            if project.graph_jobs[number].growing and grown.get(number) != requires:
                grown[number] = requires
                try:
                    job = project.grow(number)
                except AbsentError as error:
                    done.add(number)
                    if number in meant:
                        lacking.append((project.graph_jobs[number].name, error.summary))
                    continue
                if number in meant and job.kind is Kind.GROUP:
                    meant |= stood_for(project.expander, job)
                stale = True
                break
            yield number


def _present(project: Project, job: Job) -> tuple[tuple[Made, ...], list[str]]:
    """The outputs that are there, and those that are not."""
    present, missing = [], []
    for number in job.output_files():
        file = project.expander.graph.files[number]
        paths = glob_paths(project.disk.root, file.path) if file.form is Form.GLOB else [file.path]
        for path in paths:
            value = project.disk.digest(path)
            if value is None:
                missing.append(path)
            else:
                present.append(Made(path, value))
    return tuple(present), missing
