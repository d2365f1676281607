"""Tasks made ready for expansion: variables filled in, patterns and templates parsed, what is wrong collected."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property

from buildtool.errors import BtError, Place, ReportedError, TaskfileError
from buildtool.expand.variables import Variables, collect, read_table, scalar_text
from buildtool.files import Disk
from buildtool.graph import Kind
from buildtool.paths import canonical, is_outside, parents
from buildtool.taskfile.pattern import SEGMENT, Pattern, PatternError, Wild, parse_pattern
from buildtool.taskfile.specs import WAYS, Slot, Taskfile, TaskSpec, Word
from buildtool.taskfile.tables import ANY
from buildtool.taskfile.template import (
    Placeholder,
    ShellTemplate,
    Template,
    TemplateError,
    parse_command,
    parse_template,
)
from buildtool.text import did_you_mean, listing, printable
from buildtool.tuples import NamedTuple


class Entry(NamedTuple):
    """One pattern of `inputs`, `outputs`, `needs` and the like."""

    pattern: Pattern
    place: Place
    is_list: bool = False  # `"@list"`: the files that this file names


class Entries(NamedTuple):
    """One slot of `inputs` or `outputs`."""

    name: str | None
    entries: tuple[Entry, ...]
    many: bool


class Task:
    """A task whose patterns are known and whose wildcards are still open."""

    def __init__(
        self,
        spec: TaskSpec,
        kind: Kind,
        inputs: tuple[Entries, ...],
        outputs: tuple[Entries, ...],
        *,
        needs: tuple[Entry | str, ...],
        after: tuple[Entry | str, ...],
        track_files: tuple[Entry, ...],
        depfile: Pattern | None,
        cwd: Pattern | None,
        dotenv: tuple[str, ...],
        rows: tuple[Mapping[str, str], ...] | None,
        rows_from: Entry | None,
        names: tuple[str, ...],
    ) -> None:
        self.spec = spec
        self.kind = kind
        self.inputs = inputs
        self.outputs = outputs
        self.needs = needs  # a text is the name of a task
        self.after = after
        self.track_files = track_files
        self.depfile = depfile
        self.cwd = cwd
        self.dotenv = dotenv
        self.rows = rows  # of `foreach`; None where there is none
        self.rows_from = rows_from  # the file that the rows stand in, read when it is up to date
        self.names = names  # the wildcards that tell its jobs apart
        self.command: ShellTemplate | None = None
        self.env: Mapping[str, Template] = {}

    @property
    def name(self) -> str:
        """The task's name."""
        return self.spec.name

    @cached_property
    def is_literal(self) -> bool:
        """Whether it is exactly one job."""
        return not self.names and self.rows is None and self.rows_from is None

    @cached_property
    def gathers(self) -> bool:
        """Whether some input is a glob."""
        return any(entry.pattern.is_glob for entry in self.input_entries())

    @cached_property
    def reads_paths(self) -> bool:
        """Whether a job's values alone say what it reads and waits for: single files, and nothing else."""
        if self.needs or self.after or self.dotenv or self.track_files or self.rows_from is not None:
            return False
        entries = list(self.input_entries())
        return not any(e.is_list or e.pattern.is_glob or not _is_file(e.pattern) for e in entries)

    def input_entries(self) -> Iterator[Entry]:
        """Every pattern of `inputs`."""
        for slot in self.inputs:
            yield from slot.entries

    def read_entries(self) -> Iterator[Entry]:
        """Every pattern of files that decide about its jobs: `inputs`, those among `needs`, and tracked ones."""
        yield from self.input_entries()
        yield from (word for word in self.needs if not isinstance(word, str))
        yield from self.track_files

    def output_entries(self) -> Iterator[Entry]:
        """Every pattern of `outputs`."""
        for slot in self.outputs:
            yield from slot.entries


def _is_file(pattern: Pattern) -> bool:
    """Whether a pattern without globs never stands for a directory, whatever its values are."""
    return pattern.suffix != "" and not pattern.is_directory


def group_task(name: str, entry: Entry) -> Task:
    """A task that is another name for what one pattern matches."""
    return Task(
        TaskSpec(name, entry.place, {}),
        Kind.GROUP,
        (),
        (),
        needs=(entry,),
        after=(),
        track_files=(),
        depfile=None,
        cwd=None,
        dotenv=(),
        rows=None,
        rows_from=None,
        names=(),
    )


class Ready(NamedTuple):
    """The tasks of a Taskfile whose jobs can be known, and what is wrong."""

    tasks: dict[str, Task]
    errors: list[BtError]
    wrong: frozenset[str]  # tasks with a mistake anywhere; those that are not in `tasks` are among them


def ready_tasks(taskfile: Taskfile, variables: Variables, disk: Disk) -> Ready:
    """Every task of a Taskfile, as far as it can be told which jobs it has, and what is wrong with any."""
    errors: list[BtError] = []
    tasks: dict[str, Task] = {}
    wrong = {name for table, name in taskfile.wrong if table == "tasks"}
    written = Written(taskfile, variables, disk)
    for spec in taskfile.tasks.values():
        maker = _Maker(taskfile, spec, variables, disk, errors, written)
        before = len(errors)
        task = maker.make()
        if maker.is_sound:
            tasks[spec.name] = task
        if len(errors) > before or spec.wrong:
            wrong.add(spec.name)
    return Ready(tasks, [e for e in errors if not isinstance(e, ReportedError)], frozenset(wrong))


# Keys that say which jobs a task has and what these read and write; ANY is there if the keys do not go together.
SHAPE = (
    ANY,
    "inputs",
    "outputs",
    "needs",
    "after",
    "foreach",
    "track",
    "dotenv",
    "depfile",
    "cwd",
    "run",
    "call",
    "script",
)


def may_write(taskfile: Taskfile, variables: Variables, disk: Disk, name: str) -> list[Pattern] | None:
    """What a task with a mistake may write; None: that cannot be told."""
    spec = taskfile.tasks.get(name)
    if spec is None or "outputs" in spec.wrong or not (spec.outputs or spec.wrong <= {*TaskSpec._fields}):
        return None  # of a task without outputs, a key that nobody knows may be meant to be that
    errors: list[BtError] = []
    maker = _Maker(taskfile, spec, variables, disk, errors, Written(taskfile, variables, disk))
    found = [entry.pattern for slot in spec.outputs for entry in maker.entries(slot.words, "outputs")]
    return None if errors else found


class Written:
    """What tasks may write, looked through when somebody asks for the first time."""

    def __init__(self, taskfile: Taskfile, variables: Variables, disk: Disk) -> None:
        self._parts = (taskfile, variables, disk)

    def __contains__(self, path: str) -> bool:
        if path in self._literals:
            return True
        return any(
            p.match(path) is not None or (p.is_directory and path.startswith(p.prefix)) for p in self._open
        )

    @cached_property
    def _patterns(self) -> list[Pattern]:
        taskfile, variables, disk = self._parts
        found = []
        for spec in taskfile.tasks.values():
            maker = _Maker(taskfile, spec, variables, disk, [], self)  # mistakes are told of elsewhere
            found += [
                entry.pattern for slot in spec.outputs for entry in maker.entries(slot.words, "outputs")
            ]
        return found

    @cached_property
    def _literals(self) -> set[str]:
        return {p.prefix for p in self._patterns if p.is_literal}

    @cached_property
    def _open(self) -> list[Pattern]:
        return [p for p in self._patterns if not p.is_literal or p.is_directory]


class _Maker:
    """Reads one task; every mistake goes to `errors`."""

    def __init__(
        self,
        taskfile: Taskfile,
        spec: TaskSpec,
        variables: Variables,
        disk: Disk,
        errors: list[BtError],
        written: Written,
    ) -> None:
        self.taskfile = taskfile
        self.spec = spec
        self.variables = variables
        self.disk = disk
        self.errors = errors
        self.is_sound = True  # which jobs it has, and what they read and write, can be told
        self.written = written

    def wrong(self, summary: str, place: Place, hint: str | None = None) -> None:
        """Note a mistake."""
        self.errors.append(TaskfileError(summary, place=place, hint=hint))

    def make(self) -> Task:
        """Read the whole task."""
        spec = self.spec
        before = len(self.errors)
        inputs = self.slots(spec.inputs, "inputs")
        outputs = self.slots(spec.outputs, "outputs")
        inputs, outputs = self.constrained(inputs, outputs)
        if outputs:
            kind = Kind.RULE
        elif spec.run is None and spec.call is None and spec.script is None:
            kind = Kind.GROUP
        else:
            kind = Kind.CHECK if inputs else Kind.COMMAND
        rows, rows_from = self.foreach()
        made = [n for slot in outputs for e in slot.entries for n in e.pattern.names]
        read = [n for slot in inputs for e in slot.entries for n in e.pattern.names]
        given = list(rows[0]) if rows else []
        if rows_from is not None and spec.foreach is not None and spec.foreach.lines is not None:
            given = [spec.foreach.lines[0]]
        names = tuple(dict.fromkeys(made if outputs else [*given, *read]))
        known = {*names, *read, *given}
        anything = rows_from is not None and not given  # columns of a table that is not there yet
        unclear = len(self.errors) > before or not spec.wrong.isdisjoint(("inputs", "outputs", "foreach"))
        anything = anything or unclear
        task = Task(
            spec,
            kind,
            inputs,
            outputs,
            needs=self.words(spec.needs, "needs"),
            after=self.words(spec.after, "after"),
            track_files=tuple(self.entries(spec.track.files, "track.files")),
            depfile=self.single(spec.depfile, "depfile"),
            cwd=self.single(spec.cwd, "cwd"),
            dotenv=tuple(canonical(word.text, self.taskfile.root) for word in spec.dotenv),
            rows=rows,
            rows_from=rows_from,
            names=names,
        )
        if not unclear:
            self.check_wildcards(task, set(made), set(read), set(given), anything)
        self.check_outputs(task)
        self.is_sound = len(self.errors) == before and spec.wrong.isdisjoint(SHAPE)
        self.check_resources()
        self.check_ignore(task)
        if spec.run is not None:
            task.command = self.command(spec.run, known, inputs, outputs, anything)
        task.env = self.environment(known, anything)
        return task

    def slots(self, slots: tuple[Slot, ...], key: str) -> tuple[Entries, ...]:
        """Parse `inputs` or `outputs`."""
        found = []
        for slot in slots:
            entries = tuple(self.entries(slot.words, key))
            many = slot.many or len(entries) != 1 or entries[0].is_list or entries[0].pattern.is_glob
            found.append(Entries(slot.name, entries, many))
        return tuple(found)

    def constrained(
        self, inputs: tuple[Entries, ...], outputs: tuple[Entries, ...]
    ) -> tuple[tuple[Entries, ...], tuple[Entries, ...]]:
        """The slots with every `{n:regex}` in force for all `{n}` of the task."""
        found: dict[str, Wild] = {}
        for slot in (*inputs, *outputs):
            for entry in slot.entries:
                for part in entry.pattern.parts:
                    if not isinstance(part, Wild) or part.regex == SEGMENT:
                        continue
                    if found.setdefault(part.name, part).regex != part.regex:
                        self.wrong(f"`{{{part.name}}}` has two different regular expressions", entry.place)
        if not found:
            return inputs, outputs

        def with_regex(slot: Entries) -> Entries:
            entries = tuple(e._replace(pattern=e.pattern.constrain(found)) for e in slot.entries)
            return slot._replace(entries=entries)

        return tuple(map(with_regex, inputs)), tuple(map(with_regex, outputs))

    def entries(self, words: tuple[Word, ...], key: str) -> Iterator[Entry]:
        """Parse some patterns; a list variable in one gives several."""
        for word in words:
            is_list = key == "inputs" and word.text.startswith("@")
            try:
                patterns = parse_pattern(
                    word.text[is_list:],
                    self.taskfile.root,
                    lambda name, place=word.place: self.variables.choices(name, place),  # type: ignore[misc]  # mypy cannot infer a lambda with a default
                )
            except PatternError as error:
                self.wrong(f"`{printable(word.text)}`: {error}", word.place)
                continue
            except BtError as error:
                self.errors.append(error)
                continue
            for pattern in patterns:
                if is_list and pattern.is_glob:
                    self.wrong("`@` takes one file, not a glob", word.place)
                else:
                    yield Entry(pattern, word.place, is_list)

    def words(self, words: tuple[Word, ...], key: str) -> tuple[Entry | str, ...]:
        """Parse `needs` or `after`: names of tasks, or files."""
        found: list[Entry | str] = []
        for word in words:
            if word.text in self.taskfile.tasks:
                found.append(word.text)
            else:
                found += self.entries((word,), key)
        return tuple(found)

    def single(self, word: Word | None, key: str) -> Pattern | None:
        """Parse a key that takes one path."""
        if word is None:
            return None
        found = list(self.entries((word,), key))
        if len(found) == 1 and not found[0].pattern.is_glob:
            return found[0].pattern
        if found:
            self.wrong(f"`{key}` takes one path", word.place)
        return None

    def foreach(self) -> tuple[tuple[Mapping[str, str], ...] | None, Entry | None]:
        """The rows of `foreach`, or the file in which they will stand."""
        foreach = self.spec.foreach
        if foreach is None:
            return None, None
        if foreach.product is not None:
            rows: list[dict[str, str]] = [{}]
            for name, values in foreach.product.items():
                rows = [{**row, name: scalar_text(value)} for row in rows for value in values]
            return tuple(rows), None
        if foreach.rows is not None:
            return tuple({n: scalar_text(v) for n, v in row.items()} for row in foreach.rows), None
        word = foreach.table or (foreach.lines and foreach.lines[1])
        if word is None:
            return None, None
        found = list(self.entries((word,), "foreach"))
        if not found:
            return None, None
        path = found[0].pattern.prefix
        if foreach.table is not None and self.disk.exists(path) and path not in self.written:
            rows_read: list[tuple[Mapping[str, str], ...]] = []
            collect(
                self.errors,
                lambda: rows_read.append(tuple(read_table(self.disk, path, word.place))),
            )
            return (rows_read[0] if rows_read else ()), found[0]
        return None, found[0]

    # -- templates -------------------------------------------------------------------------------------------

    def command(
        self,
        text: str,
        known: set[str],
        inputs: tuple[Entries, ...],
        outputs: tuple[Entries, ...],
        anything: bool,
    ) -> ShellTemplate | None:
        """Parse `run` and look up every placeholder in it."""
        try:
            template = parse_command(text)
        except TemplateError as error:
            self.wrong(str(error), self.spec.in_run(error.offset, error.length))
            return None
        for placeholder in template.placeholders:
            place = self.spec.in_run(placeholder.offset, placeholder.length)
            self.placeholder(placeholder, known, inputs, outputs, anything, place)
        return template

    def placeholder(
        self,
        placeholder: Placeholder,
        known: set[str],
        inputs: tuple[Entries, ...],
        outputs: tuple[Entries, ...],
        anything: bool,
        place: Place,
    ) -> None:
        """Check that a placeholder will have a value."""
        name = placeholder.name
        head, _, tail = name.partition(".")
        if head in ("input", "inputs", "output", "outputs"):
            slots, word = (inputs, "inputs") if head.startswith("input") else (outputs, "outputs")
            slot_names = [slot.name for slot in slots if slot.name is not None]
            if word in self.spec.wrong:
                pass  # reported
            elif not slots:
                text = f"`{{{name}}}` is used, and the task has no `{word}`"
                self.wrong(text, place, f"add `{word}`, or write `{{{{{name}}}}}` for plain braces")
            elif tail and tail not in slot_names:
                hint = did_you_mean(tail, slot_names) or _names(slot_names)
                hint = hint or f'give it that name: `{word} = {{ {tail} = "…" }}`'
                self.wrong(f"`{{{name}}}`: `{word}` has no name `{tail}`", place, hint)
        elif head in ("params", "vars") and not tail:
            self.wrong(f"`{{{head}}}` is a table", place, f"write `{{{head}.NAME}}` for one of its values")
        elif head == "params":
            if tail not in self.spec.params and "params" not in self.spec.wrong:
                hint = did_you_mean(tail, self.spec.params) or f"add `{tail}` to `params`"
                self.wrong(f"`{{{name}}}`: `params` has no key `{tail}`", place, hint)
        elif head == "vars":
            collect(self.errors, lambda: self.variables.value(tail, place))
        elif head == "depfile":
            if self.spec.depfile is None and "depfile" not in self.spec.wrong:
                self.wrong("`{depfile}` is used, and the task has no `depfile`", place)
        elif name not in known and name not in ("cpus", "args") and not anything:
            candidates = [*known, "input", "output", "inputs", "outputs", "cpus", "args", "depfile"]
            candidates += [f"params.{p}" for p in self.spec.params] + [
                f"vars.{v}" for v in self.taskfile.vars
            ]
            hint = did_you_mean(name, candidates)
            self.wrong(f"unknown `{{{name}}}`", place, hint or f"write `{{{{{name}}}}}` for plain braces")

    def environment(self, known: set[str], anything: bool) -> dict[str, Template]:
        """Parse the values of `[env]` and of the task's `env`."""
        found = {}
        for source, key in ((self.taskfile.env, ""), (self.spec.env, "env")):
            for name, text in source.items():
                try:
                    template = parse_template(text)
                except TemplateError as error:
                    self.wrong(f"`env.{name}`: {error}", self.spec.at(key))
                    continue
                found[name] = template
                for placeholder in template.placeholders if key else ():
                    self.placeholder(placeholder, known, (), (), anything, self.spec.at("env"))
        return found

    # -- meaning ---------------------------------------------------------------------------------------------

    def check_wildcards(
        self, task: Task, made: set[str], read: set[str], given: set[str], anything: bool
    ) -> None:
        """Every wildcard must be bound, and every job must make files of its own."""
        spec = self.spec
        if task.rows and (loose := sorted(made - read - given)):
            place = spec.foreach.place if spec.foreach is not None else spec.place
            self.wrong(f"`foreach` gives no value to `{{{loose[0]}}}`", place, did_you_mean(loose[0], given))
        if task.outputs:
            for entry in task.output_entries():
                if missing := made - set(entry.pattern.names):
                    names = listing([f"`{{{n}}}`" for n in sorted(missing)])
                    self.wrong(
                        f"`{entry.pattern.text}` lacks {names}, so that every value would write the same file",
                        entry.place,
                        "give all outputs of a task the same wildcards",
                    )
            for entry in task.input_entries():
                if loose := [
                    n for n in entry.pattern.names if n not in made and n not in given and not anything
                ]:
                    self.wrong(
                        f"wildcard `{{{loose[0]}}}` of `inputs` is not in `outputs`, "
                        "so that every value would write the same file",
                        entry.place,
                        "write `*` to gather all values in one job",
                    )
        elif not task.inputs and task.names and task.rows is None and task.rows_from is None:
            self.wrong(f"wildcard `{{{task.names[0]}}}` is bound by nothing", spec.place, "add `foreach`")
        bound = made | read | given
        for key, entries in (("needs", task.needs), ("after", task.after), ("track", task.track_files)):
            for word in entries:
                loose = [] if isinstance(word, str) or anything else sorted(set(word.pattern.names) - bound)
                if loose:
                    self.wrong(f"wildcard `{{{loose[0]}}}` of `{key}` is bound by nothing", spec.at(key))
        for key, pattern in (("depfile", task.depfile), ("cwd", task.cwd)):
            loose = sorted(set(pattern.names) - bound) if pattern is not None and not anything else []
            if loose:
                self.wrong(f"wildcard `{{{loose[0]}}}` of `{key}` is bound by nothing", spec.at(key))
        self.check_values(task)

    def check_resources(self) -> None:
        """A job takes only what there is: `cpus`, `memory`, the pools, and what machines offer."""
        pools = self.taskfile.settings.pools
        offered = {name for executor in self.taskfile.executors for name in self.taskfile.offered(executor)}
        known = {"cpus", "memory", *pools, *offered}
        if "pools" in self.taskfile.settings.wrong:
            return
        for name, amount in self.spec.resources.items():
            place = self.spec.at("resources")
            if name not in known:
                hint = did_you_mean(name, known) or f"add `{name}` to `pools` in `[bt]`"
                self.wrong(f"no pool is called `{name}`", place, hint)
            elif name in pools and amount > pools[name]:
                self.wrong(f"`{name} = {amount:g}` can never be had: the pool has {pools[name]:g}", place)

    def check_values(self, task: Task) -> None:
        """A value of `foreach` must fit every wildcard of its name, or it could escape its path segment."""
        wilds: dict[str, set[Wild]] = {}
        for entry in (*task.input_entries(), *task.output_entries()):
            for part in entry.pattern.parts:
                if isinstance(part, Wild):
                    wilds.setdefault(part.name, set()).add(part)
        if task.spec.foreach is None:
            return
        found: dict[str, None] = {}
        for row in task.rows or ():
            for name, value in row.items():
                problem = unfit(value, wilds.get(name, set()))
                if problem:
                    found[f"`{printable(value)}` cannot be a value of `{{{name}}}`: {problem}"] = None
        for summary in found:
            self.wrong(summary, task.spec.foreach.place)

    def check_ignore(self, task: Task) -> None:
        """Every part that `ignore` names is there."""
        spec = self.spec
        slots = [slot.name for slot in task.inputs if slot.name is not None]
        names = {
            "inputs": [*slots, *(entry.pattern.text for entry in task.input_entries())],
            "params": list(spec.params),
            "env": [*self.taskfile.env, *spec.env],
            "track": [*spec.track.env, *spec.track.cmd, *(entry.pattern.text for entry in task.track_files)],
            "command": [],
            "shell": [],
        }
        patterns = {"inputs": list(task.input_entries()), "track": list(task.track_files)}
        for word in spec.ignore:
            head, dot, tail = word.partition(".")
            excused = head in spec.wrong or (head == "env" and spec.dotenv)
            if not dot or head not in names or excused or tail in names[head]:
                continue
            if any(
                entry.is_list or entry.pattern.match(tail) is not None for entry in patterns.get(head, ())
            ):
                continue
            hint = did_you_mean(tail, names[head]) or f"leave it out, or write `{head}` for all of it"
            self.wrong(
                f"`ignore` names `{printable(word)}`, which the task does not have", spec.at("ignore"), hint
            )

    def check_outputs(self, task: Task) -> None:
        """Outputs must lie in the project, or in a directory that `[bt] allow` names."""
        read = {entry.pattern for entry in task.input_entries() if not entry.pattern.is_glob}
        files = {e.pattern.text for e in task.output_entries() if not e.pattern.is_glob}
        word = task.spec.hash
        if word not in WAYS and word.isalnum() and (hint := did_you_mean(word, WAYS)):
            hint += " A command of that name needs its path, or an argument."
            self.wrong(f"`hash` cannot be `{printable(word)}`", task.spec.at("hash"), hint)
        for entry in task.output_entries():
            pattern = entry.pattern
            if pattern.names and pattern in read:
                self.wrong(
                    f"task `{task.name}` would feed itself: it reads and writes `{printable(pattern.text)}`",
                    entry.place,
                    "write to another folder, or under another ending",
                )
            start = pattern.prefix
            above = next((f[:-1] for f in parents(pattern.text) if f[:-1] in files), None)
            if above is not None:
                text = f"`{printable(pattern.text)}` cannot lie in `{printable(above)}`, which is a file"
                self.wrong(
                    text, entry.place, f"declare `{printable(above)}/` as a directory, or move one of them"
                )
            if pattern.is_directory and task.spec.hash != "bytes":
                self.wrong("`hash` is for files, and an output is a directory", task.spec.at("hash"))
            if start in ("", "./") and pattern.is_literal:
                self.wrong("the project directory itself cannot be an output", entry.place)
            elif start == ".bt/" or start.startswith(".bt/"):
                self.wrong("`.bt/` belongs to `bt` itself", entry.place)
            elif start in self.taskfile.sources:
                self.wrong("a Taskfile cannot be an output", entry.place)
            elif "allow" in self.taskfile.settings.wrong:
                continue
            elif is_outside(start) and not any(
                start.startswith(allowed.rstrip("/") + "/") for allowed in self.taskfile.settings.allow
            ):
                self.wrong(
                    f"output `{printable(pattern.text)}` lies outside the project",
                    entry.place,
                    f'allow it with `allow = ["{printable(pattern.folder.rstrip("/") or "/")}"]` in `[bt]`',
                )


def _names(names: list[str]) -> str | None:
    """A hint that tells which there are."""
    return f"there is {listing([f'`{name}`' for name in names])}" if names else None


def unfit(value: str, wilds: set[Wild]) -> str | None:
    """Why a value cannot stand for these wildcards, or None."""
    import re  # already loaded by the patterns

    if not value:
        return "it is empty"
    if "\0" in value:
        return "it holds a NUL character"
    for wild in sorted(wilds, key=lambda w: w.regex):
        if value in (".", "..") or any(part in (".", "..", "") for part in value.split("/") if wild.deep):
            return "it would lead out of its directory"
        if not re.fullmatch(wild.regex, value, re.DOTALL):
            if "/" in value:
                return f"it holds `/` (write `{{{wild.name}:**}}` to allow that)"
            return f"it does not match `{wild.regex}`"
    return None
