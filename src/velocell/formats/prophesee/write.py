"""Writing Prophesee RAW (EVT2, EVT3) and DAT (version 2), without loss; `native/encode.hpp` makes the words.

What these formats have no place for stands in header lines `% velocell_...` that other readers skip: the span,
whole turns of the clock before the first event, and that the recording has no polarity (all events are ON then).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from velocell.data.files import replacing
from velocell.data.recording import Recording
from velocell.errors import RecordingError
from velocell.formats.prophesee.header import BASE, NO_POLARITY, SPAN

_YEAR_US = 1 << 45  # a longer gap would need more words than events do


@dataclass(frozen=True)
class _Target:
    """One format. encoder: in the C++ core. turn_us: of its clock. longest_gap_us, largest: what fits, in us and px."""

    name: str
    encoder: str
    lines: Callable[[Recording], tuple[str, ...]]
    turn_us: int
    longest_gap_us: int
    largest: int
    end: bytes


def _raw(version: str) -> Callable[[Recording], tuple[str, ...]]:
    return lambda block: (
        f"evt {version}.0",
        f"format EVT{version};height={block.height};width={block.width}",
        f"geometry {block.width}x{block.height}",
    )


def _dat(block: Recording) -> tuple[str, ...]:
    return "Data file containing CD events.", "Version 2", f"Height {block.height}", f"Width {block.width}"


_EVT2 = _Target("EVT2", "Evt2Encoder", _raw("2"), 1 << 34, _YEAR_US, 1 << 11, b"% end\n")
_EVT3 = _Target("EVT3", "Evt3Encoder", _raw("3"), 1 << 24, _YEAR_US, 1 << 11, b"% end\n")
_DAT2 = _Target("DAT", "Dat2Encoder", _dat, 1 << 32, (1 << 31) - 1, 1 << 14, b"\x0c\x08")


def write_evt2(recording: Recording | Iterable[Recording], path: str | Path) -> None:
    """Write a recording, or its consecutive blocks, as Prophesee RAW of EVT2 words.

    An existing file is replaced only once the new one is complete. Raises VelocellError where it cannot be
    written, RecordingError where the format cannot hold it: sensors of more than 2048 px, gaps of more than a year.
    """
    _write(recording, path, _EVT2)


def write_evt3(recording: Recording | Iterable[Recording], path: str | Path) -> None:
    """The same of EVT3 words."""
    _write(recording, path, _EVT3)


def write_dat(recording: Recording | Iterable[Recording], path: str | Path) -> None:
    """The same as Prophesee DAT, version 2: sensors up to 16384 px, gaps of less than 35 minutes."""
    _write(recording, path, _DAT2)


def _write(recording: Recording | Iterable[Recording], path: str | Path, target: _Target) -> None:
    import velocell._native as core  # not loaded just to show a command's help

    blocks = [recording] if isinstance(recording, Recording) else recording
    encoder = getattr(core, target.encoder)()
    first: Recording | None = None
    base_us, last_us, stop_us = 0, None, 0
    with replacing(path) as part, part.open("wb") as handle:
        if not handle.seekable():
            raise RecordingError(f"cannot write {path}: this format needs a regular file; name one")
        for block in blocks:
            if first is None:
                first = block
                _check_size(block, target, path)
                _write_header(handle, target, block, 0, (0, 0))
            stop_us = max(stop_us, block.stop_us)
            if not len(block):
                continue
            if last_us is None:
                base_us = int(block.t_us[0]) // target.turn_us * target.turn_us
            _check_gaps(block, last_us, target, path)
            last_us = int(block.t_us[-1])
            p = np.ones(len(block), np.uint8) if block.p is None else block.p.view(np.uint8)
            columns = (block.t_us - base_us, block.x, block.y, p)
            handle.write(encoder.feed(*map(np.ascontiguousarray, columns)))
        if first is None:
            raise RecordingError(f"cannot write {path}: there is nothing to write")
        # Now that all is known; the lines keep their lengths.
        handle.seek(0)
        _write_header(handle, target, first, base_us, (first.start_us, stop_us))


def _write_header(handle: IO[bytes], target: _Target, block: Recording, base_us: int, span: tuple[int, int]) -> None:
    lines = [*target.lines(block), f"{SPAN} {span[0]:019d}:{span[1]:019d}", f"{BASE} {base_us:018d}"]
    if block.p is None:
        lines.append(f"{NO_POLARITY} 1")
    handle.write("".join(f"% {line}\n" for line in lines).encode("ascii") + target.end)


def _check_size(block: Recording, target: _Target, path: str | Path) -> None:
    if max(block.size) > target.largest:
        raise RecordingError(
            f"cannot write {path}: {target.name} holds sensors of up to {target.largest} px a side, not "
            f"{block.width}x{block.height}; crop or downsample it, or write .npz"
        )


def _check_gaps(block: Recording, last_us: int | None, target: _Target, path: str | Path) -> None:
    gaps = np.diff(block.t_us, prepend=block.t_us[0] if last_us is None else last_us)
    if gaps.max() > target.longest_gap_us:
        at = int(np.argmax(gaps))
        raise RecordingError(
            f"cannot write {path}: there are no events for {gaps[at] / 1e6:.0f} s before {block.t_us[at]} us, and "
            f"{target.name} can only store gaps of up to {target.longest_gap_us / 1e6:.0f} s; "
            "cut it there, or write .npz"
        )
