"""Checks before the work: can the results be written where they are to go?"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from velocell.data.parquet import require_parquet
from velocell.errors import OptionError

TABLES = (".csv", ".jsonl", ".parquet")
FIGURES = (".png", ".pdf", ".svg")


def check_output(path: Path, suffixes: Sequence[str], what: str) -> None:
    """Raise VelocellError where `path` cannot become a file of one of the suffixes."""
    if path.suffix.lower() not in suffixes:
        raise OptionError(f"cannot write {what} to '{path}': the suffix must be {' or '.join(suffixes)}")
    if path.suffix.lower() == ".parquet":
        require_parquet(path)
    if not path.parent.is_dir():
        raise OptionError(f"cannot write {path}: there is no folder {path.parent}; make it first")
    if path.is_dir():
        raise OptionError(f"cannot write {path}: it is a folder; name a file")
    if not os.access(path.parent, os.W_OK):
        raise OptionError(f"cannot write {path}: its folder is read-only; choose one that you can write to")


def check_folder(path: Path, what: str) -> None:
    """Raise VelocellError where `path` cannot become, or is not, a folder for results."""
    if path.exists() and not path.is_dir():
        raise OptionError(f"cannot write {what} to {path}: it is a file; name a folder")
    if not path.exists() and not path.parent.is_dir():
        raise OptionError(f"cannot write {what} to {path}: there is no folder {path.parent}; make it first")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise OptionError(f"cannot write {what} to {path}: it is read-only; choose a folder that you can write to")


def check_distinct(outputs: Sequence[Path], inputs: Sequence[Path]) -> None:
    """Raise OptionError where a result would replace an input or another result."""
    taken = {path.resolve() for path in inputs}
    for path in outputs:
        if path.resolve() in taken:
            raise OptionError(f"{path} is used twice, as input or output; choose another name for the output")
        taken.add(path.resolve())
