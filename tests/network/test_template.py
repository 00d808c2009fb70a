"""Templates: outline, kernel and passage density against disks, whose values are known; detection of shapes."""

from __future__ import annotations

import math

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from velocell.calibration.peaks import passage_density, psi
from velocell.cli.app import app
from velocell.data.tracks import Tracks
from velocell.errors import OptionError
from velocell.formats import write_npz
from velocell.network.kernels import circular_kernel
from velocell.network.template import ANGLES, Template
from velocell.pipeline import detect, detect_shapes
from velocell.results.evaluate import evaluate
from velocell.simulate import Scene, SceneObject, simulate

BANDS = (40.0, 160.0, 640.0, 1800.0)


def disk(radius: float) -> Template:
    y, x = np.mgrid[-16:17, -16:17]
    return Template.of(np.hypot(x, y) <= radius)


def square(half: int, name: str = "square") -> Template:
    return Template.of(np.pad(np.ones((2 * half, 2 * half)), 3), name)


@pytest.mark.parametrize("radius", [4, 6, 10])
def test_a_disk_as_template_is_a_disk(radius):
    template = disk(radius)
    assert template.outline.shape == (ANGLES,)
    np.testing.assert_allclose(template.outline, radius, atol=0.5)
    # An outline crosses each pixel of its shadow twice per px of travel: 2 * 2R for a disk.
    assert template.crossings_px == pytest.approx(4 * template.radius_px, rel=0.03)
    kernel = circular_kernel(template.radius_px)
    _, mine = template.passage_densities(kernel)
    _, true = passage_density(kernel, template.radius_px)
    assert mine.mean(axis=0).sum() == pytest.approx(true.sum(), rel=0.2)
    assert float(psi(kernel, template, 1.0)) == pytest.approx(float(psi(kernel, template.radius_px, 1.0)), rel=0.05)


def test_a_square_has_its_shadow_and_its_corners():
    template = square(6)
    # Its centre lies between pixels; an even side of 12 px reaches from -6 to 6.
    assert template.outline[0] == pytest.approx(6, abs=0.4)
    assert template.outline[45] == pytest.approx(6 * math.sqrt(2), abs=0.9)
    # Mean shadow of a convex shape: perimeter / pi; twice that, for entering and leaving.
    assert template.crossings_px == pytest.approx(2 * 48 / math.pi, rel=0.06)


def test_the_kernel_is_a_band_along_the_outline():
    kernel = square(6).kernel(2.0, -0.5)[0, 0]
    assert kernel.shape[0] == kernel.shape[1]
    assert kernel.shape[0] % 2 == 1
    middle = kernel.shape[0] // 2
    assert kernel[middle, middle] == -0.5
    assert kernel[middle, middle + 6] > 0.8
    assert kernel[0, 0] == 0


def test_light_on_dark_and_dark_on_light_are_the_same(tmp_path):
    picture = np.full((30, 40), 255, np.uint8)
    picture[10:20, 5:25] = 0
    Image.fromarray(picture).save(tmp_path / "bar.png")
    np.save(tmp_path / "bar.npy", 255 - picture.astype(float))
    drawn, stored = Template.read(tmp_path / "bar.png"), Template.read(tmp_path / "bar.npy")
    assert drawn.name == "bar"
    assert drawn.mask.shape == (10, 20)
    assert np.array_equal(drawn.mask, stored.mask)


def test_squares_are_found_by_their_picture():
    rng = np.random.default_rng(3)
    objects = tuple(
        SceneObject(id=i, shape="square", x_px=50 + 80 * i, y_px=60 + 25 * i, radius_px=6, speed_px_s=speed,
                    heading_deg=float(rng.uniform(0, 360)), contrast=3)
        for i, speed in enumerate((80.0, 300.0, 900.0))
    )  # fmt: skip
    recording, truth = simulate(Scene(300, 200, 600_000, seed=4, noise_hz=0.2, objects=objects))
    scores = evaluate(detect(recording, BANDS, template=square(6)).tracks, truth, BANDS)
    assert scores.recall > 0.98
    assert scores.precision > 0.98
    assert scores.band_accuracy > 0.98
    assert scores.localisation_median_px < 0.3
    both = detect_shapes(recording, BANDS, [square(6), square(12, "large")])
    names = both.tracks.extra["name"]
    assert (names == "square").sum() > 0.9 * len(names)
    assert not set(both.tracks.id[names == "square"]) & set(both.tracks.id[names == "large"])


@pytest.mark.parametrize(
    ("image", "part"),
    [
        (np.zeros((9, 9)), "is blank"),
        (np.zeros(9), "must be a picture or an array"),
        (np.full((9, 9), np.nan), "finite values"),
        (np.eye(9)[:2], "an object needs 9 at least"),
    ],
)
def test_what_is_no_silhouette_is_refused(image, part):
    with pytest.raises(OptionError, match=part):
        Template.of(image)


def test_the_command_names_what_it_finds_and_a_range_finds_all_sizes(tmp_path):
    runner, recording_file = CliRunner(), tmp_path / "scene.npz"
    objects = tuple(
        SceneObject(
            id=i, shape=shape, x_px=40, y_px=50 + 100 * i, radius_px=6, speed_px_s=300, contrast=3, bounce=False
        )
        for i, shape in enumerate(("square", "disk"))
    )
    write_npz(simulate(Scene(200, 200, 400_000, seed=2, noise_hz=0.2, objects=objects))[0], recording_file)
    Image.fromarray(np.pad(np.zeros((12, 12), np.uint8), 4, constant_values=255)).save(tmp_path / "box.png")
    common = ["detect", str(recording_file), "--bands", "40,160,640"]
    out = tmp_path / "shapes.csv"
    done = runner.invoke(app, [*common, "--template", str(tmp_path / "box.png"), "-o", str(out)])
    assert done.exit_code == 0, done.stderr
    tracks = Tracks.read(out)
    assert set(tracks.extra["name"]) == {"box"}
    assert (np.abs(tracks.y_px - 50) < 1).any()
    out = tmp_path / "sizes.csv"
    done = runner.invoke(app, [*common, "--radius", "4:8", "-o", str(out)])
    assert done.exit_code == 0, done.stderr
    tracks = Tracks.read(out)
    disk_rows = np.abs(tracks.y_px - 150) < 1
    assert np.median(tracks.radius_px[disk_rows]) == pytest.approx(6, rel=0.1)
