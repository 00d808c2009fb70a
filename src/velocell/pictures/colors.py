"""The colours of bands and events, for every picture, plot and page.

Bands run from blue (slow) over amber to crimson (fast), the hue axis that people with red-green
colour blindness keep, and stand out from a dark picture as well as from white paper.
"""

from __future__ import annotations

from velocell.errors import VelocellError

Color = tuple[int, int, int]

_RAMP: tuple[Color, ...] = ((63, 127, 224), (91, 197, 230), (239, 191, 58), (232, 116, 59), (201, 51, 108))

BACKGROUND: Color = (14, 17, 22)
TEXT: Color = (214, 220, 228)
OUTSIDE: Color = (150, 155, 163)
EVENT: Color = (150, 156, 166)
ON: Color = (104, 142, 190)
OFF: Color = (168, 128, 96)


def band_color(band: int, bands: int) -> Color:
    """(r, g, b), 0..255, of `band` out of `bands`, slowest first; -1 (outside all bands) is grey.

    Raises VelocellError for a band that does not exist.
    """
    if band == -1:
        return OUTSIDE
    if not 0 <= band < bands:
        raise VelocellError(f"band {band} does not exist among {bands} bands; give one name per band of the network")
    place = band / max(bands - 1, 1) * (len(_RAMP) - 1)
    left = min(int(place), len(_RAMP) - 2)
    return mix(_RAMP[left], _RAMP[left + 1], place - left)


def mix(first: Color, second: Color, share: float) -> Color:
    """`first` with `share` (0..1) of `second` in it."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(first, second, strict=True))
    return red, green, blue


def hex_color(color: Color) -> str:
    """`#rrggbb`, as matplotlib and web pages take it."""
    return "#{:02x}{:02x}{:02x}".format(*color)
