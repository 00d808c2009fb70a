"""All figures of one detection, as files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from velocell.data.recording import Recording
from velocell.pictures.figures.neurons import plot_kernel, plot_receptive_fields
from velocell.pictures.figures.scores import plot_speeds
from velocell.pictures.figures.spikes import plot_responses
from velocell.pictures.figures.style import save_figure
from velocell.pictures.figures.tracks import plot_overview, plot_xt
from velocell.pictures.figures.tuning import plot_tuning_layers
from velocell.studies.tuning import tuning

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from velocell.tracking.detection import Detection


def write_figures(
    folder: str | Path, found: Detection, recording: Recording, suffix: str = "pdf", *, curves: bool = True
) -> list[str]:
    """Write what there is to show into `folder`, which is made if it is not there; returns the names of the files.

    suffix: pdf, svg or png. curves: measure the network's tuning with simulated disks; leave it out for networks that
    look for other shapes. What needs rows or spikes is left out where there are none. Raises VelocellError where a file
    cannot be written.
    """
    network, tracks, spikes = found.network, found.tracks, found.spikes
    bands = network.bands
    assert bands is not None  # detection needs them
    figures: dict[str, Callable[[], Figure]] = {
        "overview": lambda: plot_overview(recording, tracks, spikes if len(spikes) else None, bands=bands)
    }
    if len(tracks):
        figures["speeds"] = lambda: plot_speeds(tracks, bands=bands)
        figures["positions"] = lambda: plot_xt(tracks, band_names=bands.names)
    if len(spikes):
        figures["responses"] = lambda: plot_responses(spikes, recording.size, names=bands.names)
    figures["kernel"] = lambda: plot_kernel(network.layers[0].kernel)
    figures["receptive_fields"] = lambda: plot_receptive_fields(network)
    if curves:
        figures["tuning"] = lambda: plot_tuning_layers(tuning(network))
    Path(folder).mkdir(exist_ok=True)
    names = [f"{name}.{suffix}" for name in figures]
    for name, draw in zip(names, figures.values(), strict=True):
        save_figure(draw(), Path(folder) / name)
    return names
