"""Training: a recipe that was spoilt gets better, one that cannot is kept; it goes on where it stopped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import call, ok

from velocell.calibration import training
from velocell.calibration.recipe import Recipe
from velocell.calibration.search import Search
from velocell.calibration.training import Example, Figures, Objective
from velocell.cli.options import LookFor
from velocell.data.tracks import Tracks
from velocell.errors import CalibrationError, OptionError
from velocell.formats import write_npz
from velocell.simulate import random_scene, simulate

BANDS = (40.0, 160.0, 640.0)


@pytest.fixture(scope="module")
def examples() -> list[Example]:
    scenes = (
        random_scene(
            2, width=64, height=48, radius=3, speeds=(60, 500), contrast=3, noise_hz=0.2, seed=seed, duration_us=200_000
        )
        for seed in (5, 9, 7)
    )  # fmt: skip
    return [Example(*simulate(scene)) for scene in scenes]


SPOILT = Search.of(BANDS, 3.0, recipe=replace(Recipe(), margin=1.5))


def test_a_spoilt_recipe_gets_better_on_what_it_never_saw(examples: list[Example]) -> None:
    found = training.train(examples, SPOILT, most=40, seed=1)
    assert found.improved
    assert found.evaluations == 40  # 30 with one number moved at most, and a generation of the search
    # Thresholds half as high again put disks one band too low.
    assert found.before.band < 0.95 < found.after.band
    assert found.recipe.reset == SPOILT.recipe.reset


def test_the_search_begins_where_one_number_alone_is_the_answer() -> None:
    tried: list[Recipe] = []

    def losses(recipes: Sequence[Recipe]) -> list[float]:
        tried.extend(recipes)
        return [abs(recipe.outside + 0.5) for recipe in recipes]

    best, place = training._start(Recipe(), losses, most=100)
    assert best == replace(Recipe(), outside=best.outside)
    assert best.outside == pytest.approx(-0.45)
    assert training.recipe_at(place, Recipe()).outside == pytest.approx(-0.45)
    assert tried[0] == Recipe()
    assert len({*tried}) == len(tried) <= 1 + 2 * len(training.RANGES)
    tried.clear()
    kept, _ = training._start(SPOILT.recipe, losses, most=3)
    assert kept is SPOILT.recipe  # the outer ring's turn has not come
    assert len(tried) == 3


def test_it_goes_on_where_it_stopped(examples: list[Example], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = training.train(examples, SPOILT, most=20, seed=1, journal=tmp_path / "whole")
    lines = (tmp_path / "whole").read_text().splitlines()
    (tmp_path / "cut").write_text("\n".join(lines[: len(lines) - 3]) + "\n")
    calls: list[Recipe] = []
    loss = training._Trial.loss

    def counted(trial: Any, cases: Any, recipe: Recipe) -> float:
        calls.append(recipe)
        return loss(trial, cases, recipe)

    monkeypatch.setattr(training._Trial, "loss", counted)
    again = training.train(examples, SPOILT, most=20, seed=1, journal=tmp_path / "cut")
    assert again.recipe == whole.recipe
    assert len(calls) == 3 + 1  # what was cut off, and the usual recipe
    with pytest.raises(CalibrationError, match="begun with another seed"):
        training.train(examples, SPOILT, most=20, seed=2, journal=tmp_path / "cut")


def test_too_few_examples_are_refused(examples: list[Example]) -> None:
    for given in (examples[:2], [*examples[:2], Example(examples[0].recording, None)]):
        with pytest.raises(CalibrationError, match="three parts with objects"):
            training.train(given, SPOILT)


def test_the_objective_counts_what_is_missing() -> None:
    perfect = Figures(1, 1, 1, 1, 0)
    assert Objective().loss(perfect) == 0
    assert Objective().loss(replace(perfect, band=0.9)) == pytest.approx(0.2)
    assert Objective().loss(Figures(0, 0, 0, 0, 5, negative=True)) == pytest.approx(0.25)


def test_a_recipe_comes_back_and_a_wrong_one_is_refused(tmp_path: Path) -> None:
    recipe, file = Recipe(margin=1.1, inside=-0.123456789012345), tmp_path / "recipe.toml"
    recipe.to_toml(file, {"seed": 3})
    assert Recipe.from_toml(file) == recipe
    for text, sentence in (
        ("a = 1", "not a recipe"), ("velocell_recipe = 1\nmargins = 2", "sets 'margins'"),
        ("velocell_recipe = 1\nmargin = true", "must be a number"), ("=", "not a readable recipe"),
    ):  # fmt: skip
        file.write_text(text)
        with pytest.raises(CalibrationError, match=sentence):
            Recipe.from_toml(file)


def test_the_command_asks_for_labels(tmp_path: Path) -> None:
    result = call("train", "--bands", "40,160", "--recording", "a.npz", "-o", tmp_path / "r.toml")
    assert (result.exit_code, "give one each" in result.stderr) == (1, True)


def test_detect_with_a_recipe_is_detect_with_the_network_of_it(examples: list[Example], tmp_path: Path) -> None:
    seen, recipe, net = (tmp_path / name for name in ("seen.npz", "recipe.toml", "net.toml"))
    write_npz(examples[0].recording, seen)
    replace(Recipe(), margin=1.2).to_toml(recipe)
    look = ("--bands", "40,160,640", "--radius", "3")
    ok("detect", seen, *look, "--recipe", recipe, "-o", tmp_path / "a.csv")
    ok("calibrate", *look, "--recipe", recipe, "--recording", seen, "-o", net)
    ok("detect", seen, "--network", net, "-o", tmp_path / "b.csv")
    ok("detect", seen, *look, "-o", tmp_path / "usual.csv")
    found, same, usual = (Tracks.read(tmp_path / f"{name}.csv") for name in ("a", "b", "usual"))
    np.testing.assert_array_equal(found.band, same.band)
    np.testing.assert_array_equal(found.x_px, same.x_px)
    assert not np.array_equal(found.band, usual.band)
    assert found.meta["settings"]["recipe"] == {"margin": 1.2}
    assert "recipe" not in usual.meta["settings"]


def test_a_recipe_goes_with_bands_and_one_radius(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.toml"
    replace(Recipe(), margin=1.2).to_toml(recipe)
    assert LookFor("40,160", radius="3", recipe=recipe).search().recipe.margin == 1.2
    for given, sentence in (
        ({"bands": "40,160", "radius": "3:6"}, "is for disks of one radius, and a range of --radius"),
        ({"bands": "40,160", "template": [tmp_path / "shape.png"]}, "is for disks of one radius, and --template"),
        ({"network": tmp_path / "net.toml"}, "already sets what --recipe would set"),
    ):  # fmt: skip
        with pytest.raises(OptionError, match=sentence):
            LookFor(**given, recipe=recipe).search()


def test_a_cluster_gives_the_same(examples: list[Example], tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed")
    alone = training.train(examples, SPOILT, most=14, seed=2, journal=tmp_path / "alone")
    options: dict[str, Any] = {"processes": False, "n_workers": 1, "threads_per_worker": 2, "dashboard_address": None}
    with distributed.LocalCluster(**options) as cluster, distributed.Client(cluster) as client:
        there = training.train(examples, SPOILT, most=14, seed=2, journal=tmp_path / "there", client=client)
    assert there.recipe == alone.recipe
    assert (tmp_path / "there").read_text() == (tmp_path / "alone").read_text()
