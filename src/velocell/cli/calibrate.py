"""`velocell info`, `simulate`, `evaluate`, `calibrate`, `export` and `demo`."""

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
from velocell.cli.values import open_events, read_events, sought
from velocell.errors import OptionError, TableError
from velocell.network import Bands
from velocell.spikes import Spikes
from velocell.tracks import Tracks
from velocell.units import parse_numbers, parse_size

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
    strict: o.Strict = False,
    as_json: Json = False,
) -> None:
    """Say what a recording is, how that was inferred, and what looks odd in it."""
    from velocell.summary import summarise

    with working(f"reading {file}"):
        summary = summarise(open_events(file, size, frame_time, strict))
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
    contrast: o.Contrast = "auto",
    dt: o.Dt = "auto",
    recording: Annotated[
        Path | None,
        typer.Option("--recording", metavar="FILE", help="Measure on it how many edge crossings arrive."),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(
            "--labels", metavar="TRACKS", help="Where its objects are, and their speeds or bands: adjust to them."
        ),
    ] = None,
    polarity: o.Polarity = "merge",
    size: o.Size = None,
    frame_time: o.FrameTime = "1ms",
    engine: o.Engine = "native",
) -> None:
    """Make the network for speed bands and a radius, for velocell detect --network.

    Without --recording it suits any recording; --polarity both makes one that needs and uses polarity.
    With --labels, radius, contrast and thresholds are adjusted until the labelled objects fall into their bands,
    and the scores on them before and after are shown.
    """
    from rich.console import Console

    from velocell.calibrate import calibrate as from_formulas
    from velocell.cli.show import fit_table
    from velocell.fitting import fit
    from velocell.pipeline import network_for

    wanted = sought(bands, band_names, radius, contrast, dt)
    check_output(out, (".toml",), "a network")
    settings: dict[str, Any] = {"contrast": contrast, "dt": dt, "polarity": polarity}
    if labels is not None and recording is None:
        raise OptionError(f"the labels in {labels} need the recording that they tell about; give it with --recording")
    if recording is None:
        network = from_formulas(
            wanted.bands,
            wanted.one_radius(),
            contrast=wanted.contrast,
            dt_us=wanted.dt_us,
            polarity=polarity != "merge",
        )
    else:
        check_distinct([out], [recording, *([] if labels is None else [labels])])
        table = None if labels is None else Tracks.read(labels)
        events = read_events(recording, size, frame_time)
        # As detect does it: the trail filter uses polarity where there is any.
        seen = events if polarity in ("merge", "both") else events.with_polarity(polarity)
        with working(f"calibrating on {recording}"):
            given: dict[str, Any] = {"contrast": wanted.contrast, "dt_us": wanted.dt_us, "engine": engine}
            if table is None:
                network = network_for(seen, wanted.bands, wanted.one_radius(), **given)
            else:
                fitted = fit(seen, table, wanted.bands, wanted.one_radius(), **given)
                network = fitted.network
        if table is not None:
            Console().print(fit_table(fitted.before, fitted.after))
        settings |= {"recording": str(recording)} | ({} if labels is None else {"labels": str(labels)})
    made = {"velocell": provenance.version(), "settings": settings}
    replace(network, origin={**network.origin, **made}).to_toml(out)
    say(f"network of {len(wanted.bands)} bands, dt {network.dt_us} us, in {out}")


def export(
    tracks: Annotated[Path, typer.Argument(metavar="TRACKS", help="Table that velocell detect or simulate wrote.")],
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="OUT", help="By suffix: .txt is MOTChallenge, .json is COCO.")
    ],
    fps: Annotated[
        float | None,
        typer.Option("--fps", metavar="N", help="Frames per second; by default every instant of the table is a frame."),
    ] = None,
    size: Annotated[
        str | None, typer.Option("--size", metavar="WxH", help="Sensor size in px, where the table does not say.")
    ] = None,
) -> None:
    """Write tracks for other tools: boxes frame by frame, in MOTChallenge or COCO form."""
    from velocell import exports

    check_output(out, exports.SUFFIXES, "an export")
    check_distinct([out], [tracks])
    table, version = Tracks.read(tracks), provenance.version()
    wanted = None if size is None else parse_size(size)
    try:
        if out.suffix.lower() == ".txt":
            cut = exports.write_mot(out, table, fps=fps, velocell=version)
        else:
            cut = exports.write_coco(out, table, size=wanted, fps=fps, velocell=version)
    except TableError as error:
        raise TableError(f"{tracks}: {error}") from None
    say(
        f"{len(cut.rows)} boxes in {cut.count} frames at {cut.fps:g} frames/s, the first at {cut.start_us} us, in {out}"
    )
