"""Network addresses, as they are written on the command line."""

from __future__ import annotations

import re
import socket
from typing import Any

from velocell.errors import OptionError


def parse_address(text: str) -> tuple[str, int]:
    """`udp://HOST:PORT` -> host and port; IPv6 in brackets. Raises OptionError."""
    match = re.fullmatch(r"udp://(?:\[([^\]]+)\]|([^:\[\]/]+)):([0-9]{1,5})/?", text)
    if match is None or not 0 < int(match[3]) < 1 << 16:
        raise OptionError(f"'{text}' is not udp://HOST:PORT, such as udp://127.0.0.1:3333; write host and port")
    return match[1] or match[2], int(match[3])


def resolved(host: str, port: int) -> tuple[int, Any]:
    """Family and address for a socket. Raises OptionError for an unknown host."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
    except OSError:
        raise OptionError(f"the host '{host}' is not known; check its name or give its number") from None
    return family, address
