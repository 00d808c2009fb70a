"""Who may ask the viewer's server: pages of this machine, and from elsewhere those that carry the token."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

COOKIE = "velocell"

_LOCAL = frozenset(("127.0.0.1", "localhost", "[::1]"))
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class Gate:
    """Answers 403 to requests that are not allowed; everything else goes on to the app."""

    def __init__(self, app: ASGIApp, port: int, token: str | None) -> None:
        self._app, self._port, self._token = app, port, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        from starlette.requests import HTTPConnection

        refusal = self._refusal(HTTPConnection(scope))
        if refusal is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})  # before it is accepted: 403
        else:
            from starlette.responses import PlainTextResponse

            await PlainTextResponse(refusal + "\n", 403, HEADERS)(scope, receive, send)

    def _refusal(self, asked: Any) -> str | None:
        host = asked.headers.get("host", "")
        if self._token is None:
            name, _, port = host.rpartition(":") if host.rpartition(":")[2].isdigit() else (host, "", "80")
            if name.lower() not in _LOCAL or port != str(self._port):
                return "this page is for this machine only; open it as http://127.0.0.1"
        else:
            given = asked.query_params.get("token") or asked.cookies.get(f"{COOKIE}-{self._port}") or ""
            if not secrets.compare_digest(given.encode(), self._token.encode()):
                return "this page needs the token that velocell view printed; open the whole address"
        origin = asked.headers.get("origin")
        if origin is not None and origin.partition("://")[2] != host:
            return "another page asked for this one; open it in a tab of its own"
        return None
