"""The package `nir`, which is optional, and what it knows of graphs without types of its own."""

from __future__ import annotations

from typing import Any

from velocell.data.extras import install_line
from velocell.errors import NetworkError

Graph = Any
"""A `nir.NIRGraph`; the package has no type information."""


def require_nir() -> Any:
    """The module `nir`. Raises NetworkError where it is not installed."""
    try:
        import nir
    except ImportError as error:
        raise NetworkError(
            f"NIR graphs need the package nir ({error}); install it with: {install_line('nir')}"
        ) from None
    return nir
