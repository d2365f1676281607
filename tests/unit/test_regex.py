"""A regular expression that is compiled late finds what one that was compiled at once does."""

from __future__ import annotations

import copy
import re

import pytest

from buildtool.regex import Regex

TEXT = "One two\ntwo three"


@pytest.mark.parametrize("flags", [0, re.IGNORECASE])
def test_it_finds_the_same(flags: int) -> None:
    at_once = re.compile("o[a-z]+", flags)
    for method in ("match", "search", "fullmatch"):
        late, found = getattr(Regex("o[a-z]+", flags), method)(TEXT), getattr(at_once, method)(TEXT)
        assert (late and late.span()) == (found and found.span())
    late = Regex("o[a-z]+", flags)
    assert late.findall(TEXT) == at_once.findall(TEXT)
    assert late.sub("-", TEXT) == at_once.sub("-", TEXT)
    assert [found.span() for found in late.finditer(TEXT, 2)] == [f.span() for f in at_once.finditer(TEXT, 2)]
    assert late.pattern == at_once.pattern


def test_one_that_is_wrong_is_told_when_it_is_used() -> None:
    wrong = Regex("(")
    with pytest.raises(re.error):
        wrong.match("a")


def test_it_has_nothing_else() -> None:
    with pytest.raises(AttributeError):
        Regex("a").groups  # noqa: B018
    assert copy.copy(Regex("a")).pattern == "a"
