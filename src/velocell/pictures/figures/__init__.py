"""Figures about recordings, tracks, spikes and networks: each function returns a matplotlib Figure of its own.

They touch no global state. In a notebook `%matplotlib inline` shows them; `save_figure` writes them to a file.
"""

from velocell.pictures.figures.neurons import (
    composed_field,
    edge_field,
    plot_kernel,
    plot_membrane,
    plot_receptive_fields,
    plot_traces,
)
from velocell.pictures.figures.scores import plot_confusion, plot_speeds
from velocell.pictures.figures.spikes import plot_raster, plot_responses
from velocell.pictures.figures.style import save_figure
from velocell.pictures.figures.tracks import plot_overview, plot_xt
from velocell.pictures.figures.tuning import plot_tuning, plot_tuning_layers

__all__ = [
    "composed_field",
    "edge_field",
    "plot_confusion",
    "plot_kernel",
    "plot_membrane",
    "plot_overview",
    "plot_raster",
    "plot_receptive_fields",
    "plot_responses",
    "plot_speeds",
    "plot_traces",
    "plot_tuning",
    "plot_tuning_layers",
    "plot_xt",
    "save_figure",
]
