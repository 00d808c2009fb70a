"""Tracks over events: what is drawn, where, when and in which colour."""

from __future__ import annotations

import numpy as np
import pytest

from velocell.data.recording import Recording
from velocell.data.spikes import Spikes
from velocell.data.tracks import Tracks
from velocell.errors import VelocellError
from velocell.pictures.colors import BACKGROUND, EVENT, OFF, ON, OUTSIDE, band_color
from velocell.pictures.video.overlay import SILENCE_S, frame_ends, overlay_length, render_tracks
from velocell.pictures.video.painter import Painter

NAMES = ("slow", "medium", "fast")
SCALE = 16


def recording(t_us=(), x=(), y=(), p=None, stop_us=100_000, start_us=0):
    return Recording.from_arrays(t_us, x, y, p, width=50, height=50, start_us=start_us, stop_us=stop_us)


def moving(speed_px_s=250.0, band=2, radius=5.0, first_us=0, last_us=100_000, every_us=5_000):
    t_us = np.arange(first_us, last_us + 1, every_us)
    n = t_us.size
    return Tracks.from_columns(
        {
            "t_us": t_us,
            "id": np.full(n, 7),
            "x_px": 15 + speed_px_s * t_us / 1e6,
            "y_px": np.full(n, 20.0),
            "band": np.full(n, band),
            "speed_px_s": np.full(n, speed_px_s),
            "radius_px": np.full(n, radius),
        }
    )


def render(rec, tracks=None, spikes=None, **options):
    tracks = Tracks.empty() if tracks is None else tracks
    return list(render_tracks(rec, tracks, spikes, **{"band_names": NAMES, "scale": SCALE, **options}))


def pixel(frame, x, y):
    """Colour in the middle of sensor position (x, y)."""
    return frame[round((y + 0.5) * SCALE), round((x + 0.5) * SCALE)].astype(int)


def near(color, other, within=12):
    return np.abs(np.subtract(color, other)).max() <= within


@pytest.mark.parametrize(
    ("stop_us", "fps", "slow_motion", "frames"),
    [(500_000, 25, 1, 13), (500_000, 25, 10, 125), (500_000, 30, 10, 150), (1, 25, 1, 1), (0, 25, 1, 1)],
)
def test_a_video_frame_lasts_its_share_of_the_recording(stop_us, fps, slow_motion, frames):
    assert overlay_length(recording(stop_us=stop_us), fps=fps, slow_motion=slow_motion) == frames


def test_render_makes_as_many_frames_as_announced():
    assert len(render(recording(), fps=30, slow_motion=4)) == overlay_length(recording(), fps=30, slow_motion=4) == 12


def test_a_long_silence_is_cut_and_costs_no_frames():
    year_us, rest = 365 * 86_400_000_000, round(SILENCE_S * 25)
    jump = recording([0, 90_000, year_us], [1, 2, 3], [1, 2, 3], stop_us=year_us + 1)
    first, second = frame_ends(jump, Tracks.empty())
    np.testing.assert_array_equal(first, 40_000 * np.arange(1, 2 + rest + 2))
    np.testing.assert_array_equal(second, [year_us + 1])
    assert len(render(jump)) == len(first) + 1


def test_rows_and_short_silences_are_shown_in_full():
    short = recording([0, 9_000_000], [1, 2], [1, 2], stop_us=10_000_000)
    assert len(np.concatenate(list(frame_ends(short, Tracks.empty())))) == overlay_length(short) == 250
    long = recording([0], [1], [1], stop_us=60_000_000)
    rows = moving(speed_px_s=0.1, last_us=60_000_000, every_us=5_000_000)
    assert len(np.concatenate(list(frame_ends(long, rows)))) == overlay_length(long)


@pytest.mark.parametrize(
    ("size", "scale"),
    [((50, 50), 16), ((7, 2000), 1), ((346, 260), 3), ((640, 480), 1), ((1280, 720), 1), ((2000, 9), 1)],
)
def test_the_scale_fills_a_screen(size, scale):
    rec = Recording.from_arrays([], [], [], width=size[0], height=size[1], stop_us=1)
    frame = next(render_tracks(rec, Tracks.empty(), band_names=NAMES))
    assert frame.shape[1] == size[0] * scale
    assert frame.shape[0] > size[1] * scale
    assert frame.dtype == np.uint8


def test_events_shine_in_their_pixel_and_fade():
    frames = render(recording([45_000], [30], [10]), slow_motion=4)
    shades = [pixel(frame, 30, 10)[0] for frame in frames]
    assert len(frames) == 10
    assert shades[3] == BACKGROUND[0]  # the frame that ends at 40 ms
    for later in range(3):  # a time constant of one video frame, 10 ms here; the event is 5 ms old at 50 ms
        expected = BACKGROUND[0] + np.exp(-(later + 0.5)) * (EVENT[0] - BACKGROUND[0])
        assert shades[4 + later] == pytest.approx(expected, abs=1)
    for x, y in ((29, 10), (31, 10), (30, 9), (30, 11)):
        assert near(pixel(frames[4], x, y), BACKGROUND, 0)


def test_polarity_gives_the_colour_and_the_latest_event_counts():
    rec = recording([9_998, 9_998, 9_999], [1, 2, 2], [0, 0, 0], [True, True, False])
    frame = render(rec, slow_motion=4)[0]
    assert near(pixel(frame, 1, 0), ON, 2)
    assert near(pixel(frame, 2, 0), OFF, 2)


def test_only_the_final_layers_spikes_are_drawn():
    spikes = Spikes(*(np.array(v) for v in ([9_000, 9_000], [5, 9], [5, 5], [2, 1], [0, 1])))
    frame = render(recording(), spikes=spikes, slow_motion=4)[0]
    assert near(pixel(frame, 9, 5), band_color(1, 3), 60)
    assert near(pixel(frame, 5, 5), BACKGROUND, 0)


@pytest.mark.parametrize("band", [-1, 0, 2])
def test_the_circle_has_its_place_size_and_colour(band):
    frame = render(recording(), moving(0.0, band=band))[-1]
    color = band_color(band, 3)
    for dx, dy in ((5, 0), (-5, 0), (0, 5), (0, -5), (3, 4), (0, 0)):
        assert near(pixel(frame, 15 + dx, 20 + dy), color), (dx, dy)
    for dx, dy in ((4.5, 0), (5.5, 0), (0, 4.5), (2, 2)):
        assert near(pixel(frame, 15 + dx, 20 + dy), BACKGROUND, 0), (dx, dy)


def test_positions_between_reports_are_interpolated():
    tracks = moving(400.0, every_us=20_000)
    frames = render(recording(), tracks, slow_motion=8)  # a frame every 5 ms
    for k in (4, 5, 6):
        x = 15 + 400 * (k + 1) * 5_000e-6
        assert near(pixel(frames[k], x, 20), band_color(2, 3)), k
        assert near(pixel(frames[k], x, 25), band_color(2, 3)), k


def test_the_tail_follows_and_shows_the_speed():
    def tail_px(speed):
        frame = render(recording(), moving(speed, radius=10.0), slow_motion=10)[-1]
        row = frame[round(20.5 * SCALE)].astype(int)
        x = 15 + speed * 0.1
        centre = round((x + 0.5) * SCALE)
        assert near(row[centre + SCALE : centre + 9 * SCALE], BACKGROUND, 0)
        behind = row[centre - 9 * SCALE : centre - SCALE]
        return (np.abs(behind - BACKGROUND).max(axis=-1) > 20).sum() / SCALE

    assert tail_px(0.0) == 0
    assert 1 < tail_px(50.0) < 3
    assert 3 < tail_px(100.0) < 6


def test_objects_are_drawn_only_while_they_are_tracked():
    frames = render(recording(), moving(0.0, first_us=40_000, last_us=60_000), slow_motion=8)
    seen = [near(pixel(frame, 15, 20), band_color(2, 3)) for frame in frames]
    # Frame k ends at 5 (k + 1) ms; the last report stands for one and a half intervals.
    assert seen == [40 <= 5 * (k + 1) < 67.5 for k in range(20)]


def test_labels_tell_id_and_speed_where_there_is_room():
    def text_px(frame, top, bottom):
        """Where text begins and ends between two rows, in sensor pixels."""
        strip = frame[round(top * SCALE) : round(bottom * SCALE)].astype(int)
        columns = np.flatnonzero((np.abs(strip - BACKGROUND).max(axis=-1) > 60).any(axis=0)) / SCALE
        return columns.min(), columns.max()

    bare = {"t_us": [0, 100_000], "id": [7, 7], "x_px": [15, 15], "y_px": [20, 20]}
    full, only_id = render(recording(), moving(0.0))[-1], render(recording(), Tracks.from_columns(bare))[-1]
    for frame, rows, least, most in ((full, (12.5, 15), 4, 7), (only_id, (18, 19.8), 0.5, 2.5)):
        left, right = text_px(frame, *rows)
        assert least < right - left < most
        assert (left + right) / 2 == pytest.approx(15.5, abs=0.4)
    assert near(pixel(only_id, 15, 20), OUTSIDE)


def test_labels_do_not_cover_each_other():
    painter = Painter((50, 50), 8, [])
    blank = np.zeros((50, 50, 3), np.uint8)
    painter.begin(blank)
    pictures = []
    for _ in range(3):
        painter.label(20, 20, 3, "#1  100 px/s", (0, 0, 200))
        pictures.append(painter.finish(""))
    first, second, third = ((picture != 0).any(axis=-1)[: 50 * 8] for picture in pictures)
    assert first[: 20 * 8].any()
    assert not first[21 * 8 :].any()
    assert second[21 * 8 :].any()  # the second one goes below
    np.testing.assert_array_equal(second, third)
    painter.begin(blank)
    painter.label(20, 20, 3, "#1  100 px/s", (0, 0, 200))
    np.testing.assert_array_equal(painter.finish(""), pictures[0])


def test_the_strip_tells_bands_and_time():
    def strip(tracks, names=NAMES, **options):
        return render(recording(), tracks, band_names=names, **options)[-1][50 * SCALE :]

    def has(picture, color):
        return (np.abs(picture.astype(int) - color).max(axis=-1) <= 2).sum() > 30

    plain = strip(moving())
    assert all(has(plain, band_color(k, 3)) for k in range(3))
    assert not has(plain, OUTSIDE)
    assert has(strip(moving(band=-1)), OUTSIDE)
    many = strip(moving(), [f"band number {k}" for k in range(16)])
    assert len(many) > len(plain)
    assert all(has(many, band_color(k, 16)) for k in range(16))
    right = slice(-8 * SCALE, None)
    slower = strip(moving(), slow_motion=2)
    assert (plain[:, right] != slower[:, right]).any()
    earlier = render(recording(), moving())[0][50 * SCALE :]
    assert (plain != earlier).any(axis=(0, 2))[right].any()
    np.testing.assert_array_equal(plain[:, : 20 * SCALE], earlier[:, : 20 * SCALE])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"band_names": ("slow", "medium")}, "band 2 does not exist among 2 bands"),
        ({"scale": 0}, "scale of a video must be at least 1, got 0"),
        ({"fps": 0}, "frame rate must be between"),
        ({"fps": float("nan")}, "frame rate must be between"),
        ({"slow_motion": -1}, "slow motion must be a positive factor"),
    ],
)
def test_impossible_wishes_are_refused_at_the_call(options, message):
    with pytest.raises(VelocellError, match=message):
        render_tracks(recording(), moving(), **{"band_names": NAMES, **options})


@pytest.mark.parametrize(("x", "channel", "message"), [(50, 0, "outside the 50x50 sensor"), (0, 3, "band 3 does not")])
def test_spikes_of_something_else_are_refused(x, channel, message):
    spikes = Spikes(*(np.array([v]) for v in (0, x, 0, channel, 0)))
    with pytest.raises(VelocellError, match=message):
        render_tracks(recording(), moving(), spikes, band_names=NAMES)
