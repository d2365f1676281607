"""An error as a person reads it: where, what, the line itself, facts, and a way out."""

from __future__ import annotations

from buildtool.errors import BtError, Place, Problems
from buildtool.report.paint import Paint
from buildtool.text import count, printable


def render_error(error: BtError, paint: Paint) -> list[str]:
    """The lines for one error, or for all of several."""
    if isinstance(error, Problems):
        lines = []
        for one in error.errors:
            lines += [*render_error(one, paint), ""]
        return [*lines, f"{count(len(error.errors), 'error')}"]
    place = error.place
    head = f"{printable(place.file)}:{place.line}:{place.column}: " if place is not None else ""
    lines = [f"{paint.bold(head)}{paint.red('error:')} {_safe(error.summary)}"]
    if place is not None:
        lines += excerpt(place, paint)
    width = max((len(label) for label, _ in error.facts), default=0)
    lines += [f"  {label:<{width}}  {_safe(text)}" for label, text in error.facts]
    if error.hint:
        lines.append(f"  {paint.cyan('hint:')} {_safe(error.hint)}")
    return lines


def _safe(text: str) -> str:
    """Words that may quote what somebody else wrote."""
    return "\n".join(map(printable, text.split("\n")))


def excerpt(place: Place, paint: Paint) -> list[str]:
    """The line of the file, with a caret under the stretch that is meant."""
    margin = f"{place.line:>5} | "
    text = printable(place.text.replace("\t", " "))
    length = max(1, min(place.end, len(place.text) + 1) - place.column)
    marker = "^" * length
    return [f"{paint.dim(margin)}{text}", " " * (len(margin) + place.column - 1) + paint.red(marker)]
