"""One message of a bag, and where it stands."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

_MOST_KEPT = 256  # channels and schemas, in each place of a seek index


class Message(NamedTuple):
    """type: such as dvs_msgs/EventArray. encoding: "ros1", or "cdr" as of ROS 2. behind: where its file goes on:
    byte or row, and how many messages of a chunk there have been."""

    topic: str
    type: str
    encoding: str
    data: bytes
    behind: tuple[int, int]


@dataclass
class Known:
    """What numbers of channels and schemas mean, as a file has said so far. channels: topic, type and encoding."""

    channels: dict[int, tuple[str, str, str]] = field(default_factory=dict)
    schemas: dict[int, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any] | None:
        """As plain values; None where that is too much to note again and again."""
        if len(self.channels) + len(self.schemas) > _MOST_KEPT:
            return None
        return {"channels": [[n, *about] for n, about in self.channels.items()], "schemas": list(self.schemas.items())}

    @staticmethod
    def of(values: dict[str, Any]) -> Known:
        """The inverse."""
        return Known({n: (about[0], about[1], about[2]) for n, *about in values["channels"]}, dict(values["schemas"]))
