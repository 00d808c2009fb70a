"""Opening another recording from the page: what may be opened, by whom, and what stays as it was where it cannot."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import viewer_browser
from viewer_browser import click, find, js, state
from viewer_tools import Served, demo_recording, looking, until

from velocell.cli import options as o
from velocell.cli.view import _another
from velocell.formats import write_npz
from velocell.simulate import Scene, SceneObject, simulate
from velocell.viewer import others
from velocell.viewer.access import COOKIE
from velocell.viewer.others import Opener
from velocell.viewer.server import Door, Stage
from velocell.viewer.session import Session
from velocell.viewer.source import InMemory

browser, window = viewer_browser.browser, viewer_browser.window  # fixtures

TOKEN = "s3cret"
LIMIT = 1 << 20


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """two.npz, a text, a hidden file, a folder, and a link to a file elsewhere."""
    made = tmp_path_factory.mktemp("recordings")
    disks = tuple(SceneObject(id=k, x_px=10, y_px=12 + 20 * k, speed_px_s=125) for k in range(2))
    write_npz(simulate(Scene(60, 50, 300_000, objects=disks))[0], made / "two.npz")
    (made / "notes.txt").write_text("no recording\n")
    (made / ".hidden.npz").write_text("")
    (made / "inner").mkdir()
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "secret.npz"
    write_npz(demo_recording(), elsewhere)
    (made / "link.npz").symlink_to(elsewhere)
    return made


@contextmanager
def serving(folder: Path, token: str | None = TOKEN) -> Iterator[Served]:
    opener = Opener(folder, lambda *values: _another(o.Part(), *values), LIMIT)
    stage = Stage(
        lambda changed: Session(InMemory(demo_recording(), title="demo"), looking(), on_change=changed), "Opening"
    )
    server = Served(stage, Door(token, (), "", opener))
    try:
        until(lambda: stage.session is not None, "the session")
        yield server
    finally:
        server.stop()
        opener.close()


def post(server: Served, query: str, body: bytes = b"", token: str = TOKEN, **headers: str) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    try:
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        connection.request("POST", f"/open?{query}", body, {"Cookie": f"{COOKIE}-{server.port}={token}", **named})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def title(server: Served) -> str:
    session = server.stage.session
    assert session is not None
    return session.source.title


def test_a_recording_of_the_folder_takes_the_place_of_the_one_on_show(folder: Path) -> None:
    with serving(folder) as server:
        before = server.stage.session
        assert before is not None
        before.tuning.tune(region=[5, 5, 30, 30], radius=6.0)
        assert post(server, "name=two.npz")[0] == 204
        assert title(server) == "two.npz"
        now = server.stage.session
        assert now is not None
        assert (now.settings.radius, now.settings.region) == (6.0, None)
        assert str(folder / "two.npz") in now.state()["command"]


@pytest.mark.parametrize(
    "name",
    [
        "",
        "gone.npz",
        ".hidden.npz",
        "inner",
        "link.npz",
        "../elsewhere/secret.npz",
        "/etc/passwd",
        "two.npz/",
        "./two.npz",
    ],
)
def test_nothing_else_can_be_opened(folder: Path, name: str) -> None:
    with serving(folder) as server:
        status, body = post(server, f"name={quote(name)}")
        assert status == 409
        assert "there is no recording" in json.loads(body)["error"]
        assert title(server) == "demo"


def test_what_is_no_recording_leaves_the_one_on_show(folder: Path) -> None:
    with serving(folder) as server:
        before = server.stage.session
        status, body = post(server, "name=notes.txt")
        assert status == 409
        assert "notes.txt" in json.loads(body)["error"]
        assert server.stage.session is before


def test_only_the_owner_opens(folder: Path) -> None:
    with serving(folder) as server:
        assert post(server, "name=two.npz", token="guess")[0] == 403
        assert post(server, "name=two.npz", Sec_Fetch_Site="cross-site")[0] == 403
        assert post(server, "name=two.npz", Origin="http://evil.example")[0] == 403
        assert title(server) == "demo"
    with serving(folder, token=None) as server:  # nobody is known to be the owner
        assert post(server, "name=two.npz")[0] in (404, 405)
        assert title(server) == "demo"


def test_a_dropped_file_is_opened_and_gone_at_the_end(folder: Path) -> None:
    data = (folder / "two.npz").read_bytes()
    with serving(folder) as server:
        assert post(server, f"dropped=1&name={quote('../../mine öne.npz')}", data)[0] == 204
        session = server.stage.session
        assert session is not None
        kept = Path(session.source.name)
        assert kept.is_file()
        assert kept.parent.name.startswith("velocell-dropped-")
        assert kept.name == "mine_öne.npz"
        status, body = post(server, "dropped=1&name=big.npz", bytes(LIMIT + 1))
        assert status == 409
        assert "big.npz is larger than 1 MB" in json.loads(body)["error"]
        assert [path.name for path in kept.parent.iterdir()] == [kept.name]
    assert not kept.parent.exists()


def test_one_at_a_time(folder: Path) -> None:
    begun, free = threading.Event(), threading.Event()

    def slow(path: Path, before: Session, changed: Any) -> Session:
        begun.set()
        free.wait(30)
        return _another(o.Part(), path, before, changed)

    with serving(folder) as server:
        found: list[int] = []
        session = server.stage.session
        assert session is not None
        thread = threading.Thread(
            target=lambda: found.append(server.stage.show(lambda c: slow(folder / "two.npz", session, c)) or 0)
        )
        thread.start()
        assert begun.wait(30)
        assert b"being opened already" in post(server, "name=two.npz")[1]
        free.set()
        thread.join(60)
        assert title(server) == "two.npz"


def test_by_mouse_and_by_dropping(window: Any, folder: Path) -> None:
    with serving(folder) as server:
        window.get(f"{server.url}?token={TOKEN}")
        until(lambda: js(window, "window.velocell?.store.state?.analysed?.complete"), "the page")
        click(window, "#open")
        assert "1 MB" in find(window, "#others-hint").text
        names = js(window, "[...document.querySelectorAll('#others-list button')].map((b) => b.textContent)")
        assert names == ["notes.txt", "two.npz"]
        click(window, "#others-list li:last-child button")
        until(lambda: find(window, "#facts").text.startswith("two.npz"), "the other recording")
        until(lambda: js(window, "window.velocell.store.results?.objects.length") == 2, "its objects")
        until(lambda: state(window, "analysed.complete"), "all of it")
        drop = """const data = new DataTransfer(); data.items.add(new File([arguments[0]], "x.npz"));
          document.dispatchEvent(new DragEvent("drop", {dataTransfer: data, cancelable: true}))"""
        window.execute_script(drop, "no recording")
        until(lambda: "x.npz" in find(window, "#notices").text, "why not")
        window.execute_script(drop.replace("[arguments[0]]", "[new Uint8Array(2 ** 20 + 1)]"))
        until(lambda: "larger than 1 MB" in find(window, "#notices").text, "the limit")
        assert title(server) == "two.npz"
        window.get("about:blank")
        window.get_log("browser")  # Chromium notes each answer of 409


def test_the_limit_is_stated() -> None:
    assert others.MOST_BYTES == 256 << 20
