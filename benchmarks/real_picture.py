"""The picture of docs/real.md: recordings that may be shown, with every track that was found in them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from benchmarks.real import BANDS, DATA, DISKLESS_BANDS, preset
from velocell.data.bands import Bands
from velocell.data.recording import Recording
from velocell.data.tracks import Tracks
from velocell.formats import read
from velocell.pictures.figures.style import LABEL_PT, PAGE_IN, save_figure
from velocell.pipeline import detect
from velocell.simulate import simulate

# Their licences allow it: CC0 and MIT.
SHOWN = (
    ("sparklers_evt2.raw", "sparklers: no disk, no track"),
    ("two_cars_davis346.aedat4", "two cars: one false track"),
)
WINDOW_US = 40_000


def draw(path: Path) -> None:
    """Write the picture; recordings that are missing are left out."""
    panels = [(read(DATA / name), title, 5.0, DISKLESS_BANDS) for name, title in SHOWN if (DATA / name).is_file()]
    simulated = simulate(preset(71_001, sensor="davis346"))[0]
    panels.append((simulated, "simulated DAVIS346: eight disks", 5.0, BANDS))
    figure = Figure((PAGE_IN, 2.1), layout="constrained")
    for axes, (recording, title, radius, bands) in zip(np.ravel(figure.subplots(1, len(panels))), panels, strict=True):
        tracks = detect(recording, bands, radius, keep_spikes=False).tracks
        middle = _moment(recording, tracks)
        _panel(axes, recording.between(middle - WINDOW_US, middle), tracks.where(tracks.t_us == middle), Bands(bands))
        axes.set_title(title, fontsize=LABEL_PT)
    save_figure(figure, path)


def _moment(recording: Recording, tracks: Tracks) -> int:
    """When there are most rows, else the middle of the recording."""
    if not len(tracks):
        return (recording.start_us + recording.stop_us) // 2
    times, counts = np.unique(tracks.t_us, return_counts=True)
    return int(times[counts.argmax()])


def _panel(axes: Axes, recent: Recording, tracks: Tracks, bands: Bands) -> None:
    from velocell.pictures.colors import band_color, hex_color

    on = np.ones(len(recent), np.bool_) if recent.p is None else recent.p
    for which, color in ((on, "#9aa2ae"), (~on, "#2b3038")):
        axes.plot(recent.x[which], recent.y[which], ",", color=color)
    for x, y, radius, band in zip(tracks.x_px, tracks.y_px, tracks.radius_px, tracks.band, strict=True):
        color = hex_color(band_color(int(band), len(bands)))
        axes.add_patch(Circle((float(x), float(y)), float(radius) + 2, fill=False, color=color, linewidth=1.2))
    axes.set(xlim=(0, recent.width), ylim=(recent.height, 0), aspect="equal", xticks=[], yticks=[])
