"""`Spikes`: what a network answers, in one canonical order."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from velocell.errors import TableError
from velocell.files import ARCHIVE_DAMAGE, replacing


@dataclass(frozen=True, eq=False)
class Spikes:
    """Spikes of all layers; arrays of shape (n,), sorted by (t_us, layer, channel, y, x).

    t_us: int64, first microsecond of the spike's tick. x, y: int32, pixels. channel: int32.
    layer: int32, counted from 0; the largest is the final one, whose channel k is band k.
    """

    t_us: NDArray[np.int64]
    x: NDArray[np.int32]
    y: NDArray[np.int32]
    channel: NDArray[np.int32]
    layer: NDArray[np.int32]

    @staticmethod
    def empty() -> Spikes:
        none = np.empty(0, np.int32)
        return Spikes(np.empty(0, np.int64), none, none, none, none)

    @staticmethod
    def concatenate(parts: list[Spikes]) -> Spikes:
        """Join parts that follow each other in time (or come from different layers) and sort them."""
        if not parts:
            return Spikes.empty()
        joined = Spikes(*(np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(Spikes)))
        return joined.sorted()

    def sorted(self) -> Spikes:
        order = np.lexsort((self.x, self.y, self.channel, self.layer, self.t_us))
        return self._take(order)

    def __len__(self) -> int:
        return int(self.t_us.size)

    def of_layer(self, layer: int) -> Spikes:
        return self._take(self.layer == layer)

    def _take(self, index: NDArray[np.bool_] | NDArray[np.intp]) -> Spikes:
        return Spikes(*(getattr(self, f.name)[index] for f in fields(self)))

    def same_as(self, other: Spikes) -> bool:
        """True where every spike is the same."""
        return all(np.array_equal(getattr(self, f.name), getattr(other, f.name)) for f in fields(self))

    def to_npz(self, path: str | Path) -> None:
        """Write the arrays `t_us, x, y, channel, layer`."""
        with replacing(path) as part, part.open("wb") as handle:
            np.savez_compressed(handle, **{f.name: getattr(self, f.name) for f in fields(self)})

    @staticmethod
    def from_npz(path: str | Path) -> Spikes:
        kinds = {"t_us": np.int64}
        try:
            with Path(path).open("rb") as handle, np.load(handle, allow_pickle=False) as arrays:
                spikes = Spikes(*(arrays[f.name].astype(kinds.get(f.name, np.int32)) for f in fields(Spikes)))
            if any(getattr(spikes, f.name).shape != (len(spikes),) for f in fields(Spikes)):
                raise ValueError("its arrays differ in length")
            return spikes
        except FileNotFoundError:
            raise TableError(f"{path} does not exist; check the path") from None
        except ARCHIVE_DAMAGE as error:
            raise TableError(f"{path} is not a table of spikes ({error}); write one with --spikes") from None
