"""Runs a child on a recording and makes tracks of its rows.

The file of events: records of `EVENT`, little-endian, t in us after the recording's start. The rows on stdout:
t_us,id,x,y,vx,vy with nothing for a velocity that the method does not give. Lines on stderr: `cpu_s=`, the processor
time of the method alone, without the start of its interpreter and the reading; `peak_mb=`, the largest memory of its
process, where the system tells it.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.rivals.interface import EVERY_US, RivalError, instants
from velocell.data.bands import Bands
from velocell.data.recording import Recording
from velocell.data.tracks import Tracks

Floats = NDArray[np.float64]
EVENT = np.dtype([("t", "<i4"), ("x", "<i2"), ("y", "<i2"), ("p", "u1")])
LONGEST_S = 600
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def write_events(recording: Recording, path: Path) -> None:
    """Without polarity, all are ON. Raises RivalError for a recording longer than a signed 32-bit us."""
    if recording.stop_us - recording.start_us >= 2**31:
        raise RivalError("the recording is longer than 35 minutes, which these programs' clocks cannot hold; cut it")
    events = np.empty(recording.t_us.size, EVENT)
    events["t"] = recording.t_us - recording.start_us
    events["x"], events["y"] = recording.x, recording.y
    events["p"] = 1 if recording.p is None else recording.p
    events.tofile(path)


def run_child(
    command: Sequence[str], recording: Recording, arguments: Sequence[str] = ()
) -> tuple[Floats, dict[str, float]]:
    """Rows (n, 6): t_us on the recording's clock, id, x, y, vx, vy (NaN where not given); and cpu_s and peak_mb.

    The child is called with EVENTS WIDTH HEIGHT FIRST_US EVERY_US LAST_US and then the arguments. Raises RivalError
    with its own last words where it fails or takes longer than LONGEST_S.
    """
    when = instants(recording) - recording.start_us
    if not when.size:
        return np.empty((0, 6)), {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "events.bin"
        write_events(recording, path)
        full = [
            *command, str(path), str(recording.width), str(recording.height), str(when[0]), str(EVERY_US),
            str(when[-1]), *arguments,
        ]  # fmt: skip
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            try:
                code = subprocess.run(
                    full, stdout=out, stderr=err, env={**os.environ, **ONE_THREAD}, cwd=folder, timeout=LONGEST_S,
                    check=False,
                ).returncode  # fmt: skip
            except subprocess.TimeoutExpired:
                raise RivalError(f"{Path(command[0]).name} had not ended after {LONGEST_S} s") from None
            out.seek(0)
            err.seek(0)
            words = err.read().decode("utf-8", "replace").strip().splitlines()
            if code:
                raise RivalError(f"{Path(command[0]).name} ended with {code}: {words[-1] if words else 'no word'}")
            text = out.read().strip()
    rows = np.genfromtxt(text.splitlines(), delimiter=",").reshape(-1, 6) if text else np.empty((0, 6))
    rows[:, 0] += recording.start_us
    pairs = [line.split("=", 1) for line in words if line.startswith(("cpu_s=", "peak_mb="))]
    return rows, {name: float(value) for name, value in pairs}


def slopes(t_us: Floats, number: Floats, x: Floats, y: Floats, window_us: float) -> tuple[Floats, Floats]:
    """Velocity (n,), (n,) in px/s of each row: the line of least squares through the rows of the same id in the window
    that ends with it; NaN before it has three rows."""
    vx, vy = np.full(t_us.size, np.nan), np.full(t_us.size, np.nan)
    for one in np.unique(number):
        own = np.flatnonzero(number == one)
        own = own[np.argsort(t_us[own], kind="stable")]
        t = (t_us[own] - t_us[own[0]]) * 1e-6
        first = np.searchsorted(t, t - window_us * 1e-6 - 1e-9)
        n = np.arange(1, own.size + 1) - first
        sums = [_over(values, first) for values in (t, t * t, x[own], y[own], t * x[own], t * y[own])]
        with np.errstate(divide="ignore", invalid="ignore"):
            spread = sums[1] - sums[0] ** 2 / n
            for v, s, st in ((vx, sums[2], sums[4]), (vy, sums[3], sums[5])):
                v[own] = np.where(n >= 3, (st - sums[0] * s / n) / spread, np.nan)
    return vx, vy


def _over(values: Floats, first: NDArray[np.intp]) -> Floats:
    """Sums from `first` up to each place."""
    total = np.concatenate(([0.0], np.cumsum(values)))
    return total[1:] - total[first]


def tracks_of(
    rows: Floats, bands: Bands, radius_px: float, meta: dict[str, float], *, window_ms: float = 0, lead_ms: float = 0
) -> Tracks:  # fmt: skip
    """Tracks from rows (n, 6). window_ms > 0: velocities are the slopes of positions over it, and rows that have none
    yet are left out; 0: the method's own velocities. lead_ms: positions are carried ahead by so much."""
    t, number, x, y, vx, vy = np.asarray(rows, np.float64).T
    if window_ms:
        vx, vy = slopes(t, number, x, y, window_ms * 1e3)
    x, y = x + vx * lead_ms * 1e-3, y + vy * lead_ms * 1e-3
    speed = np.hypot(vx, vy)
    known = np.isfinite(speed) & np.isfinite(x) & np.isfinite(y)
    columns = {
        "t_us": t, "id": number, "x_px": x, "y_px": y, "speed_px_s": speed, "band": bands.of_speed(speed),
        "heading_deg": np.rad2deg(np.arctan2(vy, vx)) % 360, "radius_px": np.full(t.size, float(radius_px)),
    }  # fmt: skip
    columns = {name: values[known] for name, values in columns.items()}
    columns["t_us"], columns["id"] = columns["t_us"].astype(np.int64), columns["id"].astype(np.int32)
    return Tracks.from_columns(columns, dict(meta))
