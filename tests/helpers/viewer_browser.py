"""A real Chromium for the viewer's tests: the browser, its window, mouse and keys."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest
from places import ROOT
from viewer_tools import Served, served, until

from velocell.viewer.source import Source

if TYPE_CHECKING:
    from selenium.webdriver.chrome.webdriver import WebDriver
    from selenium.webdriver.remote.webelement import WebElement

    class Browser(WebDriver):
        """Chromium, and where the files go that it saves."""

        downloads: Path

        def get_log(self, log_type: str) -> Any: ...  # untyped in selenium


SCREENS = ROOT / "build" / "screens"
CHROMIUM, DRIVER = (shutil.which(name) for name in ("chromium", "chromedriver"))


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Chromium without a window; files that it saves go to `browser.downloads`."""
    if CHROMIUM is None or DRIVER is None:
        missing = [name for name, path in (("chromium", CHROMIUM), ("chromedriver", DRIVER)) if path is None]
        reason = f"{' and '.join(missing)} not found; apt-get install chromium chromium-driver"
        if os.environ.get("VELOCELL_NEED_BROWSER"):
            pytest.fail(reason)
        pytest.skip(reason)
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    downloads = tmp_path_factory.mktemp("downloads")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--force-color-profile=srgb"):
        options.add_argument(argument)
    # Chromium asks before a page saves a second file; on a slow machine the click may be too long ago.
    several = {"profile.default_content_setting_values.automatic_downloads": 1}
    options.add_experimental_option("prefs", {"download.default_directory": str(downloads), **several})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = cast("Browser", webdriver.Chrome(options=options, service=Service(DRIVER)))
    driver.downloads = downloads
    driver.implicitly_wait(10)
    try:
        yield driver
    finally:
        driver.quit()


@pytest.fixture
def window(browser: Browser) -> Iterator[Browser]:
    """A window of usual size; nothing may have been complained about in its console."""
    browser.get("about:blank")  # a page left over from before would go on trying to connect
    size(browser, 1440, 900)
    browser.get_log("browser")
    yield browser
    complaints = [entry["message"] for entry in browser.get_log("browser") if "favicon" not in entry["message"]]
    assert [text for text in complaints if "SEVERE" in text or "Error" in text] == []


@contextmanager
def page(window: Browser, source: Source | None = None, leave: bool = True, **more: Any) -> Iterator[Served]:
    """A viewer of its own, open in the window, its recording analysed; dark unless changed."""
    with served(source, **more) as server:
        window.get(server.url)
        window.execute_script("localStorage.setItem('velocell-theme', 'dark')")
        window.execute_script("localStorage.setItem('velocell-guide', 'read')")
        window.get(server.url)
        until(lambda: js(window, "window.velocell?.store.state?.analysed?.complete"), "the page")
        yield server
        if leave:
            window.get("about:blank")


def js(window: Browser, expression: str, *arguments: object) -> Any:
    return window.execute_script(f"return {expression}", *arguments)


def size(window: Browser, width: int, height: int) -> None:
    """Set the size of what is inside the window."""
    window.set_window_size(width, height)
    dx, dy = (js(window, f"window.outer{n} - window.inner{n}") for n in ("Width", "Height"))
    window.set_window_size(width + dx, height + dy)


def shot(window: Browser, name: str) -> None:
    """A picture of the page, for people to look at."""
    SCREENS.mkdir(parents=True, exist_ok=True)
    js(window, "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    path = SCREENS / f"{name}.png"
    assert window.save_screenshot(str(path))
    assert path.stat().st_size > 10_000


def find(window: Browser, selector: str) -> WebElement:
    from selenium.webdriver.common.by import By

    return window.find_element(By.CSS_SELECTOR, selector)


def click(window: Browser, selector: str) -> None:
    find(window, selector).click()


def keys(window: Browser, *pressed: str) -> None:
    from selenium.webdriver.common.action_chains import ActionChains

    ActionChains(window).send_keys(*pressed).perform()


def fill(window: Browser, selector: str, text: str) -> None:
    """Type into a field instead of what stands there, and press Enter."""
    find(window, selector).send_keys("\ue009a\ue000", f"{text}\n")


def drag(window: Browser, selector: str, start: Sequence[float], stop: Sequence[float], shift: bool = False) -> None:
    """Press at `start` (px from the element's corner), move in steps, let go at `stop`."""
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    element = find(window, selector)
    half = np.array([element.size["width"], element.size["height"]]) / 2
    points = [np.array(start) + (np.array(stop) - start) * share - half for share in (0, 0.25, 0.5, 0.75, 1)]
    chain = ActionChains(window, duration=30)
    if shift:
        chain.key_down(Keys.SHIFT)
    chain.move_to_element_with_offset(element, *map(int, points[0])).click_and_hold()
    for point in points[1:]:
        chain.move_to_element_with_offset(element, *map(int, point))
    chain.release()
    if shift:
        chain.key_up(Keys.SHIFT)
    chain.perform()


def state(window: Browser, path: str) -> Any:
    return js(window, f"window.velocell.store.state.{path}")


def now_us(window: Browser) -> int:
    now: int = js(window, "window.velocell.store.now")
    return now


def bands(window: Browser) -> dict[int, int]:
    """Speed -> band of the objects in the table's data."""
    found = js(window, "window.velocell.store.results.objects")
    return {round(item["speed"]): item["band"] for item in found}


def pixels(window: Browser, selector: str = "#picture") -> int:
    """How many pixels of a canvas stand out from its two commonest colours: within the frame and around it."""
    found: int = js(
        window,
        "(() => { const c = document.querySelector(arguments[0]);"
        " const d = new Uint32Array(c.getContext('2d').getImageData(0, 0, c.width, c.height).data.buffer);"
        " const n = new Map(); for (const v of d) n.set(v, (n.get(v) ?? 0) + 1);"
        " const [a, b] = [...n.values()].sort((a, b) => b - a); return d.length - a - b; })()",
        selector,
    )
    return found


def settled(window: Browser) -> int:
    """The pixels of the picture, once they stay."""
    found = [-1, -2, -3]

    def rests() -> bool:
        found[:] = [*found[1:], pixels(window)]
        return len(set(found)) == 1

    until(rests, "a picture that stays")
    return found[0]


def saved(window: Browser, name: str) -> Path:
    """A file that the page saved, once it is complete."""
    path = window.downloads / name
    until(path.exists, f"saving {name}")
    return path
