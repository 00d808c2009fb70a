"""`Origin`: where a network's numbers come from, as values; they become words only when they are written.

Nothing reads the words: what a program needs of them (`crossings`, `too_sparse`, ...) is a field. Files hold
both, the words for a reader and the values in a table `facts` of their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal, get_args

from velocell.data.meta import of_recording
from velocell.data.recording import Recording
from velocell.data.units import format_time
from velocell.errors import NetworkError

if TYPE_CHECKING:
    from velocell.network.network import Network

Basis = Literal["given", "assumed", "too_sparse", "measured", "labels"]

_CROSSINGS = {
    "given": "as asked",
    "assumed": "share of edge crossings that pass the trail filter",
    "too_sparse": "assumed: nothing was followed from which to measure the share of edge crossings",
    "labels": "events per edge crossing around the labelled paths",
}
_WORDS = ("bands", "dt_us", "stamps", "noise", "tau_mem_inv", "v_th", "n", "contrast", "trails", "measured", "radius",
          "stated_radius_px", "edge_factors", "labels", "on_labels")  # fmt: skip
_MOST_SMEAR_PX, _MOST_SMEAR = 4.0, 0.75  # px, of the radius: travel in a step; measured by benchmarks/stamps.py
_OTHER_SIZE = 1.2  # times: beyond, a measured radius is another one than was stated


@dataclass(frozen=True)
class Spread:
    """A value measured on several objects: median, quartiles, how many objects."""

    median: float
    low: float
    high: float
    objects: int

    def __str__(self) -> str:
        return f"{self.median:.3g} ({self.low:.3g} to {self.high:.3g}, the quartiles of {self.objects} objects)"


@dataclass(frozen=True)
class Labelled:
    """An adjustment to labelled objects: how much was labelled, and scores (recall, precision, band accuracy) on it
    before and after. kept: the network is what the recording alone gives."""

    objects: int
    stretches: int
    stretch_px: float
    before: tuple[float, float, float]
    after: tuple[float, float, float]
    kept: bool


@dataclass(frozen=True)
class Origin(Mapping[str, Any]):
    """Where a network's numbers come from. A value that is not known is None, as all are for a network made by hand.

    crossings: n, the events per edge crossing that the thresholds were made for; basis: where n comes from.
    margin: factors of the lowest and the highest edge's threshold over the mean peak. memory: time constants, in units
    of the time in which an edge crosses corner_px. ring_width_px: of the kernel. dt_given: the tick was asked for.
    share, contrast: events per edge crossing behind and before the trail filter, as measured. trails_ms: how long after
    its first event the other ON and OFF events of a crossing come on average, up to a silence of
    3 px of travel, as measured. measured_us: from when to when in the recording all this was. looked_us: what
    calibration looked at, all passes together, of the recording's time. step_us: of the
    recording's time stamps, where objects move visibly in it, and whether lines are scanned, each at its own time.
    noise: events where nothing moves, per pixel and second, and the share of them that change a pixel's polarity.
    stated_radius_px: where another radius was measured, and radius_from_labels: on labelled paths. threshold_factor: on
    all thresholds, by hand; edge_factors: on each, by labels or by the measured speeds of the objects. labelled: how
    the labels were met. more: whatever else is to be kept, by name, such as version and settings.

    It is also a mapping, from names to words and plain values, as files hold it.
    """

    crossings: float | None = None
    basis: Basis | None = None
    margin: tuple[float, float] | None = None
    memory: float | None = None
    corner_px: float | None = None
    ring_width_px: float | None = None
    dt_given: bool = False
    share: Spread | None = None
    contrast: Spread | None = None
    trails_ms: tuple[float, ...] | None = None
    measured_us: tuple[int, ...] | None = None
    looked_us: int = 0
    stated_radius_px: float | None = None
    radius_from_labels: bool = False
    step_us: int | None = None
    scanned: bool = False
    noise: tuple[float, ...] | None = None
    threshold_factor: float = 1.0
    edge_factors: tuple[float, ...] = ()
    labelled: Labelled | None = None
    more: dict[str, Any] = field(default_factory=dict)

    @property
    def too_sparse(self) -> bool:
        """Whether contrast and radius should have been measured, but nothing could be followed for long enough."""
        return self.basis == "too_sparse"

    def __getitem__(self, name: str) -> Any:
        return self._entries()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries())

    def __len__(self) -> int:
        return len(self._entries())

    def words(self) -> dict[str, Any]:
        """For a reader: names to words, and whatever else is kept."""
        return {**self._words(), **self.more}

    def _entries(self) -> dict[str, Any]:
        return {**self._words(), **self._facts(), **self.more}

    def _words(self) -> dict[str, Any]:
        if self.margin is None:
            return {}
        words: dict[str, Any] = {
            "bands": "as asked",
            "dt_us": self._tick(),
            "tau_mem_inv": f"{self.memory:g} of the time in which an edge at its speed crosses {self.corner_px:.3g} px",
            "v_th": self._threshold(*self.margin),
            "n": self._crossings_text(),
        }
        if self.step_us is not None:
            words["stamps"] = f"in steps of {format_time(self.step_us)}; rings are widened by the way made in one"
        if self.noise is not None:
            words["noise"] = (
                f"{self.noise[0]:.2g} events per pixel and second where nothing moves, measured; thresholds lie above "
                "the mean potential that they make"
            )
        if self.contrast is not None:
            words["contrast"] = (
                f"events per pixel and edge crossing, measured: {self.contrast}; the trail filter makes it irrelevant"
            )
        if self.trails_ms is not None:
            on, off = self.trails_ms
            words["trails"] = (
                f"after its first event the others of an edge crossing come {on:.3g} ms (ON) and {off:.3g} ms (OFF) "
                "later, on average; how late the first one comes cannot be known"
            )
        if self.measured_us is not None:
            start_us, stop_us = self.measured_us
            words["measured"] = f"on what was followed from {format_time(start_us)} to {format_time(stop_us)}"
        if self.radius_from_labels:
            words["radius"] = "where the events around the labelled paths lie"
        if self.stated_radius_px is not None:
            words["stated_radius_px"] = self.stated_radius_px
        if self.edge_factors:
            words["edge_factors"] = list(self.edge_factors)
        return {**words, **({} if self.labelled is None else _labelled_words(self.labelled))}

    def _tick(self) -> str:
        if self.dt_given:
            return "as asked"
        if self.step_us is not None:
            return "a step of the recording's stamps"
        return f"the fastest edge moves at most {(self.ring_width_px or 0.0) / 2:g} px in it"

    def _threshold(self, low: float, high: float) -> str:
        text = f"{low:.3g} to {high:.3g} n dt v Psi(v tau)"
        if not self.edge_factors:
            text += f" with n = {self.crossings:g} events per edge crossing"
        else:
            text += (
                f" with n = {self.crossings:g} events per edge crossing; times edge_factors, by which "
                f"{'labelled objects' if self.labelled else 'the measured speeds'} fall into their bands"
            )
        return text if self.threshold_factor == 1 else f"{self.threshold_factor:g} times {text}"

    def _crossings_text(self) -> str:
        if self.basis == "measured":
            return f"share of edge crossings that pass the trail filter, measured: {self.share}"
        return _CROSSINGS[self.basis or "assumed"]

    def _facts(self) -> dict[str, Any]:
        """What differs from an unknown origin, as TOML and JSON hold it."""
        facts = {}
        for f in fields(self):
            value = getattr(self, f.name)
            if f.name != "more" and value != f.default:
                facts[f.name] = _plain(value)
        return {"facts": facts} if facts else {}

    @staticmethod
    def of(entries: Mapping[str, Any]) -> Origin:
        """The inverse of the mapping. Without a table `facts`, as in a file of another program, all entries
        become `more`. Raises NetworkError for facts that do not fit."""
        facts = entries.get("facts")
        if facts is None:
            return Origin(more=dict(entries))
        if not isinstance(facts, Mapping):
            raise NetworkError("the facts of an origin must be a table")
        known = {f.name for f in fields(Origin)} - {"more"}
        unknown = sorted(set(facts) - known)
        if unknown:
            raise NetworkError(
                f"the origin states '{unknown[0]}', which is unknown; known are {', '.join(sorted(known))}"
            )
        more = {name: value for name, value in entries.items() if name not in (*_WORDS, "facts")}
        return Origin(**{name: _typed(name, value) for name, value in facts.items()}, more=more)


def told_by_stamps(network: Network) -> str | None:
    """In words, what the step of the time stamps lets a calibrated network see; None where it does not matter."""
    step_us, bands, radius = network.origin.step_us, network.bands, network.radius_px
    if step_us is None or bands is None or radius is None:
        return None
    step_s, fastest = step_us * 1e-6, bands.edges[-1]
    most = float(f"{min(_MOST_SMEAR_PX, _MOST_SMEAR * radius) / step_s:.2g}")
    text = f"stamps come in steps of {format_time(step_us)}, in which {fastest:g} px/s make {fastest * step_s:.3g} px"
    if fastest <= most:
        return f"{text}; disks of {radius:.3g} px can be followed at up to {most:g} px/s"
    return f"{text}; disks of {radius:.3g} px are missed above about {most:g} px/s: use finer stamps or slower bands"


def told_by_radius(network: Network) -> str | None:
    """In words, that disks of another size are followed than what was stated; None where that is about right."""
    stated, radius = network.origin.stated_radius_px, network.radius_px
    if stated is None or radius is None or network.origin.radius_from_labels:
        return None
    if max(radius / stated, stated / radius) < _OTHER_SIZE:
        return None
    return (
        f"no disks of R = {stated:.3g} px were seen, but disks of about {radius:.2g} px, which are followed instead; "
        f"give --radius {radius:.2g} if they are meant (half of the width)"
    )


def too_sparse_text(networks: Sequence[Network]) -> str:
    """In words, that contrast and radius of these networks are assumed since nothing could be measured."""
    radii = [network.radius_px for network in networks if network.radius_px is not None]
    what = "the template's shape"
    if radii:
        what = f"a disk of R = {min(radii):.3g}{'' if len(radii) == 1 else f' to {max(radii):.3g}'} px"
    return (
        f"nothing that is clearly {what} was followed, so contrast and radius are assumed; check --radius (half of the "
        "width) and --bands, or give --contrast"
    )


def _labelled_words(found: Labelled) -> dict[str, Any]:
    kept = "kept as the recording alone gives it: " if found.kept else ""
    names = ("recall", "precision", "band accuracy")
    figures = zip(names, found.before, found.after, strict=True)
    return {
        "labels": f"{found.objects} objects, {found.stretches} stretches of {found.stretch_px:g} px",
        "on_labels": kept + ", ".join(f"{name} {before:.4f} to {after:.4f}" for name, before, after in figures),
    }


def _plain(value: Any) -> Any:
    if isinstance(value, Spread | Labelled):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    return list(value) if isinstance(value, tuple) else value


def _typed(name: str, value: Any) -> Any:
    """A fact from a file. Raises NetworkError."""
    kinds: dict[str, Any] = {"share": Spread, "contrast": Spread, "labelled": Labelled}
    try:
        if name in kinds:
            return kinds[name](**{key: tuple(v) if isinstance(v, list) else v for key, v in value.items()})
        if name in ("margin", "edge_factors", "trails_ms", "noise"):
            return tuple(float(v) for v in value)
        if name == "measured_us":
            return tuple(int(v) for v in value)
        if name in ("dt_given", "radius_from_labels", "scanned"):
            fits = isinstance(value, bool)
        elif name == "basis":
            fits = value in get_args(Basis)
        else:
            fits = isinstance(value, int | float) and not isinstance(value, bool)
    except (TypeError, ValueError, AttributeError):
        fits = False
    if not fits:
        raise NetworkError(f"the origin's '{name}' cannot be {value!r}")
    return value


def of_network(network: Network) -> dict[str, Any]:
    """What a network looks for and where its numbers came from; the network itself has a TOML form."""
    bands = network.bands
    return {
        "dt_us": network.dt_us,
        "radius_px": network.radius_px,
        "bands": None if bands is None else {"edges_px_s": list(bands.edges), "names": list(bands.names)},
        "origin": dict(network.origin),
    }


def of_networks(networks: Sequence[Network]) -> dict[str, Any]:
    """The network, and the radii where there are several for one detection."""
    made: dict[str, Any] = {"network": of_network(networks[0])}
    return made if len(networks) == 1 else {**made, "radii_px": [network.radius_px for network in networks]}


def of_detection(
    recording: Recording,
    events: int,
    networks: Sequence[Network],
    changes: Sequence[tuple[int, Sequence[Network]]] = (),
) -> dict[str, Any]:
    """What a table of tracks was made from: the recording, which need not hold its events, and their number; the
    networks that it began with, and those that took their place, each from when on (us)."""
    made: dict[str, Any] = {"recording": of_recording(recording, events), **of_networks(networks)}
    if changes:
        made["changes"] = [{"from_us": at_us, **of_networks(later)} for at_us, later in changes]
    return made
