"""What a Network is made of: `Layer`, a convolution and its neurons, and the `TrailFilter` before the first one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from velocell.errors import NetworkError
from velocell.network.neurons import LIFBox


@dataclass(frozen=True, eq=False)
class Layer:
    """One convolution and its neurons.

    kernel: float32 (C_out, C_in / groups, h, w), a Conv2d weight; bias-free, padding `same`.
    neurons: LIFBox with C_out channels.
    groups: as in Conv2d; groups = C_in connects each channel to its own map only.
    """

    kernel: NDArray[np.float32]
    neurons: LIFBox
    groups: int = 1

    @staticmethod
    def from_arrays(kernel: ArrayLike, neurons: LIFBox, groups: int = 1) -> Layer:
        """Check and convert. A kernel with one output channel serves all channels of `neurons`."""
        weights = np.asarray(kernel, dtype=np.float32)
        if weights.ndim != 4 or weights.size == 0:
            raise NetworkError(f"a kernel must have shape (C_out, C_in, h, w), got {weights.shape}")
        if not np.all(np.isfinite(weights)):
            raise NetworkError("a kernel must hold finite weights")
        if not weights.any():
            raise NetworkError("a kernel without any weight never responds; give it positive weights")
        if weights.shape[0] == 1 and neurons.channels > 1:
            weights = np.repeat(weights, neurons.channels, axis=0)
        if weights.shape[0] != neurons.channels:
            raise NetworkError(
                f"a kernel with {weights.shape[0]} output channels needs as many neurons, got {neurons.channels}"
            )
        if groups < 1 or weights.shape[0] % groups:
            raise NetworkError(f"groups = {groups} must divide the {weights.shape[0]} output channels")
        return Layer(np.ascontiguousarray(weights), neurons, groups)

    @property
    def channels(self) -> int:
        return int(self.kernel.shape[0])

    @property
    def in_channels(self) -> int:
        return int(self.kernel.shape[1]) * self.groups

    def dense_kernel(self) -> NDArray[np.float32]:
        """The same weights without groups, (C_out, C_in, h, w), zeros where nothing connects."""
        if self.groups == 1:
            return self.kernel
        per_in = self.kernel.shape[1]
        per_out = self.channels // self.groups
        full = np.zeros((self.channels, self.in_channels, *self.kernel.shape[2:]), np.float32)
        for out in range(self.channels):
            first = out // per_out * per_in
            full[out, first : first + per_in] = self.kernel[out]
        return full


@dataclass(frozen=True)
class TrailFilter:
    """Lets about one event per edge crossing through, separately for each channel.

    An event passes channel c if its pixel had no event (of any kind, passed or not) for at least
    `silence_us[c]`, or if `flips` and its polarity differs from the pixel's last event. A pixel's
    first event passes. Without it, thresholds depend on the contrast of the recording.
    """

    silence_us: tuple[int, ...]
    flips: bool = True

    def __post_init__(self) -> None:
        if not self.silence_us or min(self.silence_us) < 0:
            raise NetworkError(f"a trail filter needs times of at least 0 us, one per channel, got {self.silence_us}")
