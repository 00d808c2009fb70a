"""`velocell view`."""

from __future__ import annotations

import re
import secrets
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from velocell.calibration.search import Search
from velocell.cli import options as o
from velocell.cli.guard import say
from velocell.cli.spread import spread
from velocell.errors import OptionError, RecordingError, VelocellError
from velocell.filters.chain import Cleaning

if TYPE_CHECKING:
    from velocell.viewer.session import Session
    from velocell.viewer.settings import Settings

DEMO = "demo"
_WHAT = f"A recording; '{DEMO}': the three simulated disks; or a live source, such as udp://HOST:PORT or replay:FILE."
_QUICK_S = 2.0  # a file that cannot be read is mostly known by then, and said in the terminal
_LOCAL = ("127.0.0.1", "localhost", "::1")
_EVERYWHERE = ("", "0.0.0.0", "::")


@spread
def view(
    file: Annotated[str, typer.Argument(metavar="FILE", help=_WHAT)],
    look_for: o.LookFor,
    part: o.Part,
    clean: o.Clean,
    measures: o.Measures,
    port: Annotated[
        int | None, typer.Option("--port", help="Port of the page; by default 8741, or another one if taken.")
    ] = None,
    host: Annotated[
        str, typer.Option("--host", help="Address to listen on; other machines need the token that is printed.")
    ] = "127.0.0.1",
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Print the address and open nothing.")] = False,
) -> None:
    """Show a recording or a stream in the browser: events, responses, objects, and what each setting changes."""
    from velocell.demo import BANDS, RADIUS_PX
    from velocell.viewer.server import Stage, listening_socket, open_browser, require_server, serve

    require_server()
    if look_for.bands is None and look_for.network is None:
        edges = ",".join(f"{edge:g}" for edge in BANDS.edges)
        look_for = replace(look_for, bands=edges, radius=look_for.radius or f"{RADIUS_PX:g}")
    settings = _settings(look_for.search(), clean.cleaning(), look_for.network)
    if port is not None and not 0 <= port <= 65535:
        raise OptionError(f"--port {port} must lie between 0 and 65535")
    if file == "-":
        raise OptionError("stdin cannot be viewed; save it to a file, or send it to udp://HOST:PORT")
    if file != DEMO and not _is_live(file) and not Path(file).is_file():
        raise RecordingError(f"{file} does not exist or is not a file; check the path")
    sock = listening_socket(host, port)
    what = "Simulating three disks" if file == DEMO else f"Opening {file}"
    stage = Stage(_opening(file, settings, part.sensor, part.frame_time_us), what)
    if stage.wait(_QUICK_S) and stage.failure is not None:
        sock.close()
        raise VelocellError(stage.failure)
    token = None if host in _LOCAL else secrets.token_urlsafe(24)
    name = socket.gethostname() if host in _EVERYWHERE else f"[{host}]" if ":" in host else host
    address = f"http://{name}:{sock.getsockname()[1]}/" + (f"?token={token}" if token else "")
    say(f"the page is at {address} ; stop with Ctrl-C")
    if not no_browser and not open_browser(address):
        say("no browser could be opened; open the address by hand, or forward the port to where one is")
    serve(stage, sock, token)


def _is_live(file: str) -> bool:
    """Whether it is written as a live source is, and no file of that name is there."""
    return re.match(r"[a-z]+:", file) is not None and not Path(file).exists()


def _settings(search: Search, cleaning: Cleaning, network_file: Path | None) -> Settings:
    """What the page begins with. Raises VelocellError."""
    from velocell.viewer.settings import Settings

    assert search.bands is not None
    return Settings(
        bands=search.bands,
        radius=search.one_radius("the page looks for disks of one radius at a time"),
        contrast=search.contrast,
        dt_us=search.dt_us,
        polarity=search.polarity,
        mask_hot=cleaning.mask_hot,
        network=search.networks[0] if search.networks else None,
        network_file="" if network_file is None else str(network_file),
    )


def _opening(
    file: str, settings: Settings, size: tuple[int, int] | None, frame_time_us: int
) -> Callable[[Callable[[], None]], Session]:
    """What opens the recording and makes the session of it."""
    from velocell.viewer.session import Session
    from velocell.viewer.source import InMemory, Source, open_source

    def opened(on_change: Callable[[], None]) -> Session:
        if _is_live(file):
            from velocell import live
            from velocell.viewer.following import LiveSession
            from velocell.viewer.stream import Stream

            stream = Stream(live.open_source(file, size=size, frame_time_us=frame_time_us))
            try:
                return LiveSession(stream, settings, on_change=on_change)
            except VelocellError:
                stream.close()
                raise
        if file == DEMO:
            from velocell.simulate import notebook_scene, simulate

            scene = replace(simulate(notebook_scene())[0], source="velocell-demo/recording.npz")
            source: Source = InMemory(scene, title="demo")
        else:
            source = open_source(file, size=size, frame_time_us=frame_time_us, mask_hot=settings.mask_hot)
        return Session(source, settings, playing=True, on_change=on_change)

    return opened
