"""Plots of the figures, as SVG that is the same for the same figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from measured.pages import PLOTS, Document
from measured.projects import TOOLS

COLOURS = ("#d62728", "#1f77b4", "#7f7f7f", "#2ca02c", "#9467bd", "#ff7f0e", "#17becf")


def there(folder: Path) -> list[str]:
    """The plots that a folder holds."""
    return [name for name in PLOTS if (folder / f"{name}.svg").exists()]


def draw(document: Document, folder: Path) -> bool:
    """Draw all that has points; False if there is nothing to draw with."""
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure
    except ImportError:
        return False
    mpl.rcParams.update({"svg.hashsalt": "bt", "svg.fonttype": "none", "font.size": 10})
    for name, title in PLOTS.items():
        points = [point for point in document["points"] if point["plot"] == name]
        if not points:
            (folder / f"{name}.svg").unlink(missing_ok=True)
            continue
        figure = Figure(figsize=(10, 4.2), layout="constrained")
        axes = figure.subplots(1, 2)
        _panel(axes[0], points, "seconds", f"{title}: seconds")
        _panel(axes[1], points, "megabytes", f"{title}: peak memory (MB)")
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside right upper", frameon=False)
        folder.mkdir(parents=True, exist_ok=True)
        figure.savefig(folder / f"{name}.svg", metadata={"Date": None, "Creator": None})
    return True


def _panel(axes: Any, points: list[dict[str, Any]], what: str, title: str) -> None:
    """One of the two: a line for each tool."""
    for tool, colour in zip(TOOLS, COLOURS, strict=True):
        line = [(p["jobs"], p[what]) for p in points if p["tool"] == tool and p[what] is not None]
        if line:
            width = 2.4 if tool == "bt" else 1.2
            axes.plot(*zip(*line, strict=True), marker="o", ms=4, lw=width, color=colour, label=tool)
    axes.set(xscale="log", yscale="log", xlabel="jobs", title=title)
    axes.grid(which="major", color="#dddddd", lw=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
