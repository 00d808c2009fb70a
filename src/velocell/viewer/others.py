"""Other recordings that a page may open: those of a folder that was named at the start, and files dropped on it.

Names are looked up in the folder's own list, and what lies behind a link elsewhere is not in it. A dropped file is
written to a folder of its own, which is removed at the end; of more than MOST_BYTES nothing is kept.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from velocell.errors import VelocellError, printable
from velocell.viewer.worker import failed

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from velocell.viewer.server import Stage
    from velocell.viewer.session import Session

MOST_BYTES = 256 << 20
"""Of a dropped file."""
_MOST_FILES = 1_000

Open = Callable[[Path, "Session", Callable[[], None]], "Session"]
"""(file, the session on show, what to call on changes) -> a session of that file. Raises VelocellError."""


class Opener:
    """folder: whose recordings can be opened. open_file: how."""

    def __init__(self, folder: Path, open_file: Open, most_bytes: int = MOST_BYTES) -> None:
        self._folder, self._open_file, self._most_bytes = folder.resolve(), open_file, most_bytes
        self._dropped: TemporaryDirectory[str] | None = None

    def files(self) -> list[str]:
        """Names of the files in the folder itself, in order, without hidden ones."""
        there = (path for path in self._folder.iterdir() if not path.name.startswith("."))
        found = sorted(path.name for path in there if path.is_file() and path.resolve().parent == self._folder)
        return found[:_MOST_FILES]

    def offer(self) -> dict[str, Any]:
        """For the facts that a page gets."""
        try:
            return {"files": self.files(), "most_bytes": self._most_bytes}
        except OSError:
            return {"files": [], "most_bytes": self._most_bytes}

    def close(self) -> None:
        """Remove what was dropped."""
        if self._dropped is not None:
            self._dropped.cleanup()

    def answer(self, stage: Stage, refused: Callable[[str], Response]) -> Callable[[Request], Awaitable[Response]]:
        """POST open?name=...: a file of the folder; with a body, that is the file."""

        async def answer(request: Request) -> Response:
            from starlette.responses import Response

            name = request.query_params.get("name", "")
            try:
                path = (
                    await self._dropped_file(request, name)
                    if request.query_params.get("dropped")
                    else self._named(name)
                )
                before = stage.session
                if before is None:
                    raise VelocellError("a recording is being opened already; wait for it")
                await asyncio.to_thread(stage.show, lambda changed: self._open_file(path, before, changed))
            except Exception as error:
                return refused(failed(error))
            return Response(status_code=204)

        return answer

    def _named(self, name: str) -> Path:
        if name not in self.files():
            raise VelocellError(
                f"there is no recording {printable(name):.100} in the folder that was given with --folder"
            )
        return self._folder / name

    async def _dropped_file(self, request: Request, name: str) -> Path:
        """What the request brings, written down under the end of its name: the suffix matters, nothing else."""
        if self._dropped is None:
            self._dropped = TemporaryDirectory(prefix="velocell-dropped-")
        safe = "".join(letter if letter.isalnum() or letter in "._-" else "_" for letter in Path(name).name)[
            -80:
        ].lstrip(".")
        path = Path(self._dropped.name) / (safe or "recording")
        part, size = path.with_name(f"part-{path.name}"), 0
        try:
            with part.open("wb") as file:
                async for piece in request.stream():
                    size += len(piece)
                    if size > self._most_bytes:
                        raise VelocellError(
                            f"{printable(name):.100} is larger than {self._most_bytes >> 20} MB; put it into the "
                            "folder given with --folder, or start velocell view on it"
                        )
                    await asyncio.to_thread(file.write, piece)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
        return path
