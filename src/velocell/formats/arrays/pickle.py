"""The pickle inside a torch file, read as a description: nothing it names is imported or called.

`pickle.Unpickler` with a narrow `find_class` would still build what the file names, at any
size. This reader knows only the operations that a saved tensor needs, and only the names that the
caller explains to it.
"""

from __future__ import annotations

import pickletools
import warnings
from collections.abc import Callable, Mapping
from typing import Any

# A saved tensor needs less than 1 kB.
MAX_PICKLE_BYTES = 1 << 16

_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_LITERALS = ("BININT", "BININT1", "BININT2", "LONG1", "BINUNICODE", "SHORT_BINUNICODE")
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


class UnknownName(Exception):
    """The pickle names something that was not explained; the argument is its full name."""


def load(data: bytes, names: Mapping[str, Any], storage: Callable[[Any], Any]) -> Any:
    """What the pickle describes. `names` maps "module name" to what stands for it here; `storage`
    explains persistent ids.

    Raises UnknownName, and ValueError, TypeError or IndexError for anything else than a tensor.
    """
    with warnings.catch_warnings():
        # Damage may look like an escape in a text that Python warns of.
        warnings.simplefilter("ignore", DeprecationWarning)
        return _load(data, names, storage)


def _load(data: bytes, names: Mapping[str, Any], storage: Callable[[Any], Any]) -> Any:
    stack: list[Any] = []
    marks: list[int] = []
    memo: dict[int, Any] = {}
    argument: Any
    for opcode, argument, _ in pickletools.genops(data):
        name = opcode.name
        if name in _CONSTANTS:
            stack.append(_CONSTANTS[name])
        elif name in _LITERALS:
            stack.append(argument)
        elif name == "GLOBAL":
            stack.append(_explained(argument, names))
        elif name == "STACK_GLOBAL":
            attribute, module = stack.pop(), stack.pop()
            stack.append(_explained(" ".join((module, attribute)), names))
        elif name in ("BINPUT", "LONG_BINPUT"):
            memo[argument] = stack[-1]
        elif name == "MEMOIZE":
            memo[len(memo)] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            stack.append(memo[argument])
        elif name == "MARK":
            marks.append(len(stack))
        elif name == "TUPLE" or name in _TUPLES:
            first = marks.pop() if name == "TUPLE" else len(stack) - _TUPLES[name]
            stack[first:] = [tuple(stack[first:])]
        elif name == "BINPERSID":
            stack.append(storage(stack.pop()))
        elif name == "REDUCE":
            arguments, function = stack.pop(), stack.pop()
            stack.append(function(*arguments))
        elif name == "STOP":
            return stack.pop()
        elif name not in ("PROTO", "FRAME"):
            raise ValueError(f"{name} in the description")
    raise ValueError("the description has no end")


def _explained(name: str, names: Mapping[str, Any]) -> Any:
    if name not in names:
        raise UnknownName(name.replace(" ", "."))
    return names[name]
