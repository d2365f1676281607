"""An error as a person reads it: where, what, the line itself, facts, and a way out."""

from __future__ import annotations

from buildtool.errors import BtError, Place, Problems
from buildtool.report.layout import columns_of, cut, cut_front
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
    lines = paint.fold(f"{paint.bold(head)}{paint.red('error:')} {_safe(error.summary)}", "  ")
    if place is not None:
        lines += excerpt(place, paint)
    width = max((len(label) for label, _ in error.facts), default=0)
    for label, text in error.facts:
        lines += paint.fold(f"  {label:<{width}}  {_safe(text)}", " " * (width + 4))
    if error.hint:
        lines += paint.fold(f"  {paint.cyan('hint:')} {_safe(error.hint)}", " " * 8)
    return lines


def _safe(text: str) -> str:
    """Words that may quote what somebody else wrote."""
    return "\n".join(map(printable, text.split("\n")))


def excerpt(place: Place, paint: Paint) -> list[str]:
    """The line of the file, with a caret under the stretch that is meant; of a wide line, what is near it."""
    margin = f"{place.line:>5} | "
    text = place.text.replace("\t", " ")
    before, after = printable(text[: place.column - 1]), printable(text[place.end - 1 :])
    meant = printable(text[place.column - 1 : place.end - 1])
    if paint.width is not None:
        room = paint.width - len(margin)
        meant = cut(meant, room - 2)
        rest = room - columns_of(meant)
        before = cut_front(before, max(rest // 2, rest - columns_of(after)))
        after = cut(after, rest - columns_of(before))
    marker = "^" * max(1, columns_of(meant))
    return [
        f"{paint.dim(margin)}{before}{meant}{after}",
        " " * (len(margin) + columns_of(before)) + paint.red(marker),
    ]
