"""What the pages take from the program at build time: the commands, and docstrings in the form Sphinx reads."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import typer.main

import velocell
from velocell.cli.app import app

# Modules whose names are public, too, but not repeated in `velocell` itself.
FURTHER = (
    "velocell.batch.outcome",
    "velocell.results.object_table",
    "velocell.calibration.fitting",
    "velocell.calibration.search",
    "velocell.tracking.rules",
    "velocell.network.architectures",
    "velocell.network.origin",
    "velocell.filters.noise",
    "velocell.filters.hot_pixels",
    "velocell.filters.camera_motion",
    "velocell.filters.chain",
    "velocell.results.plane",
    "velocell.results.counting",
    "velocell.results.exports",
    "velocell.studies.tuning",
    "velocell.pictures.figures.tracks",
    "velocell.pictures.figures.spikes",
    "velocell.pictures.figures.scores",
    "velocell.pictures.figures.tuning",
    "velocell.pictures.figures.neurons",
)

_FLOW = ("formats", "data", "filters", "pipeline", "tracking", "calibration", "network", "engines", "results")
_SPECIAL, _ESCAPED = re.compile(r"([*<>[])"), r"\\\1"
_ENTRY = re.compile(r"([a-z_]\w*(?:, [a-z_]\w*)*): ")
_ARRAY = re.compile(r"ndarray\[tuple\[Any, \.\.\.\], dtype\[(\w+(?:\[\w+\])?)\]\]")
_ALIAS = re.compile(r"TypeAliasForwardRef\('(\w+)'\)")
_CODE = re.compile(r"(?<!`)`([^`]+)`(?!`)")


def group() -> Any:
    """The command line as its parser sees it."""
    return typer.main.get_command(app)


def names() -> str:
    """Every public name as directives of autodoc, by the module that defines it, in the order of the data flow."""
    homes: dict[str, list[str]] = {}
    for name in velocell.__all__:
        homes.setdefault(getattr(velocell, name).__module__, []).append(name)
    chosen = [(home, f"   :members: {', '.join(homes[home])}") for home in sorted(homes, key=_rank)]
    further = [(home, "   :members:") for home in FURTHER if home not in homes]
    lines = []
    for home, members in chosen + further:
        lines += [f"## {home}", "", "```{eval-rst}", f".. automodule:: {home}", members, "```", ""]
    return "\n".join(lines)


def _rank(home: str) -> tuple[int, str]:
    first = next((k for k, part in enumerate(_FLOW) if home.startswith(f"velocell.{part}")), len(_FLOW))
    return first, home


def commands() -> str:
    """Every command as Markdown: what it does, how it is called, a table of its options per panel."""
    top = group()
    return "\n".join(line for name in top.commands for line in _command(name, top.commands[name]))


def _command(name: str, command: Any) -> Iterator[str]:
    context = typer.Context(command, info_name=f"velocell {name}")
    yield from (f"## velocell {name}", "", _cell(command.help or ""), "", f"    {command.get_usage(context)[7:]}", "")
    panels: dict[str, list[Any]] = {}
    for parameter in command.get_params(context):
        panel = getattr(parameter, "rich_help_panel", None)
        panels.setdefault(panel or "", []).append(parameter)
    for panel, parameters in panels.items():
        rows = [row for parameter in parameters if (row := _row(parameter, context))]
        if rows:
            yield from (f"| {panel or 'general'} | |", "|---|---|", *rows, "")


def _row(parameter: Any, context: Any) -> str | None:
    """One line of a table, from the same record that `--help` prints; --help itself needs none."""
    record = parameter.get_help_record(context)
    if record is None or parameter.name == "help":
        return None
    names, text = record
    return f"| `{_cell(names)}` | {_SPECIAL.sub(_ESCAPED, _cell(text))} |"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", r"\|")


def short_types(signature: str) -> str:
    """NumPy's types for arrays, which Sphinx spells out, by their names."""
    return _ALIAS.sub(r"\1", _ARRAY.sub(r"NDArray[\1]", signature))


def restructured(lines: list[str]) -> list[str]:
    """A docstring of ours as reStructuredText.

    `name` becomes code, an indented formula a literal block, and lines such as "x, y: pixels" a list, to whose
    last entry belongs what follows without an empty line.
    """
    result: list[str] = []
    inside = ""  # of a list or a formula, or of nothing
    for line in lines:
        begins = not result or not result[-1].strip()
        if not line.strip():
            inside = inside if inside == "formula" else ""
        elif line.startswith("    ") and (begins or inside == "formula"):
            result += [] if inside == "formula" else ["::", ""]
            inside = "formula"
        elif _ENTRY.match(line):
            result += [] if begins or inside == "list" else [""]
            inside, line = "list", _ENTRY.sub(r"* ``\1``: ", line)
        elif inside == "list":
            line = "  " + line.lstrip()
        else:
            inside = ""
        result.append(line if inside == "formula" else _CODE.sub(r"``\1``", line.replace("|", r"\|")))
    return result
