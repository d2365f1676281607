"""The steps of the pipeline: plain functions, which know nothing of `bt`."""

import csv
import json
from pathlib import Path

from helpers import joules, read_rows


def sum_up(table: Path, summary: Path, region: str, since: int) -> None:
    """Sum up the earthquakes of one region."""
    rows = [row for row in read_rows(table) if int(row["date"][:4]) >= since]
    energy = sum(joules(float(row["magnitude"])) for row in rows)
    largest = max(rows, key=lambda row: float(row["magnitude"]), default=None)
    found = {"region": region, "count": len(rows), "energy": energy, "largest": largest}
    summary.write_text(json.dumps(found, indent=2))


def rank(summaries: list[Path], ranking: Path) -> None:
    """Put the regions in order of energy."""
    found = [json.loads(path.read_text()) for path in summaries]
    found.sort(key=lambda one: -one["energy"])
    with ranking.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["region", "count", "energy", "largest"])
        for one in found:
            largest = one["largest"]
            words = f"{largest['place']} {largest['date'][:4]}" if largest else ""
            writer.writerow([one["region"], one["count"], f"{one['energy']:.1e}", words])
