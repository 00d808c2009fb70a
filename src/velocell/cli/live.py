"""`velocell live`: objects in a stream while it arrives."""

from __future__ import annotations

import gc
import json
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from velocell.cli import options as o
from velocell.cli.counts import write_counts
from velocell.cli.guard import say, speak
from velocell.cli.outputs import check_distinct, check_output
from velocell.cli.spread import spread
from velocell.data.units import parse_time_us
from velocell.errors import OptionError, VelocellError
from velocell.results.counting import Gate, read_counts

if TYPE_CHECKING:
    from velocell.live import Settings, Source
    from velocell.live.messages import Messages
    from velocell.live.outputs import Output
    from velocell.live.rotation import Rotation

_SWITCH_S = 0.0001  # the first second is measured beside the rest, which must not wait for it


def _supervision(*names: str, **more: Any) -> Any:
    return typer.Option(*names, rich_help_panel="Supervision", **more)


@dataclass(frozen=True)
class Supervision:
    """How somebody, or something, looks after it."""

    status: Annotated[
        list[str] | None,
        _supervision(
            "--status",
            metavar="WHERE",
            help="How it is, each second: a JSON file, udp://HOST:PORT, or http://HOST:PORT for /status, /health and "
            "/metrics (Prometheus); can be repeated.",
        ),
    ] = None
    heartbeat: Annotated[
        str | None, _supervision("--heartbeat", metavar="TIME", help="Say how it is this often, such as 60s.")
    ] = None
    silence: Annotated[
        str, _supervision("--silence", metavar="TIME", help="Warn where no events come for this long; 0s: never.")
    ] = "5s"
    reconnect: Annotated[
        bool,
        _supervision("--reconnect", help="Wait for the sender, and connect again where it is gone or began anew."),
    ] = False
    rotate: Annotated[
        str | None,
        _supervision("--rotate", metavar="1h|1GB", help="Begin a new file after this long, or at this size; or both."),
    ] = None
    record: Annotated[
        Path | None, _supervision("--record", metavar="RAW", help="Keep the stream itself, as Prophesee RAW.")
    ] = None
    log: Annotated[
        Literal["text", "json"],
        _supervision("--log", help="What is said on stderr: in words, or a JSON object a line."),
    ] = "text"
    quiet: Annotated[bool, _supervision("--quiet", "-q", help="Say only warnings and errors.")] = False


@spread
def live(
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help="replay:FILE, udp:// or tcp://HOST:PORT, camera:, -.")
    ],
    look_for: o.LookFor,
    part: o.Part,
    clean: o.Clean,
    measures: o.Measures,
    supervision: Supervision,
    out: Annotated[
        str | None,
        o.output(
            "--out", "-o", metavar="OUT",
            help="Rows as JSON Lines: a .jsonl file, udp://HOST:PORT, mqtt://HOST/TOPIC or -, which is usual.",
        ),
    ] = None,
    messages: Annotated[
        str | None,
        o.output(
            "--messages", metavar="OUT",
            help="A message per object and event (appeared, crossed a line, left), to the same kinds of places; rows "
            "only with --out, then.",
        ),
    ] = None,
    speed: Annotated[
        str,
        typer.Option(
            "--speed", metavar="N|max", help="Speed of a replay: a factor, or max; 1 is the recording's own pace."
        ),
    ] = "1",
    sender: Annotated[
        str | None,
        typer.Option(
            "--sender",
            metavar="ADDRESS",
            help="Of udp://: follow only this address, or address:port; by default the first sender is followed.",
        ),
    ] = None,
    append: Annotated[
        bool, typer.Option("--append", help="Continue an earlier output instead of replacing it.")
    ] = False,
) -> None:  # fmt: skip
    """Find the objects in a stream as it arrives: from a camera, or from a recording played at its own pace."""
    from velocell.live import Settings
    from velocell.live.rotation import Rotation

    speak(quiet=supervision.quiet, log=supervision.log)
    search = look_for.search()
    if len(search.templates) > 1:
        raise OptionError("live looks for one shape at a time; give one --template, or run live once for each")
    settings = Settings(search, clean.cleaning(), measures.plane(), measures.lines())
    if out is None and messages is None:
        out = "-"
    counts = _checked(source, out, messages, supervision, bool(settings.lines))
    earlier = _counted_before(counts, out, settings) if append else Counter()
    job = _Job(source, settings, part, speed, sender, out, messages, append, supervision, counts, earlier)
    with _signals() as signals:
        summary = job.run(signals, Rotation.parse(supervision.rotate))
        say(f"{source}: {summary}")
    if signal.SIGINT in signals.came:
        raise KeyboardInterrupt


@dataclass(frozen=True)
class _Signals:
    """stop: is set by Ctrl-C and SIGTERM, so that the work ends between two steps; a second one breaks it off, as does
    the first while `opening` is set: who is connected to may be silent. came: the signals that came. on_hup: to be set
    at SIGHUP, where there is one."""

    stop: Event = field(default_factory=Event)
    opening: Event = field(default_factory=Event)
    came: list[int] = field(default_factory=list)
    on_hup: list[Event] = field(default_factory=list)

    def end(self, number: int, frame: Any) -> None:
        self.came.append(number)
        again = self.stop.is_set()
        self.stop.set()
        if again or self.opening.is_set():
            raise KeyboardInterrupt

    def hang_up(self, number: int, frame: Any) -> None:
        for event in self.on_hup:
            event.set()


@dataclass(frozen=True)
class _Job:
    """The whole command, in values. counts: where crossings are counted; earlier: those of the output that goes on."""

    source: str
    settings: Any
    part: o.Part
    speed: str
    sender: str | None
    out: str | None
    messages: str | None
    append: bool
    supervision: Supervision
    counts: Path | None
    earlier: Counter[tuple[int, str, int]]
    lists: list[Output] = field(default_factory=list)

    def run(self, signals: _Signals, rotation: Rotation) -> Any:
        from velocell import live
        from velocell.live.statuses import open_status
        from velocell.live.supervised import Watch, notify_systemd, to_systemd

        wanted = self.supervision
        stop = signals.stop
        silence_s, heartbeat_s = _seconds(wanted.silence), _seconds(wanted.heartbeat or "0s")
        with ExitStack() as stack:
            places = [stack.enter_context(closing(open_status(text))) for text in wanted.status or ()]
            events = stack.enter_context(closing(self._events(signals)))
            output, messages = self._outputs(stack, events, rotation, signals.on_hup)
            for each in self.lists:
                each.stop = stop
            silence_s = 0.0 if events.waits and self.source != "-" else silence_s
            watch = Watch(
                events, say, outputs=self.lists, silence_s=silence_s, heartbeat_s=heartbeat_s,
                publish=[*places, to_systemd],
            )  # fmt: skip
            notify_systemd("READY=1")
            stack.callback(notify_systemd, "STOPPING=1")
            with watch:
                return live.run(events, self.settings, output, stop, say, self._counting(events), messages, watch)

    def _counting(self, events: Source) -> Callable[[Gate], object]:
        """Writes the counts, which are sums: what finds no place now is in the next ones. Only a replay ends there."""
        names = self.settings.search.bands.names
        said = Event()

        def on_count(gate: Gate) -> None:
            if self.counts is None:
                return
            try:
                write_counts(self.counts, [(None, self.earlier + gate.counts)], gate.lines, names)
                said.clear()
            except VelocellError as error:  # which is not kept: it holds the events of all who called
                if events.waits:
                    raise
                if not said.is_set():
                    say(f"warning: {error}; the counts are written with the next crossing")
                said.set()

        return on_count

    def _events(self, signals: _Signals) -> Source:
        from velocell.live import open_source
        from velocell.live.reconnecting import Reconnecting
        from velocell.live.record import Recorded
        from velocell.live.tcp import Tcp
        from velocell.live.udp import Udp

        def opened() -> Source:
            signals.opening.set()
            try:
                events = open_source(
                    self.source, size=self.part.sensor, frame_time_us=self.part.frame_time_us, speed=self.speed,
                    time_unit=self.part.time_unit, sender=self.sender, every_us=self.settings.search.every_us,
                    part_us=self.part.times_us(), budget=self.part.budget,
                )  # fmt: skip
            finally:
                signals.opening.clear()
            if isinstance(events, Udp | Tcp):
                events.say = say
            return events

        if self.supervision.reconnect:
            if self.source == "-" or self.source.startswith("replay:"):
                raise OptionError(f"--reconnect is for senders that come back, and {self.source} does not; drop it")
            events: Source = Reconnecting(self.source, opened, say, signals.stop)
        else:
            events = opened()
        if self.supervision.record is None:
            return events
        try:
            return Recorded(events, self.supervision.record)
        except OptionError:
            events.close()
            raise

    def _outputs(
        self, stack: ExitStack, events: Source, rotation: Rotation, on_hup: list[Event]
    ) -> tuple[Output, Messages | None]:
        """Rows and messages, each where it was asked for."""
        from velocell.live.messages import Messages
        from velocell.live.outputs import Output, open_output
        from velocell.live.rotation import Rotation

        def opened(target: str) -> Output:
            each = Rotation(rotation.every_s, rotation.bytes) if _is_file(target) else Rotation()
            on_hup.append(each.now)
            output = open_output(target, append=self.append, say=say, rotation=each)
            output.keeps = events.waits
            self.lists.append(output)
            stack.callback(output.close)
            return output

        rows = Output(lambda lines: None, lambda: None) if self.out is None else opened(self.out)
        if self.messages is None:
            return rows, None
        target = opened(self.messages)
        bands = self.settings.search.bands.names
        from velocell.live.loop import gone_us

        return rows, Messages(_as_messages(target), bands, gone_us(self.settings.search.rules))


def _as_messages(output: Output) -> Callable[[str], object]:
    def send(lines: str) -> None:
        output.begin_again()  # a file of messages has no line of meta data
        output.sent(lines, lines.count("\n"))

    return send


def _is_file(target: str) -> bool:
    return target != "-" and "://" not in target


def _seconds(text: str) -> float:
    us = parse_time_us(text)
    if us < 0:
        raise OptionError(f"'{text}' must not be negative; give a time such as 5s")
    return us / 1e6


def _checked(source: str, out: str | None, messages: str | None, wanted: Supervision, counted: bool) -> Path | None:
    """Where crossings are counted: beside an output that is a file. Raises VelocellError for outputs that cannot be."""
    files = [Path(target) for target in (out, messages) if target is not None and _is_file(target)]
    if wanted.rotate is not None and not files:
        raise OptionError(
            f"--rotate begins new files, and {out or messages} is not a file; name a .jsonl file or drop it"
        )
    for path in files:
        check_output(path, (".jsonl",), "rows")
    counts = Path(f"{out}.counts.csv") if counted and out is not None and Path(out) in files else None
    if counts is not None:
        check_output(counts, (".csv",), "counts")
    if wanted.record is not None:
        check_output(wanted.record, (".raw",), "the stream")
    if out == messages == "-":
        raise OptionError("--out and --messages both go to stdout; give one of them another place")
    more = [path for path in (counts, wanted.record) if path is not None]
    check_distinct([*files, *more], [Path(source.removeprefix("replay:"))])
    return counts


def _counted_before(counts: Path | None, out: str | None, settings: Settings) -> Counter[tuple[int, str, int]]:
    """The crossings that an output to be continued holds. Raises OptionError for those of other lines or bands."""
    if counts is None or out is None:
        return Counter()
    bands, rows = settings.search.bands, Path(out)
    assert bands is not None  # the options bring them, or the network
    if counts.exists():
        earlier = read_counts(counts, settings.lines, bands.names)
        edges = _edges_of(rows)  # the counts hold only the names
        if edges is not None and edges != list(bands.edges):
            raise OptionError(
                f"cannot continue {counts}: it counts bands with the edges {','.join(map(str, edges))}; "
                "name another file or drop --append"
            )
        return earlier
    if rows.exists():
        say(f"note: there is no {counts}, so crossings are counted from here on")
    return Counter()


def _edges_of(rows: Path) -> Any:
    """The band edges that a file of rows begins with; None where it says nothing of them."""
    if not rows.is_file():
        return None
    try:
        with rows.open("rb") as lines:
            return json.loads(lines.readline())["meta"]["network"]["bands"]["edges_px_s"]
    except (OSError, ValueError, LookupError, TypeError):
        return None


@contextmanager
def _signals() -> Iterator[_Signals]:
    """What signals do while the command runs."""
    signals = _Signals()
    handlers = {signal.SIGINT: signals.end, signal.SIGTERM: signals.end}
    if sys.platform != "win32" and not sys.stderr.isatty():  # a terminal that closes means the end, as ever
        handlers[signal.SIGHUP] = signals.hang_up
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    interval = sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH_S)
    # What is loaded by now stays, and is not looked through for garbage again and again.
    gc.collect()
    gc.freeze()
    try:
        yield signals
    finally:
        gc.unfreeze()
        sys.setswitchinterval(interval)
        for number, handler in before.items():
            signal.signal(number, handler)
