"""The C++ core's decoders on any bytes: for a sanitized build, for atheris and for OSS-Fuzz.

    python -m benchmarks.fuzz_native --calls 50000 --inputs 20000 [--seed 0]     what `make sanitize` runs
    python -m benchmarks.fuzz_native --atheris evt3 [options of libFuzzer]       with coverage, by atheris

A call feeds bytes to one decoder, in pieces, and its events to an encoder; an input is a file of `benchmarks.fuzz` in a
format that the core decodes, read as the commands read it. Other errors than VelocellError and ValueError end the run.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np

from benchmarks import fuzz, fuzz_worker
from benchmarks.fuzz_seeds import aedat, aedat4, event_streams, prophesee, texts
from velocell import _native
from velocell.errors import VelocellError
from velocell.formats import unpack as unpacking

Target = Callable[[bytes], None]
_SEEDS = (prophesee, event_streams, texts, aedat, aedat4)
_DECODERS = {
    "evt2": "Evt2Decoder",
    "evt21": "Evt21Decoder",
    "evt21_swapped": "Evt21SwappedDecoder",
    "evt3": "Evt3Decoder",
    "dat1": "Dat1Decoder",
    "dat2": "Dat2Decoder",
    "dvs_stream": "DvsStreamDecoder",
    "atis_stream": "AtisStreamDecoder",
}


def decoder(name: str) -> Target:
    def target(data: bytes) -> None:
        made = getattr(_native, name)()
        # In two pieces: what is held between them is where such code goes wrong.
        cut = data[0] % (len(data) + 1) if data else 0
        for piece in (data[:cut], data[cut:]):
            t, x, y, p = made.feed(piece)
            assert len(t) == len(x) == len(y) == len(p)
            with suppress(VelocellError, ValueError):
                _native.Evt3Encoder().feed(np.sort(t), x, y, p.view(np.uint8))
        assert made.held >= 0
        assert made.counts

    return target


def packets(data: bytes) -> None:
    """As packets of AEDAT4 and as their contents, not packed, and packed by each library."""
    _native.packet_elements(data, b"EVTS", bool(len(data) % 2))
    for unpack in (None, *(unpacking.loaded(name, 1 << 20) for name in ("lz4", "zstd"))):
        if isinstance(unpack, _native.Unpacker):
            with suppress(ValueError):
                unpack(data)
        reader, at = _native.PacketReader([(0, b"EVTS", True), (1, b"IMUS", False)], 1 << 20), 0
        while True:
            view = memoryview(data)[at:]
            state, used, _ = reader.feed(view, len(view), unpack, enough_events=100, enough_bytes=1_000)
            at += used
            if state not in ("pause", "damaged") or not used:
                break
        t, x, y, p = reader.take()
        assert len(t) == len(x) == len(y) == len(p)


def text(data: bytes) -> None:
    with suppress(ValueError):
        _native.text_columns(data, ("txyp", "xyt", "ptxy")[len(data) % 3], (",", "", " ")[len(data) % 3], "#", 0)


def state(data: bytes) -> None:
    with suppress(VelocellError):
        _native.Engine.load(data, threads=1, max_spikes=1000)


TARGETS: dict[str, Target] = {
    **{name: decoder(kind) for name, kind in _DECODERS.items()},
    "packets": packets, "text": text, "state": state,
}  # fmt: skip


def calls(n: int, seed: int) -> None:
    """Random bytes, and bytes of real files with changes."""
    contents = [one.content for make in _SEEDS for one in make()]
    # AEDAT4's packets stand behind a header, whose length does.
    contents += [one.content[18 + int.from_bytes(one.content[14:18], "little") :] for one in aedat4()]
    for k in range(n):
        rng = random.Random(f"{seed} {k}")
        content = fuzz.damaged(rng.choice(contents), contents, rng) if rng.random() < 0.7 else b""
        TARGETS[list(TARGETS)[k % len(TARGETS)]](content or rng.randbytes(rng.choice((0, 1, 7, 64, 3000))))


def inputs(n: int, seed: int) -> int:
    """Files as `benchmarks.fuzz` makes them, in this process; how many were read, not refused."""
    made = fuzz.Inputs([one for make in _SEEDS for one in make()], seed)
    read = 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "input"
        for k in range(n):
            _, content, rng = made.make(k)
            path.write_bytes(content)
            outcome, words = fuzz_worker.outcome_of(fuzz_worker.read_file, path, rng)
            if outcome not in fuzz_worker.PASSED:
                raise AssertionError(f"input {k}: {outcome}: {words}")
            read += outcome == "read"
    return read


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=50_000)
    parser.add_argument("--inputs", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--atheris", choices=TARGETS, help="run this target under atheris")
    arguments, more = parser.parse_known_args()
    if arguments.atheris:
        import atheris

        atheris.Setup([sys.argv[0], *more], TARGETS[arguments.atheris])
        atheris.Fuzz()
        return
    begun = time.perf_counter()
    calls(arguments.calls, arguments.seed)
    read = inputs(arguments.inputs, arguments.seed)
    print(f"{arguments.calls} calls and {arguments.inputs} files ({read} read, the others refused) without a fault, "
          f"{time.perf_counter() - begun:.0f} s")  # fmt: skip


if __name__ == "__main__":
    main()
