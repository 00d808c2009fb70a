"""Showing what a file holds in a one-line message."""

from __future__ import annotations


def shown(text: str, longest: int = 60) -> str:
    """`text` in quotes, cut to `longest`, without characters that could break the line or the terminal."""
    return ascii(text if len(text) <= longest else f"{text[: longest - 3]}...")


def bare(text: str, longest: int = 60) -> str:
    """The same without quotes."""
    return shown(text, longest)[1:-1]
