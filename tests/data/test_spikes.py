"""Spikes: canonical order and the `.npz` file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import EPOCH_US, spikes

from velocell.data.spikes import Spikes
from velocell.errors import TableError

FIELDS = ("t_us", "x", "y", "channel", "layer")


def rows(some: Spikes) -> list[tuple[int, ...]]:
    return list(zip(*(getattr(some, name).tolist() for name in FIELDS), strict=True))


@given(some=spikes())
def test_round_trip(tmp_path: Path, some: Spikes) -> None:
    some.to_npz(tmp_path / "s.npz")
    back = Spikes.from_npz(tmp_path / "s.npz")
    assert back.same_as(some)
    assert back.layers == some.layers
    assert back.t_us.dtype == np.int64
    assert back.x.dtype == np.int32


def test_the_contract(tmp_path: Path) -> None:
    one = [np.array([value], np.int32) for value in (2, 3, 1, 0)]
    Spikes(np.array([EPOCH_US]), *one, layers=2).to_npz(tmp_path / "s.npz")
    with np.load(tmp_path / "s.npz", allow_pickle=False) as arrays:
        assert {name: arrays[name].tolist() for name in arrays} == {
            "t_us": [EPOCH_US], "x": [2], "y": [3], "channel": [1], "layer": [0], "layers": 2,
        }  # fmt: skip


@given(spikes(), st.randoms(use_true_random=False))
def test_canonical_order(some: Spikes, random: object) -> None:
    order = list(range(len(some)))
    random.shuffle(order)
    shuffled = Spikes(*(getattr(some, name)[order] for name in FIELDS)).sorted()
    assert shuffled.same_as(some)
    assert rows(some) == sorted(rows(some), key=lambda row: (row[0], row[4], row[3], row[2], row[1]))


@given(
    n=st.integers(0, 200),
    seed=st.integers(0, 1 << 30),
    span_us=st.sampled_from([1, 1000, 1 << 40, 1 << 62]),
    radii=st.sampled_from([1, 5, 500]),
)
def test_canonical_order_with_radii(n: int, seed: int, span_us: int, radii: int) -> None:
    rng = np.random.default_rng(seed)
    columns = [rng.integers(-span_us, span_us, n), *(rng.integers(0, most, n, np.int32) for most in (9, 7, 3, 2))]
    radius = rng.choice(rng.uniform(2, 20, radii), n)
    found = Spikes(*columns, radius_px=radius).sorted()
    wanted = sorted(zip(*(values.tolist() for values in (*columns, radius)), strict=True), key=lambda row: (
        row[0], row[4], row[3], row[2], row[1], row[5],
    ))  # fmt: skip
    assert found.radius_px is not None
    assert [(*row, of) for row, of in zip(rows(found), found.radius_px.tolist(), strict=True)] == wanted


@given(spikes())
def test_layers_join_to_the_whole(some: Spikes) -> None:
    parts = [some.of_layer(layer) for layer in (1, 0)]
    assert all((part.layer == layer).all() for part, layer in zip(parts, (1, 0), strict=True))
    assert Spikes.concatenate(parts).same_as(some)
    assert Spikes.concatenate(parts).layers == some.layers


@given(spikes())
def test_the_final_layer_may_be_silent(some: Spikes) -> None:
    last = (some.layers or max(some.layer.tolist(), default=0) + 1) - 1
    assert rows(some.final()) == [row for row in rows(some) if row[4] == last]
    assert len(replace(some, layers=3).final()) == 0


def test_nothing() -> None:
    assert len(Spikes.empty()) == 0
    assert Spikes.concatenate([]).same_as(Spikes.empty())


def test_no_spikes_need_no_radius() -> None:
    some = Spikes(np.arange(3), *(np.arange(3, dtype=np.int32) for _ in range(4)))
    none, of_a_radius = Spikes.empty(), some.for_radius(5.0)
    for parts in ([none, of_a_radius], [of_a_radius, none]):
        assert Spikes.concatenate(parts).same_as(of_a_radius)
    assert Spikes.concatenate([none, none.for_radius(5.0)]).radius_px is not None
    assert Spikes.concatenate([some, of_a_radius]).radius_px is None


@pytest.mark.parametrize("name", FIELDS)
def test_same_as_notices_every_field(name: str) -> None:
    some = Spikes(np.arange(3), *(np.arange(3, dtype=np.int32) for _ in range(4)))
    changed = {field: getattr(some, field).copy() for field in FIELDS}
    changed[name][1] += 1
    assert some.same_as(Spikes(**{field: getattr(some, field).copy() for field in FIELDS}))
    assert not some.same_as(Spikes(**changed))
    assert not some.same_as(Spikes.empty())


def test_files_refused(tmp_path: Path) -> None:
    path = tmp_path / "s.npz"
    with pytest.raises(TableError, match=r"s\.npz does not exist; check the path"):
        Spikes.from_npz(path)

    def refused() -> None:
        with pytest.raises(TableError, match=r"s\.npz is not a table of spikes .*; write one with --spikes"):
            Spikes.from_npz(path)

    path.write_bytes(b"")
    refused()
    path.write_text("t_us,x,y\n")
    refused()
    with path.open("wb") as handle:
        np.save(handle, np.arange(3))
    refused()
    np.savez(path, t_us=np.arange(3), x=np.arange(3))
    refused()
    np.savez(path, t_us=np.arange(3), x=np.arange(2), y=np.arange(3), channel=np.arange(3), layer=np.arange(3))
    refused()
    np.savez(path, **{name: np.zeros((2, 2)) for name in FIELDS})
    refused()
    np.savez(path, **{name: np.array(["a", None], dtype=object) for name in FIELDS})
    refused()
    np.savez(path, **{name: np.array(["a", "b"]) for name in FIELDS})
    refused()
    with pytest.raises(TableError, match="is not a table of spikes"):
        Spikes.from_npz(tmp_path)


def test_truncated_anywhere(tmp_path: Path) -> None:
    path = tmp_path / "s.npz"
    Spikes(np.arange(3), *(np.arange(3, dtype=np.int32) for _ in range(4))).to_npz(path)
    content = path.read_bytes()
    for length in range(0, len(content), 3):
        path.write_bytes(content[:length])
        with pytest.raises(TableError, match="is not a table of spikes"):
            Spikes.from_npz(path)
    generator = np.random.default_rng(0)
    refused = 0
    for _ in range(300):
        mutated = bytearray(content)
        mutated[generator.integers(len(mutated))] ^= 1 << generator.integers(8)
        path.write_bytes(mutated)
        try:
            Spikes.from_npz(path)
        except TableError:
            refused += 1
    assert refused > 100
