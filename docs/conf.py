"""How the documentation is built: `make docs`. Every warning is an error there."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import reference

import velocell

project = "Velocell"
author = "The Velocell developers"
copyright = author
version = release = velocell.__version__

# Pages that end with what the program says of itself.
FILLED = {"commands": reference.commands, "api": reference.names}

extensions = ["myst_parser", "sphinx.ext.autodoc"]
myst_heading_anchors = 3
exclude_patterns = ["conf.py"]

autodoc_member_order = "bysource"
autodoc_type_aliases = {"ArrayLike": "ArrayLike"}

html_theme = "furo"
html_title = f"Velocell {release}"
html_copy_source = False
html_static_path = ["style.css"]
html_css_files = ["style.css"]
html_show_copyright = False
# No page asks another server for anything: the theme's fonts and scripts are its own.


def _fill(app: Any, name: str, source: list[str]) -> None:
    if name in FILLED:
        source[0] += FILLED[name]()


def _restructure(app: Any, what: str, name: str, item: Any, options: Any, lines: list[str]) -> None:
    lines[:] = reference.restructured(lines)


def _shorten(app: Any, what: str, name: str, item: Any, options: Any, *texts: str | None) -> tuple[str | None, ...]:
    """Arguments and result of a signature, arrays as they stand in the source."""
    return tuple(text and reference.short_types(text) for text in texts)


def setup(app: Any) -> None:
    app.connect("source-read", _fill)
    app.connect("autodoc-process-signature", _shorten)
    app.connect("autodoc-process-docstring", _restructure)
