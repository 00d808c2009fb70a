"""Connections that bring nothing: little time, little room, few lines of log.

uvicorn waits for ever for the rest of a request that has begun, and a few hundred such connections keep everyone else
out.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from typing import Any

_PATIENCE_S, _HURRY_S = 5.0, 1.0  # for a whole request; where many wait
_MANY, _MOST = 64, 512  # connections without a whole request; of more, the one that waited longest goes
_FILES = 4096  # that may be open, where the system allows it
_LINES, _PER_S = 20, 60.0  # of log, in so many seconds


def impatient_protocol() -> Any:
    """A class for `uvicorn.Config(http=...)`."""
    from uvicorn.protocols.http.h11_impl import H11Protocol

    waiting: dict[Any, asyncio.TimerHandle] = {}

    class Impatient(H11Protocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            if len(waiting) >= _MOST:
                next(iter(waiting)).give_up()
            patience_s = _HURRY_S if len(waiting) >= _MANY else _PATIENCE_S
            waiting[self] = self.loop.call_later(patience_s, self.give_up)

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self.cycle is not None:
                self._heard()

        def handle_websocket_upgrade(self, event: Any) -> None:
            self._heard()
            super().handle_websocket_upgrade(event)

        def connection_lost(self, exc: Exception | None) -> None:
            self._heard()
            super().connection_lost(exc)

        def give_up(self) -> None:
            self._heard()
            self.transport.abort()

        def _heard(self) -> None:
            timer = waiting.pop(self, None)
            if timer is not None:
                timer.cancel()

    return Impatient


def raise_limit_of_files() -> None:
    """More connections than the usual 1024 minus what is open."""
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _FILES if hard == resource.RLIM_INFINITY else min(_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


class Seldom(logging.Filter):
    """Lets a few lines through in a while, so that those who connect cannot fill the disk with a log."""

    def __init__(self) -> None:
        super().__init__()
        self._since_s, self._lines = 0.0, 0

    def filter(self, record: logging.LogRecord) -> bool:
        now_s = time.monotonic()
        if now_s - self._since_s > _PER_S:
            self._since_s, self._lines = now_s, 0
        self._lines += 1
        return self._lines <= _LINES


def log_seldom() -> None:
    for name in ("asyncio", "uvicorn.error"):
        logger = logging.getLogger(name)
        if not any(isinstance(known, Seldom) for known in logger.filters):
            logger.addFilter(Seldom())
