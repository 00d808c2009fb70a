"""Figures: what stands in them, and that they can be written without a display."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.collections import LineCollection
from matplotlib.colors import to_hex
from matplotlib.patches import Circle
from PIL import Image

from velocell.data.bands import Bands
from velocell.data.recording import Recording
from velocell.data.spikes import Spikes
from velocell.data.tracks import Tracks
from velocell.errors import VelocellError
from velocell.pictures.colors import band_color, hex_color
from velocell.pictures.figures.neurons import plot_kernel, plot_membrane
from velocell.pictures.figures.scores import plot_confusion, plot_speeds
from velocell.pictures.figures.spikes import plot_raster, plot_responses
from velocell.pictures.figures.style import save_figure
from velocell.pictures.figures.tracks import plot_overview, plot_xt
from velocell.pictures.figures.tuning import plot_tuning

NAMES = ("slow", "medium", "fast")
BANDS = Bands((16, 62, 177, 500), NAMES)
COLORS = [hex_color(band_color(k, 3)) for k in range(3)]


@pytest.fixture
def tracks():
    """Three disks of one band each for 100 ms; the first is lost from 30 to 70 ms."""
    t_us = np.arange(0, 100_001, 5_000)
    rows = [(t, k, 10 + t / 1e6 * v, 10 + 15 * k, k, v, 5) for t in t_us for k, v in enumerate((31.25, 125, 250))]
    columns = zip(
        ("t_us", "id", "x_px", "y_px", "band", "speed_px_s", "radius_px"), zip(*rows, strict=True), strict=True
    )
    table = Tracks.from_columns(dict(columns))
    return table.where((table.id != 0) | (table.t_us <= 30_000) | (table.t_us >= 70_000))


@pytest.fixture
def spikes():
    t_us, x, y, channel, layer = [0, 10, 20, 30, 40], [1, 4, 4, 4, 2], [2, 5, 5, 6, 3], [2, 0, 0, 1, 2], [0, 1, 1, 1, 1]
    return Spikes(*(np.array(values) for values in (t_us, x, y, channel, layer)))


@pytest.fixture
def recording():
    rng = np.random.default_rng(0)
    t_us = np.sort(rng.integers(0, 100_000, 500))
    return Recording.from_arrays(t_us, *rng.integers(0, 50, (2, 500)), width=50, height=50, start_us=0, stop_us=100_000)


def lines(axes):
    [collection] = [c for c in axes.collections if isinstance(c, LineCollection)]
    return collection.get_segments(), [to_hex(color) for color in collection.get_colors()]


def drawn(figure, path):
    save_figure(figure, path)
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).reshape(-1, 3)


def test_kernel_weights_are_shown_around_zero():
    weights = np.arange(9.0).reshape(3, 3) - 2
    [axes, bar] = plot_kernel(weights).axes
    [image] = axes.get_images()
    np.testing.assert_array_equal(image.get_array(), weights)
    assert image.get_clim() == (-6, 6)
    assert bar.get_ylabel() == "weight"
    assert len(plot_kernel(np.ones((2, 3, 5, 5))).axes) == 2 * 3 + 1
    assert len(plot_kernel(np.zeros((1, 1, 5, 5))).axes) == 2


@pytest.mark.parametrize("shape", [(5,), (2, 5, 5), (1, 1, 0, 5)])
def test_what_is_no_kernel_is_refused(shape):
    with pytest.raises(VelocellError, match=r"\(h, w\) or \(out, in, h, w\)"):
        plot_kernel(np.ones(shape))


def test_responses_show_where_each_channel_answered(spikes):
    figure = plot_responses(spikes, (8, 9), names=NAMES)
    assert [axes.get_title() for axes in figure.axes] == [
        "slow: 2 spikes", "medium: 1 spikes", "fast: 1 spikes", "all: 4 spikes"
    ]  # fmt: skip
    images = [np.asarray(axes.get_images()[0].get_array()) for axes in figure.axes]
    assert images[0].shape == (9, 8, 3)
    assert (images[0] < 1).any(axis=-1).nonzero() == ([5], [4])
    np.testing.assert_allclose(images[0][5, 4] * 255, band_color(0, 3), atol=1e-9)
    inked = (images[3] < 1).any(axis=-1)
    assert sorted(zip(*np.nonzero(inked), strict=True)) == [(3, 2), (5, 4), (6, 4)]
    first = plot_responses(spikes, (8, 9), names=NAMES, layer=0)
    assert [axes.get_title().split(":")[1] for axes in first.axes] == [
        " 0 spikes",
        " 0 spikes",
        " 1 spikes",
        " 1 spikes",
    ]


def test_responses_without_spikes_are_white():
    figure = plot_responses(Spikes.empty(), (8, 9), names=NAMES)
    assert all((axes.get_images()[0].get_array() == 1).all() for axes in figure.axes)


def test_every_channel_needs_a_name(spikes):
    for plot in (
        lambda: plot_responses(spikes, (8, 9), names=("a", "b")),
        lambda: plot_raster(spikes, names=("a", "b")),
    ):
        with pytest.raises(VelocellError, match="layer 1 has spikes of channel 2 but 2 are named"):
            plot()


def test_raster_shows_every_spike_of_the_final_layer(spikes):
    figure = plot_raster(spikes, names=NAMES)
    shown = [axes.lines[0].get_xydata().tolist() for axes in figure.axes]
    assert shown == [[[10e-6, 5], [20e-6, 5]], [[30e-6, 6]], [[40e-6, 3]]]
    assert [axes.lines[0].get_color() for axes in figure.axes] == COLORS
    top, bottom = figure.axes[0].get_ylim()
    assert top > bottom  # y runs downwards


def test_ways_are_coloured_by_band_and_broken_where_objects_were_lost(tracks):
    figure = plot_xt(tracks, tracks, band_names=NAMES)
    for axes, column in zip(figure.axes, ("x_px", "y_px"), strict=True):
        segments, colors = lines(axes)
        assert colors.count(COLORS[1]) == colors.count(COLORS[2]) == 20
        assert colors.count(COLORS[0]) == 6 + 6
        assert max(np.ptp(segment[:, 0]) for segment in segments) == pytest.approx(0.005)
        points = {tuple(point) for segment in segments for point in segment}
        assert points == set(zip(tracks.t_us / 1e6, getattr(tracks, column), strict=True))
        assert len(axes.lines) == 3
    labels = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert labels == [*NAMES, "truth"]


def test_rows_outside_all_bands_are_grey(tracks):
    table = Tracks.from_columns({**tracks.columns(), "band": np.full(len(tracks), -1)})
    figure = plot_xt(table, band_names=NAMES)
    assert set(lines(figure.axes[0])[1]) == {hex_color(band_color(-1, 3))}
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == [*NAMES, "outside"]


def test_tuning_shows_curves_over_bands():
    speeds = np.geomspace(8, 1000, 9)
    responses = np.arange(27.0).reshape(3, 9)
    [axes] = plot_tuning(speeds, responses, bands=BANDS).axes
    for k, line in enumerate(axes.lines):
        np.testing.assert_array_equal(line.get_xydata(), np.stack([speeds, responses[k]], axis=-1))
        assert (line.get_color(), line.get_label()) == (COLORS[k], NAMES[k])
    assert axes.get_xscale() == "log"
    assert [(p.get_x(), p.get_x() + p.get_width()) for p in axes.patches] == [(16, 62), (62, 177), (177, 500)]
    assert len(plot_tuning(speeds, responses[:2], bands=BANDS, names=("a", "b")).axes[0].lines) == 2
    with pytest.raises(VelocellError, match=r"shape \(3, 9\) \(channels, speeds\), got \(2, 9\)"):
        plot_tuning(speeds, responses[:2], bands=BANDS)


def test_overview_shows_ways_speeds_and_spikes(recording, tracks, tmp_path):
    answers = Spikes(*(np.array(v) for v in ([1_000, 2_000], [3, 4], [11, 40], [0, 2], [1, 1])))
    figure = plot_overview(recording, tracks, answers, bands=BANDS)
    scene, speed, raster = figure.axes
    assert np.asarray(scene.get_images()[0].get_array()).sum() == len(recording)
    assert scene.get_ylim() == (49.5, -0.5)
    circles = {to_hex(p.get_edgecolor()): (*p.center, p.radius) for p in scene.patches if isinstance(p, Circle)}
    assert circles == {
        COLORS[k]: (pytest.approx(10 + 0.1 * v), 10 + 15 * k, 5) for k, v in enumerate((31.25, 125, 250))
    }
    assert [text.get_text() for text in scene.texts] == ["#0", "#1", "#2"]
    segments, colors = lines(speed)
    assert {(color, segment[0, 1]) for color, segment in zip(colors, segments, strict=True)} == {
        (COLORS[0], 31.25), (COLORS[1], 125.0), (COLORS[2], 250.0)
    }  # fmt: skip
    assert [text.get_text() for text in speed.texts] == list(NAMES)
    assert [line.get_xydata().tolist() for line in raster.lines] == [[[0.001, 11]], [], [[0.002, 40]]]
    pixels = drawn(figure, tmp_path / "overview.png")
    for band in range(3):
        assert (np.abs(pixels.astype(int) - band_color(band, 3)).max(axis=-1) <= 3).sum() > 200


def test_overview_of_nothing_is_drawn_too(recording, tmp_path):
    empty = Recording.from_arrays([], [], [], width=5, height=4)
    assert len(drawn(plot_overview(recording, Tracks.empty(), bands=BANDS), tmp_path / "a.png"))
    assert len(drawn(plot_overview(empty, Tracks.empty(), Spikes.empty(), bands=BANDS), tmp_path / "b.png"))


def test_overview_keeps_unknown_speeds_and_radii_out(recording, tmp_path):
    table = Tracks.from_columns({"t_us": [0, 5_000], "id": [1, 1], "x_px": [5, 6], "y_px": [5, 5]})
    figure = plot_overview(recording, table, bands=BANDS)
    assert not figure.axes[0].patches
    assert figure.axes[1].get_ylim() == pytest.approx((16 / 1.1, 500 * 1.1))
    assert len(drawn(figure, tmp_path / "a.png"))


@pytest.mark.parametrize(("rows", "columns"), [(3, 3), (3, 4), (4, 4)])
def test_confusion_names_counts_and_shares(rows, columns):
    matrix = np.zeros((rows, columns), int)
    matrix[0, 0], matrix[0, 1], matrix[2, 2] = 1500, 500, 7
    [axes] = plot_confusion(matrix, NAMES).axes
    assert [text.get_text() for text in axes.get_xticklabels()] == [*NAMES, "outside"][:columns]
    assert [text.get_text() for text in axes.get_yticklabels()] == [*NAMES, "outside"][:rows]
    assert {text.get_position(): text.get_text() for text in axes.texts} == {
        (0, 0): "1,500\n75%", (1, 0): "500\n25%", (2, 2): "7\n100%"
    }  # fmt: skip


@pytest.mark.parametrize("shape", [(3,), (2, 3), (3, 5)])
def test_what_is_no_confusion_matrix_is_refused(shape):
    with pytest.raises(VelocellError, match="must have 3 or 4 rows and columns"):
        plot_confusion(np.ones(shape), NAMES)


def test_membrane_shows_voltage_threshold_and_spikes():
    t_us, v = np.arange(0, 5_000, 1_000), np.array([0, 0.5, 1.2, 0, 0.4])
    [axes] = plot_membrane(t_us, v, v_th=1.0, spikes_us=[2_000]).axes
    voltage, threshold, marks = axes.lines
    np.testing.assert_array_equal(voltage.get_xydata(), np.stack([t_us / 1e6, v], axis=-1))
    assert set(threshold.get_ydata()) == {1.0}
    assert marks.get_xydata().tolist() == [[0.002, 1.0]]
    with pytest.raises(VelocellError, match="same length"):
        plot_membrane(t_us, v[:3], v_th=1.0)


@pytest.mark.parametrize("name", ["a.png", "a.svg", "a.pdf"])
def test_figures_are_written_by_suffix(tmp_path, name):
    save_figure(plot_kernel(np.eye(3)), tmp_path / name)
    start = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[name[-3:]]
    assert (tmp_path / name).read_bytes().startswith(start)


def test_a_figure_that_cannot_be_written_leaves_nothing(tmp_path):
    figure = plot_kernel(np.eye(3))
    with pytest.raises(VelocellError, match=r"suffix must be one of .*\.png"):
        save_figure(figure, tmp_path / "a.mp4")
    with pytest.raises(VelocellError, match="make the folder first"):
        save_figure(figure, tmp_path / "missing" / "a.png")
    assert not list(tmp_path.iterdir())


def test_text_stays_text_in_files_of_vectors(tmp_path):
    from matplotlib import rcParams

    before = dict(rcParams)
    figure = plot_membrane([0, 1_000], [0, 1], v_th=1.0)
    for name in ("a.svg", "b.svg", "a.pdf"):
        save_figure(figure, tmp_path / name)
    svg = (tmp_path / "a.svg").read_text()
    assert ">threshold</text>" in svg
    assert "/FontFile2" in (tmp_path / "a.pdf").read_bytes().decode("latin-1")  # TrueType, whose text can be searched
    assert dict(rcParams) == before


def test_speeds_are_counted_by_band_and_no_bin_crosses_an_edge():
    speeds = np.array([20.0, 61.9, 62.1, 100.0, 700.0, np.nan, 100.0])
    n = len(speeds)
    table = Tracks.from_columns(
        {"t_us": np.zeros(n), "id": np.arange(n), "x_px": np.zeros(n), "y_px": np.zeros(n), "speed_px_s": speeds,
         "band": BANDS.of_speed(speeds)}
    )  # fmt: skip
    [axes] = plot_speeds(table, bands=BANDS).axes
    counted: dict[str, int] = {}
    for bars, color in zip(axes.containers, [hex_color(band_color(-1, 3)), *COLORS], strict=True):
        counted[color] = sum(bar.get_height() for bar in bars)
        for bar in bars:
            low, high = bar.get_x(), bar.get_x() + bar.get_width()
            assert not any(low * 1.0001 < edge < high * 0.9999 for edge in BANDS.edges)
    assert list(counted.values()) == [1, 2, 3, 0]
    assert axes.get_xlim()[1] > 700
    assert [text.get_text() for text in axes.texts] == list(NAMES)
    assert plot_speeds(Tracks.empty(), bands=BANDS).axes[0].get_xlim() == pytest.approx((16 / 1.3, 500 * 1.3))


def test_confusion_takes_the_scores_of_an_evaluation(tracks):
    from velocell.results.evaluate import evaluate

    scores = evaluate(tracks, tracks, BANDS.edges)
    [axes] = plot_confusion(scores, NAMES).axes
    assert {text.get_text().split("\n")[0] for text in axes.texts} == {
        f"{n}" for row in scores.confusion for n in row if n
    }
    few = plot_confusion([[999, 1, 0], [0, 5, 0], [0, 0, 0]], NAMES).axes[0]
    assert [text.get_text() for text in few.texts] == ["999\n>99%", "1\n<1%", "5\n100%"]


def test_clocks_that_count_from_1970_start_at_a_whole_second(tracks):
    late = Tracks.from_columns({**tracks.columns(), "t_us": tracks.t_us + 1_605_537_493_784_000})
    x, y = plot_xt(late, late, band_names=NAMES).axes
    assert y.get_xlabel() == "time after 1605537493 s (s)"
    assert lines(x)[0][0][0, 0] == pytest.approx(0.784)
    assert x.lines[0].get_xdata()[0] == pytest.approx(0.784)


def test_figures_have_the_size_they_are_printed_at(recording, tracks, spikes):
    made = {
        3.5: [plot_xt(tracks, band_names=NAMES), plot_raster(spikes, names=NAMES), plot_speeds(tracks, bands=BANDS)],
        7.2: [plot_overview(recording, tracks, bands=BANDS), plot_responses(spikes, (8, 9), names=NAMES)],
    }
    for width, figures in made.items():
        for figure in figures:
            assert figure.get_figwidth() == pytest.approx(width)
            sizes = {label.get_fontsize() for axes in figure.axes for label in axes.get_xticklabels()}
            assert sizes == {7}
            assert {axes.xaxis.label.get_fontsize() for axes in figure.axes} == {8}


@pytest.mark.parametrize(("count", "circles", "labels"), [(60, 60, 60), (61, 61, 0), (301, 0, 0)])
def test_a_crowd_keeps_its_ways_but_not_its_labels(recording, count, circles, labels):
    rows = [(t, k, 1 + t / 5_000, 1, 5) for t in (0, 5_000) for k in range(count)]
    columns = zip(("t_us", "id", "x_px", "y_px", "radius_px"), zip(*rows, strict=True), strict=True)
    scene = plot_overview(recording, Tracks.from_columns(dict(columns)), bands=BANDS).axes[0]
    assert len(lines(scene)[0]) == count
    assert (len(scene.patches), len(scene.texts)) == (circles, labels)


def test_a_long_table_is_drawn_with_fewer_pieces_and_keeps_its_gaps():
    t_us = np.concatenate([np.arange(0, 60_000), np.arange(90_000, 110_000)]) * 5_000
    n = t_us.size
    table = Tracks.from_columns({"t_us": t_us, "id": np.ones(n), "x_px": t_us / 1e6, "y_px": np.zeros(n)})
    segments, _ = lines(plot_xt(table, band_names=NAMES).axes[0])
    assert n / 4 - 3 < len(segments) < n / 4
    lost = [(300, 450)]
    for first, last in segments:
        assert not any(first[0] < stop and start < last[0] for start, stop in lost)
        assert last[0] - first[0] == pytest.approx(0.02)


def test_dots_that_cannot_be_told_apart_are_drawn_once():
    rng, n = np.random.default_rng(0), 200_000
    t_us, y = np.sort(rng.integers(0, 10**6, n)), rng.integers(0, 4, n).astype(np.int32)
    zero = np.zeros(n, np.int32)
    [line] = plot_raster(Spikes(t_us, zero, y, zero, zero), names=("one",)).axes[0].lines
    shown = line.get_xydata()
    assert len(shown) == pytest.approx(4 * 1_000, abs=8)
    assert {tuple(point) for point in shown} <= set(zip(t_us / 1e6, y, strict=True))
    assert np.diff(np.unique(shown[:, 0])).max() < 0.002
