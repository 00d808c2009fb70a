"""`velocell import`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from velocell.cli.guard import say
from velocell.cli.outputs import check_distinct, check_output
from velocell.cli.values import bands_of, time_of


def import_(
    graph: Annotated[Path, typer.Argument(metavar="NIR", help="A graph of Conv2d and LIF or IF in a row (.nir).")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="TOML", help="The network, readable.")],
    dt: Annotated[
        str | None, typer.Option("--dt", metavar="TIME", help="The tick, if the graph does not state it.")
    ] = None,
    bands: Annotated[
        str | None,
        typer.Option("--bands", metavar="EDGES", help="Edges of the speed bands in px/s, if the graph has none."),
    ] = None,
    radius: Annotated[
        float | None,
        typer.Option("--radius", metavar="PX", help="Of the disks it looks for, if the graph does not say."),
    ] = None,
) -> None:
    """Make a network for velocell detect --network of a NIR graph of this or another program."""
    from velocell.network import Network

    check_output(out, (".toml",), "a network")
    check_distinct([out], [graph])
    network = Network.from_nir(graph, dt_us=None if dt is None else time_of(dt, "--dt"))
    if bands is not None:
        network = replace(network, bands=bands_of(bands))
    if radius is not None:
        network = replace(network, radius_px=radius)
    network.to_toml(out)
    missing = [name for name, value in (("--bands", network.bands), ("--radius", network.radius_px)) if value is None]
    if missing:
        say(f"note: the graph does not state them, so velocell detect will ask for {' and '.join(missing)}")
    say(f"network of {len(network.layers)} layers, dt {network.dt_us} us, in {out}")
