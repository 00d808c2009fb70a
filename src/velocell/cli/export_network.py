"""The part of `velocell export` that is about networks: a NIR graph, its golden spikes, its cost on a chip."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from velocell.cli.guard import say
from velocell.cli.options import Part
from velocell.cli.outputs import check_distinct, check_output
from velocell.cli.progress import working
from velocell.cli.reading import read_events
from velocell.cli.values import network_of
from velocell.data.files import replacing
from velocell.data.units import parse_size
from velocell.errors import OptionError
from velocell.network.nir.meta import NEUTRAL

if TYPE_CHECKING:
    from rich.table import Table

    from velocell.data.recording import Recording
    from velocell.network import Network

__all__ = ["NEUTRAL", "export_network"]
_MOST_TICKS = 500  # of golden spikes: the reference engine takes its time


def export_network(
    source: Path, out: Path, framework: str, size: str | None, check: Path | None, portable: bool
) -> None:
    """Write the graph, and beside it the golden spikes where a recording is given. Raises VelocellError."""
    from rich.console import Console

    from velocell.studies import deployed

    check_output(out, (".nir",), "a network")
    beside = out.with_suffix(".golden.npz")
    check_distinct([out, *([beside] if check else [])], [source, *([check] if check else [])])
    network = network_of(source).portable() if portable else network_of(source)
    seen = None if check is None else read_events(check, Part(size))
    if size is None and seen is None:
        raise OptionError("a graph has the size of a sensor; give it with --size, such as --size 346x260")
    sensor = parse_size(size) if size is not None else seen.size if seen is not None else (0, 0)
    network.to_nir(sensor, out, framework=framework)
    more = ""
    if seen is not None:
        start = seen.start_us // network.dt_us * network.dt_us
        seen = seen.between(seen.start_us, min(seen.stop_us, start + _MOST_TICKS * network.dt_us))
        with working(f"running the reference engine on {check}"):
            found: dict[str, Any] = deployed.golden(network, seen)
        with replacing(beside) as part, part.open("wb") as handle:
            np.savez_compressed(handle, **found)
        more = f"; {len(found['spike_index'])} golden spikes of {found['shape'][0]} ticks in {beside}"
    Console().print(_costs(network, sensor, seen))
    for number, layer in enumerate(deployed.sizes(network, sensor)):
        if layer.on_edge:
            say(
                f"warning: one event reaches thresholds of layer {number} exactly, so spikes depend on how a "
                "framework rounds; export with --portable"
            )
        if network.layers[number].neurons.v_reset.any():
            say(
                f"warning: layer {number} does not reset to 0, which Norse, snnTorch and Sinabs ignore and "
                "SpikingJelly refuses; export with --portable"
            )
    say(
        f"network of {len(network.layers)} layers for {sensor[0]}x{sensor[1]} px, dt {network.dt_us} us, in {out}{more}"
    )


def _costs(network: Network, size: tuple[int, int], seen: Recording | None) -> Table:
    """Per layer; and, where there is a recording, which spikes change with short weights."""
    from rich.table import Table

    from velocell.studies import deployed

    table = Table("layer", title=f"on {size[0]}x{size[1]} px")
    for heading in ("neurons", "synapses", "fan-in", "kernel", "weights", "different"):
        table.add_column(heading, justify="right")
    for number, layer in enumerate(deployed.sizes(network, size)):
        low, high = layer.weights
        table.add_row(
            str(number), str(layer.neurons), str(layer.synapses), str(layer.fan_in),
            f"{layer.kernel[0]}x{layer.kernel[1]}", f"{low:.3g} to {high:.3g}", str(layer.values),
        )  # fmt: skip
    if seen is not None:
        changes = {bits: deployed.change(network, deployed.rounded(network, bits), seen) for bits in deployed.BITS}
        table.caption = "; ".join(
            f"{bits}-bit weights: {one.differing} of {one.before} spikes differ ({one.share:.1%})"
            for bits, one in changes.items()
        )
    return table
