"""Writing AEDAT4 with dv-processing, without loss.

What AEDAT4 has no place for stands in the name of the camera, which other readers only show: the span, and
that the recording has no polarity (all events are ON then).
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain, repeat
from pathlib import Path
from typing import Any, Literal, get_args

from velocell.data.files import replacing
from velocell.data.recording import Recording
from velocell.errors import RecordingError, VelocellError
from velocell.formats.aedat.aedat4 import camera_name, is_closed

Compression = Literal["lz4", "zstd", "none"]

_LARGEST = 1 << 15
_PACKET = 1 << 14


def write_aedat4(
    recording: Recording | Iterable[Recording], path: str | Path, *, compression: Compression = "lz4"
) -> None:
    """Write a recording, or its consecutive blocks, as AEDAT4. Needs the extra `dv`.

    An existing file is replaced only once the new one is complete. Raises VelocellError where it cannot be
    written, RecordingError where the format cannot hold it: sensors of more than 32768 px a side.
    """
    if compression not in get_args(Compression):
        raise RecordingError(f"compression {compression!r} is unknown; use {', '.join(get_args(Compression))}")
    dv = dv_processing("writing AEDAT4")
    blocks = iter([recording] if isinstance(recording, Recording) else recording)
    first = next(blocks, None)
    if first is None:
        raise RecordingError(f"cannot write {path}: there is nothing to write")
    if max(first.size) > _LARGEST:
        raise RecordingError(
            f"cannot write {path}: AEDAT4 holds sensors of up to {_LARGEST} px a side, not {first.width}x"
            f"{first.height}; crop or downsample it, or write .npz"
        )
    with replacing(path) as part:
        if not part.is_file():
            raise RecordingError(f"cannot write {path}: this format needs a regular file; name one")
        last = _write(dv, part, first, blocks, compression)
        # dv-processing writes in a thread of its own, which does not report a full disk.
        if not is_closed(part):
            raise VelocellError(f"cannot write {path}: the file is incomplete; free some space on the disk")
        _set_span(part, first, last)


def _write(dv: Any, part: Path, first: Recording, more: Iterable[Recording], compression: Compression) -> Recording:
    """Writes all blocks; the last of them. The file is complete once the writer is gone."""
    name = camera_name(first.start_us, first.stop_us, first.p is not None)
    config = dv.io.MonoCameraWriter.EventOnlyConfig(
        name, first.size, dv.CompressionType.__members__[compression.upper()]
    )
    writer = dv.io.MonoCameraWriter(str(part), config)
    last = first
    for last in chain([first], more):
        for k in range(0, len(last), _PACKET):
            writer.writeEventPacket(_packet(dv, last, slice(k, k + _PACKET)))
    return last


def _packet(dv: Any, block: Recording, part: slice) -> Any:
    p = repeat(True) if block.p is None else block.p[part].tolist()
    events = map(dv.Event, block.t_us[part].tolist(), block.x[part].tolist(), block.y[part].tolist(), p)
    return dv.EventPacket(dv.EventPacket.EventVector(events))


def _set_span(part: Path, first: Recording, last: Recording) -> None:
    """Now that the end is known; the name keeps its length."""
    written, wanted = (
        camera_name(first.start_us, stop_us, first.p is not None).encode("ascii")
        for stop_us in (first.stop_us, last.stop_us)
    )
    with part.open("r+b") as handle:
        at = handle.read(1 << 16).find(written)
        handle.seek(at)
        handle.write(wanted)


def dv_processing(purpose: str) -> Any:
    """The package. Raises RecordingError that says what needs it, where the extra `dv` is missing."""
    try:
        import dv_processing as package
    except ImportError as error:
        raise RecordingError(
            f"{purpose} needs dv-processing ({error}); install it with: pip install 'velocell[dv]'"
        ) from None
    return package
