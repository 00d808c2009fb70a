"""HTTP and WebSocket around one Session, for pages on this machine.

Who may ask stands in `access.py`, how long for in `connections.py`. Requests read; nothing they can do writes or reads
any other file.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import socket
import sys
import threading
import time
import webbrowser
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from velocell.data.extras import install_line
from velocell.errors import VelocellError, reason
from velocell.viewer.access import COOKIE, HEADERS, Gate, Rooted
from velocell.viewer.connections import impatient_protocol, log_seldom, raise_limit_of_files
from velocell.viewer.others import Opener
from velocell.viewer.session import Session
from velocell.viewer.worker import failed

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.websockets import WebSocket

DEFAULT_PORT = 8741
STATIC = Path(__file__).parent / "static"

_PUSH_S = 1 / 60  # changes are sent to a page at most this often
_LARGEST_MESSAGE = 1 << 16
_MOST_PAGES = 16
_WAITING = 4  # pictures a page may have requested and not yet received
_PARTIAL_S = 0.5  # while an analysis goes on, tables and curves are made at most this often
_FILE_CHECK_S = 2.0
_SWITCH_S = 0.001  # threads take turns more often than usual: a picture should not wait for the analysis
_GRACE_S = 0.3  # for pages to leave at the end
_KINDS = {
    "csv": "text/csv",
    "jsonl": "application/x-ndjson",
    "parquet": "application/octet-stream",
    "meta.json": "application/json",
    "toml": "application/toml",
    "mp4": "video/mp4",
    "gif": "image/gif",
}

SAVED = {
    "table": ("csv", "jsonl", "parquet", "meta.json"),
    "counts": ("csv",),
    "clip": ("mp4", "gif"),
    "network": ("toml",),
    "labels": ("csv", "jsonl", "parquet"),
}
"""What can be saved, and as what."""


class Stage:
    """The session, once it is there: opening a large recording takes a while, and the page waits with the user."""

    def __init__(self, open_session: Callable[[Callable[[], None]], Session], what: str) -> None:
        """open_session makes the session and is given what it has to call on changes."""
        self.session: Session | None = None
        self.failure: str | None = None
        self.what = what
        self._listeners: list[Callable[[], None]] = []
        self._opening = threading.Lock()
        self._thread = threading.Thread(target=self._open, args=(open_session,), name="velocell-open", daemon=True)
        self._thread.start()

    def show(self, open_session: Callable[[Callable[[], None]], Session]) -> None:
        """Another session in place of this one, once it is open; where it cannot be opened this one stays.

        Raises VelocellError for that, and while another is being opened.
        """
        if self.session is None or not self._opening.acquire(blocking=False):
            raise VelocellError("a recording is being opened already; wait for it")
        try:
            fresh = open_session(self.changed)
            before, self.session = self.session, fresh
        finally:
            self._opening.release()
        self.changed()
        before.close()

    def wait(self, seconds: float) -> bool:
        """Whether it is decided, after `seconds` at most."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def listen(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call it on every change; the result stops that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def changed(self) -> None:
        for listener in tuple(self._listeners):
            listener()

    def close(self) -> None:
        if self.session is not None:
            self.session.close()

    def _open(self, open_session: Callable[[Callable[[], None]], Session]) -> None:
        try:
            self.session = open_session(self.changed)
        except Exception as error:
            self.failure = failed(error)
        self.changed()


@dataclass(frozen=True)
class Door:
    """Who gets in, and where: token and hosts as `Gate` has them, root as `Rooted`; empty for none. opener: what else
    can be opened, by those who have the token; without one nobody can."""

    token: str | None = None
    hosts: tuple[str, ...] = ()
    root: str = ""
    opener: Opener | None = None


def build_app(stage: Stage, port: int, door: Door | None = None) -> Starlette:
    """The application: the page, its files, what can be saved, and the WebSocket."""
    from starlette.applications import Starlette
    from starlette.responses import FileResponse, Response
    from starlette.routing import Route, WebSocketRoute

    door = door or Door()
    saving = False  # one at a time: a clip takes some 60 MB
    files = {path.name: path for path in STATIC.iterdir() if path.suffix in (".html", ".css", ".js", ".svg")}

    async def page(request: Request) -> Response:
        name = request.path_params.get("name", "index.html")
        if name not in files:
            return Response("there is no such page\n", 404, HEADERS, "text/plain")
        response = FileResponse(files[name], headers=HEADERS)
        if door.token is not None and name == "index.html":
            # Without a path it is kept for the folder that the browser sees, whatever a proxy made of it.
            response.set_cookie(f"{COOKIE}-{port}", door.token, path=None, httponly=True, samesite="strict")
        return response

    async def save(request: Request) -> Response:
        nonlocal saving
        what, _, kind = request.path_params["name"].partition(".")
        if kind not in SAVED.get(what, ()):
            return Response("there is no such file to save\n", 404, HEADERS, "text/plain")
        if saving:
            return _refused("another file is being saved; wait for it")
        if stage.session is None:
            return _refused("the recording is not open yet; wait for the picture")
        saving = True
        try:
            data = await _apart(partial(stage.session.save, what, kind))
        except Exception as error:
            return _refused(failed(error))
        finally:
            saving = False
        headers = {**HEADERS, "Content-Disposition": f'attachment; filename="{what}.{kind}"'}
        return Response(data, headers=headers, media_type=_KINDS[kind])

    def _refused(sentence: str) -> Response:
        return Response(json.dumps({"error": sentence}), 409, HEADERS, "application/json")

    opener = door.opener if door.token is not None else None
    pages = Pages(stage, None if opener is None else opener.offer)
    routes = [
        Route("/", page),
        Route("/static/{name}", page),
        Route("/save/{name}", save),
        WebSocketRoute("/ws", pages.attend),
    ]
    if opener is not None:
        routes.append(Route("/open", opener.answer(stage, _refused), methods=["POST"]))
    app = Starlette(routes=routes)
    app.add_middleware(Gate, port=port, token=door.token, hosts=door.hosts)
    if door.root:
        app.add_middleware(Rooted, root=door.root)
    return app


async def _apart(work: Callable[[], bytes]) -> bytes:
    """In a thread that the end of the program does not wait for."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[bytes] = loop.create_future()

    def settle(data: bytes | None, error: Exception | None) -> None:
        if done.cancelled():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(data or b"")

    def run() -> None:
        data, failure = None, None
        try:
            data = work()
        except Exception as error:
            failure = error
        with suppress(RuntimeError):  # the server has ended
            loop.call_soon_threadsafe(settle, data, failure)

    threading.Thread(target=run, name="velocell-save", daemon=True).start()
    return await done


class Pages:
    """The open pages; each has a task that sends it changes and one that hears it."""

    def __init__(self, stage: Stage, offer: Callable[[], dict[str, Any]] | None = None) -> None:
        """offer: what a page may open; None: nothing."""
        self._stage, self._offer = stage, offer
        self._open = 0

    async def attend(self, socket_: WebSocket) -> None:
        """One page, until it leaves."""
        await socket_.accept()
        if self._open >= _MOST_PAGES:
            await socket_.send_text(_text("failed", text=f"{_MOST_PAGES} pages are open already; close one and reload"))
            await socket_.close()
            return
        self._open += 1
        page = _Page(socket_, self._stage, self._offer)
        tasks = [asyncio.create_task(work()) for work in (page.push, page.hear)]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._open -= 1
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, *page.painting, return_exceptions=True)


class _Page:
    def __init__(self, socket_: WebSocket, stage: Stage, offer: Callable[[], dict[str, Any]] | None) -> None:
        self._socket, self._stage, self._offer = socket_, stage, offer
        self.painting: set[asyncio.Task[None]] = set()

    async def push(self) -> None:
        """Loading, then facts, then state, results and curves whenever they change."""
        changed, loop = asyncio.Event(), asyncio.get_running_loop()

        def wake() -> None:
            with suppress(RuntimeError):  # the server has ended
                loop.call_soon_threadsafe(changed.set)

        stop = self._stage.listen(wake)
        try:
            while (session := await self._opened(changed)) is not None:
                await self._show(session, changed)
        finally:
            stop()

    async def _show(self, session: Session, changed: asyncio.Event) -> None:
        """One session, until another one takes its place."""
        opens = {} if self._offer is None else {"opens": self._offer()}
        await self._send(_text("facts", **await asyncio.to_thread(session.facts), **opens))
        sent: dict[str, Any] = {}
        while self._stage.session is session:
            changed.clear()
            await self._differences(session, sent)
            await asyncio.sleep(_PUSH_S)
            try:
                await asyncio.wait_for(changed.wait(), _FILE_CHECK_S)
            except asyncio.TimeoutError:
                await asyncio.to_thread(session.look_after)

    async def _opened(self, changed: asyncio.Event) -> Session | None:
        stage = self._stage
        while stage.session is None and stage.failure is None:
            await self._send(_text("loading", text=stage.what))
            await changed.wait()
            changed.clear()
        if stage.failure is not None:
            await self._send(_text("failed", text=stage.failure))
            await asyncio.Event().wait()  # the page stays open with its message
        return stage.session

    async def _differences(self, session: Session, sent: dict[str, Any]) -> None:
        """Only what the page does not have yet."""
        state = session.state()
        if state["revision"] != sent.get("revision"):
            sent["revision"] = state["revision"]
            await self._send(_text("state", **state))
        found = state["analysed"]
        if found and not found["complete"] and time.monotonic() - sent.get("at", 0.0) < _PARTIAL_S:
            return  # the picture comes first
        sent["at"] = time.monotonic()
        parts = (("timeline", session.timeline), ("results", session.results), ("curves", session.curves))
        for kind, make in parts:
            content = await asyncio.to_thread(make)
            if content and content != sent.get(kind):
                sent[kind] = content
                await self._send(_text(kind, **content))

    async def hear(self) -> None:
        """Commands and requests for pictures, until the page leaves."""
        from starlette.websockets import WebSocketDisconnect

        while True:
            try:
                text = await self._socket.receive_text()
            except (WebSocketDisconnect, KeyError):  # KeyError: bytes instead of text
                return
            session = self._stage.session
            if session is None:
                continue
            try:
                message = json.loads(text)
            except ValueError:
                return
            if message == {"do": "picture"}:
                if len(self.painting) < _WAITING:
                    task = asyncio.create_task(self._paint(session))
                    self.painting.add(task)
                    task.add_done_callback(self.painting.discard)
                continue
            try:
                await asyncio.to_thread(session.handle, message)
            except Exception as error:
                await self._send(_text("refused", text=failed(error), asked=message))

    async def _paint(self, session: Session) -> None:
        try:
            picture = await asyncio.to_thread(session.picture)
        except Exception as error:
            await self._send(_text("unpainted", text=failed(error)))
            return
        await self._send(picture)

    async def _send(self, message: str | bytes) -> None:
        """A page that has left is not an error."""
        from starlette.websockets import WebSocketDisconnect

        try:
            if isinstance(message, str):
                await self._socket.send_text(message)
            else:
                await self._socket.send_bytes(message)
        except (WebSocketDisconnect, RuntimeError):
            return


def _text(kind: str, **content: Any) -> str:
    return json.dumps({"kind": kind, **content}, separators=(",", ":"))


def require_server() -> None:
    """Raise VelocellError where the extra that serves pages is not installed."""
    missing = [name for name in ("starlette", "uvicorn", "websockets") if importlib.util.find_spec(name) is None]
    if missing:
        raise VelocellError(f"the viewer needs {' and '.join(missing)}; install it with: {install_line('viewer')}")


def listening_socket(host: str, port: int | None) -> socket.socket:
    """A socket listening on `port`; left out, the default one, or any other if that is taken. Raises VelocellError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for wanted in (DEFAULT_PORT, 0) if port is None else (port,):
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind((host, wanted))
            sock.listen()  # a browser that is quicker than the server waits instead of being refused
            return sock
        except (OSError, OverflowError) as error:
            sock.close()
            if port is None and wanted:
                continue
            why = reason(error) if isinstance(error, OSError) else str(error)
            remedy = "choose another one with --port, or leave it out"
            raise VelocellError(f"cannot listen on {host}, port {wanted}: {why}; {remedy}") from None
    raise AssertionError


def settings() -> dict[str, Any]:
    """How uvicorn is to serve."""
    log_seldom()
    return {
        "http": impatient_protocol(), "log_level": "warning", "access_log": False, "ws": "websockets-sansio",
        "ws_max_size": _LARGEST_MESSAGE, "ws_per_message_deflate": False, "timeout_graceful_shutdown": _GRACE_S,
        "lifespan": "off", "server_header": False,
    }  # fmt: skip


def serve(stage: Stage, sock: socket.socket, door: Door | None = None) -> None:
    """Serve until interrupted; raises KeyboardInterrupt then."""
    import uvicorn

    sys.setswitchinterval(_SWITCH_S)
    raise_limit_of_files()
    app = build_app(stage, sock.getsockname()[1], door)
    config = uvicorn.Config(app, **settings())
    server = uvicorn.Server(config)
    try:
        server.run(sockets=[sock])
    finally:
        stage.close()
    # It only ends by a signal, and does not always raise it again.
    if server.started:
        raise KeyboardInterrupt


def open_browser(address: str) -> bool:
    """Whether a browser took it; one that would take over the terminal is not asked."""
    try:
        browser = webbrowser.get()
    except webbrowser.Error:
        return False
    return type(browser) is not webbrowser.GenericBrowser and browser.open(address)
