"""Tables for people, made with rich."""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from velocell.cli.progress import rate_text
from velocell.data.bands import Bands
from velocell.data.integrity import FACTS, FAULTS, is_warning
from velocell.data.tracks import Tracks
from velocell.data.units import format_time
from velocell.errors import printable
from velocell.results.counting import DIRECTIONS, Crossing
from velocell.results.objects import objects
from velocell.results.scores import Scores
from velocell.studies.summary import RATE_BIN_US, Summary

_BARS, _PLAIN_BARS = " \u2581\u2582\u2583\u2584\u2585\u2586\u2587\u2588", " .:-=+*#@"


def can_show(text: str) -> bool:
    """Whether what reads stdout understands it."""
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def found_text(found: Sequence[int], bands: Bands, doubtful: int = 0) -> str:
    """`3 objects (1 slow, 1 medium, 1 fast), 1 of them below confidence .5`; found: the band of each object."""
    counts = Counter(found)
    total = sum(counts.values())
    listed = ", ".join(f"{counts[band]} {bands.name(band)}" for band in [*range(len(bands)), -1] if counts[band])
    unsure = f", {'' if total == 1 else f'{doubtful} of them '}below confidence .5" if doubtful else ""
    return f"{total or 'no'} object{'' if total == 1 else 's'}" + (f" ({listed})" if listed else "") + unsure


def crossed_text(found: Sequence[Crossing], line: int, bands: Bands) -> str:
    """`2 to the right (1 slow, 1 fast), 0 to the left`."""
    words = []
    for direction, name in zip(DIRECTIONS, ("to the right", "to the left"), strict=True):
        counts = Counter(item.band for item in found if item.line == line and item.direction == direction)
        listed = ", ".join(f"{counts[band]} {bands.name(band)}" for band in [*range(len(bands)), -1] if counts[band])
        words.append(f"{sum(counts.values())} {name}" + (f" ({listed})" if listed else ""))
    return ", ".join(words)


def objects_table(tracks: Tracks, bands: Bands) -> Table:
    table = _table("objects", "id", "band")
    for heading in ("speed px/s", "radius px", "from s", "to s", "rows"):
        table.add_column(heading, justify="right")
    for item in objects(tracks):
        table.add_row(
            str(item.id),
            bands.name(item.band),
            _number(item.speed_px_s, ".1f"),
            _number(item.radius_px, ".1f"),
            f"{item.first_us / 1e6:.3f}",
            f"{item.last_us / 1e6:.3f}",
            str(item.rows),
        )
    return table


def scores_table(scores: Scores) -> Table:
    table = _table("against the truth", "figure", "value", "of")
    table.columns[1].justify = "right"
    table.add_row("recall", _number(scores.recall, ".4f"), f"{scores.steps} steps of {scores.objects} objects")
    table.add_row("precision", _number(scores.precision, ".4f"), scores.precision_of)
    table.add_row("band accuracy", _number(scores.band_accuracy, ".4f"), scores.band_accuracy_of)
    table.add_row("localisation, median", _number(scores.localisation_median_px, ".3f", " px"), "matching rows")
    table.add_row("localisation, rms", _number(scores.localisation_rms_px, ".3f", " px"), "")
    table.add_row("speed error, median", _number(100 * scores.speed_error_median, ".2f", " %"), "")
    table.add_row("heading error, median", _number(scores.heading_error_median_deg, ".2f", " deg"), "")
    table.add_row("id switches", str(scores.id_switches), f"{scores.objects} objects")
    table.add_row("fragments", str(scores.fragmentations), "times an object was found again")
    for name in ("idf1", "hota", "mota"):
        table.add_row(name.upper(), _number(getattr(scores, name), ".4f"), "as MOTChallenge scores boxes")
    table.add_row("false tracks", str(scores.false_tracks), "")
    for channel, purity in enumerate(scores.purity):
        table.add_row(f"purity, channel {channel}", "silent" if purity is None else f"{purity:.4f}", "its spikes")
    return table


def fit_table(before: Scores, after: Scores) -> Table:
    """Scores on the labels before and after a calibration was adjusted to them."""
    table = _table("on the labels", "figure", "before", "after", "of")
    for column in table.columns[1:3]:
        column.justify = "right"
    rows = {
        "recall": ("recall", f"{after.steps} steps of {after.objects} objects"),
        "precision": ("precision", f"{after.precision_of} (after)"),
        "band_accuracy": ("band accuracy", f"{after.band_accuracy_of} (after)"),
    }
    for name, (words, of) in rows.items():
        table.add_row(words, *(_number(getattr(scores, name), ".4f") for scores in (before, after)), of)
    return table


def confusion_table(scores: Scores, bands: Bands) -> Table:
    names = [*bands.names, "outside"]
    table = _table("rows by true and predicted band", "true band")
    for name in names:
        table.add_column(name, justify="right")
    for name, row in zip(names, scores.confusion, strict=True):
        table.add_row(name, *(str(count) for count in row))
    return table


def summary_table(summary: Summary) -> Table:
    table = _table(summary.file)
    table.show_header = False
    seconds = (summary.stop_us - summary.start_us) / 1e6
    table.add_row("format", f"{summary.format} ({summary.format_from})" if summary.format_from else summary.format)
    table.add_row("sensor", f"{summary.width}x{summary.height} px ({summary.size_from})")
    table.add_row("events", str(summary.events))
    table.add_row("duration", f"{seconds:.6f} s, {summary.start_us} to {summary.stop_us} us")
    if summary.first_us is not None:
        table.add_row("events from, to", f"{summary.first_us} us, {summary.last_us} us")
    scanned = f", {summary.scanned} by {summary.scanned}" if summary.scanned else ""
    table.add_row("stamps", f"in steps of {format_time(summary.step_us)}{scanned}")
    rate = f"{rate_text(summary.mean_rate)} on average"
    if summary.stop_us - summary.start_us > RATE_BIN_US:
        rate += f", {rate_text(summary.peak_rate)} in the busiest 10 ms"
    table.add_row("rate", rate)
    table.add_row("rate over time", _curve(summary.rates))
    share = "none" if summary.on_share is None else f"{100 * summary.on_share:.1f} % of the events are ON"
    table.add_row("polarity", share)
    table.add_row("pixels", f"{summary.active_pixels} with events, {summary.hot_pixels} hot")
    gaps = "none of 100 ms or more"
    if summary.longest_gap_at_us is not None:
        longest_s = summary.longest_gap_us / 1e6
        gaps = f"{summary.gaps} of 100 ms or more, the longest {longest_s:.3f} s from {summary.longest_gap_at_us} us"
    table.add_row("gaps", gaps)
    for name, words in (FACTS | FAULTS).items():
        if summary.integrity[name]:
            table.add_row(name.replace("_", " "), f"{summary.integrity[name]} {words}")
    warned = [note for note in summary.notes if is_warning(note)]
    if not warned and not any(summary.integrity[name] for name in FAULTS):
        table.add_row("faults", "none")
    for note in summary.notes:
        table.add_row("warning" if note in warned else "note", note)
    return table


def _curve(rates: tuple[float, ...]) -> str:
    """A bar for each rate, the highest full."""
    bars = _BARS if can_show(_BARS) else _PLAIN_BARS
    highest = max(rates, default=0.0)
    return "".join(bars[math.ceil(rate / highest * 8)] for rate in rates) if highest else "-"


def _table(title: str, *headings: str) -> Table:
    # File names may hold square brackets, which would be read as markup.
    return Table(
        *headings, title=Text(printable(title), "bold"), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False
    )


def _number(value: float, form: str, unit: str = "") -> str:
    return "-" if math.isnan(value) else f"{value:{form}}{unit}"
