"""`Spikes`: what a network answers, in one canonical order."""

from __future__ import annotations

import math
import zipfile
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from velocell.data.files import ARCHIVE_DAMAGE, replacing
from velocell.data.html import shown
from velocell.data.side_files import most_unpacked
from velocell.data.spool import Spool
from velocell.errors import TableError

# AttributeError: an array of its own has no members.
_DAMAGE: tuple[type[Exception], ...] = (*ARCHIVE_DAMAGE, AttributeError, MemoryError)


@dataclass(frozen=True, eq=False)
class Spikes:
    """Spikes of all layers; arrays of shape (n,), sorted by (t_us, layer, channel, y, x).

    t_us: int64, first microsecond of the spike's tick. x, y: int32, pixels. channel: int32.
    layer: int32, counted from 0; the largest is the final one, whose channel k is band k.
    layers: how many layers the network has, 0 where that is not known; a final layer may be silent.
    radius_px: where networks for several radii looked, the radius that a spike stands for, float64; else None.
    """

    t_us: NDArray[np.int64]
    x: NDArray[np.int32]
    y: NDArray[np.int32]
    channel: NDArray[np.int32]
    layer: NDArray[np.int32]
    layers: int = 0
    radius_px: NDArray[np.float64] | None = None

    @staticmethod
    def empty(layers: int = 0) -> Spikes:
        none = np.empty(0, np.int32)
        return Spikes(np.empty(0, np.int64), none, none, none, none, layers)

    @staticmethod
    def concatenate(parts: list[Spikes], layers: int = 0) -> Spikes:
        """Join parts that follow each other in time (or come from different layers or radii) and sort them."""
        layers = max([layers, *(part.layers for part in parts)])
        if not parts:
            return Spikes.empty(layers)
        joined = {name: np.concatenate([getattr(part, name) for part in parts]) for name in _ARRAYS}
        known = [part.radius_px for part in parts if part.radius_px is not None]
        # No spikes need no radius.
        radius = np.concatenate(known) if known and sum(map(len, known)) == joined["t_us"].size else None
        return Spikes(**joined, layers=layers, radius_px=radius).sorted()

    def sorted(self) -> Spikes:
        """By time, then layer, channel, y, x and radius."""
        keys: list[NDArray[Any]] = [self.t_us, self.layer, self.channel, self.y, self.x]
        if self.radius_px is not None:
            keys.append(_ranks(self.radius_px))
        key = _one_key(keys)
        return self.where(np.lexsort(keys[::-1]) if key is None else np.argsort(key, kind="stable"))

    def __len__(self) -> int:
        return int(self.t_us.size)

    def _repr_html_(self) -> str:
        return shown(self)

    def of_layer(self, layer: int) -> Spikes:
        of_it = self.layer == layer
        return self if of_it.all() else self.where(of_it)

    def between(self, start_us: int | None = None, stop_us: int | None = None) -> Spikes:
        """Those in [start, stop)."""
        low = self.t_us >= start_us if start_us is not None else np.ones(len(self), np.bool_)
        return self.where(low if stop_us is None else low & (self.t_us < stop_us))

    def final(self) -> Spikes:
        """The final layer's spikes: its channels are the bands. Where the number of layers is not
        known, the last layer that spiked counts as the final one."""
        return self.of_layer((self.layers or int(self.layer.max(initial=0)) + 1) - 1)

    def where(self, index: NDArray[np.bool_] | NDArray[np.intp]) -> Spikes:
        """Those that a mask or an index selects."""
        radius = None if self.radius_px is None else self.radius_px[index]
        return Spikes(**{name: getattr(self, name)[index] for name in _ARRAYS}, layers=self.layers, radius_px=radius)

    def for_radius(self, radius_px: float) -> Spikes:
        """The same spikes, all of them standing for one radius."""
        return replace(self, radius_px=np.full(len(self), float(radius_px)))

    def columns(self) -> dict[str, NDArray[Any]]:
        """The arrays by name."""
        values = {name: getattr(self, name) for name in (*_ARRAYS, "radius_px")}
        return {name: value for name, value in values.items() if value is not None}

    def same_as(self, other: Spikes) -> bool:
        """True where every spike is the same."""
        return all(np.array_equal(getattr(self, name), getattr(other, name)) for name in (*_ARRAYS, "radius_px"))

    def to_npz(self, path: str | Path) -> None:
        """Write the arrays `t_us, x, y, channel, layer`, `radius_px` where there is one, and the scalar `layers`."""
        with Spool() as spool:
            spool.add(self.columns())
            write_spikes(path, spool, self.layers)

    @staticmethod
    def from_npz(path: str | Path) -> Spikes:
        """Raises TableError."""
        kinds = {"t_us": np.int64}
        try:
            with Path(path).open("rb") as handle, np.load(handle, allow_pickle=False) as arrays:
                _check_members(arrays.zip, most_unpacked(path))
                columns = {name: arrays[name].astype(kinds.get(name, np.int32)) for name in _ARRAYS}
                radius = arrays["radius_px"].astype(np.float64) if "radius_px" in arrays else None
                layers = int(arrays["layers"]) if "layers" in arrays else 0
                spikes = Spikes(**columns, layers=layers, radius_px=radius)
            lengths = [getattr(spikes, name).shape for name in _ARRAYS]
            if any(shape != (len(spikes),) for shape in [*lengths, *([] if radius is None else [radius.shape])]):
                raise ValueError("its arrays differ in length")
            return spikes
        except FileNotFoundError:
            raise TableError(f"{path} does not exist; check the path") from None
        except _DAMAGE as error:
            why = " ".join(str(error).split())
            raise TableError(f"{path} is not a table of spikes ({why}); write one with --spikes") from None


def _check_members(archive: zipfile.ZipFile, most_bytes: int) -> None:
    """Before memory is set aside for arrays. Raises ValueError."""
    members = archive.infolist()
    n_bytes = sum(member.file_size for member in members)
    if n_bytes > most_bytes:
        raise ValueError(
            f"it unpacks to {n_bytes >> 20} MB, more than the {most_bytes >> 20} MB that its length allows"
        )
    for member in members:
        with archive.open(member) as handle:
            if npy.read_magic(handle) != (1, 0):
                raise ValueError(f"'{member.filename}' is an array of another version than 1.0")
            shape, _, kind = npy.read_array_header_1_0(handle)
            if math.prod(shape) * kind.itemsize > member.file_size:
                raise ValueError(f"'{member.filename}' claims an array of shape {shape}")


def _ranks(values: NDArray[np.float64]) -> NDArray[Any]:
    """Numbers in the order of the values, of which a few differ."""
    rest = values
    found: list[float] = []
    while rest.size and len(found) < _FEW:
        found.append(float(rest[0]))
        rest = rest[rest != rest[0]]
    return values if rest.size else np.searchsorted(np.sort(found), values)


def _one_key(keys: list[NDArray[Any]]) -> NDArray[np.int64] | None:
    """What sorts as all keys do, the first one before the others; None where that takes more than 63 bits. Parts that
    are in order already are then merged in a fifth of the time."""
    if not keys[0].size or any(key.dtype.kind == "f" for key in keys):
        return None
    lows, bits = [], []
    for key in keys:
        lows.append(int(key.min()))
        bits.append((int(key.max()) - lows[-1]).bit_length())
    if sum(bits) > 63:
        return None
    whole = np.zeros(keys[0].size, np.int64)
    for key, low, width in zip(keys, lows, bits, strict=True):
        whole <<= width
        whole |= key.astype(np.int64) - low
    return whole


_FEW = 64
_ARRAYS = tuple(f.name for f in fields(Spikes) if f.name not in ("layers", "radius_px"))


def write_spikes(path: str | Path, spikes: Spool, layers: int) -> None:
    """Write what `Spikes.to_npz` does, column by column, so that memory stays bounded. spikes: `Spikes.columns`, piece
    after piece. Raises VelocellError where it cannot be written."""
    columns = {name: (kind, len(spikes), spikes.column(name)) for name, kind in spikes.types.items()}
    scalar = np.asarray(layers)
    members = {
        **{name: columns.pop(name) for name in _ARRAYS},
        "layers": (scalar.dtype, None, iter([scalar])),
        **columns,
    }
    with replacing(path) as part, zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, (kind, length, parts) in members.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                shape = () if length is None else (length,)
                head = {"descr": npy.dtype_to_descr(kind), "fortran_order": False, "shape": shape}
                npy.write_array_header_1_0(member, head)
                for values in parts:
                    member.write(np.ascontiguousarray(values).tobytes())
