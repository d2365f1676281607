from __future__ import annotations

import fnmatch
import glob
import itertools
import os
from pathlib import Path

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from buildtool.expand.listing import matches
from buildtool.files import Disk
from buildtool.taskfile.pattern import Pattern, PatternError, Wild, parse_pattern
from support.effort import amount

ROOT = "/project"
TREE = (
    *("a", "b.txt", "ab.txt", "[x].txt", "x.txt", "*.txt", ".hidden", ".h/in.txt", "a b", "é.txt"),
    *(
        "d/a.txt",
        "d/b.c",
        "d/.dot",
        "d/e/a.txt",
        "d/e/f/a.txt",
        "d/e/.g/a.txt",
        "dd/a.txt",
        "n/1.txt",
        "n/12",
    ),
    *("line\nbreak.txt", "d/e.txt", "d/e/{x}", "back\\slash"),
)


def one(text: str, root: str = ROOT) -> Pattern:
    [pattern] = parse_pattern(text, root)
    return pattern


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in TREE:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to("d", target_is_directory=True)
    (tmp_path / "link.txt").symlink_to("b.txt")
    (tmp_path / "dangling.txt").symlink_to("nowhere")
    return tmp_path


@pytest.mark.parametrize(
    ("text", "path", "values"),
    [
        ("a/{x}.txt", "a/b.txt", {"x": "b"}),
        ("a/{x}.txt", "a/b/c.txt", None),
        ("a/{x}.txt", "a/.txt", None),
        ("{x:**}.txt", "a/b/c.txt", {"x": "a/b/c"}),
        ("{n:\\d+}", "12", {"n": "12"}),
        ("{n:\\d+}", "x", None),
        ("{n:\\d{2}}-{m}", "12-3", {"n": "12", "m": "3"}),
        ("{x}/{x}.o", "a/a.o", {"x": "a"}),
        ("{x}/{x}.o", "a/b.o", None),
        ("{x}-{y}", "a-b-c", {"x": "a-b", "y": "c"}),
        ("{{x}}", "{x}", {}),
        ("a.b", "axb", None),
        ("{x}.txt", "line\nbreak.txt", {"x": "line\nbreak"}),
        ("{x}.txt", "a.txt\n", None),
        ("./a/../b/{x}", "b/c", {"x": "c"}),
        ("/project/{x}", "c", {"x": "c"}),
        ("/elsewhere/{x}", "/elsewhere/c", {"x": "c"}),
    ],
)
def test_match(text: str, path: str, values: dict[str, str] | None) -> None:
    assert one(text).match(path) == values


@pytest.mark.parametrize(
    "text", ["{x", "x}", "{}", "{1}", "{a b}", "{input}", "{x:(}", "{x:(?P<y>.)}", "{x:}", "a**", "**b", ""]
)
def test_wrong_patterns(text: str) -> None:
    with pytest.raises(PatternError):
        one(text)


VALUES = st.text(st.characters(exclude_characters="/\0", codec="utf-8"), min_size=1, max_size=8)
LITERALS = st.text("ab.-_ /", max_size=3).filter(lambda text: "//" not in text and "./" not in text)


@given(LITERALS, VALUES, st.sampled_from("-_=/"), VALUES)
def test_what_is_filled_in_matches(head: str, x: str, between: str, y: str) -> None:
    """Filling in what a match gave makes the path again, whatever the values hold: they are data."""
    pattern = one(f"h{head}{{x}}{between}{{y}}.t")
    path = pattern.path({"x": x, "y": y})
    found = pattern.match(path)
    assert found is not None
    assert pattern.path(found) == path
    assert pattern.fill(found).is_literal
    assert pattern.fill(found).prefix == path
    assert pattern.fill({"x": x}).match(path) is not None


@given(VALUES)
def test_a_value_with_special_characters_stays_itself(value: str) -> None:
    filled = one("d/{x}.*").fill({"x": value})
    assert filled.is_glob
    assert filled.match(f"d/{value}.txt") == {}
    assert one("d/{x}").match(f"d/{value}") == {"x": value}


SEGMENT = st.lists(
    st.sampled_from(["a", "b", ".", "?", "*", "[ab]", "[!a]", "[a-c]", "[.]"]), min_size=1, max_size=4
)


@given(SEGMENT.map("".join), st.text("abcd.", min_size=1, max_size=5))
def test_one_segment_agrees_with_fnmatch(text: str, name: str) -> None:
    """Except that a leading dot must be written, as in a shell."""
    if text.startswith(".") or {*text} <= {"."} or "**" in text or not name.strip("."):
        return
    expected = fnmatch.fnmatchcase(name, text) and (name[0] != "." or text[0] == ".")
    if name[0] == "." and text.startswith("["):
        return  # a bracket may name the dot; see `test_a_leading_dot_is_written`
    assert (one("q/" + text).match("q/" + name) is not None) == expected


def test_a_leading_dot_is_written() -> None:
    assert one("*").match(".a") is None
    assert one("?a").match(".a") is None
    assert one("d/*").match("d/.a") is None
    assert one(".*").match(".a") == {}
    assert one("**").match("d/.a") is None
    assert one("**/a").match(".d/a") is None
    assert one("a*").match("a.b") == {}


GLOBS = (
    *(
        "*",
        "*.txt",
        "?",
        "??.txt",
        "[ab]*",
        "[!a]*",
        "[[]x].txt",
        "[*].txt",
        "d/*",
        "d/*.c",
        "*/a.txt",
        "*/*",
    ),
    *("**", "**/*", "**/a.txt", "d/**", "d/**/a.txt", "d/**/*.txt", "**/e/*", "*/e/**", ".*", ".h/*", "é*"),
    *(
        "[a-c]*",
        "d/e/[{]*",
        "n/[0-9]",
        "n/[0-9].*",
        "nothing/*",
        "*/nothing",
        "a b*",
        "link/*",
        "**/e/**/a.txt",
    ),
)


@pytest.mark.parametrize("text", GLOBS)
def test_globs_agree_with_python(tree: Path, text: str) -> None:
    """Files alone, and `**` as one or more names at the end and as any number of folders before; links not entered."""
    parsed = one(text.replace("{", "{{"), str(tree))
    found = glob.glob(text, root_dir=tree, recursive=True)
    deep = "**" in text
    expected = {
        name
        for name in found
        if not (tree / name).is_dir()
        and not (deep and name.startswith("link/"))
        and os.path.lexists(tree / name)
    }
    assert matches(Disk(str(tree)), parsed) == sorted(expected)


@pytest.mark.parametrize(
    "text", [*GLOBS, "{x}", "{x}.txt", "d/{x}/a.txt", "{x:**}.txt", "{d}/{x}.txt", "d/{x:**}"]
)
def test_matches_is_brute_force(tree: Path, text: str) -> None:
    pattern = one(text.replace("[{]", "[{{]") if "[{]" in text else text, str(tree))
    every = []
    for folder, _, names in os.walk(tree):
        prefix = os.path.relpath(folder, tree) + "/" if folder != str(tree) else ""
        every += [prefix + name for name in names]
    every += [f"link/{name}" for name in ("a.txt", "b.c", ".dot", "e.txt")] if pattern.is_flat else []
    hidden = [name for name in every if any(part[0] == "." for part in name.split("/"))]
    found = matches(Disk(str(tree)), pattern)
    assert found == sorted(found)
    allowed = {name for name in every if pattern.match(name) is not None}
    if "{" in text.replace(
        "[{]", ""
    ):  # a wildcard takes a dot when asked, but hidden files are not looked for
        allowed -= set(hidden)
    assert set(found) == allowed


def test_directories(tree: Path) -> None:
    disk = Disk(str(tree))
    assert matches(disk, one("*/", str(tree))) == ["d/", "dd/", "empty/", "link/", "n/"]
    assert matches(disk, one("d/{x}/", str(tree))) == ["d/e/"]
    assert matches(disk, one("d/", str(tree))) == ["d/"]
    assert matches(disk, one("a/", str(tree))) == []


@pytest.mark.parametrize(
    "pair", [*itertools.product(("a/{x}.txt", "a/*", "**/b.txt", "a/b.txt", "c/{x}"), repeat=2)]
)
def test_patterns_that_share_a_path_may_overlap(pair: tuple[str, str]) -> None:
    first, second = (one(text) for text in pair)
    shared = any(
        first.match(p) is not None and second.match(p) is not None for p in ("a/b.txt", "c/d", "a/x")
    )
    assert first.may_overlap(second) or not shared
    assert first.may_overlap(second) == second.may_overlap(first)


PIECES = ("a", "b", "/", "*", "**/", "{x}", "{y:**}", "?", "[ab]", ".a", "{z:a/?b}")


NAMES = st.lists(st.sampled_from(["a", "b", "ab", ".a", "a.a"]), min_size=1, max_size=4)


@given(st.lists(st.sampled_from(PIECES), min_size=1, max_size=6), NAMES)
@settings(max_examples=amount(300, 20_000))
def test_what_matches_is_reached_through_each_directory_above_it(pieces: list[str], names: list[str]) -> None:
    try:
        pattern = one("".join(pieces))
    except PatternError:
        return
    found = pattern.match("/".join(names)) is not None
    event(f"matches: {found}")
    # A wildcard may be a hidden name, which is not looked for.
    hidden = any(n[0] == "." for n in names) and any(isinstance(part, Wild) for part in pattern.parts)
    if found and not hidden:
        assert all(pattern.may_reach("/".join([*names[:depth], ""])) for depth in range(1, len(names)))


@pytest.mark.parametrize(
    ("text", "folder", "reaches", "names"),
    [
        ("**/*.txt", "d/e/", True, False),
        ("**/*.txt", ".venv/", False, False),
        ("**/*.txt", "d/.git/", False, False),
        ("*/a.txt", "d/", True, False),
        ("*/a.txt", "d/e/", False, False),
        ("*.txt", "d/", False, False),
        ("d*/x/[ab]", "dd/", True, False),
        ("d*/x/[ab]", "e/", False, False),
        ("d/e/*.txt", "d/", True, True),
        ("d/e/*.txt", "d/e/", True, True),
        ("d/e/*.txt", "d/f/", False, False),
        ("d/**", "d/e/f/", True, True),
        ("**", "d/", True, True),
        ("{p:**}.md", "d/", True, False),
        ("x{p:**}.md", "d/", False, False),
        ("x{p:**}.md", "xd/e/", True, False),
        ("{p:**}/{q}.md", "d/", True, False),
        ("{d}/{f}", "d/", True, True),
        ("*/*/", "d/", True, False),
        ("*/*/", "d/e/", False, False),
    ],
)
def test_which_directories_it_may_look_into(text: str, folder: str, reaches: bool, names: bool) -> None:
    assert one(text).may_reach(folder) is reaches
    assert one(text).names_directory(folder) is names


def test_variables_multiply() -> None:
    choices = {"x": [("a",), ("b",)], "y": [("1",), ("2",)]}
    found = parse_pattern(
        "{vars.x}/{vars.y}/{vars.x}.{z}", ROOT, lambda name: [tuple(c) for c in choices[name]]
    )
    assert [p.text for p in found] == ["a/1/a.{z}", "a/2/a.{z}", "b/1/b.{z}", "b/2/b.{z}"]


@given(
    st.sampled_from(["in/{x}.txt", "{x}", "a{x}", "{x}/", "in/{x}/b", "{x}.tar.gz"]),
    st.text(alphabet="a/.\ntx{b", max_size=9),
)
def test_one_wildcard_needs_no_regular_expression(text: str, path: str) -> None:
    pattern = one(text)
    found = pattern.regex.fullmatch(path)
    values = pattern.match(path)
    assert values == (None if found is None else found.groupdict())
    if values is not None:
        assert pattern.path(values) == pattern.start(values) == path
    assert pattern.start({}) == pattern.prefix


def test_folders_at_any_depth(tree: Path) -> None:
    found = matches(Disk(str(tree)), one("**/", str(tree)))
    assert found == ["d/", "d/e/", "d/e/f/", "dd/", "empty/", "link/", "n/"]
