"""Recording: checks on the way in, parts, dense frames and back, time surfaces."""

from __future__ import annotations

import math
import tracemalloc
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from strategies import EPOCH_US, assert_same_recording, recordings

from velocell.data import checks
from velocell.data.recording import Recording, time_surface
from velocell.errors import RecordingError

BLOCK = checks._BLOCK


def counted(recording: Recording, dt_us: int) -> Counter[tuple[int, ...]]:
    """Events per (frame, plane, y, x) by plain arithmetic; plane 0 without polarity."""
    first = recording.start_us // dt_us
    planes = [0] * len(recording) if recording.p is None else recording.p.tolist()
    rows = zip(recording.t_us.tolist(), planes, recording.y.tolist(), recording.x.tolist(), strict=True)
    return Counter((t // dt_us - first, int(plane), y, x) for t, plane, y, x in rows)


class TestFromArrays:
    def test_types_and_inferred_size(self) -> None:
        recording = Recording.from_arrays([5, 7], [3, 0], [0, 9], [0, 1])
        assert [a.dtype for a in (recording.t_us, recording.x, recording.y, recording.p)] == ["i8", "u2", "u2", "?"]
        assert recording.size == (4, 10)
        assert (recording.start_us, recording.stop_us, recording.duration_us) == (5, 8, 3)
        assert "4x10 inferred" in recording.notes[0]
        assert "--size" in recording.notes[0]

    def test_stated_size_leaves_no_note(self) -> None:
        assert Recording.from_arrays([0], [0], [0], width=5, height=4).notes == ()

    def test_no_events(self) -> None:
        recording = Recording.from_arrays([], [], [], [])
        assert len(recording) == 0
        assert recording.t_us.dtype == np.int64
        assert recording.size == (1, 1)

    def test_right_types_are_kept(self) -> None:
        t, x, p = np.arange(3), np.zeros(3, np.uint16), np.array([0, 1, 1], np.uint8)
        recording = Recording.from_arrays(t, x, x, p)
        assert np.shares_memory(recording.t_us, t)
        assert np.shares_memory(recording.x, x)
        assert np.shares_memory(recording.p, p)
        np.testing.assert_array_equal(recording.p, [False, True, True])

    @pytest.mark.parametrize(
        "p",
        [[0, 1, 1], [-1, 1, 1], [False, True, True], np.array([0, 1, 1], ">i4"), np.array([-1.0, 1, 1], np.float32)],
        ids=["0/1", "-1/1", "bool", "big-endian", "float"],
    )
    def test_polarity(self, p: object) -> None:
        np.testing.assert_array_equal(Recording.from_arrays([0, 1, 2], [0] * 3, [0] * 3, p).p, [False, True, True])

    @pytest.mark.parametrize("dtype", ["i1", "u1", ">u2", "i4", "u8", "f4", "f8"])
    def test_any_number_type(self, dtype: str) -> None:
        values = np.array([0, 3, 100], dtype)
        recording = Recording.from_arrays(values, values, values)
        np.testing.assert_array_equal(recording.t_us, [0, 3, 100])
        np.testing.assert_array_equal(recording.x, [0, 3, 100])

    def test_epoch_times_stay_exact(self) -> None:
        times = EPOCH_US + np.arange(3)
        assert Recording.from_arrays(times, [0] * 3, [0] * 3).t_us.tolist() == [EPOCH_US, EPOCH_US + 1, EPOCH_US + 2]

    @pytest.mark.parametrize(
        ("arrays", "message"),
        [
            (([1], [1, 2], [1]), "one entry per event, got lengths 1, 2 and 1"),
            (([[1]], [1], [1]), r"t in cam.npz must be one-dimensional, got shape \(1, 1\)"),
            ((["a"], [1], [1]), "t in cam.npz must be numbers"),
            (([0.5], [1], [1]), "t in cam.npz must be whole numbers"),
            (([np.nan], [1], [1]), "t in cam.npz must be whole numbers"),
            (([1], [np.inf], [1]), "x in cam.npz must be whole numbers"),
            (([1e300], [1], [1]), "t in cam.npz must be whole numbers"),
            (([-3, 1], [1, 1], [1, 1]), "first time in cam.npz is -3 us"),
            (([1, 5, 4], [1] * 3, [1] * 3), r"go back at 1 of 3 events, first at number 2 \(5 -> 4 us\); sort"),
            (([1, 2], [1, -1], [1, 1]), "1 of 2 events in cam.npz lie outside the 2x2 sensor.* number 1 with x = -1"),
            (([1], [1], [65_536]), "2x65537 in cam.npz must be between 1 and 65536"),
            (([1], [1], [1], [2]), "p in cam.npz must hold only 0 and 1"),
            (([1], [1], [1], [np.nan]), "p in cam.npz must hold only 0 and 1"),
            (([1, 1], [1, 1], [1, 1], [-1, 0]), "holds -1 and 0"),
            (([1], [1], [1], [1, 1]), r"one entry per event, got shape \(2,\) for 1 events"),
        ],
    )
    def test_refused(self, arrays: tuple[object, ...], message: str) -> None:
        with pytest.raises(RecordingError, match=message) as caught:
            Recording.from_arrays(*arrays, source="cam.npz")
        assert "cam.npz" in str(caught.value)

    def test_outside_a_stated_sensor(self) -> None:
        with pytest.raises(RecordingError, match=r"2 of 3 events lie outside the 5x4 sensor.* 0 with y = 4.*--size"):
            Recording.from_arrays([1, 2, 3], [4, 0, 0], [4, 9, 3], width=5, height=4)

    @pytest.mark.parametrize(("start", "stop"), [(3, 10), (0, 7), (9, 2)])
    def test_outside_the_span(self, start: int, stop: int) -> None:
        with pytest.raises(RecordingError, match="outside the span"):
            Recording.from_arrays([2, 7], [0, 0], [0, 0], start_us=start, stop_us=stop)

    @pytest.mark.parametrize("at", [1, BLOCK - 1, BLOCK, BLOCK + 1, BLOCK + 4])
    def test_errors_at_the_edges_of_a_block(self, at: int) -> None:
        t, x = np.arange(BLOCK + 5), np.zeros(BLOCK + 5, np.uint16)
        late = t.copy()
        late[at - 1] += 2
        with pytest.raises(RecordingError, match=f"go back at 1 of {t.size} events, first at number {at} "):
            Recording.from_arrays(late, x, x)
        wide = x.copy()
        wide[at] = 9
        with pytest.raises(RecordingError, match=f"1 of {t.size} events lie outside .* number {at} with x = 9"):
            Recording.from_arrays(t, wide, x, width=9, height=9)
        with pytest.raises(RecordingError, match="only 0 and 1"):
            Recording.from_arrays(t, x, x, np.where(t == at, 2, 1))

    def test_errors_in_several_blocks(self) -> None:
        t, x = np.arange(BLOCK + 2), np.zeros(BLOCK + 2, np.uint16)
        t[[7, -1]] = 0
        with pytest.raises(RecordingError, match=r"go back at 2 of \d+ events, first at number 7 \(6 -> 0 us\)"):
            Recording.from_arrays(t, x, x)
        x[[7, -1]] = 9
        with pytest.raises(RecordingError, match=r"2 of \d+ events lie outside .* number 7 with x = 9"):
            Recording.from_arrays(np.arange(t.size), x, x, width=9, height=10)

    def test_memory(self) -> None:
        n = 20 * BLOCK
        t, x, p = np.arange(n), np.zeros(n, np.uint16), np.zeros(n, np.uint8)
        tracemalloc.start()
        Recording.from_arrays(t, x, x, p)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        # The arrays take 13 bytes an event; a whole-size comparison would add one or more.
        assert peak < n / 2


class TestParts:
    @given(recordings(), st.data())
    def test_between(self, recording: Recording, data: st.DataObject) -> None:
        bounds = st.integers(recording.start_us - 5, recording.stop_us + 5)
        start, stop = data.draw(bounds), data.draw(bounds)
        part = recording.between(start, stop)
        inside = (recording.t_us >= start) & (recording.t_us < stop)
        np.testing.assert_array_equal(part.t_us, recording.t_us[inside])
        np.testing.assert_array_equal(part.x, recording.x[inside])
        assert part.start_us <= part.stop_us
        assert part.start_us >= recording.start_us

    @given(recordings(), st.integers(1, 40_000))
    def test_chunks_are_the_whole(self, recording: Recording, span_us: int) -> None:
        if recording.duration_us // span_us > 2_000:
            span_us = recording.duration_us
        parts = list(recording.chunks(span_us))
        edges = [part.start_us for part in parts] + [parts[-1].stop_us]
        assert (edges[0], edges[-1]) == (recording.start_us, recording.stop_us)
        assert all(edge % span_us == 0 for edge in edges[1:-1])
        assert all(part.stop_us == after for part, after in zip(parts, edges[1:], strict=True))
        assert all(0 < part.duration_us <= span_us for part in parts)
        for name in ("t_us", "x", "y"):
            joined = np.concatenate([getattr(part, name) for part in parts])
            np.testing.assert_array_equal(joined, getattr(recording, name))

    def test_chunks_include_quiet_ones(self) -> None:
        recording = Recording.from_arrays([5, 95], [0, 0], [0, 0], start_us=0, stop_us=100)
        assert [len(part) for part in recording.chunks(20)] == [1, 0, 0, 0, 1]
        with pytest.raises(RecordingError, match="at least 1 us"):
            next(recording.chunks(0))

    @given(recordings(), st.data())
    def test_crop(self, recording: Recording, data: st.DataObject) -> None:
        x, y = data.draw(st.integers(0, recording.width)), data.draw(st.integers(0, recording.height))
        w, h = data.draw(st.integers(0, recording.width - x)), data.draw(st.integers(0, recording.height - y))
        part = recording.crop(x, y, w, h)
        expected = [
            (t, px, py)
            for t, px, py in zip(recording.t_us.tolist(), recording.x.tolist(), recording.y.tolist(), strict=True)
            if x <= px < x + w and y <= py < y + h
        ]
        assert list(zip(part.t_us.tolist(), part.x.tolist(), part.y.tolist(), strict=True)) == expected
        assert (part.size, part.start_us, part.stop_us) == (recording.size, recording.start_us, recording.stop_us)

    @pytest.mark.parametrize("region", [(-1, 0, 2, 2), (0, 0, 6, 2), (3, 0, 3, 1), (0, 4, 1, 1)])
    def test_crop_outside(self, region: tuple[int, int, int, int]) -> None:
        recording = Recording.from_arrays([0], [0], [0], width=5, height=4)
        with pytest.raises(RecordingError, match="outside the 5x4 sensor"):
            recording.crop(*region)

    @given(recordings())
    def test_mask_splits(self, recording: Recording) -> None:
        keep = recording.x % 2 == 0
        even, odd = recording.mask(keep), recording.mask(~keep)
        assert len(even) + len(odd) == len(recording)
        assert (even.x % 2 == 0).all()
        assert (odd.x % 2 == 1).all()

    @given(recordings(polarity=True))
    def test_polarities(self, recording: Recording) -> None:
        on, off, merged = (recording.with_polarity(which) for which in ("on", "off", "drop"))
        assert recording.with_polarity("both") is recording
        assert on.p.all()
        assert not off.p.any()
        assert merged.p is None
        assert len(on) + len(off) == len(merged) == len(recording)
        assert on.duration_us == recording.duration_us

    def test_merge_is_the_old_name_of_drop(self) -> None:
        recording = Recording.from_arrays([0], [0], [0], [1])
        with pytest.warns(DeprecationWarning, match="say 'drop'"):
            assert recording.with_polarity("merge").p is None

    def test_polarity_that_is_not_there(self) -> None:
        recording = Recording.from_arrays([0], [0], [0], source="cam.npz")
        with pytest.raises(RecordingError, match=r"'on' was requested but cam.npz has none; use merge"):
            recording.with_polarity("on")
        with pytest.raises(RecordingError, match="'red' is unknown"):
            recording.with_polarity("red")


class TestDense:
    @given(recordings(max_span_us=10_000), st.sampled_from([100, 333, 1_000, 7_000]))
    def test_to_dense_counts_every_event(self, recording: Recording, dt_us: int) -> None:
        dense = recording.to_dense(dt_us)
        planes = dense if recording.p is not None else dense[:, None]
        found = {tuple(index): int(planes[tuple(index)]) for index in np.argwhere(planes).tolist()}
        assert found == counted(recording, dt_us)
        assert dense.dtype == np.float32
        assert len(dense) == -(-recording.stop_us // dt_us) - recording.start_us // dt_us
        np.testing.assert_array_equal(recording.to_dense(dt_us, binary=True), dense > 0)

    @given(recordings(max_span_us=10_000), st.sampled_from([333, 1_000]))
    def test_there_and_back(self, recording: Recording, dt_us: int) -> None:
        frames = recording.to_dense(dt_us)
        start = recording.start_us // dt_us * dt_us
        back = Recording.from_dense(frames, dt_us, start_us=start)
        assert counted(back, dt_us) == counted(recording, dt_us)
        assert back.size == recording.size
        assert (back.t_us % dt_us == 0).all()
        np.testing.assert_array_equal(back.to_dense(dt_us), frames)

    @given(
        hnp.arrays(
            np.uint8,
            st.tuples(st.integers(0, 6), st.sampled_from([2, None]), st.integers(1, 5), st.integers(1, 5)).map(
                lambda shape: tuple(n for n in shape if n is not None)
            ),
            elements=st.integers(0, 3),
        ),
        st.sampled_from([np.uint8, np.int64, np.float16, np.float32, np.bool_]),
        st.integers(1, 5_000),
    )
    def test_back_and_there(self, frames: np.ndarray, dtype: type[np.generic], dt_us: int) -> None:
        frames = frames.astype(dtype)
        recording = Recording.from_dense(frames, dt_us)
        assert (recording.start_us, recording.stop_us) == (0, len(frames) * dt_us)
        np.testing.assert_array_equal(recording.to_dense(dt_us), frames)

    @given(st.data())
    def test_counts_in_any_order_add_up(self, data: st.DataObject) -> None:
        shape = data.draw(st.sampled_from([(4, 3, 5), (4, 2, 3, 5)]))
        entry = st.tuples(*(st.integers(0, length - 1) for length in shape), st.integers(0, 3))
        entries = data.draw(st.lists(entry, max_size=15))
        dense = np.zeros(shape, np.int64)
        for *index, count in entries:
            dense[tuple(index)] += count
        columns = np.array(entries, np.int64).reshape(-1, len(shape) + 1).T
        sparse = Recording.from_counts(list(columns[:-1]), columns[-1], shape, 500)
        np.testing.assert_array_equal(sparse.to_dense(500), dense)
        assert_same_recording(sparse.mask(np.zeros(len(sparse), bool)), Recording.from_dense(dense * 0, 500))

    def test_rows_are_y(self) -> None:
        frames = np.zeros((3, 2, 4, 6))
        frames[2, 1, 3, 5] = 2
        recording = Recording.from_dense(frames, 250)
        assert recording.size == (6, 4)
        assert recording.t_us.tolist() == [500, 500]
        assert (recording.x[0], recording.y[0], recording.p[0]) == (5, 3, True)

    def test_torch_tensors(self) -> None:
        torch = pytest.importorskip("torch", reason="torch is not installed")
        frames = torch.arange(24).reshape(2, 3, 4) % 3
        np.testing.assert_array_equal(Recording.from_dense(frames).to_dense(), frames.numpy())

    @pytest.mark.parametrize(
        ("frames", "message"),
        [
            (np.zeros((3, 4)), r"shape \(T, H, W\) or \(T, 2, H, W\), got \(3, 4\)"),
            (np.zeros((3, 3, 4, 4)), r"got \(3, 3, 4, 4\)"),
            (np.full((1, 1, 1), 0.5), "whole numbers"),
            (np.full((1, 1, 1), -1), "none below 0"),
            (np.full((1, 1, 1), np.nan), "whole numbers"),
            (np.full((1, 1, 1), np.inf), "whole numbers"),
            (np.full((1, 1, 1), "a"), "whole numbers"),
            (np.full((1, 1, 1), 1e15), "not brightness"),
            (np.zeros((1, 0, 4)), "sensor size 4x0"),
        ],
    )
    def test_frames_refused(self, frames: np.ndarray, message: str) -> None:
        with pytest.raises(RecordingError, match=message):
            Recording.from_dense(frames)

    @pytest.mark.parametrize("dt_us", [0, -5, 2**62])
    def test_frame_times_refused(self, dt_us: int) -> None:
        with pytest.raises(RecordingError, match="frame time"):
            Recording.from_dense(np.zeros((2, 1, 1)), dt_us)

    @pytest.mark.parametrize("index", [-1, 2])
    def test_indices_outside(self, index: int) -> None:
        positions = [np.array([0]), np.array([index]), np.array([0])]
        with pytest.raises(RecordingError, match=r"lie outside the shape \(2, 2, 2\) in dimension 1"):
            Recording.from_counts(positions, np.array([1]), (2, 2, 2))

    def test_dense_refused(self) -> None:
        recording = Recording.from_arrays([0, 10**9], [0, 1279], [0, 719])
        with pytest.raises(RecordingError, match="more than 8 GiB; use a longer dt"):
            recording.to_dense(1)
        with pytest.raises(RecordingError, match="at least 1 us"):
            recording.to_dense(0)


class TestTimeSurface:
    @given(recordings(), st.sampled_from([10.0, 3_000.0]), st.integers(-100, 31_000))
    def test_every_pixel(self, recording: Recording, tau_us: float, after_us: int) -> None:
        at_us = recording.start_us + after_us
        surface = time_surface(recording, tau_us, at_us)
        last: dict[tuple[int, ...], int] = {}
        planes = [0] * len(recording) if recording.p is None else recording.p.tolist()
        rows = zip(recording.t_us.tolist(), planes, recording.y.tolist(), recording.x.tolist(), strict=True)
        for t, *pixel in rows:
            if t <= at_us:
                last[tuple(map(int, pixel))] = t
        expected = np.zeros((2 if recording.p is not None else 1, recording.height, recording.width))
        for pixel, t in last.items():
            expected[pixel] = math.exp(-(at_us - t) / tau_us)
        assert surface.shape == (expected.shape if recording.p is not None else expected.shape[1:])
        assert surface.dtype == np.float32
        np.testing.assert_allclose(surface.reshape(expected.shape), expected, rtol=1e-6, atol=1e-30)

    def test_an_event_at_the_very_time_counts(self) -> None:
        recording = Recording.from_arrays([10, 20], [0, 0], [0, 0])
        assert time_surface(recording, 5.0, 20).tolist() == [[1.0]]
        assert time_surface(recording, 5.0, 19).tolist() == [[pytest.approx(math.exp(-9 / 5))]]

    @pytest.mark.parametrize("tau_us", [0, -1, math.nan, math.inf])
    def test_tau_refused(self, tau_us: float) -> None:
        with pytest.raises(RecordingError, match="must be positive and finite"):
            time_surface(Recording.from_arrays([0], [0], [0]), tau_us, 10)
