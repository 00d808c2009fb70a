"""Bags of ROS, written by the package rosbags."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from velocell.data.recording import Recording

ROS1 = ["none", "bz2", "lz4"]

PACKET = """std_msgs/Header header
uint32 height
uint32 width
uint64 seq
uint64 time_base
string encoding
bool is_bigendian
uint8[] events
"""
ARRAY = "std_msgs/Header header\nuint32 height\nuint32 width\ndvs_msgs/Event[] events\n"
EVENT = "uint16 x\nuint16 y\n{time} ts\nbool polarity\n"


class Bag:
    """Writes bags of any kind with the package rosbags."""

    def __init__(self, folder: Path, kind: str) -> None:
        typesys = pytest.importorskip("rosbags.typesys", reason="the package rosbags is not installed")
        self.one = kind in ROS1
        store = typesys.get_typestore(typesys.Stores.ROS1_NOETIC if self.one else typesys.Stores.ROS2_HUMBLE)
        event = EVENT.format(time="time" if self.one else "builtin_interfaces/Time")
        for text, name in ((PACKET, "event_camera_msgs/msg/EventPacket"), (event, "dvs_msgs/msg/Event"),
                           (ARRAY, "dvs_msgs/msg/EventArray")):  # fmt: skip
            store.register(typesys.get_types_from_msg(text, name))
        self.store, self.types = store, store.types
        if self.one:
            from rosbags import rosbag1

            self.path = folder / "a.bag"
            self.writer: Any = rosbag1.Writer(self.path)
            if kind != "none":
                self.writer.set_compression(rosbag1.Writer.CompressionFormat[kind.upper()])
        else:
            from rosbags import rosbag2
            from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin

            plugin = StoragePlugin.MCAP if kind.startswith("mcap") else StoragePlugin.SQLITE3
            self.writer = rosbag2.Writer(folder / "a", version=9, storage_plugin=plugin)
            modes = {"sqlite-message": CompressionMode.MESSAGE, "mcap-zstd": CompressionMode.STORAGE}
            if kind in modes:
                self.writer.set_compression(modes[kind], CompressionFormat.ZSTD)
            self.path = folder / "a" / f"a.{'mcap' if kind.startswith('mcap') else 'db3'}"
        self.writer.open()
        self.topics: dict[tuple[str, str], Any] = {}
        self.now = 0

    def write(self, topic: str, type_: str, **fields: Any) -> None:
        if (topic, type_) not in self.topics:
            self.topics[topic, type_] = self.writer.add_connection(topic, type_, typestore=self.store)
        message = self.types[type_](**fields)
        pack = self.store.serialize_ros1 if self.one else self.store.serialize_cdr
        self.now += 1
        self.writer.write(self.topics[topic, type_], self.now, pack(message, type_))

    def header(self) -> Any:
        stamp = self.types["builtin_interfaces/msg/Time"](1, 2)
        make = self.types["std_msgs/msg/Header"]
        return make(7, stamp, "camera") if self.one else make(stamp, "camera")

    def packet(self, data: bytes, encoding: str = "evt3", topic: str = "/events", **fields: Any) -> None:
        content = {"height": 240, "width": 320, "seq": 3, "time_base": 0, "is_bigendian": False} | fields
        events = np.frombuffer(data, np.uint8)
        name = "event_camera_msgs/msg/EventPacket"
        self.write(topic, name, header=self.header(), encoding=encoding, events=events, **content)

    def array(self, part: Recording, topic: str = "/events", height: int = 240, width: int = 320) -> None:
        event, time = self.types["dvs_msgs/msg/Event"], self.types["builtin_interfaces/msg/Time"]
        assert part.p is not None
        rows = zip(*(column.tolist() for column in (part.t_us, part.x, part.y, part.p)), strict=True)
        events = [event(x, y, time(t // 10**6, t % 10**6 * 1_000 + 999), p) for t, x, y, p in rows]
        name = "dvs_msgs/msg/EventArray"
        self.write(topic, name, header=self.header(), height=height, width=width, events=events)

    def text(self, length: int = 4) -> None:
        """Letters that cannot be packed well."""
        letters = np.random.default_rng(length).integers(64, 127, length, dtype=np.uint8).tobytes().decode()
        self.write("/other", "std_msgs/msg/String", data=letters)

    def close(self) -> Path:
        self.writer.close()
        return self.path
