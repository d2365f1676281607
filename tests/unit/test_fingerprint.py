from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from buildtool.fingerprint import FILE_KINDS, IGNORABLE, Change, Fingerprint, Item, digest, ignored

KINDS = ("command", "shell", "param", "env", "input", "need", "found", "output", "track.file")
ITEMS = st.builds(
    Item, st.sampled_from(KINDS), st.sampled_from("abc"), st.sampled_from(["1", "2", None]), st.none()
)
FINGERPRINTS = st.lists(ITEMS, max_size=8, unique_by=lambda item: item[:2]).map(
    lambda items: Fingerprint(tuple(items))
)
PARTS = st.lists(st.none() | st.text("s:1n0b", max_size=6) | st.binary(max_size=3), max_size=4).map(tuple)


def named(fingerprint: Fingerprint) -> dict[tuple[str, str], str | None]:
    return {(item.kind, item.name): item.digest for item in fingerprint.items}


def happened(item: tuple[str, str], then: str | None, now: str | None) -> Change:
    if item[0] in FILE_KINDS and None in (then, now):
        return Change.ADDED if then is None else Change.REMOVED
    return Change.CHANGED


@given(FINGERPRINTS, FINGERPRINTS)
def test_the_difference_names_what_differs_and_nothing_else(new: Fingerprint, old: Fingerprint) -> None:
    now, then = named(new), named(old)
    expected = {(key, Change.ADDED) for key in now.keys() - then.keys()}
    expected |= {(key, Change.REMOVED) for key in then.keys() - now.keys()}
    both = [key for key in now.keys() & then.keys() if now[key] != then[key]]
    expected |= {(key, happened(key, then[key], now[key])) for key in both}
    found = [((r.kind, r.name), r.change) for r in new.diff(old)]
    assert set(found) == expected
    assert len(found) == len(expected)
    assert (found == []) == (now == then)


@given(FINGERPRINTS, FINGERPRINTS)
def test_the_difference_the_other_way_round(new: Fingerprint, old: Fingerprint) -> None:
    turned = {Change.ADDED: Change.REMOVED, Change.REMOVED: Change.ADDED, Change.CHANGED: Change.CHANGED}
    forth = {(r.kind, r.name, r.change) for r in new.diff(old)}
    back = {(r.kind, r.name, turned[r.change]) for r in old.diff(new) if r.change is not None}
    assert forth == back


@given(FINGERPRINTS, FINGERPRINTS, st.lists(st.sampled_from([*IGNORABLE, "inputs.a", "params.b"])))
def test_what_is_ignored_is_no_difference(new: Fingerprint, old: Fingerprint, ignore: list[str]) -> None:
    everything = new.diff(old)
    counted = new.diff(old, ignore)
    assert counted == [r for r in everything if not ignored(Item(r.kind, r.name, None), ignore)]


def test_an_item_that_stands_twice_is_one() -> None:
    """`track.files` with two patterns that match one file, and an ignored difference beside it."""
    twice = (Item("track.file", "a", "1"), Item("track.file", "a", "1"))
    new = Fingerprint((Item("input", "x", "2"), *twice))
    old = Fingerprint((Item("input", "x", "1"), *twice))
    assert new.diff(old, ["inputs"]) == []


def test_values_are_told() -> None:
    [reason] = Fingerprint((Item("param", "k", "2", "22"),)).diff(
        Fingerprint((Item("param", "k", "1", "21"),))
    )
    assert (reason.old, reason.new) == ("21", "22")


@given(PARTS, PARTS)
def test_different_parts_have_different_digests(
    first: tuple[str | bytes | None, ...], second: tuple[str | bytes | None, ...]
) -> None:
    assert (digest("k", *first) == digest("k", *second)) == (first == second)


def test_tricky_splits() -> None:
    parts: list[tuple[str | bytes | None, ...]] = [
        ("ab", "c"),
        ("a", "bc"),
        ("abc",),
        ("abc", ""),
        ("", "abc"),
        ("abc", None),
        (None, "abc"),
        (b"abc",),
        ("as1:b", "c"),
        ("a", "s1:b", "c"),
        ("as1:bs1:c",),
        ("n",),
        (None,),
        (),
        ("",),
        (b"",),
        ("1:a",),
        ("\0",),
        ("\udc80",),
        ("é",),
        ("e\u0301",),
    ]
    digests = {digest(kind, *p) for p in parts for kind in ("k", "ks", "k1:")}
    assert len(digests) == 3 * len(parts)
    assert digest("a", "b") != digest("b", "a")
