"""Examples that the help of each command shows; a test parses them all."""

from __future__ import annotations

EXAMPLES: dict[str, tuple[str, ...]] = {
    "demo": ("velocell demo --out demo",),
    "info": ("velocell info recording.raw", "velocell info recording.raw --json"),
    "import": ("velocell import net.nir -o net.toml",),
    "train": ("velocell train --bands 40,160,640 --radius 3 --simulate scene.toml --seeds 20 -o recipe.toml",),
    "detect": (
        "velocell detect recording.raw --bands 16,62,177,500 -o tracks.csv",
        "velocell detect recording.raw --bands 16,62 --radius 3:15 -o tracks.parquet --objects objects.csv",
        "velocell detect recording.raw --network net.toml -o tracks.csv --figures figures --report report.html",
        "velocell detect a.raw b.raw --config run.toml -o tracks.csv",
    ),
    "batch": (
        "velocell batch /data/monday -o results --bands 16,62,177,500 --also objects",
        "velocell batch 's3://lab/*.raw' -o results --network net.toml --scheduler tcp://host:8786",
    ),
    "live": (
        "velocell live udp://0.0.0.0:3333 --size 640x480 --network net.toml -o rows.jsonl --rotate 1h",
        "velocell live camera: --bands 16,62 --messages mqtt://broker/belt --count-line 320,479,320,0",
    ),
    "convert": ("velocell convert recording.aedat4 recording.raw",),
    "simulate": ("velocell simulate notebook -o recording.npz --truth truth.csv",),
    "evaluate": ("velocell evaluate tracks.csv truth.csv --bands 16,62,177,500 --json",),
    "calibrate": ("velocell calibrate --bands 16,62,177,500 --radius 5 -o net.toml",),
    "export": ("velocell export tracks.csv -o boxes.txt",),
    "tuning": ("velocell tuning net.toml -o tuning.pdf",),
    "view": ("velocell view demo", "velocell view recording.raw --bands 16,62,177,500"),
}


def epilog(command: str) -> str | None:
    """Below the help; a paragraph each, so that the lines are not run together."""
    lines = EXAMPLES.get(command, ())
    return "Examples:\n\n" + "\n\n".join(lines) if lines else None
