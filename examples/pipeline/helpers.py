"""What more than one step needs."""

import csv
from pathlib import Path


def read_rows(path: Path) -> list[dict[str, str]]:
    """The rows of a table."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def joules(magnitude: float) -> float:
    """The energy that an earthquake radiates, by the formula of Gutenberg and Richter."""
    return float(10 ** (1.5 * magnitude + 4.8))


def heading(words: str) -> str:
    """A region's file name as a person would write it."""
    return words.replace("-", " ").title()
