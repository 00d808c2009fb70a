"""Make the student's version of the notebook: `python examples/make_student.py [--execute]`, or `make notebooks`.

Reads time_surfaces.ipynb and writes time_surfaces_student.ipynb beside it, without outputs:

- in code cells, what stands between `# -- solution` and `# -- end` becomes `...  # your work`;
  `# -- solution: a, b` leaves `a = b = ...  # your work`, for names that later cells need;
- text cells tagged `answer` become a place to write one.

`--execute` first runs time_surfaces.ipynb and keeps its outputs; of videos a small GIF, since they would make it large.
They are those of the course's recording: without a network, VELOCELL_DATA names the file.
"""

from __future__ import annotations

import base64
import io
import re
import sys
from copy import deepcopy
from pathlib import Path

import nbformat
from nbformat import NotebookNode

SOLVED = Path(__file__).parent / "time_surfaces.ipynb"
STUDENT = Path(__file__).parent / "time_surfaces_student.ipynb"
MAX_OUTPUT = 60_000  # characters
GIF_PX, GIF_COLORS = 50, 8
STANDS_IN = "stands in for the course's recording"  # as the notebook says it

_BLOCK = re.compile(r"^(?P<indent> *)# -- solution(?:: (?P<names>[^\n]*))?\n.*?^ *# -- end$", re.MULTILINE | re.DOTALL)


def blank(source: str) -> str:
    """Code with `...` in place of its solutions."""

    def hole(block: re.Match[str]) -> str:
        names = block["names"].split(", ") if block["names"] else []
        return block["indent"] + " = ".join([*names, "...  # your work"])

    return _BLOCK.sub(hole, source)


def student(solved: NotebookNode) -> NotebookNode:
    """The notebook with blanks, without outputs."""
    notebook = without_outputs(solved)
    for cell in notebook.cells:
        tags = cell.metadata.get("tags", [])
        if cell.cell_type == "code":
            cell.source = blank(cell.source)
        elif "answer" in tags:
            cell.source = "**Your answer:**"
    return notebook


def without_outputs(notebook: NotebookNode, larger_than: int = -1) -> NotebookNode:
    """A copy without the outputs of more than so many characters."""
    copy = deepcopy(notebook)
    for cell in copy.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if len(str(output)) <= larger_than]
            cell.execution_count = None
            for output in cell.outputs:
                if "execution_count" in output:
                    output.execution_count = None
    return copy


def with_gifs(notebook: NotebookNode) -> NotebookNode:
    """A copy in which every video is a small GIF that shows the same."""
    copy = deepcopy(notebook)
    for cell in copy.cells:
        for output in cell.get("outputs", []):
            video = re.search(r"data:video/mp4;base64,([\w+/=]+)", str(output.get("data", {}).get("text/html", "")))
            if video:
                picture = base64.b64encode(gif(base64.b64decode(video[1]))).decode()
                html = f'<img src="data:image/gif;base64,{picture}" width="300" alt="the video, small">'
                output.data = {"text/html": html, "text/plain": output.data.get("text/plain", "")}
    return copy


def gif(mp4: bytes) -> bytes:
    """The same video as a GIF of GIF_PX by GIF_PX pixels in few colours."""
    import av
    from PIL import Image

    with av.open(io.BytesIO(mp4)) as clip:
        fps = float(clip.streams.video[0].average_rate)
        large = [Image.fromarray(frame.to_ndarray(format="rgb24")) for frame in clip.decode(video=0)]
    palette = large[len(large) // 2].quantize(GIF_COLORS)
    frames = [frame.resize((GIF_PX, GIF_PX), Image.BOX).quantize(palette=palette, dither=0) for frame in large]
    buffer = io.BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:], duration=round(1000 / fps), loop=0)
    return buffer.getvalue()


def executed(notebook: NotebookNode) -> NotebookNode:
    """A copy with all cells run. Raises nbclient's CellExecutionError."""
    from nbclient import NotebookClient

    copy = deepcopy(notebook)
    NotebookClient(copy, timeout=600, resources={"metadata": {"path": SOLVED.parent}}).execute()
    return copy


def main() -> None:
    solved = nbformat.read(SOLVED, as_version=4)
    if "--execute" in sys.argv[1:]:
        solved = without_outputs(with_gifs(executed(solved)), larger_than=MAX_OUTPUT)
        if STANDS_IN in str([cell.get("outputs") for cell in solved.cells]):
            raise SystemExit(
                "the course's recording could not be had, and a simulated one took its place; name the file in "
                "VELOCELL_DATA. Nothing was written"
            )
        nbformat.write(solved, SOLVED)
    nbformat.write(student(solved), STUDENT)


if __name__ == "__main__":
    main()
