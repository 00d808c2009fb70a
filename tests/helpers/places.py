"""Where things are, for tests: the checkout, and the shared recordings beside it, which may be absent."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SHARED = ROOT.parent / "shared" / "data"
CASES = ROOT.parent / "shared" / "cases"


def needs(path: Path) -> pytest.MarkDecorator:
    """Skips a test where the file is missing."""
    return pytest.mark.skipif(not path.is_file(), reason=f"{path} is not there")
