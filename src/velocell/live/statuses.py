"""Where a `Status` goes: a file that is replaced, a UDP packet, or pages over HTTP for people and Prometheus."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

from velocell.data.extras import install_line
from velocell.data.files import replacing
from velocell.errors import OptionError, VelocellError, reason
from velocell.live.address import parse_address, resolved
from velocell.live.supervised import Status
from velocell.results.counting import DIRECTIONS


class StatusFile:
    """JSON in a file, replaced in one step."""

    def __init__(self, path: Path) -> None:
        if not path.parent.is_dir():
            raise OptionError(f"cannot write the status to {path}: there is no folder {path.parent}; make it first")
        self._path = path

    def __call__(self, status: Status) -> None:
        try:
            with replacing(self._path) as part:
                part.write_text(json.dumps(status.to_dict()) + "\n", encoding="utf-8")
        except VelocellError as error:
            raise OSError(str(error)) from None

    def close(self) -> None:
        pass


class StatusPackets:
    """JSON as a UDP packet, each second."""

    def __init__(self, text: str) -> None:
        family, self._address = resolved(*parse_address(text))
        self._socket = socket.socket(family, socket.SOCK_DGRAM)

    def __call__(self, status: Status) -> None:
        self._socket.sendto(json.dumps(status.to_dict()).encode(), self._address)

    def close(self) -> None:
        self._socket.close()


class StatusPages:
    """`http://HOST:PORT`: /status is JSON; /health answers 200, or 503 with what is wrong; /metrics is for Prometheus.

    Without a host it listens on loopback. Raises OptionError where the port is taken.
    """

    def __init__(self, text: str) -> None:
        parts = urlsplit(text)
        try:
            host, port = parts.hostname or "127.0.0.1", parts.port
        except ValueError:
            port = None
        if port is None or parts.path not in ("", "/"):
            raise OptionError(f"'{text}' is not http://HOST:PORT, such as http://127.0.0.1:9100; write host and port")
        self.status = Status("")
        pages = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                code, kind, body = pages.page(self.path)
                self.send_response(code)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        try:
            self._server = ThreadingHTTPServer((host, port), Handler)
        except OSError as error:
            raise OptionError(
                f"cannot listen on {text}: {reason(error)}; choose another port, or end the program that has it"
            ) from None
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])
        self._registry = _registry(self) if find_spec("prometheus_client") is not None else None
        self._thread = Thread(target=self._server.serve_forever, args=(0.1,), daemon=True)
        self._thread.start()

    def __call__(self, status: Status) -> None:
        self.status = status

    def page(self, path: str) -> tuple[int, str, bytes]:
        """Status code, type and body."""
        path = path.partition("?")[0]
        if path in ("/", "/status"):
            return 200, "application/json", json.dumps(self.status.to_dict()).encode() + b"\n"
        if path == "/health":
            ok = self.status.healthy
            return (200 if ok else 503), "text/plain; charset=utf-8", b"ok\n" if ok else f"{self.status.why}\n".encode()
        if path == "/metrics" and self._registry is not None:
            from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

            return 200, CONTENT_TYPE_LATEST, generate_latest(self._registry)
        more = "\n" if path != "/metrics" else f"; {install_line('metrics')} gives /metrics\n"
        return 404, "text/plain; charset=utf-8", f"there are /status, /health and /metrics{more}".encode()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def open_status(text: str) -> StatusFile | StatusPackets | StatusPages:
    """A file's path, `udp://HOST:PORT` or `http://HOST:PORT`. Raises OptionError."""
    if text.startswith("udp://"):
        return StatusPackets(text)
    if text.startswith("http://"):
        return StatusPages(text)
    if "://" in text:
        raise OptionError(f"'{text}' is not a place for the status; use a file, udp://HOST:PORT or http://HOST:PORT")
    return StatusFile(Path(text))


_GAUGES = {
    "up_s": ("velocell_up_seconds", "Time since the start."),
    "events_per_s": ("velocell_events_per_second", "Events over the last second."),
    "rows_per_s": ("velocell_rows_per_second", "Rows over the last second."),
    "objects": ("velocell_objects", "Objects within the last second."),
    "latency_ms": ("velocell_latency_milliseconds", "How long the oldest packet waited."),
    "last_event_s": ("velocell_last_event_age_seconds", "Time since events came."),
    "memory_mb": ("velocell_memory_megabytes", "Resident memory."),
    "healthy": ("velocell_healthy", "1 where events come and results go."),
}
_COUNTERS = {
    "events": ("velocell_events", "Events taken."),
    "rows": ("velocell_rows", "Rows given out."),
    "objects_total": ("velocell_objects_seen", "Objects, each once."),
}


def _registry(pages: StatusPages) -> Any:
    from prometheus_client import CollectorRegistry
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    class Collector:
        def collect(self) -> Iterator[Any]:
            values = pages.status.to_dict()
            for key, (name, text) in _GAUGES.items():
                yield GaugeMetricFamily(name, text, value=float("nan") if values[key] is None else float(values[key]))
            for key, (name, text) in _COUNTERS.items():
                yield CounterMetricFamily(name, text, value=values[key])
            lost = CounterMetricFamily("velocell_lost", "What was lost, by what.", labels=["what"])
            for what, n in values["losses"].items():
                lost.add_metric([what], n)
            yield lost
            crossed = CounterMetricFamily("velocell_crossings", "Who crossed a line.", labels=["line", "direction"])
            for each in values["crossings"]:
                for direction in DIRECTIONS:
                    crossed.add_metric([str(each["line"]), direction], each[direction])
            yield crossed

    registry = CollectorRegistry()
    registry.register(Collector())
    return registry
