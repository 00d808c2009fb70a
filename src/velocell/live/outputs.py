"""Where rows go, as JSON Lines: each line is a row, and the first one has the meta data too, as its key `meta`.

A file appears under its name once its first interval is ready, in place of what was there; whole lines are handed
to the system at once, at each reporting interval. So a program that is killed leaves whole lines behind, but for
the last one, where the system was stopped in the middle of a write; reading and going on leave that one out.
"""

from __future__ import annotations

import io
import itertools
import json
import os
import socket
import stat
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np

from velocell.data.files import replacing
from velocell.data.side_files import parse_json
from velocell.data.tables import COLUMNS
from velocell.data.tracks import Tracks
from velocell.errors import OptionError, VelocellError, reason
from velocell.live.address import parse_address, resolved
from velocell.live.broker import Broker
from velocell.live.rotation import Rotation

Say = Callable[[str], object]

_LOOK_S = 1.0  # between two looks whether the file is still there
_AT_ONCE, _MOMENT_MS = 4096, 200


@dataclass
class Output:
    """send: takes some lines, each with its line break. close: ends the output. started, begun: whether the meta data
    have been sent, and whether anything has, if only that there is no row yet.

    first_id: of the rows to come; above 0 where they go on from earlier ones, and have meta data of their own.
    begin_again: whether the next row has to have the meta data again, such as in a new file. meta_apart: they are sent
    at once, as a line of their own, to where they are not taken for a row. keeps: a full disk is an
    error, as is right where the work can be done again; otherwise rows are lost, counted, and tried anew with the next.
    stop: once it is set, a reader that has stalled is not waited for.
    """

    send: Callable[[str], object]
    close: Callable[[], object]
    started: bool = False
    begun: bool = False
    first_id: int = 0
    begin_again: Callable[[], bool] = lambda: False
    meta_apart: bool = False
    losses: Callable[[], dict[str, int]] = dict
    keeps: bool = True
    lost_rows: int = 0
    trouble: str = ""
    stop: Event = field(default_factory=Event)

    def write(self, columns: dict[str, Any], meta: dict[str, Any]) -> None:
        """Rows, by column, with `meta` if they are the first."""
        if self.begin_again():
            self.started = self.begun = False
        n = len(columns["t_us"])
        if self.meta_apart and not self.started:
            self.finish(meta)
        if not n:
            if not self.begun:
                self.begun = self.sent("", 0)  # what cannot be written is known before the first row
            return
        text = io.StringIO()
        ids = np.asarray(columns["id"], np.int32) + self.first_id
        table = Tracks.from_columns({**columns, "id": ids}, self._whole(meta))
        table.write_jsonl(text, with_meta=not self.started)
        if self.sent(text.getvalue(), n):
            self.started = self.begun = True

    def finish(self, meta: dict[str, Any]) -> None:
        """The end: where there was no row, the meta data alone."""
        if not self.started and self.sent(json.dumps({"meta": self._whole(meta)}) + "\n", 0):
            self.started = self.begun = True

    def _whole(self, meta: dict[str, Any]) -> dict[str, Any]:
        return {**meta, "first_id": self.first_id} if self.first_id else meta

    def sent(self, lines: str, rows: int) -> bool:
        """Send lines that hold so many rows; whether they went."""
        try:
            self.send(lines)
        except (OSError, VelocellError) as error:
            if self.keeps or isinstance(error, BrokenPipeError):
                raise
            self.lost_rows += rows
            self.trouble = f"no place for rows: {reason(error) if isinstance(error, OSError) else error}"
            return False
        self.trouble = ""
        return True

    def all_losses(self) -> dict[str, int]:
        """What was lost, by what it was."""
        return {"rows not written": self.lost_rows, **self.losses()}


def open_output(target: str, *, append: bool = False, say: Say = print, rotation: Rotation | None = None) -> Output:
    """`-` is stdout, `udp://HOST:PORT` sends each line as a packet, `mqtt://HOST/TOPIC` as a message to a broker,
    else it is a file (.jsonl), replaced if it is there.

    append: continue such a file instead; `say` gets a sentence about what is cut off. rotation: when a file gets
    another name and a new one begins. Raises VelocellError.
    """
    is_file = target != "-" and "://" not in target
    if append and not is_file:
        raise OptionError(f"--append continues a file, and {target} is not a file; name a .jsonl file or drop it")
    if rotation is not None and rotation.asked and not is_file:
        raise OptionError(f"--rotate begins new files, and {target} is not a file; name a .jsonl file or drop it")
    if target == "-":
        stdout = Output(lambda lines: _to_stdout(lines, stdout.stop, say), lambda: None)
        return stdout
    if target.startswith("udp://"):
        family, address = resolved(*parse_address(target))
        sock = socket.socket(family, socket.SOCK_DGRAM)

        def to_udp(lines: str) -> None:
            for line in lines.splitlines(keepends=True):
                sock.sendto(line.encode(), address)

        return Output(to_udp, sock.close)
    if target.startswith("mqtt://"):
        broker = Broker(target, say)
        return Output(broker.send, broker.close, losses=broker.losses, meta_apart=True)
    if not is_file:
        raise OptionError(f"'{target}' is not an output; use a .jsonl file, udp://HOST:PORT, mqtt://HOST/TOPIC or -")
    file = _File(Path(target), rotation or Rotation(), say)
    first_id = file.go_on(say) if append and file.path.exists() else 0
    return Output(file.send, file.close, first_id=first_id, begin_again=file.rotated)


class _File:
    """Lines in a file, which is replaced by the first ones unless it is gone on with."""

    def __init__(self, path: Path, rotation: Rotation, say: Say = print) -> None:
        self.path, self._rotation = path, rotation
        self._say, self._handle = say, -1
        self._looked_s, self._lost = 0.0, False
        self._size = 0
        self._began = time.time()

    def rotated(self) -> bool:
        """Whether a new file has begun: the old one is closed, and stands under another name. One without a row goes
        on, unless somebody, such as logrotate, has moved it."""
        if self._handle < 0 or not self._rotation.due(self._size, time.time() - self._began):
            return False
        moved = self._moved()
        if not self._size and not moved:
            return False
        os.close(self._handle)
        self._handle = -1
        if not moved:
            with suppress(OSError):
                self.path.rename(self._free_name())
        return True

    def _moved(self) -> bool:
        """Whether the file that is open stands under its name no more."""
        try:
            return not os.path.samestat(self.path.stat(), os.fstat(self._handle))
        except OSError:
            return True

    def _free_name(self) -> Path:
        """`out.20261129T041500Z.jsonl`, by when it began; with a number behind it where that is taken."""
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(self._began))
        names = (f"{stamp}{more}" for more in itertools.chain([""], map("-{}".format, itertools.count(1))))
        return next(path for name in names if not (path := self.path.with_suffix(f".{name}.jsonl")).exists())

    def send(self, lines: str) -> None:
        data = lines.encode()
        if self._handle < 0:
            self._begin(data)
        else:
            self._write(data)
            self._look_for_it()
        self._size += len(data)

    def _begin(self, data: bytes) -> None:
        """The file gets its name once the first lines are in it; where they find no place, it is as if never begun."""
        self._size, self._began, self._lost = 0, time.time(), False
        try:
            with replacing(self.path) as part:
                self._handle = os.open(part, os.O_WRONLY | os.O_APPEND)
                _lock(self._handle, self.path)
                self._write(data)
        except BaseException:
            self.close()
            raise

    def _look_for_it(self) -> None:
        """Say it once where the file was moved or deleted: rows go into the one that was opened, wherever it is."""
        now_s = time.monotonic()
        if self._lost or now_s - self._looked_s < _LOOK_S:
            return
        self._looked_s = now_s
        self._lost = self._moved()
        if self._lost and self._is_regular():
            self._say(f"warning: {self.path} was moved, replaced or deleted; further rows do not come under that name")

    def _is_regular(self) -> bool:
        return stat.S_ISREG(os.fstat(self._handle).st_mode)

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
            _lock(self._handle, self.path)
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
            self._handle = -1


def _earlier(path: Path) -> tuple[int, int]:
    """The first free id of an earlier output, line by line since it may be large, and where its whole lines end."""

    def refuse(what: str) -> OptionError:
        return OptionError(f"cannot continue {path}: {what}; name another file or drop --append")

    if not path.is_file():
        raise refuse("it is not a regular file")
    free_id = whole = 0
    line = b""
    try:
        with path.open("rb") as lines:
            for number, line in enumerate(lines):
                if not line.endswith(b"\n"):
                    break
                row = parse_json(line)
                names = [name for name in row if name != "meta"]
                has_meta = "meta" in row and "velocell" in row["meta"]
                if names[: len(COLUMNS)] == list(COLUMNS) and (number or has_meta):
                    free_id = max(free_id, int(row["id"]) + 1)
                elif names or not has_meta:
                    raise refuse(f"its line {number + 1} was not written by velocell live")
                whole += len(line)
    except OSError as error:
        raise refuse(reason(error)) from None
    except (ValueError, TypeError, LookupError):
        raise refuse(f"its line {number + 1} is not a row of JSON Lines") from None
    if line and not whole:  # one without a row yet is empty
        raise refuse("it has no complete line")
    return free_id, whole


def _lock(handle: int, path: Path) -> None:
    """Two programs that write one file would mix their rows. Raises OptionError where another one does."""
    if sys.platform == "win32" or not stat.S_ISREG(os.fstat(handle).st_mode):
        return
    import fcntl

    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise OptionError(f"another program is writing {path}; stop it, or name another file") from None
    except OSError:  # some network file systems have no locks
        return


def _to_stdout(lines: str, stop: Event, say: Say) -> None:
    """A reader that has stalled is waited for until `stop`; what it does not take then is lost, and that is said."""
    try:
        handle = sys.stdout.fileno()
    except (OSError, ValueError):  # no file of the system, as in tests
        sys.stdout.write(lines)
        return
    sys.stdout.flush()
    data = lines.encode()
    while data:
        if _takes(handle):
            data = data[os.write(handle, data[:_AT_ONCE]) :]
        elif stop.is_set():
            say(f"warning: the reader of stdout has stalled; {len(data)} bytes of rows are lost")
            return


def _takes(handle: int) -> bool:
    """Whether the reader takes more, within a moment; a pipe that does takes _AT_ONCE bytes."""
    if sys.platform == "win32":
        return True
    import select

    waiting = select.poll()
    waiting.register(handle, select.POLLOUT)
    return bool(waiting.poll(_MOMENT_MS))
