"""What differs between this machine and the machines of a cluster that lives longer than a build.

The code of the project travels with each job, so it cannot differ. Does not know how a cluster is asked.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

import xxhash

from buildtool.runtime.environs import environs
from buildtool.tuples import NamedTuple

_LOCK_FILES = re.compile(
    r"uv\.lock|poetry\.lock|pdm\.lock|Pipfile\.lock|pixi\.lock|pylock(\..+)?\.toml|requirements.*\.txt"
    r"|environment\.ya?ml|conda-lock\.yml"
)
_OURS = {"buildtool"}  # needs not be there
_SHOWN = 12  # packages that are named each


class Difference(NamedTuple):
    """One thing that is not the same here and there."""

    what: str
    here: str
    there: str
    note: str = ""

    def line(self) -> str:
        """As people read it."""
        note = f" ({self.note})" if self.note else ""
        return f"{self.what}: {self.here} here, {self.there} there{note}"


def surroundings(root: str) -> dict[str, Any]:
    """What code finds here: `environs`, with the contents of lock files and of packages that are edited in place."""
    return {
        **environs(),
        "locks": {name: _file_digest(os.path.join(root, name)) for name in _lock_files(root)},
        "edited": {name: _code_digest(folder) for name, folder in _edited(root)},
    }


def digest(values: Mapping[str, Any]) -> str:
    """One digest for all of it."""
    return xxhash.xxh3_128_hexdigest(json.dumps(values, sort_keys=True, default=str).encode())


def differences(
    here: Mapping[str, Any],
    there: Iterable[Mapping[str, Any]],
    record: Mapping[str, Any] | None = None,
    settings: Mapping[str, Any] | None = None,
    imported: Collection[str] = (),
) -> list[Difference]:
    """What differs; the packages in `imported` come first.

    `there` is what each machine told, `record` what the cluster was made with (`environment` and `settings`), as far
    as that is known, and `settings` what it would be made with now.
    """
    found: dict[Difference, None] = {}
    for machine in there:
        found |= dict.fromkeys(_python(here, machine))
        found |= dict.fromkeys(_packages(here["packages"], machine["packages"], imported))
    made_with = (record or {}).get("environment") or {}
    for kind, what in (("edited", "code of {}"), ("locks", "{}")):
        known = made_with.get(kind, {}) if made_with else here[kind]
        for name in sorted({*here[kind], *known}):
            if here[kind].get(name) != known.get(name):
                note = "the cluster has it as it was when the cluster was made"
                found[Difference(what.format(name), *_both(here[kind].get(name), known.get(name)), note)] = (
                    None
                )
    if settings is not None and record and "settings" in record:
        theirs = record["settings"]
        for name in sorted({*settings, *theirs}):
            if _plain(settings.get(name)) != _plain(theirs.get(name)):
                note = "a running cluster keeps what it was made with"
                values = (_shown(settings.get(name)), _shown(theirs.get(name)))
                found[Difference(name, *values, note)] = None
    return list(found)


def told(title: str, found: list[Difference], *, remedy: str) -> str:
    """All of it as one message of several lines."""
    lines = [f"{title} differs from this machine:", *(f"  {one.line()}" for one in found[:_SHOWN])]
    if len(found) > _SHOWN:
        lines.append(f"  and {len(found) - _SHOWN} more")
    return "\n".join([*lines, f"  {remedy}"])


def _python(here: Mapping[str, Any], there: Mapping[str, Any]) -> Iterator[Difference]:
    if here["python"].split(".")[:2] != there["python"].split(".")[:2]:
        yield Difference("Python", here["python"], there["python"])


def _packages(
    here: Mapping[str, str], there: Mapping[str, str], imported: Collection[str]
) -> Iterator[Difference]:
    """Those that tasks import must be there; of others, those that are there must be the same."""
    wanted = {re.sub(r"[-_.]+", "-", name).lower() for name in imported}
    first = [name for name in sorted(here) if name in wanted]
    for name in (*first, *(name for name in sorted(here) if name not in wanted)):
        if name in _OURS or here[name] == there.get(name):
            continue
        if name in there:
            yield Difference(name, here[name], there[name], "imported by tasks" if name in wanted else "")
        elif name in wanted:
            yield Difference(name, here[name], "not installed", "imported by tasks")


def _lock_files(root: str) -> list[str]:
    names = sorted(name for name in os.listdir(root) if _LOCK_FILES.fullmatch(name))
    return [name for name in names if os.path.isfile(os.path.join(root, name))]


def _edited(root: str) -> Iterator[tuple[str, str]]:
    """Packages that are installed as the folder where they are written, if that is not in the project."""
    import importlib.metadata

    for distribution in importlib.metadata.distributions():
        path = getattr(distribution, "_path", None)
        if path is None or not os.path.exists(os.path.join(path, "direct_url.json")):
            continue
        try:
            url = json.loads(distribution.read_text("direct_url.json") or "{}")
        except ValueError:
            continue
        folder = unquote(urlsplit(url.get("url", "")).path)
        name = re.sub(r"[-_.]+", "-", distribution.name or "").lower()
        inside = f"{os.path.realpath(folder)}/".startswith(f"{os.path.realpath(root)}/")
        if (
            url.get("dir_info", {}).get("editable")
            and os.path.isdir(folder)
            and not inside
            and name not in _OURS
        ):
            yield name, folder


def _code_digest(folder: str) -> str:
    from buildtool.executors.kit import Modules

    return Modules(folder).zip().name


def _file_digest(path: str) -> str:
    """Of its content; of one that cannot be read, nothing."""
    try:
        with open(path, "rb") as file:
            return xxhash.xxh3_128_hexdigest(file.read())
    except OSError:
        return ""


def _both(here: str | None, there: str | None) -> tuple[str, str]:
    if here is None or there is None:
        return ("absent" if here is None else "present"), ("absent" if there is None else "present")
    return "changed", "as before"


def _plain(value: Any) -> Any:
    return json.loads(json.dumps(value, default=str))


def _shown(value: Any) -> str:
    return "not set" if value is None else value if isinstance(value, str) else json.dumps(value, default=str)
