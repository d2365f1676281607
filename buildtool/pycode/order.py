"""The order in which modules do things when they are imported: it may decide which of them has the last word.

Does not know what is done; `links` says which modules do anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

# A statement by number, with the place in it; what it does itself; the modules that it runs.
Step = tuple[tuple[int, int], str, tuple[str, ...]]


def orders(modules: Mapping[str, Sequence[Step]]) -> Iterator[tuple[str, str]]:
    """For each module that does or runs two things or more, all of them in order, as a text."""
    active = _active(modules)
    for name, steps in modules.items():
        lines = dict[str, None]()
        runs = False
        for _, itself, targets in steps:
            found = [target for target in targets if target in active and target != name]
            runs = runs or bool(found)
            lines.update(dict.fromkeys([f"import {target}" for target in found] or [itself] * bool(itself)))
        if len(lines) > 1 and (runs or any(not line.startswith("(") for line in lines)):
            yield name, "\n".join(lines)


def _active(modules: Mapping[str, Iterable[Step]]) -> set[str]:
    """The modules that do something, or import one that does."""
    importers: dict[str, set[str]] = {}
    for name, steps in modules.items():
        for _, _, targets in steps:
            for target in targets:
                importers.setdefault(target, set()).add(name)
    pending = [name for name, steps in modules.items() if any(itself for _, itself, _ in steps)]
    found = set(pending)
    while pending:
        fresh = importers.get(pending.pop(), set()) - found
        found |= fresh
        pending += fresh
    return found
