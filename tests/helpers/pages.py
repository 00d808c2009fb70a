"""HTML as a test looks at it."""

from __future__ import annotations

import base64
import io
from html.parser import HTMLParser

import numpy as np
from numpy.typing import NDArray
from PIL import Image

EVIL = "<script>alert('x')</script>&\"'.raw"
VOID = {"img", "source", "rect", "circle", "polyline", "meta", "br", "input", "link", "hr"}


class Parsed(HTMLParser):
    """Tags are closed in order; text and attributes as a browser reads them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.words: list[str] = []
        self.attributes: list[tuple[str, str, str | None]] = []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return "|".join(self.words)

    def pictures(self) -> list[NDArray[np.uint8]]:
        sources = [value or "" for tag, name, value in self.attributes if (tag, name) == ("img", "src")]
        assert all(source.startswith("data:image/png;base64,") for source in sources)
        return [np.asarray(Image.open(io.BytesIO(base64.b64decode(s.partition(",")[2])))) for s in sources]
