"""What a camera adds to the scene, and how to take it out: noise, bursts, defective pixels, its own motion.

Each filter is a function Recording -> Recording; the span stays. Raw events count: whether an event
stays depends on the events that came, never on which of them a filter kept. So the result does not
depend on where a stream is cut into batches, and arrays are enough to compute it. Polarity is ignored.
Mask hot pixels first: they would vouch for the noise beside them.
"""

from __future__ import annotations

import numpy as np

from velocell.data.history import pixel_history
from velocell.data.recording import Recording
from velocell.errors import OptionError

AROUND = [(dx, dy) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dx or dy]


def background_activity_filter(recording: Recording, window_us: int, neighbours: int = 1) -> Recording:
    """Keep the event (t, x, y) if at least `neighbours` of the 8 pixels around it had an event before
    it in the recording's order, at a time >= t - window_us.

    The pixel itself does not count, so a hot pixel cannot vouch for itself. After T. Delbruck,
    "Frame-free dynamic digital vision", Proc. Int. Symp. on Secure-Life Electronics, 2008.
    Raises OptionError for a window below 1 us or a number of neighbours outside 1 to 8.
    """
    if window_us < 1:
        raise OptionError(f"the window of the background-activity filter must be at least 1 us, got {window_us}")
    if not 1 <= neighbours <= 8:
        raise OptionError(f"between 1 and 8 neighbours can be asked for, got {neighbours}")
    t, stride = recording.t_us, recording.width + 2  # a frame of one pixel, so that neighbours never wrap
    pixel = (recording.y.astype(np.int64) + 1) * stride + recording.x + 1
    steps = [dy * stride + dx for dx, dy in AROUND]
    # Time is cut into bins of one window. An earlier event in the same bin is in the window whenever it
    # was, so each pixel's first one tells all; of the bins before, each pixel's last one tells all.
    ends = np.flatnonzero(np.diff(t // window_us, append=-1)) + 1 if len(recording) else np.zeros(0, np.intp)
    first = np.zeros((recording.height + 2) * stride, np.int64)  # event number + 1; 0 for none
    until = np.zeros_like(first)  # the end of the window of the last event, exclusive
    keep = np.zeros(len(recording), np.bool_)
    number = np.arange(1, len(recording) + 1)
    begin = 0
    for end in ends.tolist():
        here, now, order = pixel[begin:end], t[begin:end], number[begin:end]
        first[here[::-1]] = order[::-1]  # of several values for one pixel, the last one written stays
        seen = np.zeros(here.size, np.int8)
        for step in steps:
            beside = here + step
            there = first[beside]
            seen += ((there > begin) & (there < order)) | (until[beside] > now)
        keep[begin:end] = seen >= neighbours
        until[here] = now + (window_us + 1)
        begin = end
    return recording.mask(keep)


def refractory_filter(recording: Recording, dead_us: int) -> Recording:
    """Drop the event if the event before it at the same pixel came less than `dead_us` earlier.

    That event counts even if it was dropped itself (a paralysable dead time): a pixel that never rests
    gives one event. Raises OptionError for a dead time below 1 us.
    """
    if dead_us < 1:
        raise OptionError(f"the dead time of the refractory filter must be at least 1 us, got {dead_us}")
    return recording.mask(pixel_history(recording)[0] >= dead_us)
