"""Options in a file: `--config run.toml` and `--save-config run.toml`, for every command.

A file holds options by their names without dashes (`bands = "16,62,177,500"`, `mask-hot = false`), arguments by theirs
(`files = ["a.raw"]`). What is given on the command line comes before the file, the file before what is usual. A table
`[live]` holds what is for that command only, so one file can serve several.
"""

from __future__ import annotations

import difflib
import inspect
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from velocell.cli.given import given, name_of
from velocell.cli.guard import show_tracebacks
from velocell.data.files import replacing
from velocell.data.side_files import read_toml
from velocell.errors import OptionError, VelocellError, reason

_OWN = ("config", "save-config", "debug")
_PANEL = "For every command"


def configurable(command: Callable[..., None]) -> Callable[..., None]:
    """The command with `--config`, `--save-config` and `--debug`."""
    given_parameters = _parameters(command)
    takes_context = any(p.annotation is typer.Context for p in given_parameters)

    def run(context: typer.Context, config: Path | None, save_config: Path | None, debug: bool, **values: Any) -> None:
        if debug:
            show_tracebacks(True)
        if save_config is not None:
            save(save_config, context)
        command(**({"context": context} if takes_context else {}), **values)

    own = [
        inspect.Parameter("config", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[
            Path | None,
            typer.Option("--config", metavar="TOML", help="Take options from this file; those given here come first.",
                         is_eager=True, callback=_load, rich_help_panel=_PANEL),
        ]),
        inspect.Parameter("save_config", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[
            Path | None,
            typer.Option("--save-config", metavar="TOML", help="Write the options of this run to a file for --config.",
                         rich_help_panel=_PANEL),
        ]),
        inspect.Parameter("debug", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Annotated[
            bool, typer.Option("--debug", help="Show the traceback of an error.", rich_help_panel=_PANEL),
        ]),
    ]  # fmt: skip
    context = inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
    others = [p for p in given_parameters if p.annotation is not typer.Context]
    # Attributes that typer looks for; `functools.wraps` would let it see the signature from before.
    run.__signature__ = inspect.Signature([context, *others, *own])  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in (context, *others, *own)}
    run.__name__, run.__doc__ = command.__name__, command.__doc__
    return run


def save(path: Path, context: typer.Context) -> None:
    """The options that were given, on the command line or in a file. Raises VelocellError."""
    import tomli_w

    from velocell.data.meta import version

    values = given(context, _OWN)
    head = f"# velocell {context.command.name} --config {path.name}   (written by Velocell {version()})\n"
    with replacing(path) as part:
        part.write_text(head + tomli_w.dumps(values), encoding="utf-8")


def _load(context: typer.Context, path: Path | None) -> Path | None:
    """Before any other option is looked at: what the file says becomes what is usual."""
    if path is None or context.resilient_parsing:
        return path
    from velocell.cli.guard import tell

    try:
        context.default_map = {**(context.default_map or {}), **loaded(path, context)}
    except VelocellError as error:
        tell(error)
        raise typer.Exit(1) from None
    return path


def loaded(path: Path, context: typer.Context) -> dict[str, Any]:
    """The values of a file by the parameters' own names. Raises OptionError."""
    values = options_of(path)
    parent = context.parent.command if context.parent is not None else None
    commands = set(getattr(parent, "commands", {})) | {str(context.command.name)}
    for name in [name for name, value in values.items() if isinstance(value, dict)]:
        if name not in commands:
            raise OptionError(f"{path}: there is no command [{name}]{_nearest(name, commands)}")
        special = values.pop(name)
        if name == context.command.name:
            values |= special
    known = {name_of(parameter): parameter for parameter in context.command.params}
    for name in ("help", *_OWN):
        known.pop(name, None)
    result: dict[str, Any] = {}
    for name, value in values.items():
        if name not in known:
            raise OptionError(f"{path}: velocell {context.command.name} has no option '{name}'{_nearest(name, known)}")
        result[str(known[name].name)] = _fitting(value, known[name], name, path)
    return result


def _fitting(value: Any, parameter: Any, name: str, path: Path) -> Any:
    """A value as the command line would have it: text, numbers in a row joined, one for several as a list."""
    is_flag = bool(getattr(parameter, "is_flag", False))
    if is_flag != isinstance(value, bool):
        raise OptionError(f"{path}: '{name}' must be {'true or false' if is_flag else 'a value, not true or false'}")
    if is_flag:
        return value
    several = bool(getattr(parameter, "multiple", False)) or getattr(parameter, "nargs", 1) == -1
    if several:
        return [_text(each) for each in (value if isinstance(value, list) else [value])]
    return _text(value)


def _text(value: Any) -> str:
    return ",".join(map(_text, value)) if isinstance(value, list) else str(value)


def options_of(path: Path) -> dict[str, Any]:
    """What the file holds, by the names in it. Raises OptionError."""
    try:
        return read_toml(path)
    except OSError as error:
        raise OptionError(f"cannot read {path}: {reason(error)}; check the path") from None
    except ValueError as error:
        raise OptionError(f"{path} is not TOML: {' '.join(str(error).split())}; correct it") from None


def _nearest(name: str, known: Any) -> str:
    found = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean '{found[0]}'?" if found else "; velocell COMMAND --help lists them"


def reporting(command: Callable[..., None]) -> Callable[..., None]:
    """The command with `--json`, unless it has its own: what it says, as one JSON object on stdout at its end."""
    parameters = _parameters(command)
    names = {option for p in parameters for option in _options_of(p.annotation)}
    if "--json" in names:
        return command

    def run(as_report: bool, **values: Any) -> None:
        if not as_report:
            command(**values)
            return
        if "-" in (values.get("out", ""), values.get("messages")) or (values.get("out", "") is None):
            raise OptionError("--json writes to stdout, and so does the output; give -o the name of a file")
        _report(command, values)

    own = inspect.Parameter("as_report", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Annotated[
        bool, typer.Option("--json", help="At the end, what happened as JSON on stdout, and nothing on stderr.")
    ])  # fmt: skip
    run.__signature__ = inspect.Signature([*parameters, own])  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in (*parameters, own)}
    run.__name__, run.__doc__ = command.__name__, command.__doc__
    return run


def _report(command: Callable[..., None], values: dict[str, Any]) -> None:
    """Run it, and print what it said, whether it went well, and what went wrong."""
    import json

    from velocell.cli.guard import heard_by, level_of, sentence
    from velocell.data.meta import version

    said: list[str] = []
    failed: Exception | None = None
    with heard_by(said.append):
        try:
            command(**values)
        except typer.Exit:
            raise
        except Exception as error:
            failed = error
    told = [dict(zip(("level", "text"), level_of(text), strict=True)) for text in said]
    print(
        json.dumps(
            {
                "velocell": version(), "command": command.__name__, "ok": failed is None,
                "error": None if failed is None else sentence(failed), "said": told,
            },
            indent=1,
        )
    )  # fmt: skip
    if failed is not None:
        raise typer.Exit(1)


def _parameters(command: Callable[..., None]) -> list[inspect.Parameter]:
    """Of a command, with annotations in place of their texts, whose names typer would look for here."""
    parameters = inspect.signature(command).parameters.values()
    hints = getattr(command, "__annotations__", {})
    if not hasattr(command, "__signature__"):
        hints = typing.get_type_hints(command, include_extras=True)
    keyword = inspect.Parameter.KEYWORD_ONLY
    return [p.replace(kind=keyword, annotation=hints.get(p.name, p.annotation)) for p in parameters]


def _options_of(annotation: Any) -> tuple[str, ...]:
    """The names of an option, from its annotation."""
    for part in getattr(annotation, "__metadata__", ()):
        # Before typer has read it, the first name of an annotated option stands where its default would.
        names = (getattr(part, "default", None), *(getattr(part, "param_decls", None) or ()))
        found = tuple(name for name in names if isinstance(name, str) and name.startswith("-"))
        if found:
            return found
    return ()
