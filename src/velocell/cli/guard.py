"""What a user sees when something goes wrong: one sentence on stderr, and the exit code."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal, ParamSpec

import typer

from velocell.data.units import utc_now
from velocell.errors import VelocellError, internal, printable, reason

P = ParamSpec("P")
Listener = Callable[[str], object]


@dataclass
class _Speech:
    """How the program says what it has to say. tracebacks: errors keep theirs (`--debug`). quiet: warnings and errors
    only. log: in words, or as JSON. listeners: get each sentence; with `alone`, nobody else does."""

    tracebacks: bool = False
    quiet: bool = False
    log: Literal["text", "json"] = "text"
    listeners: list[Listener] = field(default_factory=list)
    alone: bool = False


_speech = _Speech()


def show_tracebacks(show: bool) -> None:
    """Whether errors keep their traceback (`--debug`)."""
    _speech.tracebacks = show


def speak(*, quiet: bool = False, log: Literal["text", "json"] = "text") -> None:
    """Until the command ends, only warnings and errors are said, or all of it as lines of JSON."""
    _speech.quiet, _speech.log = quiet, log


@contextmanager
def heard_by(listener: Listener, *, alone: bool = True) -> Iterator[None]:
    """For a while, `listener` gets every sentence; alone: and stderr gets none."""
    before = _speech.alone
    _speech.listeners.append(listener)
    _speech.alone = alone or before
    try:
        yield
    finally:
        _speech.listeners.remove(listener)
        _speech.alone = before


def guarded(command: Callable[P, None]) -> Callable[P, None]:
    """The command, with every error turned into one sentence and exit code 1, an interruption into 130."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except KeyboardInterrupt:
            raise typer.Exit(130) from None
        except (BrokenPipeError, typer.Exit):
            raise
        except Exception as error:
            tell(error)
            raise typer.Exit(1) from None
        finally:
            speak()

    return run


def tell(error: Exception) -> None:
    """Say what went wrong; with --debug, raise it again."""
    if _speech.tracebacks:
        raise error
    say(f"error: {sentence(error)}")


def say(text: str) -> None:
    """One line on stderr, whatever line breaks a file's name or content brought in.

    A text begins with `error: `, `warning: ` or `note: ` where it is one.
    """
    text = printable(text)
    for listener in _speech.listeners:
        listener(text)
    level, text_only = level_of(text)
    if _speech.alone or (_speech.quiet and level not in ("error", "warning")):
        return
    if _speech.log == "json":
        line = json.dumps({"at": utc_now(), "level": level, "text": text_only})
    else:
        line = f"velocell: {text}"
    sys.stderr.write(f"{line}\n")  # at once: between a line and its break, another thread's line could come
    sys.stderr.flush()


def level_of(text: str) -> tuple[str, str]:
    """`warning: x` -> `warning` and `x`; a text without a level is `info`."""
    level, colon, rest = text.partition(": ")
    return (level, rest) if colon and level in ("error", "warning", "note") else ("info", text)


def sentence(error: Exception) -> str:
    """What went wrong, and what to do."""
    if isinstance(error, VelocellError):
        return str(error)
    if isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename else ""
        return f"{place}{reason(error)}; check the disk and the path"
    if isinstance(error, MemoryError):
        return "there is not enough memory; take a part of the recording with --from, --to or --roi"
    return f"{internal(error)} with what velocell --debug ... shows"
