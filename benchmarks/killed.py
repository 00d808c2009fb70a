"""kill -9 at random moments: `python -m benchmarks.killed [--moments 50]`.

`velocell detect -o x.csv --spikes s.npz --video v.mp4` and `velocell live -o x.jsonl` are killed at moments spread
evenly, and then by chance, over the time that the command takes. The names were taken by earlier results. Whatever
stands under a name afterwards must read back whole, be it the earlier or the new result. Of live, whole lines must be
there, all but those of the last reporting interval, and going on with --append must work. Exit code 1 where not.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path

import av
import numpy as np

from velocell.calibration.measure import network_for
from velocell.data.spikes import Spikes
from velocell.data.tracks import Tracks
from velocell.formats import write_npz
from velocell.live import open_output
from velocell.simulate import random_scene, simulate

BANDS = (20.0, 93.0, 430.0, 2000.0)
EVERY_US = 5_000
FILES = ("x.csv", "x.csv.meta.json", "s.npz", "v.mp4", "x.jsonl")
COMMAND = [sys.executable, "-c", "from velocell.cli import main; main()"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--moments", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        counts, wrong = run(Path(folder), arguments.moments, arguments.seed)
    for name, count in counts.items():
        print(f"{name}: " + ", ".join(f"{n} {what}" for what, n in sorted(count.items())))
    print("\n".join(wrong) or "no corrupt file under a final name")
    sys.exit(bool(wrong))


def run(folder: Path, moments: int, seed: int = 0) -> tuple[dict[str, Counter[str]], list[str]]:
    """Kill both commands at so many moments each: what was found how often, and what was wrong."""
    prepare(folder)
    rng = np.random.default_rng(seed)
    counts: dict[str, Counter[str]] = {"detect": Counter(), "live": Counter()}
    wrong: list[str] = []
    for name, check in (("detect", check_detect), ("live", check_live)):
        reset(folder)
        began = time.monotonic()
        subprocess.run(command_of(folder, name), check=True, capture_output=True)
        whole_s = time.monotonic() - began
        for k in range(moments):
            reset(folder)
            moment_s = (k + rng.random()) / moments * whole_s
            process = subprocess.Popen(command_of(folder, name), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(moment_s)
            process.kill()
            process.wait()
            try:
                counts[name].update(check(folder))
            except Exception as error:  # whatever a reader finds wrong
                wrong.append(f"{name}, killed after {moment_s:.3f} s: {type(error).__name__}: {error}")
            for left in folder.glob(".*"):  # of the writer that was killed, never under a final name
                left.unlink()
    return counts, wrong


def command_of(folder: Path, name: str) -> list[str]:
    common = ["--network", str(folder / "net.toml"), "--every", f"{EVERY_US}us"]
    if name == "live":
        return [*COMMAND, "live", f"replay:{folder / 'rec.npz'}", *common, "-o", str(folder / "x.jsonl")]
    outputs = ["-o", folder / "x.csv", "--spikes", folder / "s.npz", "--video", folder / "v.mp4"]
    return [*COMMAND, "detect", str(folder / "rec.npz"), *common, *map(str, outputs)]


def prepare(folder: Path) -> None:
    """A recording of half a second, a network, and earlier results in the folder `earlier`."""
    scene = random_scene(
        12, width=320, height=240, duration_us=500_000, radius=5, speeds=(20, 2000), contrast=1, noise_hz=0.1, seed=3,
        separate=False,
    )  # fmt: skip
    recording = simulate(scene)[0]
    write_npz(recording, folder / "rec.npz")
    network_for(recording, BANDS, 5.0).to_toml(folder / "net.toml")
    for name in ("detect", "live"):
        subprocess.run(command_of(folder, name), check=True, capture_output=True)
    (folder / "earlier").mkdir()
    for file in FILES:
        (folder / file).replace(folder / "earlier" / file)


def reset(folder: Path) -> None:
    for file in FILES:
        shutil.copy2(folder / "earlier" / file, folder / file)


def check_detect(folder: Path) -> list[str]:
    """Read every result; which of them are new. Raises what the readers raise, ValueError where one is not whole."""
    expected = Tracks.read(folder / "earlier" / "x.csv")
    table = Tracks.read(folder / "x.csv")
    if len(table) != len(expected):
        raise ValueError(f"{len(table)} rows in x.csv where there should be {len(expected)}")
    spikes, all_spikes = (Spikes.from_npz(where / "s.npz") for where in (folder, folder / "earlier"))
    if len(spikes) != len(all_spikes):
        raise ValueError(f"{len(spikes)} spikes in s.npz where there should be {len(all_spikes)}")
    shown, all_shown = (frames(where / "v.mp4") for where in (folder, folder / "earlier"))
    if shown != all_shown:
        raise ValueError(f"{shown} frames in v.mp4 where there should be {all_shown}")
    return [f"with a new {file}" for file in FILES[:4] if is_new(folder, file)]


def is_new(folder: Path, file: str) -> bool:
    return (folder / file).stat().st_mtime_ns != (folder / "earlier" / file).stat().st_mtime_ns


def frames(video: Path) -> int:
    with av.open(str(video)) as container:
        return sum(1 for _ in container.decode(video=0))


def check_live(folder: Path) -> list[str]:
    """Read the lines. Raises ValueError where they are not whole, or not the first ones of a full run."""
    expected, is_new_file = Tracks.read(folder / "earlier" / "x.jsonl"), is_new(folder, "x.jsonl")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        table = Tracks.read(folder / "x.jsonl")
    if not np.array_equal(table.id, expected.id[: len(table)]):
        raise ValueError("the rows in x.jsonl are not the first ones of a full run")
    # Rows of one instant are written at once, so they are all there unless a line is torn.
    last_us = int(table.t_us.max(initial=0))
    if not caught and np.count_nonzero(expected.t_us <= last_us) != len(table):
        raise ValueError(f"rows of {last_us} us are missing in x.jsonl")
    output = open_output(str(folder / "x.jsonl"), append=True, say=lambda text: None)
    output.write({"t_us": [last_us + 1], "id": [0], "x_px": [0], "y_px": [0]}, json.loads('{"velocell": "test"}'))
    output.close()
    if len(Tracks.read(folder / "x.jsonl")) != len(table) + 1:
        raise ValueError("going on with x.jsonl lost rows")
    if not is_new_file:
        return ["with the earlier file"]
    return ["with a torn last line" if caught else "with whole lines"]


if __name__ == "__main__":
    main()
