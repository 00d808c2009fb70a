"""Where a network's numbers come from: values that files keep, and words that nothing reads."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from velocell import Network, calibrate, notebook_scene, simulate
from velocell.calibration.measure import network_for
from velocell.errors import NetworkError
from velocell.network.origin import Labelled, Origin, Spread, too_sparse_text
from velocell.studies.tuning import tuning

EDGES = (16.0, 62.0, 177.0, 500.0)
FULL = Origin(
    crossings=0.85,
    basis="labels",
    margin=(1.05, 0.9875),
    memory=0.3,
    corner_px=3.14,
    ring_width_px=2.0,
    dt_given=True,
    share=Spread(0.9, 0.8, 0.95, 12),
    contrast=Spread(3.0, 2.5, 3.5, 12),
    stated_radius_px=5.0,
    radius_from_labels=True,
    threshold_factor=1.5,
    edge_factors=(0.9, 1.1),
    labelled=Labelled(3, 40, 8.0, (0.5, 0.6, 0.7), (0.9, 1.0, 1.0), False),
    more={"velocell": "0.1.0", "settings": {"contrast": "auto"}},
)


@pytest.mark.parametrize("origin", [Origin(), FULL, Origin(more={"who": "by hand"}), calibrate(EDGES, 5.0).origin])
def test_a_network_file_keeps_every_value(origin, tmp_path):
    network = replace(calibrate(EDGES, 5.0), origin=origin)
    network.to_toml(tmp_path / "net.toml")
    read = Network.from_toml(tmp_path / "net.toml")
    assert read.origin == origin
    assert dict(read.origin) == dict(origin)


def test_words_are_made_from_values():
    words = calibrate(EDGES, 5.0, contrast=2.5, dt_us=500).origin
    assert words["n"] == words["dt_us"] == "as asked"
    assert "with n = 2.5 events per edge crossing" in words["v_th"]
    assert "facts" not in FULL.words()
    assert FULL["v_th"].startswith("1.5 times 1.05 to 0.988 n dt v Psi(v tau) with n = 0.85")
    assert FULL["labels"] == "3 objects, 40 stretches of 8 px"
    assert FULL["on_labels"] == "recall 0.5000 to 0.9000, precision 0.6000 to 1.0000, band accuracy 0.7000 to 1.0000"


def test_nothing_reads_the_words():
    """The same weights with other words have the same curves, to the last bit."""
    recording = simulate(notebook_scene())[0]
    network = network_for(recording, EDGES, 5.0)
    entries = {**network.origin, "v_th": "n = 0.3, or whatever", "n": "something else"}
    other = replace(network, origin=entries)
    assert other.origin == network.origin
    curves = [tuning(one, speeds=np.geomspace(20, 400, 8)).to_dict() for one in (network, other)]
    assert curves[0] == curves[1]
    # The value is what counts.
    fewer = replace(network, origin=replace(network.origin, crossings=0.5))
    assert tuning(fewer, speeds=np.geomspace(20, 400, 8)).to_dict() != curves[0]


def test_what_was_not_found_is_said():
    empty = simulate(notebook_scene())[0].between(0, 0)
    one = network_for(empty, EDGES, 5.0)
    assert too_sparse_text([one]) == (
        "nothing that is clearly a disk of R = 5 px was followed, so contrast and radius are assumed; check --radius "
        "(half of the width) and --bands, or give --contrast"
    )
    wide, shape = replace(one, radius_px=15.0), replace(one, radius_px=None)
    assert "a disk of R = 5 to 15 px was" in too_sparse_text([one, wide])
    assert "clearly the template's shape was" in too_sparse_text([shape])


def test_too_sparse_is_a_value():
    empty = simulate(notebook_scene())[0].between(0, 0)
    assert network_for(empty, EDGES, 5.0).origin.too_sparse
    assert not network_for(simulate(notebook_scene())[0], EDGES, 5.0).origin.too_sparse


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"crossing": 1.0}, "states 'crossing', which is unknown; known are basis, contrast"),
        ({"crossings": "many"}, "'crossings' cannot be 'many'"),
        ({"basis": "guessed"}, "'basis' cannot be 'guessed'"),
        ({"share": {"median": 1.0}}, "'share' cannot be"),
        ({"margin": [1.0, "x"]}, "'margin' cannot be"),
        ({"dt_given": 1}, "'dt_given' cannot be 1"),
        ([], "the facts of an origin must be a table"),
    ],
)
def test_facts_that_do_not_fit_are_refused(facts, words):
    with pytest.raises(NetworkError, match=words):
        Origin.of({"facts": facts})


def test_a_file_of_an_earlier_version_keeps_its_words():
    earlier = {"v_th": "1.05 to 0.98 n dt v Psi(v tau) with n = 0.85 events per edge crossing", "bands": "as asked"}
    origin = Origin.of(earlier)
    assert dict(origin) == earlier
    assert origin.crossings is None
