"""The table in the documentation, and the figures it is made of."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
from dataclasses import asdict
from pathlib import Path
from typing import Any

from measured.found import NONE, Found, Row
from measured.projects import TOOLS

BEGIN, END = "<!-- measured -->", "<!-- /measured -->"
PARTS = ("builds", "peers", "deep", "plan", "functions", "hash", "help")
PLOTS = {
    "full": "A full build",
    "null": "Nothing changed",
    "one": "One source changed",
    "plan": "A first plan",
}
HEAD = (
    "| work | `bt` | beside it | ratio | goal | reached | the least |",
    "| --- | ---: | --- | ---: | ---: | --- | --- |",
)
Document = dict[str, Any]


def versions() -> dict[str, str | None]:
    """Each tool with its version, None if it is not there."""
    found: dict[str, str | None] = {}
    for name, tool in TOOLS.items():
        found[name] = None
        if tool.there:
            done = subprocess.run(tool.version, capture_output=True, text=True, check=False)
            number = re.search(r"\d+(\.\d+)+", done.stdout)
            found[name] = number[0] if number else ""
    return found


def read(path: Path) -> Document:
    """What was measured before."""
    return dict(json.loads(path.read_text())) if path.exists() else {}


def merge(before: Document, found: dict[str, Found], rounds: int) -> Document:
    """The figures of these parts take the place of those that were there."""
    rows = [row for row in before.get("rows", []) if row["part"] not in found]
    points = [point for point in before.get("points", []) if point["part"] not in found]
    for part in found.values():
        rows += [asdict(row) for row in part.rows]
        points += [asdict(point) for point in part.points]
    remarks = {name: told for name, told in before.get("remarks", {}).items() if name not in found}
    remarks |= {name: part.remarks for name, part in found.items()}
    return {
        "machine": {"cpus": os.cpu_count(), "python": platform.python_version(), "rounds": rounds},
        "tools": versions(),
        "remarks": {part: remarks[part] for part in PARTS if part in remarks},
        "rows": sorted(rows, key=lambda row: PARTS.index(row["part"])),
        "points": sorted(
            points, key=lambda p: (list(PLOTS).index(p["plot"]), list(TOOLS).index(p["tool"]), p["jobs"])
        ),
    }


def write(path: Path, document: Document) -> None:
    """Keep the figures."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")


def markdown(document: Document, plots: list[str]) -> str:
    """All that stands between the marks."""
    machine, tools = document["machine"], document["tools"]
    there = ", ".join(f"{name} {version}" for name, version in tools.items() if version is not None)
    missing = [name for name, version in tools.items() if version is None]
    lines = [
        f"{machine['cpus']} CPUs, Python {machine['python']}; {there}. Medians of {machine['rounds']} rounds.",
        *([f"Not installed, and so left out: {', '.join(missing)}."] if missing else []),
        "",
        *HEAD,
        *(_line(Row(**row)) for row in document["rows"]),
        "",
    ]
    remarks = [remark for told in document["remarks"].values() for remark in told]
    lines += [*(f"- {remark}" for remark in remarks), *([""] if remarks else [])]
    lines += [f"![{PLOTS[name]}: time and memory against jobs](plots/{name}.svg)\n" for name in plots]
    return "\n".join(lines)


def _line(row: Row) -> str:
    reached = {None: NONE, True: "yes", False: "**no**"}[row.reached]
    cells = (row.work, row.own, row.beside, row.ratio, row.goal, reached, row.least)
    return "| " + " | ".join(cells) + " |"


def put(path: Path, text: str) -> None:
    """Put the text between the marks of a page, at its end if it has none."""
    page = path.read_text() if path.exists() else ""
    if BEGIN not in page:
        page += f"\n{BEGIN}\n{END}\n"
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    path.write_text(f"{before}{BEGIN}\n{text}{END}{after}")
