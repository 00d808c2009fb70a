"""ROS 2 bags are folders: `metadata.yaml` names the files, one after the other."""

from __future__ import annotations

import re
from pathlib import Path

from velocell.errors import RecordingError
from velocell.formats.wording import shown

INDEX = "metadata.yaml"
_MOST_FILES, _LARGEST_INDEX = 10_000, 4 << 20
# A list in YAML, as rosbag2 writes it; the other keys are not needed.
_FILES = re.compile(r"^ *relative_file_paths:[ \t]*\n((?:[ \t]*-[^\n]*\n)+)", re.MULTILINE)


def is_bag(path: Path) -> bool:
    return path.is_dir() and (path / INDEX).is_file()


def files(path: Path) -> list[Path]:
    """The files of a bag in their order; a file is its own bag. Raises RecordingError."""
    if not path.is_dir():
        return [path]
    with (path / INDEX).open("rb") as handle:
        text = handle.read(_LARGEST_INDEX).decode("utf-8", "replace").replace("\r\n", "\n")
    found = _FILES.search(text + "\n")
    names = [line.strip(" \t-").strip("\"'") for line in found[1].splitlines()] if found else []
    if not names or len(names) > _MOST_FILES:
        raise RecordingError(f"{path}: {INDEX} lists no files; give the bag's .db3 or .mcap file")
    paths = []
    for name in names:
        # Older recorders name the files with the folder before them. Nothing outside is opened.
        file = path / Path(name).name
        if not file.is_file() or file.is_symlink():
            raise RecordingError(f"{path} lacks its file {shown(name)}; copy the whole folder")
        paths.append(file)
    return paths
