"""Network addresses, as they are written on the command line."""

from __future__ import annotations

import re
import socket
from typing import Any, Literal

from velocell.errors import OptionError, reason


def parse_address(text: str, scheme: Literal["udp", "tcp"] = "udp") -> tuple[str, int]:
    """`udp://HOST:PORT` -> host and port; IPv6 in brackets. Raises OptionError."""
    match = re.fullmatch(rf"{scheme}://(?:\[([^\]]+)\]|([^:\[\]/]+)):([0-9]{{1,5}})/?", text)
    if match is None or not 0 < int(match[3]) < 1 << 16:
        raise OptionError(
            f"'{text}' is not {scheme}://HOST:PORT, such as {scheme}://127.0.0.1:3333; write host and port"
        )
    return match[1] or match[2], int(match[3])


def resolved(host: str, port: int) -> tuple[int, Any]:
    """Family and address for a socket; of a name that has both, IPv4's, which most senders use.

    Raises OptionError for an unknown host.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
    except (OSError, UnicodeError):
        raise _unknown(host) from None
    family, _, _, _, address = min(found, key=lambda entry: entry[0] != socket.AF_INET)
    return family, address


def connected(text: str, timeout_s: float) -> socket.socket:
    """A connection to `tcp://HOST:PORT`, or to the UNIX socket of `unix:PATH`. Raises OptionError."""
    try:
        if text.startswith("unix:"):
            return _connected_unix(text.removeprefix("unix:"), timeout_s)
        host, port = parse_address(text, "tcp")
        try:
            return socket.create_connection((host, port), timeout_s)
        except (socket.gaierror, UnicodeError):
            raise _unknown(host) from None
    except OSError as error:
        why = reason(error)
        raise OptionError(f"cannot connect to {text}: {why}; start the sender first and check the address") from None


def _connected_unix(path: str, timeout_s: float) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(timeout_s)
    try:
        connection.connect(path)
    except BaseException:
        connection.close()
        raise
    return connection


def _unknown(host: str) -> OptionError:
    return OptionError(f"the host '{host}' is not known; check its name or give its number")
