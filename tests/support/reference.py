"""A build tool that is always right, since it remembers nothing: the yardstick for the real one.

A model is sources and rules; rules stand behind what they read. A job copies what it reads through a filter, or
fails when that holds the word FAIL. Lines are words; every file ends in a line end.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

FILTERS: Mapping[str, tuple[str, Callable[[list[str]], list[str]]]] = {
    "copy": ("cat", lambda lines: lines),
    "strip": ("sed '/^#/d'", lambda lines: [line for line in lines if line[:1] != "#"]),
    "upper": ("tr a-z A-Z", lambda lines: [line.upper() for line in lines]),
    "sort": ("sort -u", lambda lines: sorted(set(lines))),
}


@dataclass
class Rule:
    """A task. `{x}` in its first input and in all its outputs is a wildcard; `*` in an input gathers."""

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    filter: str = "copy"
    param: str = "p"
    after: tuple[str, ...] = ()
    temp: bool = False
    executor: str = ""  # not empty: a function that runs there, instead of a command


@dataclass(frozen=True)
class Step:
    """A job: a rule with its wildcard filled in and its globs resolved."""

    name: str
    rule: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    filter: str
    param: str
    after: tuple[str, ...]
    temp: bool


@dataclass
class Result:
    """What a build from nothing gives: every content, and the jobs that cannot be done."""

    steps: dict[str, Step] = field(default_factory=dict)  # by name, each behind those that it waits for
    contents: dict[str, str] = field(default_factory=dict)
    producer: dict[str, str] = field(default_factory=dict)
    consumed: set[str] = field(default_factory=set)
    failed: set[str] = field(default_factory=set)
    skipped: set[str] = field(default_factory=set)

    def decides(self, step: Step) -> object:
        """Everything that decides about a job whose inputs are known."""
        read = tuple((name, self.contents[name]) for name in step.inputs)
        return (step.filter if step.outputs else "", step.param, read, step.outputs)

    def waits_for(self, step: Step) -> set[str]:
        """The jobs that must be settled before this one."""
        makers = {self.producer[name] for name in step.inputs if name in self.producer}
        return makers | {s.name for s in self.steps.values() if s.rule in step.after}

    def uses(self, step: Step) -> set[str]:
        """The files of other jobs that must be there when this one runs: what it reads, and what it is `after`."""
        made = {name for s in self.steps.values() if s.rule in step.after for name in s.outputs}
        return made | {name for name in step.inputs if name in self.producer}

    def stays(self, step: Step) -> bool:
        """Whether its outputs stay although it is `temp`: nobody reads them, nor waits for it."""
        awaited = any(step.rule in other.after for other in self.steps.values())
        return not awaited and not self.consumed & {*step.outputs}


def steps_of(rule: Rule, known: list[str]) -> list[Step]:
    """The jobs of a rule, where these files are there or made by rules before it."""
    head, found, tail = rule.inputs[0].partition("{x}")
    values = [
        name[len(head) : len(name) - len(tail)]
        for name in known
        if found and name.startswith(head) and name.endswith(tail)
    ]
    steps = []
    for value in sorted(values) if found else [""]:
        inputs: list[str] = []
        for text in rule.inputs:
            filled = text.replace("{x}", value)
            inputs += sorted(fnmatch.filter(known, filled)) if "*" in text else [filled]
        outputs = tuple(text.replace("{x}", value) for text in rule.outputs)
        name = f"{rule.name} {value}".rstrip()
        steps.append(
            Step(name, rule.name, tuple(inputs), outputs, rule.filter, rule.param, rule.after, rule.temp)
        )
    return steps


def make(step: Step, texts: list[str]) -> list[str]:
    """The content of every output."""
    lines = FILTERS[step.filter][1]("".join(texts).splitlines())
    return ["\n".join([step.param, *lines, str(n)]) + "\n" for n in range(len(step.outputs))]


def build(sources: Mapping[str, str], rules: list[Rule]) -> Result:
    """Build everything from nothing."""
    result = Result(contents=dict(sources))
    known = list(sources)
    for rule in rules:
        for step in steps_of(rule, known):
            result.steps[step.name] = step
            result.consumed.update(step.inputs)
            result.producer |= dict.fromkeys(step.outputs, step.name)
            known += step.outputs
            if result.waits_for(step) & (result.failed | result.skipped):
                result.skipped.add(step.name)
                continue
            texts = [result.contents[name] for name in step.inputs]
            if any("FAIL" in text for text in texts):
                result.failed.add(step.name)
                continue
            result.contents |= zip(step.outputs, make(step, texts), strict=True)
    return result
