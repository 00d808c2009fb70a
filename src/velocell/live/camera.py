"""Cameras that are plugged in, through dv-processing (iniVation's). Needs the extra `dv`."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Event
from typing import Any

import numpy as np

from velocell.data.blocks import Events
from velocell.data.extras import install_line
from velocell.data.integrity import Integrity
from velocell.data.recording import Recording
from velocell.errors import OptionError, RecordingError, VelocellError
from velocell.formats.wording import bare
from velocell.live.arrivals import Arrivals
from velocell.live.blocks import as_blocks

_MOST_EVENTS = 1 << 22
_POLL_S = 0.0005  # the camera is asked, it does not call


class Camera:
    """`camera:`, the first one found, or `camera:SERIAL`, also with its model before it. Raises VelocellError.

    A camera does not wait: its events are taken at once, and what cannot be kept is counted.
    """

    waits, waited_s = False, 0.0
    stop_us: int | None = None

    def __init__(self, text: str, size: tuple[int, int] | None):
        dv = _dv_processing()
        name = text
        try:
            found = _chosen(dv.io.camera.discover(), text.removeprefix("camera:"))
            name = f"camera:{_name(found)}"
            self._capture = dv.io.camera.open(found)
            stated = self._capture.getEventResolution()
        except VelocellError:
            raise
        except Exception as error:  # RuntimeError, IndexError and others; the text is the library's own
            raise RecordingError(
                f"cannot open {name}: {_reason(error)}; check its cable, the permission to use it, and that no "
                "other program does"
            ) from None
        if stated is None:
            raise RecordingError(f"{name} gives no events; use a camera that does")
        self.name, self.size = name, size or (int(stated[0]), int(stated[1]))
        self.meta: dict[str, Any] = {"time": "of the camera"}
        self._integrity = Integrity(name)
        self._arrivals = Arrivals(self._receive, _MOST_EVENTS, leave_out=True)
        self._gone = False

    def blocks(self, stop: Event) -> Iterator[Recording]:
        for waited_s, batches in self._arrivals.taken(stop):
            self.waited_s = waited_s
            events = np.concatenate(batches)
            yield from as_blocks(
                Events(events["timestamp"].astype(np.int64), events["x"], events["y"], events["polarity"] != 0),
                self.size,
                self._integrity,
            )

    def _receive(self, over: Event) -> Iterator[Any]:
        while not over.is_set():
            batch = self._capture.getNextEventBatch()
            self._count_others()
            if batch is not None:
                yield batch.numpy().copy()
            elif self._capture.isRunning():
                over.wait(_POLL_S)
            else:
                self._gone = True
                return

    def _count_others(self) -> None:
        """Frames, IMU samples and triggers; left where they are, they would fill the memory."""
        camera = self._capture
        while camera.isFrameStreamAvailable() and camera.getNextFrame() is not None:
            self._integrity.fact("frames")
        while camera.isImuStreamAvailable() and (samples := camera.getNextImuBatch()) is not None:
            self._integrity.fact("imu_samples", len(samples))
        while camera.isTriggerStreamAvailable() and (triggers := camera.getNextTriggerBatch()) is not None:
            self._integrity.fact("triggers", len(triggers))

    @property
    def heard_s(self) -> float | None:
        return self._arrivals.heard_s

    def losses(self) -> dict[str, int]:
        return {"batches dropped": self._arrivals.left_out}

    def notes(self) -> tuple[str, ...]:
        gone = ("the camera is gone",) if self._gone else ()
        return (f"{self._arrivals.left_out} batches dropped, too many waited", *gone, *self._integrity.notes())

    def close(self) -> None:
        self._capture = None  # which closes it


def _chosen(cameras: list[Any], wanted: str) -> Any:
    """The camera of that name. Raises OptionError."""
    if not cameras:
        raise OptionError("no camera was found; check its cable and the permission to use it (udev rules)")
    for camera in cameras:
        if wanted in ("", camera.serialNumber, _name(camera)):
            return camera
    known = ", ".join(f"camera:{_name(camera)}" for camera in cameras)
    raise OptionError(f"no camera '{wanted}' was found; use {known}")


def _name(camera: Any) -> str:
    return f"{camera.cameraModel.name}_{camera.serialNumber}"


def _reason(error: Exception) -> str:
    """What an error of dv-processing says, without the place in its source and the stack."""
    lines = str(error).splitlines() or [type(error).__name__]
    message = next((line for line in lines if line.startswith("RuntimeError: ")), lines[0])
    return bare(message.removeprefix("RuntimeError: "), 120)


def _dv_processing() -> Any:
    """The package. Raises RecordingError where the extra `dv` is missing."""
    try:
        import dv_processing as package
    except ImportError as error:
        raise RecordingError(
            f"reading a camera needs dv-processing ({error}); install it with: {install_line('dv')}"
        ) from None
    return package
