"""Kernels against closed forms: areas, symmetry, and where a response to a ring of events peaks."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import correlate2d

from velocell.errors import NetworkError
from velocell.network.kernels import (
    anchor,
    centre_offset,
    centre_surround_kernel,
    circular_kernel,
    disk_kernel,
    template_kernel,
)

RADII = st.floats(1.2, 20)


def plane(kernel: np.ndarray) -> np.ndarray:
    """The kernel without its first two axes, as float64."""
    assert kernel.dtype == np.float32
    assert kernel.shape[:2] == (1, 1)
    assert kernel.shape[2] == kernel.shape[3]
    return kernel[0, 0].astype(np.float64)


def counting_error(radius: float) -> float:
    """How far the area of a circle may be off when 8 x 8 points in a pixel are counted, px^2."""
    return 0.3 * math.sqrt(radius + 1)


def pixels_on_circle(radius: float, x: float, y: float, side: int) -> np.ndarray:
    """(side, side): 1 where the outline of a disk at (x, y) passes, every pixel once."""
    angles = np.linspace(0, 2 * np.pi, 5000)
    hit = np.zeros((side, side))
    hit[np.rint(y + radius * np.sin(angles)).astype(int), np.rint(x + radius * np.cos(angles)).astype(int)] = 1
    return hit


@settings(max_examples=50, deadline=None)
@given(radius=RADII, width=st.floats(0.8, 4), even=st.booleans())
def test_ring_has_the_area_of_a_ring(radius, width, even):
    weights = plane(circular_kernel(radius, width, inside=0.0, even=even))
    inner, outer = max(radius - width / 2, 0.0), radius + width / 2
    error = counting_error(inner) + counting_error(outer)
    assert weights.sum() == pytest.approx(math.pi * (outer**2 - inner**2), abs=error)
    assert weights.min() >= 0
    assert weights.max() <= 1


@settings(max_examples=30, deadline=None)
@given(radius=RADII, width=st.floats(0.8, 4), outside=st.floats(-2, 0), even=st.booleans())
def test_a_ring_is_the_mean_of_points_in_each_pixel(radius, width, outside, even):
    kernel = plane(circular_kernel(radius, width, outside=outside, even=even))
    side = kernel.shape[0]
    at = (np.arange(8 * side) + 0.5) / 8 - side / 2
    distance = np.hypot(at, at[:, None])
    inner, outer = max(radius - width / 2, 0.0), radius + width / 2
    field = np.select([distance <= inner, distance <= outer, distance <= outer + width], [-0.5, 1.0, outside], 0.0)
    np.testing.assert_allclose(kernel, field.reshape(side, 8, side, 8).mean(axis=(1, 3)), atol=1e-6)
    for turned in (kernel[::-1], kernel[:, ::-1], kernel.T):
        np.testing.assert_array_equal(kernel, turned)


@settings(max_examples=50, deadline=None)
@given(radius=RADII, inside=st.floats(-2, 0), outside=st.floats(-2, 0), even=st.booleans())
def test_weights_inside_and_outside_a_ring(radius, inside, outside, even):
    width = 2.0
    weights = plane(circular_kernel(radius, width, inside=inside, outside=outside, even=even))
    inner, outer = max(radius - width / 2, 0.0), radius + width / 2
    ring = math.pi * (outer**2 - inner**2)
    around = math.pi * ((outer + width) ** 2 - outer**2)
    expected = ring + inside * math.pi * inner**2 + outside * around
    jumps = ((inner, 1 - inside), (outer, 1 - outside), (outer + width, -outside))
    assert weights.sum() == pytest.approx(expected, abs=sum(jump * counting_error(r) for r, jump in jumps) + 1e-4)


@settings(max_examples=50, deadline=None)
@given(
    radius=RADII,
    even=st.booleans(),
    make=st.sampled_from(
        [
            lambda r, even: circular_kernel(r, 2.0, inside=-0.5, outside=-1.0, even=even),
            lambda r, even: disk_kernel(r, even=even),
            lambda r, even: centre_surround_kernel(r / 2, r, even=even),
        ]
    ),
)
def test_kernels_have_the_symmetry_of_a_square(radius, even, make):
    weights = plane(make(radius, even))
    for other in (weights.T, weights[::-1], weights[:, ::-1]):
        np.testing.assert_array_equal(weights, other)
    assert weights.shape[0] % 2 == (0 if even else 1)


def test_kernels_are_as_small_as_they_can_be():
    assert circular_kernel(5.0, 2.0).shape == (1, 1, 13, 13)
    assert circular_kernel(5.0, 2.0, even=True).shape == (1, 1, 12, 12)
    assert circular_kernel(5.0, 2.0, outside=-1.0).shape == (1, 1, 17, 17)
    assert disk_kernel(5.0, even=True).shape == (1, 1, 10, 10)
    assert disk_kernel(0.4).shape == (1, 1, 1, 1)
    assert disk_kernel(0.4, even=True).shape == (1, 1, 2, 2)
    for radius in (2.4, 2.5, 2.6, 3.0, 3.5):
        for even in (False, True):
            weights = plane(disk_kernel(radius, even=even))
            assert weights[0].any(), "an outer row without weights is one row too many"
            assert weights.sum() == pytest.approx(math.pi * radius**2, rel=0.02), "the disk was cut off"


def test_disk_and_centre_surround_have_the_areas_of_their_circles():
    assert plane(disk_kernel(7.3)).sum() == pytest.approx(math.pi * 7.3**2, rel=2e-3)
    weights = plane(centre_surround_kernel(2.5, 6.0, weight=-0.25))
    expected = math.pi * (2.5**2 - 0.25 * (6.0**2 - 2.5**2))
    assert weights.sum() == pytest.approx(expected, abs=1.25 * counting_error(2.5) + 0.25 * counting_error(6.0))
    assert weights[6, 6] == 1
    assert weights[6, 1] == pytest.approx(-0.25)


def test_ring_values_across_the_middle():
    # R = 4, W = 2 on odd sides: circles at 3 and 5 cut the pixels 3 and 5 from the middle in half.
    row = plane(circular_kernel(4.0, 2.0, inside=-0.5))[5]
    np.testing.assert_allclose(row[5:8], -0.5)
    assert row[9] == 1
    assert row[8] == pytest.approx(0.25, abs=0.15)
    assert row[10] == pytest.approx(0.5, abs=0.15)


def test_a_fractional_radius_is_not_rounded():
    sums = [plane(disk_kernel(radius)).sum() for radius in (5.0, 5.1, 5.2, 5.3, 5.4)]
    np.testing.assert_allclose(np.diff(sums), np.diff(math.pi * np.array([5.0, 5.1, 5.2, 5.3, 5.4]) ** 2), rtol=0.3)


@pytest.mark.parametrize("side", range(1, 12))
def test_anchor_is_the_one_of_torch(side):
    # torch pads `same` by (side - 1) // 2 before and the rest behind.
    assert anchor(side) == (side - 1) // 2
    assert anchor(side) + centre_offset(side) == pytest.approx((side - 1) / 2)
    assert centre_offset(side) == (0.5 if side % 2 == 0 else 0.0)


@pytest.mark.parametrize("radius", [3.0, 5.0, 7.5])
@pytest.mark.parametrize("even", [False, True])
def test_the_response_to_a_ring_of_events_peaks_at_its_centre(radius, even):
    kernel = plane(circular_kernel(radius, 2.0, inside=-0.5, even=even))
    side, size = kernel.shape[0], 41
    x, y = (20.5, 17.5) if even else (20.0, 17.0)
    events = pixels_on_circle(radius, x, y, size)
    # `same` by hand: a response belongs to the pixel `anchor` steps from the kernel's first one.
    before, behind = anchor(side), side - 1 - anchor(side)
    response = correlate2d(np.pad(events, (before, behind)), kernel, mode="valid")
    assert response.shape == events.shape
    row, column = np.unravel_index(np.argmax(response), response.shape)
    assert (column + centre_offset(side), row + centre_offset(side)) == (x, y)
    # The peak is sharp: one pixel aside the response is clearly lower.
    assert response[row, column] > 1.1 * response[row, column + 1]


def test_template_is_scaled_and_balanced():
    image = np.array([[0.0, 2.0, 1.0], [1.0, 4.0, 0.0]])
    kernel = template_kernel(image)
    assert kernel.shape == (1, 1, 2, 3)
    assert kernel.dtype == np.float32
    np.testing.assert_allclose(kernel[0, 0], image / 4)
    balanced = template_kernel(image, balance=True)
    assert balanced.sum() == pytest.approx(0, abs=1e-6)
    assert balanced.max() == 1


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: circular_kernel(0), "radius and width above 0 px, got 0"),
        (lambda: circular_kernel(-1), "radius and width above 0 px, got -1"),
        (lambda: circular_kernel(math.nan), "radius and width above 0 px, got nan"),
        (lambda: circular_kernel(5, 0), "radius and width above 0 px"),
        (lambda: circular_kernel(5, inside=0.1), "inside and outside a ring must not be positive, got 0.1"),
        (lambda: circular_kernel(5, outside=2), "must not be positive"),
        (lambda: circular_kernel(600), "larger than 1025 px"),
        (lambda: disk_kernel(0), "above 0 px, got 0"),
        (lambda: disk_kernel(1e9), "larger than 1025 px"),
        (lambda: centre_surround_kernel(3, 3), "0 < centre < surround, got 3 and 3"),
        (lambda: centre_surround_kernel(0, 3), "0 < centre < surround"),
        (lambda: centre_surround_kernel(1, 3, weight=0.5), "surround's weight must not be positive, got 0.5"),
        (lambda: template_kernel(np.ones(3)), r"must be a \(h, w\) array, got shape \(3,\)"),
        (lambda: template_kernel(np.empty((0, 3))), r"got shape \(0, 3\)"),
        (lambda: template_kernel([[1.0, np.inf]]), "finite weights"),
        (lambda: template_kernel([[-1.0, 0.0]]), "at least one positive weight"),
        (lambda: template_kernel(np.ones((3, 3)), balance=True), "at least one positive weight"),
        (lambda: circular_kernel(math.inf), "larger than 1025 px"),
        (lambda: disk_kernel(math.inf), "larger than 1025 px"),
        (lambda: circular_kernel(5, inside=math.nan), "must not be positive"),
    ],
)
def test_refusals(make, words):
    with pytest.raises(NetworkError, match=words):
        make()
