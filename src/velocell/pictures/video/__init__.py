"""Events as moving pictures: frames, the tracks drawn over them, files and notebook clips."""

from velocell.pictures.video.clip import Animation, Clip, animate, animate_frames, write_overlay
from velocell.pictures.video.encode import write_video
from velocell.pictures.video.frames import events_to_frames, superimpose

__all__ = [
    "Animation",
    "Clip",
    "animate",
    "animate_frames",
    "events_to_frames",
    "superimpose",
    "write_overlay",
    "write_video",
]
