from __future__ import annotations

import json

import pytest
import tomli
from hypothesis import given
from hypothesis import strategies as st

from buildtool.taskfile.places import scan

TEXT = """\
# [not.a.table]
top = 1
a.b."c d" = 'x'  # dotted

[tasks.trim]
inputs = ["a", # one, ] or "
  'b]',
  '''c
  [d]''', "e" ]
run = \"\"\"
[fake]
k = \\\"\"\" 1
\"\"\"\"\"
[[rows]]
n = 1979-05-27 07:32:00 # a date
[[rows]]
n = { deep = { er = [1, {x = 2}] },
  more = true, }
[rows."in"]
z = 1
[tasks]
x = 1
"""


@pytest.mark.parametrize(
    ("path", "key", "value"),
    [
        (("top",), "top", "1"),
        (("a",), "a", None),
        (("a", "b", "c d"), '"c d"', "'x'"),
        (("tasks",), "tasks", "tasks"),
        (("tasks", "trim"), "trim", "trim"),
        (("tasks", "trim", "inputs"), "inputs", '["a", # one, ] or "'),
        (("tasks", "trim", "inputs", 0), '"a"', '"a"'),
        (("tasks", "trim", "inputs", 1), "'b]'", "'b]'"),
        (("tasks", "trim", "inputs", 2), "'''c", "'''c"),
        (("tasks", "trim", "inputs", 3), '"e"', '"e"'),
        (("tasks", "trim", "run"), "run", '"""'),
        (("rows", 0, "n"), "n", "1979-05-27 07:32:00"),
        (("rows", 1), "rows", "rows"),
        (("rows", 1, "n", "deep", "er", 1, "x"), "x", "2"),
        (("rows", 1, "n", "more"), "more", "true"),
        (("rows", 1, "in", "z"), "z", "1"),
        (("tasks", "x"), "x", "1"),
        (("tasks", "trim", "nothing", "here"), "trim", "trim"),
    ],
)
@pytest.mark.parametrize("style", ["plain", "crlf", "bom"])
def test_keys_and_values_are_found(
    path: tuple[str | int, ...], key: str, value: str | None, style: str
) -> None:
    tomli.loads(TEXT)
    text = {"plain": TEXT, "crlf": TEXT.replace("\n", "\r\n"), "bom": "\ufeff" + TEXT}[style]
    places = scan(text, "f")
    place = places.key(path)
    assert place.text[place.column - 1 : place.end - 1] == key
    assert TEXT.split("\n")[place.line - 1] == place.text
    if value is not None:
        place = places.value(path)
        assert place.text[place.column - 1 : place.end - 1] == value


def test_lines_are_counted_and_the_empty_text_has_a_place() -> None:
    places = scan(TEXT, "f")
    assert places.key(("rows", 1, "n", "more")).line == 18
    assert places.key(("rows", 1))[1:4] == (16, 3, 7)
    assert tuple(scan("", "f").value(("a", 1))) == ("f", 1, 1, 1, "")


def test_the_keys_of_a_table_are_a_mapping() -> None:
    keys = scan(TEXT, "f").table(("tasks", "trim"))
    assert list(keys) == ["inputs", "run"]
    assert keys["run"].line == 10
    assert "nothing" not in keys


# --- the law: every key's place points at the key, every value's at the value ---------------------

NAMES = st.text(st.sampled_from("ab-_.\" '#]=\\é\n"), max_size=4)
TEXTS = st.text(st.sampled_from("ab\"'\\]}[{,#=\n é"), max_size=6)
LEAVES = st.one_of(st.integers(), st.booleans(), st.floats(allow_nan=False), TEXTS)
VALUES = st.recursive(
    LEAVES, lambda v: st.lists(v, max_size=3) | st.dictionaries(NAMES, v, max_size=3), max_leaves=8
)
BARE = frozenset("abcdefghijklmnopqrstuvwxyz-_")


class Writer:
    """A document in TOML, in a style that the test case draws, and every path that is in it."""

    def __init__(self, draw: st.DataObject) -> None:
        self.draw = draw
        self.paths: list[tuple[str | int, ...]] = []

    def pick(self, *options: str) -> str:
        return self.draw.draw(st.sampled_from(options))

    def space(self) -> str:
        return self.pick("", " ", "\t ")

    def string(self, text: str) -> str:
        styles = [json.dumps(text)]
        if "'" not in text and "\n" not in text:
            styles.append(f"'{text}'")
        if "'''" not in text and not text.startswith("\n"):
            styles.append(f"'''\n{text}'''" if not text.endswith("'") or len(text) < 3 else styles[0])
        escaped = text.replace("\\", "\\\\").replace('"""', '""\\"')
        styles.append(f'"""\n{escaped}"""')
        good = [s for s in styles if _reads(s) == text]
        return self.pick(*good)

    def key(self, name: str) -> str:
        styles = [json.dumps(name)]
        if name and set(name) <= BARE:
            styles.append(name)
        if "'" not in name and "\n" not in name:
            styles.append(f"'{name}'")
        return self.pick(*styles)

    def gap(self) -> str:
        return self.pick("", " ", "\n", "  # a ] } ' \" comment\n")

    def value(self, value: object, path: tuple[str | int, ...]) -> str:
        self.paths.append(path)
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, str):
            return self.string(value)
        if isinstance(value, list):
            items = [self.gap() + self.value(v, (*path, i)) + self.gap() for i, v in enumerate(value)]
            return "[" + ",".join(items) + self.gap() + "]"
        if isinstance(value, dict):
            pairs = [
                f"{self.gap()}{self.key(k)}{self.space()}={self.space()}{self.value(v, (*path, k))}"
                for k, v in value.items()
            ]
            return "{" + f"{self.gap()},".join(pairs) + self.gap() + "}"
        return repr(value)

    def table(self, table: dict[str, object], path: tuple[str | int, ...], header: str) -> str:
        lines, below = [], []
        for name, value in table.items():
            where = (*path, name)
            key = self.key(name)
            inner = f"{header}{self.space()}.{self.space()}{key}" if header else key
            if isinstance(value, dict) and self.pick("inline", "table") == "table":
                self.paths.append(where)
                below.append(
                    f"[{self.space()}{inner}{self.space()}]{self.gap()}\n{self.table(value, where, inner)}"
                )
            elif isinstance(value, list) and value and all(isinstance(v, dict) for v in value):
                self.paths += [where, *((*where, i) for i in range(len(value)))]
                below += [f"[[{inner}]]\n{self.table(v, (*where, i), inner)}" for i, v in enumerate(value)]
            elif isinstance(value, dict) and value:
                self.paths.append(where)
                lines += [
                    f"{key}{self.space()}.{self.key(k)} = {self.value(v, (*where, k))}\n"
                    for k, v in value.items()
                ]
            else:
                lines.append(f"{self.space()}{key}{self.space()}={self.space()}{self.value(value, where)}\n")
        return "".join(lines + below)


def _reads(text: str) -> object:
    try:
        return tomli.loads("k=" + text)["k"]
    except tomli.TOMLDecodeError:
        return None


def _at(document: object, path: tuple[str | int, ...]) -> object:
    for part in path:
        document = document[part]  # type: ignore[index]
    return document


@given(st.dictionaries(NAMES, VALUES, max_size=4), st.data())
def test_every_place_points_at_its_key_and_value(document: dict[str, object], data: st.DataObject) -> None:
    writer = Writer(data)
    text = writer.table(document, (), "")
    assert tomli.loads(text) == document
    crlf = data.draw(st.booleans())
    places = scan(text.replace("\n", "\r\n") if crlf else text, "f")
    for path in writer.paths:
        name = path[-1]
        key = places.key(path)
        if isinstance(name, str):
            assert list(tomli.loads(key.text[key.column - 1 : key.end - 1] + "=1")) == [name]
        value = places.value(path)
        wanted = _at(document, path)
        if not isinstance(wanted, dict | list):
            written = value.text[value.column - 1 : value.end - 1]
            whole = written.startswith(('"""', "'''")) or _reads(written) == wanted
            assert whole, (path, written)
