"""The report: one file, complete, that asks nobody for anything, and plays in a browser."""

from __future__ import annotations

import base64
import io
import re
import sys
from dataclasses import replace

import av
import numpy as np
import pytest
import viewer_browser
from commands import call, ok
from pages import EVIL, VOID, Parsed
from PIL import Image

from velocell import Recording, Spikes, Tracks
from velocell.data.meta import version
from velocell.data.tables import FLAGS
from velocell.demo import BANDS
from velocell.errors import VelocellError
from velocell.formats import write_npz
from velocell.pictures.report import MOST_OBJECTS, write_report
from velocell.pipeline import detect
from velocell.results.objects import objects
from velocell.simulate import notebook_scene, simulate
from velocell.tracking.detection import Detection

EDGES = "16,62,177,500"

browser, window = viewer_browser.browser, viewer_browser.window  # fixtures


@pytest.fixture(scope="module")
def recording():
    return simulate(notebook_scene())[0]


@pytest.fixture(scope="module")
def found(recording):
    return detect(recording, BANDS)


@pytest.fixture(scope="module")
def made(recording, tmp_path_factory):
    """A folder in which the command has written a table and its report."""
    here = tmp_path_factory.mktemp("report")
    write_npz(recording, here / "rec.npz")
    words = ["detect", here / "rec.npz", "--bands", EDGES, "-o", here / "t.csv", "--report", here / "out.html"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["velocell", *map(str, words)])
        ok(*words)
    return here


def write(path, found, recording, *, curves=False, **settings):
    """In real time, so that the clip is short, and without tuning curves: quickly."""
    write_report(path, found, recording, curves=curves, slow_motion=1, **settings)


class Page(Parsed):
    """Parsed HTML5, with what it would load."""

    def __init__(self, path):
        self.source = path.read_text(encoding="utf-8")
        assert self.source.startswith("<!DOCTYPE html>\n")
        super().__init__(self.source)
        names = [value for _, name, value in self.attributes if name == "id"]
        assert len(names) == len(set(names))
        assert self.tags.count("html") == self.tags.count("head") == self.tags.count("body") == 1
        assert "script" not in self.tags

    @property
    def loaded(self):
        loading = ("src", "href", "poster", "data", "action", "srcset", "background")
        wanted = [value for _, name, value in self.attributes if name in loading]
        return wanted + re.findall(r"(?:url\(|@import)[^)]*", self.source)

    def cells(self):
        """Rows of the table of objects."""
        body = self.source.split("<h2>Objects</h2>")[1].split("</table>")[0].split("<tbody>")[1]
        rows = re.findall(r"<tr>(.*?)</tr>", body)
        return [[re.sub("<[^>]*>", "", cell) for cell in re.findall(r"<td>(.*?)</td>", row)] for row in rows]


def test_it_holds_everything_it_shows(made):
    page = Page(made / "out.html")
    assert page.loaded
    assert all(source.startswith(("data:image/png;base64,", "data:video/mp4;base64,")) for source in page.loaded)
    assert "default-src 'none'" in page.source
    assert "http:" not in page.source
    assert "https:" not in page.source
    assert "prefers-color-scheme: dark" in page.source
    assert "@media print" in page.source
    assert VOID.isdisjoint(page.open)


def test_the_numbers_are_those_of_the_table(made, recording):
    page, tracks = Page(made / "out.html"), Tracks.read(made / "t.csv")
    for number, label in (
        ("3", "objects"),
        (f"{len(tracks)}", "rows in the table"),
        (f"{len(recording):,}", "events"),
        ("0.5 s", "recorded"),
        *(("1", f"{name}, {low:g} to {high:g} px/s") for name, low, high in zip(
            BANDS.names, BANDS.edges, BANDS.edges[1:], strict=False)),
    ):  # fmt: skip
        assert f"|{number}|{label}|" in page.text
    rows = page.cells()
    for item, row in zip(objects(tracks), rows, strict=True):
        assert row[:2] == [str(item.id), BANDS.name(item.band)]
        speed, error = row[2].split(" ± ")
        assert float(speed) == pytest.approx(item.speed_px_s, abs=0.06)
        assert float(error) == pytest.approx(item.speed_err_px_s, abs=0.06)
        turned = item.band > 0  # at the scene's border
        assert (row[3] == "-") == turned
        assert turned or abs((float(row[3]) - item.heading_deg + 180) % 360 - 180) < 0.6
        assert float(row[4]) == pytest.approx(item.radius_px, rel=0.01)
        assert [float(row[5]), float(row[6])] == pytest.approx([item.first_us / 1e6, item.last_us / 1e6], abs=6e-4)
        assert row[7] == str(item.rows)


def test_settings_network_version_and_notes_are_told(made):
    page = Page(made / "out.html")
    assert f"velocell {version()}" in page.text
    assert "|every_us|5000|" in page.text
    assert "|mask_hot|yes|" in page.text
    assert page.source.split("<pre>")[1].startswith(f"velocell detect {made}/rec.npz --bands {EDGES} -o {made}/t.csv ")
    assert "slow 16 to 62, medium 62 to 177, fast 177 to 500 px/s" in page.text
    assert "events per pixel and edge crossing, measured" in page.text
    assert "NumPy archive" in page.source.split("Notes on the file")[1].split("</ul>")[0]


def test_figures_and_clip_can_be_read(made):
    page = Page(made / "out.html")
    sizes = [picture.shape for picture in page.pictures() if picture.shape[1] > 500]
    assert len(sizes) == 4  # overview, speeds, x-t, tuning
    [video] = [source for source in page.loaded if source.startswith("data:video")]
    with av.open(io.BytesIO(base64.b64decode(video.partition(",")[2]))) as container:
        frames = list(container.decode(video=0))
    assert len(frames) == 125
    assert frames[0].width == 500
    assert (made / "out.html").stat().st_size < 2_000_000


def test_a_browser_shows_it_without_complaint(made, window):
    window.get((made / "out.html").as_uri())
    script = (
        "const [done] = arguments; const video = document.querySelector('video');"
        "const images = [...document.images];"
        "const told = () => done([video.duration, video.videoWidth, images.every(i => i.naturalWidth > 0),"
        " images.length, document.documentElement.scrollWidth <= innerWidth,"
        " performance.getEntriesByType('resource').filter(e => !e.name.startsWith('data:')).length]);"
        "video.readyState > 1 ? told() : video.addEventListener('loadeddata', told);"
    )
    assert window.execute_async_script(script) == [5, 500, True, 8, True, 0]
    for width in (390, 1440):
        window.set_window_size(width, 900)
        assert window.execute_script("return document.documentElement.scrollWidth <= innerWidth")


def test_names_are_text(tmp_path, found, recording):
    told = replace(recording, source=EVIL, notes=(EVIL,))
    write(tmp_path / "r.html", found, told, settings={EVIL: EVIL}, command=EVIL)
    page = Page(tmp_path / "r.html")
    assert page.text.count(EVIL) >= 5
    assert "tuning" not in page.text


def test_without_objects_it_says_so(tmp_path, found, recording):
    none = replace(found, tracks=Tracks.empty(), spikes=Spikes.empty(2))
    write(tmp_path / "r.html", none, recording)
    page = Page(tmp_path / "r.html")
    assert "No object was found" in page.text
    assert "|0|objects|" in page.text
    assert "<h2>Objects</h2>" not in page.source
    assert len([p for p in page.pictures() if p.shape[1] > 500]) == 1


def test_without_events_it_is_written_too(tmp_path, found):
    none = Recording.from_arrays([], [], [], width=50, height=50)
    write(tmp_path / "r.html", Detection(Tracks.empty(), Spikes.empty(), found.networks, True), none)
    page = Page(tmp_path / "r.html")
    assert "|0|events|" in page.text
    assert "Nothing that is clearly a disk of R = 5" in page.text


def test_a_long_table_is_cut_with_a_note(tmp_path, found, recording):
    n = MOST_OBJECTS + 1_234
    many = Tracks.from_columns({"t_us": np.zeros(n), "id": np.arange(n), "x_px": np.full(n, 5), "y_px": np.full(n, 5)})
    write(tmp_path / "r.html", replace(found, tracks=many), recording)
    page = Page(tmp_path / "r.html")
    assert len(page.cells()) == MOST_OBJECTS
    assert "And 1,234 more" in page.text
    assert f"|{n:,}|outside all bands|" in page.text


def test_bands_against_the_speed_are_told(tmp_path, found, recording):
    flags = found.tracks.extra["flags"].astype(np.int64)
    flags[found.tracks.id == found.tracks.id[0]] |= FLAGS["off_band"]
    write(
        tmp_path / "r.html",
        replace(found, tracks=replace(found.tracks, extra={**found.tracks.extra, "flags": flags})),
        recording,
    )
    text = Page(tmp_path / "r.html").text
    assert "The neurons of 1 of 3 objects answer for another band than that of the speed" in text


def test_several_radii_are_named(tmp_path, found, recording):
    bank = replace(found, networks=(found.network, replace(found.network, radius_px=9.0)))
    write(tmp_path / "r.html", bank, recording)
    assert "2 networks, for radii of 5, 9 px; the first is shown." in Page(tmp_path / "r.html").text


def test_a_failure_leaves_the_old_file(tmp_path, found, recording, monkeypatch):
    (tmp_path / "r.html").write_text("old")
    monkeypatch.setattr("velocell.pictures.report.plot_overview", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write(tmp_path / "r.html", found, recording)
    assert [path.name for path in tmp_path.iterdir()] == ["r.html"]
    assert (tmp_path / "r.html").read_text() == "old"
    monkeypatch.undo()
    with pytest.raises(VelocellError, match="make the folder first"):
        write(tmp_path / "no" / "r.html", found, recording)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--report", "out.htm"], "cannot write a report to 'out.htm': the suffix must be .html"),
        (["--report", "no/out.html"], "there is no folder no"),
        (
            ["rec.npz", "--report", "out.html"],
            "--video, --spikes, --report, --objects and --figures are for one recording; velocell batch takes many",
        ),
    ],
)
def test_wrong_requests_are_told_before_the_work(made, tmp_path, monkeypatch, more, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rec.npz").symlink_to(made / "rec.npz")
    result = call("detect", "rec.npz", *more, "--bands", EDGES, "-o", "t.csv")
    assert result.exit_code == 1
    assert words in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["rec.npz"]


def test_a_report_with_templates_has_no_curves_of_disks(made, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    y, x = np.mgrid[:17, :17] - 8
    Image.fromarray((np.hypot(x, y) < 5).astype(np.uint8) * 255).save("disk.png")
    ok("detect", made / "rec.npz", "--template", "disk.png", "--bands", EDGES, "-o", "t.csv", "--report", "r.html",
       "--slow-motion", "1")  # fmt: skip
    page = Page(tmp_path / "r.html")
    assert "Predicted (lines)" not in page.text
    assert "Predicted (lines)" in Page(made / "out.html").text
    assert '["disk"]' in page.text
