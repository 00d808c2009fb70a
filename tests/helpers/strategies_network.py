"""Hypothesis strategies for networks, with a recording that each can run on."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeVar

import numpy as np
from hypothesis import strategies as st
from strategies import recordings

from velocell.data.recording import Recording
from velocell.network import Layer, Network, TrailFilter
from velocell.network.neurons import LIFBox

T = TypeVar("T")

DT_US = (500, 1_000, 2_000)
_TICKS = 11  # a span that starts within a tick touches one more


@st.composite
def exact_cases(draw: st.DrawFn) -> tuple[Network, Recording]:
    """Networks whose arithmetic is exact in float32: a = 1/2 or 1, small whole weights, at most 12 ticks."""
    dt_us = draw(st.sampled_from(DT_US))

    def layer(inputs: int, height: int, width: int) -> Layer:
        shape, groups = draw(_shapes(inputs, height, width))
        weights = np.array(_several(draw, st.integers(-3, 5), math.prod(shape)), np.float32).reshape(shape)
        weights[0, 0, 0, 0] = draw(st.integers(1, 5))
        decay = np.array(_several(draw, st.sampled_from([0.5, 1.0]), shape[0]))
        leak = np.array(_several(draw, st.integers(-1, 1), shape[0]))
        threshold = leak + np.array(_several(draw, st.integers(1, 12), shape[0])) / 4
        reset = threshold - np.array(_several(draw, st.integers(0, 8), shape[0])) / 2
        return Layer.from_arrays(weights, LIFBox(decay / (dt_us * 1e-6), threshold, leak, reset), groups)

    return _case(draw, dt_us, layer)


@st.composite
def cases(draw: st.DrawFn) -> tuple[Network, Recording]:
    """Networks of any weights and time constants, whose arithmetic rounds."""
    dt_us = draw(st.sampled_from(DT_US))

    def layer(inputs: int, height: int, width: int) -> Layer:
        shape, groups = draw(_shapes(inputs, height, width))
        rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
        weights = rng.normal(0.4, 1.0, shape)
        decay = np.exp(rng.uniform(np.log(1e-3), 0, shape[0]))
        leak = rng.uniform(-0.2, 0.2, shape[0])
        threshold = leak + decay * np.exp(rng.uniform(-3, 1, shape[0]))
        reset = threshold - rng.uniform(0, 0.5, shape[0])
        return Layer.from_arrays(weights, LIFBox(decay / (dt_us * 1e-6), threshold, leak, reset), groups)

    return _case(draw, dt_us, layer)


def _case(draw: st.DrawFn, dt_us: int, layer: Callable[[int, int, int], Layer]) -> tuple[Network, Recording]:
    recording = draw(recordings(polarity=True, max_events=30, max_size=9, max_span_us=_TICKS * dt_us))
    inputs, trail = draw(st.integers(1, 2)), None
    if draw(st.booleans()):
        inputs = draw(st.integers(1, 3))
        trail = TrailFilter(tuple(_several(draw, st.integers(0, 6_000), inputs)), draw(st.booleans()))
    layers = [layer(inputs, recording.height, recording.width)]
    for _ in range(draw(st.integers(0, 2))):
        layers.append(layer(layers[-1].channels, 5, 5))
    return Network(dt_us, tuple(layers), trail), recording


@st.composite
def _shapes(draw: st.DrawFn, inputs: int, height: int, width: int) -> tuple[tuple[int, int, int, int], int]:
    """Shape of a Conv2d weight, sides even or odd and at most 5, and its groups."""
    groups = draw(st.sampled_from([1, inputs]))
    outputs = groups * draw(st.integers(1, 2))
    sides = draw(st.integers(1, min(height, 5))), draw(st.integers(1, min(width, 5)))
    return (outputs, inputs // groups, *sides), groups


def _several(draw: st.DrawFn, values: st.SearchStrategy[T], count: int) -> list[T]:
    return draw(st.lists(values, min_size=count, max_size=count))


@st.composite
def wide_cases(draw: st.DrawFn) -> tuple[Network, Recording]:
    """Exact networks with large kernels on sensors of several tiles of the native engine; events in bunches."""
    width, height = draw(st.integers(20, 340)), draw(st.integers(20, 170))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    outputs, h, w = draw(st.integers(1, 3)), draw(st.integers(1, 19)), draw(st.integers(1, 19))
    first = rng.integers(-2, 4, (outputs, 1, h, w))
    first[0, 0, 0, 0] = 1
    second = rng.integers(-2, 3, (2, outputs, draw(st.integers(1, 9)), draw(st.integers(1, 9))))
    second[0, 0, 0, 0] = 1
    layers = (
        Layer.from_arrays(first, LIFBox(500.0, rng.integers(1, 9, outputs) / 2)),
        Layer.from_arrays(second, LIFBox([500.0, 1000.0], [0.9, 1.9])),
    )
    n = draw(st.integers(1, 40))
    centre = rng.integers(0, (width, height), (3, 2))[rng.integers(0, 3, n)]
    place = np.clip(centre + rng.integers(-5, 6, (n, 2)), 0, (width - 1, height - 1))
    t_us = np.sort(rng.integers(0, draw(st.sampled_from([1, 3_000, 11_000])), n))
    recording = Recording.from_arrays(t_us, place[:, 0], place[:, 1], width=width, height=height)
    return Network(1_000, layers), recording
