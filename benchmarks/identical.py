"""Are the results of two versions the same, byte by byte? For changes that should change nothing.

    python -m benchmarks.identical --before OTHER/bin/velocell [--out FILE]

Both programs run the same commands on the recordings in ../shared/data, where they are there, and on three simulated
scenes: tables, spikes, networks, converted files, reports, summaries. What may differ by name is left out before
comparing (see `LEFT_OUT`); everything else must be equal.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

SHARED = Path(__file__).parents[2] / "shared" / "data"
BANDS = "20,94,430,2000"
SCENES = {
    "crowd": """width = 320\nheight = 240\nduration_us = 800000\nseed = 4101\nnoise_hz = 0.5\nhot_pixels = 5
hot_rate_hz = 900.0\nevent_loss = 0.1\n"""
    + "".join(
        f"[[objects]]\nid = {i}\nx_px = {40.0 + 40 * i}\ny_px = {30.0 + 30 * i}\nradius_px = 5.5\n"
        f"speed_px_s = {30.0 * 2.2**i}\nheading_deg = {50.0 * i}\nbounce = true\n"
        for i in range(6)
    ),
    "sizes": """width = 200\nheight = 160\nduration_us = 500000\nseed = 4102\nnoise_hz = 0.2\n"""
    + "".join(
        f"[[objects]]\nid = {i}\nx_px = {50.0 + 30 * i}\ny_px = {40.0 + 25 * i}\nradius_px = {4.0 + 3 * i}\n"
        f"speed_px_s = {60.0 * 2**i}\nheading_deg = {80.0 * i}\ncontrast = 2.5\nbounce = true\n"
        for i in range(4)
    ),
}
# What a change may name anew: version and duration, and what is new in a network's origin.
LEFT_OUT = (
    (r'"velocell": "[^"]*"', '"velocell": ""'),
    (r'velocell = "[^"]*"', 'velocell = ""'),
    (r",?\s*\"facts\": \{(?:[^{}]|\{[^{}]*\})*\}", ""),
    (r"\[origin\.facts.*?(?=\[\[|\[kernels|\[origin\.(?!facts))", ""),
    (r"velocell [0-9][0-9.]*", "velocell"),
)


def commands(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Name and arguments; every output is written into `folder`."""
    for name, path in inputs(folder):
        out = folder / name
        yield f"{name}: info", ["info", str(path), "--json"]
        look = ["--bands", BANDS, "--radius", "5"]
        yield f"{name}: detect", ["detect", str(path), *look, "-o", f"{out}.csv", "--spikes", f"{out}.npz"]
        for polarity in ("on", "both"):
            extra = ["--polarity", polarity, "--contrast", "3", "--denoise", "5ms", "--refractory", "200us"]
            yield f"{name}: {polarity}", ["detect", str(path), *look, *extra, "-o", f"{out}.{polarity}.jsonl"]
        yield f"{name}: convert", ["convert", str(path), f"{out}.raw"]
        yield f"{name}: calibrate", ["calibrate", *look, "--recording", str(path), "-o", f"{out}.toml"]
        yield f"{name}: live", ["live", f"replay:{path}", *look, "--speed", "max", "-o", f"{out}.live.jsonl"]
    small = folder / "notebook.rec.npz"
    look = ["--bands", "16,62,177,500"]
    more = ["--report", str(folder / "report.html"), "--count-line", "25,0,25,49", "--px-per-mm", "4"]
    yield "report", ["detect", str(small), *look, "-o", str(folder / "report.csv"), *more]
    yield "tuning", ["tuning", str(folder / "notebook.toml"), "-o", str(folder / "tuning.json")]
    for suffix in (".dat", ".aedat4", ".h5", ".csv", ".npz"):
        yield f"convert {suffix}", ["convert", str(small), str(folder / f"converted{suffix}")]
    sizes = str(folder / "sizes.rec.npz")
    yield "range", ["detect", sizes, "--bands", BANDS, "--radius", "4:13", "-o", str(folder / "range.csv")]


def inputs(folder: Path) -> Iterator[tuple[str, Path]]:
    """Recordings by name."""
    for name in ("notebook", *SCENES):
        yield name, folder / f"{name}.rec.npz"
    if SHARED.is_dir():
        for path in sorted(SHARED.iterdir()):
            if path.suffix not in (".csv", ".md"):
                yield path.stem, path


def run(program: str, arguments: list[str], folder: Path) -> tuple[int, str]:
    done = subprocess.run([program, *arguments], cwd=folder, capture_output=True, text=True)
    return done.returncode, done.stdout


def prepared(program: str, folder: Path) -> None:
    """The three scenes; made by the program that is compared, since simulation must stay the same too."""
    for name in ("notebook", *SCENES):
        scene = name
        if name in SCENES:
            scene = str(folder / f"{name}.scene.toml")
            Path(scene).write_text(SCENES[name])
        recording, truth = folder / f"{name}.rec.npz", folder / f"{name}.truth.csv"
        run(program, ["simulate", scene, "-o", str(recording), "--truth", str(truth)], folder)


def content(path: Path) -> bytes:
    data = path.read_bytes()
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return data
    for pattern, instead in LEFT_OUT:
        text = re.sub(pattern, instead, text, flags=re.DOTALL)
    if path.suffix == ".json":
        text = json.dumps(json.loads(text), sort_keys=True)
    return text.encode()


def compare(before: str, after: str) -> list[str]:
    """A line per command and output: what it is, and whether it is the same."""
    lines = []
    with tempfile.TemporaryDirectory() as place:
        # Both work in a folder of the same name, one after the other: outputs may hold paths.
        folder, results = Path(place) / "run", []
        for program in (before, after):
            folder.mkdir()
            prepared(program, folder)
            told = {name: run(program, arguments, folder) for name, arguments in commands(folder)}
            files = {path.name: content(path) for path in sorted(folder.iterdir())}
            results.append((told, files))
            shutil.rmtree(folder)
    (told, files), (told_now, files_now) = results
    for name, (code, out) in told.items():
        same = told_now.get(name) == (code, out)
        lines.append(f"{'same' if same else 'DIFFERS'}  exit {code}, stdout  {name}")
    for name in sorted({*files, *files_now}):
        same = files.get(name) == files_now.get(name)
        digest = hashlib.sha256(files_now.get(name, b"")).hexdigest()[:12]
        lines.append(f"{'same' if same else 'DIFFERS'}  {digest}  {name}")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", required=True, help="the other version's velocell")
    parser.add_argument("--after", default=str(Path(sys.executable).with_name("velocell")))
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    lines = compare(arguments.before, arguments.after)
    different = sum(line.startswith("DIFFERS") for line in lines)
    text = "\n".join([*lines, f"{len(lines)} compared, {different} differ"])
    print(text)
    if arguments.out:
        arguments.out.write_text(text + "\n")
    sys.exit(different > 0)


if __name__ == "__main__":
    main()
