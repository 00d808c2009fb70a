"""What a recording holds, in figures: the integrity report of `velocell info`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from velocell.hygiene import hot_among, pixel_counts
from velocell.recording import Recording

RATE_BIN_US = 10_000
GAP_US = 100_000  # silence of this length between two events is reported


@dataclass(frozen=True)
class Summary:
    """Figures about one recording. Rates in events per second; times as in the file, in microseconds.

    format, size_from: in words, how they were inferred; notes: what else there is to say.
    first_us, last_us: of the events; start_us, stop_us: of the span that the recording covers.
    peak_rate: in the busiest 10 ms. on_share: of the events; None without polarity.
    hot_pixels: as `hygiene.hot_pixels` defines them.
    gaps: silences of 100 ms and more between two events; longest_gap_us, and when it starts.
    """

    file: str
    format: str
    width: int
    height: int
    size_from: str
    events: int
    start_us: int
    stop_us: int
    first_us: int | None
    last_us: int | None
    mean_rate: float
    peak_rate: float
    on_share: float | None
    active_pixels: int
    hot_pixels: int
    gaps: int
    longest_gap_us: int
    longest_gap_at_us: int | None
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values by name."""
        return {**asdict(self), "notes": list(self.notes)}


def summarise(recording: Recording) -> Summary:
    """Count; the work grows with the events, not with sensor or duration."""
    t, n = recording.t_us, len(recording)
    format_, *notes = recording.notes or ("events in memory",)
    sized = [note for note in notes if note.startswith("sensor size")]
    silences = np.diff(t)
    gaps = np.flatnonzero(silences >= GAP_US)
    longest = int(gaps[np.argmax(silences[gaps])]) if gaps.size else -1
    pixel, count = pixel_counts(recording)
    return Summary(
        file=recording.source,
        format=format_,
        width=recording.width,
        height=recording.height,
        size_from=sized[0] if sized else "as the file says",
        events=n,
        start_us=recording.start_us,
        stop_us=recording.stop_us,
        first_us=int(t[0]) if n else None,
        last_us=int(t[-1]) if n else None,
        mean_rate=n / recording.duration_us * 1e6 if n else 0.0,
        peak_rate=_busiest(t) / RATE_BIN_US * 1e6,
        on_share=float(np.mean(recording.p)) if n and recording.p is not None else None,
        active_pixels=int(pixel.size),
        hot_pixels=int(hot_among(pixel, count, recording.width).size),
        gaps=int(gaps.size),
        longest_gap_us=int(silences[longest]) if gaps.size else 0,
        longest_gap_at_us=int(t[longest]) if gaps.size else None,
        notes=tuple(note for note in notes if note not in sized),
    )


def _busiest(t_us: NDArray[np.int64]) -> int:
    """Events in the busiest bin. By run lengths: a clock that jumps by days must not make millions of bins."""
    bins = t_us // RATE_BIN_US
    edges = np.flatnonzero(np.diff(bins, prepend=-1, append=-1))
    return int(np.diff(edges).max(initial=0))
