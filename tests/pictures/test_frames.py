"""Counts and responses as pictures: values, channels, colours."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from velocell.data.recording import Recording
from velocell.errors import VelocellError
from velocell.pictures.colors import band_color
from velocell.pictures.video.frames import events_to_frames, magnify, superimpose


def test_counts_become_grey_with_the_largest_at_255():
    frames = events_to_frames(np.array([[[0, 1], [2, 4]], [[0, 0], [3, 0]]]))
    assert frames.dtype == np.uint8
    assert frames.shape == (2, 2, 2, 3)
    for channel in range(3):
        np.testing.assert_array_equal(frames[..., channel], [[[0, 64], [128, 255]], [[0, 0], [191, 0]]])


def test_polarities_become_red_and_green():
    counts = np.zeros((1, 2, 3, 4), int)
    counts[0, 0, 0, 1], counts[0, 1, 2, 3] = 2, 1
    frames = events_to_frames(counts, polarity=True)
    assert frames.shape == (1, 3, 4, 3)
    assert frames[0, 0, 1].tolist() == [255, 0, 0]
    assert frames[0, 2, 3].tolist() == [0, 128, 0]
    assert frames.astype(int).sum() == 255 + 128


def test_without_polarity_both_planes_are_summed():
    counts = np.random.default_rng(0).integers(0, 4, (5, 2, 6, 7))
    np.testing.assert_array_equal(events_to_frames(counts), events_to_frames(counts[:, 0] + counts[:, 1]))
    signed = counts * np.array([-1, 1])[:, None, None]
    np.testing.assert_array_equal(events_to_frames(signed), events_to_frames(counts))


@given(hnp.arrays(np.int64, hnp.array_shapes(min_dims=3, max_dims=3, max_side=5), elements=st.integers(0, 1000)))
def test_every_value_is_its_share_of_the_largest(counts):
    frames = events_to_frames(counts)
    largest = int(counts.max())
    for value, pixel in zip(counts.ravel().tolist(), frames.reshape(-1, 3).tolist(), strict=True):
        expected = 255 * value / largest if largest else 0
        assert len(set(pixel)) == 1
        assert abs(pixel[0] - expected) <= 0.5 + 1e-3


def test_torch_tensors_dense_and_sparse_give_the_same():
    torch = pytest.importorskip("torch", reason="the extra 'norse' is not installed")
    counts = np.random.default_rng(1).poisson(0.2, (4, 2, 5, 6))
    tensor = torch.from_numpy(counts)
    for polarity in (False, True):
        expected = events_to_frames(counts, polarity)
        np.testing.assert_array_equal(events_to_frames(tensor, polarity), expected)
        np.testing.assert_array_equal(events_to_frames(tensor.to_sparse(), polarity), expected)
        np.testing.assert_array_equal(events_to_frames(tensor.float().requires_grad_(), polarity), expected)
    np.testing.assert_array_equal(events_to_frames(list(tensor[:, 0])), events_to_frames(counts[:, 0]))


def test_empty_input_gives_no_frames():
    assert events_to_frames(np.zeros((0, 4, 5))).shape == (0, 4, 5, 3)


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        (np.zeros((4, 5)), r"shape \(T, H, W\) or \(T, 2, H, W\), got shape \(4, 5\)"),
        (np.zeros((1, 3, 4, 5)), r"got shape \(1, 3, 4, 5\)"),
        (np.full((1, 2, 2), "a"), "must be numbers"),
        (Recording.from_arrays([0], [0], [0]), "must be numbers"),
        (np.full((1, 2, 2), np.nan), "finite"),
        ([np.zeros((2, 2)), np.zeros((2, 3))], "same shape"),
        ([], "same shape"),
    ],
)
def test_what_is_no_event_count_is_refused(frames, message):
    with pytest.raises(VelocellError, match=message):
        events_to_frames(frames)


def test_responses_are_seen_over_grey_events():
    events, slow, fast = np.zeros((3, 2, 9, 9))
    events[0, 0, 0] = slow[0, 4, 4] = slow[1, 2, 2] = fast[1, 2, 3] = 1
    frames = superimpose(events, [slow, fast])
    assert frames.shape == (2, 9, 9, 3)
    assert frames[0, 0, 0].tolist() == [127] * 3
    blue, crimson = band_color(0, 2), band_color(1, 2)
    is_blue, is_crimson = (frames == blue).all(axis=-1), (frames == crimson).all(axis=-1)
    expected = np.zeros((2, 9, 9), bool)
    expected[0, 3:6, 3:6] = expected[1, 1:4, 1] = True
    np.testing.assert_array_equal(is_blue, expected)
    # The faster channel hides the slower one where both answer.
    assert np.argwhere(is_crimson[1]).min(axis=0).tolist() == [1, 2]
    assert is_crimson.sum() == 9


def test_spikes_at_the_border_stay_inside_and_dilation_can_be_chosen():
    events, response = np.zeros((2, 1, 4, 5))
    response[0, 0, 4] = 1
    for dilate, pixels in ((0, 1), (1, 4), (2, 9)):
        frames = superimpose(events, [response], colors=[(1, 2, 3)], dilate=dilate)
        assert (frames == (1, 2, 3)).all(axis=-1).sum() == pixels


def test_wrong_responses_are_refused():
    events = np.zeros((2, 4, 5))
    with pytest.raises(VelocellError, match=r"channel 1 has shape \(2, 4, 4\)"):
        superimpose(events, [events, np.zeros((2, 4, 4))])
    with pytest.raises(VelocellError, match="1 colours for 2 channels"):
        superimpose(events, [events, events], colors=[(0, 0, 0)])


def test_magnify_repeats_pixels():
    picture = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    large = magnify(picture, 4)
    np.testing.assert_array_equal(large, np.kron(picture, np.ones((4, 4, 1), np.uint8)))
    assert magnify(picture, 1) is picture
