"""One message of a bag."""

from __future__ import annotations

from typing import NamedTuple


class Message(NamedTuple):
    """type: such as dvs_msgs/EventArray. encoding: "ros1", or "cdr" as of ROS 2."""

    topic: str
    type: str
    encoding: str
    data: bytes
