"""A reason in words."""

from __future__ import annotations

from buildtool.fingerprint import Change, Reason
from buildtool.text import printable

NOUNS = {
    "command": "the command",
    "shell": "the shell",
    "cwd": "the working directory",
    "param": "parameter",
    "env": "environment variable",
    "track.env": "tracked variable",
    "track.cmd": "tracked command",
    "track.file": "tracked file",
    "input": "input",
    "need": "needed file",
    "found": "found input",
    "beside": "file among the outputs",
    "output": "output",
    "code": "code of",
    "value": "value of",
    "package": "package",
}
PLAIN = {
    "first": "never built here",
    "failed": "the last run failed",
    "forced": "forced",
    "always": "always runs",
    "expired": "older than its `max_age`",
    "asked": "runs when asked for",
}
MODES = {Change.EXECUTABLE: "is executable now", Change.PLAIN: "is not executable any more"}
SHORT = 40  # characters of a value that fit into a reason


def describe(reason: Reason) -> str:
    """One reason as a short phrase."""
    if reason.change is None and reason.kind in PLAIN:
        return PLAIN[reason.kind]
    name = printable(reason.name)
    if reason.kind == "broken":
        return f"it will fail: {name}"
    if reason.kind == "missing":
        return f"output {name} is missing"
    if reason.kind == "away":
        return f"output {name} is on other machines"
    if reason.kind == "wanted":
        return f"{name} is needed again"
    if reason.kind == "edited":
        return f"output {name} was edited since"
    if reason.kind == "foreign":
        return f"output {name} was not made by bt"
    noun = NOUNS.get(reason.kind, reason.kind)
    subject = f"{noun} {name}" if name else noun
    if reason.change in MODES:
        return f"{subject} {MODES[reason.change]}"
    if reason.kind == "track.cmd" and reason.change is Change.CHANGED:
        subject = f"output of {name}"
    if reason.change is Change.ADDED:
        return f"new {noun.removeprefix('the ').removesuffix(' of')} {name}".rstrip()
    if reason.change is Change.REMOVED:
        return f"{subject} is gone"
    valued = reason.kind in ("param", "value", "env", "track.env", "package") and reason.old != reason.new
    if valued and _fits(reason.old) and _fits(reason.new):
        return f"{subject} changed from {_value(reason.old)} to {_value(reason.new)}"
    return f"{subject} changed"


def _fits(text: str | None) -> bool:
    return text is None or (len(text) <= SHORT and "\n" not in text)


def _value(text: str | None) -> str:
    return "unset" if text is None else printable(text) or "empty"
