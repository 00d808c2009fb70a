"""`Spool`: columns that grow, in memory as long as they are few, then in a temporary file."""

from __future__ import annotations

import errno
import os
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from velocell.data.tables import GROUP_ROWS, Columns
from velocell.errors import VelocellError

HELD_BYTES = 4 << 20


class Spool:
    """Arrays by name that are added piece by piece, and read again from the start, as often as is asked.

    types: of the columns, which all pieces share. Close it, or use it as a context: its files have no name
    and go with it. Raises VelocellError where the disk for temporary files is full, ValueError for a piece with other
    columns.
    """

    def __init__(self) -> None:
        self._held: list[Columns] = []
        self._files: dict[str, IO[bytes]] = {}
        self._stack = ExitStack()
        self.types: dict[str, np.dtype[Any]] = {}
        self._bytes = 0
        self._rows = 0

    def __len__(self) -> int:
        return self._rows

    def add(self, columns: Mapping[str, NDArray[Any]]) -> None:
        """The next rows; arrays (n,)."""
        piece = {name: np.asarray(values) for name, values in columns.items()}
        if not self.types:
            self.types = {name: values.dtype for name, values in piece.items()}
        if piece.keys() != self.types.keys():
            raise ValueError(f"a piece has the columns {', '.join(piece)}, those before {', '.join(self.types)}")
        n = len(next(iter(piece.values())))
        if not n:
            return
        self._rows += n
        self._held.append(piece)
        self._bytes += sum(values.nbytes for values in piece.values())
        if self._bytes > HELD_BYTES:
            self._write()

    def parts(self, rows: int = GROUP_ROWS) -> Iterator[Columns]:
        """All rows, at most so many at a time; at least one part, which may be empty."""
        if self._files:
            yield from self._read(rows)
            return
        whole = self._joined()
        for first in range(0, max(self._rows, 1), rows):
            yield {name: values[first : first + rows] for name, values in whole.items()}

    def whole(self) -> Columns:
        """All rows at once."""
        return next(self.parts(max(self._rows, 1)))

    def column(self, name: str) -> Iterator[NDArray[Any]]:
        """One of the columns, part by part."""
        return (part[name] for part in self.parts())

    def save(self, path: Path) -> None:
        """Write all rows as an .npz of plain arrays, part by part; `saved` reads it."""
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
            for name, kind in self.types.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    head = {"descr": npy.dtype_to_descr(kind), "fortran_order": False, "shape": (self._rows,)}
                    npy.write_array_header_1_0(member, head)
                    for values in self.column(name):
                        member.write(np.ascontiguousarray(values, kind).tobytes())

    def close(self) -> None:
        self._stack.close()

    def __enter__(self) -> Spool:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _joined(self) -> Columns:
        none = {name: np.empty(0, dtype) for name, dtype in self.types.items()}
        return {name: np.concatenate([none[name], *(piece[name] for piece in self._held)]) for name in none}

    def _write(self) -> None:
        try:
            for name, values in self._joined().items():
                if name not in self._files:
                    file = tempfile.TemporaryFile()  # noqa: SIM115 (`close` does)
                    self._files[name] = self._stack.enter_context(file)
                self._files[name].seek(0, os.SEEK_END)
                self._files[name].write(np.ascontiguousarray(values, self.types[name]).data)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise VelocellError(
                f"the results do not fit into {tempfile.gettempdir()}; free some space, or set TMPDIR to a larger disk"
            ) from None
        self._held, self._bytes = [], 0

    def _read(self, rows: int) -> Iterator[Columns]:
        self._write()
        for first in range(0, self._rows, rows):
            n = min(rows, self._rows - first)
            part = {}
            for name, file in self._files.items():
                kind = self.types[name]
                file.seek(first * kind.itemsize)
                part[name] = np.frombuffer(file.read(n * kind.itemsize), kind)
            yield part


def saved(path: Path, rows: int = GROUP_ROWS) -> Iterator[Columns]:
    """What `Spool.save` wrote, at most so many rows at a time; nothing where nothing was added to it."""
    with zipfile.ZipFile(path) as archive, ExitStack() as stack:
        members: dict[str, tuple[IO[bytes], np.dtype[Any]]] = {}
        n = 0
        for name in archive.namelist():
            handle = stack.enter_context(archive.open(name))
            npy.read_magic(handle)
            (n,), _, kind = npy.read_array_header_1_0(handle)
            members[name.removesuffix(".npy")] = handle, kind
        for first in range(0, max(n, 1) if members else 0, rows):
            wanted = min(rows, n - first)
            yield {
                name: np.frombuffer(handle.read(wanted * kind.itemsize), kind)
                for name, (handle, kind) in members.items()
            }
