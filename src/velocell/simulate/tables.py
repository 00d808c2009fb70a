"""Plain values, as TOML has them <-> the dataclasses of a scene, checked by name and type."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import Any

from velocell.simulate.checks import check

# Annotations are strings under `from __future__ import annotations`; here they are the schema.
_KINDS: dict[str, tuple[tuple[type, ...], str]] = {
    "int": ((int,), "a whole number"),
    "int | None": ((int,), "a whole number"),
    "float": ((int, float), "a number"),
    "float | None": ((int, float), "a number"),
    "bool": ((bool,), "true or false"),
    "str": ((str,), "a text"),
}
# Lists of lists: so many numbers each, and how they are written.
_LISTS = {
    "tuple[tuple[float, float], ...]": (2, "[[from, to], ...]"),
    "tuple[tuple[float, float, float], ...]": (3, "[[t_us, x_px, y_px], ...]"),
}


def build(kind: Any, table: Mapping[str, Any], where: str) -> Any:
    """An instance of the dataclass `kind` from plain values."""
    known = {f.name: f for f in fields(kind)}
    values: dict[str, Any] = {}
    for name, value in table.items():
        check(name in known, f"unknown key '{name}' in {where}; allowed are {', '.join(known)}")
        values[name] = _convert(value, str(known[name].type), name, where)
    for name, spec in known.items():
        required = spec.default is MISSING and spec.default_factory is MISSING
        check(not required or name in values, f"{where} lacks the key '{name}'")
    return kind(**values)


def plain(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Lists for tuples, also inside of tables; what is None is left out."""
    return {name: _plain(value) for name, value in entry.items() if value is not None}


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(part) for part in value]
    return plain(value) if isinstance(value, Mapping) else value


def _convert(value: Any, annotation: str, name: str, where: str) -> Any:
    if is_dataclass(value) or (isinstance(value, tuple) and all(map(is_dataclass, value))):
        return value  # built by the caller
    if annotation.startswith("tuple[float"):
        fits = _numbers(value, 4)
        check(fits, f"'{name}' in {where} must be four numbers [x0, y0, x1, y1]")
        return tuple(float(v) for v in value)
    if annotation in _LISTS:
        count, words = _LISTS[annotation]
        fits = isinstance(value, list | tuple) and all(_numbers(part, count) for part in value)
        check(fits, f"'{name}' in {where} must be a list {words}")
        return tuple(tuple(float(v) for v in part) for part in value)
    if annotation.startswith("dict"):
        check(isinstance(value, Mapping), f"'{name}' in {where} must be a table written as [{name}]")
        return dict(value)
    types, words = _KINDS[annotation]
    fits = isinstance(value, types) and isinstance(value, bool) == (annotation == "bool")
    check(fits, f"'{name}' in {where} must be {words}, got {value!r}")
    return float(value) if annotation.startswith("float") else value


def _numbers(value: Any, count: int) -> bool:
    return (
        isinstance(value, list | tuple)
        and len(value) == count
        and all(isinstance(v, int | float) and not isinstance(v, bool) and math.isfinite(v) for v in value)
    )
