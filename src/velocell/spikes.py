"""`Spikes`: what a network answers, in one canonical order."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from velocell.errors import TableError
from velocell.files import ARCHIVE_DAMAGE, replacing


@dataclass(frozen=True, eq=False)
class Spikes:
    """Spikes of all layers; arrays of shape (n,), sorted by (t_us, layer, channel, y, x).

    t_us: int64, first microsecond of the spike's tick. x, y: int32, pixels. channel: int32.
    layer: int32, counted from 0; the largest is the final one, whose channel k is band k.
    layers: how many layers the network has, 0 where that is not known; a final layer may be silent.
    """

    t_us: NDArray[np.int64]
    x: NDArray[np.int32]
    y: NDArray[np.int32]
    channel: NDArray[np.int32]
    layer: NDArray[np.int32]
    layers: int = 0

    @staticmethod
    def empty(layers: int = 0) -> Spikes:
        none = np.empty(0, np.int32)
        return Spikes(np.empty(0, np.int64), none, none, none, none, layers)

    @staticmethod
    def concatenate(parts: list[Spikes], layers: int = 0) -> Spikes:
        """Join parts that follow each other in time (or come from different layers) and sort them."""
        layers = max([layers, *(part.layers for part in parts)])
        if not parts:
            return Spikes.empty(layers)
        joined = {name: np.concatenate([getattr(part, name) for part in parts]) for name in _ARRAYS}
        return Spikes(**joined, layers=layers).sorted()

    def sorted(self) -> Spikes:
        order = np.lexsort((self.x, self.y, self.channel, self.layer, self.t_us))
        return self._take(order)

    def __len__(self) -> int:
        return int(self.t_us.size)

    def of_layer(self, layer: int) -> Spikes:
        return self._take(self.layer == layer)

    def final(self) -> Spikes:
        """The final layer's spikes: its channels are the bands. Where the number of layers is not
        known, the last layer that spiked counts as the final one."""
        return self.of_layer((self.layers or int(self.layer.max(initial=0)) + 1) - 1)

    def _take(self, index: NDArray[np.bool_] | NDArray[np.intp]) -> Spikes:
        return Spikes(**{name: getattr(self, name)[index] for name in _ARRAYS}, layers=self.layers)

    def same_as(self, other: Spikes) -> bool:
        """True where every spike is the same."""
        return all(np.array_equal(getattr(self, name), getattr(other, name)) for name in _ARRAYS)

    def to_npz(self, path: str | Path) -> None:
        """Write the arrays `t_us, x, y, channel, layer` and the scalar `layers`."""
        arrays: dict[str, Any] = {f.name: np.asarray(getattr(self, f.name)) for f in fields(self)}
        with replacing(path) as part, part.open("wb") as handle:
            np.savez_compressed(handle, **arrays)

    @staticmethod
    def from_npz(path: str | Path) -> Spikes:
        kinds = {"t_us": np.int64}
        try:
            with Path(path).open("rb") as handle, np.load(handle, allow_pickle=False) as arrays:
                columns = {name: arrays[name].astype(kinds.get(name, np.int32)) for name in _ARRAYS}
                spikes = Spikes(**columns, layers=int(arrays["layers"]) if "layers" in arrays else 0)
            if any(getattr(spikes, name).shape != (len(spikes),) for name in _ARRAYS):
                raise ValueError("its arrays differ in length")
            return spikes
        except FileNotFoundError:
            raise TableError(f"{path} does not exist; check the path") from None
        except ARCHIVE_DAMAGE as error:
            raise TableError(f"{path} is not a table of spikes ({error}); write one with --spikes") from None


_ARRAYS = tuple(f.name for f in fields(Spikes) if f.name != "layers")
