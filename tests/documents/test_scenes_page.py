"""Pages that promise to be complete: every key of a scene, every score; and the sender of UDP words, received here."""

from __future__ import annotations

import re
import socket
from dataclasses import fields
from typing import Any

import numpy as np
import pytest
from places import ROOT

from velocell.formats import write_npz
from velocell.results.scores import Scores
from velocell.simulate import Motion, Occluder, Scene, SceneObject, notebook_scene, simulate
from velocell.simulate.objects import Flicker
from velocell.simulate.sensor import Pixel, Readout

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    import tomli as tomllib

SCENES = (ROOT / "docs" / "scenes.md").read_text()


@pytest.mark.parametrize("kind", [Scene, SceneObject, Motion, Flicker, Occluder, Pixel, Readout])
def test_every_key_is_on_the_page(kind: type[Any]) -> None:
    missing = [field.name for field in fields(kind) if f"`{field.name}`" not in SCENES]
    assert missing == []


def test_no_other_key_is_on_the_page() -> None:
    kinds = (Scene, SceneObject, Motion, Flicker, Occluder, Pixel, Readout)
    known = {field.name for kind in kinds for field in fields(kind)}
    rows = [line.split("|")[1] for line in SCENES.splitlines() if re.match(r"\| `[a-z_0-9]+`", line)]
    assert {name for cell in rows for name in re.findall(r"`([a-z_0-9]+)`", cell)} <= known


@pytest.mark.parametrize("text", re.findall(r"```toml\n(.*?)```", SCENES, re.S))
def test_the_examples_are_scenes(text: str) -> None:
    recording, truth = simulate(Scene.from_dict(tomllib.loads(text)))
    assert len(recording) > 100
    assert len(truth)


def test_defaults_on_the_page_are_those_of_the_code() -> None:
    scene, item = Scene(10, 10, 1000), SceneObject()
    for name, value in (("light_lux", 300), ("noise_hz", 0), ("lens_blur_px", 0)):
        assert getattr(scene, name) == value
        assert re.search(rf"\| `{name}` \| {value} \|", SCENES)
    for name, value in (("contrast", 3), ("edge_px", 1), ("radius_px", 5), ("orbit_radius_px", 0)):
        assert getattr(item, name) == value
        assert re.search(rf"\| `{name}` \| {value} \|", SCENES)


def test_every_score_is_defined() -> None:
    text = (ROOT / "docs" / "scores.md").read_text().lower()
    told = {
        "confusion",
        "rows",
        "matched_rows",
        "scored_rows",
        "objects",
        "steps",
        "switches_per_object",
        "ids_per_object",
    }
    words = {
        "localisation_median_px": "localisation",
        "localisation_rms_px": "localisation",
        "fragmentations": "fragments",
        "speed_error_median": "speed error",
        "heading_error_median_deg": "heading error",
    }
    for field in fields(Scores):
        if field.name not in told:
            assert f"| {words.get(field.name, field.name.replace('_', ' '))} |" in text, field.name


def test_what_the_sender_sends_is_what_is_received(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Taken apart by hand, bit by bit, so that x and y cannot be exchanged on both sides alike."""
    page = (ROOT / "docs" / "live.md").read_text()
    code = next(block for block in re.findall(r"```python\n(.*?)```", page, re.S) if "sendto" in block)
    assert len([line for line in code.splitlines() if line.strip() and not line.startswith(("import", "from"))]) <= 15
    recording = simulate(notebook_scene())[0].between(0, 20_000)
    write_npz(recording, tmp_path / "recording.npz")
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(20)
        exec(compile(code.replace("3333", str(receiver.getsockname()[1])), "live.md", "exec"), {})
        got: list[tuple[int, int, int, int]] = []
        while len(got) < len(recording):
            packet = receiver.recv(65536)
            assert len(packet) < 1500
            for at in range(0, len(packet), 8):
                event, time = (int.from_bytes(packet[k : k + 4], "little") for k in (at, at + 4))
                assert event >> 31 == 0
                got.append((time, event >> 16 & 0x7FFF, event & 0x7FFF, event >> 15 & 1))
    assert recording.p is not None
    wanted = np.column_stack((recording.t_us, recording.x, recording.y, recording.p))
    np.testing.assert_array_equal(got, wanted)
