"""Written videos, decoded again: number, size, rate, place and colour of what was drawn."""

from __future__ import annotations

import base64
import re
import subprocess
import sys
import weakref
from fractions import Fraction

import av
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from velocell.data.recording import Recording
from velocell.data.tracks import Tracks
from velocell.errors import VelocellError
from velocell.pictures.colors import BACKGROUND, band_color
from velocell.pictures.video.clip import animate_frames, write_overlay
from velocell.pictures.video.encode import write_video
from velocell.pictures.video.overlay import overlay_length

SIZE = (90, 60)
RED, BLUE = band_color(2, 3), band_color(0, 3)


def disk_at(number):
    return 15 + 3 * number, 30


def picture(number, size=SIZE, color=RED):
    """A disk of radius 8 on a dark picture (H, W, 3), whose place tells the frame's number."""
    rows, columns = np.mgrid[: size[1], : size[0]]
    x, y = disk_at(number)
    frame = np.full((size[1], size[0], 3), BACKGROUND, np.uint8)
    frame[np.hypot(columns - x, rows - y) <= 8] = color
    return frame


def decode_mp4(source):
    with av.open(source) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        stream = container.streams.video[0]
        context = stream.codec_context
        facts = (context.name, context.pix_fmt, stream.average_rate, float(container.duration / av.time_base))
    return frames, facts


def decode_gif(path):
    with Image.open(path) as image:
        frames, durations_ms = [], []
        for number in range(image.n_frames):
            image.seek(number)
            frames.append(np.asarray(image.convert("RGB")))
            durations_ms.append(image.info["duration"])
        return frames, durations_ms, image.info["loop"]


def centre(frame):
    bright = np.argwhere(frame.astype(int).max(axis=-1) > 100)
    return bright[:, 1].mean(), bright[:, 0].mean()


@pytest.mark.parametrize("fps", [25, 29.97, 50])
def test_mp4_decodes_to_what_was_written(tmp_path, fps):
    path = tmp_path / "a.mp4"
    write_video(path, (picture(n) for n in range(20)), fps=fps)
    frames, (codec, layout, rate, seconds) = decode_mp4(str(path))
    assert (codec, layout) == ("h264", "yuv420p")
    assert len(frames) == 20
    assert float(rate) == pytest.approx(fps, rel=1e-3)
    assert seconds == pytest.approx(20 / fps, rel=0.02)
    for number, frame in enumerate(frames):
        assert frame.shape == (60, 90, 3)
        assert centre(frame) == pytest.approx(disk_at(number), abs=0.5)
        x, y = disk_at(number)
        assert np.abs(frame[y - 3 : y + 4, x - 3 : x + 4].reshape(-1, 3).mean(axis=0) - RED).max() < 8
        assert np.abs(frame[:10, :10].reshape(-1, 3).mean(axis=0) - BACKGROUND).max() < 8


def test_odd_sides_are_completed(tmp_path):
    path = tmp_path / "odd.mp4"
    frame = picture(0, (41, 43), BLUE)
    write_video(path, [frame, frame], fps=25)
    frames, _ = decode_mp4(str(path))
    assert frames[0].shape == (44, 42, 3)
    assert np.abs(frames[0][:43, :41].astype(int) - frame).mean() < 4
    assert np.abs(frames[0][43].astype(int) - BACKGROUND).max() < 20


def test_gif_decodes_to_what_was_written(tmp_path):
    path = tmp_path / "a.gif"
    write_video(path, (picture(n, color=RED if n < 20 else BLUE) for n in range(24)), fps=25)
    frames, durations_ms, loop = decode_gif(path)
    assert len(frames) == 24
    assert set(durations_ms) == {40}
    assert loop == 0
    for number, frame in enumerate(frames):
        # Few colours: the palette holds every one of them exactly.
        np.testing.assert_array_equal(frame, picture(number, color=RED if number < 20 else BLUE))
    assert path.stat().st_size < 24 * 60 * 90 * 3 / 20


def test_gif_copes_with_colours_that_come_late_and_with_many(tmp_path):
    path = tmp_path / "late.gif"
    ramp = np.linspace(0, 255, 90 * 60 * 3).reshape(60, 90, 3).astype(np.uint8)[:, :, [2, 0, 1]]
    noise = np.random.default_rng(0).integers(0, 256, (60, 90, 3), dtype=np.uint8)
    written = [ramp] * 40 + [picture(5, color=(10, 240, 20))] + [noise]
    write_video(path, written, fps=25)
    frames, durations_ms, _ = decode_gif(path)
    assert sum(durations_ms) == 42 * 40
    assert np.abs(frames[0].astype(int) - ramp).max() < 16
    assert np.abs(frames[-2][30, 30].astype(int) - (10, 240, 20)).max() < 50
    assert np.abs(frames[-1].astype(int) - noise).max() < 75


def test_gif_of_high_rate_keeps_its_speed(tmp_path):
    path = tmp_path / "fast.gif"
    write_video(path, (picture(n) for n in range(20)), fps=200)
    frames, durations_ms, _ = decode_gif(path)
    assert [centre(frame)[0] for frame in frames] == pytest.approx([disk_at(n)[0] for n in range(0, 20, 4)], abs=0.1)
    assert set(durations_ms) == {20}


@pytest.mark.parametrize(("name", "most"), [("a.mp4", 4), ("a.gif", 36)])
def test_frames_are_not_kept(tmp_path, name, most):
    written: list[weakref.ref[np.ndarray]] = []
    peak = 0

    def frames():
        nonlocal peak
        for number in range(120):
            frame = picture(number % 20)
            written.append(weakref.ref(frame))
            peak = max(peak, sum(ref() is not None for ref in written))
            yield frame

    write_video(tmp_path / name, frames(), fps=25)
    assert 0 < peak <= most


@pytest.mark.parametrize("name", ["a.mp4", "a.gif"])
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path, name):
    def failing():
        yield from (picture(n) for n in range(40))
        raise RuntimeError("broken source")

    path = tmp_path / name
    path.write_bytes(b"old")
    for _ in range(2):
        with pytest.raises(RuntimeError, match="broken source"):
            write_video(path, failing(), fps=25)
        assert [file.name for file in tmp_path.iterdir()] == [name]
        assert path.read_bytes() == b"old"
    write_video(path, [picture(0)], fps=25)
    assert path.read_bytes() != b"old"


def test_a_full_disk_is_one_sentence(tmp_path):
    # A limit on file sizes stands for the full disk; it holds for a process, hence another one.
    script = """if True:
        import resource, sys
        import numpy as np
        from velocell.errors import VelocellError
        from velocell.pictures.video import write_video
        resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, 5_000))
        noise = np.random.default_rng(0).integers(0, 255, (100, 100, 3), dtype=np.uint8)
        for name in sys.argv[1:]:
            try:
                write_video(name, [noise] + [255 - noise] * 20, fps=25)
            except VelocellError as error:
                print(error)
        """
    names = [str(tmp_path / name) for name in ("a.mp4", "a.gif")]
    done = subprocess.run([sys.executable, "-c", script, *names], capture_output=True, text=True, check=True)
    assert [line.split(":")[0] for line in done.stdout.splitlines()] == [f"cannot write {name}" for name in names]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "frames", "fps", "message"),
    [
        ("a.avi", [picture(0)], 25, "suffix must be .mp4 or .gif"),
        ("a", [picture(0)], 25, "suffix must be .mp4 or .gif"),
        ("a.mp4", [], 25, "no frames to write"),
        ("a.gif", iter(()), 25, "no frames to write"),
        ("a.mp4", [picture(0)], 0, "frame rate must be between"),
        ("a.mp4", [picture(0)], float("inf"), "frame rate must be between"),
        ("a.mp4", [picture(0), picture(0, (8, 8))], 25, "frame 1 must be uint8"),
        ("a.gif", [picture(0).astype(float)], 25, "frame 0 must be uint8"),
        ("a.mp4", [picture(0)[..., 0]], 25, "frame 0 must be uint8"),
        ("missing/a.mp4", [picture(0)], 25, "make the folder first"),
    ],
)
def test_what_cannot_be_written_is_refused(tmp_path, name, frames, fps, message):
    with pytest.raises(VelocellError, match=message):
        write_video(tmp_path / name, frames, fps=fps)
    assert not list(tmp_path.iterdir())


def test_without_an_encoder_the_remedy_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(av, "codecs_available", av.codecs_available - {"libx264"})
    with pytest.raises(VelocellError, match=r"no H.264 encoder .* write a .gif"):
        write_video(tmp_path / "a.mp4", [picture(0)], fps=25)
    assert not list(tmp_path.iterdir())


def embedded_mp4(html, tmp_path):
    path = tmp_path / "embedded.mp4"
    path.write_bytes(base64.b64decode(re.search(r"base64,([^\"]+)", html)[1]))
    return decode_mp4(str(path))


def test_animation_is_an_html5_video(tmp_path):
    counts = np.zeros((12, 20, 30))
    for tick in range(12):
        counts[tick, 5:8, tick : tick + 3] = 2
    html = animate_frames(counts, interval=20)._repr_html_()
    assert re.match(
        r"<video controls loop .* width=\"480\"><source type=\"video/mp4\" src=\"data:video/mp4;base64,", html
    )
    frames, (codec, layout, rate, _) = embedded_mp4(html, tmp_path)
    assert (codec, layout, rate, len(frames)) == ("h264", "yuv420p", Fraction(50), 12)
    assert frames[0].shape == (320, 480, 3)
    for tick, frame in enumerate(frames):
        # Pixel k covers 16 k .. 16 k + 15 of the magnified picture.
        assert centre(frame) == pytest.approx((16 * (tick + 1.5) - 0.5, 16 * 6.5 - 0.5), abs=0.5)
        assert frame.max() > 245


@pytest.mark.parametrize("kind", ["uint8", "int64", "float"])
def test_animation_takes_colours_as_imshow_does(tmp_path, kind):
    frames = np.stack([picture(n) for n in range(3)])
    frames = frames / 255 if kind == "float" else frames.astype(kind)
    animate_frames(frames).save(tmp_path / "a.gif")
    decoded, durations_ms, _ = decode_gif(tmp_path / "a.gif")
    assert durations_ms == [20] * 3
    np.testing.assert_array_equal(decoded[1][2::5, 2::5], picture(1))


def test_animation_takes_torch_tensors_and_a_figures_width():
    torch = pytest.importorskip("torch", reason="the extra 'norse' is not installed")
    frames = torch.zeros((2, 50, 50)).to_sparse()
    assert animate_frames(frames).scale == 10
    assert animate_frames(frames, Figure(figsize=(2, 9), dpi=100)).scale == 4
    assert animate_frames(frames, figsize=(3, 1), dpi=50).scale == 3
    assert animate_frames(torch.zeros((2, 8, 2000))).scale == 1


def test_animation_saves_by_suffix(tmp_path):
    animation = animate_frames(np.eye(30)[None].repeat(5, axis=0), interval=100)
    for name in ("a.mp4", "a.gif", "a.html"):
        animation.save(tmp_path / name)
    assert decode_mp4(str(tmp_path / "a.mp4"))[1][2] == 10
    assert decode_gif(tmp_path / "a.gif")[1] == [100] * 5
    page = (tmp_path / "a.html").read_text()
    assert page.startswith("<!DOCTYPE html>")
    assert len(embedded_mp4(page, tmp_path)[0]) == 5
    with pytest.raises(VelocellError, match="suffix must be"):
        animation.save(tmp_path / "a.webm")


@pytest.mark.parametrize(
    ("frames", "interval", "message"),
    [
        (np.zeros((4, 2, 5, 5)), 20, r"got \(4, 2, 5, 5\); see events_to_frames"),
        (np.zeros((0, 5, 5)), 20, "no frames to show"),
        (np.zeros((1, 5, 5)), 0, "interval must be a positive number"),
        (np.zeros((1, 5, 5)), 0.5, "frame rate must be between"),
    ],
)
def test_what_cannot_be_animated_is_refused(frames, interval, message):
    with pytest.raises(VelocellError, match=message):
        animate_frames(frames, interval=interval)


def test_overlay_is_written_with_its_rate(tmp_path):
    recording = Recording.from_arrays([50_000], [20], [10], width=40, height=30, start_us=0, stop_us=100_000)
    tracks = Tracks.from_columns(
        {"t_us": [0, 100_000], "id": [1, 1], "x_px": [20, 20], "y_px": [15, 15], "band": [2, 2], "radius_px": [5, 5]}
    )
    path = tmp_path / "overlay.mp4"
    write_overlay(path, recording, tracks, band_names=("slow", "medium", "fast"), fps=20, slow_motion=4, scale=8)
    frames, (_, _, rate, seconds) = decode_mp4(str(path))
    assert (len(frames), rate) == (overlay_length(recording, fps=20, slow_motion=4), 20)
    assert seconds == pytest.approx(0.4, abs=0.01)
    assert np.abs(frames[-1][8 * 15 + 4, 8 * 25 + 4].astype(int) - RED).max() < 40
    with pytest.raises(VelocellError, match="band 2 does not exist among 1 bands"):
        write_overlay(tmp_path / "other.mp4", recording, tracks, band_names=("slow",))
    assert not (tmp_path / "other.mp4").exists()


def test_importing_loads_nothing_heavy():
    heavy = {"av", "PIL", "matplotlib", "torch"}
    script = (
        f"import sys, velocell.pictures.video, velocell.pictures.figures; print(sorted({heavy} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
