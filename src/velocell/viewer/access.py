"""Who may ask the viewer's server: those that have the token, and of pages only the viewer's own.

The token stands in the address that is opened, and in a cookie from then on. It keeps out other users of this machine
as well as other machines, so with it any name in the Host header will do, as ports are forwarded by ssh, VS Code,
Docker or JupyterHub. Without it only names of this machine are answered, and those that were allowed. What a page from
elsewhere asks for is refused, with or without token: browsers say so in Sec-Fetch-Site, older ones in Origin.

Every address on the page is relative, and the cookie is kept for the folder that the browser sees, so a proxy may show
the page below any path. One that leaves this path on what it hands over needs `Rooted`.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection
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
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}


class Gate:
    """Answers 403 to requests that are not allowed; everything else goes on to the app. Every answer has HEADERS.

    token: None where none is asked for. hosts: names, with a port or without, that the Host header may have without a
    token, beside those of this machine. Where a proxy puts another name into Host, Origin may be one of them too.
    """

    def __init__(self, app: ASGIApp, port: int, token: str | None, hosts: Collection[str] = ()) -> None:
        self._app, self._port, self._token = app, port, token
        self._hosts = frozenset(name.lower() for name in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        from starlette.datastructures import MutableHeaders
        from starlette.requests import HTTPConnection

        async def send_with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        refusal = self._refusal(HTTPConnection(scope))
        if refusal is None:
            await self._app(scope, receive, send_with_headers)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})  # before it is accepted: 403
        else:
            from starlette.responses import PlainTextResponse

            # Nobody who is refused keeps a connection.
            answer = PlainTextResponse(refusal + "\n", 403, {"Connection": "close"})
            await answer(scope, receive, send_with_headers)

    def _refusal(self, asked: Any) -> str | None:
        host = asked.headers.get("host", "")
        if self._token is None:
            if not self._is_local(host):
                return "this page is for this machine only; open it as http://127.0.0.1"
        elif not (self._in_address(asked) or self._is_token(asked.cookies.get(f"{COOKIE}-{self._port}"))):
            return "this page needs the token that velocell view printed; open the whole address"
        site = asked.headers.get("sec-fetch-site")
        if site is None:
            origin = asked.headers.get("origin")
            foreign = origin is not None and origin.partition("://")[2].lower() not in self._own_names(asked, host)
        else:
            foreign = site not in ("same-origin", "none") and not self._opens_the_page(asked)
        return "another page asked for this one; open it in a tab of its own" if foreign else None

    def _own_names(self, asked: Any, host: str) -> tuple[str, ...]:
        """What Origin says on the viewer's own page. With the token, a proxy that changes Host may say what it was:
        X-Forwarded-Host is a header that no page from elsewhere can send without being asked whether it may."""
        told = asked.headers.get("x-forwarded-host", "") if self._token is not None else ""
        names = (host, *(name.strip() for name in told.split(",") if name.strip()))
        return (*(name.lower() for name in names), *self._hosts)

    def _is_local(self, host: str) -> bool:
        host = host.lower()
        name, _, port = host.rpartition(":") if host.rpartition(":")[2].isdigit() else (host, "", "80")
        return name in self._hosts or host in self._hosts or (name in _LOCAL and port == str(self._port))

    def _in_address(self, asked: Any) -> bool:
        return self._is_token(asked.query_params.get("token"))

    def _is_token(self, given: str | None) -> bool:
        return self._token is not None and secrets.compare_digest((given or "").encode(), self._token.encode())

    def _opens_the_page(self, asked: Any) -> bool:
        """Whether a link elsewhere, which has the token, opens the page in a tab."""
        how = (asked.headers.get("sec-fetch-mode"), asked.headers.get("sec-fetch-dest"))
        return asked.url.path == "/" and how == ("navigate", "document") and self._in_address(asked)


class Rooted:
    """Takes a path that a proxy left on it off every request: "/hub/view/static/app.js" is "/static/app.js".

    root: such as "/hub/view", without a slash at its end. What comes without it is answered too: some proxies take it
    off, and the page can be opened on this machine.
    """

    def __init__(self, app: ASGIApp, root: str) -> None:
        self._app, self._root = app, root

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if path == self._root and scope["type"] == "http":
            # Relative addresses need the slash.
            from starlette.responses import RedirectResponse

            query = scope["query_string"].decode("latin-1")
            answer = RedirectResponse(f"{self._root}/" + (f"?{query}" if query else ""), headers=HEADERS)
            await answer(scope, receive, send)
            return
        if path.startswith(f"{self._root}/"):
            scope = {**scope, "path": path[len(self._root) :]}
        await self._app(scope, receive, send)
