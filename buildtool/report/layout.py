"""Lines that fit: folded between words, cut, or in columns. Widths are columns of a terminal; colours take none.

Does not know what is said, nor how wide a terminal is. Names in backticks and quantities stay whole, and a word
that is wider than a line is left to the terminal: so it can be copied.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

COLOURS = re.compile(r"\x1b\[[0-9;:]*m")
_PIECE = re.compile(r"(\s*)((?:`[^`]*`|(?<=\d) (?:s|min|h|d|B|[kMGT]B)\b|\S)+)")
_GAP = "  "  # between two columns
_FEW = 24  # columns that the last cell of a row needs at least, if its text is longer


def columns_of(text: str) -> int:
    """How many columns it takes."""
    if "\x1b" in text:
        text = COLOURS.sub("", text)
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def cut(text: str, columns: int) -> str:
    """The text without colours in it; if it does not fit, as much of it as does, with an ellipsis."""
    if columns_of(text) <= columns:
        return text
    from rich.cells import set_cell_size

    return set_cell_size(text, columns - 1).rstrip() + "…" if columns > 0 else ""


def cut_front(text: str, columns: int) -> str:
    """The same, with what is too much taken from the beginning."""
    if columns_of(text) <= columns:
        return text
    return ("…" + cut(text[::-1], columns)[:-1][::-1]) if columns > 0 else ""


def fold(text: str, width: int | None, indent: str = "") -> list[str]:
    """Lines of at most `width`, all but the first behind `indent`, of which half a line is used at most."""
    if "\n" in text:
        return [line for part in text.split("\n") for line in fold(part, width, _lead(part) + indent)]
    if width is None or (len(text) <= width and text.isascii()) or columns_of(text) <= width:
        return [text]
    least, indent = len(indent), indent[: width // 2]
    lines, line, used = [], "", 0
    for blanks, word in _PIECE.findall(text):
        needed = columns_of(word)
        begin = used + len(blanks)
        if begin + needed > width and begin > least:
            lines.append(line)
            line, used = indent + word, len(indent) + needed
        else:
            line, used = line + blanks + word, begin + needed
    return [*lines, line]


def _lead(text: str) -> str:
    return text[: len(text) - len(text.lstrip(" "))]


def table(titles: Sequence[str], rows: Sequence[Sequence[str]], width: int | None = None) -> list[list[str]]:
    """The lines of the titles and of each row. Where a row is too wide, the next cells stand below the second one."""
    natural = [
        max(columns_of(line) for row in (titles, *rows) for line in row[at].split("\n"))
        for at in range(len(titles))
    ]
    whole = sum(natural) + len(_GAP) * (len(natural) - 1)
    if width is None or whole <= width:
        width, needed = whole, natural
    else:  # no cell but the last of a line takes more than half of it
        needed = [min(wanted, width // 2) for wanted in natural]
        needed[-1] = min(natural[-1], _FEW)
    levels: list[list[tuple[int, int, int]]] = [[]]  # columns that stand side by side: which, where, how wide
    begin = 0
    for at, least in enumerate(needed):
        if levels[-1] and begin + least > width:
            begin = min(natural[0] + len(_GAP), width // 3)
            levels.append([])
        levels[-1].append((at, begin, least))
        begin += least + len(_GAP)
    for level in levels:
        at, begin, _ = level[-1]
        level[-1] = (at, begin, max(1, min(natural[at], width - begin)))
    return [_row(row, levels) for row in (titles, *rows)]


def _row(row: Sequence[str], levels: Sequence[Sequence[tuple[int, int, int]]]) -> list[str]:
    lines = []
    for level in levels:
        cells = [
            [part for line in row[at].split("\n") for part in fold(line, room, _GAP)] for at, _, room in level
        ]
        for depth in range(max(map(len, cells))):
            text = ""
            for cell, (_, begin, _) in zip(cells, level, strict=True):
                if depth < len(cell) and cell[depth]:
                    text += " " * (begin - columns_of(text)) + cell[depth]
            if text:
                lines.append(text)
    return lines
