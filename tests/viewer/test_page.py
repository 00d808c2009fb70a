"""The viewer's page in a real Chromium, used as a person would; screenshots go to build/screens.

Skipped, with the reason, where Chromium is missing; with VELOCELL_NEED_BROWSER set that is a failure instead.
"""

from __future__ import annotations

import http.client

import numpy as np
import pytest
import viewer_browser
from viewer_browser import (
    bands,
    click,
    drag,
    fill,
    find,
    js,
    keys,
    now_us,
    page,
    pixels,
    saved,
    settled,
    shot,
    size,
    state,
)
from viewer_tools import demo_recording, looking, served, until

from velocell.data.tracks import Tracks
from velocell.demo import BANDS
from velocell.errors import RecordingError
from velocell.formats import write_npz
from velocell.network import Network
from velocell.results.counting import Line
from velocell.results.plane import Plane
from velocell.simulate import Scene, random_scene, simulate
from velocell.viewer.opening import open_source
from velocell.viewer.source import InMemory

browser, window = viewer_browser.browser, viewer_browser.window  # fixtures


# --- seeing -------------------------------------------------------------------------------------------


def test_it_opens_shows_the_objects_and_plays(window):
    with page(window) as server:
        assert find(window, "#facts").text.startswith("demo")
        until(lambda: find(window, "#count").text == "3", "the count")
        before = js(window, "window.velocell.stage.drawn.count")
        click(window, "#play")
        until(lambda: js(window, "window.velocell.stage.drawn.count") > before + 10, "pictures")
        assert state(window, "playing")
        click(window, "#play")
        until(lambda: not state(window, "playing"), "the pause")
        keys(window, " ")
        until(lambda: state(window, "playing"), "playing by key")
        keys(window, " ")
        until(lambda: not state(window, "playing"), "pausing by key")
        server.stage.session.player.seek(300_000)
        until(lambda: now_us(window) == 300_000, "the picture")
        assert pixels(window) > 5_000
        shot(window, "demo-dark")
        click(window, "#theme")
        assert js(window, "document.documentElement.dataset.theme") == "light"
        shot(window, "demo-light")


def test_surface_counts_none_decay_and_tracks_change_what_is_seen(window):
    def seen(what, ask):
        ask()
        until(lambda: state(window, what), what)
        return settled(window)

    with page(window) as server:
        server.stage.session.player.seek(300_000)
        until(lambda: now_us(window) == 300_000, "the picture")
        surface = settled(window)
        counts = seen("view.mode === 'accumulate'", lambda: click(window, '[data-mode="accumulate"]'))
        none = seen("view.events === false", lambda: click(window, '[data-mode="none"]'))
        bare = seen("view.tracks === false", lambda: click(window, "#tracks"))
        assert surface > 1.2 * counts > 1.2 * none > 1.2 * bare > 0
        click(window, '[data-mode="surface"]')
        until(lambda: state(window, "view.events"), "the events")
        moved = "e.value = 100; e.dispatchEvent(new Event('input'))"
        slide = f"(() => {{ const e = document.querySelector('#decay'); {moved} }})()"
        brief = seen("view.span_us < 1000", lambda: js(window, slide))
        assert brief < 0.7 * surface
        assert find(window, "#decay-text").text == "251 µs"


def test_scrubbing_moves_the_cursor_and_the_picture(window):
    with page(window):
        width = js(window, "document.querySelector('#timeline').clientWidth")
        drag(window, "#timeline", (width * 0.2, 30), (width * 0.6, 30))
        until(lambda: abs(now_us(window) - 300_000) < 5_000, "the cursor")
        keys(window, "\ue014")  # right
        until(lambda: now_us(window) % 5_000 == 0, "a step")
        keys(window, "\ue011")  # home
        until(lambda: now_us(window) == 0, "the start")
        drag(window, "#timeline", (width * 0.5, 30), (width * 0.75, 30), shift=True)
        until(lambda: state(window, "span")[1] < 500_000, "the part")
        a, b = state(window, "span")
        assert (a, b) == (pytest.approx(250_000, abs=3_000), pytest.approx(375_000, abs=3_000))
        assert 0 < now_us(window) <= b
        shot(window, "loop-over-a-part")


def test_dragging_a_band_edge_moves_objects_into_another_band(window):
    with page(window) as server:
        server.stage.session.player.seek(300_000)
        assert bands(window) == {31: 0, 125: 1, 250: 2}
        width = js(window, "document.querySelector('#curves').clientWidth")
        at, to = (js(window, f"window.velocell.tuner.across({edge}, {width})") for edge in (177, 330))
        drag(window, "#curves", (at, 60), (to, 60))
        until(lambda: bands(window) == {31: 0, 125: 1, 250: 1}, "the other band")
        until(lambda: state(window, "settings.bands.edges")[2] == pytest.approx(330, rel=0.05), "the edge")
        edge = state(window, "settings.bands.edges")[2]
        assert f"--bands 16,62,{edge:g},500" in find(window, "#command").text
        until(lambda: "result took" in find(window, "#figures").text, "the figures")
        shot(window, "edge-dragged")
        click(window, "#reset")
        until(lambda: bands(window) == {31: 0, 125: 1, 250: 2}, "the reset")


def test_settings_by_slider_by_number_and_out_of_range(window):
    with page(window):
        fill(window, "#slider-threshold", "1.4")
        until(lambda: state(window, "settings.threshold") == 1.4, "the threshold")
        assert "--network net.toml" in find(window, "#command").text
        fill(window, "#slider-radius", "900")
        notice = until(lambda: find(window, "#notices").text, "the notice")
        assert "radius 900 px is outside 1.5 to 40 px; choose a value in that range" in notice
        shot(window, "refused-value")
        assert state(window, "settings.radius") == 5
        assert find(window, "#slider-radius").get_attribute("value") == "5"
        for text in ("1e400", "--3"):
            fill(window, "#slider-radius", text)
            until(lambda: "radius must be a number" in find(window, "#notices").text, "the notice")
            assert find(window, "#slider-radius").get_attribute("value") == "5"
            click(window, ".notice:last-child button")
        fill(window, "#edges input:nth-child(2)", "-e")
        until(lambda: "an edge must be a number" in find(window, "#notices").text, "the notice")
        assert find(window, "#edges input:nth-child(2)").get_attribute("value") == "62"
        fill(window, "#edges input:nth-child(2)", "")
        assert find(window, "#edges input:nth-child(2)").get_attribute("value") == "62"
        assert state(window, "settings.bands.edges") == list(BANDS.edges)
        click(window, "#reset")
        until(lambda: state(window, "settings.threshold") == 1, "the reset")


def test_channels_alone_superimposed_and_as_membrane(window):
    with page(window) as server:
        server.stage.session.player.seek(300_000)
        until(lambda: now_us(window) == 300_000, "the picture")
        assert len(state(window, "view.channels")) == 3
        red = (
            "(() => { let n = 0; const d = window.velocell.stage.image.data;"
            " for (let k = 0; k < d.length; k += 4) n += d[k] > d[k + 1] + 60 && d[k] > d[k + 2] + 40; return n; })()"
        )  # sensor pixels in the colour of the fastest band
        assert js(window, red) > 20
        click(window, '[data-channel="1,2"]')
        until(lambda: len(state(window, "view.channels")) == 2, "the toggle")
        until(lambda: js(window, red) == 0, "a picture without its answers")
        click(window, '[data-channel="0,3"]')
        until(lambda: [0, 3] in state(window, "view.channels"), "a channel of layer 1")
        js(
            window,
            "document.querySelector('[data-channel=\"1,1\"]').dispatchEvent(new MouseEvent('click', {altKey: true}))",
        )
        until(lambda: state(window, "view.channels") == [[1, 1]] and not state(window, "view.events"), "one alone")
        keys(window, "e")
        until(lambda: state(window, "view.events"), "the events")
        keys(window, "m")
        until(lambda: js(window, "window.velocell.stage.picture.kind") == "membrane", "the membrane")
        shot(window, "membrane")
        for channel in (1, 2, 3, None):
            keys(window, "m")
            until(lambda channel=channel: state(window, "view.membrane") == channel, "the next membrane")


def test_a_region_by_mouse_and_back(window):
    with page(window) as server:
        server.stage.session.player.seek(300_000)
        click(window, '[data-tool="region"]')
        a, b = (js(window, f"window.velocell.stage.toCanvas({x}, {y})") for x, y in ((0, 30), (49, 49)))
        drag(window, "#picture", a, b)
        until(lambda: state(window, "settings.region"), "the region")
        until(lambda: bands(window) == {250: 2}, "what is in it")
        shot(window, "region")
        assert "--roi" in find(window, "#command").text
        keys(window, "\ue00c")  # escape
        until(lambda: len(bands(window)) == 3, "everything again")


def test_zoom_and_pan_stay_in_the_page(window):
    with page(window):
        js(window, "window.velocell.stage.magnify(4, 300, 200)")
        before = js(window, "window.velocell.stage.toSensor(300, 200)")
        drag(window, "#picture", (300, 200), (360, 240))
        after = js(window, "window.velocell.stage.toSensor(360, 240)")
        assert after == pytest.approx(before, abs=0.5)
        keys(window, "f")
        assert js(window, "window.velocell.stage.zoom") == 1


def test_the_table_sorts_filters_and_jumps(window):
    from selenium.webdriver.common.by import By

    with page(window):
        click(window, '[data-tab="objects"]')
        click(window, 'th[data-sort="speed"]')

        def rows():
            return [row.text for row in window.find_elements(By.CSS_SELECTOR, "#rows tr")]

        assert [row.split()[1] for row in rows()] == ["slow", "medium", "fast"]
        click(window, 'th[data-sort="speed"]')
        assert [row.split()[1] for row in rows()] == ["fast", "medium", "slow"]
        find(window, "#filter").send_keys(">100")
        assert len(rows()) == 2
        click(window, "#rows tr:last-child")
        until(lambda: state(window, "selected") is not None, "the selection")
        assert pixels(window, "#paths") > 500
        shot(window, "objects")
        find(window, "#filter").send_keys("000")
        assert "No object passes the filter" in find(window, "#nothing").text


# --- options of the command ---------------------------------------------------------------------------


def test_lines_are_drawn_counted_and_saved(window):
    settings = looking(lines=(Line(25, 0, 25, 49),), plane=Plane.of_scale(4))
    with page(window) as server:  # for comparison
        server.stage.session.player.seek(300_000)
        until(lambda: now_us(window) == 300_000, "the picture")
        bare = settled(window)
        click(window, '[data-tab="objects"]')
        assert not find(window, "#crossings").is_displayed()
        assert not find(window, "#mm").is_displayed()
        click(window, "#export")
        assert not find(window, "#save-counts").is_displayed()
    with page(window, settings=settings) as server:
        server.stage.session.player.seek(300_000)
        until(lambda: now_us(window) == 300_000, "the picture")
        assert settled(window) > bare + 300
        click(window, '[data-tab="objects"]')
        counted = {row["direction"]: 0 for row in state(window, "counts")}
        for row in state(window, "counts"):
            counted[row["direction"]] += row["crossings"]
        assert sum(counted.values()) >= 1
        text = until(lambda: find(window, "#crossings").text, "the counts")
        assert all(f"line 0, {way.replace('_', ' ')} {n}" in text for way, n in counted.items())
        speeds = js(window, "[...document.querySelectorAll('#rows tr')].map((row) => row.children[3].textContent)")
        assert sorted(4 * float(text) for text in speeds) == pytest.approx([31, 125, 250], rel=0.03)
        click(window, "#mm")
        shot(window, "lines")
        click(window, "#export")
        click(window, "#save-counts")
        rows = saved(window, "counts.csv").read_text().splitlines()
        assert rows[0].startswith("line,x0,y0,x1,y1,direction,band,name,crossings")
        assert sum(int(row.split(",")[-1]) for row in rows[1:]) == sum(counted.values())


def test_a_range_of_radii_is_named_until_its_slider_is_moved(window):
    with page(window, settings=looking(radius=(4.0, 6.5))):
        field = find(window, "#slider-radius")
        assert (field.get_attribute("value"), field.get_attribute("placeholder")) == ("", "4 to 6.5 px")
        assert not find(window, "#slider-threshold").is_enabled()
        assert "looking for 4 to 6.5 px" in find(window, "#figures").text
        assert "--radius 4:6.5" in find(window, "#command").text
        shot(window, "range")
        fill(window, "#slider-radius", "5")
        until(lambda: state(window, "shape") is None, "one radius")
        until(lambda: find(window, "#slider-radius").get_attribute("value") == "5", "its number")
        assert find(window, "#slider-threshold").is_enabled()


# --- saving -------------------------------------------------------------------------------------------


def test_what_is_exported_is_right(window):
    from PIL import Image

    with page(window) as server:
        server.stage.session.player.seek(300_000)
        until(lambda: now_us(window) == 300_000, "the picture")
        files = {"table.csv": "tracks.csv", "picture.png": None, "network.toml": "net.toml", "clip.mp4": None}
        for what, name in files.items():
            click(window, "#export")
            click(window, f'#export-menu [data-save="{what}"]')
            saved(window, name or what)
        table = Tracks.read(saved(window, "tracks.csv"))
        assert len(table) == len(server.stage.session._analysis.results.tracks())
        assert sorted(set(table.band)) == [0, 1, 2]
        with Image.open(saved(window, "picture.png")) as picture:
            canvas = js(
                window, "(() => { const c = document.querySelector('#picture'); return [c.width, c.height] })()"
            )
            assert list(picture.size) == canvas
            assert np.count_nonzero(np.array(picture.convert("RGB")).std(axis=(0, 1)) > 5) == 3
            assert len(picture.convert("RGB").getcolors(1 << 24)) > 50
        assert Network.from_toml(saved(window, "net.toml")).bands == BANDS
        import av

        with av.open(str(saved(window, "clip.mp4"))) as clip:
            assert sum(1 for _ in clip.decode(video=0)) == 125  # half a second at 0.1x


def test_objects_are_marked_by_mouse_and_saved(window):
    with page(window) as server:
        click(window, '[data-tool="label"]')
        for at, x in ((100_000, 35.6), (110_000, 38.1)):
            server.stage.session.player.seek(at)
            until(lambda at=at: now_us(window) == at, "the picture")
            place = js(window, f"window.velocell.stage.toCanvas({x}, 39.5)")
            drag(window, "#picture", place, place)
            until(lambda at=at: any(m["t_us"] == at for m in state(window, "labels")), "the mark")
        shot(window, "labels")
        click(window, '[data-save="labels.csv"]')
        table = Tracks.read(saved(window, "labels.csv"))
        assert table.t_us.tolist() == [100_000, 105_000, 110_000]
        assert np.allclose(table.speed_px_s, 250, rtol=0.1)
        assert set(table.id) == {0}


# --- errors, and other windows ------------------------------------------------------------------------


def test_a_recording_that_cannot_be_opened_is_told(window):
    def opener():
        raise RecordingError("holiday.raw is cut short after 3 of 9 MB; copy it again")

    with served(opener=opener) as server:
        window.get(server.url)
        until(lambda: "cut short after 3 of 9 MB; copy it again" in find(window, "#state").text, "the sentence")
        shot(window, "cannot-open")


def test_a_recording_in_which_nothing_moves_says_so(window):
    noise, _ = simulate(Scene(60, 50, 300_000, seed=3, noise_hz=2.0))
    with page(window, InMemory(noise, title="noise.npz")):
        until(lambda: "no object found" in find(window, "#chips").text, "the note")
        click(window, '[data-tab="objects"]')
        assert "Nothing found that moves like a disk" in find(window, "#nothing").text
        shot(window, "nothing-moves")


def test_a_file_that_vanishes_is_told_and_the_page_goes_on(window, tmp_path):
    write_npz(demo_recording(), tmp_path / "short-lived.npz")
    with page(window, open_source(tmp_path / "short-lived.npz")):
        (tmp_path / "short-lived.npz").unlink()
        until(lambda: "is no longer there" in find(window, "#notices").text, "the notice")
        shot(window, "file-vanished")
        click(window, "#play")
        until(lambda: state(window, "playing"), "playing on")


def test_a_lost_connection_is_told(window):
    with page(window, leave=False):
        pass  # the program ends
    until(lambda: "Connection to velocell lost." in find(window, "#notices").text, "the notice")
    shot(window, "connection-lost")
    window.get("about:blank")
    window.get_log("browser")  # of the attempts to connect again


def test_a_second_tab_works_and_sees_the_same(window):
    with page(window) as server:
        first = window.current_window_handle
        window.switch_to.new_window("tab")
        try:
            window.get(server.url)
            until(lambda: js(window, "window.velocell?.store.results?.objects.length") == 3, "the second tab")
            fill(window, "#edges input:nth-child(3)", "330")
            until(lambda: bands(window)[250] == 1, "its result")
        finally:
            window.close()
            window.switch_to.window(first)
        until(lambda: bands(window)[250] == 1, "the first tab's result")
        server.stage.session.player.seek(200_000)
        until(lambda: now_us(window) == 200_000, "a picture after the other tab has gone")


def test_a_refused_host(window):
    with page(window) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        connection.request("GET", "/", headers={"Host": f"evil.example:{server.port}"})
        assert connection.getresponse().status == 403
        connection.close()


@pytest.mark.parametrize(
    ("name", "width", "height"),
    [("window", 1440, 900), ("laptop", 1280, 680), ("projector", 1920, 1080), ("phone", 420, 800)],
)
def test_it_fits_small_screens_and_projectors(window, name, width, height):
    """docs/images/viewer.png is the first of these pictures."""
    scene, _ = simulate(
        random_scene(14, width=346, height=260, duration_us=400_000, radius=6, speeds=(25, 900), seed=5)
    )
    settings = looking(BANDS.__class__((20, 93, 430, 2000)), radius=6)
    size(window, width, height)
    with page(window, InMemory(scene, title="fourteen disks.npz"), settings=settings) as server:
        server.stage.session.player.seek(300_000)
        until(lambda: now_us(window) == 300_000, "the picture")
        assert js(window, "document.documentElement.scrollWidth <= window.innerWidth")
        shot(window, f"screen-{name}")


def test_the_list_of_keys(window):
    with page(window):
        keys(window, "?")
        assert "play or pause" in find(window, "#keys").text
        shot(window, "keys")
        keys(window, "\ue00c")
        until(lambda: not js(window, "document.querySelector('#keys').open"), "the dialog's end")
