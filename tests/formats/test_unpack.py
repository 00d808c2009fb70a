"""Unpacking to a limit."""

from __future__ import annotations

import bz2
import sys
from collections.abc import Callable

import lz4.frame
import numpy as np
import pytest

from velocell.formats import unpack

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

PACK: dict[str, Callable[[bytes], bytes]] = {
    "none": bytes,
    "lz4": lz4.frame.compress,
    "zstd": zstd.compress,
    "bz2": bz2.compress,
}
FIRST = unpack._FIRST_BYTES


@pytest.mark.parametrize("name", PACK)
@pytest.mark.parametrize("n", [0, 1, 70_000, FIRST - 1, FIRST, FIRST + 1, 3 * FIRST - 1, 3 * FIRST, 3 * FIRST + 1])
@pytest.mark.parametrize("kind", ["zeros", "noise"])
def test_any_length(name: str, n: int, kind: str) -> None:
    data = bytes(n) if kind == "zeros" else np.random.default_rng(1).bytes(n)
    assert unpack.unpacker(name)(PACK[name](data)) == data


@pytest.mark.parametrize("name", ["lz4", "zstd", "bz2"])
def test_the_limit(name: str) -> None:
    for limit in (1_000, FIRST, FIRST + 5):
        for n in (limit - 1, limit):
            assert len(unpack.unpacker(name, limit)(PACK[name](bytes(n)))) == n
        for n in (limit + 1, 50 * limit):
            with pytest.raises(unpack.Oversized):
                unpack.unpacker(name, limit)(PACK[name](bytes(n)))


@pytest.mark.parametrize("name", ["lz4", "zstd", "bz2"])
def test_damage(name: str) -> None:
    packed = PACK[name](np.random.default_rng(1).bytes(1_000) + bytes(3 * FIRST))
    for length in range(len(packed)):
        with pytest.raises(ValueError, match=r"."):
            unpack.unpacker(name)(packed[:length])
    with pytest.raises(ValueError, match=r"."):
        unpack.unpacker(name)(b"no such thing")


def test_an_unknown_name() -> None:
    with pytest.raises(KeyError):
        unpack.unpacker("zip")
