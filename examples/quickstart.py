"""From a recording to a table, a picture and a video: `python examples/quickstart.py [RECORDING]`."""

import sys

from velocell.data.bands import Bands
from velocell.formats import read
from velocell.pictures.figures.style import save_figure
from velocell.pictures.figures.tracks import plot_overview
from velocell.pictures.video.clip import write_overlay
from velocell.pipeline import detect
from velocell.simulate import notebook_scene, simulate

# A recording is a table of events. Without one of your own, simulate three disks on 50 x 50 pixels.
recording = read(sys.argv[1]) if len(sys.argv) > 1 else simulate(notebook_scene())[0]

# Look for disks of 5 px radius, and say for each whether it is slow, medium or fast.
bands = Bands((16, 62, 177, 500), names=("slow", "medium", "fast"))  # edges in px/s
found = detect(recording, bands, radius=5.0)
tracks = found.tracks

print(f"{len(recording):,} events, {len(tracks):,} rows, at the end:")
for row in range(len(tracks)):
    if tracks.t_us[row] == tracks.t_us[-1]:
        place = f"at x = {tracks.x_px[row]:.1f}, y = {tracks.y_px[row]:.1f} px"
        print(f"disk {tracks.id[row]} {place}, {bands.name(tracks.band[row])}: {tracks.speed_px_s[row]:.1f} px/s")

# The whole table, what happened on one page, and the events with the disks over them.
tracks.write("disks.csv")
save_figure(plot_overview(recording, tracks, found.spikes, bands=bands), "disks.png")
write_overlay("disks.mp4", recording, tracks, found.spikes, band_names=bands.names, slow_motion=8)
