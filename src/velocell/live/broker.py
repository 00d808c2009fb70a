"""Lines as MQTT messages: `mqtt://[USER:PASSWORD@]HOST[:PORT]/TOPIC`, through paho-mqtt (extra `mqtt`).

Messages have quality of service 1: the broker confirms each. While it is away they wait, MOST of them; what comes
beyond that is lost, and counted. The line of meta data is kept by the broker (retained) at TOPIC/meta.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib.util import find_spec
from threading import Event
from typing import Any
from urllib.parse import unquote, urlsplit

from velocell.data.extras import install_line
from velocell.errors import OptionError, VelocellError

MOST = 100_000  # messages that wait: some 20 MB
_PATIENCE_S = 5.0


class Broker:
    """A connection that comes back by itself. Raises OptionError where there is no broker, or it refuses."""

    def __init__(self, text: str, say: Callable[[str], object]) -> None:
        host, port, topic, user, password = _parsed(text)
        if find_spec("paho") is None:
            raise VelocellError(f"{text} needs paho-mqtt; install it with: {install_line('mqtt')}")
        from paho.mqtt.client import Client
        from paho.mqtt.enums import CallbackAPIVersion

        self.name, self._topic, self._say = f"mqtt://{host}:{port}/{topic}", topic, say
        self._known = Event()
        self._refusal = ""
        self._closing = False
        self._lost = self._sent = self._confirmed = 0
        self._client = client = Client(CallbackAPIVersion.VERSION2)
        if user is not None:
            client.username_pw_set(user, password)
        client.max_queued_messages_set(MOST)
        client.max_inflight_messages_set(1000)
        client.reconnect_delay_set(1, 30)
        client.on_connect, client.on_disconnect, client.on_publish = self._connected, self._gone, self._published
        try:
            client.connect(host, port, keepalive=30)
        except (OSError, ValueError) as error:
            why = str(getattr(error, "strerror", None) or error).lower()
            raise OptionError(f"no MQTT broker answers at {self.name}: {why}; check the address") from None
        client.loop_start()
        self._known.wait(_PATIENCE_S)
        if self._refusal or not self._known.is_set():
            client.disconnect()
            client.loop_stop()
            why = self._refusal or f"no answer within {_PATIENCE_S:g} s"
            raise OptionError(f"the MQTT broker at {self.name} refuses: {why.lower()}; check user, password and rights")

    def send(self, lines: str) -> None:
        """Each line is a message."""
        for line in lines.splitlines():
            is_meta = line.startswith('{"meta"')
            topic = f"{self._topic}/meta" if is_meta else self._topic
            if self._client.publish(topic, line.encode(), qos=1, retain=is_meta).rc == _QUEUE_FULL:
                self._lost += 1
            else:
                self._sent += 1

    def losses(self) -> dict[str, int]:
        return {"messages to the broker": self._lost}

    def close(self) -> None:
        """Once all has gone out, or the broker stays away."""
        self._closing = True
        until = time.monotonic() + _PATIENCE_S
        while self._confirmed < self._sent and time.monotonic() < until:
            time.sleep(0.02)
        if left := self._sent - self._confirmed:
            self._lost += left
            self._say(f"warning: {self.name}: {left} messages were not confirmed at the end")
        self._client.disconnect()
        self._client.loop_stop()

    def _connected(self, client: Any, data: Any, flags: Any, code: Any, *_: Any) -> None:
        if code.is_failure:
            self._refusal = str(code)
        elif self._known.is_set():
            self._say(f"note: {self.name}: connected again")
        self._known.set()

    def _gone(self, client: Any, data: Any, flags: Any, code: Any, *_: Any) -> None:
        if not self._closing and self._known.is_set() and not self._refusal:
            self._say(f"warning: {self.name}: the broker is gone ({str(code).lower()}); messages wait, {MOST} at most")

    def _published(self, *_: Any) -> None:
        self._confirmed += 1


_QUEUE_FULL = 15  # MQTT_ERR_QUEUE_SIZE


def _parsed(text: str) -> tuple[str, int, str, str | None, str | None]:
    parts = urlsplit(text)
    try:
        port = parts.port or 1883
    except ValueError:
        port = 0
    topic = unquote(parts.path.strip("/"))
    if parts.scheme != "mqtt" or not parts.hostname or not port or not topic or set("#+") & set(topic):
        shown = text.rpartition("@")[2] if "@" in text else text
        raise OptionError(
            f"'{shown}' is not mqtt://HOST[:PORT]/TOPIC, such as mqtt://127.0.0.1/belt/1; write host and topic"
        )
    password = None if parts.password is None else unquote(parts.password)
    return parts.hostname, port, topic, None if parts.username is None else unquote(parts.username), password
