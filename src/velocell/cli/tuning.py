"""`velocell tuning`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from velocell.cli import options as o
from velocell.cli.guard import say
from velocell.cli.outputs import FIGURES, check_distinct, check_output
from velocell.cli.progress import working
from velocell.network import Network


def tuning(
    network: Annotated[Path, typer.Argument(metavar="TOML", help="A network from velocell calibrate.")],
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="OUT", help="Figure or table: .png, .pdf, .svg, .csv, .json.")
    ],
    contrast: Annotated[
        float | None,
        typer.Option("--contrast", metavar="N", help="Events per edge crossing; by default the network's own, or 3."),
    ] = None,
    noise: Annotated[float, typer.Option("--noise", metavar="HZ", help="Background events per pixel and second.")] = 0,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the simulated passages.")] = 0,
    sensitivity: Annotated[
        bool, typer.Option("--sensitivity", help="Also with another contrast, radius and direction.")
    ] = False,
    engine: o.Engine = "native",
) -> None:
    """Measure with simulated disks how a network answers each speed, next to what the formulas predict."""
    from velocell.studies.tuning import SUFFIXES
    from velocell.studies.tuning import tuning as measure

    check_output(out, (*FIGURES, *SUFFIXES), "a tuning")
    check_distinct([out], [network])
    tuned = Network.from_toml(network)
    if contrast is None and tuned.origin.crossings is None:
        say(
            f"note: {network} does not state its events per edge crossing; 3 are simulated, "
            "use --contrast N to change that"
        )
    with working(f"simulating disks for {network}"):
        found = measure(
            tuned,
            contrast=contrast,
            noise_hz=noise,
            seed=seed,
            engine=engine,
            sensitivity=sensitivity,
        )
    if out.suffix.lower() in FIGURES:
        from velocell.pictures.figures import plot_tuning_layers, save_figure

        save_figure(plot_tuning_layers(found), out)
    else:
        found.write(out)
    width = max(map(len, ("requested", "measured", *found.variants))) + 2
    print(f"{'edges (px/s)':<{max(width, 14)}}" + "  ".join(f"{name:>15}" for name in found.bands.names))
    requested = zip(found.bands.edges[:-1], found.bands.edges[1:], strict=True)
    for name, edges in {"requested": requested, "measured": found.edges, **found.variants}.items():
        cells = (f"{low:.4g} - {high:.4g}" for low, high in edges)
        print(f"{name:<{max(width, 14)}}" + "  ".join(f"{cell:>15}" for cell in cells))
    say(f"R2 of layer 1 {found.peak_r2:.3f}, of the final channels {found.share_r2:.3f}; in {out}")
