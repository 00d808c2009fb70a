"""What all figures share: sizes as printed, type, colours of bands, and how they are written.

Figures have the size they are printed at, one column (3.5 in) or a page (7.2 in) wide, so that their 7 and 8 pt
type is read as such. Files of vectors keep text as text.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from velocell.data.bands import Bands
from velocell.data.files import replacing
from velocell.errors import VelocellError
from velocell.pictures.colors import band_color, hex_color

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

COLUMN_IN = 3.5
PAGE_IN = 7.2
LABEL_PT = 8
SMALL_PT = 7
INK = "#2b3038"
PALE = "#9aa2ae"
_DPI = 300
_LATE_US = 10_000_000_000  # times above have too many digits for ticks
# The names of fonts and letters, not their outlines; the same file each time.
_AS_TEXT: dict[Any, Any] = {"svg.fonttype": "none", "pdf.fonttype": 42, "ps.fonttype": 42, "svg.hashsalt": "velocell"}
_writing = threading.Lock()


def save_figure(figure: Figure, path: str | Path) -> None:
    """Write a figure by suffix: .png, .svg, .pdf, ... Raises VelocellError for an unknown one."""
    from matplotlib import rc_context

    suffix = Path(path).suffix[1:].lower()
    known = figure.canvas.get_supported_filetypes()
    if suffix not in known:
        raise VelocellError(
            f"cannot write a figure to '{path}': the suffix must be one of .{', .'.join(sorted(known))}"
        )
    # These settings exist only globally, so they are set while one figure is written.
    drawn = io.BytesIO()  # some of Matplotlib's writers do not bear an error of the disk
    with _writing, rc_context(_AS_TEXT):
        figure.savefig(drawn, format=suffix, dpi=_DPI)
    with replacing(path) as part:
        part.write_bytes(drawn.getvalue())


def grid(
    rows: int,
    columns: int,
    inches: tuple[float, float],
    *,
    sharex: bool = False,
    sharey: bool = False,
    **plan: Any,
) -> tuple[Figure, list[list[Axes]]]:
    """A figure with rows x columns of axes; `plan`: further settings of the grid, such as width_ratios."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=inches, layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False, sharex=sharex, sharey=sharey, **plan)
    for axes in panels.flat:
        dress(axes)
    return figure, panels.tolist()


def dress(axes: Axes) -> None:
    """Type and lines of one size; no box around."""
    axes.spines[["top", "right"]].set_visible(False)
    for spine in axes.spines.values():
        spine.set_linewidth(0.6)
    axes.tick_params(labelsize=SMALL_PT, width=0.6, length=2.5)
    axes.tick_params(which="minor", width=0.4, length=1.5)
    for label in (axes.xaxis.label, axes.yaxis.label):
        label.set_fontsize(LABEL_PT)


def title(axes: Axes, text: str) -> None:
    axes.set_title(text, loc="left", fontsize=LABEL_PT)


def legend(axes: Axes, *, above: bool = False, **settings: Any) -> None:
    """Without a frame; `above` the axes, as one line, where curves would be in its way."""
    place: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (0, 1), "borderaxespad": 0.2} if above else {}
    style = {"frameon": False, "fontsize": SMALL_PT, "handlelength": 1.4, "columnspacing": 1.2, "borderpad": 0.2}
    axes.legend(**{**style, **place, **settings})


def band_hex(band: int, bands: int) -> str:
    """`#rrggbb` of a band out of `bands`."""
    return hex_color(band_color(band, bands))


def channel_hex(channel: int, names: Sequence[str]) -> str:
    """Of a channel; one beyond the bands, which only vetoes, is as ink."""
    return band_hex(channel, len(names)) if channel < len(names) else INK


def clock_origin_us(t_us: NDArray[np.int64]) -> int:
    """Where times on an axis count from: 0, but of a camera that counts from 1970 its first whole second."""
    first = int(t_us.min()) if t_us.size else 0
    return first // 1_000_000 * 1_000_000 if first >= _LATE_US else 0


def time_label(origin_us: int) -> str:
    return f"time after {origin_us // 1_000_000} s (s)" if origin_us else "time (s)"


def over_bands(axes: Axes, bands: Bands) -> None:
    """A logarithmic axis of speeds with the bands behind it."""
    for k, (low, high) in enumerate(pairwise(bands.edges)):
        axes.axvspan(low, high, color=band_hex(k, len(bands)), alpha=0.1, lw=0)
    axes.set_xscale("log")
    label_edges(axes.xaxis, bands)
    axes.set_xlabel("speed (px/s)")


def label_edges(axis: Axis, bands: Bands) -> None:
    """Ticks of a logarithmic axis at the bands' edges, in plain numbers."""
    from matplotlib.ticker import FixedLocator, NullLocator

    axis.set_major_locator(FixedLocator(bands.edges))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter("{x:g}")
