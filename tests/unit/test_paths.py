from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildtool.paths import canonical, is_outside, parents

ROOT = "/home/me/project"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a", "a"),
        ("./a", "a"),
        ("a/", "a/"),
        ("a//b", "a/b"),
        ("a/./b/", "a/b/"),
        ("a/../b", "b"),
        ("a/..", "./"),
        ("", "./"),
        (".", "./"),
        ("./", "./"),
        ("..", "/home/me"),
        ("../", "/home/me/"),
        ("../project/a", "a"),
        ("../other/a", "/home/me/other/a"),
        ("../project-2/a", "/home/me/project-2/a"),
        ("/home/me/project", "./"),
        ("/home/me/project/a", "a"),
        ("//home/me/project/a", "a"),
        ("/etc/passwd", "/etc/passwd"),
        ("/", "/"),
        ("../../../..", "/"),
        ("...", "..."),
        ("a.", "a."),
        ("a./b", "a./b"),
        (".hidden", ".hidden"),
        ("..a/b", "..a/b"),
        ("a b\n{x}*", "a b\n{x}*"),
        ("\udcff", "\udcff"),
    ],
)
def test_one_spelling(path: str, expected: str) -> None:
    assert canonical(path, ROOT) == expected


PATHS = st.lists(
    st.sampled_from(["a", "b", ".", "..", "", "/", ".x", "x.", "...", "home", "me", "project"]), max_size=7
)


@given(PATHS.map("/".join), st.sampled_from([ROOT, "/", "/a"]))
def test_canonical_is_idempotent_and_the_same_place(path: str, root: str) -> None:
    found = canonical(path, root)
    assert canonical(found, root) == found
    assert os.path.normpath(os.path.join(root, found)) == os.path.normpath(os.path.join(root, path)).replace(
        "//", "/"
    )
    assert is_outside(found) == found.startswith("/")
    assert "//" not in found
    assert not (is_outside(found) and root == "/" and found != "/")


@given(PATHS.map("/".join), PATHS.map("/".join))
def test_the_same_place_has_one_spelling(first: str, second: str) -> None:
    """A `/` at the end, which says that it is a directory, aside."""
    here, there = (os.path.normpath(os.path.join(ROOT, p)).replace("//", "/") for p in (first, second))
    same = canonical(first, ROOT).rstrip("/") == canonical(second, ROOT).rstrip("/")
    assert same == (here == there)


@pytest.mark.parametrize(
    ("path", "expected"),
    [("a", []), ("a/", []), ("a/b", ["a/"]), ("a/b/c/", ["a/b/", "a/"]), ("/a/b", ["/a/"]), ("/a", [])],
)
def test_parents(path: str, expected: list[str]) -> None:
    assert parents(path) == expected
