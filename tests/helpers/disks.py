"""Disks that are full."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def files_up_to(n_bytes: int) -> Iterator[None]:
    """Files of this process cannot grow beyond n_bytes: a write fails in the middle, as with a quota."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@contextmanager
def small_disk(folder: Path, n_bytes: int) -> Iterator[Path]:
    """A file system of its own in memory, mounted at `folder`; skips the test where that is not allowed."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root may mount a small disk, on Linux")
    command = ["mount", "-t", "tmpfs", "-o", f"size={n_bytes}", "tmpfs", str(folder)]
    mounted = subprocess.run(command, capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(disk: Path, free_bytes: int) -> None:
    """Leave so many bytes of a small disk free, in whole pages."""
    filler = disk / "filler"
    state = os.statvfs(disk)
    held = filler.stat().st_blocks * 512 if filler.exists() else 0
    wanted = state.f_bavail * state.f_frsize + held - free_bytes
    with filler.open("r+b" if held else "wb") as handle:
        os.posix_fallocate(handle.fileno(), 0, max(wanted, 1))
        handle.truncate(max(wanted, 1))
