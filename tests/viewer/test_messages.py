"""What the viewer tells its page is of the types that the page's scripts are written for (`static/messages.js`).

The TypeScript compiler compares them, from `make page`. Skipped, with the reason, where it is missing; with
VELOCELL_NEED_PAGE_TOOLS set that is a failure instead.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess

import pytest
from places import ROOT
from viewer_tools import Feed, demo_recording, looking, opened, ready, until

from velocell.viewer.following import STREAM
from velocell.viewer.server import STATIC
from velocell.viewer.session import Session
from velocell.viewer.stream import Stream

PAGE = ROOT / "tests" / "page"
TSC = PAGE / "node_modules" / "typescript" / "bin" / "tsc"


@pytest.fixture(scope="module")
def node():
    found = shutil.which("node")
    if found is None or not TSC.exists():
        (pytest.fail if os.environ.get("VELOCELL_NEED_PAGE_TOOLS") else pytest.skip)("no tsc here; make page brings it")
    return found


def complaints(node, folder, messages):
    """What the compiler says about (type, value) pairs; a type stands in messages.js, or is made of those."""
    lines = [f'import type * as m from "{(STATIC / "messages.js").as_posix()}";']
    lines += [f"export const value{k}: {kind} = {json.dumps(value)};" for k, (kind, value) in enumerate(messages)]
    (folder / "messages.ts").write_text("\n".join(lines))
    config = {"extends": (PAGE / "tsconfig.json").as_posix(), "include": ["messages.ts"]}
    (folder / "tsconfig.json").write_text(json.dumps(config))
    command = [node, TSC, "--project", folder]
    return subprocess.run(command, capture_output=True, text=True, timeout=120).stdout


def header(picture):
    length = int.from_bytes(picture[:4], "little")
    return json.loads(picture[4 : 4 + length])


def test_of_a_recording(node, tmp_path):
    with opened() as session:
        first = session.state()
        ready(session)
        session.player.seek(300_000)
        session.mark(0, 10, 12, 4)
        session.tuning.tune(region=[5, 5, 30, 30])
        ready(session)

        def measured():
            found = session.curves().get("measured")
            if not found and not session.state()["doing"]:
                session._curves.measure_curves()  # again where the network was replaced meanwhile
            return found

        until(measured, "the measured curves")
        ready(session)
        messages = [
            ("Omit<m.Facts, 'first_us'>", session.facts()),
            ("m.State", first),
            ("m.State", session.state()),
            ("m.Results", session.results()),
            ("m.Curves", session.curves()),
            ("m.PictureHeader", header(session.picture())),
        ]
        assert messages[2][1]["labels"]
        assert messages[3][1]["objects"]
        assert messages[5][1]["objects"]
    assert complaints(node, tmp_path, messages) == ""


def test_of_a_stream(node, tmp_path):
    feed = Feed()
    session = Session(Stream(feed), looking(), kind=STREAM)
    try:
        feed.give(demo_recording())
        until(lambda: session.results().get("objects"), "objects")
        messages = [("m.Facts", session.facts()), ("m.State", session.state()), ("m.Span", session.timeline())]
        assert messages[1][1]["live"]
    finally:
        session.close()
    assert complaints(node, tmp_path, messages) == ""


def test_what_does_not_fit_is_noticed(node, tmp_path):
    with opened() as session:
        text = json.dumps(session.state())
    bare, empty, more, wrong = (json.loads(text) for _ in range(4))
    del bare["speed"]
    empty["doing"] = None
    more["fresh"] = 1
    wrong["view"]["channels"] = [[1]]
    found = complaints(node, tmp_path, [("m.State", told) for told in (bare, empty, more, wrong)])
    assert "'speed' is missing" in found
    assert "'null' is not assignable to type 'string'" in found
    assert "'\"fresh\"' does not exist" in found
    assert "'[number]' is not assignable to type" in found
