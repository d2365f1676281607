"""The whole tool against the reference: after any edits, kills and failures, incremental equals clean.

Each step of the machine edits something or builds. Every job notes in `log` when it begins and ends, so that
what ran, how often and in which order is seen from outside. Most builds run in this process; those that are
killed or interrupted are real ones, with one job held at a FIFO.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import select
import shutil
import signal
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from buildtool.cli import main as cli
from support import reference
from support.project import Project, Run
from support.reference import FILTERS, Result, Rule, Step

# A producer that is opened again may run beside a reader of what is left of its outputs (see `test_plan.py`),
# so where an intermediate is absent only one job runs at a time.
REOPENING_IS_EXCLUSIVE = False

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


def task(found: Rule) -> str:
    """A rule as a table of a Taskfile."""
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


contents = st.lists(st.sampled_from(WORDS), min_size=1, max_size=3).map(lambda words: "\n".join(words) + "\n")
indices = st.integers(0, 10_000)
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

    def teardown(self) -> None:
        shutil.rmtree(self.project.folder)

    # -- the project -----------------------------------------------------------------------------------------

    @initialize(
        count=st.integers(1, 8),
        shape=st.sampled_from(("wide", "deep", "any")),
        wild=st.booleans(),
        data=st.data(),
    )
    def begin(self, count: int, shape: str, wild: bool, data: st.DataObject) -> None:
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
        for number in range(count):
            outputs = tuple(f"d{number % 2}/{number}.{n}" for n in range(data.draw(st.integers(0, 2))))
            inputs = self.choose(self.rules, shape, data)
            earlier = [r.name for r in self.rules]
            after = data.draw(st.lists(st.sampled_from(earlier), max_size=1)) if earlier else []
            temp = bool(outputs) and data.draw(st.integers(0, 4)) == 0
            kind = data.draw(st.sampled_from(sorted(FILTERS)))
            self.rules.append(Rule(f"r{number}", inputs, outputs, kind, "p", tuple(after), temp))
        self.write_taskfile()

    def choose(self, before: list[Rule], shape: str, data: st.DataObject) -> tuple[str, ...]:
        """Some files that a rule behind these may read."""
        known = ["s0", "s1", "s2", *(o for r in before for o in r.outputs if "{x}" not in o)]
        known = {"wide": known[:4], "deep": known[-2:], "any": known}[shape]
        return tuple(data.draw(st.lists(st.sampled_from(known), min_size=1, max_size=3, unique=True)))

    def write_taskfile(self) -> None:
        self.project.taskfile('[bt]\nshell = "sh"\n' + "\n\n".join(map(task, self.rules)) + "\n")

    def put(self, name: str, text: str) -> None:
        self.sources[name] = text
        self.project.write(name, text.encode())

    def result(self) -> Result:
        return reference.build(self.sources, self.rules)

    def disk(self, step: Step) -> dict[str, str]:
        """The outputs of a job that are there."""
        return {name: self.project.read(name) for name in step.outputs if self.project.exists(name)}

    # -- edits -----------------------------------------------------------------------------------------------

    def source(self, index: int) -> str:
        return sorted(self.sources)[index % len(self.sources)]

    def output(self, index: int) -> str:
        return sorted(self.result().producer)[index % len(self.result().producer)]

    def has_outputs(self) -> bool:
        return any(r.outputs for r in self.rules)

    @rule(index=indices, text=contents)
    def edit_source(self, index: int, text: str) -> None:
        self.put(self.source(index), text)

    @rule(index=indices)
    def edit_source_unseen(self, index: int) -> None:
        """Same size, same time of modification."""
        name = self.source(index)
        before = (self.project.folder / name).stat()
        self.put(name, self.sources[name].translate(str.maketrans("abcA", "bcaB")))
        os.utime(self.project.folder / name, ns=(before.st_atime_ns, before.st_mtime_ns))

    @rule(index=indices, word=st.sampled_from(("# 1", "# 2")))
    def edit_comment(self, index: int, word: str) -> None:
        name = self.source(index)
        kept = [line for line in self.sources[name].splitlines() if line[:1] != "#"]
        self.put(name, "\n".join([word, *kept]) + "\n")

    @rule(index=indices, time=st.integers(0, 2**31))
    def touch(self, index: int, time: int) -> None:
        os.utime(self.project.folder / self.source(index), (time, time))

    @rule(index=indices)
    def break_source(self, index: int) -> None:
        self.put(self.source(index), "FAIL\n")

    @precondition(lambda self: any("FAIL" in text for text in self.sources.values()))
    @rule(text=contents)
    def mend_sources(self, text: str) -> None:
        for name in [n for n, old in self.sources.items() if "FAIL" in old]:
            self.put(name, text)

    @precondition(has_outputs)
    @rule(index=indices)
    def delete_output(self, index: int) -> None:
        with contextlib.suppress(FileNotFoundError):
            self.project.remove(self.output(index))

    @precondition(has_outputs)
    @rule(index=indices, text=contents)
    def edit_output(self, index: int, text: str) -> None:
        self.project.write(self.output(index), text.encode())

    @rule(index=indices, value=st.sampled_from(("p", "q", "it's")))
    def change_parameter(self, index: int, value: str) -> None:
        self.rules[index % len(self.rules)].param = value
        self.write_taskfile()

    @rule(index=indices, kind=st.sampled_from(sorted(FILTERS)))
    def change_command(self, index: int, kind: str) -> None:
        self.rules[index % len(self.rules)].filter = kind
        self.write_taskfile()

    @rule(index=indices, data=st.data())
    def change_inputs(self, index: int, data: st.DataObject) -> None:
        at = index % len(self.rules)
        if self.rules[at].name[0] == "r" and self.rules[at].name != "raw":
            self.rules[at].inputs = self.choose(self.rules[:at], "any", data)
            self.write_taskfile()

    @precondition(lambda self: "w/k.src" in self.sources)
    @rule(letter=st.sampled_from("lmno"), text=contents)
    def add_or_remove_source(self, letter: str, text: str) -> None:
        name = f"w/{letter}.src"
        if name in self.sources:
            del self.sources[name]
            self.project.remove(name)
        else:
            self.put(name, text)

    @precondition(lambda self: not self.killed)
    @rule(whole=st.booleans())
    def delete_state(self, whole: bool) -> None:
        """Files that no rule makes any more would be sources from now on, so they go, too."""
        for path in (
            [self.project.folder / ".bt"] if whole else (self.project.folder / ".bt").glob("state.db*")
        ):
            shutil.rmtree(path, ignore_errors=True)
            path.unlink(missing_ok=True)
        known = {*self.sources, *self.result().producer, "Taskfile.toml"}
        for name in self.project.files():
            if name not in known:
                self.project.remove(name)
        self.decided.clear()
        self.left.clear()
        self.uncertain.clear()
        self.checks_failed.clear()

    # -- building --------------------------------------------------------------------------------------------

    @rule(count=jobs, keep_going=st.booleans())
    def build(self, count: int, keep_going: bool) -> None:
        result = self.result()
        must, may = self.expected(result)
        before = {name: self.disk(step) for name, step in result.steps.items()}
        unsure = set(self.uncertain)
        run, log = self.call(f"-j{self.width(result, count)}", *(["-k"] if keep_going else []))
        ran = self.check_order(result, log)
        bad = result.failed | result.skipped
        assert run.code == (1 if bad else 0), run.out + run.err
        assert ran <= may, self.tell(ran - may, run)
        assert ran == {*run.ran, *run.failed}
        self.killed = False
        self.check_clean()
        self.learn(result, run, must, whole=not bad or keep_going)
        if bad:
            if keep_going:
                assert must <= ran, self.tell(must - ran, run)
                assert {*run.failed} == result.failed
                assert {*run.by_status("skipped")} == result.skipped
            assert run.failed
            self.check_intact(result, {*run.ran} | unsure, before)
            return
        assert must <= ran, self.tell(must - ran, run)
        self.check_contents(result)
        again, log = self.call(f"-j{count}")
        assert again.code == 0
        assert log == [], self.tell(set(log), again)
        assert {e["status"] for e in again.finished.values()} <= {"fresh"}
        self.check_contents(result)

    @precondition(lambda self: not self.result().failed and self.expected(self.result())[0])
    @rule(index=indices, count=jobs, number=st.sampled_from((signal.SIGKILL, signal.SIGINT, signal.SIGTERM)))
    def cut_short(self, index: int, count: int, number: signal.Signals) -> None:
        """One job has written half of its outputs when `bt` is killed or interrupted."""
        result = self.result()
        must, may = self.expected(result)
        held = sorted(must)[index % len(must)]
        before = self.disk(result.steps[held])
        known = held not in self.uncertain
        half = "".join(f"echo half > {name}; " for name in result.steps[held].outputs)
        self.project.write("hold", f'if [ "$me" = "{held}" ]; then {half}echo > begun; read x < go; fi\n')
        self.project.write("log", "")
        for name in ("begun", "go"):
            os.mkfifo(self.project.folder / name)
        begun = os.open(self.project.folder / "begun", os.O_RDONLY | os.O_NONBLOCK)
        process = self.project.start("build", "--json", f"-j{self.width(result, count)}")
        try:
            if not select.select([begun], [], [], 10)[0]:
                process.kill()
                raise AssertionError(
                    f"{held} does not begin {process.communicate()}\n{self.tell(must, Run(0, '', ''))}"
                )
            process.send_signal(number)
            out, err = process.communicate(timeout=30)
        finally:
            process.kill()
            process.communicate()
            os.close(begun)
            for name in ("hold", "begun", "go"):
                self.project.remove(name)
        ran = self.check_order(result, self.project.read("log").splitlines())
        assert ran <= may
        assert process.returncode == {signal.SIGKILL: -9, signal.SIGINT: 130, signal.SIGTERM: 143}[number], (
            err
        )
        self.uncertain |= ran
        self.killed = number == signal.SIGKILL
        if number != signal.SIGKILL:
            self.check_clean()
            if known:
                assert self.disk(result.steps[held]) == before
            events = [json.loads(line) for line in out.splitlines()]
            self.learn(result, Run(0, out, err, events), set(), whole=False)

    def width(self, result: Result, count: int) -> int:
        absent = any(not self.project.exists(name) for name in result.consumed if name in result.producer)
        return 1 if absent and not REOPENING_IS_EXCLUSIVE else count

    def call(self, *words: str) -> tuple[Run, list[str]]:
        """`bt build` in this process; the lines that jobs wrote to the log."""
        self.project.write("log", "")
        place = os.getcwd()
        out, err = io.StringIO(), io.StringIO()
        os.chdir(self.project.folder)
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                code = cli.run(["build", "--json", *words])
        finally:
            os.chdir(place)
        events: list[dict[str, Any]] = [json.loads(line) for line in out.getvalue().splitlines()]
        return Run(code, out.getvalue(), err.getvalue(), events), self.project.read("log").splitlines()

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
                    absent = [n for n in step.inputs if n in result.producer and not self.project.exists(n)]
                    found.update(result.producer[n] for n in absent)
        return must - self.uncertain, may

    def is_stale(self, result: Result, step: Step) -> bool:
        if self.decided.get(step.name) != result.decides(step) or step.name in self.checks_failed:
            return True
        there = self.disk(step)
        if any(text != self.left[name] for name, text in there.items()):
            return True
        return not step.temp and any(n not in there and n not in result.consumed for n in step.outputs)

    def learn(self, result: Result, run: Run, must: set[str], *, whole: bool) -> None:
        """Note what is recorded now. `whole`: all that could be looked at was."""
        good = {*run.by_status("ran", "unchanged", "fresh")}
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
            assert must <= {*run.ran, *run.failed}

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
                    assert step.temp or name in result.consumed
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
        for pid in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                where = os.readlink(f"/proc/{pid}/cwd")
                if int(pid) != os.getpid() and where.startswith(str(self.project.folder)):
                    assert b"BT_RUN=" not in Path(f"/proc/{pid}/environ").read_bytes(), pid

    def tell(self, jobs: set[str], run: Run) -> str:
        """For the message of a failing test."""
        reasons = {job: run.reasons.get(job) for job in jobs}
        return f"{sorted(jobs)} {reasons}\n{self.project.read('Taskfile.toml')}\n{run.out}{run.err}"


Model.TestCase.settings = settings(
    max_examples=max(1, settings().max_examples * 2 // 5), stateful_step_count=25
)
TestModel = Model.TestCase
