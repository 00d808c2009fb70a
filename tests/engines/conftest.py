"""Scenes for several files of tests."""

from __future__ import annotations

import pytest

from velocell.data.recording import Recording
from velocell.simulate import notebook_scene, random_scene, simulate


@pytest.fixture(scope="module")
def scene() -> Recording:
    return simulate(notebook_scene())[0]


@pytest.fixture(scope="module")
def busy() -> Recording:
    """Several tiles of disks, enough events for several threads and blocks."""
    return simulate(random_scene(40, width=400, height=300, duration_us=400_000, contrast=6.0, seed=5))[0]
