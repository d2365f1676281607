"""The foot of a terminal while a build goes on: how far it is, what runs, how long it will take.

Pure: a board, a size and a time to lines. Knows neither terminals nor builds.
"""

from __future__ import annotations

from buildtool.report.board import Board, Run
from buildtool.report.layout import COLOURS, columns_of, cut, cut_front
from buildtool.report.paint import Paint
from buildtool.text import count, duration, printable, size

SHOWN = 8  # lines for running jobs; more jobs than that are told by task
NARROW = 60  # columns; below that there is no bar
_BAR = 30  # columns of the bar, at most
_SHORT = 8  # columns that are worth a bar, or the last words of a job


def render(
    board: Board, width: int, height: int, now: float, paint: Paint, *, ascii_only: bool = False
) -> list[str]:
    """Lines of at most `width` columns: at least one, and at most half of `height`."""
    room = max(1, height // 2)
    runs = sorted(board.runs.values(), key=lambda run: run.began)
    lines = [
        _heading(board, width, now, paint, ascii_only=ascii_only),
        *(paint.dim(cut(f"  {text}", width)) for text in _besides(board, width)),
    ]
    if len(runs) > min(SHOWN, room - len(lines)):
        lines += _by_task(runs, width, now, paint)
    else:
        lines += [_run(run, width, now, paint) for run in runs]
    return lines[:room]


def _heading(board: Board, width: int, now: float, paint: Paint, *, ascii_only: bool) -> str:
    """How far it is: a bar where there is room for one, and words."""
    left, failed = board.time_left(now), board.counts["failed"]
    time = duration(now - board.began) if left is None else f"{_roughly(left)} left"
    done, runs = f"{board.counts.total()} of {count(board.total, 'job')}", f"{len(board.runs)} running"
    words = [done, *([runs] if board.runs else []), *([f"{failed} failed"] if failed else []), time]
    if len(", ".join(words)) > width and board.runs:
        words.remove(runs)  # they are seen
    text = cut(", ".join(words), width)
    columns = min(_BAR, width - columns_of(text) - 2)
    painted = paint.red(text) if failed else paint.bold(text)
    if width < NARROW or columns < _SHORT:
        return painted
    part = int(board.share(now) * columns)
    full, empty = ("#", "-") if ascii_only else ("━", "─")
    return f"{paint.green(full * part)}{paint.dim(empty * (columns - part))}  {painted}"


def _besides(board: Board, width: int) -> list[str]:
    """What goes on beside jobs; of a path that is too long, the end is told."""
    found = [board.doing] if board.doing else []
    if board.reading is not None:
        path, done, whole = board.reading
        much = f"{size(done)} of {size(whole)}"
        room = max(_SHORT, width - len(f"  reading : {much}"))
        found.append(f"reading {cut_front(printable(path), room)}: {much}")
    return found


def _run(run: Run, width: int, now: float, paint: Paint) -> str:
    """A job that runs, for how long, and what it said last."""
    time = duration(now - run.began)
    if width < len(time) + _SHORT:
        return cut(f"  {printable(run.job.name)}", width)
    name = cut(f"  {printable(run.job.name)}", width - len(time) - 2)
    rest = width - columns_of(name) - len(time) - 4
    said = cut(COLOURS.sub("", run.line), rest) if rest >= _SHORT else ""
    return f"{name}  {paint.cyan(time)}" + (f"  {paint.dim(said)}" if said else "")


def _by_task(runs: list[Run], width: int, now: float, paint: Paint) -> list[str]:
    """One line a task, those of most jobs first."""
    tasks: dict[str, list[Run]] = {}
    for run in runs:
        tasks.setdefault(run.job.task, []).append(run)
    lines = []
    for task, found in sorted(tasks.items(), key=lambda item: -len(item[1])):
        if width < NARROW // 3:
            lines.append(cut(f"  {printable(task)}", width))
            continue
        number, longest = f"{len(found)} running", f"the longest for {duration(now - found[0].began)}"
        name = cut(f"  {printable(task)}", width - len(number) - 2)
        more = cut(longest, width - columns_of(name) - len(number) - 4)
        lines.append(f"{name}  {paint.cyan(number)}" + (f"  {paint.dim(more)}" if more == longest else ""))
    return lines


def _roughly(seconds: float) -> str:
    """A length of time that is not known to the second."""
    if seconds < 60:
        return f"{max(1, round(seconds))} s"
    if seconds < 3600:
        return f"{round(seconds / 60)} min"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min"
