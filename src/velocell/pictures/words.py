"""Numbers and names as a reader sees them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from velocell.data.bands import Bands

MOST_ROWS = 12


def number_text(value: float) -> str:
    """Three digits, with thousands: 12,300."""
    if not np.isfinite(value):
        return "-"
    return f"{float(f'{value:.3g}'):,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def span_text(start_us: int, stop_us: int) -> str:
    """Times that count from 1970 have more digits than `:g` keeps."""
    start, stop = (f"{us / 1e6:.6f}".rstrip("0").rstrip(".") for us in (start_us, stop_us))
    return f"{start} s to {stop} s ({(stop_us - start_us) / 1e6:g} s)"


def degrees_text(heading: float) -> str:
    return f"{round(heading) % 360}" if np.isfinite(heading) else "-"


def count_text(n: int, what: str) -> str:
    return f"{n:,} {what}{'' if n == 1 else 's'}"


def with_error(value: float, error: float) -> str:
    """`31.3 ± 0.1`."""
    if not np.isfinite(value):
        return "-"
    return f"{value:.1f} ± {error:.1f}" if np.isfinite(error) else f"{value:.1f}"


def bands_text(bands: Bands) -> str:
    """`slow 16-62, fast 62-177 px/s`."""
    parts = [
        f"{name} {low:g} to {high:g}"
        for name, low, high in zip(bands.names, bands.edges, bands.edges[1:], strict=False)
    ]
    listed = ", ".join(parts[:MOST_ROWS])
    return f"{listed} px/s" if len(parts) <= MOST_ROWS else f"{listed}, and {len(parts) - MOST_ROWS} more"


def band_name(names: Sequence[str], band: int) -> str:
    return "outside all bands" if band < 0 else names[band] if band < len(names) else f"band {band}"
