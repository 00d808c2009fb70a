"""What supervises a stream: a thread that looks at it every second, says what is wrong while it matters, and gives
out how it is.

It only reads: counters of the loop (`Summary`), of the source (`losses()`, `heard_s`) and of the outputs (`lost`). So
nothing that it does can hold up a tick, and where the source receives in a thread of its own, what waits for the loop
hides nothing.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from threading import Event, Lock, Thread
from typing import Any, Literal

from velocell.data.units import utc_now
from velocell.live.outputs import Output
from velocell.live.sources import Source

PERIOD_S = 1.0
Say = Callable[[str], object]
Publish = Callable[["Status"], object]


@dataclass(frozen=True)
class Status:
    """How a stream is. *_per_s: over the last second. latency_ms: how long the oldest packet waited. losses: counts by
    what was lost. last_event_s: how long ago events came, None before the first. objects: seen within the last second,
    objects_total: ever. crossings: of each counting line, by its number `line`, how many went `to_right` and `to_left`
    since the start. healthy: whether events come and results go; why: what is wrong. at: when this was, in UTC.
    state: `running`, or `ended` in the last one of all, which is not healthy: no events come any more."""

    source: str
    up_s: float = 0.0
    events: int = 0
    events_per_s: float = 0.0
    rows: int = 0
    rows_per_s: float = 0.0
    objects: int = 0
    objects_total: int = 0
    latency_ms: float = 0.0
    last_event_s: float | None = None
    ticks_dropped: int = 0
    losses: dict[str, int] = field(default_factory=dict)
    crossings: Sequence[dict[str, int]] = ()
    memory_mb: float = 0.0
    healthy: bool = True
    why: str = ""
    at: str = ""
    state: Literal["running", "ended"] = "running"

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        lost = ", ".join(f"{n} {what}" for what, n in self.losses.items() if n) or "nothing lost"
        return (
            f"{self.events_per_s / 1e3:.1f} kev/s, latency {self.latency_ms:.1f} ms, {self.objects} objects, "
            f"{self.rows_per_s:.0f} rows/s; {lost}; {self.memory_mb:.0f} MB"
        )


class Watch:
    """Looks at a running loop each PERIOD_S. counts: gives the loop's counters; outputs: what may lose rows.

    silence_s: without events for longer, it says so; 0: never. heartbeat_s: between two lines that say how it is, 0
    for none. publish: get each Status.
    """

    def __init__(
        self,
        source: Source,
        say: Say,
        *,
        outputs: Sequence[Output] = (),
        silence_s: float = 5.0,
        heartbeat_s: float = 0.0,
        publish: Sequence[Publish] = (),
    ) -> None:
        self._source, self._say, self._outputs = source, say, outputs
        self._silence_s, self._heartbeat_s, self._publish = silence_s, heartbeat_s, publish
        self.counts: Callable[[], Any] = lambda: None
        self._over, self._lock = Event(), Lock()
        self._thread = Thread(target=self._run, daemon=True)
        self._started = self._event_at = self._beat_at = time.monotonic()
        self._quiet_s = 0.0
        self._silent = self._seen_any = False
        self._ended = ""
        self._before = Status(source.name)
        self._told: dict[str, int] = {}
        self._refused: set[str] = set()

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._over.set()
        self._thread.join()
        self._ended = f"ended: {error}" if error is not None and str(error) else "ended"
        losses = {what: n for what, n in self.look().losses.items() if n}
        if losses:
            self._say(f"{self._source.name}: lost in all: {', '.join(f'{n} {what}' for what, n in losses.items())}")

    def _run(self) -> None:
        while not self._over.wait(PERIOD_S):
            self.look()

    def look(self) -> Status:
        """One look, now."""
        with self._lock:
            status = self._status()
            self._say_silence(status)
            self._say_losses(status)
            if self._heartbeat_s and time.monotonic() - self._beat_at >= self._heartbeat_s:
                self._beat_at = time.monotonic()
                self._say(f"{self._source.name}: {status}")
            for publish in self._publish:
                self._published(publish, status)
            self._before = status
            return status

    def _published(self, publish: Publish, status: Status) -> None:
        """A status that nobody takes must not end the stream; it is said once, until it is taken again."""
        name = repr(publish)
        try:
            publish(status)
            self._refused.discard(name)
        except OSError as error:
            if name not in self._refused:
                self._refused.add(name)
                self._say(f"warning: the status cannot be given out: {(error.strerror or str(error)).lower()}")

    def _status(self) -> Status:
        now, before = time.monotonic(), self._before
        counts = self.counts()
        up_s = now - self._started
        events, rows = (0, 0) if counts is None else (counts.events, counts.rows)
        if events > before.events:
            self._event_at, self._seen_any = now, True
        span_s = max(up_s - before.up_s, 1e-3)
        losses = self._losses(counts)
        heard_s = self._source.heard_s
        self._quiet_s = quiet_s = now - min(self._event_at, self._event_at if heard_s is None else heard_s)
        why = [self._ended] if self._ended else []
        why += [f"no events for {quiet_s:.0f} s"] if self._silence_s and quiet_s > self._silence_s else []
        why += [text for output in self._outputs if (text := output.trouble)]
        return Status(
            self._source.name,
            up_s=round(up_s, 3),
            events=events,
            events_per_s=round((events - before.events) / span_s, 1),
            rows=rows,
            rows_per_s=round((rows - before.rows) / span_s, 1),
            objects=0 if counts is None else counts.objects_now,
            objects_total=0 if counts is None else counts.objects,
            latency_ms=round(1e3 * self._source.waited_s, 3) if events > before.events else 0.0,
            last_event_s=round(quiet_s, 3) if self._seen_any else None,
            ticks_dropped=0 if counts is None else counts.dropped_ticks,
            losses=losses,
            crossings=() if counts is None else counts.crossings,
            memory_mb=round(memory_mb(), 1),
            healthy=not why,
            why="; ".join(why),
            at=utc_now(),
            state="ended" if self._ended else "running",
        )

    def _losses(self, counts: Any) -> dict[str, int]:
        losses = dict(self._source.losses())
        if counts is not None:
            losses["events late"] = counts.late
            losses["ticks dropped"] = counts.dropped_ticks
        for output in self._outputs:
            for what, n in output.all_losses().items():
                losses[what] = losses.get(what, 0) + n
        return losses

    def _say_silence(self, status: Status) -> None:
        if self._silence_s and self._quiet_s > self._silence_s and not self._silent:
            self._silent = True
            self._say(f"warning: {self._source.name}: no events for {self._quiet_s:.1f} s; check the sender")
        elif self._silent and self._quiet_s <= self._silence_s and status.events > self._before.events:
            self._silent = False
            self._say(f"note: {self._source.name}: events come again")

    def _say_losses(self, status: Status) -> None:
        """What was lost since it was last said, each second at most."""
        more = [
            f"{n - self._told.get(what, 0)} {what}" for what, n in status.losses.items() if n > self._told.get(what, 0)
        ]
        if more:
            self._told = dict(status.losses)
            self._say(f"warning: {self._source.name}: lost within the last second: {', '.join(more)}")


def memory_mb() -> float:
    """Resident, of this process; its peak where the system does not state what it is now, 0 on Windows."""
    try:
        with open("/proc/self/statm", encoding="ascii") as handle:  # noqa: PTH123
            return int(handle.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
    except OSError:
        if sys.platform == "win32":
            return 0.0
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / 1e6 if sys.platform == "darwin" else peak / 1e3


def notify_systemd(state: str) -> None:
    """Tell systemd, where it waits for that (sd_notify): READY=1, WATCHDOG=1, STATUS=..., STOPPING=1. Where nobody
    listens, or does not keep up, nothing ends or waits for it."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        sock.connect("\0" + address[1:] if address.startswith("@") else address)
        sock.sendall(state.encode())


def to_systemd(status: Status) -> None:
    """A watchdog's sign of life with each status: the program lives as long as somebody looks at it."""
    notify_systemd(f"WATCHDOG=1\nSTATUS={status}")
