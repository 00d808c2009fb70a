"""What a user sees when something goes wrong: one sentence on stderr, and the exit code."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import ParamSpec

import typer

from velocell.errors import VelocellError, internal, reason

P = ParamSpec("P")

_show_tracebacks = False


def show_tracebacks(show: bool) -> None:
    """Whether errors keep their traceback (`--debug`)."""
    global _show_tracebacks
    _show_tracebacks = show


def guarded(command: Callable[P, None]) -> Callable[P, None]:
    """The command, with every error turned into one sentence and exit code 1, an interruption into 130."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except KeyboardInterrupt:
            raise typer.Exit(130) from None
        except BrokenPipeError:
            raise
        except Exception as error:
            tell(error)
            raise typer.Exit(1) from None

    return run


def tell(error: Exception) -> None:
    """Say what went wrong; with --debug, raise it again."""
    if _show_tracebacks:
        raise error
    say(f"error: {_sentence(error)}")


def say(text: str) -> None:
    """One line on stderr, whatever line breaks a file's name or content brought in."""
    print(f"velocell: {' '.join(text.split())}", file=sys.stderr, flush=True)


def _sentence(error: Exception) -> str:
    if isinstance(error, VelocellError):
        return str(error)
    if isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename else ""
        return f"{place}{reason(error)}; check the disk and the path"
    if isinstance(error, MemoryError):
        return "there is not enough memory; take a part of the recording with --from, --to or --roi"
    return f"{internal(error)} with what velocell --debug ... shows"
