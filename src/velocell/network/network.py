"""`Network`: layers of Conv2d + LIFBox, what happens in one tick, and its TOML form.

One tick of length dt, the same in every engine (`engines/reference.py` is the definition):

1. The events of the tick, all of them, make the input maps: one map, two (OFF, ON), or one per
   channel of the trail filter.
2. Layer by layer: I = the input cross-correlated with the kernels (zero padding, `same` size);
   v <- v + a (v_leak - v + I); spike where v > v_th; reset. The next layer's input is this
   layer's spikes of the same tick.

Tick n holds the events with floor(t_us / dt_us) = n.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from velocell.data.bands import Bands
from velocell.data.files import replacing
from velocell.data.html import shown
from velocell.data.side_files import read_toml
from velocell.errors import NetworkError
from velocell.network.layers import Layer, TrailFilter
from velocell.network.neurons import LIFBox
from velocell.network.nir import dialects, file, graph
from velocell.network.nir.meta import NEUTRAL
from velocell.network.nir.portable import portable
from velocell.network.origin import Origin

_FORMAT = 1
_MOST_WEIGHTS = 1 << 26


@dataclass(frozen=True, eq=False)
class Network:
    """Layers run one after the other in every tick of `dt_us` microseconds.

    trail_filter: where given, layer 0 sees one input map per channel of the filter.
    bands: the speeds that the final channels stand for. radius_px: of the disks looked for.
    origin: where each number came from (`Origin`, or names and values); travels with the TOML.
    """

    dt_us: int
    layers: tuple[Layer, ...]
    trail_filter: TrailFilter | None = None
    bands: Bands | None = None
    radius_px: float | None = None
    origin: Origin = field(default_factory=Origin)

    def __post_init__(self) -> None:
        if self.radius_px is not None and not isinstance(self.radius_px, int | float | np.number):
            raise NetworkError(f"the radius must be a number of px, got {self.radius_px!r}")
        if not isinstance(self.origin, Origin):
            object.__setattr__(self, "origin", Origin.of(self.origin))
        if self.dt_us < 1:
            raise NetworkError(f"dt must be at least 1 us, got {self.dt_us}")
        if not self.layers:
            raise NetworkError("a network needs at least one layer")
        if self.radius_px is not None and not 0 < float(self.radius_px) < math.inf:
            raise NetworkError(f"the radius must be above 0 px, got {self.radius_px}")
        for number, layer in enumerate(self.layers):
            layer.neurons.decay(self.dt_us)
            if number and layer.in_channels != self.layers[number - 1].channels:
                raise NetworkError(
                    f"layer {number} expects {layer.in_channels} input channels but layer {number - 1} has "
                    f"{self.layers[number - 1].channels}"
                )
        expected = self.layers[0].in_channels
        if self.trail_filter is not None and expected != len(self.trail_filter.silence_us):
            raise NetworkError(
                f"layer 0 expects {expected} input maps but the trail filter makes {len(self.trail_filter.silence_us)}"
            )
        if self.trail_filter is None and expected not in (1, 2):
            raise NetworkError(f"layer 0 can see 1 input map (merged) or 2 (OFF, ON), not {expected}")
        if self.bands is not None and self.layers[-1].channels < len(self.bands):
            raise NetworkError(f"{len(self.bands)} bands need as many final channels, got {self.layers[-1].channels}")

    def check_size(self, width: int, height: int) -> None:
        """Raise NetworkError where a kernel is larger than the sensor or tick numbers overflow."""
        if not self.fits(width, height):
            h, w = self.layers[0].kernel.shape[2:]
            raise NetworkError(
                f"the kernel of layer 0 is {w}x{h} px, larger than the {width}x{height} sensor; choose a smaller radius"
            )

    def fits(self, width: int, height: int) -> bool:
        """Whether the first layer's kernel has room on a sensor."""
        h, w = self.layers[0].kernel.shape[2:]
        return bool(w <= width and h <= height)

    def _repr_html_(self) -> str:
        return shown(self)

    def to_toml(self, path: str | Path) -> None:
        """Write a readable TOML file that `from_toml` reads back bit by bit."""
        import tomli_w

        with replacing(path) as part:
            part.write_text(tomli_w.dumps(self._to_dict()))

    @staticmethod
    def from_toml(path: str | Path) -> Network:
        try:
            data = read_toml(path)
        except FileNotFoundError:
            raise NetworkError(f"{path} does not exist; check the path") from None
        except (OSError, ValueError) as error:
            raise NetworkError(
                f"{path} is not a readable network ({error}); write one with velocell calibrate"
            ) from None
        try:
            # What is too large for float32 becomes infinite, and is refused as such.
            with np.errstate(over="ignore"):
                return _from_dict(data)
        except (KeyError, TypeError, ValueError, AttributeError, IndexError, ArithmeticError) as error:
            raise NetworkError(
                f"{path} is not a complete network ({error!r}); write one with velocell calibrate"
            ) from None
        except NetworkError as error:
            raise NetworkError(f"{path}: {error}") from None

    def portable(self) -> Network:
        """The form that every framework runs alike: resets to 0, thresholds that one event does not reach exactly. Its
        spikes are not quite those of this network."""
        return portable(self)

    def to_nir(self, size: tuple[int, int], path: str | Path | None = None, *, framework: str = NEUTRAL) -> Any:
        """As a `nir.NIRGraph` for a sensor of (width, height), also written to `path` where one is given.

        framework: "generic", or the one that is to read it (`velocell.network.nir.dialects.FRAMEWORKS`). The trail
        filter stays outside: the graph's input are maps that have passed it, as its metadata say.
        Raises NetworkError for what does not map, by name.
        """
        made = dialects.export(self, size, framework)
        if path is not None:
            file.write(path, made)
        return made

    @staticmethod
    def from_nir(source: Any, *, dt_us: int | None = None) -> Network:
        """From a `nir.NIRGraph` of Conv2d and LIF or IF in a row, or from its file.

        dt_us: the tick, where the metadata do not state it. Raises NetworkError for what our engines do not run.
        """
        given = file.read(source) if isinstance(source, str | Path) else source
        try:
            return Network(**vars(graph.from_graph(given, dt_us=dt_us)))
        except NetworkError as error:
            raise NetworkError(f"{source}: {error}" if isinstance(source, str | Path) else str(error)) from None

    def _to_dict(self) -> dict[str, Any]:
        data: dict[str, Any] = {"velocell_network": _FORMAT, "dt_us": self.dt_us}
        if self.radius_px is not None:
            data["radius_px"] = self.radius_px
        if self.bands is not None:
            data["bands"] = {"edges_px_s": list(self.bands.edges), "names": list(self.bands.names)}
        if self.trail_filter is not None:
            data["trail_filter"] = {"silence_us": list(self.trail_filter.silence_us), "flips": self.trail_filter.flips}
        if self.origin:
            data["origin"] = dict(self.origin)
        kernels: dict[str, list[str]] = {}
        data["layers"] = [_layer_to_dict(layer, kernels) for layer in self.layers]
        data["kernels"] = kernels
        return data


def _shortest(value: np.floating[Any]) -> str:
    return np.format_float_positional(value, unique=True, trim="-") if np.isfinite(value) else str(value)


def _layer_to_dict(layer: Layer, kernels: dict[str, list[str]]) -> dict[str, Any]:
    """Equal 2-D kernels are written once, by name, into `kernels`."""
    neurons = layer.neurons
    connections = []
    per_in = layer.kernel.shape[1]
    for out in range(layer.channels):
        for into in range(per_in):
            weights = layer.kernel[out, into]
            if weights.any():
                rows = [" ".join(_shortest(value) for value in row) for row in weights]
                name = next((n for n, known in kernels.items() if known == rows), f"kernel_{len(kernels)}")
                kernels[name] = rows
                connections.append({"out": out, "in": into, "kernel": name})
    return {
        "groups": layer.groups,
        "shape": list(layer.kernel.shape),
        "tau_mem_inv": [float(v) for v in neurons.tau_mem_inv],
        "v_th": [float(_shortest(v)) for v in neurons.v_th],
        "v_leak": [float(_shortest(v)) for v in neurons.v_leak],
        "v_reset": [float(_shortest(v)) for v in neurons.v_reset],
        "connections": connections,
    }


def _from_dict(data: dict[str, Any]) -> Network:
    if data.get("velocell_network") != _FORMAT:
        raise NetworkError(f"this is not a network of format {_FORMAT} (key velocell_network)")
    kernels = {
        name: np.array([row.split() for row in rows], dtype=np.float32) for name, rows in data["kernels"].items()
    }
    layers = []
    for entry in data["layers"]:
        shape = tuple(_whole(n, "shape") for n in entry["shape"])
        if len(shape) != 4 or min(shape) < 1 or math.prod(shape) > _MOST_WEIGHTS:
            raise NetworkError(f"a kernel cannot have the shape {shape}")
        weights = np.zeros(shape, np.float32)
        for link in entry["connections"]:
            out, into, kernel = _whole(link["out"], "out"), _whole(link["in"], "in"), kernels[link["kernel"]]
            if min(out, into) < 0 or kernel.shape != shape[2:]:
                raise NetworkError(f"connection {link} does not fit a layer of shape {shape}")
            weights[out, into] = kernel
        neurons = LIFBox(entry["tau_mem_inv"], entry["v_th"], entry["v_leak"], entry["v_reset"])
        layers.append(Layer.from_arrays(weights, neurons, _whole(entry["groups"], "groups")))
    bands = data.get("bands")
    trail = data.get("trail_filter")
    return Network(
        dt_us=_whole(data["dt_us"], "dt_us"),
        layers=tuple(layers),
        trail_filter=None if trail is None else _trail_filter(trail),
        bands=None if bands is None else _bands(bands),
        radius_px=data.get("radius_px"),
        origin=Origin.of(data.get("origin", {})),
    )


def _trail_filter(entry: dict[str, Any]) -> TrailFilter:
    if not isinstance(entry["flips"], bool):
        raise NetworkError(f"flips must be true or false, got {entry['flips']!r}")
    return TrailFilter(tuple(_whole(us, "silence_us") for us in entry["silence_us"]), entry["flips"])


def _bands(entry: dict[str, Any]) -> Bands:
    if not all(isinstance(name, str) for name in entry["names"]):
        raise NetworkError(f"names of bands must be strings, got {entry['names']}")
    return Bands(tuple(entry["edges_px_s"]), tuple(entry["names"]))


def _whole(value: Any, name: str) -> int:
    """TOML knows whole numbers; True, which Python counts among them, and 2.0 are none."""
    if type(value) is not int:
        raise NetworkError(f"{name} must be a whole number, got {value!r}")
    return value
