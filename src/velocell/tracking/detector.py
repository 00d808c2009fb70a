"""From spikes and events to rows of a Tracks table, online.

The final layer's spikes say where a disk is and in which band it moves; raw events around them
say to a fraction of a pixel where it is and, along its path, how fast. The work per event is in
the C++ core (`native/tracker/`), by the rules of `tracking/rules/`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from velocell.data.checks import column
from velocell.data.recording import Recording
from velocell.data.spikes import Spikes
from velocell.errors import NetworkError, OptionError, RecordingError
from velocell.network import Network
from velocell.network.kernels import centre_offset
from velocell.network.template import Template
from velocell.tracking.rules import DEFAULTS, JUDGED_PX, Rules

LONGEST_US = 1 << 52
"""Between two reports: the core adds times."""

_CALIBRATED = ("measured", "too_sparse")  # bases of networks whose edges are meant to be those asked for


def as_networks(network: Network | Sequence[Network]) -> tuple[Network, ...]:
    """One network, or several that look together for different radii, as a tuple."""
    return (network,) if isinstance(network, Network) else tuple(network)


_TOLD_SHARE = 0.01  # of the births, beyond which clutter is worth a sentence


@dataclass(frozen=True)
class Crowding:
    """births: spikes that belonged to no track. crowded: those of them that came where tentative tracks were too many
    (`Rules.max_tentative_tracks`), and so started none, or one in place of the weakest."""

    births: int = 0
    crowded: int = 0

    @property
    def told(self) -> str | None:
        """What to say of it, where it may have cost objects."""
        if self.crowded <= _TOLD_SHARE * self.births:
            return None
        share = max(1, round(100 * self.crowded / self.births))
        return (
            "clutter (texture, flicker, noise) made more candidates for objects than a place has room for: "
            f"{share} % of them came too many, and objects among them may be missed (rule max_tentative_tracks)"
        )


NO_CROWDING = Crowding()


class Detector:
    """Follows disks through a stream; rows come at every multiple of `every_us`.

    Feed it consecutive parts of a recording with the spikes of the same time. A row at time t
    uses only events and spikes before t. Several networks look for disks of several radii, with the same
    bands; their spikes say for which (`Spikes.for_radius`). template: the shape to follow, if not a disk.
    rules: thresholds and memories; `Rules(coast_px=8)` keeps an object without events twice as long.
    """

    def __init__(
        self,
        network: Network | Sequence[Network],
        size: tuple[int, int],
        every_us: int = 5_000,
        template: Template | None = None,
        rules: Rules = DEFAULTS,
    ) -> None:
        from velocell._native import Rules as NativeRules
        from velocell._native import Tracker

        networks = sorted(as_networks(network), key=lambda item: item.radius_px or 0.0)
        first = networks[0]
        radii = [item.radius_px for item in networks if item.radius_px is not None]
        if first.bands is None or len(radii) < len(networks):
            raise NetworkError("detection needs a network with bands and a radius; calibrate one")
        if any(item.bands != first.bands or item.dt_us != first.dt_us for item in networks):
            raise NetworkError("networks that look together must have the same bands and the same dt")
        if not 1 <= every_us <= LONGEST_US:
            raise OptionError(f"every_us must be at least 1 us and at most 2^52, got {every_us}")
        if first.origin.basis not in _CALIBRATED:
            # Made by hand, by labels or for a stated contrast: what its neurons answer, lately, is what is wanted.
            # What calibration starts from is to follow all that there is.
            rules = rules.by_neurons(None if first.origin.basis == "assumed" else JUDGED_PX)
        self._final_layer = len(first.layers) - 1
        self._size = size
        self._tracker = Tracker(
            rules=NativeRules(rules.to_dict()),
            width=size[0],
            height=size[1],
            every_us=every_us,
            dt_us=first.dt_us,
            radii=radii,
            edges=list(first.bands.edges),
            outline=[] if template is None else list(template.outline / template.radius_px),
            crossings=1.0 if template is None else template.crossings_px / (4 * template.radius_px),
            offset=centre_offset(first.layers[0].kernel.shape[-1]),
        )
        self.expect(networks)

    def expect(self, network: Network | Sequence[Network]) -> None:
        """From now on, the radii of these networks, as many as before, and the noise and the share of edge crossings
        that were measured for them."""
        networks = sorted(as_networks(network), key=lambda item: item.radius_px or 0.0)
        radii = [item.radius_px for item in networks if item.radius_px is not None]
        self._tracker.expect_radii(radii)
        self._radii = np.array(radii)
        hz, flips = networks[0].origin.noise or (0.0, 0.0)
        self._tracker.expect_noise(hz=hz, flips=flips)
        if (share := networks[0].origin.crossings) is not None:
            self._tracker.expect_share(share)

    def step(self, events: Recording, spikes: Spikes, until_us: int) -> dict[str, NDArray[Any]]:
        """Rows (columns of Tracks by name) of all reporting instants up to `until_us`."""
        if events.size != self._size:
            width, height = self._size
            raise RecordingError(
                f"events of a {events.width}x{events.height} sensor were given to a detector for {width}x{height}"
            )
        final = spikes.of_layer(self._final_layer)
        columns: dict[str, NDArray[Any]] = self._tracker.step(
            column(events.t_us, np.int64),
            column(events.x, np.uint16),
            column(events.y, np.uint16),
            None if events.p is None else column(events.p, np.bool_).view(np.uint8),
            column(final.t_us, np.int64),
            column(final.x, np.int32),
            column(final.y, np.int32),
            column(final.channel, np.int32),
            column(self._sizes(final), np.int32),
            until_us,
        )
        return columns

    def allotment(self, start_us: int, stop_us: int) -> Callable[[Recording], list[Recording]]:
        """Which events of [start, stop) each of several networks is to see, by what is followed now: what lies on the
        ring of an object goes to the networks for about its radius (rule allot_ratio), everything else to all. The
        function that is returned gives what each network sees, those for smaller radii first."""
        allotment = self._tracker.allotment(start_us, stop_us)

        def parts(events: Recording) -> list[Recording]:
            signs = None if events.p is None else column(events.p, np.bool_).view(np.uint8)
            columns = allotment.columns(
                column(events.t_us, np.int64), column(events.x, np.uint16), column(events.y, np.uint16), signs
            )
            return [replace(events, t_us=t_us, x=x, y=y, p=p) for t_us, x, y, p in columns]

        return parts

    def _sizes(self, spikes: Spikes) -> NDArray[np.int32]:
        """Which of the radii each spike stands for."""
        if spikes.radius_px is None:
            if self._radii.size > 1 and len(spikes):
                raise NetworkError("spikes of several networks must say for which radius; use Spikes.for_radius")
            return np.zeros(len(spikes), np.int32)
        nearest = np.abs(spikes.radius_px[:, None] - self._radii).argmin(axis=1)
        return np.asarray(nearest, np.int32)

    @property
    def crowding(self) -> Crowding:
        """How often candidates were too many, so far."""
        return Crowding(*self._tracker.crowding)

    def passages(self) -> NDArray[np.float64]:
        """What the objects that were followed for `Rules.measure_px` tell of the recording, shape (n, 9): the share
        of their edge crossings that was seen, their radius in px, events per edge crossing, their weight (the crossings
        seen, fewer where noise is as frequent), after its first event how many seconds the other ON and OFF events
        of a crossing come, on average, the mean log odds that it is what is looked for, the standard deviation of
        its events across its ring in px, and its mean speed in px/s."""
        return np.array(self._tracker.passages(), np.float64).reshape(-1, 9)
