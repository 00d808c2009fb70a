"""Simulated sensors against real recordings: `python -m benchmarks.sensors [--out docs/sensors.md]`.

For each preset of `simulate.sensor` a scene like the recording is simulated and both are measured in the same way.
The recordings lie in ../shared/data beside the checkout; a preset whose recording is missing has its own row only.

A train: events of one pixel and polarity, each at most 20 ms after the one before; its duration is told of trains of
two events or more, repeated events (up to 5 us) counted once. Noise: events without any other in the eight pixels
around within 10 ms; some of them are faint signal, in both columns.
"""

from __future__ import annotations

import argparse
import warnings
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from velocell.data.recording import Recording
from velocell.formats import read
from velocell.simulate import Motion, Scene, SceneObject, simulate
from velocell.simulate.sensor import PRESETS

DATA = Path(__file__).parents[2] / "shared" / "data"
TRAIN_US, REPEAT_US, ALONE_US, WINDOW_US = 20_000, 5, 10_000, 10_000


@dataclass(frozen=True)
class Case:
    """A preset, a real recording of that sensor, and a scene like it."""

    sensor: str
    file: str
    like: str
    scene: Scene


def pendulum() -> Scene:
    """Speed at the bottom: swing 2 pi hz, 188 px/s; the bob is out of focus."""
    swing = Motion(swing_px=40, swing_hz=0.75)
    bob = SceneObject(
        x_px=64, y_px=75, radius_px=5.5, speed_px_s=0, orbit_radius_px=-110, motion=swing, brightness=0.35
    )
    return Scene(128, 128, 6_000_000, sensor="dvs128", light_lux=150, lens_blur_px=1.2, objects=(bob,))


def cars() -> Scene:
    boxes = (
        SceneObject(
            id=0, shape="square", x_px=80, y_px=100, radius_px=18, speed_px_s=104, heading_deg=5, brightness=0.2
        ),
        SceneObject(
            id=1, shape="square", x_px=250, y_px=150, radius_px=15, speed_px_s=41, heading_deg=180, brightness=4
        ),
    )
    return Scene(346, 260, 170_000, sensor="davis346", light_lux=1_000, lens_blur_px=0.7, objects=boxes)


def disks(sensor: str, width: int, height: int, duration_us: int, speed: float, brightness: float, lux: float) -> Scene:
    """Six disks of R = 12 px on their way across, half of them darker than the background, half brighter."""
    items = tuple(
        SceneObject(
            id=i, x_px=width * (0.2 + 0.3 * (i % 3)), y_px=height * (0.3 + 0.4 * (i // 3)), radius_px=12, bounce=True,
            speed_px_s=speed * (0.5 + 0.2 * i), heading_deg=50.0 * i,
            brightness=brightness if i % 2 else 1 / brightness,
        )
        for i in range(6)
    )  # fmt: skip
    return Scene(width, height, duration_us, sensor=sensor, light_lux=lux, lens_blur_px=0.7, objects=items)


CASES = (
    Case("dvs128", "pendulum_dvs128.aedat", "a dark bob of R = 5.5 px that swings at up to 190 px/s", pendulum()),
    Case("davis346", "two_cars_davis346.aedat4", "two boxes at 104 and 41 px/s", cars()),
    Case(
        "dvxplorer", "dvx_320x240.aedat4", "six disks at 75 to 225 px/s, out of focus",
        replace(disks("dvxplorer", 320, 240, 590_000, 150, 2, 300), lens_blur_px=2.0),
    ),
    Case(
        "gen3", "ros1_evt3.bag", "six disks at 20 to 60 px/s, faint and out of focus",
        replace(disks("gen3", 640, 480, 2_000_000, 40, 1.2, 300), lens_blur_px=1.5),
    ),
    Case(
        "gen4", "hd_evt3.raw", "a camera that shakes before a texture, at up to 380 px/s",
        Scene(
            1280, 720, 8_800, sensor="gen4", light_lux=3_000, lens_blur_px=0.7, background="texture",
            background_ratio=2.0, vibration_px=3, vibration_hz=20,
        ),
    ),
)  # fmt: skip

# The design target: a dark disk before a bright wall, recorded by a Gen3 at 13 000 px/s (not distributed).
FAST_DISK = Scene(
    640, 480, 60_000, sensor="gen3", light_lux=1_000, lens_blur_px=0.7,
    objects=(SceneObject(x_px=20, y_px=240, radius_px=15, speed_px_s=13_000, brightness=0.05),),
)  # fmt: skip
FAST_DISK_SEEN = "18 events, 2.35 ms (1.7-6.5) | 9 events, .92 ms"

ROWS = (
    "events a train, ON", "events a train, OFF", "train, ON (ms)", "train, OFF (ms)", "share of ON",
    "noise (Hz/px)", "noise of the median pixel (Hz)", "noise from the busiest 1 %", "share of ON in the noise",
    "Fano factor of the noise, 10 ms", "events a stamp", "smallest step of stamps (us)",
    "shortest gap of a pixel, 1 % (us)", "repeated within 5 us",
)  # fmt: skip


def measured(recording: Recording) -> list[str]:
    """The values of ROWS."""
    assert recording.p is not None
    t = recording.t_us - recording.t_us[0]
    pixel = recording.y.astype(np.int64) * recording.width + recording.x
    order = np.lexsort((t, pixel))
    t_s, pixel_s, on_s = t[order], pixel[order], recording.p[order]
    same = (pixel_s[1:] == pixel_s[:-1]) & (on_s[1:] == on_s[:-1])
    again = np.concatenate(([False], same & (np.diff(t_s) <= REPEAT_US)))
    trains = {on: _trains(t_s[~again], pixel_s[~again], on_s[~again], on) for on in (True, False)}
    alone = _alone(t, pixel, recording.width, recording.height)
    seconds, pixels = t[-1] * 1e-6, recording.width * recording.height
    rates = np.sort(np.bincount(pixel[alone], minlength=pixels))[::-1]
    windows = np.bincount(t[alone] // WINDOW_US)[:-1]
    stamps = np.unique(t)
    gaps = np.diff(t_s)[pixel_s[1:] == pixel_s[:-1]]
    return [
        *(f"{trains[on][0].mean():.1f}" if trains[on][0].size else "" for on in (True, False)),
        *(_spread(trains[on][1] / 1e3) for on in (True, False)),
        f"{recording.p.mean():.2f}",
        f"{alone.sum() / seconds / pixels:.3f}",
        f"{np.median(rates) / seconds:.2f}",
        f"{rates[: pixels // 100].sum() / max(rates.sum(), 1):.2f}",
        f"{recording.p[alone].mean():.2f}" if alone.any() else "",
        f"{windows.var() / windows.mean():.1f}" if windows.size > 5 and windows.any() else "",
        f"{t.size / stamps.size:.2f}",
        f"{np.diff(stamps).min()}",
        f"{np.quantile(gaps, 0.01):.0f}" if gaps.size else "",
        f"{again.mean():.3f}",
    ]


def _spread(values: NDArray[np.float64]) -> str:
    if not values.size:
        return ""
    low, middle, high = np.quantile(values, [0.05, 0.5, 0.95])
    return f"{middle:.2f} ({low:.2f}-{high:.2f})"


def _trains(
    t: NDArray[np.int64], pixel: NDArray[np.int64], on: NDArray[np.bool_], polarity: bool
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Events of each train of this polarity, and the durations (us) of those with two or more."""
    new = np.ones(t.size, np.bool_)
    new[1:] = (pixel[1:] != pixel[:-1]) | (on[1:] != on[:-1]) | (np.diff(t) > TRAIN_US)
    first = np.flatnonzero(new)
    last = np.append(first[1:], t.size) - 1
    mine = on[first] == polarity
    first, last = first[mine], last[mine]
    several = last > first
    return last - first + 1, (t[last] - t[first])[several].astype(np.float64)


def _alone(t: NDArray[np.int64], pixel: NDArray[np.int64], width: int, height: int) -> NDArray[np.bool_]:
    """Events without another one in the eight pixels around within ALONE_US."""
    span = int(t[-1]) + 2 * ALONE_US + 1
    # A frame of empty pixels around, so that no neighbour wraps.
    y, x = np.divmod(pixel, width)
    key = ((y + 1) * (width + 2) + x + 1) * span + t
    keys = np.sort(key)
    alone = np.ones(t.size, np.bool_)
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            if dx or dy:
                there = key + (dy * (width + 2) + dx) * span
                first = np.searchsorted(keys, there - ALONE_US)
                alone &= np.searchsorted(keys, there + ALONE_US, side="right") == first
    return alone


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="the page; its text around the tables stays as it is")
    arguments = parser.parse_args()
    text = "\n".join(tables())
    print(text)
    if arguments.out:
        page = arguments.out.read_text()
        before, mark, rest = page.partition(BEGIN)
        _, end, after = rest.partition(END)
        if not (mark and end):
            parser.error(f"{arguments.out} lacks the lines '{BEGIN}' and '{END}'")
        arguments.out.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}")


BEGIN, END = "<!-- python -m benchmarks.sensors -->", "<!-- end -->"


def tables() -> list[str]:
    lines = []
    for case in CASES:
        columns = [("simulated", measured(simulate(case.scene)[0]))]
        if (DATA / case.file).exists():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                columns.insert(0, (case.file, measured(read(DATA / case.file))))
        lines += [f"### {case.sensor}: {case.like}", "", f"| | {' | '.join(name for name, _ in columns)} |"]
        lines.append("|---" * (len(columns) + 1) + "|")
        for number, row in enumerate(ROWS):
            lines.append(f"| {row} | {' | '.join(values[number] for _, values in columns)} |")
        lines.append("")
    values = measured(simulate(FAST_DISK)[0])
    lines += [
        "### gen3: a dark disk of R = 15 px at 13 000 px/s", "", "| | ON edge | OFF edge |", "|---|---|---|",
        f"| recorded | {FAST_DISK_SEEN} |",
        f"| simulated | {values[0]} events, {values[2]} ms | {values[1]} events, {values[3]} ms |",
    ]  # fmt: skip
    assert {case.sensor for case in CASES} == set(PRESETS) - {"ideal"}
    return lines


if __name__ == "__main__":
    main()
