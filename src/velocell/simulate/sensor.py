"""Sensors: what a pixel does to light, and how its events are read out; presets by name.

The pixel (Lichtsteiner 2008; the equations follow the description in Hu 2021, v2e, and Graca 2023):

    ln I       the logarithm of the light, I = illuminance + dark
    du/dt      = w1 (ln I - u),  w1 = 2 pi min(cutoff_hz_per_lux I, cutoff_hz)     photoreceptor
    dv/dt      = w2 (u - v),     w2 = 2 pi follower_on_hz where u > v, else 2 pi follower_off_hz     buffer
    an event   where v leaves the remembered level by +threshold_on or -threshold_off; the pixel is then blind for
               refractory_us and remembers the level at the end of that.

Two directions of the buffer: a source follower is fast one way and limited by its bias current the other way, which is
why ON trains outlast OFF trains although the pixel is brighter there. Leak lets the remembered level sink by leak_hz
thresholds a second (ON events alone). Shot noise is not derived from the voltage noise: its events are drawn, with the
rates, clusters and spread that real recordings show.

Sources of the presets' numbers
    L  Lichtsteiner, Posch, Delbruck, IEEE JSSC 43(2), 2008: DVS128; mismatch of the thresholds 2.1 % of contrast,
       bandwidth 3 kHz at 1 klx, latency 15 us
    B  Brandli et al., IEEE JSSC 49(10), 2014, and Taverni et al., IEEE TCAS-II 65(5), 2018: DAVIS
    S  Son et al., ISSCC 2017, and Suh et al., ISCAS 2020: Samsung's scanned readout, the DVXplorer's chip
    P  Posch, Matolin, Wohlgenannt, IEEE JSSC 46(1), 2011, and Finateau et al., ISSCC 2020: Prophesee
    H  Hu, Liu, Delbruck, CVPRW 2021 (v2e), and its defaults: thresholds .2-.4, mismatch .03, leak .1 Hz
    G  Graca, McReynolds, Delbruck 2021-2025: noise falls with light, comes in ON/OFF pairs, second-order pixels
    N  Guo, Delbruck, TPAMI 2022 (DND21): leak .2 Hz/px, shot noise 10 Hz/px in the dark
    J  Joubert et al., Front. Neurosci. 2021 (IEBCS): refractory 50 us, time constant 300 us
    F  fitted to recordings: `python -m benchmarks.sensors` and docs/sensors.md show how well
Of B, S and P only the order of magnitude is taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from velocell.simulate.checks import check, finite, not_negative, positive, share

# Times are whole microseconds: a filter faster than this has no time constant left, 1/(2 pi f) = 5 us.
FASTEST_HZ = 30_000.0
# Beyond these a recording would have more events than fit into any memory.
LEAST_THRESHOLD, MOST_NOISE_HZ = 0.01, 10_000.0


@dataclass(frozen=True)
class Pixel:
    """What a pixel does to light.

    threshold_on, threshold_off: change of ln(light) that makes an event. mismatch: their relative standard deviation
        over the pixels (each threshold of each pixel on its own).
    cutoff_hz_per_lux: cutoff frequency of the photoreceptor per lux of the scene; cutoff_hz: its largest value.
        0 in cutoff_hz: no such filter. dark_lux: light that the dark current stands for.
    follower_on_hz, follower_off_hz: cutoff of the buffer behind it, for rising and falling signals; 0: none.
    cutoff_spread: s.d. over the pixels of ln(cutoff), of both alike.
    refractory_us: blind time after an event. jitter_us: standard deviation of an event's time.
    leak_hz: mean rate of leak events of a pixel (ON). leak_spread: their s.d. over the pixels, of ln(rate).
    shot_hz: mean rate of noise clusters of a pixel at 300 lux; it goes with light^-1/2.
        shot_spread: s.d. over the pixels of ln(rate), so the heavy tail. shot_on: share that begins with ON.
    shot_more: events that follow the first of a cluster, on average, in turn of the other polarity (1: pairs).
    shot_gap_us: mean time between the events of a cluster, beyond the blind time.
    hot_share: share of hot pixels; hot_hz: their median rate, one decade to a standard deviation; ON only.
    """

    threshold_on: float = 0.2
    threshold_off: float = 0.2
    mismatch: float = 0.03
    cutoff_hz_per_lux: float = 3.0
    cutoff_hz: float = 3_000.0
    dark_lux: float = 0.1
    follower_on_hz: float = 0.0
    follower_off_hz: float = 0.0
    cutoff_spread: float = 0.0
    refractory_us: float = 0.0
    jitter_us: float = 0.0
    leak_hz: float = 0.0
    leak_spread: float = 0.0
    shot_hz: float = 0.0
    shot_spread: float = 0.0
    shot_on: float = 0.5
    shot_more: float = 0.0
    shot_gap_us: float = 1_000.0
    hot_share: float = 0.0
    hot_hz: float = 10.0

    def __post_init__(self) -> None:
        where = "the sensor"
        for name in ("threshold_on", "threshold_off", "cutoff_hz_per_lux", "shot_gap_us"):
            positive(getattr(self, name), name, where)
        for name in (
            "mismatch", "cutoff_hz", "dark_lux", "follower_on_hz", "follower_off_hz", "cutoff_spread", "refractory_us",
            "jitter_us", "leak_hz", "leak_spread", "shot_hz", "shot_spread", "shot_more", "hot_hz",
        ):  # fmt: skip
            not_negative(getattr(self, name), name, where)
        for name in ("threshold_on", "threshold_off"):
            value = getattr(self, name)
            check(
                value >= LEAST_THRESHOLD,
                f"{name} of the sensor is {value:g}, finer than any sensor; give at least {LEAST_THRESHOLD:g}",
            )
        for name in ("leak_hz", "shot_hz", "hot_hz"):
            value = getattr(self, name)
            check(
                value <= MOST_NOISE_HZ,
                f"{name} of the sensor is {value:g}, more than a pixel can fire; give at most {MOST_NOISE_HZ:g}",
            )
        for name in ("shot_on", "hot_share"):
            share(getattr(self, name), name, where)
        for name in ("cutoff_hz", "follower_on_hz", "follower_off_hz"):
            value = getattr(self, name)
            check(
                value <= FASTEST_HZ,
                f"{name} of the sensor is {value:g} Hz, which steps of 1 us cannot resolve; give at most "
                f"{FASTEST_HZ:g} Hz, or 0 for no such filter",
            )
        check(
            (self.follower_on_hz > 0) == (self.follower_off_hz > 0),
            "follower_on_hz and follower_off_hz of the sensor belong together; give both, or 0 for both",
        )


@dataclass(frozen=True)
class Readout:
    """How events get their stamps and leave the sensor.

    scan_us: 0: a pixel is read when it fires. Else the lines are read in turn, all of them once in this time, and
        events get the stamp of their line's next turn, which they share.
    hold: a pixel holds one event until its line is read, so that it gives one a scan at most.
    lines: `row` or `column`.
    bus_us: time that the readout of a line takes the bus; the lines queue.
    stamp_us: stamps are multiples of this (1, 200, or 1000 for frames of 1 ms).
    repeat_on, repeat_off: share of the ON and of the OFF events that come a second time, up to 5 us later.
    """

    scan_us: float = 0.0
    hold: bool = True
    lines: str = "row"
    bus_us: float = 0.0
    stamp_us: int = 1
    repeat_on: float = 0.0
    repeat_off: float = 0.0

    def __post_init__(self) -> None:
        for name in ("scan_us", "bus_us"):
            not_negative(getattr(self, name), name, "the sensor")
        check(self.lines in ("row", "column"), f"lines of the sensor is '{self.lines}'; use row or column")
        whole = isinstance(self.stamp_us, int) and self.stamp_us >= 1
        check(whole, f"stamp_us of the sensor is {self.stamp_us}; it must be a whole number of at least 1")
        share(self.repeat_on, "repeat_on", "the sensor")
        share(self.repeat_off, "repeat_off", "the sensor")


@dataclass(frozen=True)
class Sensor:
    """pixel: None for the ideal one, which makes its events in closed form (`events`)."""

    pixel: Pixel | None = None
    readout: Readout = field(default=Readout())


# The letters: see the head of this file. What has no letter is a round number of the usual size.
PRESETS: dict[str, Sensor] = {
    "ideal": Sensor(),
    "dvs128": Sensor(
        Pixel(
            threshold_on=0.22, threshold_off=0.30,  # H; OFF higher: F (pendulum, gestures)
            mismatch=0.1,  # L has 2.1 % of contrast, a tenth of such a threshold
            cutoff_hz_per_lux=3.0, cutoff_hz=3_000.0,  # L: 3 kHz at 1 klx
            follower_on_hz=40.0, follower_off_hz=150.0, cutoff_spread=0.3,  # F: ON trains of 20 ms
            refractory_us=200.0, jitter_us=15.0,  # L: latency 15 us
            leak_hz=0.15, leak_spread=0.5,  # N, F: quiet pixels, nearly all of it ON
            shot_hz=0.1, shot_spread=1.5, shot_more=0.5, shot_gap_us=3_000.0,  # G pairs, F the rest
        ),
        Readout(bus_us=1.0, repeat_off=0.12),  # L: one address at a time, some 1 Mev/s; F
    ),
    "davis346": Sensor(
        Pixel(
            threshold_on=0.28, threshold_off=0.36, mismatch=0.1,  # H: .2-.4; B: 14-23 % contrast at best
            cutoff_hz_per_lux=3.0, cutoff_hz=3_000.0,  # B: the photoreceptor of L
            follower_on_hz=80.0, follower_off_hz=150.0, cutoff_spread=0.3,  # F: trains of 17 ms
            refractory_us=1_000.0, jitter_us=20.0,  # F: shortest gap of a pixel; B: latency 3-20 us
            leak_hz=0.1, leak_spread=0.5,  # H
            shot_hz=0.03, shot_spread=2.0, shot_more=0.5, shot_gap_us=3_000.0,  # N less in the light, F spread
            hot_share=0.0002, hot_hz=2.0,  # F
        ),
        Readout(scan_us=1.0, hold=False, bus_us=0.1),  # B: rows by an arbiter, some 10 Mev/s
    ),
    "dvxplorer": Sensor(
        Pixel(
            threshold_on=0.25, threshold_off=0.30, mismatch=0.1,  # S: 15 % at best
            cutoff_hz_per_lux=10.0, cutoff_hz=3_000.0,
            follower_on_hz=100.0, follower_off_hz=200.0, cutoff_spread=0.3,  # F
            refractory_us=100.0,
            leak_hz=0.03, leak_spread=0.5,
            shot_hz=0.1, shot_spread=2.0, shot_more=1.0, shot_gap_us=1_000.0,  # F
            hot_share=0.001, hot_hz=20.0,  # F: a tenth of a percent of the pixels makes a third of the noise
        ),
        Readout(scan_us=197.0, lines="column"),  # S scans its columns; F: shortest gap of a pixel
    ),
    "gen3": Sensor(
        Pixel(
            threshold_on=0.08, threshold_off=0.16, mismatch=0.12,  # P: 12 %; F: a disk of R = 15 at 13 000 px/s
            cutoff_hz_per_lux=30.0, cutoff_hz=10_000.0,  # P: latency 40-200 us
            follower_on_hz=280.0, follower_off_hz=750.0, cutoff_spread=0.4,  # F: the same disk, ON .6 ms, OFF .2 ms
            refractory_us=40.0, jitter_us=10.0,  # J; F
            leak_hz=0.01, leak_spread=0.5,
            shot_hz=0.12, shot_spread=1.8, shot_on=0.25, shot_more=0.6, shot_gap_us=500.0,  # F
            hot_share=0.0002, hot_hz=2.0,
        ),
        Readout(scan_us=2.0, hold=False, bus_us=0.02),  # P: rows by an arbiter, 50 Mev/s
    ),
    "gen4": Sensor(
        Pixel(
            threshold_on=0.2, threshold_off=0.25, mismatch=0.08,  # P: 11 % at best, 25 % as delivered
            cutoff_hz_per_lux=100.0, cutoff_hz=10_000.0,  # P: latency below 100 us in the light
            follower_on_hz=300.0, follower_off_hz=400.0, cutoff_spread=0.3,  # F
            refractory_us=100.0, jitter_us=10.0,  # F: shortest gap of a pixel
            leak_hz=0.01, leak_spread=0.5,
            shot_hz=0.05, shot_spread=1.9, shot_more=1.0, shot_gap_us=500.0,
            hot_share=0.0001, hot_hz=5.0,
        ),
        Readout(scan_us=1.0, hold=False, bus_us=0.004),  # P: 1 Gev/s, read by rows
    ),
}  # fmt: skip


def _check_setting(key: str, value: Any, kind: type) -> None:
    words = {bool: "true or false", str: "a text"}.get(kind, "a number")
    fits = isinstance(value, kind if kind in (bool, str) else (int, float)) and isinstance(value, bool) == (
        kind is bool
    )
    check(fits, f"'{key}' in sensor_settings must be {words}, got {value!r}")
    if kind is float:
        finite(value, key, "the sensor")


def sensor_named(name: str, settings: Mapping[str, Any]) -> Sensor:
    """The preset `name` with its values replaced by those of `settings`. Raises SceneError."""
    check(name in PRESETS, f"sensor of the scene is '{name}'; use one of {', '.join(PRESETS)}")
    preset = PRESETS[name]
    parts: dict[str, Any] = {"readout": preset.readout} if preset.pixel is None else vars(preset)
    known = {f.name: part for part, kept in parts.items() for f in fields(kept)}
    changes: dict[str, dict[str, Any]] = {part: {} for part in parts}
    for key, value in settings.items():
        check(key in known, f"unknown key '{key}' in sensor_settings of {name}; allowed are {', '.join(known)}")
        _check_setting(key, value, type(getattr(parts[known[key]], key)))
        changes[known[key]][key] = value
    return replace(preset, **{part: replace(kept, **changes[part]) for part, kept in parts.items()})
