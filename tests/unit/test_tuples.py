"""Our named tuples are those of `typing`, but for how fast they are made."""

from __future__ import annotations

import typing
from typing import TYPE_CHECKING

import pytest

from buildtool.tuples import NamedTuple

if TYPE_CHECKING:
    from nowhere import Unknown


class Ours(NamedTuple):
    """Says what it is."""

    name: str
    where: Unknown | None = None
    words: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        return len(self.words)


class Theirs(typing.NamedTuple):
    """Says what it is."""

    name: str
    where: Unknown | None = None
    words: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        return len(self.words)


ASKED = ("__bases__", "__doc__", "__match_args__", "__module__", "__slots__", "_fields", "_field_defaults")


@pytest.mark.parametrize("what", ASKED)
def test_the_classes_are_alike(what: str) -> None:
    assert getattr(Ours, what) == getattr(Theirs, what)


def test_the_values_are_alike() -> None:
    ours, theirs = Ours("a", words=("b", "c")), Theirs("a", words=("b", "c"))
    assert ours == theirs == ("a", None, ("b", "c"))
    assert (ours.name, ours.where, ours.count) == (theirs.name, theirs.where, theirs.count)
    assert ours._replace(name="z") == theirs._replace(name="z")
    assert ours._asdict() == theirs._asdict()
    assert repr(ours) == repr(theirs).replace("Theirs", "Ours")


@pytest.mark.parametrize("given", [(), ("a", None, (), 4)])
def test_both_refuse_what_does_not_fit(given: tuple[object, ...]) -> None:
    for kind in (Ours, Theirs):
        with pytest.raises(TypeError):
            kind(*given)
