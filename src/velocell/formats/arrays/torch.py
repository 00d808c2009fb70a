"""Tensors saved with torch.save, sparse COO or dense, read without torch and without running their pickle.

Shape (T, H, W) or (T, 2, H, W): frame, (OFF, ON), row = y, column = x; values are event counts.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from velocell.data.budget import Budget
from velocell.data.recording import Recording
from velocell.errors import RecordingError
from velocell.formats.arrays.archive import is_zip, member_names, opened, read_bytes
from velocell.formats.source import Opened, whole
from velocell.formats.wording import bare, shown

NAME = "torch tensor of event counts, (T, H, W) or (T, 2, H, W)"

_REMEDY = "save the tensor alone with torch.save(tensor.long(), path)"

_STORAGE_TYPES = {
    "ByteStorage": "u1",
    "CharStorage": "i1",
    "BoolStorage": "?",
    "ShortStorage": "i2",
    "IntStorage": "i4",
    "LongStorage": "i8",
    "HalfStorage": "f2",
    "FloatStorage": "f4",
    "DoubleStorage": "f8",
}
# Types without a storage class of their own are saved as bytes plus one of these names.
_TENSOR_TYPES = ("uint16", "uint32", "uint64")


_MAX_DIMENSIONS = 8
_BYTES_AN_EVENT = 40  # while frames become events
_FREE_EVENTS, _EVENTS_PER_ENTRY = 1_000_000, 1_000


@dataclass(frozen=True)
class _Storage:
    """A member data/KEY of the archive: `numel` values of `dtype`, not yet read."""

    dtype: np.dtype[Any]
    key: str
    numel: int


@dataclass(frozen=True)
class _Dense:
    """A view of a storage; offset and stride count values."""

    storage: _Storage
    dtype: np.dtype[Any]
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]


@dataclass(frozen=True)
class _Sparse:
    indices: _Dense
    values: _Dense
    shape: tuple[int, ...]


def matches(head: bytes, path: Path) -> bool:
    return is_zip(head) and any(_is_description(name) for name in member_names(path))


def open_file(
    path: Path, *, size: tuple[int, int] | None, frame_time_us: int, time_unit: str | None, budget: Budget
) -> Opened:
    return whole(read(path, size=size, frame_time_us=frame_time_us, budget=budget), NAME)


def read(
    path: Path, *, size: tuple[int, int] | None = None, frame_time_us: int = 1_000, budget: Budget | None = None
) -> Recording:
    """Read a tensor; frame k lies at k * frame_time_us, a count of n makes n events at that pixel.

    `size` (width, height) replaces the tensor's own. Raises RecordingError.
    """
    budget = Budget.of(path) if budget is None else budget
    with opened(path) as archive:
        prefix = next(name for name in archive.namelist() if _is_description(name)).removesuffix("data.pkl")
        reader = _Reader(path, archive, prefix, budget)
        tensor = reader.tensor()
        if isinstance(tensor, _Sparse):
            counts = reader.array(tensor.values)
            _check_total(counts, path, budget)
            index = reader.array(tensor.indices)
            _check_sparse(index, counts, tensor.shape, path)
            recording = Recording.from_counts(list(index), counts, tensor.shape, frame_time_us, source=str(path))
        else:
            counts = reader.array(tensor)
            _check_total(counts, path, budget)
            recording = Recording.from_dense(counts, frame_time_us, source=str(path))
    kind = "sparse" if isinstance(tensor, _Sparse) else "dense"
    notes = f"torch {kind} tensor of shape {tensor.shape}, {frame_time_us} us a frame; rows are y, columns are x"
    recording = replace(recording, notes=(notes,))
    if size is None or size == recording.size:
        return recording
    given = f"sensor size {size[0]}x{size[1]} as given; the tensor's is {recording.width}x{recording.height}"
    return Recording.from_arrays(
        recording.t_us,
        recording.x,
        recording.y,
        recording.p,
        width=size[0],
        height=size[1],
        start_us=recording.start_us,
        stop_us=recording.stop_us,
        source=recording.source,
        notes=(notes, given),
    )


class _Reader:
    """One archive: finds the tensor that its pickle describes and reads the values it points to."""

    def __init__(self, path: Path, archive: zipfile.ZipFile, prefix: str, budget: Budget) -> None:
        self.path, self.archive, self.prefix, self.budget = path, archive, prefix, budget

    def tensor(self) -> _Dense | _Sparse:
        # Only this format needs pickletools.
        from velocell.formats.arrays import pickle as torch_pickle

        member = self.archive.getinfo(f"{self.prefix}data.pkl")
        if member.file_size > torch_pickle.MAX_PICKLE_BYTES:
            raise RecordingError(f"{self.path} describes more than one tensor; {_REMEDY}")
        description = self._bytes(member).tobytes()
        try:
            tensor = torch_pickle.load(description, _names(), _storage)
        except torch_pickle.UnknownName as error:
            raise RecordingError(
                f"{self.path} refers to {shown(str(error))}, which a tensor of event counts does not need and which is "
                f"not run; {_REMEDY}"
            ) from None
        except (ValueError, TypeError, LookupError) as error:
            raise RecordingError(
                f"{self.path} does not hold one tensor of a known kind ({bare(str(error))}); {_REMEDY}"
            ) from None
        if not isinstance(tensor, _Dense | _Sparse):
            raise RecordingError(f"{self.path} does not hold one tensor; {_REMEDY}")
        return tensor

    def array(self, dense: _Dense) -> NDArray[Any]:
        """The values of a strided view, after checking that it stays inside its storage."""
        storage, dtype = dense.storage, dense.dtype
        n_bytes = storage.numel * storage.dtype.itemsize
        count, last = 1, dense.offset
        for length, step in zip(dense.shape, dense.stride, strict=True):
            count *= length
            last += (length - 1) * step
        available = n_bytes // dtype.itemsize
        if count and (last >= available or count > available):
            raise RecordingError(
                f"{self.path}: a tensor of shape {dense.shape} and stride {dense.stride} does not fit its {available} "
                "stored values; save tensor.contiguous()"
            )
        member = self.archive.getinfo(f"{self.prefix}data/{storage.key}")
        if member.file_size != n_bytes:
            raise ValueError(f"'data/{storage.key}' has {member.file_size} bytes instead of {n_bytes}")
        if not count:
            return np.empty(dense.shape, dtype)
        self.budget.check_held(count * dtype.itemsize, f"a tensor of shape {dense.shape}")
        data = self._bytes(member)
        strides = [step * dtype.itemsize for step in dense.stride]
        # A byte other than 0 and 1 is not a NumPy bool.
        stored = np.dtype(np.uint8) if dtype == np.bool_ else dtype.newbyteorder(self._byte_order())
        view: NDArray[Any] = np.ndarray(dense.shape, stored, data, dense.offset * dtype.itemsize, strides)
        return view != 0 if dtype == np.bool_ else view

    def _byte_order(self) -> Literal["<", ">"]:
        name = f"{self.prefix}byteorder"
        # Files from before torch 2.1 do not say; those machines were little-endian.
        text = self._bytes(self.archive.getinfo(name)).tobytes() if name in self.archive.namelist() else b"little"
        if text not in (b"little", b"big"):
            raise ValueError("unknown byte order")
        return "<" if text == b"little" else ">"

    def _bytes(self, member: zipfile.ZipInfo) -> NDArray[np.uint8]:
        self.budget.check_held(member.file_size, f"{shown(member.filename)}, unpacked,")
        with self.archive.open(member) as handle:
            return read_bytes(handle, member.file_size)


def _check_sparse(index: NDArray[Any], counts: NDArray[Any], shape: tuple[int, ...], path: Path) -> None:
    if index.dtype.kind != "i" or index.ndim != 2 or len(index) != len(shape) or counts.shape != index.shape[1:]:
        raise RecordingError(
            f"{path} holds a sparse tensor of shape {shape} with indices {index.shape} and values {counts.shape}, "
            "not one count for each position; save tensor.to_dense().to_sparse()"
        )


def _check_total(counts: NDArray[Any], path: Path, budget: Budget) -> None:
    """Refuse a small file that would make very many events."""
    if counts.dtype.kind not in "iuf":
        return
    with np.errstate(all="ignore"):
        total, entries = float(counts.sum(dtype=np.float64)), int(np.count_nonzero(counts))
    if total > _FREE_EVENTS + _EVENTS_PER_ENTRY * entries:
        raise RecordingError(
            f"{path} holds {total:.3g} events in {entries} entries of a tensor; its values must be event counts, not "
            "brightness"
        )
    if total > 0:
        budget.check_events(total)
        budget.check_held(int(total) * _BYTES_AN_EVENT, f"{total:.3g} events at once")


def _is_description(name: str) -> bool:
    return name == "data.pkl" or (name.endswith("/data.pkl") and name.count("/") == 1)


def _names() -> dict[str, Any]:
    """What stands for each name that a tensor's pickle may use."""
    return {
        "torch._utils _rebuild_tensor_v2": _rebuild_tensor,
        "torch._utils _rebuild_tensor_v3": _rebuild_tensor,
        "torch._utils _rebuild_sparse_tensor": _rebuild_sparse,
        "torch.serialization _get_layout": _layout,
        "torch Size": tuple,
        "collections OrderedDict": _no_hooks,
        "torch.storage UntypedStorage": np.dtype(np.uint8),
        **{f"torch {name}": np.dtype(code) for name, code in _STORAGE_TYPES.items()},
        **{f"torch {name}": np.dtype(name) for name in _TENSOR_TYPES},
    }


def _storage(persistent_id: Any) -> _Storage:
    kind, dtype, key, _device, numel = persistent_id
    if kind != "storage" or not isinstance(dtype, np.dtype) or not isinstance(key, str):
        raise ValueError("unknown storage")
    return _Storage(dtype, key, _length(numel))


def _rebuild_tensor(
    storage: Any, offset: Any, shape: Any, stride: Any, _requires_grad: Any, _hooks: Any, dtype: Any = None
) -> _Dense:
    if not isinstance(storage, _Storage):
        raise ValueError("a tensor without storage")
    shape, stride = _lengths(shape), _lengths(stride)
    if len(shape) != len(stride):
        raise ValueError("shape and stride of different lengths")
    chosen = dtype if isinstance(dtype, np.dtype) else storage.dtype
    return _Dense(storage, chosen, _length(offset), shape, stride)


def _rebuild_sparse(layout: Any, data: Any) -> _Sparse:
    if layout != "torch.sparse_coo":
        raise ValueError("a layout other than sparse_coo")
    indices, values, shape, *_coalesced = data
    if not isinstance(indices, _Dense) or not isinstance(values, _Dense):
        raise ValueError("a sparse tensor without indices or values")
    return _Sparse(indices, values, _lengths(shape))


def _layout(name: Any) -> str:
    if not isinstance(name, str):
        raise ValueError("a layout without a name")
    return name


def _no_hooks(*_entries: Any) -> None:
    """Hooks and metadata of a tensor are empty dictionaries; nothing here needs them."""


def _lengths(values: Any) -> tuple[int, ...]:
    if not isinstance(values, tuple) or len(values) > _MAX_DIMENSIONS:
        raise ValueError("a shape of too many dimensions")
    return tuple(_length(value) for value in values)


def _length(value: Any) -> int:
    if not isinstance(value, int) or not 0 <= value < 1 << 62:
        raise ValueError("a shape, stride or offset that is not a whole number")
    return value
