"""What each channel answers at each speed: predicted by the formulas, measured on simulated passages.

Layer 1, its threshold taken away, should peak at V(v) = n dt v Psi(v tau) (`calibrate`). n, the events
per edge crossing that arrive through the trail filter, is counted on the same passages: it depends
on the speed, since the filter lets more of a slow crossing through. The final channels should answer
between the edges of their bands and nowhere else. Both are compared with disks that pass alone, each
at one speed and on a path of its own with a random sub-pixel phase.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from velocell import engines
from velocell.calibration.formulas import answer_width
from velocell.calibration.peaks import psi
from velocell.data.arrays import Floats
from velocell.data.bands import Bands
from velocell.data.files import replacing
from velocell.errors import NetworkError, OptionError
from velocell.network import Network
from velocell.studies.passages import Lanes

SUFFIXES = (".csv", ".json")
_PER_OCTAVE = 12
_FEWEST = 24
_CONTRAST = 3.0
# Name, factor of the contrast, factor of the radius, headings.
_VARIANTS: tuple[tuple[str, float, float, tuple[float, ...]], ...] = (
    ("contrast x2", 2, 1, ()),
    ("radius -10 %", 1, 0.9, ()),
    ("radius +10 %", 1, 1.1, ()),
    *((f"heading {degrees:g}", 1, 1, (degrees,)) for degrees in (0.0, 30.0, 45.0, 90.0)),
)


@dataclass(frozen=True, eq=False)
class Tuning:
    """Responses of C channels of layer 1 and N final channels to n speeds.

    speeds (n,), px/s. peak_predicted, peak_measured (C, n): peak of the mean potential of layer-1
    neurons on the disk's path, threshold removed. peak_single (C, n): mean peak of single passages,
    higher, since a potential of few events fluctuates; it is what meets the `thresholds` (C,).
    crossings (C, n): n, counted. share_predicted, share_measured (N, n): share of the stretches of 8 px
    of travel that the final channel answered: at least two spikes, and more than any other channel.
    edges (N, 2), px/s: where that share crosses half of its maximum, NaN where not within `speeds`.
    contrast, radius_px, headings (degrees): of the disks. variants: the edges (N, 2) by name of what
    was changed.
    """

    bands: Bands
    speeds: Floats
    peak_predicted: Floats
    peak_measured: Floats
    peak_single: Floats
    crossings: Floats
    thresholds: Floats
    share_predicted: Floats
    share_measured: Floats
    edges: Floats
    contrast: float
    radius_px: float
    headings: tuple[float, ...]
    variants: dict[str, Floats] = field(default_factory=dict)

    @property
    def peak_r2(self) -> float:
        """R^2 of predicted against measured peaks, all channels of layer 1 together."""
        return _r2(self.peak_predicted, self.peak_measured)

    @property
    def share_r2(self) -> float:
        """R^2 of predicted against measured shares, all final channels together."""
        return _r2(self.share_predicted, self.share_measured)

    def to_dict(self) -> dict[str, Any]:
        """Plain values by name, R^2 included; None where an edge was not met."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        values["bands"] = {"edges_px_s": list(self.bands.edges), "names": list(self.bands.names)}
        values["headings"] = list(self.headings)
        values |= {"peak_r2": self.peak_r2, "share_r2": self.share_r2}
        plain: dict[str, Any] = _plain(values)
        return plain

    def write(self, path: str | Path) -> None:
        """A table (.csv) or everything (.json); the figure is `pictures.figures.plot_tuning_layers`. Raises OptionError
        for another suffix, VelocellError where it cannot be written."""
        suffix = Path(path).suffix.lower()
        if suffix not in SUFFIXES:
            raise OptionError(f"cannot write a tuning to '{path}': the suffix must be {' or '.join(SUFFIXES)}")
        text = self._csv() if suffix == ".csv" else json.dumps(self.to_dict(), indent=1) + "\n"
        with replacing(path) as part:
            part.write_text(text)

    def _csv(self) -> str:
        """One row per layer, channel and speed; layer 1 is the potential, 2 the share answered."""
        lines = ["layer,channel,speed_px_s,predicted,measured"]
        curves = ((self.peak_predicted, self.peak_measured), (self.share_predicted, self.share_measured))
        for layer, (predicted, measured) in enumerate(curves, 1):
            for channel, rows in enumerate(zip(predicted, measured, strict=True)):
                for speed, *values in zip(self.speeds, *rows, strict=True):
                    lines.append(f"{layer},{channel},{speed:.6g},{values[0]:.6g},{values[1]:.6g}")
        return "\n".join(lines) + "\n"


def tuning(
    network: Network,
    *,
    speeds: ArrayLike | None = None,
    contrast: float | None = None,
    headings: Sequence[float] = (0.0,),
    radius: float | None = None,
    noise_hz: float = 0.0,
    seed: int = 0,
    engine: str = "native",
    sensitivity: bool = False,
) -> Tuning:
    """Pass simulated disks over the network and compare its answers with what was predicted.

    speeds: px/s, by default 12 per octave from half the lowest band edge to twice the highest. contrast:
    events per edge crossing, by default what the network was made for, 3 behind a trail filter.
    There, as many events are lost at random as the calibration assumed. headings: degrees, each
    speed takes all of them. radius: by default the network's. sensitivity: measure the edges again
    with twice the contrast, another radius and other headings (`variants`).
    Raises NetworkError for a network without bands, OptionError for values that cannot be.
    """
    bands, size = _subject(network, radius)
    v = _speeds(speeds, bands)
    events, loss = _events(network, contrast)
    _check(headings, noise_hz)
    lanes = Lanes.plan(v, size, headings, seed)
    recording = lanes.record(events, loss, noise_hz, seed)
    share = lanes.shares(engines.run(network, recording, engine=engine), len(bands))
    peaks, single, crossings = lanes.potentials(network, recording)
    predicted = predicted_peaks(network, v, size, crossings)
    found = Tuning(
        bands=bands,
        speeds=v,
        peak_predicted=predicted,
        peak_measured=peaks,
        peak_single=single,
        crossings=crossings,
        thresholds=network.layers[0].neurons.v_th.astype(np.float64),
        share_predicted=predicted_shares(network, predicted, size),
        share_measured=share,
        edges=realised_edges(v, share),
        contrast=events,
        radius_px=size,
        headings=tuple(float(heading) for heading in headings),
    )
    if not sensitivity:
        return found
    variants = {}
    for name, contrast_factor, radius_factor, directions in _VARIANTS:
        other = Lanes.plan(v, size * radius_factor, directions or headings, seed)
        events, loss = _events(network, found.contrast * contrast_factor)
        answers = engines.run(network, other.record(events, loss, noise_hz, seed), engine=engine)
        variants[name] = realised_edges(v, other.shares(answers, len(bands)))
    return replace(found, variants=variants)


def predicted_peaks(network: Network, speeds: ArrayLike, radius: float, crossings: ArrayLike = 1.0) -> Floats:
    """n dt v Psi(v tau) of layer 1, (C, n). crossings: events per edge crossing, any shape that fits (C, n).

    Of a layer that sees OFF and ON apart, the mean of both kernels counts.
    """
    first, v = network.layers[0], np.asarray(speeds, np.float64)
    kernel = first.dense_kernel()
    weights = kernel.sum(axis=1) if network.trail_filter is not None else kernel.mean(axis=1)
    a = first.neurons.decay(network.dt_us).astype(np.float64)
    with np.errstate(divide="ignore"):
        tau_s = -network.dt_us * 1e-6 / np.log1p(-a)
    rows = [
        psi(weights[c], radius, np.maximum(v * tau_s[c], 1e-3), v * network.dt_us * 1e-6) for c in range(first.channels)
    ]
    peaks = np.asarray(crossings) * network.dt_us * 1e-6 * v * np.array(rows)
    return np.asarray(peaks + first.neurons.v_leak[:, None], np.float64)


def predicted_shares(network: Network, peaks: ArrayLike, radius: float) -> Floats:
    """Share of the stretches that each final channel wins, (N, n), from layer 1's mean peaks (C, n).

    A channel answers where a single peak reaches its threshold. The logarithm of single peaks is
    normal; its mean and width, for the events per edge crossing that a network is made for, were fitted
    to simulated passages (R = 3 to 20 px, 1 to 10 events). A final channel wins unless a faster one
    answers; nothing competes below the lowest edge, and above the highest the channel that only
    vetoes has to be there in time, so that both edges lie further out.
    """
    neurons = network.layers[0].neurons
    filtered = network.trail_filter is not None
    count = 1.0 if filtered else network.origin.crossings or 1.0
    mean = (0.244 / math.sqrt(radius) - 0.027) / count - (0.03 if filtered else 0.048)
    width = answer_width(radius, None if filtered else count)
    shift = np.zeros(neurons.channels)
    shift[0] = 2.6 * width
    if network.bands is not None and neurons.channels > len(network.bands):
        shift[-1] = -2.3 * width
    above = np.maximum(np.asarray(peaks) - neurons.v_leak[:, None], 1e-9) / (neurons.v_th - neurons.v_leak)[:, None]
    answers = _normal((np.log(above) + mean + shift[:, None]) / width)
    alone = np.cumprod((1 - answers)[::-1], axis=0)[::-1]  # no answer of this channel or a faster one
    shares = answers * np.append(alone[1:], np.ones((1, answers.shape[1])), axis=0)
    return np.asarray(shares if network.bands is None else shares[: len(network.bands)], np.float64)


def _normal(z: Floats) -> Floats:
    """Distribution function of the normal distribution."""
    return np.array([0.5 * math.erfc(-value / math.sqrt(2)) for value in z.ravel()]).reshape(z.shape)


def _subject(network: Network, radius: float | None) -> tuple[Bands, float]:
    if network.bands is None:
        raise NetworkError("a tuning needs a network with speed bands; write one with velocell calibrate")
    size = network.radius_px if radius is None else radius
    if size is None:
        raise NetworkError("the network does not state its radius; give one")
    if not (math.isfinite(size) and size > 0):
        raise OptionError(f"the radius must be above 0 px, got {size:g}")
    return network.bands, float(size)


def _speeds(speeds: ArrayLike | None, bands: Bands) -> Floats:
    if speeds is None:
        low, high = bands.edges[0] / 2, bands.edges[-1] * 2
        return np.geomspace(low, high, max(_FEWEST, round(_PER_OCTAVE * math.log2(high / low))))
    v = np.asarray(speeds, np.float64)
    if v.ndim != 1 or v.size < 2 or not (np.isfinite(v).all() and v[0] > 0 and (np.diff(v) > 0).all()):
        raise OptionError("a tuning needs at least two increasing speeds above 0 px/s")
    return v


def _events(network: Network, contrast: float | None) -> tuple[float, float]:
    """(events per edge crossing, share of them that is lost)."""
    assumed = network.origin.crossings
    fallback = _CONTRAST if assumed is None or network.trail_filter is not None else assumed
    events = fallback if contrast is None else contrast
    if not (math.isfinite(events) and events > 0):
        raise OptionError(f"the contrast must be above 0 events per edge crossing, got {events:g}")
    if network.trail_filter is None or assumed is None:
        return events, 0.0
    # A crossing arrives unless all of its events are lost.
    return events, max(1 - assumed, 0.0) ** (1 / events)


def _check(headings: Sequence[float], noise_hz: float) -> None:
    if not len(headings) or not all(math.isfinite(heading) for heading in headings):
        raise OptionError("a tuning needs at least one heading, in degrees")
    if not (math.isfinite(noise_hz) and noise_hz >= 0):
        raise OptionError(f"the noise must be 0 or more events per pixel and second, got {noise_hz:g}")


def realised_edges(speeds: Floats, shares: Floats) -> Floats:
    """(N, 2): speeds at which each share first and last crosses half of its maximum."""
    edges = np.full((len(shares), 2), np.nan)
    log = np.log(speeds)
    for k, share in enumerate(shares):
        half = share.max() / 2
        above = np.flatnonzero(share >= half)
        if half == 0:
            continue
        for side, (inner, outer) in enumerate(((above[0], above[0] - 1), (above[-1], above[-1] + 1))):
            if 0 <= outer < speeds.size:
                part = (share[inner] - half) / (share[inner] - share[outer])
                edges[k, side] = math.exp(log[inner] + part * (log[outer] - log[inner]))
    return edges


def _r2(predicted: Floats, measured: Floats) -> float:
    spread = float(np.sum((measured - measured.mean()) ** 2))
    return 1 - float(np.sum((measured - predicted) ** 2)) / spread if spread else math.nan


def _plain(value: Any) -> Any:
    """Lists and numbers that JSON knows; NaN becomes None."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value
