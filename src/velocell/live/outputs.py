"""Where rows go, as JSON Lines: the first line is {"meta": ...}, each further one a row.

A file appears under its name once its first lines are ready, in place of what was there; whole lines are handed
to the system at once, at each reporting interval. So a program that is killed leaves whole lines behind, but for
the last one, where the system was stopped in the middle of a write; reading and going on leave that one out.
"""

from __future__ import annotations

import io
import os
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from velocell.data.files import replacing
from velocell.data.side_files import parse_json
from velocell.data.tables import COLUMNS
from velocell.data.tracks import Tracks
from velocell.errors import OptionError, reason
from velocell.live.address import parse_address, resolved

Say = Callable[[str], object]


@dataclass
class Output:
    """send: takes some lines, each with its line break. close: ends the output.

    first_id: of the rows to come; above 0 where they go on from earlier ones, behind a further line of meta data.
    """

    send: Callable[[str], object]
    close: Callable[[], object]
    started: bool = False
    first_id: int = 0

    def write(self, columns: dict[str, Any], meta: dict[str, Any]) -> None:
        """Rows, by column, behind the line of `meta` if they are the first."""
        if not len(columns["t_us"]) and self.started:
            return
        text = io.StringIO()
        ids = np.asarray(columns["id"], np.int32) + self.first_id
        meta = {**meta, "first_id": self.first_id} if self.first_id else meta
        Tracks.from_columns({**columns, "id": ids}, meta).write_jsonl(text, with_meta=not self.started)
        self.started = True
        self.send(text.getvalue())


def open_output(target: str, *, append: bool = False, say: Say = print) -> Output:
    """`-` is stdout, `udp://HOST:PORT` sends each line as a packet, else a file (.jsonl), replaced if it is there.

    append: continue such a file instead; `say` gets a sentence about what is cut off. Raises VelocellError.
    """
    if append and (target == "-" or target.startswith("udp://")):
        raise OptionError(f"--append continues a file, and {target} is not a file; name a .jsonl file or drop it")
    if target == "-":
        return Output(_to_stdout, lambda: None)
    if target.startswith("udp://"):
        family, address = resolved(*parse_address(target))
        sock = socket.socket(family, socket.SOCK_DGRAM)

        def to_udp(lines: str) -> None:
            for line in lines.splitlines(keepends=True):
                sock.sendto(line.encode(), address)

        return Output(to_udp, sock.close)
    file = _File(Path(target))
    first_id = file.go_on(say) if append and file.path.exists() else 0
    return Output(file.send, file.close, first_id=first_id)


class _File:
    """Lines in a file, which is replaced by the first ones unless it is gone on with."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._handle = -1

    def send(self, lines: str) -> None:
        if self._handle < 0:
            with replacing(self.path) as part:
                self._handle = os.open(part, os.O_WRONLY | os.O_APPEND)
                self._write(lines.encode())
        else:
            self._write(lines.encode())

    def _write(self, data: bytes) -> None:
        sent = 0
        try:
            while sent < len(data):
                sent += os.write(self._handle, data[sent:])
        except OSError as error:
            with suppress(OSError):  # a full disk takes a part of a line; what a FIFO took is gone
                os.ftruncate(self._handle, os.lseek(self._handle, 0, os.SEEK_CUR) - sent)
            error.filename = str(self.path)
            raise

    def go_on(self, say: Say) -> int:
        """Take up an earlier file; the first free id. Raises OptionError where these rows do not belong there."""
        free_id, whole = _earlier(self.path)
        try:
            self._handle = os.open(self.path, os.O_RDWR | os.O_APPEND)
            torn = os.lseek(self._handle, 0, os.SEEK_END) - whole
            if torn:
                os.ftruncate(self._handle, whole)
                say(f"{self.path}: the last line was incomplete; its {torn} bytes were cut off")
        except OSError as error:
            why = reason(error)
            raise OptionError(f"cannot continue {self.path}: {why}; name another file") from None
        return free_id

    def close(self) -> None:
        if self._handle >= 0:
            os.close(self._handle)


def _earlier(path: Path) -> tuple[int, int]:
    """The first free id of an earlier output, line by line since it may be large, and where its whole lines end."""

    def refuse(what: str) -> OptionError:
        return OptionError(f"cannot continue {path}: {what}; name another file or drop --append")

    if not path.is_file():
        raise refuse("it is not a regular file")
    free_id = whole = 0
    try:
        with path.open("rb") as lines:
            for number, line in enumerate(lines):
                if not line.endswith(b"\n"):
                    break
                row = parse_json(line)
                if list(row)[: len(COLUMNS)] == list(COLUMNS) and number:
                    free_id = max(free_id, int(row["id"]) + 1)
                elif list(row) != ["meta"] or "velocell" not in row["meta"]:
                    raise refuse(f"its line {number + 1} was not written by velocell live")
                whole += len(line)
    except OSError as error:
        raise refuse(reason(error)) from None
    except (ValueError, TypeError, LookupError):
        raise refuse(f"its line {number + 1} is not a row of JSON Lines") from None
    if not whole:
        raise refuse("it has no complete line")
    return free_id, whole


def _to_stdout(lines: str) -> None:
    sys.stdout.write(lines)
    sys.stdout.flush()
