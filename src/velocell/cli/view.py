"""`velocell view`."""

from __future__ import annotations

import re
import secrets
import socket
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from velocell import engines
from velocell.cli import options as o
from velocell.cli.guard import say
from velocell.cli.outputs import check_distinct, check_output
from velocell.cli.spread import spread
from velocell.errors import OptionError, VelocellError
from velocell.formats import check_readable

if TYPE_CHECKING:
    from velocell.viewer.command import CommandParts
    from velocell.viewer.session import Session
    from velocell.viewer.settings import Settings
    from velocell.viewer.source import Source

DEMO = "demo"
_WHAT = f"A recording, '{DEMO}' for three simulated disks, or a live source such as udp://HOST:PORT or replay:FILE."
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
        str, typer.Option("--host", help="Address to listen on, such as 0.0.0.0 for other machines.")
    ] = "127.0.0.1",
    no_token: Annotated[
        bool,
        typer.Option("--no-token", help="Let every program and user of this machine see the page, without the token."),
    ] = False,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            "--allow-host", metavar="NAME", help="A name, or name:port, under which a proxy shows the page; repeatable."
        ),
    ] = None,
    root_path: Annotated[
        str,
        typer.Option("--root-path", metavar="PATH", help="Path below which a proxy shows the page, such as /lab/view."),
    ] = "",
    folder: Annotated[
        Path | None,
        typer.Option(
            "--folder", metavar="DIR", help="Let the page open recordings of this folder, and files dropped on it."
        ),
    ] = None,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Print the address and open no browser.")] = False,
    record: Annotated[
        Path | None, typer.Option("--record", metavar="RAW", help="Keep a live source's stream, as Prophesee RAW.")
    ] = None,
) -> None:
    """Show a recording or a stream in the browser: events, responses, objects, and the effect of each setting."""
    from velocell.viewer.others import Opener
    from velocell.viewer.server import Door, Stage, listening_socket, open_browser, require_server, serve

    require_server()
    look_for, assumed = _with_defaults(look_for)
    settings = replace(_settings(look_for, part, clean, measures), assumed=() if file == DEMO else assumed)
    part.times_us()  # wrong times are refused before the work
    if port is not None and not 0 <= port <= 65535:
        raise OptionError(f"--port {port} must lie between 0 and 65535")
    if file == "-":
        raise OptionError("stdin cannot be viewed; save it to a file, or send it to udp://HOST:PORT")
    if file != DEMO and not _is_live(file):
        check_readable(file)
    if no_token and host not in _LOCAL:
        raise OptionError(f"--no-token is for this machine only, and --host {host} listens to others; drop one of them")
    _check_record(file, record)
    root = _root(root_path)
    if folder is not None and no_token:
        raise OptionError("--folder is for those who have the token; drop --no-token")
    if folder is not None and not folder.is_dir():
        raise OptionError(f"--folder {folder} is not a folder; check the path")
    sock = listening_socket(host, port)
    what = "Simulating three disks" if file == DEMO else f"Opening {file}"
    stage = Stage(_opening(file, settings, part, record), what)
    if stage.wait(_QUICK_S) and stage.failure is not None:
        sock.close()
        raise VelocellError(stage.failure)
    token = None if no_token else secrets.token_urlsafe(24)
    name = socket.gethostname() if host in _EVERYWHERE else f"[{host}]" if ":" in host else host
    address = f"http://{name}:{sock.getsockname()[1]}{root}/" + (f"?token={token}" if token else "")
    say(f"the page is at {address} ; stop with Ctrl-C")
    if settings.assumed:
        names = " and ".join(settings.assumed)
        say(f"note: {names} are the demo's, since you gave none; set them on the page, or give --bands and --radius")
    if not no_browser and not open_browser(address):
        say("no browser could be opened; open the address by hand, or forward the port to a machine that has one")
    opener = None if folder is None else Opener(folder, partial(_another, part))
    try:
        serve(stage, sock, Door(token, tuple(allow_host or ()), root, opener))
    finally:
        if opener is not None:
            opener.close()


def _with_defaults(look_for: o.LookFor) -> tuple[o.LookFor, tuple[str, ...]]:
    """With the demo's bands and radius where none are given, and which of them those are."""
    from velocell.demo import BANDS, RADIUS_PX

    wants_bands = look_for.bands is None and look_for.network is None
    wants_radius = look_for.radius is None and look_for.network is None and not look_for.template
    if wants_bands:
        look_for = replace(look_for, bands=",".join(f"{edge:g}" for edge in BANDS.edges))
    if wants_radius:
        look_for = replace(look_for, radius=f"{RADIUS_PX:g}")
    assumed = (("bands", wants_bands), ("radius", wants_radius))
    return look_for, tuple(name for name, wanted in assumed if wanted)


def _root(path: str) -> str:
    """A path without a slash at its end. Raises OptionError."""
    root = path.rstrip("/")
    if root and not re.fullmatch(r"(/[\w.~@+-]+)+", root):
        raise OptionError(f"--root-path {path} must be a path such as /lab/view, of letters, digits and . ~ @ + - _")
    return root


def _is_live(file: str) -> bool:
    """Whether it is written as a live source is, and no file of that name is there."""
    return re.match(r"[a-z]+:", file) is not None and not Path(file).exists()


def _settings(look_for: o.LookFor, part: o.Part, clean: o.Clean, measures: o.Measures) -> Settings:
    """What the page begins with; one region is the page's own, which it tunes. Raises VelocellError."""
    from velocell.viewer.settings import Settings

    search, cleaning = look_for.search(), clean.cleaning()
    engines.load(search.engine)
    if len(search.templates) > 1:
        raise OptionError("the page looks for one shape at a time; give one --template, or run view once for each")
    alone = len(cleaning.regions) == 1
    return Settings(
        search,
        replace(cleaning, regions=()) if alone else cleaning,
        region=cleaning.regions[0] if alone else None,
        plane=measures.plane(),
        lines=measures.lines(),
        command_parts=_command_parts(look_for, part, clean, measures),
    )


def _command_parts(look_for: o.LookFor, part: o.Part, clean: o.Clean, measures: o.Measures) -> CommandParts:
    """The words of the command line for what the settings hold as values."""
    from velocell.viewer.command import CommandParts

    files = {"network": look_for.network, "ignore": clean.ignore}
    files["template"] = look_for.template[0] if look_for.template else None
    plane = (("--px-per-mm", measures.px_per_mm), ("--homography", measures.homography))
    return CommandParts(
        **{name: str(path) for name, path in files.items() if path is not None},
        plane=tuple(word for name, value in plane if value is not None for word in (name, str(value))),
        reading=_reading(part),
    )


def _reading(part: o.Part) -> tuple[str, ...]:
    """The words that say how a file is read, and which part of it."""
    frames = part.frame_time if part.frame_time != "1ms" else None
    budget = None if part.budget == 1 else f"{part.budget:g}"
    reading = (
        ("--size", part.size), ("--frame-time", frames), ("--time-unit", part.time_unit),
        ("--from", part.start), ("--to", part.stop), ("--budget", budget),
    )  # fmt: skip
    return tuple(word for name, text in reading if text is not None for word in (name, text))


def _check_record(file: str, record: Path | None) -> None:
    if record is None:
        return
    if not _is_live(file):
        raise OptionError(f"--record keeps a stream, and {file} is a recording already; drop it")
    check_output(record, (".raw",), "the stream")
    check_distinct([record], [Path(file.removeprefix("replay:"))])


def _opening(
    file: str, settings: Settings, part: o.Part, record: Path | None = None
) -> Callable[[Callable[[], None]], Session]:
    """What opens the recording and makes the session of it."""
    from velocell.viewer.session import Session

    def opened(on_change: Callable[[], None]) -> Session:
        if _is_live(file):
            return _streamed(file, settings, part, record, on_change)
        source = _demo(settings, part) if file == DEMO else _read(file, settings, part)
        return Session(source, settings, playing=True, on_change=on_change)

    return opened


def _another(part: o.Part, file: Path, before: Session, on_change: Callable[[], None]) -> Session:
    """Another recording, looked at as the one before; region and part of that one say nothing about it."""
    from velocell.viewer.session import Session

    whole = replace(part, start=None, stop=None)
    parts = replace(before.settings.command_parts, reading=_reading(whole))
    settings = replace(before.settings, region=None, command_parts=parts)
    return Session(_read(str(file), settings, whole), settings, playing=True, on_change=on_change)


def _streamed(
    file: str, settings: Settings, part: o.Part, record: Path | None, on_change: Callable[[], None]
) -> Session:
    from velocell import live
    from velocell.live.record import Recorded
    from velocell.viewer.following import STREAM
    from velocell.viewer.session import Session
    from velocell.viewer.stream import Stream

    source: live.Source = live.open_source(
        file,
        size=part.sensor,
        frame_time_us=part.frame_time_us,
        time_unit=part.time_unit,
        part_us=part.times_us(),
        budget=part.budget,
    )
    try:
        settings.check(source.size)
        source = source if record is None else Recorded(source, record)
        stream = Stream(source, settings.cleaning)
    except VelocellError:
        source.close()
        raise
    try:
        return Session(stream, settings, kind=STREAM, on_change=on_change)
    except VelocellError:
        stream.close()
        raise


def _demo(settings: Settings, part: o.Part) -> Source:
    from velocell.filters.reading import check_from, cleaned
    from velocell.simulate import notebook_scene, simulate
    from velocell.viewer.source import InMemory

    scene = replace(simulate(notebook_scene())[0], source="velocell-demo/recording.npz")
    from_us, to_us = part.times_us()
    check_from(from_us, scene.duration_us, "the demo")
    scene = scene.between(scene.start_us + from_us, None if to_us is None else scene.start_us + to_us)
    return InMemory(cleaned(scene, settings.cleaning, "the demo"), title="demo")


def _read(file: str, settings: Settings, part: o.Part) -> Source:
    from velocell.viewer.opening import open_source

    return open_source(
        file,
        size=part.sensor,
        frame_time_us=part.frame_time_us,
        time_unit=part.time_unit,
        cleaning=settings.cleaning,
        part_us=part.times_us(),
        budget=part.budget,
    )
