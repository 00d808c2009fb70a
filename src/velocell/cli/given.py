"""What a command was given, as plain values by the names of its options, and back as words of the command line."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import typer


def name_of(parameter: Any) -> str:
    """`bands` of `--bands`; an argument has its own name."""
    longest = max(parameter.opts, key=len)
    return str(longest.lstrip("-") if longest.startswith("--") else parameter.name)


def given(context: typer.Context, left_out: Iterable[str] = ()) -> dict[str, Any]:
    """Values that were given, on the command line or in a file, in the order of the command's help."""
    values: dict[str, Any] = {}
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        name = name_of(parameter)
        if source is not None and source.name != "DEFAULT" and name not in left_out:
            value = plain(context.params.get(parameter.name or ""))
            if value is not None:
                values[name] = value
    return values


def plain(value: Any) -> Any:
    """As JSON and TOML have it."""
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return str(value) if isinstance(value, Path) else value


def words(command: Any, values: dict[str, Any]) -> list[str]:
    """The words that give a command these options again; of one that is switched off, its `--no-` form."""
    by_name = {name_of(parameter): parameter for parameter in command.params}
    result: list[str] = []
    for name, value in values.items():
        parameter = by_name.get(name)
        off = parameter is not None and parameter.secondary_opts
        if isinstance(value, bool):
            if value:
                result.append(f"--{name}")
            elif off:
                result.append(max(parameter.secondary_opts, key=len))  # type: ignore[union-attr]
            continue
        for each in value if isinstance(value, list) else [value]:
            result += [f"--{name}={each}"]
    return result
