"""What a recording holds, in figures: the integrity report of `velocell info`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from velocell.data.blocks import joined
from velocell.data.integrity import GAP_US, Integrity
from velocell.data.recording import Recording
from velocell.data.stamps import NO_STEP, time_step
from velocell.filters.hot_pixels import PixelCounts, hot_among
from velocell.formats import Source

RATE_BIN_US = 10_000
MOST_RATES = 64
_STAMPS = 200_000


@dataclass(frozen=True)
class Summary:
    """Figures about one recording. Rates in events per second; times as in the file, in microseconds.

    format, format_from, size_from: what it is, and in words how that was inferred; notes: what else there is to say.
    first_us, last_us: of the events; start_us, stop_us: of the span that the recording covers.
    peak_rate: in the busiest 10 ms. rates: in consecutive bins of rates_bin_us, at most 64, from start_us on.
    on_share: of the events; None without polarity. hot_pixels: as `filters.hot_pixels` defines them.
    step_us: in which time stamps come, scanned: row or column by column (`stamps.time_step`); of the first 200 000
    events.
    gaps: silences of 100 ms and more between two events, and from the last one to the end of the span, or from its
    start to the first; longest_gap_us, and when it starts.
    integrity: counts by name, see `integrity.FACTS` and `integrity.FAULTS`.
    """

    file: str
    format: str
    format_from: str
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
    rates: tuple[float, ...]
    rates_bin_us: int
    step_us: int
    scanned: str
    on_share: float | None
    active_pixels: int
    hot_pixels: int
    gaps: int
    longest_gap_us: int
    longest_gap_at_us: int | None
    integrity: dict[str, int]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values by name."""
        return {**asdict(self), "notes": list(self.notes), "rates": list(self.rates)}


def summarise(recording: Recording | Source) -> Summary:
    """Count, a Source block by block; the work grows with the events, not with the duration.

    Raises RecordingError where the file cannot be read.
    """
    tally = _Tally(recording.width, recording.height)
    tally.add_all([recording] if isinstance(recording, Recording) else recording.blocks())
    if isinstance(recording, Recording):
        format_, *notes = recording.notes or ("events in memory",)
        return tally.summary(recording.source, format_, "", "", notes, Integrity())
    return tally.summary(
        str(recording.path),
        recording.format,
        recording.why,
        recording.size_from,
        (*recording.remarks, *filter(None, [recording.integrity.silent_end])),
        recording.integrity,
    )


class _Tally:
    """What has been counted so far."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.events = self.on = self.gaps = self.longest_us = self.busiest = 0
        self.longest_at_us: int | None = None
        self.start_us: int | None = None
        self.stop_us = 0
        self.first_us: int | None = None
        self.last_us: int | None = None
        self.bin, self.in_bin = -1, 0
        self.rates = _Rates()
        self.begin: list[Recording] = []
        self.pixels = PixelCounts(width, height)
        self.polarity = True

    def add_all(self, blocks: Iterable[Recording]) -> None:
        for block in blocks:
            if self.start_us is None:
                self.start_us, self.polarity = block.start_us, block.p is not None
            self.stop_us = block.stop_us
            if len(block):
                self._add(block)
        if self.last_us is not None and self.stop_us - self.last_us > GAP_US:
            self._count_gaps(np.array([self.last_us, self.stop_us]))

    def _add(self, block: Recording) -> None:
        t = block.t_us
        self.events += t.size
        self.on += 0 if block.p is None else int(np.count_nonzero(block.p))
        self.first_us = int(t[0]) if self.first_us is None else self.first_us
        before_us = self.start_us if self.last_us is None else self.last_us
        self._count_gaps(np.concatenate([[t[0] if before_us is None else before_us], t]))
        self.last_us = int(t[-1])
        self._count_bins(t // RATE_BIN_US)
        self.rates.add(t - (self.start_us or 0))
        if (missing := _STAMPS - sum(map(len, self.begin))) > 0:
            self.begin.append(block.slice(0, missing))
        self.pixels.add(block)

    def _count_gaps(self, t_us: NDArray[np.int64]) -> None:
        """Silences between consecutive times (n,)."""
        silences = np.diff(t_us)
        longest = int(np.argmax(silences))
        if silences[longest] >= GAP_US:
            self.gaps += int(np.count_nonzero(silences >= GAP_US))
            if silences[longest] > self.longest_us:
                self.longest_us = int(silences[longest])
                self.longest_at_us = int(t_us[longest])

    def _count_bins(self, bins: NDArray[np.int64]) -> None:
        """Events in the busiest bin. By run lengths: a clock that jumps by days must not make millions of bins."""
        edges = np.flatnonzero(np.diff(bins, prepend=-1, append=-1))
        lengths = np.diff(edges)
        if int(bins[0]) == self.bin:
            lengths[0] += self.in_bin
        self.busiest = max(self.busiest, int(lengths.max()))
        self.bin, self.in_bin = int(bins[-1]), int(lengths[-1])

    def summary(
        self, file: str, format_: str, why: str, size_from: str, notes: Iterable[str], integrity: Integrity
    ) -> Summary:
        start_us = self.start_us or 0
        duration_us = self.stop_us - start_us
        sized = [note for note in notes if note.startswith("sensor size")]
        pixel, count = self.pixels.counts()
        step = time_step(joined(self.begin)) if self.begin else NO_STEP
        return Summary(
            file=file,
            format=format_,
            format_from=why,
            width=self.width,
            height=self.height,
            size_from=size_from or (sized[0] if sized else "as the file says"),
            events=self.events,
            start_us=start_us,
            stop_us=self.stop_us,
            first_us=self.first_us,
            last_us=self.last_us,
            mean_rate=self.events / duration_us * 1e6 if self.events else 0.0,
            peak_rate=self.busiest / RATE_BIN_US * 1e6,
            rates=self.rates.per_second(duration_us),
            rates_bin_us=self.rates.bin_us,
            step_us=step.us,
            scanned=step.scanned,
            on_share=self.on / self.events if self.events and self.polarity else None,
            active_pixels=int(pixel.size),
            hot_pixels=int(hot_among(pixel, count, self.width).size),
            gaps=self.gaps,
            longest_gap_us=self.longest_us,
            longest_gap_at_us=self.longest_at_us,
            integrity=integrity.to_dict(),
            notes=tuple(note for note in notes if note not in sized),
        )


class _Rates:
    """Events in bins of equal length; bins are doubled whenever there would be too many of them."""

    def __init__(self) -> None:
        self.bin_us = RATE_BIN_US
        self.events = np.zeros(MOST_RATES, np.int64)

    def add(self, t_us: NDArray[np.int64]) -> None:
        """Events at times (n,) since the start."""
        while t_us[-1] >= MOST_RATES * self.bin_us:
            self.bin_us *= 2
            self.events = np.concatenate([self.events.reshape(-1, 2).sum(axis=1), np.zeros(MOST_RATES // 2, np.int64)])
        self.events += np.bincount(t_us // self.bin_us, minlength=MOST_RATES)

    def per_second(self, duration_us: int) -> tuple[float, ...]:
        """The last bin may be cut short."""
        lengths = np.clip(duration_us - self.bin_us * np.arange(MOST_RATES), 0, self.bin_us)
        used = lengths > 0
        return tuple((self.events[used] * 1e6 / lengths[used]).tolist())
