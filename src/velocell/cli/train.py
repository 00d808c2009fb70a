"""`velocell train`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer

from velocell.cli import options as o
from velocell.cli.evaluate import Edges
from velocell.cli.guard import say
from velocell.cli.outputs import check_distinct, check_output
from velocell.cli.reading import read_events
from velocell.data.meta import version
from velocell.data.tracks import Tracks
from velocell.errors import OptionError

if TYPE_CHECKING:
    from velocell.calibration.search import Search
    from velocell.calibration.training import Example, Figures, Progress

_LABELLED_PARTS = 3  # of a single recording: to search on, to choose, to judge


def train(
    bands: Edges,
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="TOML", help="The recipe, for velocell calibrate --recipe.")
    ],
    radius: o.Radius = None,
    recording: Annotated[
        list[Path] | None, typer.Option("--recording", metavar="FILE", help="To train on; can be repeated.")
    ] = None,
    labels: Annotated[
        list[Path] | None,
        typer.Option("--labels", metavar="TRACKS", help="Objects of a recording, in the same order."),
    ] = None,
    negatives: Annotated[
        list[Path] | None,
        typer.Option("--negatives", metavar="FILE", help="A recording without any such object; can be repeated."),
    ] = None,
    scene: Annotated[
        Path | None, typer.Option("--simulate", metavar="SCENE", help="A scene file to make recordings of.")
    ] = None,
    seeds: Annotated[int, typer.Option("--seeds", metavar="N", help="How many, with seeds of their own.", min=3)] = 20,
    most: Annotated[int, typer.Option("--most", metavar="N", help="Recipes to try.", min=1)] = 400,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Of the search.", min=0)] = 0,
    polarity: o.Polarity = "merge",
    size: o.Size = None,
    frame_time: o.FrameTime = "1ms",
    time_unit: o.TimeUnit = None,
    engine: o.Engine = "native",
    workers: Annotated[
        int | None, typer.Option("--workers", metavar="N", help="Try recipes in so many processes.", min=1)
    ] = None,
    scheduler: Annotated[
        str | None, typer.Option("--scheduler", metavar="ADDRESS", help="Try them on a Dask cluster, tcp://HOST:PORT.")
    ] = None,
) -> None:
    """Search for the free choices of the calibration that suit labelled or simulated recordings.

    Minimises what recall, precision, band accuracy (twice) and purity (half) lack to 1, plus false tracks. A third of
    the examples is searched on, a third chooses and stops, a third is shown before and after; where that did not gain,
    the usual recipe is kept. OUT.losses keeps what was computed: the same command goes on after an interruption.
    """
    from rich.console import Console

    from velocell.calibration.training import train as searched

    search = o.LookFor(bands, radius=radius, polarity=polarity, engine=engine).search()
    search.one_radius("a recipe is searched for one radius")
    check_output(out, (".toml",), "a recipe")
    given = [*(recording or ()), *(labels or ()), *(negatives or ()), *([scene] if scene else [])]
    check_distinct([out], given)
    if len(recording or ()) != len(labels or ()):
        raise OptionError(
            f"{len(recording or ())} recordings and {len(labels or ())} tables of labels were given; give one each"
        )
    part = o.Part(size, frame_time, time_unit)
    examples = [
        *_simulated(scene, seeds, search),
        *_labelled(recording or [], labels or [], part, search),
        *_negative(negatives or [], part, search),
    ]
    journal = out.with_suffix(".losses")
    with _client(workers, scheduler) as client:
        found = searched(examples, search, most=most, seed=seed, journal=journal, progress=_progress(), client=client)
    Console().print(_table(found.before, found.after))
    made = {"velocell": version(), "bands": bands, "evaluations": found.evaluations, "improved": found.improved}
    found.recipe.to_toml(out, {**made, "from": [str(path) for path in given], "seed": seed})
    journal.unlink(missing_ok=True)
    if not found.improved:
        say("note: nothing was gained on the examples held out, so the usual recipe is kept")
    say(f"recipe after {found.evaluations} tries in {out}")


@contextmanager
def _client(workers: int | None, scheduler: str | None) -> Iterator[Any]:
    """Of a cluster, where one is asked for."""
    if workers is None and scheduler is None:
        yield None
        return
    from velocell.batch.cluster import client_for

    with TemporaryDirectory() as scratch, client_for(scheduler, workers, Path(scratch)) as client:
        yield client


def _simulated(scene: Path | None, seeds: int, search: Search) -> list[Example]:
    from velocell.calibration.training import Example
    from velocell.simulate import Scene, simulate

    if scene is None:
        return []
    wanted = Scene.from_toml(scene)
    made = [simulate(replace(wanted, seed=wanted.seed + number)) for number in range(seeds)]
    return [Example(search.seen(events), truth) for events, truth in made]


def _labelled(recordings: list[Path], labels: list[Path], part: o.Part, search: Search) -> list[Example]:
    """A recording each; a single one in parts of its time."""
    from velocell.calibration.training import Example

    found = []
    for file, table in zip(recordings, labels, strict=True):
        seen, truth = search.seen(read_events(file, part)), Tracks.read(table)
        if not len(truth):
            raise OptionError(f"{table} holds no objects; label some, or give {file} with --negatives")
        count = _LABELLED_PARTS if len(recordings) == 1 else 1
        start, stop = int(truth.t_us[0]), int(truth.t_us[-1]) + 1
        cuts = [start + (stop - start) * number // count for number in range(count + 1)]
        for begin, end in pairwise(cuts):
            within = truth.where((truth.t_us >= begin) & (truth.t_us < end))
            found.append(Example(seen.between(begin, end), within))
    return found


def _negative(files: list[Path], part: o.Part, search: Search) -> list[Example]:
    """Each in three parts of its time, so that all groups have some."""
    from velocell.calibration.training import Example

    found = []
    for file in files:
        seen = search.seen(read_events(file, part))
        third = (seen.stop_us - seen.start_us) // 3
        starts = [seen.start_us + number * third for number in range(3)]
        found += [Example(seen.between(start, start + third), None) for start in starts]
    return found


def _progress() -> Progress:
    def told(evaluations: int, best: float, usual: float) -> None:
        say(f"note: {evaluations} recipes tried, loss {best:.4f}, {usual:.4f} as usual")

    return told


def _table(before: Figures, after: Figures) -> object:
    from rich.table import Table

    table = Table("held out", "recall", "precision", "band", "purity", "false tracks")
    for name, one in (("usual", before), ("trained", after)):
        numbers = (one.recall, one.precision, one.band, one.purity)
        table.add_row(name, *(f"{value:.4f}" for value in numbers), f"{one.false_tracks:g}")
    return table
