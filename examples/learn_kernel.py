"""Kernels learned by gradients, for a shape that the ring does not fit: `python examples/learn_kernel.py`.

A bar and a disk, equally thick and equally fast, pass a neuron. It is to spike for one of them (`--find`) and to keep
still for the other. Its kernel is learned from the calibration's ring, and again from noise, through `SpikingNetwork`,
whose spikes have a gradient (a surrogate of Norse's). The search beside it keeps the ring and tries its four numbers,
as `velocell train` would: width, weights inside and outside, threshold.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass

import cma
import numpy as np
import torch

from velocell.engines.norse import SpikingNetwork
from velocell.network import LIFBox, Network
from velocell.network.architectures import parallel_channels
from velocell.network.kernels import circular_kernel
from velocell.pictures.figures.neurons import plot_kernel
from velocell.pictures.figures.style import save_figure
from velocell.simulate import Scene, SceneObject, simulate

RADIUS, SIDE, REACH = 5.0, 30, 8  # px: of the disk and half of the bar, of a clip, of a kernel around its middle
DT_US, TICKS = 4_000, 32
TAU_S, V_TH = 0.01, 0.02  # a low threshold: the surrogate's gradient fades with the distance from it, in these units


@dataclass(frozen=True)
class Clips:
    """frames (T, SIDE, N * SIDE): N clips side by side, as a network runs one picture; wanted (N,): which to answer."""

    frames: torch.Tensor
    wanted: torch.Tensor


def clips(count: int, find: str, seed: int) -> Clips:
    """Disks and bars in turns; they pass the middle to the left or right, at speeds and heights of their own."""
    rng = np.random.default_rng(seed)
    shapes = ["bar" if number % 2 else "disk" for number in range(count)]
    return Clips(
        torch.from_numpy(np.concatenate([_clip(shape, rng) for shape in shapes], axis=2)),
        torch.tensor([shape == find for shape in shapes]),
    )


def _clip(shape: str, rng: np.random.Generator) -> np.ndarray:
    speed, way, middle = rng.uniform(120, 240), rng.choice([-1, 1]), SIDE / 2 + rng.uniform(-3, 3, 2)
    one = SceneObject(
        shape=shape, x_px=middle[0] - way * speed * TICKS * DT_US * 0.5e-6, y_px=middle[1], radius_px=RADIUS,
        speed_px_s=speed, heading_deg=0.0 if way > 0 else 180.0, contrast=3.0,
    )  # fmt: skip
    scene = Scene(SIDE, SIDE, TICKS * DT_US, objects=(one,), noise_hz=1.0, seed=int(rng.integers(1 << 30)))
    seen = simulate(scene)[0].with_polarity("drop")
    frames = np.zeros((TICKS, SIDE, SIDE), np.float32)
    np.add.at(frames, (seen.t_us // DT_US, seen.y, seen.x), 1)
    return frames


def with_kernel(kernel: np.ndarray, threshold: float = V_TH) -> Network:
    """One layer, one channel: the kernel (h, w), then neurons that forget in TAU_S."""
    return parallel_channels(kernel[None, None].astype(np.float32), LIFBox([1 / TAU_S], [threshold]), DT_US)


def ring(width: float = 2.0, inside: float = -0.5, outside: float = 0.0) -> np.ndarray:
    """The calibration's ring on the pixels of a learned kernel, as strong as V_TH asks for."""
    full = np.full((2 * REACH + 1, 2 * REACH + 1), outside)
    own = circular_kernel(RADIUS, width=width, inside=inside)[0, 0]
    edge = REACH - own.shape[0] // 2
    covered = full[edge : full.shape[0] - edge, edge : full.shape[1] - edge]
    covered[own != 0] = own[own != 0]
    return 0.001 * full


def answers(module: torch.nn.Module, given: Clips) -> torch.Tensor:
    """Spikes in the middle of each clip, (N,)."""
    (fired,) = module(given.frames)
    middle = fired.unflatten(2, (-1, SIDE))[:, REACH:-REACH, :, REACH:-REACH]
    return middle.sum(dim=(0, 1, 3))


def right(module: torch.nn.Module, given: Clips) -> float:
    """Share of the clips that are answered as wanted: by a spike or more, or by none."""
    with torch.no_grad():
        return float(((answers(module, given) > 0) == given.wanted).float().mean())


def loss(module: torch.nn.Module, given: Clips) -> torch.Tensor:
    """Some five spikes are wanted, or none. The root keeps clips with hundreds from ruling the rest; `relu` lets alone
    what is silent as it should be, or the push away from the threshold would end all spikes."""
    strength = torch.sqrt(1 + answers(module, given)) - 1
    return torch.relu(torch.where(given.wanted, 1.5 - strength, strength)).mean()


def learned(kernel: np.ndarray, given: Clips, steps: int) -> SpikingNetwork:
    """By gradients, from this kernel on, with Adam's step (by hand: `torch.optim` takes seconds to import).

    It forgets soon how large gradients were, since they change a hundredfold when spikes begin.
    """
    module = SpikingNetwork(with_kernel(kernel))
    weight = next(module.parameters())
    mean, square = torch.zeros_like(weight), torch.full_like(weight, 1e-12)
    for _ in range(steps):
        (slope,) = torch.autograd.grad(loss(module, given), weight)
        mean, square = 0.5 * mean + 0.5 * slope, 0.9 * square + 0.1 * slope**2
        weight.data -= 2e-5 * mean / square.sqrt()
    return module


def searched(given: Clips, steps: int) -> SpikingNetwork:
    """The ring whose four numbers lose least among so many tries."""

    def made(point: np.ndarray) -> SpikingNetwork:
        width, inside, outside, threshold = point * (0.3, 0.15, 0.15, 0.1) + (2.0, -0.5, 0.0, 1.0)
        kernel = ring(np.clip(width, 1.0, 4.0), min(inside, 0.0), outside)
        return SpikingNetwork(with_kernel(kernel, V_TH * max(threshold, 0.1)))

    def lost(point: np.ndarray) -> float:
        with torch.no_grad():
            return float(loss(made(point), given))

    best, _ = cma.fmin2(lost, np.zeros(4), 1.0, {"maxfevals": steps, "seed": 1, "verbose": -9})
    return made(best)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--find", choices=("bar", "disk"), default="bar")
    parser.add_argument("--steps", type=int, default=80, help="of the gradients; as many tries of the search")
    parser.add_argument("--clips", type=int, default=12, help="to learn from; five times as many unseen ones judge")
    parser.add_argument("--figure", default="kernels.png")
    given = parser.parse_args()
    torch.set_num_threads(1)
    own, unseen = clips(given.clips, given.find, 1), clips(5 * given.clips, given.find, 2)
    noise = np.random.default_rng(0).normal(0, 3e-4, (2 * REACH + 1, 2 * REACH + 1))
    ways = {
        "the ring": lambda: SpikingNetwork(with_kernel(ring())),
        "its numbers searched": lambda: searched(own, given.steps),
        "learned from the ring": lambda: learned(ring(), own, given.steps),
        "learned from noise": lambda: learned(noise, own, given.steps),
    }
    print(f"| spikes for a {given.find} only | right, of {given.clips} clips | of {5 * given.clips} unseen | s |")
    print("|---|---|---|---|")
    kernels = []
    for name, way in ways.items():
        began = time.process_time()
        module = way()
        seconds = time.process_time() - began
        print(f"| {name} | {right(module, own):.0%} | {right(module, unseen):.0%} | {seconds:.0f} |", flush=True)
        kernels.append(next(module.parameters()).detach().numpy()[0])
    figure = plot_kernel(np.stack(kernels, axis=1))
    for panel, name in zip(figure.axes, ways, strict=False):  # the last one is the scale
        panel.set_title(name, fontsize=8)
    save_figure(figure, given.figure)


if __name__ == "__main__":
    main()
