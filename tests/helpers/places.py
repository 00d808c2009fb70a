"""Where things are, for tests: the checkout, and the shared recordings beside it, which may be absent."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]
SHARED = ROOT.parent / "shared" / "data"
