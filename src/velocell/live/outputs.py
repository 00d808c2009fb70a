"""Where rows go, as JSON Lines: the first line is {"meta": ...}, each further one a row.

Whole lines are handed to the system at once, at each reporting interval, so a program that is killed leaves
a file of whole lines behind.
"""

from __future__ import annotations

import io
import os
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from velocell.errors import OptionError
from velocell.live.address import parse_address, resolved
from velocell.tracks import Tracks


@dataclass
class Output:
    """send: takes some lines, each with its line break. close: ends the output."""

    send: Callable[[str], object]
    close: Callable[[], object]
    started: bool = False

    def write(self, columns: dict[str, Any], meta: dict[str, Any]) -> None:
        """Rows, by column, behind the line of `meta` if they are the first."""
        text = io.StringIO()
        Tracks.from_columns(columns, meta).write_jsonl(text)
        lines = text.getvalue()
        if self.started:
            lines = lines[lines.index("\n") + 1 :]
        self.started = True
        if lines:
            self.send(lines)


def open_output(target: str) -> Output:
    """`-` is stdout, `udp://HOST:PORT` sends each line as a packet, else a file (.jsonl), replaced if it is there.

    Raises OptionError.
    """
    if target == "-":
        return Output(_to_stdout, lambda: None)
    if target.startswith("udp://"):
        family, address = resolved(*parse_address(target))
        sock = socket.socket(family, socket.SOCK_DGRAM)

        def to_udp(lines: str) -> None:
            for line in lines.splitlines(keepends=True):
                sock.sendto(line.encode(), address)

        return Output(to_udp, sock.close)
    try:
        handle = os.open(Path(target), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    except OSError as error:
        raise OptionError(f"cannot write {target}: {(error.strerror or '').lower()}; choose another place") from None

    def to_file(lines: str) -> None:
        data = lines.encode()
        while data:
            data = data[os.write(handle, data) :]

    return Output(to_file, lambda: os.close(handle))


def _to_stdout(lines: str) -> None:
    sys.stdout.write(lines)
    sys.stdout.flush()
