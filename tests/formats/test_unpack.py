"""Unpacking to a limit."""

from __future__ import annotations

import bz2
import sys
from collections.abc import Callable

import lz4.frame
import numpy as np
import pytest

from velocell import _native
from velocell._native import Unpacker, loaded_unpacker
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


# --- the same by the libraries' own functions ------------------------------------------------------------------------


def loaded(name: str, most_bytes: int = unpack.MAX_BYTES) -> Unpacker:
    found = unpack.loaded(name, most_bytes)
    if found is None:
        pytest.skip(f"the functions of {name} are not to be seen here; Python's interface to it is used")
    return found


@pytest.mark.parametrize("name", ["lz4", "zstd"])
def test_one_frame_after_the_other(name: str) -> None:
    own, rng = loaded(name), np.random.default_rng(2)
    for n in (0, 1, 70_000, FIRST - 1, FIRST, FIRST + 1, 3 * FIRST + 1, 5, 2 * FIRST, 0):
        for data in (bytes(n), rng.bytes(n)):
            packed = PACK[name](data)
            assert own(packed) == own(packed + b"more") == own(memoryview(bytearray(packed))) == data
            with pytest.raises(ValueError, match="damaged or cut off"):
                own(packed[: rng.integers(len(packed))])


@pytest.mark.parametrize("name", ["lz4", "zstd"])
def test_the_limit_of_the_libraries_own_functions(name: str) -> None:
    for limit in (1_000, FIRST, FIRST + 5):
        own = loaded(name, limit)
        for n in (limit + 1, limit, 50 * limit, limit - 1):
            assert own(PACK[name](bytes(n))) == (bytes(n) if n <= limit else None)


@pytest.mark.parametrize("name", ["lz4", "zstd"])
def test_damage_is_damage_either_way(name: str) -> None:
    own, python, rng = loaded(name, 50_000), unpack.unpacker(name, 50_000), np.random.default_rng(3)
    content = rng.bytes(300) + bytes(2_000) + rng.bytes(300)
    packed = PACK[name](content)
    different = 0
    for _ in range(3_000):
        changed = bytearray(packed)
        for at in rng.integers(len(packed), size=rng.integers(1, 4)):
            changed[at] = rng.integers(256)
        answers: list[object] = []
        for unpacked in (own, python):
            try:
                answers.append(unpacked(changed))
            except ValueError:
                answers.append("damaged")
            except unpack.Oversized:
                answers.append(None)
        assert answers[0] == answers[1]
        different += answers[0] != content
    assert different > 500


def test_a_library_that_is_not_loaded_is_not_used() -> None:
    assert loaded_unpacker("/no/such/library.so", "lz4", 10) is None


def test_a_library_that_is_loaded_but_has_other_functions_is_not_used() -> None:
    library = _native.__file__
    assert library is not None
    for name in ("lz4", "zstd"):
        assert loaded_unpacker(library, name, 10) is None


def test_an_unknown_name() -> None:
    with pytest.raises(KeyError):
        unpack.unpacker("zip")
