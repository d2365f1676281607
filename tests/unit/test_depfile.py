"""Dependency files: escaping and rules; what the real gcc writes is read back."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildtool.depfile import parse_depfile


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", []),
        ("\n# only a comment: here\n", []),
        ("a.o: a.c a.h\n", ["a.c", "a.h"]),
        ("a.o: a.c \\\n  a.h \\\r\n\tb.h\r\n", ["a.c", "a.h", "b.h"]),
        ("a.o a.d: a.c\n\na.h:\nb.h :\n", ["a.c"]),
        ("a: b c\nd: c e b", ["b", "c", "e"]),
        ("a.o \\\n b.o: \\\n c", ["c"]),
        ("a: b\\ c.h d\\#e $$f g\\:h i:j k#l", ["b c.h", "d#e", "$f", "g:h", "i:j", "k#l"]),
        (r"a: b\c \d e\\f", [r"b\c", r"\d", r"e\\f"]),
        ("a: b\\\\ c \\\\\\ d", ["b\\", "c", "\\ d"]),
        ("a\\:b c\\ d: e", ["e"]),
        ("x:y.o: z", ["z"]),
        ("a:b", ["b"]),
        ("a:: b | c", ["b", "c"]),
        ("a: b # env: c\n# env-dep:X=1\nb:\n", ["b"]),
        ("a: b\\", ["b"]),
        ("a: x\x0cy é\udcff", ["x\x0cy", "é\udcff"]),
    ],
)
def test_prerequisites_are_read_as_make_reads_them(text: str, names: list[str]) -> None:
    assert parse_depfile(text) == names


@pytest.mark.parametrize(("text", "line"), [("hello", 1), ("a: b \\\n c\nd \\\n e\n", 3), ("a\\:b", 1)])
def test_a_line_without_a_colon_is_an_error_with_its_number(text: str, line: int) -> None:
    with pytest.raises(ValueError, match=f"line {line} is not a rule"):
        parse_depfile(text)


def escape(name: str) -> str:
    """What gcc's mkdeps does to a name."""
    name = re.sub(r"(\\*)([ \t])", r"\1\1\\\2", name)
    return name.replace("$", "$$").replace("#", "\\#")


NAME = st.text(st.sampled_from("ab/.:#$ \\\té"), min_size=1, max_size=8).filter(
    lambda name: name[-1] != "\\" and "\\:" not in name  # gcc has no escape for these
)


@given(st.lists(NAME, max_size=5), st.sampled_from([" ", " \\\n ", " \\\r\n\t"]))
def test_escaped_names_come_back(names: list[str], gap: str) -> None:
    text = gap.join(["out.o:", *map(escape, names)]) + "\n"
    assert parse_depfile(text) == list(dict.fromkeys(names))


@given(st.text(max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        assert all(parse_depfile(text))
    except ValueError as error:
        assert str(error).startswith("line ")  # noqa: PT017


@pytest.mark.skipif(not shutil.which("gcc"), reason="needs gcc")
@pytest.mark.parametrize("phony", [[], ["-MP"]])
def test_what_gcc_writes_is_read_back(tmp_path: Path, phony: list[str]) -> None:
    headers = [
        "a.h",
        "b c.h",
        "d#e.h",
        "$f$.h",
        "g\\ h.h",
        "i\\j.h",
        "k:l.h",
        "m\\#n.h",
        "sub dir/é.h",
        "  o.h",
    ]
    for header in headers:
        (tmp_path / header).parent.mkdir(exist_ok=True)
        (tmp_path / header).touch()
    source = "main file.c"
    (tmp_path / source).write_text("".join(f'#include "{header}"\n' for header in headers))
    command = ["gcc", "-MMD", *phony, "-MF", "out.d", "-c", "-o", "out put.o", source]
    subprocess.run(command, cwd=tmp_path, check=True)
    assert parse_depfile((tmp_path / "out.d").read_text()) == [source, *headers]
