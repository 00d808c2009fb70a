"""Make the student's version of the notebook: `python examples/make_student.py [--execute]`.

Reads time_surfaces.ipynb and writes time_surfaces_student.ipynb beside it, without outputs:

- in code cells, what stands between `# -- solution` and `# -- end` becomes `...  # your work`;
  `# -- solution: a, b` leaves `a = b = ...  # your work`, for names that later cells need;
- text cells tagged `answer` become a place to write one.

`--execute` first runs time_surfaces.ipynb and keeps its small outputs; the videos would make it large.
"""

from __future__ import annotations

import re
import sys
from copy import deepcopy
from pathlib import Path

import nbformat
from nbformat import NotebookNode

SOLVED = Path(__file__).parent / "time_surfaces.ipynb"
STUDENT = Path(__file__).parent / "time_surfaces_student.ipynb"
MAX_OUTPUT = 60_000  # characters

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


def executed(notebook: NotebookNode) -> NotebookNode:
    """A copy with all cells run. Raises nbclient's CellExecutionError."""
    from nbclient import NotebookClient

    copy = deepcopy(notebook)
    NotebookClient(copy, timeout=120, resources={"metadata": {"path": SOLVED.parent}}).execute()
    return copy


def main() -> None:
    solved = nbformat.read(SOLVED, as_version=4)
    if "--execute" in sys.argv[1:]:
        solved = without_outputs(executed(solved), larger_than=MAX_OUTPUT)
        nbformat.write(solved, SOLVED)
    nbformat.write(student(solved), STUDENT)


if __name__ == "__main__":
    main()
