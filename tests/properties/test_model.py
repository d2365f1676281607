"""The whole tool against the reference: after any edits, kills and failures, incremental equals clean.

Each step of the machine edits something or builds. Every job notes in `log` when it begins and ends, so that
what ran, how often and in which order is seen from outside. Most builds run in forked copies of this process, to
save time; those that are killed or interrupted start anew, with one job held at a FIFO.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from support import reference
from support.forked import forked
from support.project import Project, Run
from support.reference import FILTERS, Result, Rule, Step

WORDS = ("a", "b", "c", "A", "# x", "# y", "# z")
HEAD = 'default = "none"'
COMMAND = """\
echo "B $me" >> log
[ ! -e hold ] || . ./hold
if cat {{inputs}} | grep -q FAIL; then
  for name in {outputs}; do echo half > $name; done
  exit 1
fi
{writes}echo "E $me" >> log
"""

FUNCTION = r"""
import os
import subprocess

FILTERS = {
    "copy": lambda lines: lines,
    "strip": lambda lines: [line for line in lines if line[:1] != "#"],
    "upper": lambda lines: [line.upper() for line in lines],
    "sort": lambda lines: sorted(set(lines)),
}


def note(line):
    with open("log", "a") as log:
        log.write(line + "\n")


def work(inputs, outputs, me, how, p):
    note("B " + me)
    if os.path.exists("hold"):
        subprocess.run(["sh", "-c", 'me="$1"; . ./hold', "sh", me])
    text = "".join(path.read_text() for path in inputs)
    if "FAIL" in text:
        for path in outputs:
            path.write_text("half\n")
        raise ValueError("FAIL")
    for number, path in enumerate(outputs):
        path.write_text("\n".join([p, *FILTERS[how](text.splitlines()), str(number)]) + "\n")
    note("E " + me)
"""
EXECUTORS = ("local", "threads", "processes", "loky")


def task(found: Rule) -> str:
    """A rule as a table of a Taskfile."""
    if found.executor:
        return function(found)
    me = f'me="{found.name}"' if "{x}" not in found.inputs[0] else f'me="{found.name} "{{x}}'
    command = FILTERS[found.filter][0]
    writes = "".join(
        f"(echo {{params.p}}; cat {{inputs}} | {command}; echo {n}) > {{outputs[{n}]}}\n"
        for n in range(len(found.outputs))
    )
    body = COMMAND.format(writes=writes, outputs="{outputs}" if found.outputs else "")
    lines = [f"[tasks.{found.name}]", f"inputs = {json.dumps(found.inputs)}"]
    if found.outputs:
        lines.append(f"outputs = {json.dumps(found.outputs)}")
    if found.after:
        lines.append(f"after = {json.dumps(found.after)}")
    if found.temp:
        lines.append("temp = true")
    lines += [f"params = {{ p = {json.dumps(found.param)} }}", f"run = '''\n{me}\n{body}'''"]
    return "\n".join(lines)


def function(found: Rule) -> str:
    """A rule as a task that calls a function."""
    lines = [f"[tasks.{found.name}]", f"inputs = {json.dumps(found.inputs)}"]
    lines += [f"outputs = {json.dumps(found.outputs)}", 'call = "work:work"']
    lines += [f'executor = "{found.executor}"', f"temp = {json.dumps(found.temp)}"]
    lines += [f"after = {json.dumps(found.after)}"] if found.after else []
    values = {"me": found.name, "how": found.filter, "p": found.param}
    return "\n".join(
        [*lines, "[tasks." + found.name + ".params]", *(f"{n} = {json.dumps(v)}" for n, v in values.items())]
    )


contents = st.lists(st.sampled_from(WORDS), min_size=1, max_size=3).map(lambda words: "\n".join(words) + "\n")
indices = st.integers(0, 10_000)
Edit = tuple[str, int, str]
EDITS = (
    *("edit_source", "edit_unseen", "edit_comment", "touch", "break_source", "delete_output", "edit_output"),
    *("change_parameter", "change_command", "change_inputs", "change_wild", "switch_branch", "delete_state"),
    *("wipe_cache", "spoil_cache"),
)
edits = st.lists(st.tuples(st.sampled_from(EDITS), indices, contents), max_size=4)
signals = st.sampled_from((signal.SIGKILL, signal.SIGINT, signal.SIGTERM))
jobs = st.sampled_from((1, 1, 2, 3, 4, 8))


class Model(RuleBasedStateMachine):
    """One project, and what is known of it."""

    def __init__(self) -> None:
        super().__init__()
        self.project = Project(Path(tempfile.mkdtemp(prefix="bt-model-")).resolve())
        self.sources: dict[str, str] = {}
        self.rules: list[Rule] = []
        self.decided: dict[str, object] = {}  # by job, what its last success was made from
        self.left: dict[str, str] = {}  # by path, what `bt` left there
        self.uncertain: set[str] = set()  # jobs that a killed build may or may not have finished
        self.checks_failed: set[str] = set()
        self.killed = False  # and not recovered: what is left over is known by the state alone
        self.other: list[dict[str, Any]] = []  # the sources and rules of the branch that is not checked out
        self.has_cache = False
        self.back: dict[str, str | None] = {}  # by path, what recovery will put back where a half is now

    def teardown(self) -> None:
        self.project.end_leftovers()
        shutil.rmtree(self.project.folder)

    # -- the project -----------------------------------------------------------------------------------------

    @initialize(
        count=st.integers(1, 8),
        shape=st.sampled_from(("wide", "deep", "any")),
        wild=st.booleans(),
        cache=st.booleans(),
        data=st.data(),
    )
    def begin(self, count: int, shape: str, wild: bool, cache: bool, data: st.DataObject) -> None:
        self.has_cache = cache
        for number in range(3):
            self.put(f"s{number}", data.draw(contents))
        if wild:
            for letter in "kl":
                self.put(f"w/{letter}.src", data.draw(contents))
            self.rules += [
                Rule("mid", ("w/{x}.src",), ("m/{x}.mid",), "strip", temp=data.draw(st.booleans())),
                Rule("fin", ("m/{x}.mid", "s0"), ("m/{x}.fin", "m/{x}.extra")),
                Rule("all", ("m/*.fin",), ("all.txt",), "sort"),
                Rule("raw", ("w/*.src",), ("raw.txt",)),
            ]
        executor = data.draw(st.sampled_from(EXECUTORS))
        for number in range(count):
            outputs = tuple(f"d{number % 2}/{number}.{n}" for n in range(data.draw(st.integers(0, 2))))
            inputs = self.choose(self.rules, shape, data)
            earlier = [r.name for r in self.rules]
            after = data.draw(st.lists(st.sampled_from(earlier), max_size=1)) if earlier else []
            temp = bool(outputs) and data.draw(st.integers(0, 4)) == 0
            kind = data.draw(st.sampled_from(sorted(FILTERS)))
            where = data.draw(st.sampled_from(("", "", executor))) if outputs else ""
            self.rules.append(Rule(f"r{number}", inputs, outputs, kind, "p", tuple(after), temp, where))
        self.project.write("work.py", FUNCTION)
        self.write_taskfile()

    def choose(self, before: list[Rule], shape: str, data: st.DataObject) -> tuple[str, ...]:
        """Some files that a rule behind these may read."""
        known = self.known(before)
        known = {"wide": known[:4], "deep": known[-2:], "any": known}[shape]
        return tuple(data.draw(st.lists(st.sampled_from(known), min_size=1, max_size=3, unique=True)))

    def known(self, before: list[Rule]) -> list[str]:
        return ["s0", "s1", "s2", *(o for r in before for o in r.outputs if "{x}" not in o)]

    def write_taskfile(self) -> None:
        cache = 'cache = { size = "10 MB" }\n' if self.has_cache else ""
        self.project.taskfile('[bt]\nshell = "sh"\n' + cache + "\n\n".join(map(task, self.rules)) + "\n")

    def put(self, name: str, text: str) -> None:
        self.sources[name] = text
        self.project.write(name, text.encode())

    def result(self) -> Result:
        return reference.build(self.sources, self.rules)

    def disk(self, step: Step) -> dict[str, str]:
        """The outputs of a job that are there."""
        return {name: text for name in step.outputs if (text := self.there(name)) is not None}

    def there(self, name: str) -> str | None:
        """What is, or after recovery will be, in a file."""
        if name in self.back:
            return self.back[name]
        return self.project.read(name) if self.project.exists(name) else None

    # -- edits -----------------------------------------------------------------------------------------------

    def source(self, index: int) -> str:
        return sorted(self.sources)[index % len(self.sources)]

    def output(self, index: int) -> str:
        found = sorted(self.result().producer)
        return found[index % len(found)] if found else "stray"

    def edit_source(self, index: int, text: str) -> None:
        self.put(self.source(index), text)

    def edit_unseen(self, index: int, _: str) -> None:
        """Same size, same time of modification."""
        name = self.source(index)
        before = (self.project.folder / name).stat()
        self.put(name, self.sources[name].translate(str.maketrans("abcA", "bcaB")))
        os.utime(self.project.folder / name, ns=(before.st_atime_ns, before.st_mtime_ns))

    def edit_comment(self, index: int, _: str) -> None:
        name = self.source(index)
        kept = [line for line in self.sources[name].splitlines() if line[:1] != "#"]
        self.put(name, "\n".join([f"# {index}", *kept]) + "\n")

    def touch(self, index: int, _: str) -> None:
        os.utime(self.project.folder / self.source(index), (index, index))

    def break_source(self, index: int, _: str) -> None:
        self.put(self.source(index), "FAIL\n")

    def delete_output(self, index: int, _: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            self.project.remove(self.output(index))

    def edit_output(self, index: int, text: str) -> None:
        self.project.write(self.output(index), text.encode())

    def change_parameter(self, index: int, text: str) -> None:
        self.rules[index % len(self.rules)].param = text.splitlines()[0] + "'s"

    def change_command(self, index: int, text: str) -> None:
        self.rules[index % len(self.rules)].filter = sorted(FILTERS)[len(text) % len(FILTERS)]

    def change_inputs(self, index: int, _: str) -> None:
        at = index % len(self.rules)
        if self.rules[at].name[1:].isdigit():
            known = self.known(self.rules[:at])
            self.rules[at].inputs = tuple(dict.fromkeys(known[(index // n) % len(known)] for n in (7, 11)))

    def change_wild(self, index: int, text: str) -> None:
        """Add or remove a value of the wildcard; one always stays.

        What jobs left that nobody remembers would be sources from then on, so it goes, too.
        """
        value = "lmn"[index % 3]
        name = f"w/{value}.src"
        if name in self.sources:
            if self.uncertain or self.killed:
                return
            for step in self.result().steps.values():
                if step.name.endswith(f" {value}") and step.name not in self.decided:
                    for output in self.disk(step):
                        self.project.remove(output)
            del self.sources[name]
            self.project.remove(name)
        elif "w/k.src" in self.sources:
            self.put(name, text)

    def switch_branch(self, _: int, __: str) -> None:
        """Check out what sources and rules were when the branch was left."""
        now: list[dict[str, Any]] = [
            {name: text for name, text in self.sources.items() if name[0] == "s"},
            {r.name: (r.inputs, r.filter, r.param) for r in self.rules},
        ]
        then, self.other = self.other or now, now
        for name, text in then[0].items():
            self.put(name, text)
        for found in self.rules:
            found.inputs, found.filter, found.param = then[1][found.name]

    def delete_state(self, index: int, _: str) -> None:
        """Files that no rule makes any more would be sources from now on, so they go, too."""
        if self.killed:
            return
        for path in (self.project.folder / ".bt").glob("*" if index % 2 else "state.db*"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        known = {*self.sources, *self.result().producer, "Taskfile.toml", "work.py"}
        for name in self.project.files():
            if name not in known:
                self.project.remove(name)
        self.decided.clear()
        self.left.clear()
        self.uncertain.clear()
        self.checks_failed.clear()

    def wipe_cache(self, _: int, __: str) -> None:
        shutil.rmtree(self.project.folder / ".bt/cache", ignore_errors=True)

    def spoil_cache(self, index: int, text: str) -> None:
        """One thing in it is not what was put there."""
        found = [path for path in sorted((self.project.folder / ".bt/cache").rglob("*")) if path.is_file()]
        if found:
            found[index % len(found)].write_text(text)

    def mend(self) -> None:
        for name in [n for n, text in self.sources.items() if "FAIL" in text]:
            self.put(name, "a\nmended\n")

    # -- building --------------------------------------------------------------------------------------------

    @rule(edits=edits, mend=st.booleans(), count=jobs, keep_going=st.booleans())
    def edit_and_build(self, edits: list[Edit], mend: bool, count: int, keep_going: bool) -> None:
        self.edit(edits, mend=mend)
        self.build(count, keep_going=keep_going)

    @rule(edits=edits, index=indices, count=jobs, number=signals)
    def edit_and_cut_short(self, edits: list[Edit], index: int, count: int, number: signal.Signals) -> None:
        self.edit(edits, mend=True)
        must, _ = self.expected(self.result())
        if must and not self.result().failed:
            self.cut_short(sorted(must)[index % len(must)], count, number)
        else:
            self.build(count, keep_going=True)

    def edit(self, edits: list[Edit], *, mend: bool) -> None:
        if mend:
            self.mend()
        for name, index, text in edits:
            getattr(self, name)(index, text)
        self.write_taskfile()

    def build(self, count: int, *, keep_going: bool) -> None:
        result = self.result()
        must, may = self.expected(result)
        before = {name: self.disk(step) for name, step in result.steps.items()}
        unsure = set(self.uncertain)
        run, log = self.call(f"-j{count}", *(["-k"] if keep_going else []))
        ran = self.check_order(result, log)
        bad = result.failed | result.skipped
        assert run.code == (1 if bad else 0), run.out + run.err
        came = {*run.by_status("restored")}
        assert self.has_cache or not came
        assert ran | came <= may, self.tell((ran | came) - may, run)
        assert ran == {*run.ran, *run.failed}
        self.killed = False
        self.back.clear()
        self.check_clean()
        self.learn(result, run, must, whole=not bad or keep_going)
        if bad:
            if keep_going:
                assert must <= ran | came, self.tell(must - ran - came, run)
                assert {*run.failed} == result.failed
                assert {*run.by_status("skipped")} == result.skipped
            assert run.failed
            self.check_intact(result, {*run.ran} | came | unsure, before)
            return
        assert must <= ran | came, self.tell(must - ran - came, run)
        self.check_contents(result)
        again, log = self.call(f"-j{count}")
        assert again.code == 0
        assert log == [], self.tell(set(log), again)
        assert {e["status"] for e in again.finished.values()} <= {"fresh"}
        self.check_contents(result)

    def cut_short(self, held: str, count: int, number: signal.Signals) -> None:
        """One job has written half of its outputs when `bt` is killed or interrupted."""
        result = self.result()
        must, may = self.expected(result)
        before = self.disk(result.steps[held])
        known = held not in self.uncertain
        half = "".join(f"echo half > {name}; " for name in result.steps[held].outputs)
        self.project.write("hold", f'if [ "$me" = "{held}" ]; then {half}echo > begun; read x < go; fi\n')
        self.project.write("log", "")
        for name in ("begun", "go"):
            os.mkfifo(self.project.folder / name)
        begun = os.open(self.project.folder / "begun", os.O_RDONLY | os.O_NONBLOCK)
        process = self.project.start("build", "--json", "--no-cache", f"-j{count}")
        try:
            if not select.select([begun], [], [], 60)[0]:
                process.kill()
                raise AssertionError(
                    f"{held} does not begin {process.communicate()}\n{self.tell(must, Run(0, '', ''))}"
                )
            process.send_signal(number)
            out, err = process.communicate(timeout=60)
            while number == signal.SIGKILL and len(self.commands_left()) > 1:
                select.select([], [], [], 0.005)  # those that are not held come to their end alone
        finally:
            process.kill()
            process.communicate()
            os.close(begun)
            for name in ("hold", "begun", "go"):
                self.project.remove(name)
        events = [json.loads(line) for line in out.splitlines(keepends=True) if line[-1] == "\n"]
        run = Run(process.returncode, out, err, events)
        ran = self.check_order(result, self.project.read("log").splitlines())
        assert ran <= may
        assert process.returncode == {signal.SIGKILL: -9, signal.SIGINT: 130, signal.SIGTERM: 143}[number], (
            err
        )
        self.uncertain |= ran - ({held} if known else set())
        self.killed = number == signal.SIGKILL
        if self.killed:  # functions go on or not, as their pools do
            functions = {found.name for found in self.rules if found.executor}
            self.uncertain |= may & functions - ({held} if known else set())
        self.back = {}
        if self.killed and known:
            self.back = {name: before.get(name) for name in result.steps[held].outputs}
        if number != signal.SIGKILL:
            self.check_clean()
            if known:
                assert self.disk(result.steps[held]) == before
            self.learn(result, run, set(), whole=False)

    def commands_left(self) -> list[int]:
        """Processes of this project that run a command, and no function."""
        python = os.path.realpath(sys.executable)
        found = []
        for pid in self.project.leftovers():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
                if os.path.realpath(f"/proc/{pid}/exe") != python:
                    found.append(pid)
        return found

    def call(self, *words: str) -> tuple[Run, list[str]]:
        """`bt build`; and the lines that jobs wrote to the log."""
        self.project.write("log", "")
        code, out, err = forked(self.project.folder, "build", "--json", *words)
        events: list[dict[str, Any]] = [json.loads(line) for line in out.splitlines()]
        return Run(code, out, err, events), self.project.read("log").splitlines()

    # -- what is right ---------------------------------------------------------------------------------------

    def expected(self, result: Result) -> tuple[set[str], set[str]]:
        """The jobs that must run, and those that may."""
        must, may = set(), set()
        for step in result.steps.values():
            if step.name in result.skipped:
                continue
            if step.name in self.uncertain:
                may.add(step.name)
            elif self.is_stale(result, step):
                must.add(step.name)
        may |= must
        for found in (must, may):
            for step in reversed(result.steps.values()):
                if step.name in found:
                    absent = [n for n in result.uses(step) if self.there(n) is None]
                    found.update(result.producer[n] for n in absent)
        return must - self.uncertain, may

    def is_stale(self, result: Result, step: Step) -> bool:
        if self.decided.get(step.name) != result.decides(step) or step.name in self.checks_failed:
            return True
        there = self.disk(step)
        if any(text != self.left[name] for name, text in there.items()):
            return True
        if step.temp and not result.stays(step):
            return False
        return any(n not in there and n not in result.consumed for n in step.outputs)

    def learn(self, result: Result, run: Run, must: set[str], *, whole: bool) -> None:
        """Note what is recorded now. `whole`: all that could be looked at was."""
        good = {*run.by_status("ran", "unchanged", "restored", "fresh")}
        for name, step in result.steps.items():
            if name in good:
                self.decided[name] = result.decides(step)
                self.left |= {output: result.contents[output] for output in step.outputs}
                self.uncertain.discard(name)
                self.checks_failed.discard(name)
            elif name in run.failed and not step.outputs:
                self.checks_failed.add(name)
        if whole:
            assert {*result.steps} - result.failed - result.skipped == good & {*result.steps}
            assert must <= {*run.by_status("ran", "unchanged", "restored"), *run.failed}

    def check_order(self, result: Result, log: list[str]) -> set[str]:
        """No job ran twice, and none before those it waits for; the jobs that ran."""
        begun = [line[2:] for line in log if line[0] == "B"]
        assert len(begun) == len(set(begun)), log
        for name in begun:
            for other in result.waits_for(result.steps[name]) & {*begun}:
                assert log.index(f"E {other}") < log.index(f"B {name}"), log
        return set(begun)

    def check_contents(self, result: Result) -> None:
        """What is there is right, and all results are there."""
        for step in result.steps.values():
            there = self.disk(step)
            if step.temp:
                assert not there or not result.consumed >= {*step.outputs}, there
            for name in step.outputs:
                if name in there:
                    assert there[name] == result.contents[name]
                else:
                    assert name in result.consumed or (step.temp and not result.stays(step))
        for name, text in self.sources.items():
            assert self.project.read(name) == text

    def check_intact(self, result: Result, ran: set[str], before: dict[str, dict[str, str]]) -> None:
        """Old outputs of jobs that failed, or did not run, are as they were."""
        for name, step in result.steps.items():
            if name not in ran:
                now = self.disk(step)
                assert now == before[name] or (step.temp and not now), name

    def check_clean(self) -> None:
        """Nothing is left moved aside, and no process of a build is left."""
        aside = self.project.folder / ".bt/aside"
        assert not [path for path in aside.rglob("*") if not path.is_dir()]
        left = self.project.leftovers()
        for pid in left:  # what watches over the memory of pools ends when it sees that they are gone
            with contextlib.suppress(ProcessLookupError):
                process = os.pidfd_open(pid)
                select.select([process], [], [], 40)
                os.close(process)
        assert not self.project.leftovers()

    def tell(self, jobs: set[str], run: Run) -> str:
        """For the message of a failing test."""
        reasons = {job: run.reasons.get(job) for job in jobs}
        return f"{sorted(jobs)} {reasons}\n{self.project.read('Taskfile.toml')}\n{run.out}{run.err}"


Model.TestCase.settings = settings(max_examples=max(1, settings().max_examples // 20), stateful_step_count=8)
TestModel = Model.TestCase


def test_an_interruption_between_many_checks_ends_the_build(project: Project) -> None:
    """The first of 120 jobs to be looked at holds the build by its tracked command while the signal comes."""
    lines = [f'[tasks.j{n}]\noutputs = "o{n}"\nrun = "echo > {{output}}"\n' for n in range(120)]
    lines[3] += 'track = { cmd = ["echo > begun; read x < go"] }\n'
    project.taskfile("\n".join(lines))
    for name in ("begun", "go"):
        os.mkfifo(project.folder / name)
    process = project.start("build", "-j2")
    try:
        project.read("begun")
        process.send_signal(signal.SIGINT)
        (project.folder / "go").write_text("x\n")
        process.communicate(timeout=40)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 130


def test_a_producer_is_not_made_again_under_a_reader(project: Project) -> None:
    """`reader` reads `one` when `other` turns out to need `two`, which is gone and which `both` must make again."""
    project.taskfile("""
        [tasks.both]
        inputs = "in"
        outputs = ["one", "two"]
        run = "cp in one; cp in two"

        [tasks.reader]
        inputs = ["one", "r"]
        outputs = "reader.out"
        run = "[ ! -e hold ] || { echo > begun; read x < go; }; cat one r > reader.out"

        [tasks.late]
        inputs = "l"
        outputs = "late.out"
        run = "[ ! -e hold ] || read x < late; cp l late.out"

        [tasks.other]
        inputs = ["two", "late.out"]
        outputs = "other.out"
        run = "cat two late.out > other.out"

        [tasks.probe]
        inputs = "late.out"
        outputs = "probe.out"
        run = "cp late.out probe.out"
    """)
    for name in ("in", "r", "l"):
        project.write(name, "1\n")
    project.build()
    project.remove("two")
    for name in ("begun", "go", "late"):
        os.mkfifo(project.folder / name)
    for name, text in (("r", "2\n"), ("l", "2\n"), ("hold", "")):
        project.write(name, text)
    process = project.start("build", "--json", "-j8")
    assert process.stdout is not None
    events = []
    try:
        project.read("begun")  # `reader` runs
        (project.folder / "late").write_text("x\n")  # and now `other` and `probe` are looked at
        for line in process.stdout:
            events.append((json.loads(line)["event"], json.loads(line).get("job")))
            if events[-1] == ("finished", "probe"):
                break
        (project.folder / "go").write_text("x\n")
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 0, out + err
    assert ("started", "both") not in events
