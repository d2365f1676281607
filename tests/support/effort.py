"""How much is tried: a sample as a rule, all of it with `--hypothesis-profile=long`."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from typing import TypeVar

from hypothesis import settings

LONG = settings().max_examples > 1000

_T = TypeVar("_T")


def some(cases: Iterable[_T], few: int) -> Sequence[_T]:
    """All cases if that is asked for; else a few of them, the same each time."""
    found = list(cases)
    return found if LONG or len(found) <= few else random.Random(few).sample(found, few)  # noqa: S311


def amount(few: int, many: int) -> int:
    """`many` if that is asked for, else `few`."""
    return many if LONG else few
