"""`velocell info`, `simulate`, `evaluate`, `calibrate` and `demo`."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from velocell import formats, provenance
from velocell.cli import options as o
from velocell.cli.guard import say
from velocell.cli.outputs import TABLES, check_distinct, check_output
from velocell.cli.progress import working
from velocell.cli.values import read_events, sought
from velocell.errors import TableError
from velocell.network import Bands
from velocell.spikes import Spikes
from velocell.tracks import Tracks
from velocell.units import parse_numbers, parse_size, parse_time_us

Json = Annotated[bool, typer.Option("--json", help="JSON on stdout.")]
Edges = Annotated[str, typer.Option("--bands", metavar="EDGES", help="Edges in px/s, such as 16,62,177,500.")]

NOTEBOOK = "notebook"


def demo(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the results.")] = Path("velocell-demo"),
    engine: o.Engine = "native",
) -> None:
    """Simulate the notebook's three disks, find them, and compare with the truth."""
    from rich.console import Console

    from velocell.cli.show import confusion_table, objects_table, scores_table
    from velocell.demo import BANDS, RADIUS_PX, run_demo

    with working("simulating, detecting, drawing"):
        made = run_demo(out, engine=engine)
    console = Console()
    edges = ",".join(f"{edge:g}" for edge in BANDS.edges)
    console.print(objects_table(made.tracks, BANDS), scores_table(made.scores), confusion_table(made.scores, BANDS))
    for name, path in made.files.items():
        print(f"{name + ':':<11}{path}")
    print(
        f"the same by hand: velocell detect {made.files['recording']} --bands {edges} --radius {RADIUS_PX:g} -o my.csv"
    )


def info(
    file: Annotated[Path, typer.Argument(metavar="FILE")],
    size: o.Size = None,
    frame_time: o.FrameTime = "1ms",
    as_json: Json = False,
) -> None:
    """Say what a recording is, how that was inferred, and what looks odd in it."""
    from velocell.summary import summarise

    wanted_size = None if size is None else parse_size(size)
    summary = summarise(formats.read(file, size=wanted_size, frame_time_us=parse_time_us(frame_time)))
    if as_json:
        print(json.dumps(summary.to_dict(), indent=2))
        return
    from rich.console import Console

    from velocell.cli.show import summary_table

    Console().print(summary_table(summary))


def simulate(
    scene: Annotated[str, typer.Argument(metavar="SCENE", help=f"A scene's .toml, or '{NOTEBOOK}': its three disks.")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="REC", help="Recording: .npz or .csv.")],
    truth: Annotated[
        Path | None,
        typer.Option("--truth", metavar="T", help="Table of where the objects are: .csv, .jsonl, .parquet."),
    ] = None,
) -> None:
    """Turn a scene of moving shapes into events and ground truth; the scene holds the seed."""
    from velocell.simulate import Scene, notebook_scene
    from velocell.simulate import simulate as run

    check_output(out, (".npz", ".csv"), "a recording")
    outputs = [out]
    if truth is not None:
        check_output(truth, TABLES, "tracks")
        outputs.append(truth)
    check_distinct(outputs, [Path(scene)])
    wanted = notebook_scene() if scene == NOTEBOOK else Scene.from_toml(scene)
    with working(f"simulating {scene}"):
        recording, table = run(wanted)
    if truth is not None:
        meta = {"velocell": provenance.version(), "command": "simulate", "scene": wanted.to_dict()}
        replace(table, meta=meta).write(truth)
    (formats.write_npz if out.suffix.lower() == ".npz" else formats.write_csv)(recording, out)
    seconds = recording.duration_us / 1e6
    say(f"{len(recording)} events in {seconds:g} s on {recording.width}x{recording.height} px in {out}")


def evaluate(
    tracks: Annotated[Path, typer.Argument(metavar="TRACKS", help="Table that velocell detect wrote.")],
    truth: Annotated[Path, typer.Argument(metavar="TRUTH", help="Table of where the objects truly are.")],
    bands: Edges,
    spikes: Annotated[
        Path | None, typer.Option("--spikes", metavar="NPZ", help="Spikes, for the purity of the channels.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Compare a table of tracks with the truth."""
    from velocell.evaluate import evaluate as compare

    wanted = Bands(parse_numbers(bands, "--bands"))
    table = Tracks.read(tracks)
    if np.unique(table.extra.get("file", [])).size > 1:
        raise TableError(f"{tracks} holds the objects of several files; detect and evaluate them one by one")
    answers = None if spikes is None else Spikes.from_npz(spikes)
    scores = compare(table, Tracks.read(truth), wanted.edges, spikes=answers)
    if as_json:
        print(scores.to_json())
        return
    from rich.console import Console

    from velocell.cli.show import confusion_table, scores_table

    Console().print(scores_table(scores), confusion_table(scores, wanted))


def calibrate(
    bands: Edges,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="TOML", help="The network, readable.")],
    band_names: o.BandNames = None,
    radius: o.Radius = None,
    template: o.Template = None,
    contrast: o.Contrast = "auto",
    dt: o.Dt = "auto",
    recording: Annotated[
        Path | None,
        typer.Option("--recording", metavar="FILE", help="Measure on it how many edge crossings arrive."),
    ] = None,
    polarity: o.Polarity = "merge",
    size: o.Size = None,
    frame_time: o.FrameTime = "1ms",
    engine: o.Engine = "native",
) -> None:
    """Make the network for speed bands and a radius, for velocell detect --network.

    Without --recording it suits any recording; --polarity both makes one that needs and uses polarity.
    """
    from velocell.calibrate import calibrate as from_formulas
    from velocell.pipeline import network_for

    wanted = sought(bands, band_names, radius, contrast, dt, template=template)
    check_output(out, (".toml",), "a network")
    settings: dict[str, Any] = {"contrast": contrast, "dt": dt, "polarity": polarity}
    if recording is None:
        network = from_formulas(
            wanted.bands,
            wanted.radius,
            contrast=wanted.contrast,
            dt_us=wanted.dt_us,
            polarity=polarity != "merge",
        )
    else:
        check_distinct([out], [recording])
        events = read_events(recording, size, frame_time)
        # As detect does it: the trail filter uses polarity where there is any.
        seen = events if polarity in ("merge", "both") else events.with_polarity(polarity)
        with working(f"calibrating on {recording}"):
            network = network_for(
                seen, wanted.bands, wanted.radius, contrast=wanted.contrast, dt_us=wanted.dt_us, engine=engine
            )
        settings["recording"] = str(recording)
    made = {"velocell": provenance.version(), "settings": settings}
    replace(network, origin={**network.origin, **made}).to_toml(out)
    say(f"network of {len(wanted.bands)} bands, dt {network.dt_us} us, in {out}")
