"""The notebook, solved and blank: the solved one runs, the blank one fails its checks until it is solved."""

from __future__ import annotations

import ast
import base64
import hashlib
import importlib.util
import io
import re
import sys
import warnings
from copy import deepcopy
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest
from places import ROOT

pytest.importorskip("torch", reason="the extra 'norse' is not installed")
pytest.importorskip("nbformat", reason="the test tools of the notebook are not installed")

import nbformat

# Before a notebook cell imports Norse itself: this one keeps its warnings of deprecated parts of torch quiet.
import velocell.engines.norse  # noqa: F401 (for what it does, above)

COURSE_FILE = ROOT.parent / "shared" / "data" / "2404_circle.dat"


def _tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_student", ROOT / "examples" / "make_student.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


make_student = _tool()
SOLVED = nbformat.read(make_student.SOLVED, as_version=4)
CELLS = {cell.id: cell for cell in SOLVED.cells}
SOLUTIONS = [cell for cell in SOLVED.cells if "solution" in cell.metadata.get("tags", [])]


def check_of(solution: Any) -> Any:
    return CELLS[solution.id.replace("work-", "check-")]


def run(source: str, names: dict[str, Any]) -> dict[str, Any]:
    """Run a cell on top of these names; they stay as they are."""
    scope = dict(names)
    exec(compile(source, "cell", "exec"), scope)
    return scope


@pytest.fixture(scope="module")
def before() -> dict[str, dict[str, Any]]:
    """The names that each solution finds, on the embedded scene, with everything before it solved and checked.

    Cells that only draw are left out.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VELOCELL_DATA", "simulated")
        patch.setenv("MPLBACKEND", "agg")
        names: dict[str, Any] = {}
        found = {}
        for cell in SOLVED.cells:
            if cell.cell_type == "code" and "figure" not in cell.metadata.get("tags", []):
                found[cell.id] = names
                names = run(cell.source, names)
        return found


def test_every_solution_has_a_check_and_every_task_is_there():
    assert [cell.id for cell in SOLUTIONS] == [
        "work-1-1",
        "work-1-2",
        "work-2-1",
        "work-2-2-values",
        "work-2-2-class",
        "work-2-3",
        "work-3-1",
        "work-3-2",
        "work-3-3",
    ]
    for cell in SOLUTIONS:
        position = SOLVED.cells.index(cell)
        assert SOLVED.cells[position + 1] is check_of(cell)
        assert "# -- solution" in cell.source
    answers = [cell for cell in SOLVED.cells if "answer" in cell.metadata.get("tags", [])]
    assert len(answers) == 7
    assert all(cell.source.startswith("**Answer.** ") for cell in answers)


@pytest.mark.parametrize("cell", SOLUTIONS, ids=lambda cell: cell.id)
def test_a_check_fails_until_its_task_is_solved(cell, before):
    # That it passes once the task is solved is what `before` has gone through.
    names = run(make_student.blank(cell.source), before[cell.id])
    task = re.match(r"check-(\d)-(\d)", check_of(cell).id)
    assert task is not None
    # Other architectures belong to the course's task 3.2.
    number = {"3.3": "3.2"}.get(f"{task[1]}.{task[2]}", f"{task[1]}.{task[2]}")
    with pytest.raises(AssertionError, match=rf"^{re.escape(number)}: "):
        run(check_of(cell).source, names)


@pytest.mark.parametrize(
    ("work", "right", "wrong", "hint"),
    [
        ("work-1-1", "torch.zeros(sparse.shape)", "torch.zeros(600, 50, 50)", "the shape should stay"),
        ("work-1-1", "dense[frame, row, column]", "dense[frame, column, row]", "at its own frame, row and column"),
        ("work-1-2", "[frame > 0] = 1.0", "[frame > 0] += 1.0", "whatever it was before"),
        ("work-1-2", "-1 / tau_ms", "-2 / tau_ms", "1 ms later"),
        ("work-1-2", "torch.zeros(frames", "torch.ones(frames", "never had an event"),
        ("work-2-1", "[None, None]", "", "4 dimensions"),
        ("work-2-1", "ring.float() - 0.5 * inside", "ring.float() + inside", "about 5 px from the middle"),
        ("work-2-1", "<= width / 2\n", "<= width / 2\n    ring &= x > -4\n    ring &= x < 4\n", "has gaps"),
        ("work-2-1", "- 0.5 * inside.float()", "- 0.5 * inside.float() * (x > 0)", "from the left and the right"),
        ("work-2-2-values", "0.3 * crossing_px / lowest", "1e-4 + 0 * lowest", "between 0 and 1"),
        ("work-2-2-values", "v_th = peak(lowest, tau_s)", "v_th = 0.1 * peak(lowest, tau_s)", "raise its v_th"),
        ("work-2-2-values", "v_th = peak(lowest, tau_s)", "v_th = 9 * peak(lowest, tau_s)", "lower v_th"),
        ("work-2-2-class", "fired, state =", "fired, _ =", "differ from Velocell's"),
        ("work-2-2-class", "1 / tau)", "1e3 / tau)", "differ from Velocell's"),
        ("work-2-3", "_, row, _ =", "_, _, row =", "a spike at row 8 is for the slow disk"),
        ("work-2-3", "counts[channel] = disk", "counts[0] = disk", "were counted"),
        ("work-3-1", "weight[k, k + 1 :] =", "weight[k, :k] =", "nothing is faster"),
        ("work-3-1", "reach: int = 10", "reach: int = 2", "purity is"),
        ("work-3-2", "- 0.15", "+ 0.15", "surroundings should be negative"),
    ],
)
def test_a_wrong_solution_gets_a_hint(work, right, wrong, hint, before):
    assert CELLS[work].source.count(right) == 1
    names = run(CELLS[work].source.replace(right, wrong), before[work])
    with pytest.raises(AssertionError, match=hint):
        run(check_of(CELLS[work]).source, names)


@pytest.mark.parametrize(
    "changes",
    [
        {"work-2-1": [("width: float = 2.0", "width: float = 1.0")]},  # a ring of one pixel
        {"work-2-1": [("- 0.5 * inside.float()", "")]},  # one without anything inside
        {
            "work-2-2-values": [  # by hand, from looking at the picture of task 1.2
                ("0.3 * crossing_px / lowest", "np.array([0.05, 0.015, 0.006])"),
                ("peak(lowest, tau_s)\n", "np.array([2.0, 8.0, 22.0])\n"),
            ]
        },
    ],
    ids=["one pixel", "no inside", "by hand"],
)
def test_another_right_answer_is_accepted(changes, before):
    """To the end of task 2.2, whose check compares with Velocell's network of the same values."""
    ids = [cell.id for cell in SOLVED.cells]
    names = before["work-2-1"]
    for cell in SOLVED.cells[ids.index("work-2-1") : ids.index("check-2-2-values") + 1]:
        if cell.cell_type == "code" and "figure" not in cell.metadata.get("tags", []):
            source = cell.source
            for old, new in changes.get(cell.id, []):
                assert source.count(old) == 1
                source = source.replace(old, new)
            names = run(source, names)


def test_a_block_becomes_a_hole():
    source = "a = 1\n# -- solution: b, c\nb = 2, 3\nc = 4\n# -- end\nif a:\n    # -- solution\n    d()\n    # -- end\ne"
    assert make_student.blank(source) == "a = 1\nb = c = ...  # your work\nif a:\n    ...  # your work\ne"


def test_the_students_version_is_made_from_the_solved_one():
    student = nbformat.read(make_student.STUDENT, as_version=4)
    assert student == make_student.student(SOLVED), "run python examples/make_student.py"
    text = "\n".join(cell.source for cell in student.cells)
    assert "**Answer.**" not in text
    assert "# -- " not in text
    assert text.count("# your work") == 11


def test_outputs_of_another_recording_are_not_kept(monkeypatch):
    def simulated(notebook):
        copy = deepcopy(notebook)
        notice = "**A simulated scene stands in for the course's recording.**"
        code = next(cell for cell in copy.cells if cell.cell_type == "code")
        code.outputs = [nbformat.v4.new_output("display_data", {"text/markdown": notice})]
        return copy

    before = make_student.SOLVED.read_bytes()
    monkeypatch.setattr(make_student, "executed", simulated)
    monkeypatch.setattr(sys, "argv", ["make_student.py", "--execute"])
    with pytest.raises(SystemExit, match="Nothing was written"):
        make_student.main()
    assert make_student.SOLVED.read_bytes() == before


def test_the_outputs_in_the_repository_are_small():
    outputs = [output for cell in SOLVED.cells for output in cell.get("outputs", [])]
    assert len(outputs) > 10
    assert max(len(str(output)) for output in outputs) <= make_student.MAX_OUTPUT
    assert make_student.SOLVED.stat().st_size < 500_000
    html = ["".join(output["data"]["text/html"]) for output in outputs if "text/html" in output.get("data", {})]
    assert len(html) == 2  # the videos
    assert all(text.startswith('<img src="data:image/gif;base64,') for text in html)


def test_warnings_of_other_packages_do_not_get_between_the_cells():
    said = (
        ("`torch.jit.script` is deprecated", DeprecationWarning),
        ("this will change", FutureWarning),
        ("Sparse invariant checks are implicitly disabled. Memory errors", UserWarning),
        ("the reader ought to know", UserWarning),
    )
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        run(SOLVED.cells[2].source, {})
        for message, category in said:
            warnings.warn(message, category, stacklevel=1)
    assert [str(one.message) for one in heard] == ["the reader ought to know"]


def test_no_formula_has_lost_its_backslash():
    """In "$\\tau$" without an r, Python makes a tab of the first two signs."""
    for cell in SOLVED.cells:
        for node in ast.walk(ast.parse(cell.source)) if cell.cell_type == "code" else ():
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and "$" in node.value:
                assert not re.search(r"[\a\b\f\r\t\v]", node.value), cell.id


def test_the_first_cell_installs_what_is_missing_and_says_so(monkeypatch, capsys):
    """As in Colab, which has torch and h5py, and in a Jupyter that has nothing."""
    asked: list[list[str]] = []
    monkeypatch.setattr("subprocess.run", lambda command, check: asked.append(command[4:]))
    monkeypatch.setenv("VELOCELL_SOURCE", "git+there")
    for there in (("velocell", "torch", "norse", "h5py"), ("torch", "h5py"), ()):
        monkeypatch.setattr("importlib.util.find_spec", lambda name, there=there: name in there or None)
        run(CELLS["setup"].source, {})
    norse = ["--no-deps", "norse", "nir", "nirtorch"]
    assert asked == [["git+there"], norse, ["git+there"], ["torch"], norse, ["h5py"]]
    assert SOLVED.cells[1].id == "setup"
    assert "installing torch: may be several GB" in capsys.readouterr().out
    monkeypatch.delenv("VELOCELL_SOURCE")
    with pytest.raises(RuntimeError, match="\n%env VELOCELL_SOURCE="):  # an index has no Velocell, or another one
        run(CELLS["setup"].source, {})


@pytest.mark.filterwarnings("ignore:nirtorch.load is being deprecated:DeprecationWarning")  # by Norse's importer
def test_the_network_comes_back_from_its_file_with_the_same_spikes(before):
    """To the last spike, which the comparison of outputs below would not ask for; and it could have been otherwise."""
    names = run(CELLS["nir-back"].source, before["nir-back"])
    written = names["written"]
    assert written.shape == names["loaded"].shape
    assert written.sum() > 300
    assert int((names["loaded"] != written).sum()) == 0
    assert int((names["planted"] != written).sum()) > 0


def numbers(outputs: list[Any]) -> list[list[str]]:
    """What a cell said in text: its lines, split into words and numbers."""
    texts = ["".join(output.get("text", "") or output.get("data", {}).get("text/markdown", "")) for output in outputs]
    return [line.split() for text in texts for line in text.splitlines() if line.strip()]


def pictures(outputs: list[Any]) -> list[Any]:
    from PIL import Image

    found = [output["data"]["image/png"] for output in outputs if "image/png" in output.get("data", {})]
    return [Image.open(io.BytesIO(base64.b64decode("".join(png)))).convert("L") for png in found]


def differences(shipped: list[Any], fresh: list[Any]) -> list[str]:
    """Where outputs say or show something else; counts may differ by 3 % from machine to machine."""

    def same(a: str, b: str) -> bool:
        try:
            x, y = float(a.replace(",", "")), float(b.replace(",", ""))
        except ValueError:
            return a == b
        return abs(x - y) <= max(0.03 * abs(x), 0.011 if "." in a else 2)

    old, new = numbers(shipped), numbers(fresh)
    found = [f"{a} became {b}" for a, b in zip(old, new, strict=False) if len(a) != len(b) or not all(map(same, a, b))]
    if len(old) != len(new):
        found.append(f"{len(old)} lines became {len(new)}")
    before, after = pictures(shipped), pictures(fresh)
    if len(before) != len(after):
        found.append(f"{len(before)} pictures became {len(after)}")
    for a, b in zip(before, after, strict=False):
        if a.size != b.size or np.abs(np.asarray(a, float) - np.asarray(b, float)).mean() > 4:
            found.append("a picture looks different")
    return found


def test_what_differs_is_noticed():
    def said(text: str) -> list[Any]:
        return [{"data": {"text/markdown": text}}]

    assert differences(said("| slow | 223 | 1425 | 3535 |"), said("| slow | 164 | 1159 | 3128 |"))
    assert not differences(said("| slow | 164 | 1159 | 0.02 |"), said("| slow | 165 | 1160 | 0.03 |"))
    assert differences(said("a"), [])
    figures = [
        output for cell in SOLVED.cells for output in cell.get("outputs", []) if "image/png" in output.get("data", {})
    ]
    assert not differences(figures[:1], figures[:1])
    assert differences(figures[:1], figures[1:2])


def executed(notebook: Any, monkeypatch: pytest.MonkeyPatch, data: str) -> Any:
    pytest.importorskip("nbclient", reason="the test tools of the notebook are not installed")
    monkeypatch.setenv("VELOCELL_DATA", data)
    return make_student.executed(notebook)


def test_the_solved_notebook_runs(monkeypatch):
    """On the course's recording where it is at hand, else on the embedded scene."""
    known = COURSE_FILE.is_file()
    after = executed(SOLVED, monkeypatch, str(COURSE_FILE) if known else "simulated")
    outputs = {cell.id: cell.outputs for cell in after.cells if cell.cell_type == "code"}
    assert not [output for cell in outputs.values() for output in cell if output.get("name") == "stderr"]
    assert ("the course's recording" in outputs["data"][0].get("text", "")) is known
    drawn = [cell.id for cell in after.cells if "figure" in cell.metadata.get("tags", [])]
    assert len(drawn) == 13
    for name in drawn:
        kinds = {kind for output in outputs[name] for kind in output.get("data", {})}
        assert kinds & {"image/png", "text/markdown"}, name
    for name in ("work-1-2", "work-2-3"):
        assert "<video" in outputs[name][0].data["text/html"]
    if known:
        shipped = {cell.id: cell.outputs for cell in SOLVED.cells if cell.cell_type == "code"}
        changed = {name: differences(shipped[name], found) for name, found in outputs.items()}
        assert {name: told for name, told in changed.items() if told} == {}, "run make notebooks"


def test_the_blank_notebook_stops_at_its_first_check(monkeypatch):
    errors = pytest.importorskip("nbclient.exceptions", reason="the test tools of the notebook are not installed")
    with pytest.raises(errors.CellExecutionError, match=r"AssertionError.*1\.1: `to_dense` should return a tensor"):
        executed(nbformat.read(make_student.STUDENT, as_version=4), monkeypatch, "simulated")


@pytest.fixture
def fetched(before, monkeypatch):
    """Runs `course_file` with this answer from the network; returns the file and the address asked for."""
    monkeypatch.delenv("VELOCELL_DATA", raising=False)
    monkeypatch.setenv("VELOCELL_DATA", "simulated")
    names = run(CELLS["data"].source, before["data"])
    monkeypatch.delenv("VELOCELL_DATA")

    def fetch(answer: bytes | Exception) -> Path | None:
        def urlopen(address: str, timeout: float) -> io.BytesIO:
            assert address.startswith("https://github.com/ncskth/phd-course/raw/")
            assert timeout <= 10
            if isinstance(answer, Exception):
                raise answer
            return io.BytesIO(answer)

        monkeypatch.setitem(names, "urlopen", urlopen)
        result: Path | None = names["course_file"]()
        return result

    return names, fetch


def test_the_recording_is_fetched_and_its_digest_checked(fetched, capsys):
    names, fetch = fetched
    names["SHA256"] = hashlib.sha256(b"the right bytes").hexdigest()
    path = fetch(b"the right bytes")
    assert path is not None
    assert path.read_bytes() == b"the right bytes"
    assert fetch(b"other bytes") is None
    assert "its digest differs" in capsys.readouterr().out


def test_without_a_network_the_notebook_says_why(fetched, capsys):
    _, fetch = fetched
    assert fetch(URLError("no route to host")) is None
    assert "no route to host" in capsys.readouterr().out
    assert fetch(TimeoutError("timed out")) is None


def test_the_scene_that_stands_in_is_announced(before, monkeypatch):
    shown: list[Any] = []
    monkeypatch.setenv("VELOCELL_DATA", "simulated")
    names = run(CELLS["data"].source, {**before["data"], "display": shown.append})
    assert len(names["recording"]) > 10_000
    assert "A simulated scene stands in" in shown[0].data


def test_the_digest_is_that_of_the_recording():
    if not COURSE_FILE.is_file():
        pytest.skip("the course's recording is not at hand")
    assert hashlib.sha256(COURSE_FILE.read_bytes()).hexdigest() in CELLS["data"].source
