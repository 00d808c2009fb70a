"""The LIFBox neuron: parameters under Norse's field names, and the only conversion of their units."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import ArrayLike, NDArray

from velocell.errors import NetworkError


@dataclass(frozen=True, eq=False, init=False)
class LIFBox:
    """Leaky integrate-and-fire neurons without a current term, one set of parameters per channel.

        v <- v + a (v_leak - v + I),    a = dt tau_mem_inv
        z = 1 where v > v_th (strictly), and there v <- v_reset

    Forward Euler as in Norse (`norse.torch.functional.lif_box`), whose parameters have the same
    names. v starts at v_leak.

    tau_mem_inv: float64 (C,), inverse membrane time constant in **1/s**.
    v_th, v_leak, v_reset: float32 (C,), in units of kernel-weighted events.
    An infinite v_th makes a leaky integrator that never spikes.
    """

    tau_mem_inv: NDArray[np.float64]
    v_th: NDArray[np.float32]
    v_leak: NDArray[np.float32]
    v_reset: NDArray[np.float32]

    def __init__(
        self, tau_mem_inv: ArrayLike, v_th: ArrayLike, v_leak: ArrayLike = 0.0, v_reset: ArrayLike = 0.0
    ) -> None:
        """Scalars or arrays of shape (C,), broadcast against each other. Raises NetworkError."""
        given = [np.atleast_1d(np.asarray(v, np.float64)) for v in (tau_mem_inv, v_th, v_leak, v_reset)]
        try:
            tau, th, leak, reset = np.broadcast_arrays(*given)
        except ValueError:
            sizes = ", ".join(str(v.size) for v in given)
            raise NetworkError(f"neuron parameters must have one value per channel, got {sizes} values") from None
        with np.errstate(over="ignore"):
            th, leak, reset = (v.astype(np.float32) for v in (th, leak, reset))
        if tau.ndim != 1 or not np.all(np.isfinite(tau) & np.isfinite(leak) & np.isfinite(reset) & (th > -np.inf)):
            raise NetworkError("neuron parameters must be finite float32 numbers, one per channel (v_th may be inf)")
        if not (th > leak).all():
            raise NetworkError("v_th must lie above v_leak, else a neuron fires without input; raise v_th")
        if not (reset <= th).all():
            raise NetworkError("v_reset must not lie above v_th, else a neuron fires without input; lower v_reset")
        for name, value in zip(_NAMES, (tau, th, leak, reset), strict=True):
            object.__setattr__(self, name, np.array(value))

    @property
    def channels(self) -> int:
        return int(self.v_th.size)

    @property
    def tau_us(self) -> NDArray[np.float64]:
        """Membrane time constants in microseconds, (C,)."""
        return 1e6 / self.tau_mem_inv

    def decay(self, dt_us: int) -> NDArray[np.float32]:
        """a = dt tau_mem_inv, float32 (C,). Raises NetworkError unless 0 < a <= 1."""
        exact = (dt_us * 1e-6) * self.tau_mem_inv
        a: NDArray[np.float32] = exact.astype(np.float32)
        if not ((a > 0) & (exact <= 1)).all():
            worst = float(exact[np.argmax(np.abs(exact - 0.5))])
            raise NetworkError(
                f"dt * tau_mem_inv must lie in (0, 1], got {worst:g} for dt = {dt_us} us; "
                "choose a shorter dt or a longer time constant"
            )
        return a


_NAMES = tuple(f.name for f in fields(LIFBox))
