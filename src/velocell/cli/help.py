"""How the help of a command looks: required options first, and what an option takes in plain words."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand

# What is taken where the parameter does not say so itself, by the name of its type.
_PLAIN = {"int": "N", "float": "N", "Path": "FILE", "str": "TEXT", "bool": "", "list[Path]": "FILE"}
_OF_CLICK = {"integer": "int", "float": "float", "path": "Path", "file": "Path", "text": "str", "boolean": "bool"}


class PlainCommand(TyperCommand):
    """A command whose required options stand before all others, and whose help shows no types of Python."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        for parameter in self.params:
            asked: Any = parameter
            if asked.param_type_name != "option":
                if hasattr(asked, "display_type_rich"):
                    asked.display_type_rich = lambda ctx: None  # its name and its help say what it is
                continue
            if asked.required:
                asked.rich_help_panel = None
            if asked.metavar is None:
                asked.metavar = _PLAIN.get(_kind(asked))
        self.params.sort(key=lambda parameter: parameter.param_type_name == "option" and not parameter.required)

    def get_help_option(self, ctx: Any) -> Any:
        option: Any = super().get_help_option(ctx)
        if option is not None and option.metavar is None:
            option.metavar = ""
        return option


def _kind(parameter: Any) -> str:
    """The name of its type; typer has kept it in different places."""
    kind = getattr(parameter, "bare_type", None)
    if kind is None:
        return _OF_CLICK.get(parameter.type.name, "")
    return str(kind() if callable(kind) else kind)
