"""Fixed pieces of work that two states of Velocell can both do, for `benchmarks.against` and `benchmarks.instructions`.

`make` writes what they need into a folder; `works` reads it, perhaps in another process and by another state of the
package, so that it uses little of it, and nothing that came lately.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

SEED, BANDS, EVERY_US = 11, (20.0, 93.0, 430.0, 2000.0), 5_000
LAYER_1, FILTERED, RANGE = "layer-1.toml", "filtered.toml", "range.npz"
Work = Callable[[], Callable[[], object]]
"""Prepares, and gives what is then to be measured, once."""


def make(folder: Path, disks: int, size: tuple[int, int], duration_us: int, rows: int, range_us: int = 0) -> int:
    """The scene, its networks and a table of about `rows` rows; how many events the scene has. range_us: of a scene of
    disks of many sizes, 0 for none."""
    from benchmarks.engine import three_channels
    from velocell.calibration.formulas import calibrate
    from velocell.formats import write_evt3, write_npz
    from velocell.simulate import random_scene, simulate

    width, height = size
    scene = random_scene(disks, width=width, height=height, duration_us=duration_us, radius=5, speeds=BANDS[::3],
                         contrast=1, noise_hz=0.1, seed=SEED, separate=False)  # fmt: skip
    recording, _ = simulate(scene)
    write_npz(recording, folder / "scene.npz")
    write_evt3(recording, folder / "scene.raw")
    three_channels().to_toml(folder / LAYER_1)
    calibrate(BANDS, 5.0, crossing_share=1.0).to_toml(folder / FILTERED)
    _tables(folder / "rows.npz", rows)
    if range_us:
        scene = random_scene(disks // 3, width=width // 2, height=height // 2, duration_us=range_us, radius=(4, 14),
                             speeds=(50, 1500), contrast=3, noise_hz=0.2, seed=SEED, separate=False)  # fmt: skip
        write_npz(simulate(scene)[0], folder / RANGE)
    return len(recording)


def _tables(path: Path, rows: int) -> None:
    """Columns of tracks with numbers as long as real ones."""
    import numpy as np

    rng = np.random.default_rng(SEED)
    t_us = np.sort(rng.integers(0, 200 * rows, rows)) // EVERY_US * EVERY_US
    named = {"x_px": 1280, "y_px": 720, "speed_px_s": 2000, "speed_err_px_s": 40, "heading_deg": 360, "radius_px": 6,
             "confidence": 1}  # fmt: skip
    columns: dict[str, Any] = {name: most * rng.random(rows) for name, most in named.items()}
    np.savez(path, t_us=t_us, id=rng.integers(0, 300, rows), band=rng.integers(-1, 3, rows), **columns)


def works(folder: Path, threads: int) -> dict[str, Work]:
    """By name; `threads` is for the engine."""
    from velocell.engines import native
    from velocell.formats import read
    from velocell.network import Network

    recording = read(folder / "scene.npz")
    networks = {name: Network.from_toml(folder / name) for name in (LAYER_1, FILTERED)}

    def engine(name: str) -> Callable[[], object]:
        network = networks[name]
        state = native.init(network, recording.size, threads=threads)
        return lambda: native.step(network, state, recording, recording.stop_us)

    def tracker() -> Callable[[], object]:
        from velocell.tracking.detector import Detector

        network = networks[FILTERED]
        state = native.init(network, recording.size, threads=threads)
        detector, parts = Detector(network, recording.size, EVERY_US), []
        for part in recording.chunks(EVERY_US):
            state, spikes = native.step(network, state, part, part.stop_us)
            parts.append((part, spikes))
        return lambda: [detector.step(part, spikes, part.stop_us) for part, spikes in parts]

    def written() -> Callable[[], object]:
        import numpy as np

        from velocell.data.tracks import Tracks

        with np.load(folder / "rows.npz") as columns:
            tracks = Tracks.from_columns(dict(columns))
        return lambda: tracks.write_csv(io.StringIO())

    def of_a_range() -> Callable[[], object]:
        from velocell.pipeline import detect

        mixed = read(folder / RANGE)
        return lambda: detect(mixed, (40.0, 160.0, 640.0, 1800.0), (3.0, 15.0), keep_spikes=False)

    return {
        "engine, layer 1": lambda: engine(LAYER_1),
        "engine, two layers, trail filter": lambda: engine(FILTERED),
        "tracker": tracker,
        "EVT3, decoded": lambda: lambda: read(folder / "scene.raw"),
        "CSV, written": written,
        **({"detect, radii of 3 to 15 px": of_a_range} if (folder / RANGE).exists() else {}),
    }
