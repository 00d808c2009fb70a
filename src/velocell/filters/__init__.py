"""Recording -> Recording: what a camera adds to the scene, and how to take it out; which part of the picture counts.

`chain.py` has the order in which everything is applied, for the command line, streams and the page alike.
"""

from velocell.data.history import NEVER_US, pixel_history
from velocell.filters.camera_motion import CameraMotion, camera_motion, is_moving_camera
from velocell.filters.flicker import Flicker, Lamp, find_lamps
from velocell.filters.hot_pixels import PixelCounts, hot_among, hot_pixels, mask_pixels, pixel_counts
from velocell.filters.noise import background_activity_filter, refractory_filter

__all__ = [
    "NEVER_US",
    "CameraMotion",
    "Flicker",
    "Lamp",
    "PixelCounts",
    "background_activity_filter",
    "camera_motion",
    "find_lamps",
    "hot_among",
    "hot_pixels",
    "is_moving_camera",
    "mask_pixels",
    "pixel_counts",
    "pixel_history",
    "refractory_filter",
]
