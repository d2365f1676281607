"""Why a job is stale, down to the root cause, or what a fresh one was built from."""

from __future__ import annotations

import difflib
import re
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from buildtool.fingerprint import FILE_KINDS, Fresh, Item, Maybe, Reason, Stale, Verdict
from buildtool.report.layout import fold
from buildtool.report.paint import Paint
from buildtool.report.reasons import describe
from buildtool.state.records import HistoryRecord, JobRecord
from buildtool.text import count, duration, printable, size

WORDY = ("command", "shell")  # kinds of items whose words are compared
LINES = 12  # of a text shown in full
_WIDEST = 93  # columns of a list of many words
_BESIDE = " " * 13  # where the values of facts stand


@dataclass(frozen=True, slots=True)
class Explained:
    """A job with all that is known of it. `causes`: the jobs before it that may or will run."""

    name: str
    verdict: Verdict
    record: JobRecord | None
    causes: tuple[Explained, ...] = ()
    history: tuple[HistoryRecord, ...] = ()
    seen: bool = False  # explained further up already
    code: tuple[Item, ...] = ()  # the parts of its recorded code
    whole: tuple[tuple[str, str], ...] = ()  # modules that count as a whole, each with the reason
    notes: tuple[tuple[str, str], ...] = ()  # modules where something is not followed


def render_why(job: Explained, paint: Paint, now: float | None = None) -> list[str]:
    """The lines for one target."""
    if isinstance(job.verdict, Fresh):
        return _fresh(job, paint, time.time() if now is None else now)
    return _stale(job, paint, "")


def _stale(job: Explained, paint: Paint, indent: str) -> list[str]:
    verdict = job.verdict
    name = paint.bold(printable(job.name))
    if job.seen:
        return [f"{indent}{name}: see above"]
    lines = []
    if isinstance(verdict, Stale):
        lines.append(f"{indent}{name} {paint.yellow('will run')}:")
        for reason in verdict.reasons:
            lines += paint.fold(f"{indent}  {describe(reason)}", indent + " " * 4)
            lines += [f"{indent}    {line}" for line in _difference(reason, paint)]
        if job.record is not None and job.record.runs > 1:
            lines += paint.fold(f"{indent}  {paint.dim(f'ran {_runs(job, job.record)}')}", indent + " " * 4)
        if any(reason.kind == "code" for reason in verdict.reasons):
            lines += [
                part for line in _remarks(job) for part in paint.fold(f"{indent}  {line}", indent + " " * 4)
            ]
    elif isinstance(verdict, Maybe):
        first = printable(verdict.causes[0])
        more = f" and {count(len(verdict.causes) - 1, 'other job')}" if len(verdict.causes) > 1 else ""
        because = f"it depends on what {first}{more} will make"
        lines += paint.fold(f"{indent}{name} {paint.cyan('may run')}: {because}", indent + " " * 4)
    for cause in job.causes:
        lines += _stale(cause, paint, indent + "  ")
    return lines


def _difference(reason: Reason, paint: Paint) -> list[str]:
    """Old against new, where both are known and the reason does not say it already."""
    if reason.old is None and reason.new is None:
        return []
    if " from " in describe(reason):
        return []
    if reason.kind in WORDY and reason.old is not None and reason.new is not None:
        return _words(reason.old, reason.new, paint)
    old, new = _lines(reason.old), _lines(reason.new)
    if old[-1:] == new[-1:] == [""]:  # both end with the end of a line, as most files do
        old, new = old[:-1], new[:-1]
    lines = [
        line for line in difflib.unified_diff(old, new, n=1, lineterm="") if line[:3] not in ("---", "+++")
    ]
    if len(lines) == len(old) + len(new) + 1 or len(old) == len(new) == 1:
        lines = lines[1:]  # all of it changed: where it did is no news
    more = [paint.dim(f"… {count(len(lines) - LINES, 'more line')}")] if len(lines) > LINES else []
    return [_painted(line, paint) for line in lines[:LINES]] + more


def _lines(text: str | None) -> list[str]:
    return [] if text is None else text.split("\n")


def _words(old: str, new: str, paint: Paint) -> list[str]:
    """New against old, word by word; as `git diff --word-diff` writes it."""
    before, after = (re.findall(r"\n|[^\S\n]+|\S+", text) for text in (old, new))
    pieces = []
    for tag, i, j, k, m in difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        gone, come = "".join(before[i:j]), "".join(after[k:m])
        if tag == "equal":
            pieces.append(_shown(gone))
            continue
        pieces += [_lined(f"[-{_shown(gone)}-]", paint.red)] if gone else []
        pieces += [_lined(f"{{+{_shown(come)}+}}", paint.green)] if come else []
    lines = "".join(pieces).split("\n")
    more = [paint.dim(f"… {count(len(lines) - LINES, 'more line')}")] if len(lines) > LINES else []
    return lines[:LINES] + more


def _lined(text: str, paint: Callable[[str], str]) -> str:
    """Each line painted by itself."""
    return "\n".join(map(paint, text.split("\n")))


def _shown(text: str) -> str:
    return "\n".join(map(printable, text.split("\n")))


def _painted(line: str, paint: Paint) -> str:
    """A line of a difference, with its sign apart."""
    text = f"{line[:1]} {printable(line[1:])}".rstrip()
    if line.startswith("@@"):
        return paint.dim(printable(line))
    return paint.red(text) if line.startswith("-") else paint.green(text) if line.startswith("+") else text


def _fresh(job: Explained, paint: Paint, now: float) -> list[str]:
    record = job.record
    lines = [f"{paint.bold(printable(job.name))} is {paint.green('fresh')}"]
    if record is None:
        return lines
    ago = duration(max(0.0, now - record.ended))
    how = "accepted" if record.accepted else "restored" if _came_back(job, record) else "built"
    facts = [
        (how, f"{ago} ago, in build {record.build}, on {record.executor}"),
        (
            "took",
            duration(record.seconds)
            + (f", {size(record.peak_memory)} of memory" if record.peak_memory else ""),
        ),
        ("ran", _runs(job, record)),
    ]
    if record.drift:
        facts.append(("drift", f"the machine that ran it differed: {printable(record.drift)}"))
    if job.history and job.history[0].reasons:
        facts.append(("because", "; ".join(printable(r) for r in job.history[0].reasons)))
    lines += [line for label, text in facts for line in paint.fold(f"  {label:<10} {text}", _BESIDE)]
    return lines + _items(record.fingerprint.items, job, paint)


def _came_back(job: Explained, record: JobRecord) -> bool:
    """Whether what is there was not made by a run, but kept from an earlier one."""
    last = next((entry for entry in job.history if entry.build == record.build), None)
    return last is not None and last.status == "restored"


def _runs(job: Explained, record: JobRecord) -> str:
    """How often a job ran, and what for most of all."""
    told = Counter(run.reasons[0] for run in job.history if run.reasons and run.status != "restored")
    often = [(reason, number) for reason, number in told.most_common(1) if number > 1]
    why = "".join(f", {number} because {printable(reason)}" for reason, number in often)
    return f"{count(record.runs, 'time')}{why}"


def _code(job: Explained, paint: Paint) -> list[str]:
    """What a job's code consists of."""
    names = [printable(part.name) for part in job.code if part.kind == "code"]
    packages = [
        f"{printable(part.name)} {part.text or ''}".rstrip() for part in job.code if part.kind == "package"
    ]
    width = min(_WIDEST, paint.width or _WIDEST)
    lines = fold(f"  {'code':<10} {', '.join(names)}", width, _BESIDE) if names else []
    if packages:
        lines += fold(f"  {'packages':<10} {', '.join(packages)}", width, _BESIDE)
    return lines + [part for line in _remarks(job) for part in paint.fold(f"{_BESIDE}{line}", _BESIDE)]


def _remarks(job: Explained) -> list[str]:
    """Where more counts than is used, or less."""
    lines = [f"{printable(name)} counts as a whole: {why}" for name, why in job.whole]
    return lines + [f"{printable(name)}: {why}" for name, why in job.notes]


def _items(items: Sequence[Item], job: Explained, paint: Paint) -> list[str]:
    lines = []
    for item in items:
        if item.kind == "code" and job.code:
            lines += _code(job, paint)
        elif item.kind == "output":
            lines += paint.fold(f"  {item.kind:<10} {printable(item.name)}", _BESIDE)
        elif item.kind in FILE_KINDS:
            value = item.digest[:13] if item.digest is not None else "missing"
            lines += paint.fold(f"  {item.kind:<10} {printable(item.name)}  {paint.dim(value)}", _BESIDE)
        else:
            text = (item.text or "").split("\n")
            name = f"{printable(item.name)} = " if item.name else ""
            lines.append(f"  {item.kind:<10} {name}{printable(text[0])}")
            lines += [f"  {'':<10} {printable(line)}" for line in text[1:LINES]]
    return lines


def as_json(job: Explained) -> dict[str, object]:
    """The same as one JSON value."""
    verdict = job.verdict
    word = {Stale: "will", Maybe: "may", Fresh: "fresh"}[type(verdict)]
    return {
        "job": job.name,
        "verdict": word,
        "reasons": _reasons(verdict.reasons) if isinstance(verdict, Stale) else [],
        "causes": [as_json(cause) for cause in job.causes],
        "built_from": [] if job.record is None else [list(item) for item in job.record.fingerprint.items],
    }


def _reasons(reasons: Sequence[Reason]) -> list[dict[str, object]]:
    return [
        {
            "kind": reason.kind,
            "name": reason.name,
            "change": reason.change.value if reason.change is not None else None,
            "old": reason.old,
            "new": reason.new,
            "text": describe(reason),
        }
        for reason in reasons
    ]
