"""What helps to read the page: ruler and units, hint, warnings, the address, bands beyond three, a short stream."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import viewer_browser
from typer.testing import CliRunner
from viewer_browser import click, drag, fill, find, js, keys, now_us, page, shot, state
from viewer_tools import Feed, demo_recording, later, looking, opened, ready, unpacked, until

from velocell.cli import options as o
from velocell.cli.view import _with_defaults
from velocell.errors import OptionError
from velocell.results.plane import Plane
from velocell.simulate import Scene, simulate
from velocell.viewer.source import InMemory
from velocell.viewer.stream import Stream

browser, window = viewer_browser.browser, viewer_browser.window  # fixtures


def test_the_ruler_measures_and_sets_radius_and_scale(window: Any) -> None:
    with page(window) as server:
        server.stage.session.player.seek(300_000)
        until(lambda: now_us(window) == 300_000, "the picture")
        click(window, '[data-tool="ruler"]')
        ends = [js(window, f"window.velocell.stage.toCanvas({x}, 20)") for x in (10, 22)]
        drag(window, "#picture", *ends)
        text = until(lambda: find(window, "#ruler-text").text, "the length")
        assert float(text.split()[0]) == pytest.approx(12, abs=0.2)
        click(window, "#ruler-radius")
        until(lambda: state(window, "settings.radius") == pytest.approx(6, abs=0.1), "the radius")
        fill(window, "#ruler-mm", "3")
        scale = until(lambda: state(window, "px_per_mm"), "the scale")
        assert scale == pytest.approx(4, abs=0.1)
        assert f"--px-per-mm {scale:g}" in find(window, "#command").text
        assert "mm" in find(window, "#ruler-text").text
        click(window, '[data-tab="objects"]')
        until(lambda: find(window, "#mm").is_displayed(), "the column")
        shot(window, "ruler")
        click(window, "#ruler-clear")
        until(lambda: state(window, "px_per_mm") is None, "no scale")
        # The same by keyboard, along x.
        keys(window, "u")
        find(window, "#box").send_keys("\ue014\ue007\ue008\ue014\ue014\ue000")
        until(lambda: find(window, "#ruler-text").text == "20 px", "the length by keyboard")


def test_speeds_in_the_picture_have_real_units() -> None:
    with opened(settings=looking(plane=Plane.of_scale(4))) as session:
        ready(session)
        session.player.seek(300_000)
        objects = unpacked(session.picture())[0]["objects"]
        assert len(objects) == 3
        for item in objects:
            assert item["speed_mm"] == pytest.approx(item["speed"] / 4, rel=0.01)
        session.tuning.tune(px_per_mm=None)
        ready(session)
        assert "speed_mm" not in unpacked(session.picture())[0]["objects"][0]
        assert "--px-per-mm" not in session.state()["command"]


@pytest.mark.parametrize("wrong", [0, -1, "x", math.inf, 1e9])
def test_a_wrong_scale_is_refused(wrong: Any) -> None:
    with opened() as session, pytest.raises(OptionError, match="the scale"):
        session.tuning.tune(px_per_mm=wrong)


def test_the_scale_of_a_plane() -> None:
    assert Plane.of_scale(4).px_per_mm == 4
    assert Plane.of([[0.25, 0, 1], [0, 0.25, 0], [0, 0, 1]]).px_per_mm is None
    assert Plane.of([[0.25, 0, 0], [0, 0.3, 0], [0, 0, 1]]).px_per_mm is None


def test_the_hint_is_open_until_it_was_closed(window: Any) -> None:
    with page(window) as server:
        js(window, "localStorage.removeItem('velocell-guide')")
        window.get(server.url)
        assert find(window, "#guide").get_attribute("open")
        text = find(window, "#guide").text
        assert all(word in text for word in ("v / threshold", "share", "dotted", "dashed"))
        click(window, "#guide summary")
        until(lambda: js(window, "localStorage.getItem('velocell-guide')") == "read", "that it was read")
        window.get(server.url)
        assert not find(window, "#guide").get_attribute("open")


def test_defaults_say_that_they_are_defaults(window: Any) -> None:
    with page(window, settings=looking(assumed=("bands", "radius"))):
        warning = find(window, "#warnings")
        until(lambda: "Bands and radius are those of the demo, not yours" in warning.text, "the warning")
        shot(window, "assumed")
        fill(window, "#slider-radius", "5.5")
        until(lambda: "The bands are those of the demo" in warning.text, "what is left of it")
        fill(window, "#edges input:nth-child(3)", "180")
        until(lambda: not warning.is_displayed(), "no warning")


def test_which_defaults_are_assumed() -> None:
    assert _with_defaults(o.LookFor())[1] == ("bands", "radius")
    assert _with_defaults(o.LookFor(bands="1,9"))[1] == ("radius",)
    assert _with_defaults(o.LookFor(radius="4"))[1] == ("bands",)
    assert _with_defaults(o.LookFor(bands="1,9", radius="4"))[1] == ()


def test_bands_against_speed_are_told(window: Any) -> None:
    with page(window):
        assert not find(window, "#warnings").is_displayed()
        js(window, "window.velocell.store.results.objects[0].off_band = true")
        click(window, "#tracks")  # the page shows what it has anew
        until(lambda: "The neurons of 1 of 3 objects answer for another band" in find(window, "#warnings").text, "it")
    noise, _ = simulate(Scene(60, 50, 300_000, seed=3, noise_hz=2.0))
    with page(window, InMemory(noise, title="noise.npz")):
        until(lambda: "Nothing that is clearly a disk" in find(window, "#warnings").text, "the warning")


def test_the_address_holds_time_and_settings(window: Any) -> None:
    with page(window) as server:
        server.stage.session.player.seek(300_000)
        server.stage.session.tuning.tune(edges=[16, 62, 200, 500], radius=5.5, threshold=1.1, px_per_mm=4)
        until(
            lambda: "t=0.3&" in js(window, "location.hash") and "px_per_mm=4" in js(window, "location.hash"),
            "the address",
        )
        kept = js(window, "location.hash")
        assert "bands=16,62,200,500" in kept
        assert "radius=5.5" in kept
        assert "threshold=1.1" in kept
    with page(window) as server:  # another program, with the same address
        window.get("about:blank")
        window.get(server.url + kept)
        until(lambda: js(window, "window.velocell?.store.state?.settings.radius") == 5.5, "the radius")
        until(lambda: now_us(window) == 300_000, "the time")
        settings = server.stage.session.settings
        assert settings.bands.edges == (16, 62, 200, 500)
        assert settings.threshold == 1.1
        assert settings.plane.px_per_mm == 4
        js(window, "location.hash = '#t=0.1&radius=nonsense'")
        until(lambda: "radius must be a number" in find(window, "#notices").text, "the refusal")
        until(lambda: now_us(window) == 100_000, "the time all the same")


def test_the_timeline_has_room_for_every_band(window: Any) -> None:
    with page(window) as server:
        three = find(window, "#timeline").size["height"]
        edges = np.geomspace(16, 500, 9).round(1).tolist()
        server.stage.session.tuning.tune(edges=edges)
        until(lambda: len(state(window, "bands")) == 8, "eight bands")
        until(lambda: find(window, "#timeline").size["height"] == three + 45, "their room")
        shot(window, "eight-bands")
        assert js(window, "document.documentElement.scrollWidth <= window.innerWidth")


def test_the_timeline_fits_a_short_stream() -> None:
    feed = Feed()
    stream = Stream(feed)
    try:
        feed.give(later(demo_recording(), 40_000_000))
        until(lambda: stream.stop_us >= 40_490_000, "the events")
        edges = stream.edges()
        assert edges[-1] - edges[0] == 1_000_000  # not 30 s
        feed.end()
        until(lambda: not stream.growing, "the end")
        assert (stream.edges()[0], stream.edges()[-1]) == (40_000_000, 40_500_000)
    finally:
        stream.close()


def test_a_folder_needs_the_token(tmp_path: Any) -> None:
    from velocell.cli.app import app

    for words, told in (
        (["--folder", str(tmp_path), "--no-token"], "drop --no-token"),
        (["--folder", str(tmp_path / "x")], "not a folder"),
    ):
        result = CliRunner().invoke(app, ["view", "demo", "--no-browser", *words])
        assert result.exit_code == 1
        assert told in result.stderr
