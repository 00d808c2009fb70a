"""A picture as the bytes of one message; `static/wire.js` is the other end.

    u32 length of the header | header, JSON in UTF-8, padded to a multiple of 4
    the plane: "dense": H W bytes; "sparse": n pixels u32, n bytes; each part padded to a multiple of 4
    the tails of the objects: x, y as f32, `tails` points
    the spikes: x u16, y u16, index u8, age u8, one array after the other

All numbers little-endian. A plane goes sparse where that is shorter.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from velocell.viewer.pictures import Dots


def pack(
    header: dict[str, Any], plane: NDArray[np.uint8] | None, dots: Dots, tails: NDArray[np.float32] | None = None
) -> bytes:
    """The message; `header` gets the keys plane, n, tails and spikes."""
    parts: list[bytes] = []
    encoding, n = "none", 0
    if plane is not None:
        lit = np.flatnonzero(plane)
        encoding, n = ("sparse", lit.size) if 5 * lit.size < plane.size else ("dense", plane.size)
        if encoding == "sparse":
            parts += [lit.astype("<u4").tobytes(), _padded(plane.reshape(-1)[lit].tobytes())]
        else:
            parts.append(_padded(plane.tobytes()))
    if tails is not None:
        parts.append(np.asarray(tails, "<f4").tobytes())
    for values, kind in ((dots.x, "<u2"), (dots.y, "<u2"), (dots.index, "u1"), (dots.age, "u1")):
        parts.append(np.asarray(values, kind).tobytes())
    counts = {"n": n, "tails": 0 if tails is None else len(tails), "spikes": dots.x.size}
    text = json.dumps({**header, "plane": encoding, **counts}, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    return b"".join([len(text).to_bytes(4, "little"), text, *parts])


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
