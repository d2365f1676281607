"""The words of a build that are read without click mean what they mean to click."""

from __future__ import annotations

import inspect

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildtool.cli import words
from buildtool.cli.build_command import command
from buildtool.cli.main import plain_build

DEFAULTS = {
    name: found.default
    for name, found in inspect.signature(command).parameters.items()
    if found.default is not found.empty
}
WORDS = (
    *(
        "a",
        "out/b.txt",
        "",
        "-",
        "-q",
        "--quiet",
        "-k",
        "--keep-going",
        "-qk",
        "-j",
        "--jobs",
        "-j4",
        "-j0",
        "-j=4",
    ),
    *(
        "--jobs=3",
        "--jobs=x",
        "2",
        "007",
        "٣",
        "9" * 9,
        "9" * 5000,
        "-n",
        "-s",
        "--set",
        "k=v",
        "-e",
        "--",
        "--quie",
    ),
)


def read(given: list[str]) -> dict[str, object]:
    """What click makes of the words behind `bt build`."""
    return words.build.make_context("build", [*given]).params


@given(st.lists(st.sampled_from(WORDS), max_size=5))
def test_they_are_read_as_click_reads_them(given: list[str]) -> None:
    asked = plain_build(["build", *given])
    if asked is not None:
        targets, options = asked
        assert read(given) == {**DEFAULTS, **options, "targets": targets}


@pytest.mark.parametrize(
    "given", ["", "a b", "-q", "-k a -j 2", "--quiet -j8 --keep-going", "a --jobs=3", "--jobs 3"]
)
def test_such_words_are_read_without_click(given: str) -> None:
    assert plain_build(["build", *given.split()]) is not None


@pytest.mark.parametrize(
    "given", ["-n", "-qk", "-- a", "a --", "-j", "-j 0", "--jobs=x", "--color=never", "-h", "-"]
)
def test_all_others_are_left_to_click(given: str) -> None:
    assert plain_build(["build", *given.split()]) is None


@pytest.mark.parametrize(
    "given", [[], ["watch"], ["-q", "build"], ["build", ""], ["build", "a", "-j", "9" * 5000]]
)
def test_so_is_what_is_no_build_or_cannot_be_read(given: list[str]) -> None:
    assert plain_build(given) is None
