"""What a person asked for, as jobs: names of tasks, files, globs, or nothing (then the default)."""

from __future__ import annotations

import posixpath
from collections.abc import Container, Iterable, Sequence

from buildtool.errors import BtError, GraphError, Place, UsageError, raise_all
from buildtool.expand.expander import Expander
from buildtool.expand.variables import line_place
from buildtool.graph import FileId, Form, Job, JobId, Kind
from buildtool.paths import canonical
from buildtool.taskfile.pattern import Pattern, PatternError, parse_pattern
from buildtool.taskfile.specs import Taskfile, Word
from buildtool.text import meant, nearest, printable, shell_word

LIKELY = 5000  # paths that a misspelt one is compared with


class Wanted:
    """The jobs asked for, and those among them (and among what groups need) whose outputs must exist."""

    def __init__(self) -> None:
        self.roots: list[JobId] = []
        self.asked: set[JobId] = set()
        self.paths: list[str] = []  # files asked for that an output glob may or may not bring


def wanted(taskfile: Taskfile, expander: Expander, words: Sequence[str], folder: str = "") -> Wanted:
    """The jobs for the words of a command line, typed in the project's `folder`; without words, the default.

    Raises `GraphError` (exit 3) for a target that nothing makes, with the nearest name.
    """
    found = Wanted()
    if words:
        for word in words:
            path = path_of(expander, word, folder)
            glob = is_glob(expander, word, path)
            jobs = target(taskfile, expander, word, folder)
            found.roots += jobs
            found.asked.update(jobs)
            if not glob and any(c.is_glob for c in expander.index.candidates(path)):
                found.paths.append(path)
    elif taskfile.settings.default is not None:
        errors: list[BtError] = []
        for default in taskfile.settings.default:
            try:
                jobs = target(taskfile, expander, default.text, "", default)
            except BtError as error:
                errors.append(error)
                continue
            found.roots += jobs
            found.asked.update(jobs)
        raise_all(errors)
    else:
        found.roots = _everything(expander)
    expander.drain()
    found.roots = list(dict.fromkeys(found.roots))
    _ask_for_groups(expander, found)
    return found


def _everything(expander: Expander) -> list[JobId]:
    """All rules and checks; the outputs that no task consumes must exist anyway, and the others need not."""
    found = []
    for name, task in expander.tasks.items():
        if task.kind in (Kind.RULE, Kind.CHECK):
            try:
                found += expander.jobs_of(name)
            except BtError as error:
                expander.errors.append(error)
    return found


def idle_tasks(expander: Expander) -> list[str]:
    """A sentence for each task that has no job because nothing matches its inputs."""
    used = {job.task for job in expander.graph.jobs}
    return [
        f"task `{name}` has nothing to do: nothing matches `{printable(entry.pattern.text)}`"
        for name, task in expander.tasks.items()
        if name not in used and task.rows is None and task.rows_from is None
        for entry in list(task.input_entries())[:1]
    ]


def open_tasks(expander: Expander) -> list[str]:
    """A sentence for each task that has no job because nobody asks for one of its files."""
    used = {job.task for job in expander.graph.jobs}
    return [
        f"task `{name}` has nothing to do: it makes files only when they are asked for; `foreach` gives them names"
        for name, task in expander.tasks.items()
        if name not in used and task.names and not task.inputs and task.spec.foreach is None
    ]


def _ask_for_groups(expander: Expander, found: Wanted) -> None:
    """What a wanted group needs is asked for by name."""
    pending = [job for job in found.roots if expander.graph.jobs[job].kind is Kind.GROUP]
    seen = set(pending)
    while pending:
        job = expander.graph.jobs[pending.pop()]
        for other in stood_for(expander, job) if not job.growing or job.id in found.asked else ():
            found.asked.add(other)
            if expander.graph.jobs[other].kind is Kind.GROUP and other not in seen:
                seen.add(other)
                pending.append(other)


def stood_for(expander: Expander, group: Job) -> set[JobId]:
    """The jobs that a group is another name for.

    A task with jobs that are not known yet is a group, too, and so is a glob; what they wait for to know them is not
    meant.
    """
    if group.id in expander.globs:
        producers = {expander.graph.files[file].producer for file in group.needs}
        bringing = _bringing(expander, expander.globs[group.id].pattern, group.requires)
        return {*bringing, *(p for p in producers if p is not None)}
    waits = expander.graph.prerequisites(group) - set(group.after)
    if not expander.is_task_group(group.id):
        return waits
    return {job for job in waits if expander.graph.jobs[job].task == group.task}


def target(
    taskfile: Taskfile, expander: Expander, text: str, folder: str, word: Word | None = None
) -> list[JobId]:
    """The jobs of one target. `word` is where it stands, if it stands in a Taskfile."""
    place = word.place if word is not None else None
    if not text:
        raise UsageError("a target is empty", place=place)
    if text in expander.tasks:
        jobs = expander.jobs_of(text)
        if not jobs and expander.is_open(text):
            task = expander.tasks[text]
            if any(not entry.pattern.is_literal for entry in task.input_entries()):
                raise GraphError(
                    f"task `{text}` has no jobs: nothing matches its inputs",
                    place=place or task.spec.at("inputs"),
                )
            raise UsageError(
                f"task `{text}` makes files only when they are asked for: nothing gives values to its wildcards",
                place=place or task.spec.at("outputs"),
                hint="ask for a file, or add `foreach` to the task",
            )
        return jobs
    if text in taskfile.tasks:
        return []
    path = path_of(expander, text, folder)
    if " " in text and not is_file(expander, path) and (seen := expander.seen_as(text)) is not None:
        return [seen]
    if is_glob(expander, text, path):
        return _glob(expander, path, text, place)
    file = expander.file(path)
    producer = expander.graph.files[file].producer
    if producer is not None:
        return [producer]
    directory = (
        expander.file(path + "/") if not path.endswith("/") and path + "/" in expander.graph.by_path else None
    )
    if directory is not None and expander.graph.files[directory].producer is not None:
        return [expander.graph.files[directory].producer or JobId(0)]
    expander.missing.pop(file, None)
    if path.endswith("/") or expander.disk.is_directory(path):
        inside = _glob(expander, path.rstrip("/") + "/**", text, place, empty=True)
        if inside:
            return inside
    if expander.disk.exists(path):
        return []  # a source that is there is up to date
    raise no_such_target(taskfile, expander, text, place)


def is_glob(expander: Expander, text: str, path: str) -> bool:
    """Whether a target is a glob and not the name of a file."""
    return any(c in text for c in "*?[") and not expander.is_meant(path)


def is_file(expander: Expander, path: str) -> bool:
    """Whether a path is known as a file or a directory: it is there, or something may make it."""
    if expander.disk.exists(path):
        return True
    names = (path, path.rstrip("/") + "/")
    return any(name in expander.graph.by_path or expander.index.candidates(name) for name in names)


def path_of(expander: Expander, text: str, folder: str) -> str:
    """The canonical path of a target: as seen from the folder it was typed in, or else from the root."""
    root = expander.disk.root
    if folder:
        near = canonical(posixpath.join(root, folder, text), root)
        if near in expander.graph.by_path or expander.index.candidates(near) or expander.disk.exists(near):
            return near
    return canonical(text, root)


def _glob(
    expander: Expander, path: str, text: str, place: Place | None, *, empty: bool = False
) -> list[JobId]:
    try:
        [pattern] = parse_pattern(path.replace("{", "{{").replace("}", "}}"), expander.disk.root)
    except PatternError as error:
        raise UsageError(f"`{printable(text)}`: {error}", place=place) from error
    paths, blockers = expander.gather(pattern)
    looked = pattern.inner if pattern.is_directory else pattern
    makers = [entry.place for _, entry in expander.index.overlapping(looked)]
    if pattern.is_directory and paths:  # what is made in them is asked for
        makers += [
            task.spec.place for task in expander.tasks.values()
        ]  # who names a file makes something there, too
        return [expander.glob_group(pattern, place or makers[0])] if makers else []
    files: list[FileId] = [expander.file(found) for found in paths]
    producers = [expander.graph.files[file].producer for file in files]
    if not paths and not blockers and not empty:
        raise GraphError(f"`{printable(text)}` matches nothing", place=place)
    known = [p for p in producers if p is not None]
    if blockers:  # what else there is to be made is known when these have run
        known += sorted(_bringing(expander, pattern, blockers.named))
        known.append(expander.glob_group(pattern, place or makers[0]))
    return list(dict.fromkeys(known))


def _bringing(expander: Expander, pattern: Pattern, jobs: Iterable[JobId]) -> list[JobId]:
    """Those of the jobs that may make what a pattern matches; others only tell what there will be."""
    makers = {task.name for task, _ in expander.index.overlapping(pattern)}
    return [job for job in jobs if expander.graph.jobs[job].task in makers]


def no_such_target(taskfile: Taskfile, expander: Expander, text: str, place: Place | None) -> GraphError:
    """The error for a target that is neither a task nor a file that anything makes."""
    known = [*taskfile.tasks, *expander.index.names()]
    known += [f.path for f in expander.graph.files if f.producer is not None and f.form is not Form.GLOB]
    known += [path for path in expander.likely(text, LIKELY) if path != text]
    found = nearest(text, known)
    return GraphError(
        f"no task makes `{printable(text)}`, and there is no such file or task",
        place=place,
        hint=meant(text, found) if found else "`bt list` shows the tasks",
    )


def missing_files(expander: Expander, among: Container[FileId] | None = None) -> list[BtError]:
    """An error for every input (`among` these) that is not there and that nothing makes."""
    errors: list[BtError] = []
    for file, job in expander.missing.items():
        if among is not None and file not in among:
            continue
        path = expander.graph.files[file].path
        name = expander.graph.jobs[job].name if job is not None else ""
        folder = path[: path.rfind("/") + 1]
        beside = [folder + entry.name for entry in expander.disk.entries(folder)]
        place, is_waited_for = place_of(path, expander, job)
        tasks = expander.tasks if is_waited_for else ()
        table = (
            "paths begin at the folder of the Taskfile: correct it, or add the file" if job is None else None
        )
        found = nearest(path, [*beside, *expander.index.names(), *tasks])
        needed = f"`{printable(name)}`"
        hint = meant(path, found) if found and found != path else table
        if job is not None and (left := _left_of(expander, job)) is not None:
            reader = expander.graph.jobs[expander.graph.consumers[expander.graph.by_path[left]][0]]
            needed += f", which makes `{printable(left)}` for `{printable(reader.name)}`"
            hint = f"`{printable(left)}` is still there: `bt accept {shell_word(left)}` makes it yours"
        errors.append(
            GraphError(
                f"`{printable(path)}`: no such file, and no task makes it",
                place=place,
                facts=(("needed by", needed),) if name else (),
                hint=hint,
            )
        )
    return errors


def _left_of(expander: Expander, job: JobId) -> str | None:
    """A file that a job left which there is no more since its values are gone, and that is meant by its very name."""
    graph, known = expander.graph, expander.tasks[expander.graph.jobs[job].task]
    if not known.names or known.spec.foreach is not None:
        return None
    files = (graph.files[f] for f in graph.jobs[job].output_files() if graph.consumers.get(f))
    return next((f.path for f in files if f.form is Form.FILE and expander.disk.exists(f.path)), None)


def place_of(path: str, expander: Expander, job: JobId | None) -> tuple[Place | None, bool]:
    """Where the path or its pattern is written, and whether it could be meant for a task."""
    if job is None:
        rows = [task.rows_from for task in expander.tasks.values() if task.rows_from is not None]
        return next((entry.place for entry in rows if entry.pattern.prefix == path), None), False
    known = expander.tasks[expander.graph.jobs[job].task]
    values = expander.values[job]
    for entry in known.input_entries():
        pattern = entry.pattern.fill(values)
        if pattern.match(path) is not None:
            return entry.place, False
        if entry.is_list:
            line = line_place(
                expander.disk, pattern.prefix, lambda t: canonical(t, expander.disk.root) == path
            )
            if line is not None:
                return line, False
    for word in (*known.needs, *known.after):
        if not isinstance(word, str) and word.pattern.fill(values).match(path) is not None:
            return word.place, True
    return known.spec.at("dotenv" if path in known.dotenv else "inputs"), False


def cycle_error(expander: Expander, roots: list[JobId]) -> GraphError | None:
    """The error for jobs that wait for each other, shown as `a → b → a`, or None."""
    cycle = expander.graph.cycle(roots)
    return None if cycle is None else circle_error(expander, cycle)


def task_cycle(expander: Expander) -> GraphError | None:
    """The error for tasks of one job that need each other, whether anybody asked for them or not."""
    tasks = {name: task for name, task in expander.tasks.items() if task.is_literal}
    waits: dict[str, list[str]] = {}
    for name, task in tasks.items():
        for word in (*task.needs, *task.after):
            path = None if isinstance(word, str) or not word.pattern.is_literal else word.pattern.prefix
            makers = [word] if isinstance(word, str) else []
            if path is not None:
                makers = [c.task.name for c in expander.index.candidates(path) if c.literal]
            waits.setdefault(name, []).extend(maker for maker in makers if maker in tasks)
    done: set[str] = set()
    for root in waits:
        path_: dict[str, None] = {}
        stack = [(root, False)]
        while stack:
            name, leaving = stack.pop()
            if leaving:
                del path_[name]
                done.add(name)
            elif name in path_:
                names = [*path_]
                circle = [*names[names.index(name) :], name]
                return GraphError(
                    "these tasks wait for each other: " + " → ".join(reversed(circle)),
                    place=tasks[name].spec.place,
                    hint="take one of them out of the `needs` or `after` of another",
                )
            elif name not in done:
                path_[name] = None
                stack.append((name, True))
                stack += [(other, False) for other in waits.get(name, ())]
    return None


def circle_error(expander: Expander, cycle: list[JobId]) -> GraphError:
    """The error for jobs that wait for each other, the first one repeated at the end."""
    jobs = [expander.graph.jobs[job] for job in cycle]
    labels = [printable(job.key if job.kind is Kind.RULE else job.name) for job in reversed(jobs)]
    files = expander.graph.files
    by_files = any(files[file].producer in cycle for job in jobs for file in job.input_files())
    facts = tuple(
        ("task", f"`{job.task}` at {spec.place.file}:{spec.place.line}")
        for job in dict.fromkeys(jobs)
        for spec in [expander.tasks[job.task].spec]
    )
    return GraphError(
        "these jobs wait for each other: " + " → ".join(labels),
        place=expander.tasks[jobs[0].task].spec.place,
        facts=facts,
        hint=(
            "take one of these files out of the inputs of the job before it"
            if by_files
            else "take one of them out of the `needs` or `after` of another"
        ),
    )
