"""All figures of the gallery, from the scene that comes with the library: `python examples/gallery.py [FOLDER]`.

Each is one call; FOLDER is docs/images/gallery if not given.
"""

import sys
from pathlib import Path

from velocell.data.bands import Bands
from velocell.pictures.figures.neurons import plot_kernel, plot_receptive_fields, plot_traces
from velocell.pictures.figures.scores import plot_confusion, plot_speeds
from velocell.pictures.figures.spikes import plot_raster, plot_responses
from velocell.pictures.figures.style import save_figure
from velocell.pictures.figures.tracks import plot_overview, plot_xt
from velocell.pictures.figures.tuning import plot_tuning, plot_tuning_layers
from velocell.pipeline import detect
from velocell.results.evaluate import evaluate
from velocell.simulate import notebook_scene, random_scene, simulate
from velocell.studies.membranes import membrane_traces
from velocell.studies.tuning import tuning

folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1] / "docs" / "images" / "gallery"
folder.mkdir(parents=True, exist_ok=True)

# Three disks, and what the network makes of them.
bands = Bands((16, 62, 177, 500), names=("slow", "medium", "fast"))
names = bands.names
recording, truth = simulate(notebook_scene())
found = detect(recording, bands, radius=5.0)
curves = tuning(found.network)

# Potentials of one first-layer neuron of each channel, (channel, x, y), on the way of its disk.
potentials = membrane_traces(found.network, recording, [(0, 20, 9), (1, 25, 24), (2, 30, 39)])

# Many disks at all speeds make a table worth counting.
crowd, crowd_truth = simulate(random_scene(24, width=480, height=320, speeds=(18.0, 450.0), seed=4))
seen = detect(crowd, bands, radius=5.0)
scores = evaluate(seen.tracks, crowd_truth, bands.edges)

figures = {
    "overview": plot_overview(recording, found.tracks, found.spikes, bands=bands),
    "xt": plot_xt(found.tracks, truth, band_names=names),
    "responses": plot_responses(found.spikes, recording.size, names=names),
    "raster": plot_raster(found.spikes, names=names),
    "tuning": plot_tuning(curves.speeds, curves.share_measured, bands=bands),
    "tuning_layers": plot_tuning_layers(curves),
    "kernel": plot_kernel(found.network.layers[0].kernel[0, 0]),
    "receptive_fields": plot_receptive_fields(found.network, channel=1),
    "membranes": plot_traces(potentials, names=names),
    "speeds": plot_speeds(seen.tracks, bands=bands),
    "confusion": plot_confusion(scores, names),
}
for name, figure in figures.items():
    save_figure(figure, folder / f"{name}.png")
    print(folder / f"{name}.png")
