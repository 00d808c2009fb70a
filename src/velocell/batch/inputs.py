"""What a batch runs on: files, folders, globs, lists, and addresses that fsspec opens.

In a folder only files whose suffix is one of a recording's are taken, and no text files, which tables have too; the
others are counted. What is named, or matched by a glob, is taken whatever its name is. A bag of ROS 2 is a folder, and
one recording.
"""

from __future__ import annotations

import glob
import hashlib
import importlib.util
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

from velocell.data.extras import install_line
from velocell.errors import OptionError, reason
from velocell.formats.ros.folder import is_bag

_NAMES = "raw dat aedat aedat4 es h5 hdf5 bag db3 mcap npz npy pt bin"
SUFFIXES = frozenset(f".{name}" for name in _NAMES.split(" "))
_LONGEST = 120  # bytes of a name; with what is added to it a folder's name must stay below 255


@dataclass(frozen=True)
class Input:
    """source: an absolute path, or an address. wanted: the name it would like to have, unless another one has it."""

    source: str
    wanted: str


@dataclass(frozen=True)
class Inputs:
    """found: in order of their sources, each once. left_out: suffixes of files in folders that were not taken."""

    found: tuple[Input, ...]
    left_out: Counter[str]


def find_inputs(texts: Sequence[str | Path], output: Path) -> Inputs:
    """Everything that the texts name; what lies in the folder `output` is not an input. Raises OptionError."""
    left_out: Counter[str] = Counter()
    found: dict[str, Input] = {}
    for text in map(str, texts):
        before = len(found)
        for item in _each(text, output.resolve(), left_out, Path()):
            found.setdefault(item.source, item)
        if len(found) == before and not any(item for item in _each(text, output.resolve(), Counter(), Path())):
            kinds = ", ".join(sorted(left_out)) or "nothing"
            more = f" (the folder holds {kinds})" if Path(text).is_dir() else ""
            raise OptionError(
                f"no recordings match {text}{more}; check the path, or name files or a glob such as '*.csv'"
            )
    if not found:
        raise OptionError("a batch needs recordings; name files, folders, globs, @LIST or addresses")
    return Inputs(tuple(found[source] for source in sorted(found)), left_out)


def is_address(text: str) -> bool:
    """Whether fsspec opens it."""
    return "://" in text


def file_system(address: str) -> tuple[Any, str]:
    """fsspec's file system of an address, and the path in it. Raises OptionError."""
    if importlib.util.find_spec("fsspec") is None:
        raise OptionError(f"{address} needs fsspec; install it with: {install_line('cluster')}")
    import fsspec

    try:
        system, path = fsspec.core.url_to_fs(address)
    except (ImportError, ValueError, OSError) as error:
        raise OptionError(
            f"cannot open {address}: {_short(error)}; install what it names, or check the address"
        ) from None
    return system, str(path)


def safe_name(wanted: str) -> str:
    """A name that can be a folder's, and the value of a Parquet partition: 'day 1/a.raw' is 'day%201%2Fa.raw'."""
    name = quote(wanted, safe="+,=@~")
    if len(name) <= _LONGEST and not name.startswith("."):
        return name
    return f"{name[: _LONGEST - 9].rstrip('%').lstrip('.')}~{short_digest(wanted)}"


def short_digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _each(text: str, output: Path, left_out: Counter[str], base: Path) -> Iterator[Input]:
    if is_address(text):
        yield from _addresses(text, left_out)
        return
    path = base / text
    if is_bag(path):
        yield Input(str(path.resolve()), path.resolve().name)
    elif path.is_dir():
        yield from _in_folder(path, output, left_out)
    elif path.is_file():
        yield Input(str(path.resolve()), path.name)
    elif text.startswith("@"):
        yield from _listed(base / text[1:], output, left_out)
    else:
        start = _fixed_part(path)
        for file in sorted(start.glob(str(path.relative_to(start)))) if glob.has_magic(text) else ():
            if (file.is_file() or is_bag(file)) and output not in file.resolve().parents:
                yield Input(str(file.resolve()), file.relative_to(start).as_posix())


def _fixed_part(pattern: Path) -> Path:
    """The folders before the first one with a wildcard."""
    parts: list[str] = []
    for part in pattern.parts[:-1]:
        if glob.has_magic(part):
            break
        parts.append(part)
    return Path(*parts)


def _in_folder(folder: Path, output: Path, left_out: Counter[str]) -> Iterator[Input]:
    bags: set[Path] = set()
    for file in sorted(folder.rglob("*")):  # a folder comes before what is in it
        inside = file.relative_to(folder)
        if any(part.startswith(".") for part in inside.parts) or not bags.isdisjoint(file.parents):
            continue
        if is_bag(file):
            bags.add(file)
        elif not file.is_file():
            continue
        if output in file.resolve().parents:
            continue
        if file in bags or file.suffix.lower() in SUFFIXES:
            yield Input(str(file.resolve()), inside.as_posix())
        else:
            left_out[file.suffix.lower() or "no suffix"] += 1


def _listed(path: Path, output: Path, left_out: Counter[str]) -> Iterator[Input]:
    """One entry per line, relative to the list's own folder; empty lines and what follows a # are left out."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = reason(error) if isinstance(error, OSError) else "it is not UTF-8 text"
        raise OptionError(f"cannot read the list {path}: {why}; check its path") from None
    for number, line in enumerate(lines, start=1):
        if entry := line.partition("#")[0].strip():
            some = False
            for item in _each(entry, output, left_out, path.parent):
                some = True
                yield item
            if not some:
                raise OptionError(f"{path}, line {number}: no recordings match {entry}; correct the line")


def _addresses(text: str, left_out: Counter[str]) -> Iterator[Input]:
    system, path = file_system(text)
    try:
        if glob.has_magic(path):
            paths = system.glob(path)
            start = _fixed_part(Path(path)).as_posix()
        elif system.isdir(path):
            paths, start = [], path.rstrip("/")
            for each in sorted(system.find(path)):
                suffix = PurePosixPath(each).suffix.lower()
                if suffix in SUFFIXES:
                    paths.append(each)
                else:
                    left_out[suffix or "no suffix"] += 1
        else:
            paths, start = ([path] if system.exists(path) else []), path.rpartition("/")[0]
    except Exception as error:  # of any of fsspec's systems; they have no common class
        raise OptionError(f"cannot look into {text}: {_short(error)}; check the address and the rights to it") from None
    for each in sorted(paths):
        yield Input(system.unstrip_protocol(each), each.removeprefix(start).lstrip("/") or each)


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
