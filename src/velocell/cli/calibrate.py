"""`velocell calibrate`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from velocell.cli import options as o
from velocell.cli.evaluate import Edges
from velocell.cli.guard import say
from velocell.cli.outputs import check_distinct, check_output
from velocell.cli.progress import working
from velocell.cli.reading import open_part, read_events
from velocell.data.meta import version
from velocell.data.tracks import Tracks
from velocell.errors import OptionError
from velocell.filters.chain import NOTHING


def calibrate(
    bands: Edges,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="TOML", help="The network, readable.")],
    band_names: o.BandNames = None,
    radius: o.Radius = None,
    contrast: o.Contrast = "auto",
    dt: o.Dt = "auto",
    recording: Annotated[
        Path | None,
        typer.Option("--recording", metavar="FILE", help="Measure on it which share of the edge crossings is seen."),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(
            "--labels",
            metavar="TRACKS",
            help="Table of its objects, with speeds or bands; the network is adjusted to them.",
        ),
    ] = None,
    recipe: o.RecipeFile = None,
    polarity: o.Polarity = "merge",
    size: o.Size = None,
    frame_time: o.FrameTime = "1ms",
    time_unit: o.TimeUnit = None,
    engine: o.Engine = "native",
) -> None:
    """Make the network for speed bands and a radius, for velocell detect --network.

    Without --recording it suits any recording; --polarity both makes one that needs and uses polarity.
    With --labels, radius, contrast and thresholds are adjusted until the labelled objects fall into their bands,
    and the scores on them before and after are shown.
    """
    from rich.console import Console

    from velocell.calibration.fitting import fit
    from velocell.calibration.formulas import calibrate as from_formulas
    from velocell.calibration.measure import networks_in
    from velocell.cli.show import fit_table

    if recipe is not None and labels is not None:
        raise OptionError(f"labels adjust the usual recipe, so {recipe} would have no say; leave one of them out")
    look_for = o.LookFor(bands, band_names, radius, None, contrast, dt, recipe=recipe, polarity=polarity, engine=engine)
    search = look_for.search()
    assert search.bands is not None
    check_output(out, (".toml",), "a network")
    settings: dict[str, Any] = {"contrast": contrast, "dt": dt, "polarity": polarity}
    if recipe is not None:
        settings["recipe"] = str(recipe)
    if labels is not None and recording is None:
        raise OptionError(f"the labels in {labels} need their recording; give it with --recording")
    given: dict[str, Any] = {"contrast": search.contrast, "dt_us": search.dt_us}
    size_px = search.one_radius()
    if recording is None:
        network = from_formulas(
            search.bands, size_px, polarity=polarity not in ("merge", "drop"), recipe=search.recipe, **given
        )
    else:
        check_distinct([out], [recording, *([] if labels is None else [labels])])
        table = None if labels is None else Tracks.read(labels)
        part = o.Part(size, frame_time, time_unit)
        with working(f"calibrating on {recording}"):
            if table is None:
                (network,) = networks_in(open_part(recording, part, NOTHING), search)
            else:
                seen = search.seen(read_events(recording, part))
                fitted = fit(seen, table, search.bands, size_px, engine=engine, **given)
                network = fitted.network
        if table is not None:
            Console().print(fit_table(fitted.before, fitted.after))
        settings |= {"recording": str(recording)} | ({} if labels is None else {"labels": str(labels)})
    made = {"velocell": version(), "settings": settings}
    replace(network, origin=replace(network.origin, more={**network.origin.more, **made})).to_toml(out)
    say(f"network of {len(search.bands)} bands, dt {network.dt_us} us, in {out}")
