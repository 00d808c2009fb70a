"""Who cannot use a mouse, or does not see well: axe-core's rules, the keyboard alone, a screen of 390 px.

axe-core comes with `make page`. Skipped, with the reason, where it is missing; with VELOCELL_NEED_PAGE_TOOLS set that
is a failure instead.
"""

from __future__ import annotations

import os
import re
from typing import Any

import pytest
import viewer_browser
from places import ROOT
from viewer_browser import click, find, js, keys, now_us, page, shot, state
from viewer_tools import looking, until

from velocell.data.bands import Bands
from velocell.results.counting import Line
from velocell.results.plane import Plane
from velocell.simulate import Scene, simulate
from velocell.viewer.server import STATIC
from velocell.viewer.source import InMemory

browser, window = viewer_browser.browser, viewer_browser.window  # fixtures

AXE = ROOT / "tests" / "page" / "node_modules" / "axe-core" / "axe.min.js"
TAB, ENTER, ESCAPE, SHIFT = "\ue004", "\ue007", "\ue00c", "\ue008"
LEFT, UP, RIGHT, DOWN = "\ue012", "\ue013", "\ue014", "\ue015"


@pytest.fixture(scope="module")
def axe() -> str:
    if not AXE.exists():
        (pytest.fail if os.environ.get("VELOCELL_NEED_PAGE_TOOLS") else pytest.skip)("no axe-core; make page brings it")
    return AXE.read_text()


def complaints(window: Any, axe: str) -> list[str]:
    """What axe-core finds wrong with the page as it is shown."""
    window.execute_script(axe)
    found = window.execute_async_script("const done = arguments[0]; axe.run(document).then((found) => done(found))")
    assert len(found["passes"]) > 5
    return [
        f"{wrong['id']}: {node['target'][0]}: {node['failureSummary']}"
        for wrong in found["violations"]
        for node in wrong["nodes"]
    ]


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_axe_finds_nothing(window: Any, axe: str, theme: str) -> None:
    settings = looking(plane=Plane.of_scale(4), lines=(Line(25, 0, 25, 49),), region=(2, 2, 40, 40))
    with page(window, settings=settings) as server:
        server.stage.session.mark(0, 10, 10, 4)
        js(window, "document.documentElement.dataset.theme = arguments[0]", theme)
        js(window, "document.dispatchEvent(new Event('theme'))")
        for tab in ("tune", "objects", "labels"):
            click(window, f'[data-tab="{tab}"]')
            assert complaints(window, axe) == []
        click(window, "#export")
        assert complaints(window, axe) == []
        keys(window, ESCAPE, "?")
        assert complaints(window, axe) == []


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_every_text_stands_out(theme: str) -> None:
    """The contrast of WCAG 2.1, 4.5 at least, of all pairs of a colour of text and one behind it."""
    css = (STATIC / "style.css").read_text()
    block = css.split(":root {" if theme == "dark" else '[data-theme="light"] {')[1].split("}")[0]
    colors = dict(re.findall(r"--(\w+): (#[0-9a-f]+);", block))
    pairs = [(text, ground) for text in ("text", "muted", "strong", "warn") for ground in ("bg", "panel", "raised")]
    assert {
        pair: contrast(*(colors[name] for name in pair))
        for pair in pairs
        if contrast(*(colors[name] for name in pair)) < 4.5
    } == {}
    assert contrast("#9a6b00", "#f3f5f7") == pytest.approx(4.29, abs=0.01)  # what was told


def contrast(one: str, other: str) -> float:
    def luminance(color: str) -> float:
        text = color[1:] if len(color) == 7 else "".join(2 * digit for digit in color[1:])
        parts = (int(text[k : k + 2], 16) / 255 for k in (0, 2, 4))
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_axe_finds_nothing_where_there_is_something_to_say(window: Any, axe: str) -> None:
    noise, _ = simulate(Scene(60, 50, 300_000, seed=3, noise_hz=2.0))
    with page(window, InMemory(noise, title="noise.npz")):
        until(lambda: "no object found" in find(window, "#chips").text, "the note")
        for theme in ("light", "dark"):
            js(window, "document.documentElement.dataset.theme = arguments[0]", theme)
            assert complaints(window, axe) == []


def test_all_by_keyboard(window: Any) -> None:
    with page(window) as server:
        server.stage.session.player.pause()
        reached = set()
        js(window, "document.body.focus()")
        for _ in range(80):
            keys(window, TAB)
            reached.add(js(window, "document.activeElement.id || document.activeElement.dataset.tab || ''"))
        wanted = {"export", "theme", "help", "decay", "polarity", "tracks", "box", "play", "loop", "speed", "timeline"}
        assert wanted | {"tune", "membrane", "slider-radius", "reset", "measure", "copy"} <= reached
        # The menu.
        find(window, "#export").send_keys(ENTER)
        assert js(window, "document.activeElement.dataset.save") == "picture.png"
        keys(window, DOWN, DOWN)
        assert js(window, "document.activeElement.dataset.save") == "clip.gif"
        server.stage.session.shown.select(1)
        until(lambda: state(window, "selected") == 1, "the selection")
        keys(window, ESCAPE)
        assert not find(window, "#export-menu").is_displayed()
        assert js(window, "document.activeElement.id") == "export"
        assert state(window, "selected") == 1  # that Esc was for the menu
        # The tabs, a column, an object.
        find(window, '[data-tab="tune"]').send_keys(RIGHT)
        assert find(window, "#tab-objects").is_displayed()
        find(window, 'th[data-sort="speed"] button').send_keys(ENTER)
        assert find(window, 'th[data-sort="speed"]').get_attribute("aria-sort") == "ascending"
        ids = js(window, "[...document.querySelectorAll('#rows tr')].map((row) => Number(row.dataset.id))")
        other = next(number for number in ids if number != 1)
        find(window, f"#rows tr[data-id='{other}'] button").send_keys(ENTER)
        until(lambda: state(window, "selected") == other, "the jump")
        # Time, and a part of it.
        before = now_us(window)
        find(window, "#timeline").send_keys(RIGHT)
        until(lambda: now_us(window) != before, "the key")
        server.stage.session.player.seek(200_000)
        until(lambda: now_us(window) == 200_000, "the picture")
        assert float(find(window, "#timeline").get_attribute("aria-valuenow")) == 0.2
        keys(window, "i")
        until(lambda: state(window, "part"), "the part")
        server.stage.session.player.seek(300_000)
        until(lambda: now_us(window) == 300_000, "the picture")
        keys(window, "o")
        until(lambda: state(window, "span") == [200_000, 300_000], "its end")
        keys(window, "a")
        until(lambda: not state(window, "part"), "all of it")
        # A region, and a mark, by the cross.
        keys(window, "r")
        find(window, "#box").send_keys(LEFT, ENTER)
        find(window, "#box").send_keys(SHIFT, RIGHT, UP)
        keys(window, ENTER)
        until(lambda: state(window, "settings.region"), "the region")
        x, y, w, h = state(window, "settings.region")
        assert (x, y, w, h) == (
            pytest.approx(24, abs=1),
            pytest.approx(15, abs=1),
            pytest.approx(10, abs=1),
            pytest.approx(10, abs=1),
        )
        keys(window, ESCAPE)
        until(lambda: not state(window, "settings.region"), "no region")
        keys(window, "g")
        find(window, "#box").send_keys(DOWN, ENTER)
        until(lambda: state(window, "labels"), "the mark")


@pytest.mark.parametrize("tab", ["tune", "objects", "labels"])
def test_it_fits_a_phone_of_390_px(window: Any, tab: str) -> None:
    settings = looking(Bands((10, 20, 62, 177, 500, 1000)), plane=Plane.of_scale(4), lines=(Line(25, 0, 25, 49),))
    phone = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": False}
    window.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)  # a window cannot be so narrow
    with page(window, settings=settings):
        click(window, f'[data-tab="{tab}"]')
        shot(window, f"phone-{tab}")
        assert js(window, "innerWidth") == 390
        wide = """[...document.querySelectorAll("body *")].filter((e) => e.checkVisibility()
          && !e.closest("#notices") && (e.getBoundingClientRect().right > innerWidth + 0.5
          || (e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).overflowX === "visible" && e.clientWidth)))
          .map((e) => `${e.tagName} ${e.id} ${e.className} ${e.textContent.slice(0, 20)}`)"""
        assert js(window, wide) == []
    window.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_axe_notices_what_is_wrong(window: Any, axe: str) -> None:
    with page(window):
        js(window, "document.querySelector('#help').removeAttribute('aria-label')")
        js(window, "document.querySelector('#help').replaceChildren()")
        js(window, "document.querySelector('#help').removeAttribute('title')")
        assert any(text.startswith("button-name: #help") for text in complaints(window, axe))
