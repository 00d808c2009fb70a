"""The viewer's boundary: pages of another origin in a real browser, slow connections, exports, and the end."""

from __future__ import annotations

import http.client
import http.server
import logging
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import pytest
from viewer_browser import browser, size
from viewer_tools import served, until

from velocell.errors import VelocellError
from velocell.viewer import connections, worker
from velocell.viewer.access import COOKIE, Gate

__all__ = ["browser"]

TOKEN = "s3cret"

ATTACK = """<!DOCTYPE html><title>elsewhere</title><body><script>
const at = "AT", results = {};
const settle = (name, how) => { results[name] = how; };
const element = (name, tag, key, path) => {
  const made = document.createElement(tag);
  made.onload = made.onloadedmetadata = () => settle(name, "LOADED");
  made.onerror = () => settle(name, "refused");
  made[key] = at + path;
  document.body.append(made);
};
element("img", "img", "src", "/static/icon.svg");
element("script", "script", "src", "/static/dom.js");
element("video", "video", "src", "/save/clip.mp4");
fetch(at + "/save/table.csv", { mode: "no-cors", credentials: "include" })
  .then(() => settle("fetch", "LOADED"), () => settle("fetch", "refused"));
const socket = new WebSocket(at.replace("http", "ws") + "/ws");
socket.onopen = () => settle("socket", "LOADED");
socket.onerror = () => settle("socket", "refused");
const frame = document.createElement("iframe");
frame.name = "target";
document.body.append(frame);
const form = document.createElement("form");
form.method = "post"; form.action = at + "/save/network.toml"; form.target = "target";
document.body.append(form);
form.submit();
const inner = document.createElement("iframe");
inner.src = at + "/";
document.body.append(inner);
inner.onload = () => settle("iframe", "done");
window.results = results;
</script>"""


@contextmanager
def elsewhere(at: str) -> Iterator[int]:
    """A page on another port that attacks."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(ATTACK.replace("AT", at).encode())

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("token", [None, TOKEN])
@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])  # the same site on another port; another site
def test_pages_of_another_origin_get_nothing(
    browser: Any, monkeypatch: pytest.MonkeyPatch, token: str | None, name: str
) -> None:
    answered: list[tuple[str, bool]] = []
    judged = Gate._refusal

    def noted(self: Gate, asked: Any) -> str | None:
        refusal = judged(self, asked)
        # What the owner's page still loads is its own.
        own = asked.headers.get("origin") == f"http://127.0.0.1:{asked.url.port}"
        if not own and asked.headers.get("sec-fetch-site") != "same-origin":
            answered.append((asked.url.path, refusal is None))
        return refusal

    with served(token=token) as server:
        browser.get(server.url + (f"?token={token}" if token else ""))  # the owner has the page, and its cookie
        until(lambda: server.stage.session is not None, "the session")
        monkeypatch.setattr(Gate, "_refusal", noted)
        with elsewhere(f"http://127.0.0.1:{server.port}") as port:
            browser.get(f"http://{name}:{port}/")
            wanted = {"img", "script", "video", "fetch", "socket", "iframe"}
            until(lambda: wanted <= set(browser.execute_script("return Object.keys(window.results)")), "the attacks")
            results = browser.execute_script("return window.results")
        browser.get("about:blank")
    assert {name: how for name, how in results.items() if how == "LOADED"} == {}
    attacked = [(path, allowed) for path, allowed in answered if path != "/favicon.ico"]
    assert len(attacked) >= 6
    assert not [path for path, allowed in attacked if allowed]


def test_the_page_itself_works_with_its_token(browser: Any) -> None:
    with served(token=TOKEN) as server:
        size(browser, 1440, 900)
        browser.get_log("browser")
        browser.get(server.url + f"?token={TOKEN}")
        until(lambda: browser.execute_script("return document.querySelector('#facts').textContent"), "the facts")
        assert not [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
        browser.get("about:blank")


# --- without a browser ----------------------------------------------------------------------------------------


def ask(port: int, path: str = "/", host: str | None = None, **headers: str) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request("GET", path, headers={"Host": host or f"127.0.0.1:{port}", **named})
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()


CROSS = {"Sec_Fetch_Site": "cross-site"}
LINK = {**CROSS, "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "document"}


def test_who_is_answered() -> None:
    with served() as server:
        for site, status in (("same-origin", 200), ("none", 200), ("same-site", 403), ("cross-site", 403)):
            assert ask(server.port, Sec_Fetch_Site=site)[0] == status
        assert ask(server.port, **LINK)[0] == 403  # without a token a link proves nothing
    with served(token=TOKEN) as server:
        cookie = {"Cookie": f"{COOKIE}-{server.port}={TOKEN}"}
        assert ask(server.port, f"/?token={TOKEN}", **LINK)[0] == 200
        assert ask(server.port, **LINK, **cookie)[0] == 403  # a link that does not know the token
        assert ask(server.port, f"/save/table.csv?token={TOKEN}", **LINK)[0] == 403
        assert ask(server.port, f"/static/app.js?token={TOKEN}", **CROSS)[0] == 403
        # As ports are forwarded: any name, https outside and http here.
        forwarded = {**cookie, "Sec_Fetch_Site": "same-origin", "Origin": "https://hub.example"}
        assert ask(server.port, host="hub.example", **forwarded)[0] == 200
        assert ask(server.port, host="hub.example", **cookie)[0] == 200
        assert ask(server.port, host="hub.example", Origin="https://evil.example", **cookie)[0] == 403


def test_names_that_are_allowed() -> None:
    with served(hosts=["lab.example"]) as server:
        assert ask(server.port, host="lab.example")[0] == 200
        assert ask(server.port, host="Lab.example:9000")[0] == 200
        assert ask(server.port, host="evil.example")[0] == 403


def test_every_answer_has_the_headers() -> None:
    with served(token=TOKEN) as server:
        for path in ("/", f"/?token={TOKEN}", f"/nothing?token={TOKEN}", f"/save/x.y?token={TOKEN}"):
            headers = ask(server.port, path)[1]
            assert headers["cross-origin-resource-policy"] == "same-origin"
            assert "frame-ancestors 'none'" in headers["content-security-policy"]
            assert "unsafe" not in headers["content-security-policy"]
            assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("name", ["network.foo", "network.csv", "table.mp4", "everything.zip", "clip", "counts.json"])
def test_what_cannot_be_saved_is_404(name: str) -> None:
    with served() as server:
        assert ask(server.port, f"/save/{name}")[0] == 404


def test_slow_connections_keep_nobody_out(monkeypatch: pytest.MonkeyPatch) -> None:
    with served() as server, ExitStack() as stack:
        until(lambda: server.stage.session is not None, "the session")
        for k in range(400):
            slow = stack.enter_context(socket.create_connection(("127.0.0.1", server.port)))
            slow.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1" if k % 2 else b"")
        assert ask(server.port, "/static/app.js")[0] == 200


def test_half_a_request_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "_PATIENCE_S", 0.05)
    with served() as server, socket.create_connection(("127.0.0.1", server.port), timeout=20) as slow:
        slow.sendall(b"GET / HTTP/1.1\r\nHost: ")
        assert ended(slow)
        # One that is whole stays for the next.
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as good:
            good.sendall(f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n\r\n".encode())
            assert good.recv(1 << 16).startswith(b"HTTP/1.1 200")


def test_the_oldest_of_too_many_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "_MOST", 3)
    with served() as server, ExitStack() as stack:
        slow = [stack.enter_context(socket.create_connection(("127.0.0.1", server.port))) for _ in range(4)]
        slow[0].settimeout(20)
        assert ended(slow[0])


def test_one_export_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, free = threading.Event(), threading.Event()
    with served() as server:
        until(lambda: server.stage.session is not None, "the session")

        def save(what: str, kind: str) -> bytes:
            begun.set()
            free.wait(30)
            return b"saved"

        monkeypatch.setattr(server.stage.session, "save", save)
        found: list[Any] = []
        first = threading.Thread(target=lambda: found.append(ask(server.port, "/save/clip.mp4")))
        first.start()
        assert begun.wait(30)
        status, _, body = ask(server.port, "/save/clip.mp4")
        assert (status, b"another file is being saved" in body) == (409, True)
        free.set()
        first.join(30)
        assert found[0][2] == b"saved"
        assert ask(server.port, "/save/clip.mp4")[2] == b"saved"


def test_the_log_cannot_be_filled() -> None:
    seldom = connections.Seldom()
    record = logging.LogRecord("a", logging.ERROR, "", 0, "b", None, None)
    assert sum(seldom.filter(record) for _ in range(10_000)) == 20


def test_work_that_waits_is_bounded() -> None:
    free = threading.Event()
    busy = worker.Worker(lambda: 0.0, lambda: False, print, "test")
    busy.start()
    try:
        busy.submit(lambda: free.wait(30) and None)
        until(lambda: not busy._jobs, "the first piece")
        for _ in range(worker._MOST_JOBS):
            busy.submit(lambda: None)
        with pytest.raises(VelocellError, match="too much is waiting"):
            busy.submit(lambda: None)
    finally:
        free.set()
        busy.close()


def test_curves_are_measured_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[object] = []
    monkeypatch.setattr("velocell.viewer.curves.tuning", calls.append)
    monkeypatch.setattr("velocell.viewer.curves.describe.measured_curves", lambda measured: {})
    with served() as server:
        until(lambda: server.stage.session is not None and server.stage.session._analysis.results, "the results")
        session = server.stage.session
        assert session is not None
        for _ in range(100):
            session.handle({"do": "measure_curves"})
        until(lambda: calls, "the measurement")
        session.handle({"do": "measure_curves"})
    assert len(calls) == 1


CODE = """
import sys, time
from velocell.viewer.session import Session
def save(self, what, kind):
    print("saving", file=sys.stderr, flush=True)
    time.sleep(60)
Session.save = save
from velocell.cli import main
main()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals as POSIX has them")
def test_an_export_does_not_hold_up_the_end() -> None:
    arguments = [sys.executable, "-c", CODE, "view", "demo", "--no-browser", "--port", "0"]
    with subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True) as program:
        assert program.stderr is not None
        try:
            line = program.stderr.readline()
            address = line.split(" at ")[1].split()[0]
            port = int(address.split(":")[2].split("/")[0])
            token = address.split("token=")[1]
            assert ask(port)[0] == 403
            until(lambda: b"title" in ask(port, f"/?token={token}")[2], "the page")
            while True:  # it is refused until the recording is open
                asking = threading.Thread(target=quiet, args=(port, f"/save/network.toml?token={token}"), daemon=True)
                asking.start()
                asking.join(0.5)
                if asking.is_alive():
                    break
            assert "saving" in program.stderr.readline()
            program.send_signal(2)
            assert program.wait(20) == 130
        finally:
            program.kill()


def quiet(port: int, path: str) -> None:
    with suppress(OSError, http.client.HTTPException):
        ask(port, path)


def ended(connection: socket.socket) -> bool:
    """Whether the other side ends it, in whatever way."""
    try:
        return connection.recv(100) == b""
    except ConnectionResetError:
        return True


def test_no_token_is_for_this_machine() -> None:
    from typer.testing import CliRunner

    from velocell.cli.app import app

    result = CliRunner().invoke(app, ["view", "demo", "--host", "0.0.0.0", "--no-token", "--no-browser"])
    assert result.exit_code == 1
    assert "--no-token is for this machine only" in result.stderr
