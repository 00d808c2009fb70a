"""Fields of a dataclass that are options of the command line: what words say their values again.

The command that the page shows is made of these; a field with an option needs no other place to appear in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, field, fields
from typing import Any

Text = str | None | tuple[str, str]
"""What follows an option, None where the option alone says it, or another option and what follows that."""


def number_text(value: float) -> str:
    """The shortest text that is read back as the same number."""
    short = f"{value:g}"
    return short if float(short) == value else repr(value)


def optional(
    option: str, texts: Callable[[Any], Sequence[Text]], *, default: Any = MISSING, factory: Any = MISSING
) -> Any:
    """A field whose value can be given as `option`. texts: of a value, what follows the option, once for each time it
    is said: none where it is as usual."""
    metadata = {"option": option, "texts": texts}
    if factory is not MISSING:
        return field(default_factory=factory, metadata=metadata)
    return field(default=default, metadata=metadata)


def option_words(value: Any, named: Mapping[str, str]) -> list[str]:
    """The options that make the dataclass `value` again. named: text by option, for values that do not know the name
    of the file that they are from."""
    words: list[str] = []
    for f in fields(value):
        if "option" in f.metadata:
            for text in f.metadata["texts"](getattr(value, f.name)):
                option = f.metadata["option"]
                if isinstance(text, tuple):
                    option, text = text
                said = named.get(option, text)
                words += [option] if said is None else [option, said]
    return words
