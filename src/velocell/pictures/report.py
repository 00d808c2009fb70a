"""A report: one HTML file that holds all it shows and asks nobody for anything.

Pictures and clip are in it as data, of bounded size; the page forbids itself any request. Colours follow
the reader's choice of light or dark, and it prints.
"""

from __future__ import annotations

import base64
import io
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from velocell.data.bands import Bands
from velocell.data.files import replacing
from velocell.data.html import shown
from velocell.data.meta import version
from velocell.data.recording import Recording
from velocell.data.tracks import Tracks
from velocell.filters import camera_motion
from velocell.network.origin import told_by_radius, told_by_stamps, too_sparse_text
from velocell.pictures.colors import band_color, hex_color
from velocell.pictures.figures.scores import plot_speeds
from velocell.pictures.figures.tracks import plot_overview, plot_xt
from velocell.pictures.figures.tuning import plot_tuning_layers
from velocell.pictures.video.clip import animate, player
from velocell.pictures.words import number_text, with_error
from velocell.results.objects import ObjectSummary, objects
from velocell.studies.tuning import tuning

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from velocell.tracking.detection import Detection

MOST_OBJECTS = 500
_CLIP_FROM_PX = 480  # a smaller picture is magnified
_CLIP_MOST_PX = 1280
_DPI = 200
_PX_PER_IN = 145  # as shown


def write_report(
    path: str | Path,
    found: Detection,
    recording: Recording,
    *,
    settings: Mapping[str, Any] | None = None,
    command: str = "",
    fps: float = 25,
    slow_motion: float | None = None,
    curves: bool = True,
) -> None:
    """Write what was found in a recording as one HTML file.

    settings, command: what the caller chose, shown in the report. fps, slow_motion: of the clip, as
    `video.animate` takes them. curves: measure the network's tuning with simulated disks and show it; leave it
    out for networks that look for other shapes. Raises VelocellError where it cannot be written.
    """
    bands = found.network.bands
    assert bands is not None  # detection needs them
    tracks = found.tracks
    title = Path(recording.source).name or "recording"
    sections = [
        _headline(recording, tracks, bands, _warnings(recording, found)),
        _clip(recording, found, bands, fps, slow_motion),
        _figures(recording, found, bands),
        _object_table(tracks, bands),
        _network(found, curves=curves),
        _section(
            "Recording",
            shown(replace(recording, notes=())),
            _list("Notes on the file and what was done to it", recording.notes),
        ),
        _section("Settings", _facts((name, _value(value)) for name, value in (settings or {}).items())),
        _origin(command, recording),
    ]
    page = _PAGE.format(
        title=escape(f"Velocell: {title}"), heading=escape(title), style=_STYLE, body="\n".join(filter(None, sections))
    )
    with replacing(path) as part:
        part.write_text(page, encoding="utf-8", errors="backslashreplace")  # names of files may be any bytes


# --- sections -----------------------------------------------------------------------------------------


def _warnings(recording: Recording, found: Detection) -> list[str]:
    """Why the table may not be what it looks like."""
    warnings = []
    if (motion := camera_motion(recording)).moves:
        warnings.append(motion.reason)
    if (stamps := told_by_stamps(found.network)) is not None:
        warnings.append(stamps)
    if (size := told_by_radius(found.network)) is not None:
        warnings.append(size)
    if found.crowding.told is not None:
        warnings.append(found.crowding.told)
    if found.too_sparse:
        warnings.append(too_sparse_text(found.networks))
    each = objects(found.tracks)
    if doubtful := sum(item.off_band for item in each):
        warnings.append(
            f"the neurons of {doubtful} of {len(each)} objects answer for another band than that of the speed, which "
            "is stated: an edge may lie among their speeds, or the radius be wrong"
        )
    return [f"{warning[0].upper()}{warning[1:]}." for warning in warnings]


def _headline(recording: Recording, tracks: Tracks, bands: Bands, warnings: list[str]) -> str:
    """The numbers that one wants first."""
    counts = Counter(item.band for item in objects(tracks))
    seconds = recording.duration_us / 1e6
    tiles = [(f"{sum(counts.values()):,}", "objects", "")]
    listed = [*range(len(bands)), *([-1] if counts[-1] else [])]
    tiles += [(f"{counts[band]:,}", _band_text(bands, band), _color(band, bands)) for band in listed]
    tiles += [
        (f"{seconds:.4g} s", "recorded", ""),
        (f"{len(recording):,}", "events", ""),
        (f"{len(tracks):,}", "rows in the table", ""),
    ]
    cards = "".join(
        f'<div class="tile"{_style(color)}><b>{escape(figure)}</b><span>{escape(label)}</span></div>'
        for figure, label, color in tiles
    )
    told = "".join(f'<p class="warning">{escape(warning)}</p>' for warning in warnings)
    none = '<p class="warning">No object was found that moves in one of these bands.</p>' if not len(tracks) else ""
    return f'<div class="tiles">{cards}</div>{told}{none}'


def _clip(recording: Recording, found: Detection, bands: Bands, fps: float, slow_motion: float | None) -> str:
    longest = max(recording.size)
    if longest > _CLIP_MOST_PX:
        return _section("Clip", f"<p>A sensor of {longest} px is too large for a clip here; --video writes one.</p>")
    clip = animate(recording, found.tracks, found.spikes, band_names=bands.names, fps=fps, slow_motion=slow_motion)
    clip = replace(clip, scale=max(1, round(_CLIP_FROM_PX / longest)))
    width = recording.width * (clip.scale or 1)
    return _section("Clip", player(clip.mp4(), width), f'<p class="note">Shown: {escape(clip.note)}.</p>')


def _figures(recording: Recording, found: Detection, bands: Bands) -> str:
    tracks = found.tracks
    spikes = found.spikes if len(found.spikes) else None
    figures = [_figure(plot_overview(recording, tracks, spikes, bands=bands), "Where the objects went, and how fast.")]
    if len(tracks):
        figures += [
            _figure(plot_speeds(tracks, bands=bands), "How many objects had which speed, over the bands."),
            _figure(plot_xt(tracks, band_names=bands.names), "Positions against time."),
        ]
    return _section("Figures", f'<div class="figures">{"".join(figures)}</div>')


def _object_table(tracks: Tracks, bands: Bands) -> str:
    """One line for each object, the first MOST_OBJECTS in full."""
    found = objects(tracks)
    if not found:
        return ""
    head = ("id", "band", "speed (px/s)", "heading (°)", "radius (px)", "first seen (s)", "last seen (s)", "rows")
    top = "".join(f'<th scope="col">{escape(name)}</th>' for name in head)
    body = "\n".join(_object_row(item, bands) for item in found[:MOST_OBJECTS])
    more = len(found) - MOST_OBJECTS
    note = f'<p class="note">And {more:,} more, in the table of the detection.</p>' if more > 0 else ""
    doubtful = ""
    if any(item.off_band for item in found):
        doubtful = " Where a band has a question mark the neurons answer for another one."
    words = (
        "Medians over the rows in which the object moves; the error is one sigma of a single row. The table of "
        f"<code>--objects</code> has the mean speed over its whole way instead.{doubtful}"
    )
    words = f'<p class="note">{words}</p>'
    table = f'<div class="wide"><table><thead><tr>{top}</tr></thead><tbody>\n{body}\n</tbody></table></div>'
    return _section("Objects", words, table, note)


def _object_row(item: ObjectSummary, bands: Bands) -> str:
    cells = (
        str(item.id),
        f"{bands.name(item.band)}{' ?' if item.off_band else ''}",
        with_error(item.speed_px_s, item.speed_err_px_s),
        "-" if np.isnan(item.heading_deg) else f"{round(item.heading_deg) % 360}",
        number_text(item.radius_px),
        f"{item.first_us / 1e6:.3f}",
        f"{item.last_us / 1e6:.3f}",
        f"{item.rows:,}",
    )
    marked = f"<td><i{_style(_color(item.band, bands))}></i>{escape(cells[1])}</td>"
    rest = [f"<td>{escape(text)}</td>" for text in cells]
    return f"<tr>{''.join([rest[0], marked, *rest[2:]])}</tr>"


def _network(found: Detection, *, curves: bool) -> str:
    network = found.network
    parts = [shown(network)]
    if len(found.networks) > 1:
        radii = ", ".join(f"{item.radius_px:.3g}" for item in found.networks)
        parts.append(
            f'<p class="note">{len(found.networks)} networks, for radii of {radii} px; the first is shown.</p>'
        )
    if curves:
        words = (
            "Predicted (lines) and measured with simulated disks (points): the peaks of the first layer's potentials "
            "with their thresholds (dashed), and which share of the passes each final channel answered."
        )
        parts.append(_figure(plot_tuning_layers(tuning(network)), words))
    parts.append(
        _facts(((name, _value(value)) for name, value in network.origin.words().items()), "Where its numbers come from")
    )
    return _section("Network", *parts)


def _origin(command: str, recording: Recording) -> str:
    facts = [("version", f"velocell {version()}"), ("recording", recording.source or "in memory")]
    code = f"<pre>{escape(command)}</pre>" if command else ""
    return _section("Made by", _facts(facts), code)


# --- pieces -------------------------------------------------------------------------------------------


def _section(title: str, *parts: str) -> str:
    """Nothing where there is nothing to say."""
    content = "\n".join(filter(None, parts))
    return f"<section><h2>{escape(title)}</h2>\n{content}</section>" if content else ""


def _figure(figure: Figure, caption: str) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI)
    data = base64.b64encode(buffer.getvalue()).decode()
    width = round(figure.get_figwidth() * _PX_PER_IN)
    return (
        f'<figure><img class="paper" width="{width}" alt="{escape(caption)}" src="data:image/png;base64,{data}">'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def _facts(facts: Iterable[tuple[str, str]], title: str = "") -> str:
    rows = "".join(f'<tr><th scope="row">{escape(name)}</th><td>{escape(value)}</td></tr>' for name, value in facts)
    caption = f"<caption>{escape(title)}</caption>" if title else ""
    return f'<table class="facts">{caption}<tbody>{rows}</tbody></table>' if rows else ""


def _list(title: str, lines: Sequence[str]) -> str:
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f"<h3>{escape(title)}</h3><ul>{items}</ul>" if items else ""


def _value(value: object) -> str:
    """As people read it; a table as JSON."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple | dict):
        return json.dumps(value) if value else "-"
    return str(value)


def _band_text(bands: Bands, band: int) -> str:
    if band < 0:
        return "outside all bands"
    return f"{bands.names[band]}, {bands.edges[band]:g} to {bands.edges[band + 1]:g} px/s"


def _color(band: int, bands: Bands) -> str:
    return hex_color(band_color(band, len(bands)))


def _style(color: str) -> str:
    return f' style="--band:{color}"' if color else ""


_STYLE = """
:root { color-scheme: light dark;
  --ink: #20242b; --paper: #ffffff; --soft: #5c6470; --line: #d9dde3; --card: #f5f6f8; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #d6dce4; --paper: #0e1116; --soft: #98a1ad; --line: #2b323c; --card: #171c23; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 24px 20px 60px; max-width: 1120px; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
h1 { font-size: 26px; line-height: 1.2; margin: 0 0 18px; overflow-wrap: anywhere; }
h2 { font-size: 19px; margin: 36px 0 12px; padding-bottom: 4px; border-bottom: 1px solid var(--line); }
h3, caption { font-size: 15px; font-weight: 600; margin: 14px 0 6px; text-align: left; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(130px, 1fr)); gap: 10px; }
.tile { background: var(--card); border-top: 4px solid var(--band, var(--line)); border-radius: 6px;
  padding: 10px 12px; }
.tile b { display: block; font-size: 24px; line-height: 1.2; }
.tile span, .note, figcaption { color: var(--soft); font-size: 13px; }
.warning { border-left: 4px solid #efbf3a; background: var(--card); padding: 8px 12px; }
figure { margin: 0 0 22px; }
.figures { display: flex; flex-wrap: wrap; gap: 0 24px; align-items: flex-start; }
img.paper { max-width: 100%; height: auto; background: #ffffff; border-radius: 6px; padding: 6px; }
video { max-width: 100%; border-radius: 6px; background: #0e1116; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
section > .wide th, section > .wide td { padding: 3px 18px 3px 0; text-align: right; white-space: nowrap;
  border-bottom: 1px solid var(--line); }
section > .wide th:nth-child(2), section > .wide td:nth-child(2) { text-align: left; }
td i { display: inline-block; width: 10px; height: 10px; border-radius: 50%; background: var(--band);
  margin-right: 7px; }
.facts th { font-weight: 400; color: var(--soft); text-align: left; vertical-align: top; padding: 2px 18px 2px 0; }
.facts td { padding: 2px 0; overflow-wrap: anywhere; }
pre { background: var(--card); padding: 10px 12px; border-radius: 6px; white-space: pre-wrap; overflow-wrap: anywhere; }
@media print {
  :root { --ink: #000; --paper: #fff; --soft: #444; --line: #bbb; --card: #f5f6f8; }
  body { max-width: none; padding: 0; font-size: 10pt; }
  video { display: none; }
  figure, tr, .tile { break-inside: avoid; }
  h2 { break-after: avoid; }
}
"""

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<header><h1>{heading}</h1></header>
<main>
{body}
</main>
</body>
</html>
"""
