"""What an engine's cost follows, one panel per quantity."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure

TITLES = {
    "events": "events in 1 s",
    "pixels": "pixels of the sensor, same events",
    "kernel side": "kernel side (px)",
    "channels": "channels",
    "threads": "threads",
}


def plot_curves(rows: list[dict[str, Any]]) -> Figure:
    """Median seconds against the varied quantity, logarithmic but for threads; bars: fastest to slowest run."""
    figure = Figure(figsize=(12, 2.8), layout="constrained")
    panels = figure.subplots(1, len(TITLES))
    for axes, (varied, title) in zip(panels, TITLES.items(), strict=True):
        points = [row for row in rows if row["varied"] == varied]
        x, y = [row["value"] for row in points], [row["seconds"] for row in points]
        axes.plot(x, y, "o-", color="#3f7fe0", markersize=4)
        axes.vlines(
            x,
            [1e-6 * row["events"] / row["max"] for row in points],
            [1e-6 * row["events"] / row["min"] for row in points],
            color="#2b3038",
            linewidth=1,
        )
        if varied == "threads":
            axes.set(ylim=(0, 1.15 * max(y)), xticks=x)
        else:
            axes.set(xscale="log", yscale="log", ylim=(1e-3, 1))
            axes.minorticks_off()
        if varied == "pixels":
            axes.set_xticks(x, [f"{value * 1e-6:.1f}M" for value in x])
        elif varied != "events":
            axes.set_xticks(x, [str(value) for value in x])
        axes.set_xlabel(title)
        axes.grid(alpha=0.3)
    panels[0].set_ylabel("seconds")
    return figure
