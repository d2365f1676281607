"""Each test that the pages of faults and of trust name is there."""

from __future__ import annotations

import ast
import functools
import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
PAGE = (TESTS.parent / "docs/faults.md").read_text()
TRUST = (TESTS.parent / "docs/trust.md").read_text()
NAMED = sorted({*re.findall(r"`([\w/]+\.py)::(\w+)`", PAGE + TRUST)})
FAULTS = PAGE.split("\n## How often\n")[0]
ROWS = [
    line for line in FAULTS.splitlines() if line.startswith("| ") and not re.match(r"\| (fault|---)", line)
]


@functools.cache
def names(path: Path) -> set[str]:
    """What is defined at the top of a file, or given a name there."""
    found = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Assign):
            found |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return found


def test_it_names_tests() -> None:
    assert len(NAMED) > 50


@pytest.mark.parametrize(("path", "name"), NAMED, ids=[f"{path}::{name}" for path, name in NAMED])
def test_a_test_that_is_named_is_there(path: str, name: str) -> None:
    assert re.match(r"(test|Test)", name)
    assert name in names(TESTS / path)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.split("|")[1].strip()[:40])
def test_each_row_has_a_test(row: str) -> None:
    assert row.count("|") == 4
    assert "::test" in row.lower()
