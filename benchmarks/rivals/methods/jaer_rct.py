"""jAER's RectangularClusterTracker, by its authors' own Java.

Source: T. Delbruck and M. Lang, Robotic goalie with 3 ms reaction time at 4 % CPU load using event-based dynamic vision
sensor, Frontiers in Neuroscience 7:223, 2013; M. Litzenberger et al., Embedded vision system for real-time object
tracking using an asynchronous transient vision sensor, IEEE DSP workshop, 2006; jAER, class
net.sf.jaer.eventprocessing.tracking.RectangularClusterTracker.

jAER is installed by its user (`python -m benchmarks.rivals.foreign --source jaer=PATH`); only our driver
`foreign/children/RectangularClusters.java` is compiled here, against the jars of that installation. None of its classes
is replaced: the driver's sensor is a subclass of AEChip made without AEChip's constructor, which would open an OpenGL
canvas, and gives the tracker a size, preferences and a filter chain. Preferences are kept in a temporary folder, so
the tracker begins with its defaults and a user's own settings stay as they are. Parameters are its bean properties.
Rows are its visible clusters after each 5 ms of events. Speeds are its own; the slope of its positions where the tuner
prefers that.
"""

from __future__ import annotations

from tempfile import TemporaryDirectory

from benchmarks.rivals.foreign.environments import ENVIRONMENTS, jaer_classes
from benchmarks.rivals.foreign.running import run_child, tracks_of
from benchmarks.rivals.interface import Choice, Rival, Values
from velocell.data.bands import Bands
from velocell.data.recording import Recording
from velocell.data.tracks import Tracks

HOME = ENVIRONMENTS["jaer"]
DIRECT = (
    "locationMixingFactor", "clusterMassDecayTauUs", "thresholdMassForVisibleCluster", "velocityTauMs", "useVelocity",
    "useEllipticalClusters", "dontMergeEver",
)  # fmt: skip
# Not tuned: visibility by mass, as in the papers; clusters live up to the border; their size is the stated one.
FIXED = {
    "maxNumClusters": "30", "useEventRatePerPixelForVisibilty": "false", "purgeIfClusterOverlapsBorder": "false",
    "dynamicSizeEnabled": "false", "limitSpeedByNearbyClusters": "false",
}  # fmt: skip


def follow(recording: Recording, radius_px: float, bands: Bands, values: Values) -> Tracks:
    size = float(values["size"]) * radius_px / max(recording.width, recording.height)
    properties = {**FIXED, "clusterSize": f"{size:.6f}", **{name: _text(values[name]) for name in DIRECT}}
    with TemporaryDirectory() as preferences:
        command = [
            "java", "-Djava.awt.headless=true", f"-Djava.util.prefs.userRoot={preferences}",
            f"-Djava.util.prefs.systemRoot={preferences}", "-XX:+UseSerialGC", "-XX:ActiveProcessorCount=1",
            "-XX:TieredStopAtLevel=1",
            "-cp", jaer_classes(HOME), "RectangularClusters",
        ]  # fmt: skip
        given = [_text(values["update_ms"]), *(f"{name}={value}" for name, value in properties.items())]
        rows, meta = run_child(command, recording, given)
    return tracks_of(rows, bands, radius_px, meta, window_ms=float(values["speed_ms"]))


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


RIVAL = Rival(
    name="jaer_rct",
    title="jAER RectangularClusterTracker",
    source="Litzenberger et al. 2006; Delbruck and Lang 2013; jAER, http://jaerproject.org",
    licence="LGPL-2.1",
    version="as installed; tried with the main branch of August 2026 (after 3.3)",
    how="as published, its own Java classes; ours are the driver without a window and the choice of the speed's source",
    follow=follow,
    parameters={
        "size": Choice(1.5, 0.8, 4.0, log=True),
        "locationMixingFactor": Choice(0.05, 0.005, 0.5, log=True),
        "clusterMassDecayTauUs": Choice(10_000, 1_000, 100_000, log=True, whole=True),
        "thresholdMassForVisibleCluster": Choice(10, 2, 60, log=True, whole=True),
        "velocityTauMs": Choice(100.0, 2.0, 300.0, log=True),
        "useVelocity": Choice(True, options=(True, False)),
        "useEllipticalClusters": Choice(False, options=(False, True)),
        "dontMergeEver": Choice(False, options=(False, True)),
        "update_ms": Choice(5.0, 1.0, 10.0, log=True),
        "speed_ms": Choice(0, options=(0, 20, 40, 80, 160)),
    },
    user_set=6,
    missing=HOME.missing,
)
