"""The viewer's server from outside: who may ask, what is answered, and pages that misbehave."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import sys
import threading
import time

import pytest
from typer.testing import CliRunner
from viewer_tools import demo_recording, served, unpacked, until
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from tests.helpers.places import CASES
from velocell.cli import options, view
from velocell.cli.app import app
from velocell.errors import RecordingError, VelocellError
from velocell.formats import write_npz
from velocell.viewer import server as server_module
from velocell.viewer.opening import open_source
from velocell.viewer.server import STATIC, listening_socket, open_browser


@pytest.fixture(scope="module")
def viewer():
    with served() as server:
        yield server


def get(server, path="/", host=None, **headers):
    """Status, headers and body."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    try:
        connection.request("GET", path, headers={"Host": host or f"127.0.0.1:{server.port}", **headers})
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


def page(server, path="/ws", **more):
    return connect(f"ws://127.0.0.1:{server.port}{path}", max_size=None, compression=None, ping_interval=None, **more)


def hear(socket_, kind, timeout=30):
    """The next message of a kind; pictures are `bytes`."""
    stop = time.monotonic() + timeout
    while True:
        message = socket_.recv(timeout=max(stop - time.monotonic(), 0.01))
        if isinstance(message, bytes):
            if kind is bytes:
                return message
        elif kind is not bytes and json.loads(message)["kind"] == kind:
            return json.loads(message)


def say(socket_, name, **values):
    socket_.send(json.dumps({"do": name, **values}))


# --- who may ask --------------------------------------------------------------------------------------


def test_the_page_needs_no_token(viewer):
    status, headers, body = get(viewer)
    assert status == 200
    assert b"<title>Velocell</title>" in body
    assert "script-src 'self'" in headers["content-security-policy"]


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1:1", "127.0.0.1", "localhost.evil:{port}", "[::2]:{port}"]
)  # fmt: skip
def test_a_foreign_host_gets_403(viewer, host):
    status, _, body = get(viewer, host=host.format(port=viewer.port))
    assert status == 403
    assert b"this machine only" in body
    for path in ("/static/app.js", "/save/table.csv", "/nothing"):
        assert get(viewer, path, host=host.format(port=viewer.port))[0] == 403


@pytest.mark.parametrize("host", ["localhost:{port}", "LOCALHOST:{port}", "[::1]:{port}"])
def test_other_names_of_this_machine_are_answered(viewer, host):
    assert get(viewer, host=host.format(port=viewer.port))[0] == 200


def test_a_foreign_page_gets_neither_the_socket_nor_a_file(viewer):
    for origin in ("http://evil.example", f"http://evil.example:{viewer.port}", "null"):
        with pytest.raises(InvalidStatus) as refused, page(viewer, origin=origin):
            pass
        assert refused.value.response.status_code == 403
        assert get(viewer, "/save/table.csv", Origin=origin)[0] == 403
    with page(viewer, origin=f"http://127.0.0.1:{viewer.port}") as socket_:
        assert hear(socket_, "facts")["size"] == [50, 50]


def test_a_socket_with_a_foreign_host_is_refused(viewer):
    with pytest.raises(InvalidStatus), page(viewer, additional_headers={"Host": "evil.example"}):
        pass


def test_everyone_needs_the_token():
    with served(token="s3cret") as server:
        assert get(server)[0] == 403
        assert get(server, "/?token=wrong")[0] == 403
        assert get(server, "/static/app.js")[0] == 403
        status, headers, _ = get(server, "/?token=s3cret", host="lab-machine:1234")
        assert status == 200
        cookie = headers["set-cookie"].split(";")[0]
        assert "HttpOnly" in headers["set-cookie"]
        assert "samesite=strict" in headers["set-cookie"].lower()
        assert get(server, "/static/app.js", Cookie=cookie)[0] == 200
        with pytest.raises(InvalidStatus), page(server):
            pass
        with page(server, additional_headers={"Cookie": cookie}) as socket_:
            assert hear(socket_, "facts")


@pytest.mark.parametrize(
    "path", ["/static/../session.py", "/static/%2e%2e/session.py", "/static//etc/passwd", "/static/x.js", "/session.py"]
)
def test_nothing_but_the_page_is_given_out(viewer, path):
    assert get(viewer, path)[0] == 404


def test_the_page_names_no_address_outside():
    """No font, script or picture from elsewhere: the page works without a network."""
    for file in STATIC.iterdir():
        text = file.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert "http://" not in text
        assert "https://" not in text.replace('"https:"', "")
        assert "@import" not in text


def test_the_static_files_are_all_served(viewer):
    for file in STATIC.iterdir():
        status, _, body = get(viewer, f"/static/{file.name}")
        assert (status, body) == (200, file.read_bytes())


# --- what is answered ---------------------------------------------------------------------------------


def test_a_page_is_told_everything_and_gets_pictures(viewer):
    with page(viewer) as socket_:
        facts = hear(socket_, "facts")
        assert facts["stop_us"] == 500_000
        assert len(facts["rate"]) == 600
        state = hear(socket_, "state")
        assert state["command"].startswith("velocell detect")
        assert len(hear(socket_, "results")["objects"]) == 3
        assert hear(socket_, "curves")["drive"]
        say(socket_, "seek", t_us=300_000)
        say(socket_, "picture")
        header, plane, _ = unpacked(hear(socket_, bytes))
        assert len(header["objects"]) == 3
        assert plane.any()


def test_a_value_that_cannot_be_is_answered_with_a_sentence(viewer):
    with page(viewer) as socket_:
        hear(socket_, "state")
        say(socket_, "tune", radius=900)
        refused = hear(socket_, "refused")
        assert refused["text"] == "radius 900 px is outside 1.5 to 40 px; choose a value in that range"
        say(socket_, "picture")
        assert hear(socket_, bytes)


def test_a_second_tab_sees_what_the_first_changes(viewer):
    with page(viewer) as one, page(viewer) as two:
        hear(one, "state")
        hear(two, "state")
        say(one, "tune", edges=[16, 62, 300, 500])
        until(lambda: hear(two, "state")["settings"]["bands"]["edges"] == [16, 62, 300, 500], "the second tab's state")
        until(lambda: sorted(o["band"] for o in hear(two, "results")["objects"]) == [0, 1, 1], "its results")
        say(two, "reset")
        until(lambda: hear(one, "state")["settings"]["bands"]["edges"] == [16, 62, 177, 500], "the first tab's state")


def test_a_page_that_vanishes_harms_nobody(viewer):
    with page(viewer) as stays:
        hear(stays, "state")
        for _ in range(5):
            with page(viewer) as gone:
                for _ in range(3):
                    say(gone, "picture")
                gone.socket.shutdown(socket.SHUT_RDWR)  # no goodbye
        say(stays, "seek", t_us=100_000)
        say(stays, "picture")
        assert hear(stays, bytes)
    with page(viewer) as new:
        assert hear(new, "facts")


def test_a_page_that_never_listens_does_not_fill_the_memory(viewer, monkeypatch):
    """It may ask as often as it likes: a few pictures are made, the rest of its wishes is dropped."""
    session, free = viewer.stage.session, threading.Event()
    picture = session.picture
    monkeypatch.setattr(session, "picture", lambda: free.wait(30) and picture())
    with page(viewer) as greedy:
        hear(greedy, "results")
        for _ in range(500):
            say(greedy, "picture")
        say(greedy, "tune", radius=900)
        assert hear(greedy, "refused")  # all 500 were heard
        free.set()
        for _ in range(server_module._WAITING):
            assert hear(greedy, bytes)
        say(greedy, "tune", radius=901)
        while isinstance(message := greedy.recv(timeout=30), str) and json.loads(message)["kind"] != "refused":
            pass
        assert isinstance(message, str), "one more picture"


@pytest.mark.parametrize("nonsense", ["not json", "[1,", b"\x00\x01", "x" * 70_000])
def test_nonsense_ends_the_connection_that_sent_it(viewer, nonsense):
    with page(viewer) as socket_:
        hear(socket_, "state")
        socket_.send(nonsense)
        with pytest.raises(ConnectionClosed):
            hear(socket_, "nothing")
    assert get(viewer)[0] == 200


def test_not_every_number_of_pages_is_served(viewer, monkeypatch):
    monkeypatch.setattr(server_module, "_MOST_PAGES", 2)
    with page(viewer) as one, page(viewer) as two:
        hear(one, "facts")
        hear(two, "facts")
        with page(viewer) as three:
            assert "2 pages are open already" in hear(three, "failed")["text"]
    until(lambda: _answered(viewer), "a free place")


def _answered(viewer):
    with page(viewer) as socket_:
        return json.loads(socket_.recv(timeout=20))["kind"] == "facts"


def test_files_are_saved_and_refusals_are_told(viewer):
    with page(viewer) as socket_:
        hear(socket_, "results")
    status, headers, body = get(viewer, "/save/table.csv")
    assert status == 200
    assert headers["content-disposition"] == 'attachment; filename="table.csv"'
    assert body.startswith(b"t_us,id,x_px,y_px,band,")
    status, _, body = get(viewer, "/save/table.meta.json")
    assert (status, json.loads(body)["command"]) == (200, "view")
    status, _, body = get(viewer, "/save/labels.csv")
    assert status == 409
    assert "nothing is marked yet" in json.loads(body)["error"]
    assert get(viewer, "/save/everything.zip")[0] == 404


def test_while_the_recording_is_opened_the_page_waits_with_it():
    gate = threading.Event()

    def opener():
        gate.wait(60)
        from velocell.viewer.source import InMemory

        return InMemory(demo_recording(), title="demo")

    with served(opener=opener) as server, page(server) as socket_:
        assert hear(socket_, "loading")["text"] == "Opening"
        say(socket_, "picture")  # too early, and no harm
        assert get(server, "/save/table.csv")[0] == 409
        gate.set()
        assert hear(socket_, "facts")["size"] == [50, 50]


def test_a_recording_that_cannot_be_opened_is_told_on_the_page():
    def opener():
        raise RecordingError("broken.raw is cut short; copy it again")

    with served(opener=opener) as server, page(server) as socket_:
        assert hear(socket_, "failed")["text"] == "broken.raw is cut short; copy it again"
        assert get(server)[0] == 200


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("circle.h5", "parts refer to each other in a circle"),
        ("external1e9.h5", "has its values in other files"),
        ("gen.db3", "has columns that are computed"),
        ("header1GiB.npz", "its header has 1073741824 bytes"),
        ("jump10h.npz", None),
        ("jumpepoch.npz", None),
        ("size20000.raw", "asks for a sensor of 20000x20000 px"),
        ("sparse267M.pt", "asks for 2.67e+08 events"),
    ],
)
def test_hostile_recordings_are_shown_or_told(name, text):
    file = CASES / "hostile" / name
    if not file.exists():
        pytest.skip(f"{file} is not there")
    with served(opener=lambda: open_source(file)) as server, page(server) as socket_:
        if text is None:
            assert hear(socket_, "facts")["title"] == name
            hear(socket_, "state")
            say(socket_, "picture")
            hear(socket_, bytes)
        else:
            told = hear(socket_, "failed")["text"]
            assert text in told
            assert "\n" not in told
        assert get(server)[0] == 200


# --- the command --------------------------------------------------------------------------------------


def call(*arguments):
    return CliRunner().invoke(app, ["view", *map(str, arguments), "--no-browser"])


def test_a_port_in_use_is_told_and_the_default_gives_way(monkeypatch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = call("demo", "--port", port)
        assert result.exit_code == 1
        assert f"port {port}: address already in use; choose another one with --port" in result.stderr
        monkeypatch.setattr(server_module, "DEFAULT_PORT", port)
        with listening_socket("127.0.0.1", None) as other:
            assert other.getsockname()[1] not in (port, 0)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("none.npz",), "cannot read none.npz: no such file or directory; check the path"),
        ((".",), ". is a folder; name a file in it"),
        (("demo", "--port", 99999), "--port 99999 must lie between 0 and 65535"),
        (("demo", "--bands", "5,4"), "increasing speeds"),
        (("demo", "--radius", "39"), "sensor"),
        (("demo", "--host", "no.such.host.example"), "cannot listen on no.such.host.example"),
    ],
)
def test_what_cannot_be_is_told_in_the_terminal(arguments, text):
    result = call(*arguments)
    assert result.exit_code == 1
    assert text in result.stderr


def test_a_file_of_no_known_format_is_told_in_the_terminal(tmp_path):
    (tmp_path / "x.bin").write_bytes(b"\x01\x02\x03" * 100)
    result = call(tmp_path / "x.bin")
    assert result.exit_code == 1
    assert "x.bin" in result.stderr


def test_without_the_extra_the_command_says_what_to_install(monkeypatch):
    monkeypatch.setattr(server_module.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(VelocellError, match=r'pip install "starlette.*" "uvicorn.*" "websockets.*"'):
        server_module.require_server()


def test_without_a_browser_the_address_is_there_to_be_copied(monkeypatch):
    monkeypatch.setattr(server_module.webbrowser, "get", lambda: server_module.webbrowser.GenericBrowser("lynx"))
    assert not open_browser("http://127.0.0.1")

    def nothing():
        raise server_module.webbrowser.Error("none")

    monkeypatch.setattr(server_module.webbrowser, "get", nothing)
    assert not open_browser("http://127.0.0.1")


def test_the_command_serves_until_it_is_interrupted(tmp_path):
    write_npz(demo_recording(), tmp_path / "r.npz")
    code = "from velocell.cli import main; main()"
    arguments = ["view", str(tmp_path / "r.npz"), "--no-browser", "--port", "0", "--no-token"]
    with subprocess.Popen([sys.executable, "-c", code, *arguments], stderr=subprocess.PIPE, text=True) as program:
        try:
            line = program.stderr.readline()
            assert "the page is at http://127.0.0.1:" in line
            port = int(line.split("127.0.0.1:")[1].split("/")[0])

            class There:
                pass

            There.port = port
            assert get(There)[0] == 200  # at once: a browser is opened as soon as the address is known
            with page(There) as socket_:
                assert hear(socket_, "facts")["title"] == "r.npz"
        finally:
            program.send_signal(2)
            assert program.wait(30) == 130
        assert "Traceback" not in program.stderr.read()


def test_demo_and_files_open_with_their_own_settings():
    look_for, part, clean, measures = (
        options.LookFor(bands="20,80,400", radius="6"),
        *(kind() for kind in (options.Part, options.Clean, options.Measures)),
    )
    opened = view._opening("demo", view._settings(look_for, part, clean, measures), part)
    session = opened(lambda: None)
    try:
        assert session.settings.bands.edges == (20, 80, 400)
        assert session.settings.radius == 6
        assert session.source.title == "demo"
    finally:
        session.close()
