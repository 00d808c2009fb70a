"""Phrases that a reader stumbled over do not come back: in the sources, the page of the viewer, the documentation."""

from __future__ import annotations

import re

import pytest
from places import ROOT

# What was written, and what to write instead.
PHRASES = {
    r"(?<![Tt]here )\bis none\b": "is not one, has none",
    r"(?<![Tt]here )\b(is|are) no (?!longer\b|more\b)": "is not a",
    r"\btells\b|\b(not|only|both|labels) tell\b": "says, gives, states, shows",
    r"\b(is|are|was|were|be) told\b": "gets, is reported, is listed",
    r"\btold band\b": "predicted band",
    r"\bhygiene\b": "filters",
    r"\b(sought|knobs?|Knobs?)\b": "look for, slider",
    r"\bshare (measured|assumed)\b": "crossing share, measured",
    r"\bso many (events|points|samples|values|times)\b": "this many",
    r"\bgo(es)? on with\b": "continues",
    r"\bwhoever\b": "name the thing",
    r"\bas (asked|the given size)\b": "requested",
}
LEFT = {
    "src/velocell/_moved.py": ("hygiene",),  # the name of an old module
    "src/velocell/viewer/describe.py": ("knobs",),  # the key of a message
    "src/velocell/viewer/static/messages.js": ("knobs",),
    "src/velocell/viewer/static/app.js": ("knobs",),
    "src/velocell/viewer/static/address.js": ("knobs",),
    "src/velocell/network/origin.py": ("as asked",),  # stands in network files
}
SUFFIXES = {".py", ".js", ".html", ".css", ".md"}
NOT_YET = {"tracking", "calibration"}  # their texts have not been gone through
TEXTS = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *(path for folder in ("src/velocell", "docs") for path in sorted((ROOT / folder).rglob("*"))),
]
TEXTS = [path for path in TEXTS if path.suffix in SUFFIXES and path.parent.name not in NOT_YET]


def found(text: str, allowed: tuple[str, ...] = ()) -> list[str]:
    """Every phrase in a text, with its line and what to write instead."""
    return [
        f"line {text.count(chr(10), 0, hit.start()) + 1}: '{hit[0]}'; write: {instead}"
        for pattern, instead in PHRASES.items()
        for hit in re.finditer(pattern, text)
        if hit[0] not in allowed
    ]


@pytest.mark.parametrize("path", TEXTS, ids=lambda p: str(p.relative_to(ROOT)))
def test_no_such_phrase(path):
    assert not found(path.read_text(encoding="utf-8"), LEFT.get(str(path.relative_to(ROOT)), ()))


@pytest.mark.parametrize(
    "text",
    [
        "--append goes on with a file, and x is none",
        "stdin is no RAW stream",
        "the header does not tell the size",
        "what was repaired is told",
        "Input hygiene",
        "true and told band",
        "the knobs of a network",
        "share measured",
    ],
)
def test_each_is_noticed(text):
    assert found(text)


def test_plain_english_passes():
    text = "there is no folder x; it is no longer there, and there is none beside it: handle.tell() says where"
    assert not found(text)
