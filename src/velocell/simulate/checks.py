"""Checks of a scene's values: each raises SceneError with one sentence."""

from __future__ import annotations

import math

from velocell.errors import SceneError


def check(condition: bool, message: str) -> None:
    if not condition:
        raise SceneError(message)


def finite(value: float, name: str, where: str) -> None:
    check(math.isfinite(value), f"{name} of {where} is {value}; it must be a finite number")


def positive(value: float, name: str, where: str) -> None:
    check(math.isfinite(value) and value > 0, f"{name} of {where} is {value}; it must be above 0")


def not_negative(value: float, name: str, where: str) -> None:
    check(math.isfinite(value) and value >= 0, f"{name} of {where} is {value}; it must be 0 or more")


def share(value: float, name: str, where: str) -> None:
    check(0 <= value <= 1, f"{name} of {where} is {value}; it must be between 0 and 1")
