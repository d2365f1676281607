"""Lines that fit into a terminal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildtool.errors import Place
from buildtool.report.layout import COLOURS, columns_of, cut, cut_front, fold, table
from buildtool.report.paint import Paint
from buildtool.report.problems import excerpt

WORD = st.text("abx日`\x1b", max_size=12).map(lambda text: text.replace("\x1b", "\x1b[31m"))


@given(st.lists(WORD).map(" ".join), st.integers(1, 40), st.integers(0, 50))
def test_nothing_is_lost_and_lines_fit(text: str, width: int, indent: int) -> None:
    lines = fold(text, width, " " * indent)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    if "`" not in text:
        assert all(columns_of(line) <= width or len(line.split()) < 2 for line in lines)


@pytest.mark.parametrize(
    ("text", "width", "lines"),
    [
        ("one two three", 8, ["one two", "  three"]),
        ("one `two three` four", 12, ["one", "  `two three`", "  four"]),
        ("it took 12 min 3 s", 10, ["it took", "  12 min", "  3 s"]),
        ("ran        a/very/long/path", 20, ["ran        a/very/long/path"]),
        ("\x1b[32mran\x1b[0m one", 7, ["\x1b[32mran\x1b[0m one"]),
        ("it differs:\n  one two three", 11, ["it differs:", "  one two", "    three"]),
        ("日本 日本", 9, ["日本 日本"]),
        ("日本 日本", 8, ["日本", "  日本"]),
    ],
)
def test_folded(text: str, width: int, lines: list[str]) -> None:
    indent = " " * 11 if text.startswith("ran  ") else "  "
    assert fold(text, width, indent) == lines


@given(st.text("ab日"), st.integers(0, 12))
def test_what_is_cut_fits_and_says_so(text: str, columns: int) -> None:
    for shown in (cut(text, columns), cut_front(text, columns)):
        assert columns_of(shown) <= columns
        assert shown == text or "…" in shown or not columns


def test_columns_stand_below_each_other() -> None:
    rows = [("1", "日本", "a"), ("22", "b", "one\ntwo")]
    assert table(("n", "name", "why"), rows) == [
        ["n   name  why"],
        ["1   日本  a"],
        ["22  b     one", "          two"],
    ]


def test_a_table_that_is_too_wide_goes_on_below() -> None:
    rows = [("1", "some name", "because of this and that and much else")]
    assert table(("n", "name", "why"), rows, 30) == [
        ["n  name", "   why"],
        ["1  some name", "   because of this and that", "     and much else"],
    ]


@pytest.mark.parametrize("width", [None, 120, 40, 20])
@pytest.mark.parametrize("before", ["", "日本語 ", "a\x07b ", "long " * 30])
@pytest.mark.parametrize("after", ["", " after" * 30])
def test_the_caret_stands_under_what_is_meant(width: int | None, before: str, after: str) -> None:
    text = before + "{odd}" + after
    place = Place("Taskfile.toml", 7, len(before) + 1, len(before) + 6, text)
    line, carets = excerpt(place, Paint(width=width))
    start = carets.index("^")
    at = line.index("{odd}")
    assert columns_of(line[:at]) == start
    assert carets.count("^") == 5
    assert width is None or columns_of(line) <= width
    assert COLOURS.sub("", line) == line
