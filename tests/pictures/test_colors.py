"""Band colours: ordered, told apart by everyone, defined for every band that can occur."""

from __future__ import annotations

import numpy as np
import pytest

from velocell.errors import VelocellError
from velocell.pictures.colors import BACKGROUND, OUTSIDE, band_color, hex_color, mix

# Machado, Oliveira and Fernandes 2009, severity 1.0: how linear RGB looks to those who lack one cone.
VISION = {
    "normal": np.eye(3),
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def lab(colors: list[tuple[int, int, int]], vision: str) -> np.ndarray:
    srgb = np.array(colors) / 255
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ np.transpose(VISION[vision]), 0, 1)
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = seen @ to_xyz.T / [0.9505, 1.0, 1.089]
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=-1)


@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize(("bands", "least"), [(2, 40), (3, 40), (4, 20), (6, 10), (8, 8), (16, 3)])
def test_bands_are_told_apart_by_every_eye(bands, least, vision):
    seen = lab([band_color(k, bands) for k in range(bands)], vision)
    distance = np.linalg.norm(seen[:, None] - seen[None], axis=-1)[~np.eye(bands, dtype=bool)]
    assert distance.min() > least


@pytest.mark.parametrize("bands", range(1, 17))
@pytest.mark.parametrize(("other", "least"), [(BACKGROUND, 55), ((255, 255, 255), 30), (OUTSIDE, 20)])
def test_bands_stand_out_from_dark_and_white_pictures_and_from_grey(bands, other, least):
    *seen, backdrop = lab([*(band_color(k, bands) for k in range(bands)), other], "normal")
    assert np.linalg.norm(seen - backdrop, axis=-1).min() > least


@pytest.mark.parametrize("bands", range(2, 17))
def test_colours_run_from_blue_to_crimson(bands):
    colors = [band_color(k, bands) for k in range(bands)]
    assert len(set(colors)) == bands
    assert colors[0] == (63, 127, 224)
    assert colors[-1] == (201, 51, 108)


def test_outside_is_grey_and_unknown_bands_are_refused():
    assert band_color(-1, 3) == OUTSIDE
    assert max(OUTSIDE) - min(OUTSIDE) < 20
    for band in (3, -2):
        with pytest.raises(VelocellError, match=f"band {band} does not exist among 3 bands"):
            band_color(band, 3)


def test_hex_and_mix():
    assert hex_color((0, 10, 255)) == "#000aff"
    assert mix((0, 100, 200), (100, 100, 0), 0.25) == (25, 100, 150)
