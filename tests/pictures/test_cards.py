"""What a notebook shows of Recording, Network, Tracks and Spikes, and the player of `animate`."""

from __future__ import annotations

import base64
import io
import re
import subprocess
import sys
from dataclasses import replace

import av
import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient
from pages import EVIL, Parsed

from velocell import Bands, Layer, LIFBox, Network, Recording, Spikes, Tracks
from velocell.data.html import shown
from velocell.data.meta import band_names_of
from velocell.demo import BANDS
from velocell.errors import VelocellError
from velocell.pictures.colors import band_color, hex_color
from velocell.pictures.video.clip import CLIP_BYTES, CLIP_S, animate
from velocell.pipeline import detect
from velocell.simulate import notebook_scene, simulate


@pytest.fixture(scope="module")
def recording():
    return simulate(notebook_scene())[0]


@pytest.fixture(scope="module")
def found(recording):
    return detect(recording, BANDS)


def test_a_recording_tells_its_facts_and_shows_where_its_events_are():
    t_us = [0, 10, 20, 30, 1_000_000]
    small = Recording.from_arrays(
        t_us, [3, 3, 3, 3, 7], [1, 1, 1, 1, 2], [1, 1, 1, 0, 0], width=8, height=4, source=EVIL, notes=("by name",)
    )
    page = Parsed(shown(small))
    assert "events|5" in page.text
    assert "8 x 4 px" in page.text
    assert "60% ON" in page.text
    assert EVIL in page.text
    assert "by name" in page.text
    assert "script" not in page.tags
    [picture] = page.pictures()
    assert picture.shape == (4, 8, 3)
    brightness = picture.astype(int).sum(axis=-1)
    assert brightness.argmax() == 1 * 8 + 3
    assert (brightness > brightness[0, 0]).sum() == 2
    bars = [float(value) for tag, name, value in page.attributes if (tag, name) == ("rect", "height")]
    assert [k for k, bar in enumerate(bars[:-1]) if bar > 0] == [0, 59]
    assert bars[0] == pytest.approx(4 * bars[59])


def test_a_busy_pixel_outshines_a_quiet_one():
    x = np.repeat([1, 3, 5, 7, 9, 11], [100, 100, 100, 100, 100, 1])
    [picture] = Parsed(shown(Recording.from_arrays(np.arange(501), x, x * 0, width=40, height=40))).pictures()
    rise = picture[0].astype(int).sum(axis=-1) - picture[0, 0].astype(int).sum()
    assert rise[11] > 0
    assert rise[1] > 20 * rise[11]


def test_the_picture_of_a_large_sensor_stays_small():
    x = np.array([0, 65_535], np.uint16)
    page = Parsed(shown(Recording.from_arrays([0, 1], x, x[::-1] // 2, width=65_536, height=32_768)))
    [picture] = page.pictures()
    assert max(picture.shape) <= 240
    assert "polarity|none" in page.text


def test_a_network_shows_its_kernels_thresholds_and_bands(found):
    page = Parsed(shown(found.network))
    assert "slow 16 to 62, medium 62 to 177, fast 177 to 500 px/s" in page.text
    assert "1ms" in page.text
    for layer in found.network.layers:
        for v_th, tau_us in zip(layer.neurons.v_th, layer.neurons.tau_us, strict=True):
            assert f"{tau_us / 1e3:.3g}|{v_th:.4g}" in page.text
    first, *rest = page.pictures()
    assert first.shape == (13, 13, 3)
    assert len(rest) == 2
    # Positive weights are amber, negative ones blue.
    weights = found.network.layers[0].kernel[0, 0]
    red, blue = first[..., 0].astype(int), first[..., 2].astype(int)
    np.testing.assert_array_equal((red > blue + 20), weights > 0.15 * weights.max())
    assert (blue > red + 20)[weights < -0.2].all()


def test_a_detection_shows_its_tracks_and_its_network(found):
    html = found._repr_html_()
    assert html == shown(found.tracks) + shown(found.network)
    Parsed(html)


def test_tracks_list_objects_and_draw_their_ways(found):
    page = Parsed(shown(found.tracks))
    assert "objects|3" in page.text
    assert "rows|284" in page.text
    for name in BANDS.names:
        assert f"{name}|1 object," in page.text
    lines = [value for tag, name, value in page.attributes if (tag, name) == ("polyline", "stroke")]
    assert sorted(lines) == sorted(hex_color(band_color(k, 3)) for k in range(3))
    points = [value for tag, name, value in page.attributes if (tag, name) == ("polyline", "points")]
    assert all(len(item.split()) <= 40 for item in points)


def test_spikes_are_counted_by_layer_and_channel(found):
    page = Parsed(shown(found.spikes))
    for layer, channel in {(0, 3), (1, 0), (1, 2)}:
        count = np.count_nonzero((found.spikes.layer == layer) & (found.spikes.channel == channel))
        assert count
        assert f"{layer}|{channel}|{count:,}" in page.text


@pytest.mark.parametrize(
    "value",
    [
        Recording.from_arrays([], [], [], width=5, height=4),
        Recording.from_arrays([], [], []),
        Tracks.empty(),
        Tracks.empty({"network": None, "inputs": ["x", {"network": 3}], "recording": {"width": "a"}}),
        Tracks.from_columns({"t_us": [5], "id": [3], "x_px": [np.nan], "y_px": [np.nan]}),
        Spikes.empty(),
        Spikes.empty(2),
        Network(1000, (Layer.from_arrays(np.ones((1, 1, 1, 1)), LIFBox(100, 1)),)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_empty_or_bare_is_shown_too(value):
    assert Parsed(value._repr_html_()).text


def test_names_of_bands_and_columns_are_text():
    table = Tracks.from_columns(
        {"t_us": [0], "id": [0], "x_px": [1], "y_px": [1], "band": [0], EVIL: [1]},
        {"network": {"bands": {"names": [EVIL], "edges_px_s": [1, 2]}}},
    )
    page = Parsed(shown(table))
    assert page.text.count(EVIL) == 3
    assert "script" not in page.tags
    bands = Bands((1, 2), (EVIL,))
    page = Parsed(shown(Network(1000, (Layer.from_arrays(np.ones((1, 1, 1, 1)), LIFBox(100, 1)),), bands=bands)))
    assert "script" not in page.tags


def test_whatever_the_size_the_html_is_small():
    rng, n = np.random.default_rng(0), 50_000
    ids = rng.integers(0, 5_000, n)
    place = rng.random((2, n)) * 500
    tracks = Tracks.from_columns(
        {"t_us": np.sort(rng.integers(0, 10**7, n)), "id": ids, "x_px": place[0], "y_px": place[1], "band": ids % 90}
    )
    many = rng.integers(0, 300, (4, n)).astype(np.int32)
    spikes = Spikes(np.sort(rng.integers(0, 10**7, n)), *many)
    layer = Layer.from_arrays(rng.random((200, 1, 41, 41)), LIFBox(np.full(200, 100), 1))
    notes = Recording.from_arrays([0], [0], [0], notes=tuple("x" * 10_000 for _ in range(1_000)))
    for value in (tracks, spikes, Network(1000, (layer,)), notes):
        html = shown(value)
        assert len(html) < 300_000
        assert "more" in Parsed(html).text


def test_other_things_have_no_picture():
    with pytest.raises(TypeError, match="cannot draw a int"):
        shown(3)


def decoded(html):
    data = re.search(r'src="data:video/mp4;base64,([^"]+)"', html)[1]
    with av.open(io.BytesIO(base64.b64decode(data))) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def test_one_line_plays_a_recording_with_its_tracks(recording, found):
    part = recording.between(stop_us=100_000)
    plain = part.animate(scale=2)
    assert plain.slow_motion == 50
    assert plain.note == "all 0.1 s, 50 times slower"
    frames = decoded(plain._repr_html_())
    assert len(frames) == 125
    assert frames[0].shape[:2] == (50 * 2 + 26, 100)
    tracked = decoded(animate(part, found.tracks, found.spikes, scale=2)._repr_html_())
    colour = np.array(band_color(2, 3))
    near = [np.abs(frame[:100].astype(int) - colour).max(axis=-1).min() for frame in (frames[100], tracked[100])]
    assert near[1] < 40 < near[0]


def test_a_long_recording_is_cut_and_the_note_says_so(found):
    long = Recording.from_arrays([0, 63_000_000 - 1], [0, 7], [0, 7], start_us=0, stop_us=63_000_000)
    tracks = replace(found.tracks, meta={}, t_us=found.tracks.t_us * 40)
    clip = animate(long, tracks)
    assert clip.recording.duration_us == CLIP_S * 1e6
    assert clip.note == "the first 10 s of 63 s, in real time"
    assert clip.duration_us == 63_000_000
    assert 9_500_000 < int(clip.tracks.t_us.max()) < 10_000_000 < int(tracks.t_us.max())
    assert animate(long, slow_motion=0.1).note == "all 63 s, 10 times faster"


def test_a_clip_of_pure_noise_stays_within_its_bytes():
    rng, n = np.random.default_rng(0), 1_500_000
    noise = Recording.from_arrays(
        np.sort(rng.integers(0, 1_000_000, n)), *rng.integers(0, 320, (2, n)), width=320, height=320, stop_us=1_000_000
    )
    clip = noise.animate(slow_motion=1, scale=2)
    assert len(clip.mp4()) < 1.5 * CLIP_BYTES / CLIP_S  # a second, and what the encoder may run ahead


def test_a_clip_of_nothing_is_shown_and_saved(tmp_path):
    clip = Recording.from_arrays([], [], [], width=16, height=16).animate()
    assert decoded(clip._repr_html_())
    for name in ("a.mp4", "a.gif", "a.html"):
        clip.save(tmp_path / name)
        assert (tmp_path / name).stat().st_size > 100
    assert "<video" in (tmp_path / "a.html").read_text()


def test_what_cannot_be_animated_is_told_at_once(recording):
    for settings in ({"fps": 0}, {"slow_motion": 0}):
        with pytest.raises(VelocellError):
            recording.animate(**settings)


def test_band_names_come_from_the_table_or_from_numbers(found):
    assert band_names_of(found.tracks) == BANDS.names
    assert band_names_of(replace(found.tracks, meta={"inputs": [found.tracks.meta]})) == BANDS.names
    assert band_names_of(replace(found.tracks, meta={})) == ("slow", "medium", "fast")
    assert band_names_of(None, found.spikes.final()) == ("slow", "medium", "fast")
    assert band_names_of(None) == ()


def test_display_needs_no_matplotlib():
    code = (
        "import sys, velocell; from velocell import *\n"
        "assert 'PIL' not in sys.modules\n"
        "r = simulate(notebook_scene())[0]; d = detect(r, (16, 62, 177, 500))\n"
        "[v._repr_html_() for v in (r, d.network, d.tracks, d.spikes)]\n"
        "assert 'matplotlib' not in sys.modules and 'PIL' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_notebook_shows_them(tmp_path):
    cells = [
        "import velocell\n"
        "recording, _ = velocell.simulate(velocell.notebook_scene())\n"
        "found = velocell.detect(recording, (16, 62, 177, 500))\n"
        "recording",
        "found.network",
        "found.tracks",
        "found.spikes",
        "velocell.animate(recording.between(stop_us=50_000), found.tracks, scale=2)",
        "recording.between(stop_us=50_000).animate(scale=2)",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": tmp_path}}).execute()
    shown = [cell.outputs[-1].data["text/html"] for cell in notebook.cells]
    for title, html in zip(("Recording", "Network", "Tracks", "Spikes"), shown[:4], strict=True):
        assert title in Parsed(html).words
    for html in shown[4:]:
        assert len(decoded(html)) == 125
