"""The page behind what people forward ports with: ssh and Docker (another port), VS Code and JupyterHub (a path)."""

from __future__ import annotations

import http.client
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
import viewer_browser
from viewer_browser import click, find, js, saved
from viewer_tools import served, until

from velocell.cli.view import _root
from velocell.errors import OptionError
from velocell.viewer.server import STATIC

browser, window = viewer_browser.browser, viewer_browser.window  # fixtures

TOKEN = "s3cret"
FOLDER = "/user/alice/proxy/8741"


@contextmanager
def forwarded(port: int, change: Callable[[bytes], bytes] = lambda data: data, at: int = 0) -> Iterator[int]:
    """A port (`at`, or any) that hands everything on to another one; `change` of what the browser sends."""

    def pump(source: socket.socket, sink: socket.socket, how: Callable[[bytes], bytes]) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                sink.sendall(how(data))
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def accept() -> None:
        with suppress(OSError):
            while True:
                near, far = listening.accept()[0], socket.create_connection(("127.0.0.1", port))
                opened.extend((near, far))
                for ends in ((near, far, change), (far, near, lambda data: data)):
                    threading.Thread(target=pump, args=ends, daemon=True).start()

    opened: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", at)) as listening:
        threading.Thread(target=accept, daemon=True).start()
        try:
            yield listening.getsockname()[1]
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            for end in opened:
                end.close()


def without_folder(data: bytes) -> bytes:
    """As JupyterHub's proxy hands requests on."""
    return re.sub(rb"^GET " + FOLDER.encode(), b"GET ", data)


def with_host(data: bytes) -> bytes:
    """As a proxy does that puts its own name for the program into Host, and says what it was."""
    return re.sub(rb"\r\nHost: ([^\r]*)", rb"\r\nHost: inside:80\r\nX-Forwarded-Host: \1", data)


def with_another_host(data: bytes) -> bytes:
    """As a plain nginx does, which leaves the port out."""
    return re.sub(rb"\r\nHost: [^\r]*", b"\r\nHost: 127.0.0.1", data)


def test_a_page_that_is_refused_says_what_helps(window: Any) -> None:
    with served(token=TOKEN) as server, forwarded(server.port, with_another_host) as port:
        window.get(f"http://127.0.0.1:{port}/?token={TOKEN}")
        until(lambda: f"--allow-host 127.0.0.1:{port}" in find(window, "#state").text, "the way out")
        window.get("about:blank")
        window.get_log("browser")  # of the attempts to connect


def test_an_allowed_host_is_one_behind_a_proxy_that_changes_it(window: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with served(token=TOKEN, hosts=[f"127.0.0.1:{port}"]) as server, forwarded(server.port, with_another_host, port):
        window.get(f"http://127.0.0.1:{port}/?token={TOKEN}")
        until(lambda: js(window, "window.velocell?.store.state?.analysed?.complete"), "the page")
        window.get("about:blank")


@pytest.mark.parametrize(
    ("folder", "change", "root"),
    [
        ("", lambda data: data, ""),
        (FOLDER, without_folder, ""),
        (FOLDER, lambda data: data, FOLDER),
        ("", with_host, ""),
    ],
    ids=["port", "path taken off", "path left on", "another Host"],
)
def test_it_works_forwarded(window: Any, folder: str, change: Callable[[bytes], bytes], root: str) -> None:
    """Scripts, styles, WebSocket, icon and what is saved."""
    with served(token=TOKEN, root=root) as server, forwarded(server.port, change) as port:
        window.get(f"http://127.0.0.1:{port}{folder}/?token={TOKEN}")
        until(lambda: js(window, "window.velocell?.store.state?.analysed?.complete"), "the page")
        until(lambda: js(window, "window.velocell.store.now") is not None, "a picture")
        assert js(window, "getComputedStyle(document.querySelector('main')).display") == "grid"
        asked = js(window, "performance.getEntriesByType('resource').map((entry) => new URL(entry.name).pathname)")
        assert asked
        assert all(path.startswith(f"{folder}/") for path in asked)
        click(window, "#export")
        (window.downloads / "net.toml").unlink(missing_ok=True)
        click(window, '#export-menu [data-save="network.toml"]')
        assert saved(window, "net.toml").stat().st_size
        window.get(f"http://127.0.0.1:{port}{folder}/")  # by the cookie alone
        until(lambda: js(window, "window.velocell?.store.state?.analysed?.complete"), "the page again")
        assert find(window, "#facts").text.startswith("demo")
        window.get("about:blank")


def test_no_address_in_the_page_begins_at_the_root() -> None:
    for path in STATIC.iterdir():
        assert not re.search(r"""["'`(]/(static|save|ws)\b""", path.read_text()), path.name


def get(port: int, path: str, **headers: str) -> tuple[int, dict[str, str]]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", path, headers={name.replace("_", "-"): text for name, text in headers.items()})
        answer = connection.getresponse()
        return answer.status, {name.lower(): text for name, text in answer.getheaders()}
    finally:
        connection.close()


def test_another_local_port_needs_the_token() -> None:
    with served(token=TOKEN) as server:
        assert get(server.port, f"/?token={TOKEN}", Host="127.0.0.1:9999")[0] == 200
        assert get(server.port, "/", Host="127.0.0.1:9999")[0] == 403
        assert get(server.port, "/?token=guess", Host=f"127.0.0.1:{server.port}")[0] == 403
    with served() as server:  # without one the strict rule stays
        assert get(server.port, "/", Host="127.0.0.1:9999")[0] == 403


def test_the_cookie_is_kept_for_the_folder_that_the_browser_sees() -> None:
    with served(token=TOKEN, root="/lab") as server:
        status, headers = get(server.port, f"/lab/?token={TOKEN}")
        assert status == 200
        assert "path" not in headers["set-cookie"].lower()
        assert "httponly" in headers["set-cookie"].lower()
        status, headers = get(server.port, f"/lab?token={TOKEN}")
        assert (status, headers["location"]) == (307, f"/lab/?token={TOKEN}")
        assert get(server.port, f"/static/app.js?token={TOKEN}")[0] == 200
        assert get(server.port, "/lab/static/app.js")[0] == 403
        assert get(server.port, f"/labs/?token={TOKEN}")[0] == 404
        assert get(server.port, f"/lab/lab/?token={TOKEN}")[0] == 404


def test_an_allowed_name_may_be_the_origin() -> None:
    """Where a proxy changes Host and the browser sends no Sec-Fetch-Site, as for http:// other than localhost."""
    with served(token=TOKEN, hosts=["lab:9000"]) as server:
        for origin, status in (("http://lab:9000", 200), ("http://lab:9001", 403), ("http://evil", 403)):
            assert get(server.port, f"/?token={TOKEN}", Host="inside", Origin=origin)[0] == status
        assert get(server.port, "/", Host="inside", Origin="http://lab:9000")[0] == 403
        told = {"Host": "inside", "X_Forwarded_Host": "hub:80"}
        assert get(server.port, f"/?token={TOKEN}", Origin="http://hub:80", **told)[0] == 200
        assert get(server.port, f"/?token={TOKEN}", Origin="http://evil", **told)[0] == 403
    with served() as server:  # without a token nobody is believed
        told = {"Host": f"127.0.0.1:{server.port}", "X_Forwarded_Host": "evil"}
        assert get(server.port, "/", Origin="http://evil", **told)[0] == 403


@pytest.mark.parametrize(("given", "root"), [("", ""), ("/", ""), ("/lab/", "/lab"), ("/a/b~c", "/a/b~c")])
def test_a_root_path(given: str, root: str) -> None:
    assert _root(given) == root


@pytest.mark.parametrize("given", ["lab", "//evil.example", "/a b", "/a?b", "/a/../\n", "http://x/"])
def test_a_wrong_root_path(given: str) -> None:
    with pytest.raises(OptionError, match="must be a path"):
        _root(given)
