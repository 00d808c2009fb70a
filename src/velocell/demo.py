"""The notebook's three disks, simulated, end to end: what `velocell demo` runs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from velocell import pipeline
from velocell.data.bands import Bands
from velocell.data.meta import made_by
from velocell.data.recording import Recording
from velocell.data.tracks import Tracks
from velocell.errors import VelocellError, reason
from velocell.formats import write_npz
from velocell.results.evaluate import evaluate
from velocell.results.scores import Scores
from velocell.simulate import notebook_scene, simulate

BANDS = Bands((16.0, 62.0, 177.0, 500.0))
RADIUS_PX = 5.0
_SLOW_MOTION = 10.0
# A clip small enough to load with a page.
_CLIP_FPS, _CLIP_SCALE = 20, 8


@dataclass(frozen=True)
class Demo:
    """What the demo made: the recording, the truth, the table, its scores, and the files in words."""

    recording: Recording
    truth: Tracks
    tracks: Tracks
    scores: Scores
    files: dict[str, Path]


def run_demo(folder: str | Path, *, engine: str = "native") -> Demo:
    """Simulate, detect, evaluate; writes table, picture, video, clip, recording and truth into `folder`.

    The folder is made if need be. Raises VelocellError where that is not possible.
    """
    from velocell.pictures.figures.style import save_figure
    from velocell.pictures.figures.tracks import plot_overview
    from velocell.pictures.video.clip import write_overlay

    place = Path(folder)
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        why = reason(error)
        raise VelocellError(f"cannot make the folder {place}: {why}; choose another one with --out") from None
    scene = notebook_scene()
    recording, truth = simulate(scene)
    detection = pipeline.detect(recording, BANDS, RADIUS_PX, engine=engine)
    made = made_by("demo")
    tracks = replace(
        detection.tracks,
        meta={**made, "scene": scene.to_dict(), **detection.tracks.meta},
    )
    truth = replace(truth, meta={**made, "scene": scene.to_dict()})
    files = {
        "table": place / "tracks.csv",
        "picture": place / "overview.png",
        "video": place / "tracks.mp4",
        "clip": place / "tracks.gif",
        "recording": place / "recording.npz",
        "truth": place / "truth.csv",
    }
    write_npz(recording, files["recording"])
    truth.write(files["truth"])
    save_figure(plot_overview(recording, tracks, detection.spikes, bands=BANDS), files["picture"])
    draw = partial(
        write_overlay,
        recording=recording,
        tracks=tracks,
        spikes=detection.spikes,
        band_names=BANDS.names,
        slow_motion=_SLOW_MOTION,
    )
    draw(files["video"])
    draw(files["clip"], fps=_CLIP_FPS, scale=_CLIP_SCALE)
    tracks.write(files["table"])
    return Demo(recording, truth, tracks, evaluate(tracks, truth, BANDS.edges, spikes=detection.spikes), files)
