"""The viewer's page on a stream, in a real Chromium, used as a person would; screenshots go to build/screens."""

from __future__ import annotations

import threading
from contextlib import contextmanager

import viewer_browser
from viewer_browser import click, drag, fill, find, js, keys, now_us, shot, state
from viewer_tools import Feed, demo_recording, later, looking, served, until

from velocell.demo import BANDS
from velocell.errors import RecordingError
from velocell.viewer.stream import Stream

browser, window = viewer_browser.browser, viewer_browser.window  # fixtures


class Camera(Feed):
    """The demo over and over, in real time, until it is told to be silent."""

    def __init__(self):
        super().__init__()
        self.silent = threading.Event()
        threading.Thread(target=self._sends, daemon=True).start()

    def _sends(self):
        for round_ in range(10_000):
            for part in later(demo_recording(), 500_000 * round_).chunks(10_000):
                if self.silent.wait(0.01):
                    return
                self._blocks.put(part)


@contextmanager
def live_page(window, settings=None):
    camera = Camera()
    try:
        with served(opener=lambda: Stream(camera), settings=settings or looking(BANDS)) as server:
            window.get(server.url)
            until(lambda: js(window, "window.velocell?.store.results?.objects.length"), "objects")
            yield camera, server
            window.get("about:blank")
    finally:
        camera.silent.set()


def moving(window):
    """Whether the picture goes on."""
    before = now_us(window)
    until(lambda: now_us(window) > before + 100_000, "a later picture")
    return True


def objects_drawn(window):
    return js(window, "window.velocell.stage.picture.objects.length")


def test_a_stream_is_followed_paused_scrubbed_and_followed_again(window):
    with live_page(window):
        assert find(window, "#facts").text == "udp://127.0.0.1:3333 50\u00d750 px · at most 30 s held"
        assert moving(window)
        until(lambda: objects_drawn(window) >= 2, "objects in the picture")
        until(lambda: "ev/s" in find(window, "#stream").text, "the rate")
        assert find(window, "#live").get_attribute("class") == "live on"
        assert "7 packets lost by the system" in find(window, "#losses").text
        shot(window, "live")
        click(window, "#play")
        until(lambda: not state(window, "playing"), "the pause")
        paused = now_us(window)
        until(lambda: "s ago" in find(window, "#stream").text, "how long ago it is")
        assert now_us(window) == paused
        click(window, "#live")
        until(lambda: state(window, "live.following"), "following")
        assert moving(window)
        assert now_us(window) > paused
        width, height = (js(window, f"document.querySelector('#timeline').client{n}") for n in ("Width", "Height"))
        drag(window, "#timeline", (width - 30, height / 2), (width - 12, height / 2))  # 30 s are the whole width
        until(lambda: not state(window, "live.following"), "looking back")
        keys(window, "\ue010")  # End
        until(lambda: state(window, "live.following"), "following by key")
        keys(window, "\ue011")  # Home
        until(lambda: now_us(window) < paused, "the oldest that is held")
        shot(window, "live-back")


def test_tuning_works_on_the_stream_from_then_on(window):
    with live_page(window):
        until(lambda: objects_drawn(window) >= 2, "objects in the picture")
        fill(window, "#edges input:nth-child(3)", "330")
        until(lambda: state(window, "settings.bands.edges")[2] == 330 and state(window, "analysed.current"), "the edge")
        click(window, '[data-tab="tune"]')
        fast = "window.velocell.stage.picture.objects.filter((item) => item.band === 2).length"
        until(lambda: objects_drawn(window) >= 2 and js(window, fast) == 0, "no object in the fastest band")
        assert moving(window)
        assert "velocell live udp://127.0.0.1:3333 --size 50x50" in find(window, "#command").text


def test_a_silent_sender_is_told_and_heard_again(window):
    with live_page(window) as (camera, _):
        camera.silent.set()
        until(lambda: "no events for" in find(window, "#stream").text, "the sentence")
        shot(window, "live-silent")
        last = now_us(window)
        camera.give(later(demo_recording(), 500_000 * (last // 500_000 + 2)))
        until(lambda: now_us(window) > last, "a picture of what came then")
        assert state(window, "live.following")


def test_a_stream_that_ends_or_fails_is_told_and_the_page_goes_on(window):
    with live_page(window) as (camera, _):
        camera.silent.set()
        camera.end(RecordingError("udp://127.0.0.1:3333: the sender's clock went back by 7 us; start live again"))
        until(lambda: "the stream has ended" in find(window, "#stream").text, "the end")
        until(lambda: "clock went back" in find(window, "#notices").text, "why")
        shot(window, "live-ended")
        keys(window, "\ue011")
        click(window, "#play")
        until(lambda: state(window, "playing"), "playing what is held")


def test_before_the_first_event_the_page_waits(window):
    feed = Feed()
    with served(opener=lambda: Stream(feed)) as server:
        window.get(server.url)
        until(lambda: "Waiting for events from udp://127.0.0.1:3333" in find(window, "#state").text, "the sentence")
        shot(window, "live-waiting")
        feed.give(demo_recording())
        until(lambda: not find(window, "#state").is_displayed(), "the picture")
        until(lambda: now_us(window) > 400_000, "the newest events")
        window.get("about:blank")
